package ostler

// #include "shim_tap.h"
// #include "shim_turn.h"
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Tap is one goroutine's idle resources of a pool, leased and released with a few instructions of Go: the library is
// called only when none is at hand. It may go from goroutine to goroutine, but serves one at a time. Nobody goes without
// because of it: what is idle in a tap is there for whoever finds nothing else, who waits at most until a goroutine that was
// stopped in the middle of Acquire or Release runs again. The pool has taps of its own, so that its Acquire needs seldom more
// calls; this is the quicker way, with nothing to share.
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
	slotMeasured = 255
)

// isInline tells whether the tap is one that this code knows and may use.
func isInline(words *C.ostler_tap) bool {
	return atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_TAP_LAYOUT
}

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

func numberOf(words *C.ostler_tap, lease uint64) uint32 {
	return uint32(lease & (uint64(words.one_use) - 1) >> 16)
}

// borrow leases a slot that is at hand, from the word that it has then; see ostler_tap_take_.
func borrow(words *C.ostler_tap, slot *C.ostler_slot, word uint64) (lease uint64) {
	slot.since_ns = C.uint64_t(atomic.LoadUint64((*uint64)(words.tick_ns)) &^ 1)
	lease = word + uint64(words.one_use) - slotAtHand + slotLeased
	publish((*uint64)(&slot.word), lease)
	return lease
}

// isOwn tells whether a slot has this lease, taken through the tap, and nothing that the library has to look at; see
// ostler_tap_put_.
func isOwn(words *C.ostler_tap, slot *C.ostler_slot, lease uint64) bool {
	return lease&slotPhase == slotLeased && atomic.LoadUint64((*uint64)(&slot.word)) == lease && slot.borrower == words.mark &&
		uint32(slot.generation) == atomic.LoadUint32((*uint32)(words.generation)) && slot.since_ns&1 == 0
}

// giveBack makes the slot of a lease idle again.
func giveBack(words *C.ostler_tap, slot *C.ostler_slot, lease uint64) {
	slot.since_ns = C.uint64_t(atomic.LoadUint64((*uint64)(words.tick_ns)))
	publish((*uint64)(&slot.word), lease-slotLeased+slotAtHand)
}

// tapAnswer is what came of a window.
type tapAnswer int

const (
	tapDid   tapAnswer = iota
	tapEmpty           // nothing is idle in it
	tapAsks            // the library is to be asked
	tapShut            // nothing may be idle in it for now
)

// takeIdle leases what is idle in a tap of the layout that this code knows, for its user.
func takeIdle(words *C.ostler_tap) (lease uint64, resource uintptr, answer tapAnswer) {
	if !enter(words) {
		leave(words)
		return 0, 0, tapShut
	}
	answer = tapEmpty
	if left := uint32(words.count) - 1; left < uint32(len(words.idle)) {
		slot := slotOf(words, uint32(words.idle[left]))
		word := atomic.LoadUint64((*uint64)(&slot.word))
		answer = tapAsks
		if word&slotPhase == slotAtHand && word&(uint64(words.one_use)*slotMeasured) != 0 {
			lease, resource = borrow(words, slot, word), uintptr(slot.resource)
			words.count = C.uint32_t(left)
			answer = tapDid
		}
	}
	leave(words)
	return lease, resource, answer
}

// putIdle ends a lease that was taken through a tap of the layout that this code knows, for its user.
func putIdle(words *C.ostler_tap, lease uint64) (answer tapAnswer) {
	if !enter(words) {
		leave(words)
		return tapShut
	}
	answer = tapAsks
	number, count := numberOf(words, lease), uint32(words.count)
	if number < uint32(words.capacity) && count < uint32(len(words.idle)) {
		slot := slotOf(words, number)
		if isOwn(words, slot, lease) {
			giveBack(words, slot, lease)
			words.idle[count] = C.uint32_t(number)
			words.count = C.uint32_t(count + 1)
			answer = tapDid
		}
	}
	leave(words)
	return answer
}

// Acquire leases a resource, first of all one that is idle in the tap; else it does as Acquire of the pool. The lease is to
// be released with Release of this tap.
func (t *Tap[T]) Acquire(ctx context.Context) (Lease[T], error) {
	words := t.words
	if ctx.Err() == nil && isInline(words) {
		if lease, id, answer := takeIdle(words); answer == tapDid {
			known := &t.known[numberOf(words, lease)%tapKnown]
			if known.id != id {
				*known = knownResource[T]{id, t.pool.keeper.resource(id)}
			}
			t.pool.keeper.edge.leased()
			return Lease[T]{pool: t.pool, id: C.uint64_t(lease), resource: known.resource}, nil
		}
	}
	return t.acquireSlowly(ctx)
}

//go:noinline
func (t *Tap[T]) acquireSlowly(ctx context.Context) (Lease[T], error) {
	// As the pool does it.
	if ctx.Err() == nil && t.pool.keeper.config.Barging == 0 {
		leased := C.ostler_go_tap_acquire_now(t.opened)
		runtime.KeepAlive(t)
		if !isBusy(leased) {
			return t.pool.lease(leased)
		}
	}
	lease, err := t.pool.leaseInTurn(ctx, func(timeout C.uint64_t, bell C.uintptr_t) C.ostler_go_turn {
		return C.ostler_go_tap_begin_acquire(t.opened, timeout, bell)
	})
	runtime.KeepAlive(t)
	return lease, err
}

// Release gives the resource of a lease back, which is then idle in the tap. A second time is ErrStaleLease.
func (t *Tap[T]) Release(lease Lease[T]) error {
	words := t.words
	t.pool.keeper.edge.released()
	if isInline(words) && putIdle(words, uint64(lease.id)) == tapDid {
		return nil
	}
	return t.releaseSlowly(lease)
}

//go:noinline
func (t *Tap[T]) releaseSlowly(lease Lease[T]) error {
	t.pool.keeper.sites.forget(uint64(lease.id))
	err := failure(C.ostler_go_tap_release(t.opened, lease.id))
	runtime.KeepAlive(t)
	return err
}

// Discard gives back a resource that is no longer good: it is destroyed, and what is idle in taps stays there.
func (t *Tap[T]) Discard(lease Lease[T]) error {
	t.pool.keeper.sites.forget(uint64(lease.id))
	err := failure(C.ostler_go_tap_discard(t.words, lease.id))
	runtime.KeepAlive(t)
	return err
}
