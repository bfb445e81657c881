package ostler

// #include "shim_desk.h"
import "C"

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Desk is one goroutine's way to a set of cells: it acquires, completes and takes with a few instructions of Go, and calls
// the library only when those do not do. It may go from goroutine to goroutine, but serves one at a time. Its cells have no
// channel; any goroutine may complete them.
type Desk[T any] struct {
	deferred *Deferred[T] // not to be forgotten before its desks
	words    *C.ostler_desk
	opened   *C.ostler_desk
	values   []T // what came to a cell of this desk at this desk, by the number of the cell
	cleanup  runtime.Cleanup
}

// DeskCell is one use of one cell that was acquired at a desk. It ends when its desk has taken what came to it, or when it is
// released. The memory of a closed set goes with its last cell.
type DeskCell[T any] struct {
	desk *Desk[T]
	id   uint64
}

// closedDesk takes the place of a desk's words when it is closed: it has another layout, so that a call asks the library,
// which knows what to say.
var closedDesk C.ostler_desk

var errOtherDesk = &Error{Code: ErrInvalidArgument, Message: "cell is of another desk, at which it is to be taken or released"}

// OpenDesk opens a desk.
func (d *Deferred[T]) OpenDesk() (*Desk[T], error) {
	opened := C.ostler_go_desk_open(d.handle)
	if err := failure(opened.failure); err != nil {
		return nil, err
	}
	words := (*C.ostler_desk)(opened.address)
	desk := &Desk[T]{deferred: d, words: words, opened: words, values: make([]T, words.capacity)}
	desk.cleanup = runtime.AddCleanup(desk, forgetDesk, words)
	return desk, nil
}

func forgetDesk(words *C.ostler_desk) { _ = failure(C.ostler_go_desk_close(words)) }

// Close closes the desk. Its cells that are out can still be completed, and are to be released: what comes to them nobody
// can take any more.
func (d *Desk[T]) Close() error {
	d.cleanup.Stop()
	// The library may give the same address to the next desk.
	opened := d.opened
	d.words, d.opened = &closedDesk, nil
	err := gone(failure(C.ostler_go_desk_close(opened)))
	runtime.KeepAlive(d.deferred)
	return err
}

// The word of a cell, as ostler_inline.h has it; who uses a set when all do; and the value of a cell whose value lies at
// its desk.
const (
	cellPending = 1
	cellFilling = 15
	cellDone    = 16
	cellNextUse = 1 << 32
	cellsOfAll  = 1
	valueAtDesk = ^uintptr(0)
)

// atDesk is a window of a desk; see ostler_desk_enter_ in ostler_inline.h.
type atDesk struct{ words *C.ostler_desk }

// isKnown tells whether the desk is one that this code knows and may use.
func (at atDesk) isKnown() bool {
	return atomic.LoadUint32((*uint32)(&at.words.layout)) == C.OSTLER_DESK_LAYOUT
}

func (at atDesk) enter() {
	// Stored before what follows is loaded by the program's order; the library sees to the processor's.
	order((*uint64)(&at.words.busy), uint64(at.words.deferred))
}

func (at atDesk) leave() { publish((*uint64)(&at.words.busy), 0) }

func (at atDesk) isOpen() bool { return atomic.LoadUint32((*uint32)(at.words.state))&1 != 0 }

func (at atDesk) number(id uint64) uint32 { return uint32(id) ^ uint32(at.words.salt) }

// find is the cell with that name while it stands there and nothing else is to be known of it, or nil.
func (at atDesk) find(id, stage uint64) *C.ostler_cell_state {
	number := at.number(id)
	if number >= uint32(at.words.capacity) {
		return nil
	}
	state := at.state(number)
	if atomic.LoadUint64((*uint64)(&state.word)) != wordOf(id)|stage {
		return nil
	}
	return state
}

func (at atDesk) state(number uint32) *C.ostler_cell_state {
	const size = unsafe.Sizeof(C.ostler_cell_state{})
	return (*C.ostler_cell_state)(unsafe.Add(unsafe.Pointer(at.words.cells), uintptr(number)*size))
}

func wordOf(id uint64) uint64 { return id >> 32 << 32 }

// move changes the word of a cell that stands there, as the only one or as one of all; false when the library is to be
// asked.
func (at atDesk) move(state *C.ostler_cell_state, from, to uint64) bool {
	switch atomic.LoadUint64((*uint64)(at.words.who)) {
	case uint64(uintptr(unsafe.Pointer(at.words))):
		publish((*uint64)(&state.word), to)
		return true
	case cellsOfAll:
		return atomic.CompareAndSwapUint64((*uint64)(&state.word), from, to)
	}
	return false
}

// hasRoom tells whether a cell may be the desk's when it is free: there is room, and it is not used up.
func (at atDesk) hasRoom(id uint64) bool {
	return at.words.count < at.words.room && id+cellNextUse >= cellNextUse
}

func (at atDesk) put(id uint64) {
	count := uint32(at.words.count)
	at.words.free[count%uint32(len(at.words.free))] = C.uint64_t(id + cellNextUse)
	at.words.count = C.uint32_t(count + 1)
}

// take is a free cell of the desk, else 0; see ostler_desk_take_.
func (at atDesk) take() uint64 {
	count := uint32(at.words.count)
	if !at.isOpen() || count <= uint32(at.words.floor) || count > uint32(len(at.words.free)) {
		return 0
	}
	id := uint64(at.words.free[count-1])
	if at.number(id) >= uint32(at.words.capacity) {
		return 0
	}
	publish((*uint64)(&at.state(at.number(id)).word), wordOf(id)|cellPending)
	at.words.count = C.uint32_t(count - 1)
	return id
}

// valueOf is where the value of a cell stands, which is no pointer of Go.
func valueOf(state *C.ostler_cell_state) *uintptr { return (*uintptr)(unsafe.Pointer(&state.value)) }

// Acquire takes a free cell, or fails with ErrExhausted.
func (d *Desk[T]) Acquire() (DeskCell[T], error) {
	if at := (atDesk{d.words}); at.isKnown() {
		at.enter()
		id := at.take()
		at.leave()
		if id != 0 {
			return DeskCell[T]{d, id}, nil
		}
	}
	return d.acquireSlowly()
}

//go:noinline
func (d *Desk[T]) acquireSlowly() (DeskCell[T], error) {
	acquired := C.ostler_go_desk_acquire(d.opened)
	runtime.KeepAlive(d)
	if err := failure(acquired.failure); err != nil {
		return DeskCell[T]{}, err
	}
	return DeskCell[T]{d, uint64(acquired.cell)}, nil
}

// Complete ends a cell of the set with a value, once; later it is ErrAlreadyCompleted, or ErrStaleCell. For whoever is at
// the desk.
func (d *Desk[T]) Complete(cell DeskCell[T], value T) error {
	if at := (atDesk{d.words}); cell.desk == d && at.isKnown() {
		at.enter()
		state := at.find(cell.id, cellPending)
		// Nobody else changes the word of one that is being filled.
		if state != nil && at.move(state, wordOf(cell.id)|cellPending, wordOf(cell.id)|cellFilling) {
			d.values[at.number(cell.id)] = value
			state.end = 0
			*valueOf(state) = valueAtDesk
			publish((*uint64)(&state.word), wordOf(cell.id)|cellDone)
			at.leave()
			return nil
		}
		at.leave()
	}
	return d.end(cell, C.OSTLER_OK, CellResult[T]{Value: value})
}

//go:noinline
func (d *Desk[T]) end(cell DeskCell[T], outcome C.ostler_status, result CellResult[T]) error {
	id := settled.add(result)
	err := failure(C.ostler_go_desk_complete(d.opened, C.uint64_t(cell.id), outcome, C.uintptr_t(id)))
	if err != nil {
		settled.take(id)
	}
	runtime.KeepAlive(d)
	return err
}

// Poll takes what has come to a cell that was acquired at this desk: the value, or what it was ended with. It is ErrNotReady
// as long as nothing has come.
func (d *Desk[T]) Poll(cell DeskCell[T]) (T, error) {
	if at := (atDesk{d.words}); cell.desk == d && at.isKnown() {
		at.enter()
		if at.isOpen() && at.hasRoom(cell.id) {
			state := at.find(cell.id, cellDone)
			if state != nil && state.end == 0 && *valueOf(state) == valueAtDesk &&
				at.move(state, wordOf(cell.id)|cellDone, wordOf(cell.id)+cellNextUse) {
				value := d.takeValue(cell.id)
				at.put(cell.id)
				at.leave()
				return value, nil
			}
		}
		at.leave()
	}
	return d.pollSlowly(cell)
}

// takeValue leaves nothing at the desk that the collector would keep.
func (d *Desk[T]) takeValue(id uint64) T {
	var none T
	number := atDesk{d.words}.number(id)
	value := d.values[number]
	d.values[number] = none
	return value
}

//go:noinline
func (d *Desk[T]) pollSlowly(cell DeskCell[T]) (T, error) {
	var none T
	if err := d.owns(cell); err != nil {
		return none, err
	}
	came := C.ostler_go_desk_poll(d.opened, C.uint64_t(cell.id))
	runtime.KeepAlive(d)
	if err := failure(came.failure); err != nil {
		return none, err
	}
	if uintptr(came.value) == valueAtDesk {
		return d.takeValue(cell.id), nil
	}
	if result, found := settled.take(uintptr(came.value)); found {
		result := result.(CellResult[T])
		return result.Value, result.Err
	}
	// By a cancel or a close.
	return none, endedWith(Status(came.outcome))
}

func (d *Desk[T]) owns(cell DeskCell[T]) error {
	switch cell.desk {
	case d:
		return nil
	case nil:
		return errNoCell
	}
	return errOtherDesk
}

// Release gives up a cell that was acquired at this desk, whether something has come or not; who completes it later gets
// ErrStaleCell.
func (d *Desk[T]) Release(cell DeskCell[T]) error {
	if err := d.owns(cell); err != nil {
		return err
	}
	err := failure(C.ostler_go_desk_release(d.opened, C.uint64_t(cell.id)))
	runtime.KeepAlive(d)
	if err == nil {
		d.takeValue(cell.id)
	}
	return err
}

// Complete ends the cell with a value, as Complete of its desk does, from any goroutine.
func (c DeskCell[T]) Complete(value T) error { return c.end(C.OSTLER_OK, CellResult[T]{Value: value}) }

// Fail ends the cell with an error, which must not be nil, from any goroutine.
func (c DeskCell[T]) Fail(err error) error {
	if err == nil {
		return errNoError
	}
	return c.end(C.OSTLER_E_CALLBACK_FAILED, CellResult[T]{Err: err})
}

func (c DeskCell[T]) end(outcome C.ostler_status, result CellResult[T]) error {
	if c.desk == nil {
		return errNoCell
	}
	return c.desk.deferred.end(C.uint64_t(c.id), outcome, result)
}

// Cancel ends the cell with ErrCancelled, from any goroutine.
func (c DeskCell[T]) Cancel() error {
	if c.desk == nil {
		return errNoCell
	}
	return c.desk.deferred.cancel(C.uint64_t(c.id))
}

// Release gives the cell up, as Release of its desk does, from any goroutine, and also when the desk was closed.
func (c DeskCell[T]) Release() error {
	if c.desk == nil {
		return errNoCell
	}
	return c.desk.deferred.release(C.uint64_t(c.id))
}
