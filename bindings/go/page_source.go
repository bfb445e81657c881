package ostler

// #include "shim.h"
import "C"

// PagePolicy is which pages an arena asks for.
type PagePolicy uint32

const (
	PagesTransparent PagePolicy = C.OSTLER_PAGES_TRANSPARENT // what the kernel makes huge by itself
	PagesBase        PagePolicy = C.OSTLER_PAGES_BASE        // the smallest there are
	Pages2M          PagePolicy = C.OSTLER_PAGES_2M
	Pages1G          PagePolicy = C.OSTLER_PAGES_1G
	PagesBest        PagePolicy = C.OSTLER_PAGES_BEST // the largest to be had
)

// NodePolicy is on which NUMA nodes memory is wanted.
type NodePolicy uint32

const (
	NodeAny        NodePolicy = C.OSTLER_NODE_ANY
	NodeLocal      NodePolicy = C.OSTLER_NODE_LOCAL
	NodeOne        NodePolicy = C.OSTLER_NODE_ONE        // the one that PageSource.Node names
	NodeInterleave NodePolicy = C.OSTLER_NODE_INTERLEAVE // page by page over PageSource.Nodes, or over all
	NodeSet        NodePolicy = C.OSTLER_NODE_SET        // any of PageSource.Nodes
	NodeNearCPUs   NodePolicy = C.OSTLER_NODE_NEAREST_CPUS
	NodeNearDevice NodePolicy = C.OSTLER_NODE_NEAREST_DEVICE
)

// PageSource says where memory shall come from. The zero value takes transparent huge pages of any node.
type PageSource struct {
	Pages      PagePolicy
	NodePolicy NodePolicy
	Node       int
	Nodes      []int  // for NodeSet and NodeInterleave
	CPUs       []int  // for NodeNearCPUs
	Device     string // for NodeNearDevice: "0000:3b:00.0", "net/eth0"

	Strict      bool // what cannot be had is an error, and not a step down that the receipt tells of
	Prefault    bool // bring pages in when they are mapped, and not when they are touched
	Lock        bool // keep pages in memory once they are there
	Guard       bool // a page on either side of each mapping that nobody may touch
	ExcludeFork bool // a forked child does not get the memory
	ExcludeDump bool // core dumps do not have it
}

func (s PageSource) given(given *arguments) C.ostler_page_source {
	source := C.ostler_page_source{
		struct_size:  C.sizeof_ostler_page_source,
		page_policy:  C.uint32_t(s.Pages),
		node_policy:  C.uint32_t(s.NodePolicy),
		node:         given.count("Node", s.Node),
		strict:       flag(s.Strict),
		prefault:     flag(s.Prefault),
		lock:         flag(s.Lock),
		guard:        flag(s.Guard),
		exclude_fork: flag(s.ExcludeFork),
		exclude_dump: flag(s.ExcludeDump),
	}
	given.set("Nodes", s.Nodes, &source.node_set)
	given.set("CPUs", s.CPUs, &source.cpu_set)
	given.fixed("Device", s.Device, source.device[:])
	return source
}

// members reads a set.
func members(set *[C.OSTLER_SET_WORDS]C.uint64_t) []int {
	var found []int
	for i, word := range set {
		for bit := range 64 {
			if word&(1<<bit) != 0 {
				found = append(found, i*64+bit)
			}
		}
	}
	return found
}
