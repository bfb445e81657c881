package ostler

// #include "shim_heap.h"
import "C"

import (
	"math"
	"unsafe"
)

// AllocN allocates as many blocks of one size as there are places, or none. They stay at their addresses until they are freed, and
// are not those that go by a Block. align is a power of two, 0 is 16.
func (h *Heap) AllocN(places []unsafe.Pointer, bytes, align int) error {
	var given arguments
	size, alignment := given.amount("bytes", bytes), given.amount("align", align)
	if given.err != nil || len(places) == 0 {
		return given.err
	}
	count := C.uint32_t(min(len(places), math.MaxUint32))
	return failure(C.ostler_go_heap_alloc_n(h.handle, size, alignment, count, &places[0]))
}

// FreeN frees many blocks of Alloc or AllocN, those that can be also when another one cannot; it says how many.
func (h *Heap) FreeN(blocks []unsafe.Pointer) (freed int, err error) {
	if len(blocks) == 0 {
		return 0, nil
	}
	done := C.ostler_go_heap_free_n(h.handle, &blocks[0], C.uint32_t(min(len(blocks), math.MaxUint32)))
	return int(done.count), failure(done.failure)
}
