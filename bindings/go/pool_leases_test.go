package ostler

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPoolTellsWhoHasWhat(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 2
	clock := freezeClock(t)
	pool := newPool(t, config)
	first, second := acquire(t, pool), acquire(t, pool)
	infos, err := pool.Leases()
	succeeds(t, err)
	if len(infos) != 2 || infos[0].Lease.Value() == infos[1].Lease.Value() || infos[0].Thread == 0 {
		t.Errorf("listed: %+v", infos)
	}
	err = waitsInVain(t, pool, func(ctx context.Context) error {
		_, err := pool.Acquire(ctx)
		return err
	})
	failsWith(t, err, ErrTimeout)
	if !strings.Contains(err.Error(), "held by thread") {
		t.Errorf("it does not tell who has them: %v", err)
	}
	succeeds(t, clock.Advance(2*time.Millisecond))
	succeeds(t, first.Release())
	succeeds(t, second.Release())
	now := numbersOf(t, pool)
	if now.Waits.Count != 1 || now.Creates.Count != 2 || now.Uses.Count != 2 || now.Uses.Max < time.Millisecond {
		t.Errorf("times: %+v", now)
	}
}

func TestPoolTakesBackWhatIsHeldTooLong(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize, config.LeaseLimit = 1, 2*time.Millisecond
	told := make(chan LeaseInfo[*thing], 1)
	config.Overdue = func(info LeaseInfo[*thing]) {
		succeeds(t, info.Lease.Discard())
		told <- info
	}
	pool := newPool(t, config)
	lease := acquire(t, pool)
	info := <-told
	if info.Lease.Value() != lease.Value() || info.Held < 2*time.Millisecond {
		t.Errorf("told of %+v", info)
	}
	failsWith(t, lease.Release(), ErrStaleLease)
	if now := numbersOf(t, pool); now.Overdue != 1 || now.DestroyedDiscarded != 1 {
		t.Errorf("afterwards: %+v", now)
	}
}

func TestPoolRevokedLeaseEndsWithItsHolder(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 1
	var heard []PoolEvent
	config.Event = func(event PoolEvent, resource *thing) {
		if (resource != nil) != (event == EventCreated || event == EventDestroyed) {
			t.Errorf("%d about %v", event, resource)
		}
		heard = append(heard, event)
	}
	pool := newPool(t, config)
	lease := acquire(t, pool)
	succeeds(t, lease.Revoke())
	failsWith(t, lease.Valid(), ErrStaleLease)
	next := acquire(t, pool)
	if next.Value() == lease.Value() || count.destroyed.Load() != 0 {
		t.Error("the resource of the revoked lease was shared, or destroyed")
	}
	failsWith(t, lease.Release(), ErrStaleLease)
	if count.destroyed.Load() != 1 {
		t.Error("it was not destroyed with the end of its lease")
	}
	succeeds(t, next.Release())
	trimmed, err := pool.Trim(0)
	succeeds(t, err)
	wanted := []PoolEvent{EventCreated, EventCreated, EventDestroyed, EventDestroyed}
	if trimmed != 1 || !slices.Equal(heard, wanted) {
		t.Errorf("trimmed %d, heard %v", trimmed, heard)
	}
}
