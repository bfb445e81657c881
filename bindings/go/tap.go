package ostler

// #include "shim_tap.h"
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Tap is one goroutine's idle resources of a pool, leased and released with a few instructions of Go: the library is
// called only when none is at hand. It may go from goroutine to goroutine, but serves one at a time. Nobody goes without
// because of it: what is idle in a tap is there for whoever finds nothing else.
type Tap[T any] struct {
	pool    *Pool[T] // not to be forgotten before its taps
	words   *C.ostler_tap
	opened  *C.ostler_tap
	known   [tapKnown]knownResource[T]
	cleanup runtime.Cleanup
}

// knownResource spares a look into the pool's registry. An id is never used again, so none is taken for another.
type knownResource[T any] struct {
	id       uintptr
	resource T
}

const tapKnown = 16

// closedTap takes the place of a tap's words when it is closed: it has another layout, so that a call asks the library,
// which knows what to say.
var closedTap C.ostler_tap

// OpenTap opens a tap. In a pool with Validate, Reset or Retag it keeps nothing at hand.
func (p *Pool[T]) OpenTap() (*Tap[T], error) {
	opened := C.ostler_go_tap_open(p.handle)
	if err := failure(opened.failure); err != nil {
		return nil, err
	}
	words := (*C.ostler_tap)(opened.address)
	tap := &Tap[T]{pool: p, words: words, opened: words}
	tap.cleanup = runtime.AddCleanup(tap, forgetTap, words)
	return tap, nil
}

func forgetTap(words *C.ostler_tap) { _ = failure(C.ostler_go_tap_close(words)) }

// Close closes the tap. What was idle in it is idle for all; leases that were taken through it stay good.
func (t *Tap[T]) Close() error {
	t.cleanup.Stop()
	// The library may give the same address to the next tap.
	opened := t.opened
	t.words, t.opened = &closedTap, nil
	err := gone(failure(C.ostler_go_tap_close(opened)))
	runtime.KeepAlive(t.pool)
	return err
}

// The word of a slot, as ostler_inline.h has it.
const (
	slotPhase    = 15
	slotLeased   = 2
	slotAtHand   = 8
	slotUse      = 16
	slotMeasured = 255 * slotUse
)

// enter begins a window, and says whether the tap is open in it; see ostler_tap_enter_ in ostler_inline.h.
func enter(words *C.ostler_tap) bool {
	// Stored before the state is loaded by the program's order; the library sees to the processor's.
	order((*uint64)(&words.busy), uint64(words.pool))
	return atomic.LoadUint32((*uint32)(words.state))&3 == 1
}

func leave(words *C.ostler_tap) { publish((*uint64)(&words.busy), 0) }

func slotOf(words *C.ostler_tap, number uint32) *C.ostler_slot {
	return (*C.ostler_slot)(unsafe.Add(unsafe.Pointer(words.slots), uintptr(number)*unsafe.Sizeof(C.ostler_slot{})))
}

func leaseOf(words *C.ostler_tap, number uint32, word uint64) uint64 {
	return word/slotUse<<(words.shift&63) | uint64(number)<<16 | uint64(words.salt)
}

// take leases what is idle in the tap; see ostler_tap_take_.
func take(words *C.ostler_tap) (lease uint64, number uint32, resource uintptr) {
	left := uint32(words.count) - 1
	if left >= uint32(len(words.idle)) {
		return 0, 0, 0
	}
	number = uint32(words.idle[left])
	slot := slotOf(words, number)
	word := atomic.LoadUint64((*uint64)(&slot.word))
	leased := word&^slotPhase + slotUse + slotLeased
	if word&slotPhase != slotAtHand || word&slotMeasured == 0 {
		return 0, 0, 0
	}
	slot.since_ns = C.uint64_t(atomic.LoadUint64((*uint64)(words.tick_ns)) &^ 1)
	publish((*uint64)(&slot.word), leased)
	words.count = C.uint32_t(left)
	return leaseOf(words, number, leased), number, uintptr(slot.resource)
}

// put ends a lease that was taken through the tap; see ostler_tap_put_.
func put(words *C.ostler_tap, lease uint64) bool {
	number, count := uint32(lease&(1<<(words.shift&63)-1)>>16), uint32(words.count)
	if number >= uint32(words.capacity) || count >= uint32(len(words.idle)) {
		return false
	}
	slot := slotOf(words, number)
	word := atomic.LoadUint64((*uint64)(&slot.word))
	if word&slotPhase != slotLeased || leaseOf(words, number, word) != lease || slot.borrower != words.mark ||
		uint32(slot.generation) != atomic.LoadUint32((*uint32)(words.generation)) || slot.since_ns&1 != 0 {
		return false
	}
	slot.since_ns = C.uint64_t(atomic.LoadUint64((*uint64)(words.tick_ns)))
	publish((*uint64)(&slot.word), word-slotLeased+slotAtHand)
	words.idle[count] = C.uint32_t(number)
	words.count = C.uint32_t(count + 1)
	return true
}

// Acquire leases a resource, first of all one that is idle in the tap; else it does as Acquire of the pool. The lease is to
// be released with Release of this tap.
func (t *Tap[T]) Acquire(ctx context.Context) (Lease[T], error) {
	words := t.words
	if ctx.Err() == nil && atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_TAP_LAYOUT {
		var lease uint64
		var number uint32
		var id uintptr
		if enter(words) {
			lease, number, id = take(words)
		}
		leave(words)
		if lease != 0 {
			known := &t.known[number%tapKnown]
			if known.id != id {
				known.id = id
				known.resource, _ = t.pool.keeper.resources.get(id)
			}
			return Lease[T]{pool: t.pool, id: C.uint64_t(lease), resource: known.resource}, nil
		}
	}
	return t.acquireSlowly(ctx)
}

//go:noinline
func (t *Tap[T]) acquireSlowly(ctx context.Context) (Lease[T], error) {
	var lease Lease[T]
	err := await(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		var err error
		lease, err = t.pool.lease(C.ostler_go_tap_acquire(t.opened, timeout, cancel))
		return err
	})
	runtime.KeepAlive(t)
	return lease, err
}

// Release gives the resource of a lease back, which is then idle in the tap. A second time is ErrStaleLease.
func (t *Tap[T]) Release(lease Lease[T]) error {
	words := t.words
	if atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_TAP_LAYOUT {
		is := enter(words) && put(words, uint64(lease.id))
		leave(words)
		if is {
			return nil
		}
	}
	t.pool.keeper.sites.forget(uint64(lease.id))
	err := failure(C.ostler_go_tap_release(t.opened, lease.id))
	runtime.KeepAlive(t)
	return err
}
