package ostler

// #include "shim_deferred.h"
import "C"

import (
	"context"
	"runtime"
)

// Deferred is a set of one-shot cells, made beforehand and used again. Each carries one result from whoever makes it to
// whoever takes it.
type Deferred[T any] struct {
	handle  C.uintptr_t
	cleanup runtime.Cleanup
}

// NewDeferred makes a set of so many cells; 0 is 1024.
func NewDeferred[T any](capacity int) (*Deferred[T], error) {
	var given arguments
	cells := given.count("capacity", capacity)
	if given.err != nil {
		return nil, given.err
	}
	created := C.ostler_go_deferred_create(cells)
	if err := failure(created.failure); err != nil {
		return nil, err
	}
	set := &Deferred[T]{handle: created.handle}
	set.cleanup = runtime.AddCleanup(set, func(handle C.uintptr_t) {
		_ = failure(C.ostler_go_deferred_destroy(handle))
	}, created.handle)
	return set, nil
}

// Close gives no cell out any more, and ends each that is pending with ErrClosed. Cells that are out stay good.
func (d *Deferred[T]) Close() error {
	err := gone(failure(C.ostler_go_deferred_destroy(d.handle)))
	if err == nil {
		d.cleanup.Stop()
	}
	return err
}

// CellResult is what comes to a cell: a value, or an error.
type CellResult[T any] struct {
	Value T
	Err   error
}

// cellResults is what the library tells of a cell, whatever its values are.
type cellResults interface {
	settle(outcome Status, value uintptr)
}

var (
	cells     registry[cellResults]
	settled   registry[any] // what was completed with, until it is taken
	errNoCell = &Error{Code: ErrStaleCell, Message: "the zero Cell is never a cell"}

	errNoError = &Error{Code: ErrInvalidArgument, Message: "err is nil, but must be an error"}
)

// Cell is one use of one cell. Its result comes over C once, for a select; Wait gives the same to one who only waits.
type Cell[T any] struct {
	// C delivers the result, once.
	C <-chan CellResult[T]

	deferred *Deferred[T] // not to be forgotten before its cells
	id       C.uint64_t
	key      uintptr
	results  chan CellResult[T]
}

// Acquire takes a free cell, or fails with ErrExhausted.
func (d *Deferred[T]) Acquire() (*Cell[T], error) {
	taken, err := d.AcquireN(1)
	if err != nil {
		return nil, err
	}
	return taken[0], nil
}

// AcquireN takes so many free cells in one step, or none.
func (d *Deferred[T]) AcquireN(count int) ([]*Cell[T], error) {
	var given arguments
	wanted := given.count("count", count)
	if given.err != nil {
		return nil, given.err
	}
	if count == 0 {
		return nil, nil
	}
	taken := make([]Cell[T], count)
	keys := make([]C.uintptr_t, count)
	ids := make([]C.uint64_t, count)
	for i := range taken {
		results := make(chan CellResult[T], 1)
		taken[i] = Cell[T]{C: results, results: results, deferred: d}
		taken[i].key = cells.add(&taken[i])
		keys[i] = C.uintptr_t(taken[i].key)
	}
	err := failure(C.ostler_go_deferred_acquire_n(d.handle, wanted, &ids[0], &keys[0]))
	runtime.KeepAlive(d)
	if err != nil {
		for i := range taken {
			cells.take(taken[i].key)
		}
		return nil, err
	}
	all := make([]*Cell[T], count)
	for i := range taken {
		taken[i].id = ids[i]
		all[i] = &taken[i]
	}
	return all, nil
}

// Complete ends the cell with a value, once; later it is ErrAlreadyCompleted, or ErrStaleCell.
func (c *Cell[T]) Complete(value T) error { return c.end(C.OSTLER_OK, CellResult[T]{Value: value}) }

// Fail ends the cell with an error, which must not be nil.
func (c *Cell[T]) Fail(err error) error {
	if err == nil {
		return errNoError
	}
	return c.end(C.OSTLER_E_CALLBACK_FAILED, CellResult[T]{Err: err})
}

func (c *Cell[T]) end(outcome C.ostler_status, result CellResult[T]) error {
	if c.deferred == nil {
		return errNoCell
	}
	return c.deferred.end(c.id, outcome, result)
}

func (d *Deferred[T]) end(cell C.uint64_t, outcome C.ostler_status, result CellResult[T]) error {
	id := settled.add(result)
	err := failure(C.ostler_go_deferred_complete(d.handle, cell, outcome, C.uintptr_t(id)))
	if err != nil {
		settled.take(id)
	}
	runtime.KeepAlive(d)
	return err
}

// Cancel ends the cell with ErrCancelled.
func (c *Cell[T]) Cancel() error {
	if c.deferred == nil {
		return errNoCell
	}
	return c.deferred.cancel(c.id)
}

func (d *Deferred[T]) cancel(cell C.uint64_t) error {
	err := failure(C.ostler_go_deferred_cancel(d.handle, cell))
	runtime.KeepAlive(d)
	return err
}

// Release gives the cell up when nothing has come: who completes it later gets ErrStaleCell. A cell to which something has
// come needs no release.
func (c *Cell[T]) Release() error {
	if c.deferred == nil {
		return errNoCell
	}
	err := c.deferred.release(c.id)
	if err == nil {
		cells.take(c.key)
	}
	return err
}

func (d *Deferred[T]) release(cell C.uint64_t) error {
	err := failure(C.ostler_go_deferred_release(d.handle, cell))
	runtime.KeepAlive(d)
	return err
}

// Wait waits for the result and takes it from C, or ends with the context and leaves it there.
func (c *Cell[T]) Wait(ctx context.Context) (T, error) {
	select {
	case result := <-c.results:
		return result.Value, result.Err
	default:
	}
	select {
	case result := <-c.results:
		return result.Value, result.Err
	case <-ctx.Done():
		var none T
		return none, withContext(ctx, &Error{Code: ErrCancelled, Message: "the wait for the cell was cancelled"})
	}
}

func (c *Cell[T]) settle(outcome Status, value uintptr) {
	result, found := settled.take(value)
	if found {
		c.results <- result.(CellResult[T])
		return
	}
	// By a cancel or a close.
	c.results <- CellResult[T]{Err: endedWith(outcome)}
}

func endedWith(outcome Status) error {
	return &Error{Code: outcome, Message: "the cell was ended with " + outcome.Error()}
}

// DeferredStats is what a set of cells holds and did.
type DeferredStats struct {
	Capacity  uint64
	InUse     uint64 // cells that are out
	Pending   uint64 // those of them to which nothing has come
	PeakInUse uint64
	Acquires  uint64
	Completed uint64
	Failed    uint64
	Cancelled uint64 // by Cancel or Close
	Released  uint64 // before anything came
	Refused   uint64 // acquires that found too few cells
}

// Stats is what the set holds, and what it has done up to now.
func (d *Deferred[T]) Stats() (DeferredStats, error) {
	var stats C.ostler_deferred_stats
	if err := failure(C.ostler_go_deferred_get_stats(d.handle, &stats)); err != nil {
		return DeferredStats{}, err
	}
	runtime.KeepAlive(d)
	return DeferredStats{
		Capacity: uint64(stats.capacity), InUse: uint64(stats.in_use), Pending: uint64(stats.pending),
		PeakInUse: uint64(stats.peak_in_use), Acquires: uint64(stats.acquires), Completed: uint64(stats.completed),
		Failed: uint64(stats.failed), Cancelled: uint64(stats.cancelled), Released: uint64(stats.released),
		Refused: uint64(stats.refused),
	}, nil
}
