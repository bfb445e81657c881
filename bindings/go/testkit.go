package ostler

// #include "shim_testkit.h"
import "C"

import (
	"context"
	"runtime"
	"time"
)

// For the tests of programs that use the library: a clock that is moved by hand, and callbacks that misbehave.

// Clock is the library's clock, stopped for the whole process. Contexts go on in real time.
type Clock struct{ thawed bool }

// FreezeClock stops the library's clock until Thaw. When it is frozen several times, each is to be thawed.
func FreezeClock() (*Clock, error) {
	if err := failure(C.ostler_go_testkit_clock_freeze()); err != nil {
		return nil, err
	}
	return &Clock{}, nil
}

// Advance moves the clock and waits for nothing, so that it is also for callbacks.
func (c *Clock) Advance(by time.Duration) error {
	var given arguments
	ns := given.span("by", by)
	if given.err != nil {
		return given.err
	}
	return failure(C.ostler_go_testkit_clock_advance(ns))
}

// Settle waits until the library's threads have done what is due.
func (c *Clock) Settle(ctx context.Context) error {
	return await(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		return failure(C.ostler_go_testkit_clock_settle(timeout, cancel))
	})
}

// Pass lets so much time go by, and returns when what is due then is done.
func (c *Clock) Pass(ctx context.Context, by time.Duration) error {
	if err := c.Advance(by); err != nil {
		return err
	}
	return c.Settle(ctx)
}

// Thaw lets the clock run on from where it stands; a second time it does nothing.
func (c *Clock) Thaw() error {
	if c.thawed {
		return nil
	}
	err := failure(C.ostler_go_testkit_clock_thaw())
	c.thawed = err == nil
	return err
}

// SeedChance makes all that the library does by chance come from a seed, in the whole process, until UnseedChance.
func SeedChance(seed uint64) error { return failure(C.ostler_go_testkit_chance_seed(C.uint64_t(seed))) }

// UnseedChance makes chance be chance again.
func UnseedChance() error { return failure(C.ostler_go_testkit_chance_unseed()) }

// FaultyCallback is one of the functions of a PoolConfig, ModelConfig or TemplatesConfig.
type FaultyCallback uint32

// The functions of a pool, then the two of a model and the one of templates.
const (
	FaultyCreate   FaultyCallback = C.OSTLER_TESTKIT_CREATE
	FaultyValidate FaultyCallback = C.OSTLER_TESTKIT_VALIDATE
	FaultyReset    FaultyCallback = C.OSTLER_TESTKIT_RESET
	FaultyDestroy  FaultyCallback = C.OSTLER_TESTKIT_DESTROY
	FaultyRetag    FaultyCallback = C.OSTLER_TESTKIT_RETAG
	FaultyLoad     FaultyCallback = C.OSTLER_TESTKIT_LOAD
	FaultyRun      FaultyCallback = C.OSTLER_TESTKIT_RUN
	FaultyBuild    FaultyCallback = C.OSTLER_TESTKIT_BUILD
)

// Fault says which calls of a function misbehave, and how. The same fault and the same calls give the same
// misbehaviour.
type Fault struct {
	Callback   FaultyCallback
	First      int    // the first call that misbehaves, counted from 1; 0 leaves it to Every
	Every      int    // and so many calls later the next; 0 is never
	PerMillion int    // how many of the others do by chance
	Seed       uint64 // decides which

	Fails Status        // what the library gets without a call of the function; 0 calls it
	Takes time.Duration // how long the call is held up before that, by the library's clock
}

// Injection is a Fault that was set.
type Injection struct {
	callback C.uint32_t
	clear    func(callback C.uint32_t) error
	read     func(callback C.uint32_t, out *C.ostler_testkit_injected) error
}

// Inject makes one of the pool's functions misbehave, in place of the fault that it had before.
func (p *Pool[T]) Inject(fault Fault) (*Injection, error) {
	c, err := fault.toC()
	if err != nil {
		return nil, err
	}
	err = failure(C.ostler_go_testkit_pool_inject(p.handle, &c))
	runtime.KeepAlive(p)
	if err != nil {
		return nil, err
	}
	return &Injection{
		callback: c.callback,
		clear: func(callback C.uint32_t) error {
			defer runtime.KeepAlive(p)
			return failure(C.ostler_go_testkit_pool_clear(p.handle, callback))
		},
		read: func(callback C.uint32_t, out *C.ostler_testkit_injected) error {
			defer runtime.KeepAlive(p)
			return failure(C.ostler_go_testkit_pool_get_injected(p.handle, callback, out))
		},
	}, nil
}

// Inject makes Load or Run misbehave, in place of the fault that it had before.
func (m *Model) Inject(fault Fault) (*Injection, error) {
	c, err := fault.toC()
	if err != nil {
		return nil, err
	}
	err = failure(C.ostler_go_testkit_model_inject(m.handle, &c))
	runtime.KeepAlive(m)
	if err != nil {
		return nil, err
	}
	return &Injection{
		callback: c.callback,
		clear: func(callback C.uint32_t) error {
			defer runtime.KeepAlive(m)
			return failure(C.ostler_go_testkit_model_clear(m.handle, callback))
		},
		read: func(callback C.uint32_t, out *C.ostler_testkit_injected) error {
			defer runtime.KeepAlive(m)
			return failure(C.ostler_go_testkit_model_get_injected(m.handle, callback, out))
		},
	}, nil
}

// Inject makes Build misbehave, in place of the fault that it had before.
func (t *Templates) Inject(fault Fault) (*Injection, error) {
	c, err := fault.toC()
	if err != nil {
		return nil, err
	}
	err = failure(C.ostler_go_testkit_templates_inject(t.handle, &c))
	runtime.KeepAlive(t)
	if err != nil {
		return nil, err
	}
	return &Injection{
		callback: c.callback,
		clear: func(callback C.uint32_t) error {
			defer runtime.KeepAlive(t)
			return failure(C.ostler_go_testkit_templates_clear(t.handle, callback))
		},
		read: func(callback C.uint32_t, out *C.ostler_testkit_injected) error {
			defer runtime.KeepAlive(t)
			return failure(C.ostler_go_testkit_templates_get_injected(t.handle, callback, out))
		},
	}, nil
}

func (f Fault) toC() (C.ostler_testkit_fault, error) {
	var given arguments
	c := C.ostler_testkit_fault{
		callback:    C.uint32_t(f.Callback),
		first:       given.amount("First", f.First),
		every:       given.amount("Every", f.Every),
		per_million: given.count("PerMillion", f.PerMillion),
		seed:        C.uint64_t(f.Seed),
		status:      C.ostler_status(f.Fails),
		delay_ns:    given.span("Takes", f.Takes),
	}
	return c, given.err
}

// Clear makes the function itself again, also where it is held up at this moment.
func (i *Injection) Clear() error { return i.clear(i.callback) }

// Injected is what a fault did.
type Injected struct {
	Calls    uint64 // until it was cleared, those that it left alone included
	Failures uint64
	Delays   uint64
}

// Done is what the fault did up to now.
func (i *Injection) Done() (Injected, error) {
	var done C.ostler_testkit_injected
	if err := i.read(i.callback, &done); err != nil {
		return Injected{}, err
	}
	return Injected{Calls: uint64(done.calls), Failures: uint64(done.failures), Delays: uint64(done.delays)}, nil
}
