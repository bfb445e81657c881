package ostler

// #include "shim_page_source.h"
import "C"

import (
	"bytes"
	"syscall"
	"unsafe"
)

// Advice is what a page source would get now.
type Advice struct {
	Holds       bool // false: the request would fail
	Pages       PagePolicy
	NodePolicy  NodePolicy
	NodeSet     []int // that NodePolicy stands for
	PlacedBy    PlacedBy
	PageBytes   uint64
	MappedBytes uint64
	Obstacles   []Obstacle
}

// Obstacle is something that stands in the way of what was asked, and what would clear it.
type Obstacle struct {
	Pages                    PagePolicy
	Limit                    Limit
	Errno                    syscall.Errno
	WantedBytes, LeftBytes   uint64
	Setting, Value, PodField string // what to set, to what, and the field of a pod that does the same
}

// Advise tells what a mapping of size bytes would get now. It maps nothing.
func (s PageSource) Advise(size int) (Advice, error) {
	var given arguments
	source, bytes := s.given(&given), given.amount("size", size)
	if given.err != nil {
		return Advice{}, given.err
	}
	var c C.ostler_advice
	if err := failure(C.ostler_go_page_source_advise(&source, bytes, &c)); err != nil {
		return Advice{}, err
	}
	advice := Advice{
		Holds: c.holds != 0, Pages: PagePolicy(c.page_policy), NodePolicy: NodePolicy(c.node_policy),
		PlacedBy: PlacedBy(c.placed_by),
		NodeSet:  members(&c.node_set), PageBytes: uint64(c.page_bytes), MappedBytes: uint64(c.mapped_bytes),
	}
	for _, one := range c.obstacles[:min(int(c.obstacle_count), len(c.obstacles))] {
		advice.Obstacles = append(advice.Obstacles, Obstacle{
			Pages: PagePolicy(one.page_policy), Limit: Limit(one.limit), Errno: syscall.Errno(one.os_errno),
			WantedBytes: uint64(one.wanted_bytes), LeftBytes: uint64(one.left_bytes),
			Setting: text(one.setting[:]), Value: text(one.value[:]), PodField: text(one.pod_field[:]),
		})
	}
	return advice, nil
}

// PrintAdvice gives the same for people.
func (s PageSource) PrintAdvice(size int) (string, error) {
	var given arguments
	source, wanted := s.given(&given), given.amount("size", size)
	if given.err != nil {
		return "", given.err
	}
	// What is free may change between asking how long the text is and printing it.
	for room := 4096; ; {
		buffer := make([]byte, room)
		to := (*C.char)(unsafe.Pointer(&buffer[0]))
		printed := C.ostler_go_page_source_print_advice(&source, wanted, to, C.uint64_t(room))
		if err := failure(printed.failure); err != nil {
			return "", err
		}
		if needed := int(printed.needed_bytes); needed > room {
			room = needed
			continue
		}
		return string(buffer[:bytes.IndexByte(buffer, 0)]), nil
	}
}
