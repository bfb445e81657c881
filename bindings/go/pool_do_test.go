package ostler

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

func TestPoolDoEndsItsLease(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 1
	pool := newPool(t, config)
	succeeds(t, pool.Do(soon(t), func(thing *thing) error {
		if thing.number != 1 || numbersOf(t, pool).InUse != 1 {
			t.Errorf("Do runs with %+v", thing)
		}
		return nil
	}))
	mine := errors.New("no answer")
	if err := pool.Do(soon(t), func(*thing) error { return mine }); err != mine {
		t.Errorf("the error of use became %v", err)
	}
	if now := numbersOf(t, pool); now.InUse != 0 || now.Idle != 1 || now.Destroyed != 0 {
		t.Errorf("afterwards: %+v", now)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	failsWith(t, pool.Do(ended, func(*thing) error { panic("it has no resource") }), context.Canceled)
}

func TestPoolDoDiscardsWhatWasLeftInTheMiddle(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 1
	pool := newPool(t, config)
	func() {
		defer func() {
			if value := recover(); value != "in the middle" {
				t.Errorf("recovered %v", value)
			}
		}()
		_ = pool.Do(soon(t), func(*thing) error { panic("in the middle") })
	}()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = pool.Do(context.Background(), func(*thing) error {
			runtime.Goexit()
			return nil
		})
	}()
	<-gone
	if now := numbersOf(t, pool); now.InUse != 0 || now.DestroyedDiscarded != 2 {
		t.Errorf("afterwards: %+v", now)
	}
}

func TestPoolDoTellsOfALeaseThatWasTakenAway(t *testing.T) {
	leavesNothing(t)
	var count counted
	pool := newPool(t, count.config())
	mine := errors.New("no answer")
	err := pool.Do(soon(t), func(*thing) error {
		held, err := pool.Leases()
		succeeds(t, err)
		succeeds(t, held[0].Lease.Revoke())
		return mine
	})
	failsWith(t, err, mine, ErrStaleLease)
}
