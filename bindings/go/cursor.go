package ostler

// #include "shim.h"
// #cgo noescape ostler_go_cursor_alloc
// #cgo nocallback ostler_go_cursor_alloc
import "C"

import (
	"runtime"
	"unsafe"
)

// Cursor is one goroutine's fast way into an arena: a few instructions of Go for each allocation, and a call of the
// library only when its region is used up. It may go from goroutine to goroutine, but serves one at a time.
type Cursor struct {
	arena   *Arena // not to be forgotten before its cursors
	words   *C.ostler_cursor
	opened  *C.ostler_cursor
	cleanup runtime.Cleanup
}

// closedCursor takes the place of a cursor's words when it is closed: it has no room, so that an allocation asks the
// library, which knows what to say.
var closedCursor C.ostler_cursor

// OpenCursor opens a cursor.
func (a *Arena) OpenCursor() (*Cursor, error) {
	opened := C.ostler_go_cursor_open(a.handle)
	if err := failure(opened.failure); err != nil {
		return nil, err
	}
	words := (*C.ostler_cursor)(opened.address)
	cursor := &Cursor{arena: a, words: words, opened: words}
	cursor.cleanup = runtime.AddCleanup(cursor, forgetCursor, words)
	return cursor, nil
}

func forgetCursor(words *C.ostler_cursor) { _ = failure(C.ostler_go_cursor_close(words)) }

// Close closes the cursor. What it gave out stays until the arena takes it back.
func (c *Cursor) Close() error {
	c.cleanup.Stop()
	c.words = &closedCursor
	return gone(failure(C.ostler_go_cursor_close(c.opened)))
}

// Alloc gives out size bytes. The align is a power of two; 0 is 16. What lies in them is not defined.
func (c *Cursor) Alloc(size, align int) ([]byte, error) {
	words := c.words
	if align == 0 {
		align = 16
	}
	next, end := uintptr(unsafe.Pointer(words.next)), uintptr(unsafe.Pointer(words.end))
	skip := -next & (uintptr(align) - 1)
	if size > 0 && align > 0 && align&(align-1) == 0 && words.layout == C.OSTLER_CURSOR_LAYOUT &&
		skip <= end-next && uintptr(size) <= end-next-skip {
		start := unsafe.Add(unsafe.Pointer(words.next), skip)
		words.next = (*C.uint8_t)(unsafe.Add(start, size))
		return unsafe.Slice((*byte)(start), size), nil
	}
	return c.allocSlowly(size, align)
}

//go:noinline
func (c *Cursor) allocSlowly(size, align int) ([]byte, error) {
	memory := C.ostler_go_cursor_alloc(c.opened, C.uint64_t(size), C.uint64_t(align))
	runtime.KeepAlive(c)
	if memory.failure.status != C.OSTLER_OK {
		return nil, allocationFailure(memory.failure, size, align)
	}
	return unsafe.Slice((*byte)(memory.address), size), nil
}
