package ostler

// #include "shim_turn.h"
import "C"

import (
	"context"
	"runtime"
	"time"
	"unsafe"
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

// acquireInTurn leases a resource when its turn has come.
func (p *Pool[T]) acquireInTurn(ctx context.Context, demand Demand) (Lease[T], error) {
	return p.leaseInTurn(ctx, func(timeout C.uint64_t, bell C.uintptr_t) C.ostler_go_turn {
		return C.ostler_go_pool_begin_acquire(p.handle, C.uint32_t(demand.Priority), C.uint64_t(demand.Tag), timeout, bell)
	})
}

// acquireInTurnFor leases a resource when its turn has come, for that tap where it can.
func (p *Pool[T]) acquireInTurnFor(ctx context.Context, tap *ownTap) (Lease[T], error) {
	isOfTap := false
	lease, err := p.leaseInTurn(ctx, func(timeout C.uint64_t, bell C.uintptr_t) (turn C.ostler_go_turn) {
		if turn, isOfTap = tap.beginLease(timeout, bell); isOfTap {
			return turn
		}
		return C.ostler_go_pool_begin_acquire(p.handle, 0, 0, timeout, bell)
	})
	if err == nil && isOfTap {
		lease.tap = tap
	}
	return lease, err
}

// leaseInTurn leases what was begun, one resource.
func (p *Pool[T]) leaseInTurn(ctx context.Context,
	begin func(timeout C.uint64_t, bell C.uintptr_t) C.ostler_go_turn) (Lease[T], error) {
	leased, err := inTurn(ctx, begin, func(ticket C.uint64_t, cancelled C.uint32_t) C.ostler_go_turn {
		return C.ostler_go_pool_continue_acquire(p.handle, ticket, cancelled)
	})
	if err != nil {
		return Lease[T]{}, err
	}
	lease, err := p.lease(leased)
	runtime.KeepAlive(p)
	return lease, withContext(ctx, err)
}

// acquireManyInTurn fills both with leases and their resources.
func (p *Pool[T]) acquireManyInTurn(ctx context.Context, ids []C.uint64_t, resources []C.uintptr_t) error {
	count, leases, made := C.uint32_t(len(ids)), unsafe.SliceData(ids), unsafe.SliceData(resources)
	leased, err := inTurn(ctx, func(timeout C.uint64_t, bell C.uintptr_t) C.ostler_go_turn {
		return C.ostler_go_pool_begin_acquire_n(p.handle, count, timeout, bell, leases, made)
	}, func(ticket C.uint64_t, cancelled C.uint32_t) C.ostler_go_turn {
		return C.ostler_go_pool_continue_acquire_n(p.handle, ticket, count, cancelled, leases, made)
	})
	if err != nil {
		return err
	}
	err = nameHolders(p, p.keeper.refusals.explain(failure(leased.failure)))
	runtime.KeepAlive(p)
	return withContext(ctx, err)
}

// inTurn goes on with an acquire until it has ended. The goroutine stands in the library's queue as a thread would, but
// sleeps in Go, and what callbacks the lease needs run on it when it is woken.
func inTurn(ctx context.Context, begin func(timeout C.uint64_t, bell C.uintptr_t) C.ostler_go_turn,
	goOn func(ticket C.uint64_t, cancelled C.uint32_t) C.ostler_go_turn) (C.ostler_go_leased, error) {
	timeout, err := timeLeft(ctx)
	if err != nil {
		return C.ostler_go_leased{}, err
	}
	bell := make(chan struct{}, 1)
	id := bells.add(bell)
	defer bells.take(id)
	isLate := false
	turn := begin(timeout, C.uintptr_t(id))
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
		turn = goOn(turn.ticket, C.uint32_t(flag(isCancelled)))
	}
	return turn.leased, nil
}

// alarm is heard after so long; never, when that is for ever.
func alarm(afterNs C.uint64_t) <-chan time.Time {
	if afterNs == C.OSTLER_FOREVER {
		return nil
	}
	return time.After(duration(afterNs))
}
