package ostler

// #include <stdlib.h>
// #include "shim_topology.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// Topology is what a machine is made of: this one, or one that was described.
type Topology struct {
	handle  C.uintptr_t
	cleanup runtime.Cleanup
}

// AllNodes asks Topology.Pages for the sum over the nodes.
const AllNodes = C.OSTLER_ALL_NODES

// TopologyInfo says how many there are of everything.
type TopologyInfo struct {
	Nodes, Packages, Cores, CPUs, Caches, PageSizes int
	IsThisMachine                                   bool
}

// NodeInfo is one NUMA node.
type NodeInfo struct {
	Node                   uint32 // the number the kernel gives it
	CPUs                   int
	MemoryBytes, FreeBytes uint64
}

// CPUInfo is one logical processor.
type CPUInfo struct {
	CPU                 uint32 // the number the kernel gives it
	Core, Package, Node uint32
	Allowed             bool // this process may run on it
}

// CacheKind is what a cache holds.
type CacheKind uint32

const (
	CacheUnified     CacheKind = C.OSTLER_CACHE_UNIFIED
	CacheData        CacheKind = C.OSTLER_CACHE_DATA
	CacheInstruction CacheKind = C.OSTLER_CACHE_INSTRUCTION
)

// CacheInfo is one cache.
type CacheInfo struct {
	Level     int
	Kind      CacheKind
	CPUs      int // how many share it
	FirstCPU  uint32
	LineBytes int
	SizeBytes uint64
}

// PageInfo is one page size, and how many pages of it there are.
type PageInfo struct {
	PageBytes, TotalPages, FreePages uint64
}

// NewTopology looks at this machine.
func NewTopology() (*Topology, error) { return newTopology(nil) }

// NewSyntheticTopology plans for another machine, described as hwloc does, for instance "numa:2 core:4 pu:2".
func NewSyntheticTopology(description string) (*Topology, error) {
	text := C.CString(description)
	defer C.free(unsafe.Pointer(text))
	return newTopology(text)
}

func newTopology(synthetic *C.char) (*Topology, error) {
	created := C.ostler_go_topology_create(synthetic)
	if err := failure(created.failure); err != nil {
		return nil, err
	}
	topology := &Topology{handle: created.handle}
	topology.cleanup = runtime.AddCleanup(topology, forgetTopology, created.handle)
	return topology, nil
}

func forgetTopology(handle C.uintptr_t) { _ = failure(C.ostler_go_topology_destroy(handle)) }

// Close lets the topology go.
func (t *Topology) Close() error {
	t.cleanup.Stop()
	return gone(failure(C.ostler_go_topology_destroy(t.handle)))
}

// Info says how many there are of everything.
func (t *Topology) Info() (TopologyInfo, error) {
	var info C.ostler_topology_info
	if err := failure(C.ostler_go_topology_get_info(t.handle, &info)); err != nil {
		return TopologyInfo{}, err
	}
	runtime.KeepAlive(t)
	return TopologyInfo{
		Nodes: int(info.node_count), Packages: int(info.package_count), Cores: int(info.core_count),
		CPUs: int(info.cpu_count), Caches: int(info.cache_count), PageSizes: int(info.page_size_count),
		IsThisMachine: info.is_this_machine != 0,
	}, nil
}

// Node is the node at this index, from 0.
func (t *Topology) Node(index int) (NodeInfo, error) {
	at, err := indexOf(index)
	if err != nil {
		return NodeInfo{}, err
	}
	var info C.ostler_node_info
	if err := failure(C.ostler_go_topology_get_node(t.handle, at, &info)); err != nil {
		return NodeInfo{}, err
	}
	runtime.KeepAlive(t)
	return NodeInfo{
		Node: uint32(info.node), CPUs: int(info.cpu_count),
		MemoryBytes: uint64(info.memory_bytes), FreeBytes: uint64(info.free_bytes),
	}, nil
}

// CPU is the processor at this index, from 0.
func (t *Topology) CPU(index int) (CPUInfo, error) {
	at, err := indexOf(index)
	if err != nil {
		return CPUInfo{}, err
	}
	var info C.ostler_cpu_info
	if err := failure(C.ostler_go_topology_get_cpu(t.handle, at, &info)); err != nil {
		return CPUInfo{}, err
	}
	runtime.KeepAlive(t)
	return CPUInfo{
		CPU: uint32(info.cpu), Core: uint32(info.core), Package: uint32(info._package), Node: uint32(info.node),
		Allowed: info.allowed != 0,
	}, nil
}

// Cache is the cache at this index, from 0.
func (t *Topology) Cache(index int) (CacheInfo, error) {
	at, err := indexOf(index)
	if err != nil {
		return CacheInfo{}, err
	}
	var info C.ostler_cache_info
	if err := failure(C.ostler_go_topology_get_cache(t.handle, at, &info)); err != nil {
		return CacheInfo{}, err
	}
	runtime.KeepAlive(t)
	return CacheInfo{
		Level: int(info.level), Kind: CacheKind(info.kind), CPUs: int(info.cpu_count), FirstCPU: uint32(info.first_cpu),
		LineBytes: int(info.line_bytes), SizeBytes: uint64(info.size_bytes),
	}, nil
}

// Pages is one page size on the node at this index, or on AllNodes, as the kernel tells it now.
func (t *Topology) Pages(node uint32, pageSize int) (PageInfo, error) {
	at, err := indexOf(pageSize)
	if err != nil {
		return PageInfo{}, err
	}
	var info C.ostler_page_info
	if err := failure(C.ostler_go_topology_get_pages(t.handle, C.uint32_t(node), at, &info)); err != nil {
		return PageInfo{}, err
	}
	runtime.KeepAlive(t)
	return PageInfo{
		PageBytes: uint64(info.page_bytes), TotalPages: uint64(info.total_pages), FreePages: uint64(info.free_pages),
	}, nil
}
