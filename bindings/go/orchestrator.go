package ostler

// #include "shim_orchestrator.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
)

// OrchestratorConfig says how much an orchestrator takes on. The zero value is a good one.
type OrchestratorConfig struct {
	Name         string
	RequestSlots int // the most requests alive at once; 0 is 4096
	MemoryLimit  int // the most bytes that loaded workers may declare; 0 is no limit
}

// OrchestratorStats is what an orchestrator holds, and what it has done up to now.
type OrchestratorStats struct {
	Models, Workers, Queued, Running                                uint64
	Accepted, Completed, Failed, TimedOut, Cancelled, Shed, Refused uint64
	Untaken, DeclaredMemoryBytes                                    uint64
}

// Orchestrator feeds models that stay warm. Each request that it accepts has exactly one outcome.
type Orchestrator struct {
	handle  C.uintptr_t
	models  *tenants
	cleanup runtime.Cleanup
}

// tenants are the callbacks of an orchestrator's models, which end with it.
type tenants struct {
	mu  sync.Mutex
	all map[*tenancy]struct{}
}

func (t *tenants) add(one *tenancy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[one] = struct{}{}
}

func (t *tenants) remove(one *tenancy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, one)
}

func (t *tenants) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for one := range t.all {
		one.close()
	}
	clear(t.all)
}

// NewOrchestrator makes an orchestrator.
func NewOrchestrator(config OrchestratorConfig) (*Orchestrator, error) {
	var given arguments
	var c C.ostler_orchestrator_config
	if err := failure(C.ostler_go_orchestrator_config_init(&c)); err != nil {
		return nil, err
	}
	c.request_slots = given.count("RequestSlots", config.RequestSlots)
	c.memory_limit_bytes = given.amount("MemoryLimit", config.MemoryLimit)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	created := C.ostler_go_orchestrator_create(&c)
	if err := failure(created.failure); err != nil {
		return nil, err
	}
	models := &tenants{all: make(map[*tenancy]struct{})}
	orchestrator := &Orchestrator{handle: created.handle, models: models}
	orchestrator.cleanup = runtime.AddCleanup(orchestrator, func(handle C.uintptr_t) {
		// On a goroutine of its own: it waits for the requests that are running.
		go func() { _ = closeOrchestrator(handle, models) }()
	}, created.handle)
	return orchestrator, nil
}

func closeOrchestrator(handle C.uintptr_t, models *tenants) error {
	err := gone(failure(C.ostler_go_orchestrator_destroy(handle)))
	if err == nil {
		models.close()
	}
	return err
}

// Close sheds what is queued, lets finish what is running, and unloads every worker of every model.
func (o *Orchestrator) Close() error {
	err := closeOrchestrator(o.handle, o.models)
	if err == nil {
		o.cleanup.Stop()
	}
	return err
}

// Drain refuses new requests and waits until every accepted one has its outcome; it says how many have none yet. A
// context that has ended waits for nothing, but new requests are refused all the same.
func (o *Orchestrator) Drain(ctx context.Context) (withoutOutcome uint64, err error) {
	err = drain(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		waited := C.ostler_go_orchestrator_drain(o.handle, timeout, cancel)
		withoutOutcome = uint64(waited.still_out)
		return failure(waited.failure)
	})
	runtime.KeepAlive(o)
	return withoutOutcome, err
}

// Stats is what the orchestrator holds, and what it has done up to now.
func (o *Orchestrator) Stats() (OrchestratorStats, error) {
	var stats C.ostler_orchestrator_stats
	if err := failure(C.ostler_go_orchestrator_get_stats(o.handle, &stats)); err != nil {
		return OrchestratorStats{}, err
	}
	runtime.KeepAlive(o)
	return OrchestratorStats{
		Models: uint64(stats.models), Workers: uint64(stats.workers), Queued: uint64(stats.queued),
		Running: uint64(stats.running), Accepted: uint64(stats.accepted), Completed: uint64(stats.completed),
		Failed: uint64(stats.failed), TimedOut: uint64(stats.timed_out), Cancelled: uint64(stats.cancelled),
		Shed: uint64(stats.shed), Refused: uint64(stats.refused), Untaken: uint64(stats.untaken),
		DeclaredMemoryBytes: uint64(stats.declared_memory_bytes),
	}, nil
}
