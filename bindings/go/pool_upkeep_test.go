package ostler

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPoolLooksAfterIdleResources(t *testing.T) {
	leavesNothing(t)
	var count counted
	var bad atomic.Bool
	config := count.config()
	config.Validate = func(*thing) error {
		if bad.Load() {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	dirty := map[*thing]bool{}
	config.Reset = func(one *thing) error {
		if dirty[one] {
			return errors.New("it cannot be cleaned")
		}
		return nil
	}
	pool := newPool(t, config)
	first := acquire(t, pool)
	succeeds(t, first.Release())
	bad.Store(true)
	second := acquire(t, pool)
	if second.Value() == first.Value() {
		t.Error("a resource that is no longer valid was leased")
	}
	dirty[second.Value()] = true
	succeeds(t, second.Release())
	stats, err := pool.Stats()
	succeeds(t, err)
	if stats.DestroyedInvalid != 1 || stats.DestroyedReset != 1 || stats.Idle != 0 || count.destroyed.Load() != 2 {
		t.Errorf("stats are %+v", stats)
	}

	quick := count.config()
	quick.IdleTimeout = 20 * time.Millisecond
	short := newPool(t, quick)
	succeeds(t, acquire(t, short).Release())
	eventually(t, "the idle resource is destroyed", func() bool {
		stats, err := short.Stats()
		return err == nil && stats.DestroyedIdle == 1
	})
}

func TestPoolIsWarmWhenItSaysSo(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MinSize, config.MaxSize, config.CreatorThreads = 3, 6, 2
	pool := newPool(t, config)
	ready, wanted, err := pool.WaitWarm(soon(t))
	succeeds(t, err)
	if ready != 3 || wanted != 3 || count.created.Load() != 3 {
		t.Errorf("%d of %d are ready, %d were made", ready, wanted, count.created.Load())
	}
}

func TestPoolTellsWhyItDoesNotGetWarm(t *testing.T) {
	leavesNothing(t)
	pool := newPool(t, PoolConfig[int]{MinSize: 1, Create: func() (int, error) { return 0, errors.New("no hay") }})
	ready, wanted, err := pool.WaitWarm(soon(t))
	failsWith(t, err, ErrCreateFailed)
	if ready != 0 || wanted != 1 || !strings.Contains(err.Error(), "no hay") {
		t.Errorf("%d of %d are ready: %v", ready, wanted, err)
	}
}

func TestPoolGrowsPausesAndRefreshes(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize, config.Capacity = 1, 2
	pool := newPool(t, config)
	first := acquire(t, pool)
	_, err := pool.TryAcquire()
	failsWith(t, err, ErrExhausted)
	succeeds(t, pool.Resize(0, 2))
	second := acquire(t, pool)
	failsWith(t, pool.Resize(0, 3), ErrInvalidArgument)
	failsWith(t, pool.Resize(-1, 2), ErrInvalidArgument)

	succeeds(t, pool.Pause())
	succeeds(t, second.Release())
	_, err = pool.TryAcquire()
	failsWith(t, err, ErrPaused)
	leased := make(chan error)
	go func() {
		lease, err := pool.Acquire(soon(t))
		if err == nil {
			err = lease.Release()
		}
		leased <- err
	}()
	eventually(t, "a waiter", func() bool { return numbersOf(t, pool).Waiting == 1 })
	succeeds(t, pool.Resume())
	succeeds(t, <-leased)

	succeeds(t, pool.Refresh())
	succeeds(t, first.Release())
	succeeds(t, acquire(t, pool).Release())
	if now := numbersOf(t, pool); now.DestroyedRefreshed != 2 || now.Created != 3 || now.MaxSize != 2 {
		t.Errorf("after the refresh: %+v", now)
	}
}

func TestPoolLetsGoWhatHadItsLastUse(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize, config.MaxUses = 1, 2
	pool := newPool(t, config)
	for range 5 {
		succeeds(t, acquire(t, pool).Release())
	}
	if now := numbersOf(t, pool); now.DestroyedUsed != 2 || now.Created != 3 {
		t.Errorf("after five leases: %+v", now)
	}
}

func TestPoolSparesAServerThatIsDown(t *testing.T) {
	leavesNothing(t)
	var calls atomic.Int64
	pool := newPool(t, PoolConfig[int]{BreakerFailures: 2, Create: func() (int, error) {
		calls.Add(1)
		return 0, errors.New("connection refused")
	}})
	for range 30 {
		_, err := pool.Acquire(soon(t))
		failsWith(t, err, ErrCreateFailed)
		if !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("it does not tell why: %v", err)
		}
	}
	if calls.Load() > 10 {
		t.Errorf("the server was asked %d times", calls.Load())
	}
}
