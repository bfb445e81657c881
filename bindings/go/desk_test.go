package ostler

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"
)

func newDesk[T any](t *testing.T, set *Deferred[T]) *Desk[T] {
	t.Helper()
	desk, err := set.OpenDesk()
	succeeds(t, err)
	closes(t, desk)
	return desk
}

func newCells[T any](t *testing.T, capacity int) *Deferred[T] {
	t.Helper()
	set, err := NewDeferred[T](capacity)
	succeeds(t, err)
	closes(t, set)
	return set
}

func isAlone[T any](desk *Desk[T]) bool {
	return uint64(*desk.words.who) == uint64(uintptr(unsafe.Pointer(desk.words)))
}

// useDesk completes and takes through it, long enough for it to have free cells at hand.
func useDesk(t *testing.T, desk *Desk[string]) {
	t.Helper()
	for range 200 {
		cell, err := desk.Acquire()
		succeeds(t, err)
		succeeds(t, desk.Complete(cell, "hay"))
		if value, err := desk.Poll(cell); value != "hay" || err != nil {
			t.Fatalf("took %q, %v", value, err)
		}
	}
}

func TestDeskCompletesAndTakesWithoutACall(t *testing.T) {
	leavesNothing(t)
	set := newCells[string](t, 64)
	desk := newDesk(t, set)
	useDesk(t, desk)
	if desk.words.count == 0 || !isAlone(desk) {
		t.Fatalf("%d are at hand, alone: %v", desk.words.count, isAlone(desk))
	}
	cell, err := desk.Acquire()
	succeeds(t, err)
	if _, err := desk.Poll(cell); !errors.Is(err, ErrNotReady) {
		t.Errorf("a poll in vain is %v", err)
	}
	succeeds(t, desk.Complete(cell, "oats"))
	if err := desk.Complete(cell, "straw"); !errors.Is(err, ErrAlreadyCompleted) {
		t.Errorf("a second completion is %v", err)
	}
	if value, err := desk.Poll(cell); value != "oats" || err != nil {
		t.Errorf("took %q, %v", value, err)
	}
	if _, err := desk.Poll(cell); !errors.Is(err, ErrStaleCell) {
		t.Errorf("a second poll is %v", err)
	}
	if err := desk.Release(cell); !errors.Is(err, ErrStaleCell) {
		t.Errorf("a release of what was taken is %v", err)
	}
	if allocations := testing.AllocsPerRun(1000, func() {
		cell, _ := desk.Acquire()
		_ = desk.Complete(cell, "hay")
		_, _ = desk.Poll(cell)
	}); allocations != 0 {
		t.Errorf("a cell allocates %v times", allocations)
	}
	if !isAlone(desk) {
		t.Error("the desk is not alone any more")
	}
	for _, value := range desk.values {
		if value != "" {
			t.Errorf("%q was taken and is still there", value)
		}
	}
	stats, err := set.Stats()
	succeeds(t, err)
	if stats.InUse != 0 || stats.Completed != stats.Acquires {
		t.Errorf("stats are %+v", stats)
	}
}

func TestDeskTakesWhatComesFromElsewhere(t *testing.T) {
	leavesNothing(t)
	set := newCells[string](t, 64)
	desk, other := newDesk(t, set), newDesk(t, set)
	useDesk(t, desk)
	failed := errors.New("lame")
	var done sync.WaitGroup
	var cells [5]DeskCell[string]
	for i := range cells {
		var err error
		cells[i], err = desk.Acquire()
		succeeds(t, err)
	}
	done.Add(1)
	go func() {
		defer done.Done()
		for _, err := range []error{
			cells[0].Complete("from afar"), cells[1].Fail(failed), cells[2].Cancel(), other.Complete(cells[3], "other desk"),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	}()
	done.Wait()
	for i, wanted := range []struct {
		value string
		err   error
	}{{"from afar", nil}, {"", failed}, {"", ErrCancelled}, {"other desk", nil}, {"", ErrNotReady}} {
		if value, err := desk.Poll(cells[i]); value != wanted.value || !errors.Is(err, wanted.err) {
			t.Errorf("cell %d: %q, %v", i, value, err)
		}
	}
	if _, err := other.Poll(cells[4]); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("a poll at another desk is %v", err)
	}
	succeeds(t, cells[4].Complete("for nobody"))
	if err := other.Release(cells[4]); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("a release at another desk is %v", err)
	}
	succeeds(t, desk.Release(cells[4]))
	if err := cells[4].Complete("late"); !errors.Is(err, ErrStaleCell) {
		t.Errorf("a completion of what was released is %v", err)
	}
	// All use the set now, and the desk does the same.
	useDesk(t, desk)
	useDesk(t, other)
	if isAlone(desk) || isAlone(other) {
		t.Error("a desk of two is alone")
	}
	var none DeskCell[string]
	for _, err := range []error{none.Complete(""), none.Fail(failed), none.Cancel(), none.Release(), desk.Release(none)} {
		if !errors.Is(err, ErrStaleCell) {
			t.Errorf("the zero cell is %v", err)
		}
	}
	if err := cells[4].Fail(nil); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("a failure without an error is %v", err)
	}
}

func TestDeskKeepsNothingFromOthers(t *testing.T) {
	set := newCells[string](t, 32)
	desk := newDesk(t, set)
	for range 10 {
		useDesk(t, desk)
		cells, err := set.AcquireN(32)
		succeeds(t, err)
		if _, err := desk.Acquire(); !errors.Is(err, ErrExhausted) {
			t.Fatalf("one more is %v", err)
		}
		for _, cell := range cells {
			succeeds(t, cell.Release())
		}
	}
}

func TestDesksOfManyGoroutines(t *testing.T) {
	const goroutines, rounds = 6, 3000
	leavesNothing(t)
	set := newCells[int](t, 8)
	var all sync.WaitGroup
	for number := range goroutines {
		all.Add(1)
		go func() {
			defer all.Done()
			random := rand.New(rand.NewPCG(1, uint64(number)))
			desk, err := set.OpenDesk()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = desk.Close() }()
			for round := range rounds {
				cell, err := desk.Acquire()
				if err != nil {
					t.Error(err)
					return
				}
				if random.IntN(8) == 0 {
					err = cell.Complete(number*rounds + round)
				} else {
					err = desk.Complete(cell, number*rounds+round)
				}
				if err != nil {
					t.Error(err)
				}
				if random.IntN(16) == 0 {
					err = desk.Release(cell)
				} else if value, failed := desk.Poll(cell); failed != nil || value != number*rounds+round {
					t.Errorf("took %d, %v", value, failed)
				}
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	stats, err := set.Stats()
	succeeds(t, err)
	if stats.Acquires != goroutines*rounds || stats.InUse != 0 || stats.Completed != stats.Acquires {
		t.Errorf("stats are %+v", stats)
	}
}

func TestDeskThatIsClosed(t *testing.T) {
	leavesNothing(t)
	set := newCells[string](t, 64)
	desk, err := set.OpenDesk()
	succeeds(t, err)
	useDesk(t, desk)
	cell, err := desk.Acquire()
	succeeds(t, err)
	succeeds(t, desk.Close())
	if _, err := desk.Acquire(); !errors.Is(err, ErrInvalidHandle) {
		t.Errorf("acquire is %v", err)
	}
	if err := desk.Complete(cell, ""); !errors.Is(err, ErrInvalidHandle) {
		t.Errorf("complete is %v", err)
	}
	if _, err := desk.Poll(cell); !errors.Is(err, ErrInvalidHandle) {
		t.Errorf("poll is %v", err)
	}
	if err := desk.Release(cell); !errors.Is(err, ErrInvalidHandle) {
		t.Errorf("release is %v", err)
	}
	succeeds(t, cell.Complete("for nobody"))
	succeeds(t, cell.Release())
	if err := cell.Release(); !errors.Is(err, ErrStaleCell) {
		t.Errorf("a second release of the cell is %v", err)
	}
	if err := desk.Close(); err != nil && !errors.Is(err, ErrInvalidHandle) {
		t.Errorf("a second close is %v", err)
	}
}

func TestDeskOutlivesItsSet(t *testing.T) {
	set, err := NewDeferred[string](64)
	succeeds(t, err)
	desk := newDesk(t, set)
	useDesk(t, desk)
	pending, err := desk.Acquire()
	succeeds(t, err)
	completed, err := desk.Acquire()
	succeeds(t, err)
	succeeds(t, desk.Complete(completed, "hay"))
	succeeds(t, set.Close())
	if _, err := desk.Acquire(); !errors.Is(err, ErrClosed) {
		t.Errorf("acquire is %v", err)
	}
	if value, err := desk.Poll(completed); value != "hay" || err != nil {
		t.Errorf("took %q, %v", value, err)
	}
	if _, err := desk.Poll(pending); !errors.Is(err, ErrClosed) {
		t.Errorf("what was pending is %v", err)
	}
}
