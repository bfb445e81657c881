package ostler

// #include "shim_cursor.h"
// #cgo noescape ostler_go_cursor_alloc
// #cgo nocallback ostler_go_cursor_alloc
import "C"

import (
	"errors"
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

// Alignments beyond this Alloc leaves to the library.
const cursorAlignMax = 2 << 20

// Alloc gives out size bytes. The align is a power of two; 0 is 16. What lies in them is not defined.
//
//go:nosplit
func (c *Cursor) Alloc(size, align int) ([]byte, error) {
	// Nothing looks at the stack on the way in: this frame is small, and what it calls looks by itself.
	words := c.words
	if align == 0 {
		align = 16
	}
	// Numbers, because a pointer that is stored would have to be looked at by the garbage collector.
	next := (*uintptr)(unsafe.Pointer(&words.next))
	end := (*uintptr)(unsafe.Pointer(&words.inline_end))
	before := unsafe.Pointer(words.next)
	mask := uintptr(align) - 1
	padding := -uintptr(before) & mask
	start := uintptr(before) + padding
	stop := start + uintptr(size)
	// A size of 0 stops where it starts, and a wrong one before that. In every layout next and inline_end lie here, and any
	// version may allocate up to inline_end; nil, as it is once the arena is closed, sends each allocation into the library.
	// The layout is about marks.
	if uintptr(align)&mask != 0 || uintptr(align) > cursorAlignMax || stop <= start || stop > *end {
		return c.allocSlowly(size, align)
	}
	*next = stop
	runtime.KeepAlive(c)
	return unsafe.Slice((*byte)(unsafe.Add(before, padding)), size), nil
}

// Mark remembers where the cursor is. Marks nest, one inside another.
func (c *Cursor) Mark() (Mark, error) {
	words := c.words
	if atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_CURSOR_LAYOUT && words.depth < words.capacity {
		moment := momentOf(words, words.depth)
		words.count += 1 << C.OSTLER_CURSOR_PLACE_BITS
		moment.serial = words.count | C.uint64_t(words.depth)
		moment.next, moment.end, moment.stage = words.next, words.end, words.stage
		words.depth++
		runtime.KeepAlive(c)
		return Mark{C.ostler_mark{owner: C.uint64_t(uintptr(unsafe.Pointer(words))), serial: moment.serial}}, nil
	}
	marked := C.ostler_go_cursor_mark(c.opened)
	runtime.KeepAlive(c)
	return Mark{marked.mark}, failure(marked.failure)
}

// Rewind takes back everything that the cursor gave out after the mark, which cannot be used again.
func (c *Cursor) Rewind(mark Mark) error {
	words := c.words
	place := C.uint32_t(mark.mark.serial & (1<<C.OSTLER_CURSOR_PLACE_BITS - 1))
	if atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_CURSOR_LAYOUT &&
		mark.mark.owner == C.uint64_t(uintptr(unsafe.Pointer(words))) && place < words.depth {
		moment := momentOf(words, place)
		if moment.serial == mark.mark.serial && moment.stage == words.stage {
			words.next, words.depth = moment.next, place
			runtime.KeepAlive(c)
			return nil
		}
	}
	rewound := C.ostler_go_cursor_rewind(c.opened, mark.mark)
	runtime.KeepAlive(c)
	return failure(rewound)
}

// Scope runs body and then takes back everything that the cursor gave out meanwhile. Scopes nest.
func (c *Cursor) Scope(body func() error) (err error) {
	begin, err := c.Mark()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Rewind(begin)) }()
	return body()
}

func momentOf(words *C.ostler_cursor, place C.uint32_t) *C.ostler_cursor_moment {
	return (*C.ostler_cursor_moment)(unsafe.Add(unsafe.Pointer(words.moments), uintptr(place)*C.sizeof_ostler_cursor_moment))
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
