package ostler

import (
	"runtime"
	"testing"
)

func TestTopologyOfThisMachine(t *testing.T) {
	topology, err := NewTopology()
	succeeds(t, err)
	closes(t, topology)
	info, err := topology.Info()
	succeeds(t, err)
	if !info.IsThisMachine || info.Nodes < 1 || info.Cores < 1 || info.CPUs < runtime.NumCPU() || info.PageSizes < 1 {
		t.Errorf("this machine is %+v, and Go knows of %d CPUs", info, runtime.NumCPU())
	}
	allowed := 0
	for index := range info.CPUs {
		cpu, err := topology.CPU(index)
		succeeds(t, err)
		if cpu.Allowed {
			allowed++
		}
	}
	// Fewer are known to Go when its process was bound to them.
	if allowed < runtime.NumCPU() {
		t.Errorf("%d CPUs are allowed, and Go knows of %d", allowed, runtime.NumCPU())
	}
	node, err := topology.Node(0)
	succeeds(t, err)
	if node.MemoryBytes == 0 || node.FreeBytes > node.MemoryBytes {
		t.Errorf("node 0 is %+v", node)
	}
	pages, err := topology.Pages(AllNodes, 0)
	succeeds(t, err)
	if pages.PageBytes < 4096 || pages.TotalPages == 0 {
		t.Errorf("pages are %+v", pages)
	}
}

func TestTopologyThatWasDescribed(t *testing.T) {
	topology, err := NewSyntheticTopology("numa:2 l2:2(size=1048576) core:2 pu:2")
	succeeds(t, err)
	closes(t, topology)
	info, err := topology.Info()
	succeeds(t, err)
	if info.IsThisMachine || info.Nodes != 2 || info.Cores != 8 || info.CPUs != 16 {
		t.Errorf("the machine described is %+v", info)
	}
	cpu, err := topology.CPU(15)
	succeeds(t, err)
	if cpu.CPU != 15 || cpu.Node != 1 {
		t.Errorf("the last CPU is %+v", cpu)
	}
	found := false
	for index := range info.Caches {
		cache, err := topology.Cache(index)
		succeeds(t, err)
		found = found || cache.Level == 2 && cache.SizeBytes == 1<<20 && cache.CPUs == 4
	}
	if !found {
		t.Error("the second-level caches are missing")
	}
}

func TestTopologyRefusesNonsense(t *testing.T) {
	_, err := NewSyntheticTopology("this is no machine")
	failsWith(t, err, ErrInvalidArgument)
	topology, err := NewSyntheticTopology("numa:1 core:1 pu:1")
	succeeds(t, err)
	for _, index := range []int{-1, 1, 1 << 40} {
		_, err = topology.CPU(index)
		failsWith(t, err, ErrInvalidArgument)
		_, err = topology.Node(index)
		failsWith(t, err, ErrInvalidArgument)
	}
	succeeds(t, topology.Close())
	succeeds(t, topology.Close())
	_, err = topology.Info()
	failsWith(t, err, ErrInvalidHandle)
}
