package ostler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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

// Callbacks that fail, panic and dawdle at random lose no resource, and let nobody wait for ever.
func TestPoolAccountsForEveryResource(t *testing.T) {
	leavesNothing(t)
	for creators := range 2 {
		var count counted
		config := count.config()
		config.MaxSize = 3
		config.CreatorThreads = creators
		config.BreakerFailures = 1000000
		unruly := func() error {
			switch dice := rand.IntN(64); {
			case dice == 0:
				return errors.New("not today")
			case dice == 1:
				panic("as the dice have it")
			case dice > 48:
				runtime.Gosched()
			}
			return nil
		}
		create, destroy := config.Create, config.Destroy
		config.Create = func() (*thing, error) {
			if err := unruly(); err != nil {
				return nil, err
			}
			return create()
		}
		config.Validate = func(*thing) error { return unruly() }
		config.Reset = func(*thing) error { return unruly() }
		config.Destroy = func(thing *thing) {
			if thing.users.Load() != 0 {
				t.Error("destroyed while it is in use")
			}
			destroy(thing)
			_ = unruly()
		}
		pool := newPool(t, config)
		var group sync.WaitGroup
		for range 8 {
			group.Add(1)
			go func() {
				defer group.Done()
				for range 400 {
					lease, err := pool.Acquire(context.Background())
					if errors.Is(err, ErrCreateFailed) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					if lease.Value().users.Add(1) != 1 {
						t.Error("two leases of one resource")
					}
					runtime.Gosched()
					lease.Value().users.Add(-1)
					end := lease.Release
					if rand.IntN(16) == 0 {
						end = lease.Discard
					}
					if err := end(); err != nil {
						t.Error(err)
					}
					if alive := count.created.Load() - count.destroyed.Load(); alive > 3 {
						t.Errorf("%d are alive", alive)
					}
				}
			}()
		}
		group.Wait()
		succeeds(t, pool.Close())
		if count.created.Load() != count.destroyed.Load() {
			t.Errorf("created %d and destroyed %d", count.created.Load(), count.destroyed.Load())
		}
	}
}

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

// failures are the ways in which a callback fails, with the words that must come through.
var failures = map[string]func() error{
	"error":         func() error { return fmt.Errorf("no luck today") },
	"panic":         func() error { panic("no luck today") },
	"panic, error":  func() error { panic(errors.New("no luck today")) },
	"nil map":       func() error { var none map[string]int; none["no luck today"]++; return nil },
	"runtime error": func() error { var none []int; _ = none[len("no luck today")]; return nil },
	"rude error":    func() error { return rude{} },
	"latin-1":       func() error { return errors.New("refus\xe9e") },
}

type rude struct{}

func (rude) Error() string { panic("an error without words") }

var wordsOfFailures = map[string]string{
	"error": "no luck today", "panic": "no luck today", "panic, error": "no luck today",
	"nil map": "nil map", "runtime error": "index out of range [13]", "rude error": "panicked when asked",
	"latin-1": "refus\ufffde",
}

func TestPoolSurvivesItsCallbacks(t *testing.T) {
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			var failing atomic.Value
			failing.Store("create")
			failsNow := func(callback string) error {
				if failing.Load() == callback {
					return fail()
				}
				return nil
			}
			destroyed := 0
			pool := newPool(t, PoolConfig[string]{
				Create:   func() (string, error) { return "made", failsNow("create") },
				Validate: func(string) error { return failsNow("validate") },
				Reset:    func(string) error { return failsNow("reset") },
				Destroy: func(string) {
					destroyed++
					if err := failsNow("destroy"); err != nil {
						panic(err)
					}
				},
			})
			_, err := pool.Acquire(soon(t))
			failsWith(t, err, ErrCreateFailed)
			if !strings.Contains(err.Error(), wordsOfFailures[name]) {
				t.Errorf("%q does not say %q", err, wordsOfFailures[name])
			}
			for _, callback := range []string{"reset", "none", "validate", "destroy"} {
				failing.Store(callback)
				lease, err := pool.Acquire(soon(t))
				succeeds(t, err)
				if lease.Value() != "made" {
					t.Errorf("the resource is %q", lease.Value())
				}
				if callback == "destroy" {
					succeeds(t, lease.Discard())
				} else {
					succeeds(t, lease.Release())
				}
			}
			stats, err := pool.Stats()
			succeeds(t, err)
			if stats.CreateFailures != 1 || stats.DestroyedReset != 1 || stats.DestroyedInvalid != 1 ||
				stats.DestroyedDiscarded != 1 || destroyed != 3 {
				t.Errorf("%d destroyed, stats are %+v", destroyed, stats)
			}
		})
	}
}

func TestPoolCallbackMayUseThePool(t *testing.T) {
	leavesNothing(t)
	var pool *Pool[int]
	var closing error
	var deep func() (int, error)
	deep = func() (int, error) {
		if _, err := pool.Stats(); err != nil {
			return 0, err
		}
		closing = pool.Close()
		return 7, nil
	}
	pool = newPool(t, PoolConfig[int]{Create: func() (int, error) { return deep() }})
	lease := acquire(t, pool)
	failsWith(t, closing, ErrWouldDeadlock)
	if lease.Value() != 7 {
		t.Errorf("the resource is %d", lease.Value())
	}
	succeeds(t, lease.Release())
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
		limited, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		_, err = pool.Acquire(limited)
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

func TestPoolTellsWhoHasWhat(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 2
	pool := newPool(t, config)
	first, second := acquire(t, pool), acquire(t, pool)
	infos, err := pool.Leases()
	succeeds(t, err)
	if len(infos) != 2 || infos[0].Lease.Value() == infos[1].Lease.Value() || infos[0].Thread == 0 {
		t.Errorf("listed: %+v", infos)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = pool.Acquire(ctx)
	failsWith(t, err, ErrTimeout)
	if !strings.Contains(err.Error(), "held by thread") {
		t.Errorf("it does not tell who has them: %v", err)
	}
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = pool.AcquireN(ctx, 2)
	failsWith(t, err, ErrTimeout)
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
