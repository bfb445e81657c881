package ostler

import (
	"context"
	"testing"
)

func TestPoolWaitEndsWithItsContext(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 1
	pool := newPool(t, config)
	lease := acquire(t, pool)
	_, err := pool.TryAcquire()
	failsWith(t, err, ErrExhausted)
	waitIsCancelled(t, func(ctx context.Context) error {
		_, err := pool.Acquire(ctx)
		return err
	})
	waitIsCancelled(t, func(ctx context.Context) error {
		leased, err := pool.Drain(ctx)
		if err == nil || ctx.Err() == nil && leased != 1 {
			t.Errorf("%d are still leased: %v", leased, err)
		}
		return err
	})
	_, err = pool.Acquire(soon(t))
	failsWith(t, err, ErrClosed)
	succeeds(t, lease.Release())
	leased, err := pool.Drain(soon(t))
	succeeds(t, err)
	if leased != 0 || count.destroyed.Load() != 1 {
		t.Errorf("after the drain %d are leased and %d destroyed", leased, count.destroyed.Load())
	}
}

func TestPoolThatIsClosedWaitsForItsLeases(t *testing.T) {
	leavesNothing(t)
	var count counted
	pool := newPool(t, count.config())
	lease := acquire(t, pool)
	succeeds(t, pool.Close())
	_, err := pool.TryAcquire()
	failsWith(t, err, ErrClosed)
	if lease.Value().number != 1 || count.destroyed.Load() != 0 {
		t.Error("the resource went before its lease")
	}
	succeeds(t, lease.Valid())
	succeeds(t, lease.Release())
	if count.destroyed.Load() != 1 {
		t.Error("the last release did not end the resource")
	}
	_, err = pool.Stats()
	failsWith(t, err, ErrInvalidHandle)
	succeeds(t, pool.Close())
}
