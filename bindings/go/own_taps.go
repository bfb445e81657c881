package ostler

// #include "shim_tap.h"
// #include "shim_turn.h"
import "C"

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ownTaps are the taps that a pool has for those who come without one: for each processor of Go one, but no more than there can
// be resources. So who leases what was released through one of them calls no C.
type ownTaps struct {
	handle C.uintptr_t
	taps   []ownTap
	isOff  atomic.Bool // none is used, and none is opened any more

	changes sync.Mutex // of isOff, and of what is open
}

// ownTap is one of them. Who has its lock is its user.
type ownTap struct {
	lock  uint64
	words atomic.Pointer[C.ostler_tap] // nil while it is not open
	calls uint32                       // that found it so
	users atomic.Int32                 // calls of C without the lock
	_     [128 - 8 - 8 - 4 - 4]byte
}

const (
	ownTapsMost       = 64  // of a pool
	ownTapIsWanted    = 32  // calls that found it not open, before it is opened
	ownTapsLookedInto = 4   // by one who leases
	ownTapLooks       = 256 // at the lock of one in use, by one who releases
	usualMaxSize      = 16  // of a pool whose MaxSize is 0
)

func newOwnTaps(handle C.uintptr_t, resources int) *ownTaps {
	if resources == 0 {
		resources = usualMaxSize
	}
	return &ownTaps{handle: handle, taps: make([]ownTap, max(1, min(runtime.GOMAXPROCS(0), resources, ownTapsMost)))}
}

// take leases what is idle in the tap of this processor, or in one of the next ones. Lease is 0 when C has to be called: for
// that tap, or for the pool when it is nil.
//
// A goroutine is pinned while it is at a tap, so that none is stopped there, for whom all would wait that recall what is idle.
func (o *ownTaps) take() (tap *ownTap, lease uint64, resource uintptr) {
	if o.isOff.Load() || tracing.Load() {
		return nil, 0, 0
	}
	number := pin()
	if number >= len(o.taps) {
		number %= len(o.taps)
	}
	tap = &o.taps[number]
	lease, resource, answer := tap.take()
	unpin()
	switch {
	case answer == tapDid:
		return tap, lease, resource
	case answer == tapEmpty:
		return o.takeFromNeighbour(number)
	case tap.words.Load() == nil:
		return o.open(tap), 0, 0
	}
	return tap, 0, 0
}

// takeFromNeighbour is for who finds nothing in that tap: from others it need not be recalled, which would shut them all.
func (o *ownTaps) takeFromNeighbour(number int) (tap *ownTap, lease uint64, resource uintptr) {
	for i := 1; i < min(len(o.taps), ownTapsLookedInto); i++ {
		tap = &o.taps[(number+i)%len(o.taps)]
		words := tap.words.Load()
		if words == nil || atomic.LoadUint32((*uint32)(&words.count)) == 0 {
			continue
		}
		pin()
		lease, resource, answer := tap.take()
		unpin()
		if answer == tapDid {
			return tap, lease, resource
		}
	}
	return &o.taps[number], 0, 0
}

// open opens a tap when it is wanted often enough.
func (o *ownTaps) open(tap *ownTap) *ownTap {
	if atomic.AddUint32(&tap.calls, 1) != ownTapIsWanted {
		return nil
	}
	o.changes.Lock()
	defer o.changes.Unlock()
	if o.isOff.Load() {
		return nil
	}
	opened := C.ostler_go_tap_open(o.handle)
	if failure(opened.failure) != nil {
		return nil
	}
	words := (*C.ostler_tap)(opened.address)
	if !isInline(words) {
		// Such a pool keeps nothing at hand, or C began to trace.
		forgetTap(words)
		o.isOff.Store(true)
		return nil
	}
	noteOpen(o)
	tap.words.Store(words)
	return tap
}

// close closes all of them, for good or until reopen.
func (o *ownTaps) close() {
	o.changes.Lock()
	defer o.changes.Unlock()
	o.isOff.Store(true)
	for i := range o.taps {
		if tap := &o.taps[i]; tap.words.Load() != nil {
			tap.close()
		}
	}
	noteClosed(o)
}

// reopen is for a pool that could not be closed.
func (o *ownTaps) reopen() {
	o.changes.Lock()
	defer o.changes.Unlock()
	for i := range o.taps {
		atomic.StoreUint32(&o.taps[i].calls, 0)
	}
	o.isOff.Store(false)
}

func (t *ownTap) tryLock() bool { return atomic.CompareAndSwapUint64(&t.lock, 0, 1) }

func (t *ownTap) unlock() { publish(&t.lock, 0) }

// waitLock is tryLock for who may wait as long as a window lasts, or a short call.
func (t *ownTap) waitLock() bool {
	for range ownTapLooks {
		if atomic.LoadUint64(&t.lock) == 0 && t.tryLock() {
			return true
		}
	}
	return false
}

// take leases what is idle in the tap, on a goroutine that is pinned.
func (t *ownTap) take() (lease uint64, resource uintptr, answer tapAnswer) {
	answer = tapAsks
	if t.tryLock() {
		if words := t.words.Load(); words != nil && isInline(words) {
			lease, resource, answer = takeIdle(words)
		}
		t.unlock()
	}
	return lease, resource, answer
}

// lease calls C for a lease of the tap; says no when there is no tap, or none any more.
func (t *ownTap) lease() (leased C.ostler_go_leased, isOpen bool) {
	if t == nil {
		return leased, false
	}
	if t.tryLock() {
		words := t.words.Load()
		// C has to look at what is idle there before that is leased, or at the tap itself.
		asks := words != nil && (words.count > 0 || !isInline(words))
		if asks {
			leased = C.ostler_go_tap_acquire_now(words)
		}
		t.unlock()
		if asks {
			return leased, true
		}
	}
	// In no other user's way, since this may take as long as it takes to make a resource. Nobody gets the address meanwhile.
	t.users.Add(1)
	defer t.users.Add(-1)
	words := t.words.Load()
	if words == nil {
		return leased, false
	}
	return C.ostler_go_tap_acquire_shared(words), true
}

// beginLease begins to lease for the tap; says no when another uses it, or there is none.
func (t *ownTap) beginLease(timeout C.uint64_t, bell C.uintptr_t) (turn C.ostler_go_turn, hasBegun bool) {
	if t == nil || !t.tryLock() {
		return turn, false
	}
	if words := t.words.Load(); words != nil {
		turn, hasBegun = C.ostler_go_tap_begin_acquire(words, timeout, bell), true
	}
	t.unlock()
	return turn, hasBegun
}

// release ends a lease of the tap. It says nothing when that is for the pool to do.
func (t *ownTap) release(lease uint64) (err error, isDone bool) {
	if t == nil {
		return nil, false
	}
	pin()
	if !t.waitLock() {
		unpin()
		return nil, false
	}
	answer := tapShut
	words := t.words.Load()
	switch {
	case words == nil:
	case isInline(words):
		answer = putIdle(words, lease)
	default:
		answer = tapAsks
	}
	if answer != tapAsks {
		t.unlock()
		unpin()
		return nil, answer == tapDid
	}
	unpin()
	err = failure(C.ostler_go_tap_release(words, C.uint64_t(lease)))
	t.unlock()
	return err, true
}

// discard ends a lease of the tap, whose resource is destroyed. It says no when that is for the pool to do.
func (t *ownTap) discard(lease uint64) (err error, isDone bool) {
	if t == nil || !t.tryLock() {
		return nil, false
	}
	if words := t.words.Load(); words != nil {
		err, isDone = failure(C.ostler_go_tap_discard(words, C.uint64_t(lease))), true
	}
	t.unlock()
	return err, isDone
}

// close closes the tap. One that is in use for longer is closed when its user, who may be the one that closes, is done.
func (t *ownTap) close() {
	if t.waitLock() {
		t.closeLocked()
		return
	}
	go func() {
		for !t.waitLock() {
			time.Sleep(time.Millisecond)
		}
		t.closeLocked()
	}()
}

func (t *ownTap) closeLocked() {
	words := t.words.Swap(nil)
	atomic.StoreUint32(&t.calls, 0)
	t.unlock()
	if t.users.Load() == 0 {
		forgetTap(words)
		return
	}
	// A user may be the one that closes.
	go func() {
		for t.users.Load() > 0 {
			time.Sleep(time.Millisecond)
		}
		forgetTap(words)
	}()
}

// openOwnTaps are those of which any is open.
var openOwnTaps struct {
	sync.Mutex
	all map[*ownTaps]struct{}
}

func noteOpen(o *ownTaps) {
	openOwnTaps.Lock()
	defer openOwnTaps.Unlock()
	if openOwnTaps.all == nil {
		openOwnTaps.all = make(map[*ownTaps]struct{})
	}
	openOwnTaps.all[o] = struct{}{}
}

func noteClosed(o *ownTaps) {
	openOwnTaps.Lock()
	defer openOwnTaps.Unlock()
	delete(openOwnTaps.all, o)
}

// closeAllOwnTaps is for the end of the library.
func closeAllOwnTaps() {
	openOwnTaps.Lock()
	all := slices.Collect(maps.Keys(openOwnTaps.all))
	openOwnTaps.Unlock()
	for _, taps := range all {
		taps.close()
	}
}
