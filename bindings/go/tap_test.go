package ostler

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// rider is told apart without atomic operations, so that the race detector sees what is not ordered.
type rider struct{ isOut bool }

func newRiders(t *testing.T, count int) *Pool[*rider] {
	t.Helper()
	pool, err := NewPool(PoolConfig[*rider]{MaxSize: count, Create: func() (*rider, error) { return new(rider), nil }})
	succeeds(t, err)
	closes(t, pool)
	return pool
}

func warmTap(t *testing.T, tap *Tap[*rider]) {
	t.Helper()
	for range 300 {
		lease, err := tap.Acquire(t.Context())
		succeeds(t, err)
		succeeds(t, tap.Release(lease))
	}
}

func TestTapLeasesWithoutACall(t *testing.T) {
	pool := newRiders(t, 2)
	tap, err := pool.OpenTap()
	succeeds(t, err)
	closes(t, tap)
	warmTap(t, tap)
	if tap.words.count != 1 {
		t.Fatalf("%d resources are at hand", tap.words.count)
	}
	lease, err := tap.Acquire(t.Context())
	succeeds(t, err)
	if tap.words.count != 0 || lease.Value() == nil {
		t.Fatalf("leased %v, and %d are at hand", lease.Value(), tap.words.count)
	}
	succeeds(t, lease.Valid())
	succeeds(t, tap.Release(lease))
	if err := tap.Release(lease); !errors.Is(err, ErrStaleLease) {
		t.Errorf("a second release is %v", err)
	}
	if err := lease.Release(); !errors.Is(err, ErrStaleLease) {
		t.Errorf("a release to the pool is %v", err)
	}
	if allocations := testing.AllocsPerRun(1000, func() {
		lease, _ := tap.Acquire(context.Background())
		_ = tap.Release(lease)
	}); allocations != 0 {
		t.Errorf("a pair allocates %v times", allocations)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := tap.Acquire(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("acquire with a context that has ended is %v", err)
	}
}

func TestTapKeepsNothingFromOthers(t *testing.T) {
	pool := newRiders(t, 1)
	tap, err := pool.OpenTap()
	succeeds(t, err)
	closes(t, tap)
	for range 20 {
		warmTap(t, tap)
		lease, err := pool.TryAcquire()
		succeeds(t, err)
		succeeds(t, tap.Release(lease))
	}
	stats, err := pool.Stats()
	succeeds(t, err)
	if stats.Created != 1 || stats.Acquires != 20*301 {
		t.Errorf("stats are %+v", stats)
	}
}

func TestTapOfAPoolWithBargingKeepsWhatItHasUntilSomebodyInsists(t *testing.T) {
	leavesNothing(t)
	clock := freezeClock(t)
	pool := newPool(t, PoolConfig[*rider]{
		MaxSize: 1, Barging: time.Hour, Create: func() (*rider, error) { return new(rider), nil },
	})
	tap, err := pool.OpenTap()
	succeeds(t, err)
	closes(t, tap)
	warmTap(t, tap)
	if tap.words.count != 1 {
		t.Fatalf("%d resources are at hand", tap.words.count)
	}
	lease, err := tap.Acquire(t.Context())
	succeeds(t, err)
	other, err := pool.OpenTap()
	succeeds(t, err)
	closes(t, other)
	released := make(chan error)
	go func() {
		// Without a deadline, which would pass with the clock.
		lease, err := other.Acquire(context.Background())
		if err == nil {
			err = other.Release(lease)
		}
		released <- err
	}()
	eventually(t, "it waits", func() bool { return numbersOf(t, pool).Waiting == 1 })
	for range 100 {
		succeeds(t, tap.Release(lease))
		if tap.words.count != 1 {
			t.Fatal("what was released is not at hand")
		}
		lease, err = tap.Acquire(t.Context())
		succeeds(t, err)
	}
	if now := numbersOf(t, pool); now.Waiting != 1 || now.Created != 1 {
		t.Errorf("it was not overtaken: %+v", now)
	}
	succeeds(t, clock.Advance(time.Hour))
	succeeds(t, tap.Release(lease))
	succeeds(t, <-released)
	if other.words.count != 1 {
		t.Error("what was leased after a wait does not belong to the tap")
	}
}

func TestTapsOfManyGoroutines(t *testing.T) {
	const goroutines, rounds = 6, 5000
	pool := newRiders(t, 4)
	var all sync.WaitGroup
	for number := range goroutines {
		all.Add(1)
		go func() {
			defer all.Done()
			random := rand.New(rand.NewPCG(1, uint64(number)))
			tap, err := pool.OpenTap()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = tap.Close() }()
			for range rounds {
				lease, err := tap.Acquire(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if lease.Value().isOut {
					t.Error("two have one resource")
				}
				lease.Value().isOut = true
				lease.Value().isOut = false
				if random.IntN(16) == 0 {
					err = lease.Release()
				} else {
					err = tap.Release(lease)
				}
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	stats, err := pool.Stats()
	succeeds(t, err)
	if stats.Acquires != goroutines*rounds || stats.InUse != 0 || stats.Created > 4 {
		t.Errorf("stats are %+v", stats)
	}
}

func TestTapThatIsClosed(t *testing.T) {
	pool := newRiders(t, 2)
	tap, err := pool.OpenTap()
	succeeds(t, err)
	warmTap(t, tap)
	lease, err := tap.Acquire(t.Context())
	succeeds(t, err)
	succeeds(t, tap.Close())
	if _, err := tap.Acquire(t.Context()); !errors.Is(err, ErrInvalidHandle) {
		t.Errorf("acquire is %v", err)
	}
	if err := tap.Release(lease); !errors.Is(err, ErrInvalidHandle) {
		t.Errorf("release is %v", err)
	}
	succeeds(t, lease.Release())
	if err := tap.Close(); err != nil && !errors.Is(err, ErrInvalidHandle) {
		t.Errorf("a second close is %v", err)
	}
}
