package ostler

// #include "shim_cursor.h"
// #cgo noescape ostler_go_cursor_alloc
// #cgo nocallback ostler_go_cursor_alloc
import "C"

import (
	"runtime"
	"sync/atomic"
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
	// The library may give the same address to the next cursor.
	opened := c.opened
	c.words, c.opened = &closedCursor, nil
	return gone(failure(C.ostler_go_cursor_close(opened)))
}

// What Alloc leaves to the library.
const (
	cursorAlignMax = 2 << 20
	cursorSizeMax  = 1 << 47
)

// Alloc gives out size bytes. The align is a power of two; 0 is 16. What lies in them is not defined.
func (c *Cursor) Alloc(size, align int) ([]byte, error) {
	words := c.words
	if align == 0 {
		align = 16
	}
	if uint(size-1) < cursorSizeMax && uint(align) <= cursorAlignMax && align&(align-1) == 0 &&
		atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_CURSOR_LAYOUT {
		// The end becomes nil when the arena is closed meanwhile, and then the room is negative.
		next := unsafe.Pointer(words.next)
		end := atomic.LoadPointer((*unsafe.Pointer)(unsafe.Pointer(&words.end)))
		padding := -uintptr(next) & uintptr(align-1)
		if room := int(uintptr(end) - uintptr(next) - padding); room >= size {
			start := unsafe.Add(next, padding)
			words.next = (*C.uint8_t)(unsafe.Add(start, size))
			return unsafe.Slice((*byte)(start), size), nil
		}
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
