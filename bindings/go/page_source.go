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
	NodeOne        NodePolicy = C.OSTLER_NODE_ONE // the one that PageSource.Node names
	NodeInterleave NodePolicy = C.OSTLER_NODE_INTERLEAVE
)

// PageSource says where memory shall come from. The zero value takes transparent huge pages of any node.
type PageSource struct {
	Pages      PagePolicy
	NodePolicy NodePolicy
	Node       int
	Strict     bool // what cannot be had is an error, and not a step down that the receipt tells of
	Prefault   bool // bring pages in when they are mapped, and not when they are touched
}

func (s PageSource) given(given *arguments) C.ostler_page_source {
	return C.ostler_page_source{
		struct_size: C.sizeof_ostler_page_source,
		page_policy: C.uint32_t(s.Pages),
		node_policy: C.uint32_t(s.NodePolicy),
		node:        given.count("Node", s.Node),
		strict:      flag(s.Strict),
		prefault:    flag(s.Prefault),
	}
}
