package ostler

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func newDeferred[T any](t *testing.T, capacity int) *Deferred[T] {
	t.Helper()
	set, err := NewDeferred[T](capacity)
	succeeds(t, err)
	closes(t, set)
	return set
}

func acquireCell[T any](t *testing.T, set *Deferred[T]) *Cell[T] {
	t.Helper()
	cell, err := set.Acquire()
	succeeds(t, err)
	return cell
}

func TestCellCarriesAValue(t *testing.T) {
	leavesNothing(t)
	set := newDeferred[string](t, 2)
	cell, other := acquireCell(t, set), acquireCell(t, set)
	go func() { _ = cell.Complete("hay") }()
	select {
	case result := <-cell.C:
		succeeds(t, result.Err)
		if result.Value != "hay" {
			t.Errorf("got %q", result.Value)
		}
	case result := <-other.C:
		t.Errorf("got %v from the other cell", result)
	}
	failsWith(t, cell.Complete("straw"), ErrStaleCell)
	succeeds(t, other.Release())
	failsWith(t, other.Complete("straw"), ErrStaleCell)
	failsWith(t, other.Release(), ErrStaleCell)
}

func TestCellCarriesAnError(t *testing.T) {
	leavesNothing(t)
	set := newDeferred[int](t, 3)
	cause := errors.New("lame")
	failed, cancelled, done := acquireCell(t, set), acquireCell(t, set), acquireCell(t, set)
	failsWith(t, failed.Fail(nil), ErrInvalidArgument)
	succeeds(t, failed.Fail(cause))
	succeeds(t, cancelled.Cancel())
	failsWith(t, cancelled.Complete(1), ErrStaleCell)
	succeeds(t, done.Complete(1))
	_, err := failed.Wait(soon(t))
	failsWith(t, err, cause)
	_, err = cancelled.Wait(soon(t))
	failsWith(t, err, ErrCancelled)
	value, err := done.Wait(soon(t))
	succeeds(t, err)
	stats, err := set.Stats()
	succeeds(t, err)
	if value != 1 || stats.Completed != 1 || stats.Failed != 1 || stats.Cancelled != 1 || stats.InUse != 0 {
		t.Errorf("got %d and %+v", value, stats)
	}
}

func TestCellWaitEndsWithItsContext(t *testing.T) {
	leavesNothing(t)
	set := newDeferred[int](t, 1)
	cell := acquireCell(t, set)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := cell.Wait(ended)
	failsWith(t, err, ErrCancelled, context.Canceled)
	succeeds(t, cell.Complete(4))
	value, err := cell.Wait(ended)
	succeeds(t, err)
	if value != 4 {
		t.Errorf("got %d", value)
	}
}

func TestCellsAreTakenTogetherOrNotAtAll(t *testing.T) {
	leavesNothing(t)
	set := newDeferred[int](t, 3)
	taken, err := set.AcquireN(2)
	succeeds(t, err)
	_, err = set.AcquireN(2)
	failsWith(t, err, ErrExhausted)
	_, err = set.AcquireN(-1)
	failsWith(t, err, ErrInvalidArgument)
	none, err := set.AcquireN(0)
	succeeds(t, err)
	if len(none) != 0 {
		t.Errorf("got %d cells", len(none))
	}
	for _, cell := range taken {
		succeeds(t, cell.Release())
	}
	_, err = NewDeferred[int](-1)
	failsWith(t, err, ErrInvalidArgument)
	failsWith(t, new(Cell[int]).Complete(1), ErrStaleCell)
}

func TestCloseEndsWhatIsPending(t *testing.T) {
	leavesNothing(t)
	set, err := NewDeferred[int](2)
	succeeds(t, err)
	pending, done := acquireCell(t, set), acquireCell(t, set)
	succeeds(t, done.Complete(6))
	succeeds(t, set.Close())
	succeeds(t, set.Close())
	_, err = pending.Wait(soon(t))
	failsWith(t, err, ErrClosed)
	value, err := done.Wait(soon(t))
	succeeds(t, err)
	if value != 6 {
		t.Errorf("got %d", value)
	}
	_, err = set.Acquire()
	failsWith(t, err, ErrInvalidHandle)
}

func TestCellHasOneResultWhoeverEndsIt(t *testing.T) {
	leavesNothing(t)
	set := newDeferred[int](t, 1)
	for range 200 {
		cell := acquireCell(t, set)
		var ending sync.WaitGroup
		for i, end := range []func() error{
			func() error { return cell.Complete(1) },
			func() error { return cell.Complete(2) },
			cell.Cancel,
		} {
			ending.Add(1)
			go func() {
				defer ending.Done()
				if err := end(); err != nil && !errors.Is(err, ErrStaleCell) && !errors.Is(err, ErrAlreadyCompleted) {
					t.Errorf("%d: %v", i, err)
				}
			}()
		}
		_, _ = cell.Wait(soon(t))
		ending.Wait()
		select {
		case result := <-cell.C:
			t.Fatalf("a second result: %v", result)
		default:
		}
	}
}

func TestForgottenDeferredIsClosed(t *testing.T) {
	leavesNothing(t)
	cell := func() *Cell[int] {
		set, err := NewDeferred[int](1)
		succeeds(t, err)
		return acquireCell(t, set)
	}()
	succeeds(t, cell.Release())
}
