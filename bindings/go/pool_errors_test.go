package ostler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// refused is an error with something to find in it.
type refused struct{ port int }

func (r refused) Error() string { return fmt.Sprintf("port %d refused the connection", r.port) }

func tellsOfPort(t *testing.T, err error, port int, wanted ...error) {
	t.Helper()
	failsWith(t, err, wanted...)
	var cause refused
	if !errors.As(err, &cause) || cause.port != port {
		t.Errorf("behind %q is %+v, wanted port %d", err, cause, port)
	}
}

func TestPoolErrorLeadsToTheErrorOfCreate(t *testing.T) {
	for _, creators := range []int{0, 2} {
		leavesNothing(t)
		fails := atomic.Bool{}
		pool := newPool(t, PoolConfig[int]{
			MaxSize: 3, CreatorThreads: creators, BreakerFailures: 1,
			Create: func() (int, error) {
				if fails.Load() {
					return 0, fmt.Errorf("dial: %w", refused{5432})
				}
				return 1, nil
			},
		})
		held := acquire(t, pool)
		fails.Store(true)
		_, err := pool.Acquire(soon(t))
		tellsOfPort(t, err, 5432, ErrCreateFailed)

		// From here on the words may be those of another's attempt.
		succeeds(t, pool.Pause())
		err = waitsInVain(t, pool, func(ctx context.Context) error {
			_, err := pool.Acquire(ctx)
			return err
		})
		tellsOfPort(t, err, 5432, ErrTimeout, context.DeadlineExceeded)
		succeeds(t, pool.Resume())
		succeeds(t, held.Discard())
		if creators == 0 {
			_, err = pool.TryAcquire()
			tellsOfPort(t, err, 5432, ErrCreateFailed)
		}
		_, err = pool.AcquireN(soon(t), 2)
		tellsOfPort(t, err, 5432, ErrCreateFailed)
		succeeds(t, pool.Resize(1, 3))
		_, _, err = pool.WaitWarm(soon(t))
		tellsOfPort(t, err, 5432, ErrCreateFailed)
	}
}

func TestPoolErrorLeadsToTheErrorThatItTellsOf(t *testing.T) {
	leavesNothing(t)
	var port atomic.Int64
	pool := newPool(t, PoolConfig[int]{
		MaxSize: 8, BreakerFailures: 1_000_000,
		Create: func() (int, error) { return 0, refused{int(port.Add(1))} },
	})
	for range 50 {
		var group sync.WaitGroup
		for range 8 {
			group.Add(1)
			go func() {
				defer group.Done()
				_, err := pool.Acquire(soon(t))
				var cause refused
				if !errors.As(err, &cause) || !strings.HasSuffix(err.Error(), ": "+cause.Error()) {
					t.Errorf("behind %q is %+v", err, cause)
				}
			}()
		}
		group.Wait()
	}
}

func TestPoolFindsAnErrorWhateverItsWords(t *testing.T) {
	leavesNothing(t)
	long := strings.Repeat("é", 200)
	for _, words := range []string{"", "\xe9\xe8 refus\xe9", "cut\x00here", long, "x" + long} {
		cause := errors.New(words)
		pool := newPool(t, PoolConfig[int]{Create: func() (int, error) { return 0, cause }})
		_, err := pool.TryAcquire()
		failsWith(t, err, ErrCreateFailed, cause)
	}
	// What Create got from another pool is no answer of this one.
	pool := newPool(t, PoolConfig[int]{Create: func() (int, error) { return 0, ErrExhausted }})
	_, err := pool.Acquire(soon(t))
	failsWith(t, err, ErrCreateFailed, ErrExhausted)
}
