package ostler

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// counted makes resources that know who they are, and counts them.
type counted struct{ created, destroyed atomic.Int64 }

type thing struct {
	number int64
	users  atomic.Int32
}

func (c *counted) config() PoolConfig[*thing] {
	return PoolConfig[*thing]{
		Create:  func() (*thing, error) { return &thing{number: c.created.Add(1)}, nil },
		Destroy: func(*thing) { c.destroyed.Add(1) },
	}
}

func newPool[T any](t *testing.T, config PoolConfig[T]) *Pool[T] {
	t.Helper()
	pool, err := NewPool(config)
	succeeds(t, err)
	closes(t, pool)
	return pool
}

func acquire[T any](t *testing.T, pool *Pool[T]) Lease[T] {
	t.Helper()
	lease, err := pool.Acquire(soon(t))
	succeeds(t, err)
	return lease
}

func TestPoolLeasesAgainWhatWasReleased(t *testing.T) {
	leavesNothing(t)
	var count counted
	pool := newPool(t, count.config())
	first := acquire(t, pool)
	thing := first.Value()
	succeeds(t, first.Valid())
	succeeds(t, first.Release())
	failsWith(t, first.Valid(), ErrStaleLease)
	failsWith(t, first.Release(), ErrStaleLease)

	second := acquire(t, pool)
	if second.Value() != thing {
		t.Error("another resource was made although one was idle")
	}
	failsWith(t, first.Discard(), ErrStaleLease)
	succeeds(t, second.Discard())
	if count.destroyed.Load() != 1 {
		t.Error("the discarded resource lives")
	}
	failsWith(t, Lease[int]{}.Release(), ErrStaleLease)

	stats, err := pool.Stats()
	succeeds(t, err)
	if stats.Acquires != 2 || stats.Reuses != 1 || stats.Created != 1 || stats.DestroyedDiscarded != 1 {
		t.Errorf("stats are %+v", stats)
	}
}

func TestPoolResourceHasOneUserAtATime(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 3
	pool := newPool(t, config)
	var group sync.WaitGroup
	for range 12 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 300 {
				lease, err := pool.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if lease.Value().users.Add(1) != 1 {
					t.Error("two leases of one resource")
				}
				runtime.Gosched()
				lease.Value().users.Add(-1)
				if err := lease.Release(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
	succeeds(t, pool.Close())
	if count.created.Load() > 3 || count.created.Load() != count.destroyed.Load() {
		t.Errorf("created %d and destroyed %d", count.created.Load(), count.destroyed.Load())
	}
}

func TestPoolOfInterfaces(t *testing.T) {
	leavesNothing(t)
	pool := newPool(t, PoolConfig[error]{Create: func() (error, error) { return nil, nil }})
	lease := acquire(t, pool)
	if lease.Value() != nil {
		t.Errorf("nil became %v", lease.Value())
	}
	succeeds(t, lease.Release())
}

func TestForgottenPoolIsClosed(t *testing.T) {
	leavesNothing(t)
	var count counted
	func() {
		pool, err := NewPool(count.config())
		succeeds(t, err)
		succeeds(t, acquire(t, pool).Release())
	}()
	collected(t, "the forgotten pool is closed", func() bool { return count.destroyed.Load() == 1 })
}

func BenchmarkPool(b *testing.B) {
	pool, err := NewPool(PoolConfig[int]{Create: func() (int, error) { return 1, nil }})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		lease, err := pool.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		_ = lease.Release()
	}
}

func numbersOf[T any](t *testing.T, pool *Pool[T]) PoolStats {
	t.Helper()
	stats, err := pool.Stats()
	succeeds(t, err)
	return stats
}
