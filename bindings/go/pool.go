package ostler

// #include "shim_pool.h"
// #cgo nocallback ostler_go_pool_get_resource
import "C"

// Acquire and release may call Create, Validate, Reset and Destroy on this goroutine, so they are not marked
// nocallback; they take and give numbers by value, so that nothing escapes all the same.

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// PoolConfig says how a pool makes its resources and how many it keeps. Its functions are called by many goroutines and
// threads at once.
type PoolConfig[T any] struct {
	Name          string
	MinSize       int           // kept even when idle; made in the background
	MaxSize       int           // 0 is 16
	IdleTimeout   time.Duration // how long one above MinSize may lie idle; 0 is for ever
	ValidateAfter time.Duration // how long one may lie idle and need no Validate; 0 validates each time

	Capacity        int           // the most that Resize may ask for; 0 is MaxSize
	MinIdle         int           // made in the background so that as many are idle
	SoftMaxSize     int           // beyond it one that is released and that nobody waits for is not kept; 0 keeps all
	CreatorThreads  int           // threads on which Create runs; 0 is the thread of the caller that needs one
	BreakerFailures int           // failures of Create in a row after which it is called only now and then; 0 is 5
	IdleOrder       IdleOrder     // which idle one is leased next
	Affinity        Affinity      // for whom it is kept
	MaxUses         int           // leases after which one is destroyed; 0 is any number
	KeepAlive       time.Duration // how often an idle one is validated in the background; 0 is never
	MaxLifetime     time.Duration // how old one may be; 0 is any age
	LifetimeJitter  time.Duration // a lifetime is shorter by up to this, by chance; 0 is a tenth

	Create   func() (T, error)
	Validate func(T) error // optional: whether an idle one is still good, before it is leased again
	Reset    func(T) error // optional: makes one as new when it is released
	Destroy  func(T)       // optional

	ReservedHigh   int           // kept for callers of PriorityHigh and PriorityCritical
	RefuseHopeless bool          // ErrOverloaded at once for who would wait in vain at the present rate
	TargetWait     time.Duration // when all have waited longer for a WaitInterval, ErrOverloaded for who has; 0 is never
	WaitInterval   time.Duration // 0 is 100 ms
	ResourceBytes  int           // what each holds outside of Go, charged to the pool's account while it lives
	Barging        time.Duration // how long who waits may be overtaken, for the speed of who leases and releases in turn; 0 is never

	// Retag is optional: it gives one the settings of another tag, before it is leased to who wants those.
	Retag func(resource T, fromTag, toTag uint64) error

	// Event is optional: it hears what happens to the pool, and of the resource where the event is about one.
	Event func(event PoolEvent, resource T)

	LeaseLimit time.Duration      // how long a lease may last before it is told of; 0 is for ever
	Overdue    func(LeaseInfo[T]) // optional: hears, once, of a lease that lasts longer; it may Discard it
}

// LeaseInfo is a lease that is out.
type LeaseInfo[T any] struct {
	Lease    Lease[T]
	Held     time.Duration // 0 when nobody has looked at the clock
	Thread   int           // of the operating system, where its goroutine acquired; without a call of C, where another of its processor did
	CallSite CallSite      // from where it was acquired, while tracing was on
}

// Times is how long things took, exact to a hundredth.
type Times struct {
	Count                               uint64 // how many were measured
	Min, Mean, P50, P90, P99, P999, Max time.Duration
}

// IdleOrder is the order in which idle resources are leased.
type IdleOrder uint32

// The orders.
const (
	LastUsedFirst IdleOrder = C.OSTLER_IDLE_LAST_USED_FIRST // the warmest, so that what is not needed can go
	LongestFirst  IdleOrder = C.OSTLER_IDLE_LONGEST_FIRST   // each in its turn
)

// Affinity is for whom an idle resource is kept by preference.
type Affinity uint32

// The affinities.
const (
	AffinityThread Affinity = C.OSTLER_AFFINITY_THREAD // the thread that used it last
	AffinityNode   Affinity = C.OSTLER_AFFINITY_NODE   // any on the NUMA node where it was used last
)

// PoolStats is what a pool holds, and what it has done up to now.
type PoolStats struct {
	InUse, Idle, Creating, Waiting                                     uint64
	Created, CreateFailures                                            uint64
	Destroyed, DestroyedIdle, DestroyedInvalid, DestroyedDiscarded     uint64
	DestroyedReset, Acquires, Reuses, Timeouts, PeakInUse, PeakWaiting uint64
	DestroyedOld, DestroyedUsed, DestroyedRefreshed, DestroyedSurplus  uint64
	MinSize, MaxSize                                                   uint64
	FailuresInARow, Overdue, Retags, Refused, Revoked                  uint64
	NodeHits, NodeMisses                                               uint64 // with AffinityNode: leased where it was used last, or elsewhere

	Waits   Times // of those who had to wait, also in vain
	Creates Times
	Uses    Times // of each resource the first and every 256th
}

// Pool leases out things that are made once. Goroutines that find all of them leased wait in the order of their coming.
type Pool[T any] struct {
	handle  C.uintptr_t
	keeper  *poolKeeper[T]
	cleanup runtime.Cleanup
}

// NewPool makes a pool.
func NewPool[T any](config PoolConfig[T]) (*Pool[T], error) {
	var given arguments
	var c C.ostler_pool_config
	if err := failure(C.ostler_go_pool_config_init(&c)); err != nil {
		return nil, err
	}
	if config.Create == nil {
		given.refuse("Create is nil, but a pool cannot do without it")
	}
	c.min_size = given.count("MinSize", config.MinSize)
	c.max_size = given.count("MaxSize", config.MaxSize)
	c.idle_timeout_ns = given.span("IdleTimeout", config.IdleTimeout)
	c.validate_after_ns = given.span("ValidateAfter", config.ValidateAfter)
	c.capacity = given.count("Capacity", config.Capacity)
	c.min_idle = given.count("MinIdle", config.MinIdle)
	c.soft_max_size = given.count("SoftMaxSize", config.SoftMaxSize)
	c.creator_threads = given.count("CreatorThreads", config.CreatorThreads)
	c.breaker_failures = given.count("BreakerFailures", config.BreakerFailures)
	c.idle_order = C.uint32_t(config.IdleOrder)
	c.affinity = C.uint32_t(config.Affinity)
	c.max_uses = given.amount("MaxUses", config.MaxUses)
	c.keepalive_ns = given.span("KeepAlive", config.KeepAlive)
	c.max_lifetime_ns = given.span("MaxLifetime", config.MaxLifetime)
	c.lease_limit_ns = given.span("LeaseLimit", config.LeaseLimit)
	c.lifetime_jitter_ns = given.span("LifetimeJitter", config.LifetimeJitter)
	c.reserved_high = given.count("ReservedHigh", config.ReservedHigh)
	c.refuse_hopeless = C.uint32_t(flag(config.RefuseHopeless))
	c.target_wait_ns = given.span("TargetWait", config.TargetWait)
	c.wait_interval_ns = given.span("WaitInterval", config.WaitInterval)
	c.resource_bytes = given.amount("ResourceBytes", config.ResourceBytes)
	c.barging_ns = given.span("Barging", config.Barging)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	keeper := &poolKeeper[T]{config: config}
	id := pools.add(keeper)
	keeper.tenancy.end = func() { pools.take(id) }
	validates, resets, retags := flag(config.Validate != nil), flag(config.Reset != nil), flag(config.Retag != nil)
	created := C.ostler_go_pool_create(&c, C.int(validates), C.int(resets), C.int(retags),
		C.int(flag(config.Event != nil)), C.uintptr_t(id))
	if err := failure(created.failure); err != nil {
		keeper.tenancy.close()
		return nil, err
	}
	keeper.handle.Store(uintptr(created.handle))
	keeper.taps = newOwnTaps(created.handle, max(int(c.max_size), int(c.capacity)))
	pool := &Pool[T]{handle: created.handle, keeper: keeper}
	pool.cleanup = runtime.AddCleanup(pool, forgetPool, pool.parts())
	return pool, nil
}

// forgotten is what is left of an object that nobody closed.
type forgotten struct {
	handle  C.uintptr_t
	tenancy *tenancy
}

// forgottenPool is what is left of a pool that nobody closed.
type forgottenPool struct {
	forgotten
	taps *ownTaps
}

func forgetPool(pool forgottenPool) {
	// On a goroutine of its own, because callbacks that are slow must not hold up the other cleanups of the program.
	go func() { _ = pool.close() }()
}

func (p forgottenPool) close() error {
	// Before the pool, which would wait for them with its end.
	p.taps.close()
	err := gone(failure(C.ostler_go_pool_destroy(p.handle)))
	if err != nil {
		p.taps.reopen()
		return err
	}
	p.tenancy.close()
	return nil
}

func (p *Pool[T]) parts() forgottenPool {
	return forgottenPool{forgotten{p.handle, &p.keeper.tenancy}, p.keeper.taps}
}

// Close destroys the resources that are idle and refuses new work. While some are leased the pool waits for them, not
// the caller: the last release ends it.
func (p *Pool[T]) Close() error {
	err := p.parts().close()
	if err == nil {
		p.cleanup.Stop()
	}
	return err
}

// Drain refuses new work and waits until everything is released and destroyed; it says how many are still leased, which
// may be none when the wait ends during a callback. A context that has ended waits for nothing, but new work is refused
// all the same. Each Drain that waits holds a thread, other than an Acquire: a program has one of them, at its end.
func (p *Pool[T]) Drain(ctx context.Context) (stillLeased uint64, err error) {
	err = drain(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		waited := C.ostler_go_pool_close(p.handle, timeout, cancel)
		stillLeased = uint64(waited.still_out)
		return failure(waited.failure)
	})
	runtime.KeepAlive(p)
	return stillLeased, err
}

// WaitWarm waits until the resources are there that MinSize and MinIdle ask for, or until one of them cannot be made;
// what failed before the call does not end it, so that a loop around it waits each time. It says how many are, and how
// many there shall be, also with an error, so that a program can show how far it is. Each that waits holds a thread, other
// than an Acquire: a program has one of them, at its begin.
func (p *Pool[T]) WaitWarm(ctx context.Context) (ready, wanted int, err error) {
	err = await(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		warmed := C.ostler_go_pool_wait_warm(p.handle, timeout, cancel)
		ready, wanted = int(warmed.ready), int(warmed.wanted)
		return p.keeper.refusals.explain(failure(warmed.failure))
	})
	runtime.KeepAlive(p)
	return ready, wanted, err
}

// Resize changes the bounds, up to Capacity. What is too much goes as it comes free.
func (p *Pool[T]) Resize(minSize, maxSize int) error {
	var given arguments
	least, most := given.count("minSize", minSize), given.count("maxSize", maxSize)
	if given.err != nil {
		return given.err
	}
	err := failure(C.ostler_go_pool_resize(p.handle, least, most))
	runtime.KeepAlive(p)
	return err
}

// Pause leases nothing until Resume: Acquire waits, and TryAcquire fails with ErrPaused.
func (p *Pool[T]) Pause() error {
	err := failure(C.ostler_go_pool_pause(p.handle))
	runtime.KeepAlive(p)
	return err
}

// Resume leases again, to those who wait first.
func (p *Pool[T]) Resume() error {
	err := failure(C.ostler_go_pool_resume(p.handle))
	runtime.KeepAlive(p)
	return err
}

// Refresh replaces all resources: none that was made before is leased any more. Where Create has failed too often, it
// is tried at once.
func (p *Pool[T]) Refresh() error {
	err := failure(C.ostler_go_pool_refresh(p.handle))
	runtime.KeepAlive(p)
	return err
}

// Acquire leases a resource, and waits for one when all are leased. For what was released before on the same processor it calls
// no C, in a pool without Validate, Reset and Retag that keeps none for others and lets none wear. Behind an error that tells
// how Create failed is the error of Create, whichever goroutine or thread it was on; the same holds for the other ways to
// acquire and to wait.
func (p *Pool[T]) Acquire(ctx context.Context) (Lease[T], error) {
	if ctx.Err() != nil {
		return p.acquireInTurn(ctx, Demand{})
	}
	tap, lease, resource := p.keeper.taps.take()
	switch {
	case lease != 0:
		return p.atHand(tap, lease, resource), nil
	case p.keeper.config.Barging != 0:
		// Who may be overtaken leaves others what they have at hand, unlike who takes what is to be had now.
		return p.acquireInTurnFor(ctx, tap)
	}
	if leased, isLeased, err := p.leaseNow(tap); isLeased || err != nil {
		return leased, err
	}
	return p.acquireInTurn(ctx, Demand{})
}

// Do leases a resource for as long as use runs, and releases it whatever error use returns, which is then Do's. When use
// panics, or ends its goroutine, the resource is discarded: nobody knows how it was left.
func (p *Pool[T]) Do(ctx context.Context, use func(resource T) error) (err error) {
	lease, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	end := lease.Discard
	defer func() {
		if ended := end(); ended != nil {
			err = errors.Join(err, ended)
		}
	}()
	err = use(lease.Value())
	end = lease.Release
	return err
}

// PoolEvent is what happens to a pool.
type PoolEvent uint32

// The events.
const (
	EventCreated       PoolEvent = C.OSTLER_POOL_EVENT_CREATED
	EventDestroyed     PoolEvent = C.OSTLER_POOL_EVENT_DESTROYED // it is about to be
	EventBreakerOpened PoolEvent = C.OSTLER_POOL_EVENT_BREAKER_OPENED
	EventBreakerClosed PoolEvent = C.OSTLER_POOL_EVENT_BREAKER_CLOSED
	EventPaused        PoolEvent = C.OSTLER_POOL_EVENT_PAUSED
	EventResumed       PoolEvent = C.OSTLER_POOL_EVENT_RESUMED
	EventResized       PoolEvent = C.OSTLER_POOL_EVENT_RESIZED
	EventRefreshed     PoolEvent = C.OSTLER_POOL_EVENT_REFRESHED
	EventClosed        PoolEvent = C.OSTLER_POOL_EVENT_CLOSED
)

func (e PoolEvent) String() string {
	switch e {
	case EventCreated:
		return "created"
	case EventDestroyed:
		return "destroyed"
	case EventBreakerOpened:
		return "breaker opened"
	case EventBreakerClosed:
		return "breaker closed"
	case EventPaused:
		return "paused"
	case EventResumed:
		return "resumed"
	case EventResized:
		return "resized"
	case EventRefreshed:
		return "refreshed"
	case EventClosed:
		return "closed"
	}
	return "unknown"
}

// Trim destroys idle resources until so many are idle, as far as MinSize allows; it says how many went.
func (p *Pool[T]) Trim(keepIdle int) (trimmed int, err error) {
	var given arguments
	keep := given.count("keepIdle", keepIdle)
	if given.err != nil {
		return 0, given.err
	}
	waited := C.ostler_go_pool_trim(p.handle, keep)
	runtime.KeepAlive(p)
	return int(waited.still_out), failure(waited.failure)
}

// Demand is how a resource is acquired.
type Demand struct {
	Priority Priority // whose turn it is among those who wait
	Tag      uint64   // the settings that it shall have; 0 is as Create makes it
}

// AcquireWith leases a resource as Acquire does: by priority, and one with these settings first.
func (p *Pool[T]) AcquireWith(ctx context.Context, demand Demand) (Lease[T], error) {
	return p.acquireInTurn(ctx, demand)
}

// AcquireN leases so many resources together, or none. Goroutines that want several cannot hold up one another, and hold no
// thread while they wait.
func (p *Pool[T]) AcquireN(ctx context.Context, count int) ([]Lease[T], error) {
	var given arguments
	given.count("count", count)
	if given.err != nil {
		return nil, given.err
	}
	ids := make([]C.uint64_t, count)
	resources := make([]C.uintptr_t, count)
	if err := p.acquireManyInTurn(ctx, ids, resources); err != nil {
		return nil, err
	}
	leases := make([]Lease[T], count)
	for i := range leases {
		resource := p.keeper.resource(uintptr(resources[i]))
		leases[i] = Lease[T]{pool: p, id: ids[i], resource: resource}
		p.keeper.sites.note(uint64(ids[i]))
	}
	runtime.KeepAlive(p)
	return leases, nil
}

// ReleaseN gives the resources of these leases back, also when one of them is stale, which is ErrStaleLease.
func (p *Pool[T]) ReleaseN(leases []Lease[T]) error {
	ids := make([]C.uint64_t, 0, len(leases))
	var failed error
	for _, lease := range leases {
		p.keeper.sites.forget(uint64(lease.id))
		p.keeper.edge.released()
		isDone := false
		if lease.pool == p {
			var err error
			err, isDone = lease.tap.release(uint64(lease.id))
			failed = cmp.Or(failed, err)
		}
		if !isDone {
			ids = append(ids, lease.id)
		}
	}
	if len(ids) == 0 && len(leases) > 0 {
		return failed
	}
	err := failure(C.ostler_go_pool_release_n(p.handle, unsafe.SliceData(ids), C.uint32_t(len(ids))))
	runtime.KeepAlive(p)
	return cmp.Or(err, failed)
}

// TryAcquire leases a resource, or fails with ErrExhausted when none is to be had now.
func (p *Pool[T]) TryAcquire() (Lease[T], error) {
	tap, lease, resource := p.keeper.taps.take()
	if lease != 0 {
		return p.atHand(tap, lease, resource), nil
	}
	if tap != nil {
		if leased, isLeased, err := p.leaseNow(tap); isLeased || err != nil {
			return leased, err
		}
	}
	// Again, for the words of what is wrong.
	return p.lease(C.ostler_go_pool_try_acquire(p.handle))
}

// leaseNow leases a resource for that tap, or for none when it is nil; says no when the caller has to wait for one.
func (p *Pool[T]) leaseNow(tap *ownTap) (lease Lease[T], isLeased bool, err error) {
	leased, isOfTap := tap.lease()
	if !isOfTap {
		tap, leased = nil, C.ostler_go_pool_acquire_now(p.handle)
	}
	if isBusy(leased) {
		return lease, false, nil
	}
	lease, err = p.lease(leased)
	lease.tap = tap
	return lease, err == nil, err
}

// atHand is what was leased without a call of C.
func (p *Pool[T]) atHand(tap *ownTap, lease uint64, id uintptr) Lease[T] {
	return Lease[T]{pool: p, tap: tap, id: C.uint64_t(lease), resource: p.keeper.resource(id)}
}

// isBusy tells whether one who asked for a resource has to wait.
func isBusy(leased C.ostler_go_leased) bool {
	return leased.failure.status == C.OSTLER_E_EXHAUSTED || leased.failure.status == C.OSTLER_E_PAUSED
}

func (p *Pool[T]) lease(leased C.ostler_go_leased) (Lease[T], error) {
	if leased.failure.status != C.OSTLER_OK {
		return Lease[T]{}, nameHolders(p, p.keeper.refusals.explain(failure(leased.failure)))
	}
	return p.leased(leased), nil
}

func (p *Pool[T]) leased(leased C.ostler_go_leased) Lease[T] {
	resource := p.keeper.resource(uintptr(leased.resource))
	p.keeper.sites.note(uint64(leased.lease))
	return Lease[T]{pool: p, id: leased.lease, resource: resource}
}

// Stats is what the pool holds, and what it has done up to now.
func (p *Pool[T]) Stats() (PoolStats, error) {
	var stats C.ostler_pool_stats
	if err := failure(C.ostler_go_pool_get_stats(p.handle, &stats)); err != nil {
		return PoolStats{}, err
	}
	runtime.KeepAlive(p)
	return PoolStats{
		InUse: uint64(stats.in_use), Idle: uint64(stats.idle), Creating: uint64(stats.creating),
		Waiting: uint64(stats.waiting), Created: uint64(stats.created), CreateFailures: uint64(stats.create_failures),
		Destroyed: uint64(stats.destroyed), DestroyedIdle: uint64(stats.destroyed_idle),
		DestroyedInvalid: uint64(stats.destroyed_invalid), DestroyedDiscarded: uint64(stats.destroyed_discarded),
		DestroyedReset: uint64(stats.destroyed_reset), Acquires: uint64(stats.acquires), Reuses: uint64(stats.reuses),
		Timeouts: uint64(stats.timeouts), PeakInUse: uint64(stats.peak_in_use), PeakWaiting: uint64(stats.peak_waiting),
		DestroyedOld: uint64(stats.destroyed_old), DestroyedUsed: uint64(stats.destroyed_used),
		DestroyedRefreshed: uint64(stats.destroyed_refreshed), DestroyedSurplus: uint64(stats.destroyed_surplus),
		MinSize: uint64(stats.min_size), MaxSize: uint64(stats.max_size),
		FailuresInARow: uint64(stats.failures_in_a_row), Overdue: uint64(stats.overdue),
		Retags: uint64(stats.retags), Refused: uint64(stats.refused), Revoked: uint64(stats.revoked),
		NodeHits: uint64(stats.node_hits), NodeMisses: uint64(stats.node_misses),
		Waits: timesOf(stats.waits), Creates: timesOf(stats.creates), Uses: timesOf(stats.uses),
	}, nil
}

func timesOf(times C.ostler_times) Times {
	return Times{
		Count: uint64(times.count), Min: time.Duration(times.min_ns), Mean: time.Duration(times.mean_ns),
		P50: time.Duration(times.p50_ns), P90: time.Duration(times.p90_ns), P99: time.Duration(times.p99_ns),
		P999: time.Duration(times.p999_ns), Max: time.Duration(times.max_ns),
	}
}

// Leases lists the leases that are out.
func (p *Pool[T]) Leases() ([]LeaseInfo[T], error) {
	var room C.uint64_t
	for {
		listed := make([]C.ostler_lease_info, room)
		count := C.ostler_go_pool_list_leases(p.handle, unsafe.SliceData(listed), room)
		if err := failure(count.failure); err != nil {
			return nil, err
		}
		if count.still_out > room {
			room = count.still_out + count.still_out/4
			continue
		}
		infos := make([]LeaseInfo[T], 0, count.still_out)
		for _, info := range listed[:count.still_out] {
			infos = append(infos, p.keeper.info(p, info))
		}
		runtime.KeepAlive(p)
		return infos, nil
	}
}

// Lease is the right to a resource until it is released. A lease that is never released keeps its resource for ever.
type Lease[T any] struct {
	pool     *Pool[T]
	tap      *ownTap // through which it was taken, if any
	id       C.uint64_t
	resource T
}

// Value is the resource. It must not be used after Release or Discard.
func (l Lease[T]) Value() T { return l.resource }

// Valid asks the pool whether the lease still holds; if not, the error is ErrStaleLease.
func (l Lease[T]) Valid() error {
	if l.pool == nil {
		return errNoLease
	}
	err := failure(C.ostler_go_pool_get_resource(l.pool.handle, l.id).failure)
	runtime.KeepAlive(l.pool)
	return err
}

// Release gives the resource back. A second time is ErrStaleLease, also of a copy of the lease.
func (l Lease[T]) Release() error {
	if l.pool == nil {
		return errNoLease
	}
	l.pool.keeper.sites.forget(uint64(l.id))
	l.pool.keeper.edge.released()
	if err, isDone := l.tap.release(uint64(l.id)); isDone {
		return err
	}
	err := failure(C.ostler_go_pool_release(l.pool.handle, l.id))
	runtime.KeepAlive(l.pool)
	return err
}

// Discard gives back a resource that is no longer good: it is destroyed and not leased again.
func (l Lease[T]) Discard() error {
	if l.pool == nil {
		return errNoLease
	}
	l.pool.keeper.sites.forget(uint64(l.id))
	if err, isDone := l.tap.discard(uint64(l.id)); isDone {
		return err
	}
	err := failure(C.ostler_go_pool_discard(l.pool.handle, l.id))
	runtime.KeepAlive(l.pool)
	return err
}

// Revoke takes the lease away from its holder. The resource lives on, shared with nobody, until the holder's Release or
// Discard, which is ErrStaleLease then.
func (l Lease[T]) Revoke() error {
	if l.pool == nil {
		return errNoLease
	}
	l.pool.keeper.sites.forget(uint64(l.id))
	err := failure(C.ostler_go_pool_revoke(l.pool.handle, l.id))
	runtime.KeepAlive(l.pool)
	return err
}

var errNoLease = &Error{Code: ErrStaleLease, Message: "the zero Lease is never a lease"}

// poolKeeper keeps the resources of a pool, and makes and mends them when the library says so.
type poolKeeper[T any] struct {
	config    PoolConfig[T]
	resources registry[T]
	taps      *ownTaps
	refusals  lastErrors // of Create
	sites     callSites
	edge      edge
	tenancy   tenancy
	handle    atomic.Uintptr
}

// resource is the one of an id, for who has it now.
func (k *poolKeeper[T]) resource(id uintptr) T {
	k.edge.leased()
	resource, _ := k.resources.get(id)
	return resource
}

func (k *poolKeeper[T]) info(pool *Pool[T], info C.ostler_lease_info) LeaseInfo[T] {
	resource, _ := k.resources.get(uintptr(info.resource))
	return LeaseInfo[T]{
		Lease: Lease[T]{pool: pool, id: C.uint64_t(info.lease.value), resource: resource},
		Held:  time.Duration(info.held_ns), Thread: int(info.thread_id), CallSite: k.sites.of(uint64(info.lease.value)),
	}
}

func (k *poolKeeper[T]) overdue(info C.ostler_lease_info) {
	if k.config.Overdue == nil {
		return
	}
	// Not the pool of the program, which is closed when nobody has it any more.
	pool := &Pool[T]{handle: C.uintptr_t(k.handle.Load()), keeper: k}
	unanswerable("Overdue", func() { k.config.Overdue(k.info(pool, info)) })
}

func (k *poolKeeper[T]) create() (id uintptr, err error) {
	k.tenancy.enter()
	err = guarded(func() error {
		resource, err := k.config.Create()
		if err == nil {
			id = k.resources.add(resource)
		}
		return err
	})
	if err != nil {
		k.tenancy.leave()
		err = k.refusals.note(err)
	}
	return id, err
}

func (k *poolKeeper[T]) validate(id uintptr) error {
	resource := k.resource(id)
	return guarded(func() error { return k.config.Validate(resource) })
}

func (k *poolKeeper[T]) reset(id uintptr) error {
	resource := k.resource(id)
	return guarded(func() error { return k.config.Reset(resource) })
}

func (k *poolKeeper[T]) retag(id uintptr, from, to uint64) error {
	resource := k.resource(id)
	return guarded(func() error { return k.config.Retag(resource, from, to) })
}

func (k *poolKeeper[T]) event(event uint32, id uintptr) {
	resource := k.resource(id)
	unanswerable("Event", func() { k.config.Event(PoolEvent(event), resource) })
}

func (k *poolKeeper[T]) destroy(id uintptr) {
	defer k.tenancy.leave()
	k.edge.leased()
	if resource, found := k.resources.take(id); found && k.config.Destroy != nil {
		unanswerable("Destroy", func() { k.config.Destroy(resource) })
	}
}
