package ostler

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newTapped makes a pool with so many taps of its own, whatever the machine has.
func newTapped(t *testing.T, config PoolConfig[*thing], taps int) *Pool[*thing] {
	t.Helper()
	pool := newPool(t, config)
	pool.keeper.taps.taps = make([]ownTap, taps)
	return pool
}

// onePlace is a pool of one resource that is idle in the pool's own tap.
func onePlace(t *testing.T, count *counted) *Pool[*thing] {
	t.Helper()
	config := count.config()
	config.MaxSize, config.Capacity = 1, 2
	pool := newTapped(t, config, 1)
	warmUp(t, pool)
	return pool
}

// warmUp leases and releases until that takes no call: after each recall so many times more.
func warmUp(t *testing.T, pool *Pool[*thing]) {
	t.Helper()
	for range 1 << 18 {
		lease, err := pool.Acquire(context.Background())
		succeeds(t, err)
		succeeds(t, lease.Release())
		if idleInTaps(pool) == 1 {
			return
		}
	}
	t.Fatal("nothing is at hand")
}

// idleInTaps is how many resources lie in a pool's own taps.
func idleInTaps[T any](pool *Pool[T]) (idle int) {
	for i := range pool.keeper.taps.taps {
		if words := pool.keeper.taps.taps[i].words.Load(); words != nil {
			idle += int(atomic.LoadUint32((*uint32)(&words.count)))
		}
	}
	return idle
}

func TestPoolLeasesWithoutACall(t *testing.T) {
	leavesNothing(t)
	var count counted
	pool := onePlace(t, &count)
	before := numbersOf(t, pool)
	lease := acquire(t, pool)
	if idleInTaps(pool) != 0 || lease.Value().number != 1 || lease.tap == nil {
		t.Fatalf("leased %v, and %d are at hand", lease.Value(), idleInTaps(pool))
	}
	succeeds(t, lease.Valid())
	infos, err := pool.Leases()
	succeeds(t, err)
	if len(infos) != 1 || infos[0].Lease.id != lease.id || infos[0].Thread == 0 {
		t.Errorf("listed: %+v", infos)
	}
	succeeds(t, lease.Release())
	if idleInTaps(pool) != 1 {
		t.Fatal("what was released is not at hand")
	}
	failsWith(t, lease.Release(), ErrStaleLease)
	failsWith(t, lease.Discard(), ErrStaleLease)
	failsWith(t, lease.Valid(), ErrStaleLease)
	tried, err := pool.TryAcquire()
	succeeds(t, err)
	_, err = pool.TryAcquire()
	failsWith(t, err, ErrExhausted)
	failsWith(t, lease.Release(), ErrStaleLease)
	succeeds(t, pool.ReleaseN([]Lease[*thing]{tried}))
	failsWith(t, pool.ReleaseN([]Lease[*thing]{tried}), ErrStaleLease)
	ended, end := context.WithCancel(context.Background())
	end()
	_, err = pool.Acquire(ended)
	failsWith(t, err, context.Canceled)
	if now := numbersOf(t, pool); now.Acquires != before.Acquires+2 || now.Created != 1 || now.InUse != 0 || now.Idle != 1 {
		t.Errorf("stats are %+v", now)
	}
}

func TestPoolThatLeasesWithoutACallAllocatesNothing(t *testing.T) {
	var count counted
	pool := onePlace(t, &count)
	if allocations := testing.AllocsPerRun(1000, func() {
		lease, _ := pool.Acquire(context.Background())
		_ = lease.Release()
	}); allocations != 0 {
		t.Errorf("a pair allocates %v times", allocations)
	}
}

func TestWhatIsAtHandIsThereForWhoeverComes(t *testing.T) {
	leavesNothing(t)
	ways := map[string]func(*Pool[*thing]) (Lease[*thing], error){
		"by priority": func(pool *Pool[*thing]) (Lease[*thing], error) {
			return pool.AcquireWith(soon(t), Demand{Priority: PriorityHigh})
		},
		"several": func(pool *Pool[*thing]) (Lease[*thing], error) {
			leases, err := pool.AcquireN(soon(t), 1)
			if err != nil {
				return Lease[*thing]{}, err
			}
			return leases[0], nil
		},
		"a tap": func(pool *Pool[*thing]) (Lease[*thing], error) {
			tap, err := pool.OpenTap()
			succeeds(t, err)
			closes(t, tap)
			return tap.Acquire(soon(t))
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			var count counted
			pool := onePlace(t, &count)
			lease, err := way(pool)
			succeeds(t, err)
			if lease.Value().number != 1 || idleInTaps(pool) != 0 {
				t.Errorf("it got %v, and %d are at hand", lease.Value(), idleInTaps(pool))
			}
			succeeds(t, lease.Release())
		})
	}
}

// Who finds nothing in the tap of its own processor takes it from the tap of another, and all stay as they are.
func TestProcessorsShareWhatIsAtHand(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize = 4
	pool := newTapped(t, config, 1)
	warmUp(t, pool)
	// The other one has nothing, and opens at once.
	full := &pool.keeper.taps.taps[0]
	taps := newOwnTaps(pool.handle, 4)
	t.Cleanup(taps.close)
	taps.taps = make([]ownTap, 2)
	taps.taps[1].words.Store(full.words.Swap(nil))
	taps.taps[0].calls = ownTapIsWanted - 1
	if taps.open(&taps.taps[0]) == nil {
		t.Fatal("it does not open")
	}
	pool.keeper.taps = taps
	pool.cleanup.Stop()
	tap, lease, id := taps.takeFromNeighbour(0)
	if tap != &taps.taps[1] || lease == 0 {
		t.Fatal("it took nothing")
	}
	succeeds(t, pool.atHand(tap, lease, id).Release())
	if taps.taps[1].words.Load().count != 1 {
		t.Error("what was released does not lie where it was")
	}
}

func TestWhoWaitsIsServedBeforeATap(t *testing.T) {
	leavesNothing(t)
	var count counted
	pool := onePlace(t, &count)
	lease := acquire(t, pool)
	served := make(chan Lease[*thing])
	go func() {
		lease, err := pool.Acquire(soon(t))
		if err != nil {
			t.Error(err)
		}
		served <- lease
	}()
	words := pool.keeper.taps.taps[0].words.Load()
	eventually(t, "it waits", func() bool {
		return numbersOf(t, pool).Waiting == 1 && atomic.LoadUint32((*uint32)(words.state))&3 == 0
	})
	succeeds(t, lease.Release())
	_, err := pool.TryAcquire()
	failsWith(t, err, ErrExhausted)
	succeeds(t, (<-served).Release())
}

func TestPoolWithBargingKeepsAtHandWhatItHasUntilSomebodyInsists(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize, config.Barging = 1, time.Hour
	pool := newTapped(t, config, 1)
	warmUp(t, pool)
	clock := freezeClock(t)
	lease := acquire(t, pool)
	served := make(chan error)
	go func() {
		// Without a deadline, which would pass with the clock.
		lease, err := pool.Acquire(context.Background())
		if err == nil {
			err = lease.Release()
		}
		served <- err
	}()
	eventually(t, "it waits, and is no more at the tap", func() bool {
		return numbersOf(t, pool).Waiting == 1 && atomic.LoadUint64(&pool.keeper.taps.taps[0].lock) == 0
	})
	for range 100 {
		succeeds(t, lease.Release())
		if idleInTaps(pool) != 1 {
			t.Fatal("what was released is not at hand")
		}
		lease = acquire(t, pool)
	}
	if now := numbersOf(t, pool); now.Waiting != 1 || now.Created != 1 {
		t.Errorf("it was not overtaken: %+v", now)
	}
	succeeds(t, clock.Advance(time.Hour))
	succeeds(t, lease.Release())
	succeeds(t, <-served)
}

func TestPoolChangesWhileResourcesAreAtHand(t *testing.T) {
	leavesNothing(t)
	var count counted
	pool := onePlace(t, &count)
	succeeds(t, pool.Pause())
	_, err := pool.TryAcquire()
	failsWith(t, err, ErrPaused)
	succeeds(t, pool.Resume())

	warmUp(t, pool)
	succeeds(t, pool.Refresh())
	if lease := acquire(t, pool); lease.Value().number != 2 || count.destroyed.Load() != 1 {
		t.Errorf("after a refresh %v is leased", lease.Value())
	} else {
		succeeds(t, lease.Release())
	}

	warmUp(t, pool)
	held := acquire(t, pool)
	succeeds(t, pool.Refresh())
	succeeds(t, held.Release())
	if count.destroyed.Load() != 2 {
		t.Error("what was leased before a refresh was kept")
	}

	warmUp(t, pool)
	trimmed, err := pool.Trim(0)
	succeeds(t, err)
	if trimmed != 1 || count.destroyed.Load() != 3 {
		t.Errorf("%d were trimmed", trimmed)
	}

	warmUp(t, pool)
	revoked := acquire(t, pool)
	succeeds(t, revoked.Revoke())
	failsWith(t, revoked.Release(), ErrStaleLease)
	if count.destroyed.Load() != 4 {
		t.Error("what was revoked was kept")
	}

	warmUp(t, pool)
	succeeds(t, pool.Resize(0, 2))
	leases := []Lease[*thing]{acquire(t, pool), acquire(t, pool)}
	_, err = pool.TryAcquire()
	failsWith(t, err, ErrExhausted)
	succeeds(t, pool.Resize(0, 1))
	succeeds(t, pool.ReleaseN(leases))
	if now := numbersOf(t, pool); now.Idle != 1 || now.InUse != 0 {
		t.Errorf("after a resize: %+v", now)
	}

	warmUp(t, pool)
	leased, err := pool.Drain(soon(t))
	succeeds(t, err)
	if leased != 0 || count.destroyed.Load() != count.created.Load() {
		t.Errorf("after the drain %d are leased; %d were made, %d destroyed", leased, count.created.Load(), count.destroyed.Load())
	}
	_, err = pool.TryAcquire()
	failsWith(t, err, ErrClosed)
}

func TestWhatIsAtHandForTooLongGoes(t *testing.T) {
	leavesNothing(t)
	clock := freezeClock(t)
	var count counted
	config := count.config()
	config.MaxSize, config.IdleTimeout = 1, time.Minute
	pool := newTapped(t, config, 1)
	warmUp(t, pool)
	succeeds(t, clock.Advance(time.Hour))
	eventually(t, "the idle resource is destroyed", func() bool { return numbersOf(t, pool).DestroyedIdle == 1 })
	succeeds(t, acquire(t, pool).Release())
}

func TestWhatIsHeldTooLongIsTakenBackFromWhoCalledNothing(t *testing.T) {
	leavesNothing(t)
	clock := freezeClock(t)
	var count counted
	config := count.config()
	config.MaxSize, config.LeaseLimit = 1, time.Minute
	told := make(chan error, 1)
	config.Overdue = func(info LeaseInfo[*thing]) { told <- info.Lease.Discard() }
	pool := newTapped(t, config, 1)
	warmUp(t, pool)
	lease := acquire(t, pool)
	eventually(t, "it is told of", func() bool {
		succeeds(t, clock.Advance(time.Minute))
		return len(told) == 1
	})
	succeeds(t, <-told)
	failsWith(t, lease.Release(), ErrStaleLease)
}

func TestClosedPoolLeavesNoTaps(t *testing.T) {
	leavesNothing(t)
	var count counted
	pool := onePlace(t, &count)
	taps := pool.keeper.taps
	words := taps.taps[0].words.Load()
	lease := acquire(t, pool)
	succeeds(t, pool.Close())
	if !isClosed(taps) {
		t.Error("a tap is open after Close")
	}
	if isInline(words) {
		t.Error("a tap that was closed may be used")
	}
	_, err := pool.Acquire(soon(t))
	failsWith(t, err, ErrClosed)
	succeeds(t, lease.Valid())
	succeeds(t, lease.Release())
	failsWith(t, lease.Release(), ErrInvalidHandle)
	if count.destroyed.Load() != 1 {
		t.Error("the last release did not end the resource")
	}
}

// isClosed tells whether a pool has no tap open any more.
func isClosed(taps *ownTaps) bool {
	openOwnTaps.Lock()
	defer openOwnTaps.Unlock()
	_, isOpen := openOwnTaps.all[taps]
	for i := range taps.taps {
		isOpen = isOpen || taps.taps[i].words.Load() != nil
	}
	return !isOpen
}

func TestForgottenPoolLeavesNoTaps(t *testing.T) {
	leavesNothing(t)
	var count counted
	var taps *ownTaps
	func() {
		config := count.config()
		config.MaxSize = 1
		pool, err := NewPool(config)
		succeeds(t, err)
		warmUp(t, pool)
		taps = pool.keeper.taps
	}()
	collected(t, "the forgotten pool is closed", func() bool { return count.destroyed.Load() == 1 && isClosed(taps) })
}

func TestShutdownClosesThePoolsOwnTaps(t *testing.T) {
	leavesNothing(t)
	var count counted
	pool := onePlace(t, &count)
	out, err := Shutdown(soon(t))
	succeeds(t, err)
	if out != 0 || count.destroyed.Load() != 1 || !isClosed(pool.keeper.taps) {
		t.Errorf("%d objects remain, %d were destroyed", out, count.destroyed.Load())
	}
	_, err = pool.TryAcquire()
	failsWith(t, err, ErrInvalidHandle)
}

func TestPoolThatCannotBeClosedGoesOnWithItsTaps(t *testing.T) {
	leavesNothing(t)
	var count counted
	var pool *Pool[*thing]
	var closing error
	config := count.config()
	config.MaxSize = 1
	config.Event = func(event PoolEvent, _ *thing) {
		if event == EventRefreshed {
			closing = pool.Close()
		}
	}
	pool = newTapped(t, config, 1)
	warmUp(t, pool)
	succeeds(t, pool.Refresh())
	failsWith(t, closing, ErrWouldDeadlock)
	warmUp(t, pool)
}

func TestPoolThatLooksAtItsResourcesHasNothingAtHand(t *testing.T) {
	leavesNothing(t)
	var looks int
	var count counted
	config := count.config()
	config.Validate = func(*thing) error {
		looks++
		return nil
	}
	pool := newTapped(t, config, 1)
	for range 200 {
		succeeds(t, acquire(t, pool).Release())
	}
	if looks != 199 || pool.keeper.taps.taps[0].words.Load() != nil {
		t.Errorf("it was looked at %d times", looks)
	}
}

func TestLeaseTellsFromWhereItWasTakenAlthoughOneIsAtHand(t *testing.T) {
	pool := newPool(t, numbers(PoolConfig[int]{MaxSize: 1}))
	for range 1000 {
		leaseOnce(t, pool)
	}
	traced(t, TracingConfig{SampleBytes: 1})
	lease := acquireInTheBarn(t, pool)
	if len(siteOf(t, pool, lease).Frames()) == 0 {
		t.Error("it does not tell")
	}
	succeeds(t, lease.Release())
}

// notes is what a resource holds in this test: without an edge from release to acquire the race detector finds it.
type notes struct {
	uses  int
	inUse bool
}

// Goroutines lease, go from processor to processor, hand leases on, and end some twice at once.
func TestCrowdKeepsResourcesApart(t *testing.T) {
	leavesNothing(t)
	const goroutines, rounds, resources = 8, 2000, 6
	var created, destroyed, stale atomic.Int64
	pool := newPool(t, PoolConfig[*notes]{
		MaxSize: resources,
		Create: func() (*notes, error) {
			created.Add(1)
			return new(notes), nil
		},
		Destroy: func(*notes) { destroyed.Add(1) },
	})
	pool.keeper.taps.taps = make([]ownTap, 4)
	var group sync.WaitGroup
	end := func(lease Lease[*notes], random int) {
		switch {
		case random == 0:
			if err := lease.Discard(); err != nil {
				t.Error(err)
			}
		case random < 20:
			// One of the two ends it.
			other := make(chan error)
			go func() { other <- lease.Release() }()
			first, second := lease.Release(), <-other
			if (first == nil) == (second == nil) || !errors.Is(errors.Join(first, second), ErrStaleLease) {
				t.Errorf("two releases at once: %v and %v", first, second)
			}
			stale.Add(1)
		case random < 60:
			handed := make(chan error)
			go func() { handed <- lease.Release() }()
			if err := <-handed; err != nil {
				t.Error(err)
			}
		default:
			if err := lease.Release(); err != nil {
				t.Error(err)
			}
		}
	}
	for number := range goroutines {
		group.Add(1)
		go func() {
			defer group.Done()
			random := rand.New(rand.NewPCG(7, uint64(number)))
			for range rounds {
				lease, err := pool.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				its := lease.Value()
				if its.inUse {
					t.Error("two have one resource")
				}
				its.inUse = true
				its.uses++
				if random.IntN(4) == 0 {
					runtime.Gosched()
				}
				its.inUse = false
				end(lease, random.IntN(1000))
			}
		}()
	}
	group.Wait()
	now := numbersOf(t, pool)
	if now.Acquires != goroutines*rounds || now.InUse != 0 || now.Idle > resources || now.PeakInUse > resources {
		t.Errorf("stats are %+v", now)
	}
	succeeds(t, pool.Close())
	if created.Load() != destroyed.Load() || stale.Load() == 0 {
		t.Errorf("created %d and destroyed %d; %d were ended twice", created.Load(), destroyed.Load(), stale.Load())
	}
}

// The race detector sees no order but that of the pool: the goroutines tell each other of nothing else.
func TestReleaseWithoutACallHappensBeforeTheNextLease(t *testing.T) {
	leavesNothing(t)
	ways := map[string]func(*Pool[*notes], *Tap[*notes]) (atHand func() uint32, acquire func() Lease[*notes], release func(Lease[*notes])){
		"the pool's own tap": func(pool *Pool[*notes], _ *Tap[*notes]) (func() uint32, func() Lease[*notes], func(Lease[*notes])) {
			return func() uint32 { return uint32(idleInTaps(pool)) },
				func() Lease[*notes] { return acquire(t, pool) },
				func(lease Lease[*notes]) { succeeds(t, lease.Release()) }
		},
		"a tap": func(_ *Pool[*notes], tap *Tap[*notes]) (func() uint32, func() Lease[*notes], func(Lease[*notes])) {
			return func() uint32 { return atomic.LoadUint32((*uint32)(&tap.words.count)) },
				func() Lease[*notes] {
					lease, err := tap.Acquire(context.Background())
					succeeds(t, err)
					return lease
				},
				func(lease Lease[*notes]) { succeeds(t, tap.Release(lease)) }
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			pool := newPool(t, PoolConfig[*notes]{MaxSize: 1, Create: func() (*notes, error) { return new(notes), nil }})
			tap, err := pool.OpenTap()
			succeeds(t, err)
			closes(t, tap)
			atHand, lease, release := way(pool, tap)
			for range 1 << 18 {
				if release(lease()); atHand() == 1 {
					break
				}
			}
			held := lease()
			saw := make(chan uint32)
			used := make(chan int)
			go func() {
				saw <- atHand()
				for atHand() == 0 {
					runtime.Gosched()
				}
				next, err := pool.AcquireWith(context.Background(), Demand{})
				if err != nil {
					t.Error(err)
				}
				next.Value().uses++
				used <- next.Value().uses
				_ = next.Release()
			}()
			if count := <-saw; count != 0 {
				t.Fatalf("%d are at hand", count)
			}
			held.Value().uses++
			release(held)
			if uses := <-used; uses != 2 {
				t.Errorf("it was used %d times", uses)
			}
		})
	}
}

// A resource that broke is no reason to take from others what they have at hand.
func TestDiscardLeavesAloneWhatIsAtHand(t *testing.T) {
	pool := newPool(t, PoolConfig[int]{MaxSize: 2, Create: func() (int, error) { return 7, nil }})
	pool.keeper.taps.taps = make([]ownTap, 1)
	tap := &pool.keeper.taps.taps[0]
	both := func() (first, second Lease[int]) { return acquire(t, pool), acquire(t, pool) }
	for range 400 {
		first, second := both()
		succeeds(t, first.Release())
		succeeds(t, second.Release())
	}
	first, second := both()
	succeeds(t, first.Release())
	succeeds(t, second.Discard())
	failsWith(t, second.Discard(), ErrStaleLease)
	if words := tap.words.Load(); words == nil || words.count != 1 {
		t.Error("what was at hand is gone")
	}
	if now := numbersOf(t, pool); now.DestroyedDiscarded != 1 || now.Idle != 1 || now.InUse != 0 {
		t.Errorf("after a discard: %+v", now)
	}
}

func TestPoolOfTheUsualSizeHasATapForEachProcessor(t *testing.T) {
	pool := newPool(t, PoolConfig[int]{Create: func() (int, error) { return 7, nil }})
	if taps, wanted := len(pool.keeper.taps.taps), min(runtime.GOMAXPROCS(0), usualMaxSize); taps != wanted {
		t.Errorf("%d taps instead of %d", taps, wanted)
	}
}
