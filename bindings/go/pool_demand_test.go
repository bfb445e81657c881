package ostler

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestPoolLeasesSeveralTogetherOrNone(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 3
	pool := newPool(t, config)
	team, err := pool.AcquireN(soon(t), 3)
	succeeds(t, err)
	if len(team) != 3 || team[0].Value() == team[1].Value() || team[1].Value() == team[2].Value() {
		t.Errorf("leased: %+v", team)
	}
	two := func(ctx context.Context) error {
		_, err := pool.AcquireN(ctx, 2)
		return err
	}
	err = waitsInVain(t, pool, two)
	failsWith(t, err, ErrTimeout, context.DeadlineExceeded)
	if !strings.Contains(err.Error(), "held by thread") {
		t.Errorf("it does not tell who has them: %v", err)
	}
	waitIsCancelled(t, two)
	_, err = pool.AcquireN(soon(t), 4)
	failsWith(t, err, ErrLimit)
	_, err = pool.AcquireN(soon(t), -1)
	failsWith(t, err, ErrInvalidArgument)
	succeeds(t, pool.ReleaseN(team))
	failsWith(t, pool.ReleaseN(team[:1]), ErrStaleLease)
	none, err := pool.AcquireN(soon(t), 0)
	succeeds(t, err)
	succeeds(t, pool.ReleaseN(none))
	if now := numbersOf(t, pool); now.Idle != 3 || now.InUse != 0 {
		t.Errorf("afterwards: %+v", now)
	}
}

func TestPoolPrefersTheTag(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 2
	var retagged [][2]uint64
	config.Retag = func(_ *thing, from, to uint64) error {
		retagged = append(retagged, [2]uint64{from, to})
		if to == 13 {
			return errors.New("unlucky")
		}
		return nil
	}
	pool := newPool(t, config)
	tagged := func(tag uint64) *thing {
		lease, err := pool.AcquireWith(soon(t), Demand{Tag: tag})
		succeeds(t, err)
		defer func() { succeeds(t, lease.Release()) }()
		return lease.Value()
	}
	plain := acquire(t, pool)
	seven := tagged(7)
	succeeds(t, plain.Release())
	if tagged(7) != seven || tagged(0) != plain.Value() || tagged(7) != seven {
		t.Error("another one than that with the tag")
	}
	if len(retagged) != 1 || retagged[0] != [2]uint64{0, 7} {
		t.Errorf("retagged %v", retagged)
	}
	_, err := pool.AcquireWith(soon(t), Demand{Tag: 13})
	failsWith(t, err, ErrCreateFailed)
}

func TestPoolKeepsAShareForHighPriority(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize, config.ReservedHigh = 2, 1
	pool := newPool(t, config)
	lease, err := pool.AcquireWith(soon(t), Demand{Priority: PriorityBatch})
	succeeds(t, err)
	_, err = pool.TryAcquire()
	failsWith(t, err, ErrExhausted)
	high, err := pool.AcquireWith(soon(t), Demand{Priority: PriorityHigh})
	succeeds(t, err)
	succeeds(t, high.Release())
	succeeds(t, lease.Release())
	_, err = pool.AcquireWith(soon(t), Demand{Priority: 9})
	failsWith(t, err, ErrInvalidArgument)
}
