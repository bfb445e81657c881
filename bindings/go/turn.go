package ostler

// #include "shim_turn.h"
import "C"

import (
	"context"
	"runtime"
	"time"
)

// bells are those of the goroutines that wait for a lease.
var bells registry[chan struct{}]

//export ostlerGoRing
func ostlerGoRing(id C.uintptr_t) {
	if bell, found := bells.get(uintptr(id)); found {
		select {
		case bell <- struct{}{}:
		default: // it has rung, and nobody has looked yet
		}
	}
}

// acquireInTurn leases a resource when its turn has come. The goroutine stands in the library's queue as a thread would, but
// sleeps in Go, and what callbacks the lease needs run on it when it is woken.
func (p *Pool[T]) acquireInTurn(ctx context.Context, demand Demand) (Lease[T], error) {
	timeout, err := timeLeft(ctx)
	if err != nil {
		return Lease[T]{}, err
	}
	bell := make(chan struct{}, 1)
	id := bells.add(bell)
	defer bells.take(id)
	isLate := false
	turn := C.ostler_go_pool_begin_acquire(p.handle, C.uint32_t(demand.Priority), C.uint64_t(demand.Tag), timeout,
		C.uintptr_t(id))
	for turn.ticket != 0 {
		var isCancelled bool
		again := alarm(turn.look_again_ns)
		select {
		case <-bell:
		case <-again:
		case <-ctx.Done():
			// At its deadline the library's own time is up, too, by now or in a moment.
			isCancelled = isLate || ctx.Err() != context.DeadlineExceeded
			isLate = true
		}
		turn = C.ostler_go_pool_continue_acquire(p.handle, turn.ticket, C.uint32_t(flag(isCancelled)))
	}
	lease, err := p.lease(turn.leased)
	runtime.KeepAlive(p)
	return lease, withContext(ctx, err)
}

// alarm is heard after so long; never, when that is for ever.
func alarm(afterNs C.uint64_t) <-chan time.Time {
	if afterNs == C.OSTLER_FOREVER {
		return nil
	}
	return time.After(duration(afterNs))
}
