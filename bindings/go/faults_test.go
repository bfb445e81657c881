//go:build faults

package ostler

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
)

// leavesNobody is leavesNothing for the objects of the library, too.
func leavesNobody(t *testing.T) {
	t.Helper()
	leavesNothing(t)
	before := liveObjects()
	t.Cleanup(func() {
		for point := faultAllocation; point <= faultWorker; point++ {
			setFault(point, 0, 0)
		}
		// What an earlier test forgot may go meanwhile.
		eventually(t, "every object of the library is gone", func() bool { return liveObjects() <= before })
	})
}

func TestPanicInACallOfTheLibrary(t *testing.T) {
	leavesNobody(t)
	arena, err := NewArena(ArenaConfig{})
	succeeds(t, err)
	topology, err := NewTopology()
	succeeds(t, err)
	pool, err := NewPool(PoolConfig[int]{Create: func() (int, error) { return 1, nil }})
	succeeds(t, err)
	orchestrator, err := NewOrchestrator(OrchestratorConfig{})
	succeeds(t, err)
	model, err := NewModel(orchestrator, ModelConfig[*engine]{Load: loads, Run: upper})
	succeeds(t, err)
	succeeds(t, model.WaitReady(soon(t)))

	for name, call := range map[string]func() error{
		"Arena.Alloc":        func() error { _, err := arena.Alloc(8, 0); return err },
		"Topology.Info":      func() error { _, err := topology.Info(); return err },
		"Pool.TryAcquire":    func() error { return takeAndGiveBack(pool) },
		"Model.Submit":       func() error { _, err := model.Submit(Request{}); return err },
		"Orchestrator.Stats": func() error { _, err := orchestrator.Stats(); return err },
	} {
		setFault(faultCall, 1, faultPanic)
		err := call()
		hits := faultHits(faultCall)
		setFault(faultCall, 0, 0)
		if !errors.Is(err, ErrPanic) || hits == 0 {
			t.Errorf("%s after %d visits: %v", name, hits, err)
		}
		if err := call(); err != nil && !errors.Is(err, ErrQuarantined) {
			t.Errorf("%s afterwards: %v", name, err)
		}
	}
	for _, closer := range []interface{ Close() error }{arena, topology, pool, model, orchestrator} {
		succeeds(t, closer.Close())
	}
}

func takeAndGiveBack(pool *Pool[int]) error {
	lease, err := pool.TryAcquire()
	if err != nil {
		return err
	}
	return lease.Release()
}

func TestPanicInAWorkerOfTheLibrary(t *testing.T) {
	leavesNobody(t)
	orchestrator := newOrchestrator(t, OrchestratorConfig{})
	model := newModel(t, orchestrator, ModelConfig[*engine]{MinWorkers: 2})
	succeeds(t, model.WaitReady(soon(t)))
	setFault(faultWorker, 1, faultPanic)
	for range 50 {
		ticket, err := model.Submit(Request{Input: []byte("a"), Output: make([]byte, 1)})
		if errors.Is(err, ErrQuarantined) {
			break
		}
		succeeds(t, err)
		if _, err := ticket.Wait(soon(t)); err != nil && !errors.Is(err, ErrPanic) {
			t.Errorf("a request among panics: %v", err)
		}
	}
	if faultHits(faultWorker) == 0 {
		t.Error("no worker came by the fault")
	}
	setFault(faultWorker, 0, 0)
	failsWith(t, model.WaitReady(soon(t)), ErrQuarantined)
	succeeds(t, model.Close())
	other := newModel(t, orchestrator, ModelConfig[*engine]{})
	result, err := submit(t, other, Request{Input: []byte("well"), Output: make([]byte, 4)}).Wait(soon(t))
	succeeds(t, err)
	if string(result.Output) != "WELL" {
		t.Errorf("afterwards the result is %+v", result)
	}
}

func TestPanicInsideACallback(t *testing.T) {
	leavesNobody(t)
	arena := newArena(t, ArenaConfig{})
	// The library panics in a call that a callback of its own makes.
	deep := func() error {
		setFault(faultCall, 1, faultPanic)
		_, err := arena.Alloc(8, 0)
		setFault(faultCall, 0, 0)
		if !errors.Is(err, ErrPanic) {
			t.Errorf("inside of a callback: %v", err)
		}
		return err
	}
	pool := newPool(t, PoolConfig[int]{Create: func() (int, error) { return 0, deep() }})
	_, err := pool.Acquire(soon(t))
	failsWith(t, err, ErrCreateFailed)

	model := newModel(t, newOrchestrator(t, OrchestratorConfig{}), ModelConfig[*engine]{
		Run: func(*engine, []*Item) error { return deep() },
	})
	_, err = submit(t, model, Request{}).Wait(soon(t))
	failsWith(t, err, ErrCallbackFailed, ErrPanic)
}

// TestEachFailureInTurn makes one thing after the other fail in the same small program, until it passes untouched.
func TestEachFailureInTurn(t *testing.T) {
	for name, fault := range map[string]struct {
		point faultPoint
		errno syscall.Errno
	}{
		"allocation":   {faultAllocation, syscall.ENOMEM},
		"mmap":         {faultMmap, syscall.ENOMEM},
		"thread start": {faultThreadStart, syscall.EAGAIN},
		"callback":     {faultCallback, syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			failed := 0
			for nth := uint64(1); ; nth++ {
				if nth > 2000 {
					t.Fatal("the program never comes through")
				}
				leftBefore, liveBefore := registered(), liveObjects()
				setFault(fault.point, nth, int32(fault.errno))
				err := smallProgram(soon(t))
				untouched := faultHits(fault.point) < nth
				setFault(fault.point, 0, 0)
				eventually(t, "nothing is left", func() bool {
					return registered() == leftBefore && liveObjects() == liveBefore
				})
				if err != nil {
					failed++
					var told *Error
					if !errors.As(err, &told) || told.Code == ErrPanic || strings.TrimSpace(told.Message) == "" {
						t.Fatalf("with failure %d: %v", nth, err)
					}
				}
				if untouched {
					succeeds(t, err)
					break
				}
			}
			if failed == 0 {
				t.Error("no failure was seen by the program")
			}
		})
	}
}

func smallProgram(ctx context.Context) (err error) {
	keep := func(closer interface{ Close() error }) func() {
		return func() { err = errors.Join(err, closer.Close()) }
	}
	arena, err := NewArena(ArenaConfig{Source: PageSource{Pages: PagesBase}, ChunkBytes: 1 << 20})
	if err != nil {
		return err
	}
	defer keep(arena)()
	cursor, err := arena.OpenCursor()
	if err != nil {
		return err
	}
	defer keep(cursor)()
	output, err := cursor.Alloc(16, 0)
	if err != nil {
		return err
	}
	pool, err := NewPool(PoolConfig[int]{
		Create: func() (int, error) { return 1, nil }, Reset: func(int) error { return nil }, MinSize: 1,
	})
	if err != nil {
		return err
	}
	defer keep(pool)()
	lease, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	if err := lease.Release(); err != nil {
		return err
	}
	orchestrator, err := NewOrchestrator(OrchestratorConfig{RequestSlots: 16})
	if err != nil {
		return err
	}
	defer keep(orchestrator)()
	model, err := NewModel(orchestrator, ModelConfig[*engine]{Load: loads, Run: upper})
	if err != nil {
		return err
	}
	defer keep(model)()
	if err := model.WaitReady(ctx); err != nil {
		return err
	}
	ticket, err := model.Submit(Request{Input: []byte("a"), Output: output})
	if err != nil {
		return err
	}
	_, err = ticket.Wait(ctx)
	return err
}
