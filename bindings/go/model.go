package ostler

// #include "shim_model.h"
// #cgo noescape ostler_go_model_submit
// #cgo nocallback ostler_go_model_submit
// #cgo noescape ostler_go_model_submit_n
// #cgo nocallback ostler_go_model_submit_n
import "C"

import (
	"context"
	"runtime"
	"time"
)

// ModelConfig says how a model's workers load and run, and how many there are. S is what a worker keeps loaded.
type ModelConfig[S any] struct {
	Name          string
	MinWorkers    int           // always loaded; 0 is 1
	MaxWorkers    int           // 0 is MinWorkers
	MaxBatch      int           // the most requests in one Run; 0 is 1
	QueueCapacity int           // the most requests that wait; 0 is 1024
	BatchWait     time.Duration // how long to wait for a batch to fill; 0 takes what is there
	IdleTimeout   time.Duration // how long a worker above MinWorkers may have nothing to do; 0 is for ever
	MemoryBytes   int           // what a loaded worker holds, charged while it is warm; idle ones above MinWorkers go when memory runs short

	// Load makes the state of one worker, on the thread where Run and Unload will be called with it.
	Load func(worker int) (S, error)
	// Run serves a batch. Its error is that of every item that has none of its own.
	Run func(state S, items []*Item) error
	// Unload is optional.
	Unload func(state S)
}

// ModelStats is what a model holds, and what it has done up to now.
type ModelStats struct {
	Workers, IdleWorkers, LoadingWorkers                            int
	Queued, Running                                                 uint64
	Accepted, Completed, Failed, TimedOut, Cancelled, Shed, Refused uint64
	Batches, LargestBatch, Loads, LoadFailures, Unloads             uint64
	WarmRequests                                                    uint64
	Evicted                                                         uint64        // unloads because memory was short
	QueueTime, RunTime                                              time.Duration // sums: over all requests that ended, and over all runs
}

// Model is served by workers that load once and stay warm.
type Model struct {
	handle       C.uintptr_t
	orchestrator *Orchestrator
	tenancy      *tenancy
	cleanup      runtime.Cleanup
}

// NewModel registers a model and begins to load its workers.
func NewModel[S any](orchestrator *Orchestrator, config ModelConfig[S]) (*Model, error) {
	var given arguments
	var c C.ostler_model_config
	if err := failure(C.ostler_go_model_config_init(&c)); err != nil {
		return nil, err
	}
	if config.Load == nil {
		given.refuse("Load is nil, but a model cannot do without it")
	}
	if config.Run == nil {
		given.refuse("Run is nil, but a model cannot do without it")
	}
	c.min_workers = given.count("MinWorkers", config.MinWorkers)
	c.max_workers = given.count("MaxWorkers", config.MaxWorkers)
	c.max_batch = given.count("MaxBatch", config.MaxBatch)
	c.queue_capacity = given.count("QueueCapacity", config.QueueCapacity)
	c.batch_wait_ns = given.span("BatchWait", config.BatchWait)
	c.idle_timeout_ns = given.span("IdleTimeout", config.IdleTimeout)
	c.memory_bytes = given.amount("MemoryBytes", config.MemoryBytes)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	crew := &crew[S]{config: config}
	id := models.add(crew)
	siblings := orchestrator.models
	crew.tenancy.end = func() { models.take(id) }
	created := C.ostler_go_model_create(orchestrator.handle, &c, C.uintptr_t(id))
	if err := failure(created.failure); err != nil {
		crew.tenancy.close()
		return nil, err
	}
	siblings.add(&crew.tenancy)
	model := &Model{handle: created.handle, orchestrator: orchestrator, tenancy: &crew.tenancy}
	model.cleanup = runtime.AddCleanup(model, func(model forgotten) {
		// On a goroutine of its own: it waits for the requests that are running.
		go func() { _ = closeModel(model.handle, model.tenancy, siblings) }()
	}, forgotten{created.handle, &crew.tenancy})
	return model, nil
}

func closeModel(handle C.uintptr_t, tenancy *tenancy, siblings *tenants) error {
	err := gone(failure(C.ostler_go_model_destroy(handle)))
	if err == nil {
		siblings.remove(tenancy)
		tenancy.close()
	}
	return err
}

// Close sheds what is queued, lets finish what is running, and unloads every worker.
func (m *Model) Close() error {
	err := closeModel(m.handle, m.tenancy, m.orchestrator.models)
	if err == nil {
		m.cleanup.Stop()
	}
	return err
}

// WaitReady waits until MinWorkers are loaded; when one cannot load, it fails with ErrLoadFailed and what Load said.
func (m *Model) WaitReady(ctx context.Context) error {
	err := await(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		return failure(C.ostler_go_model_wait_ready(m.handle, timeout, cancel))
	})
	runtime.KeepAlive(m)
	return err
}

// Submit hands a request over, or refuses it with ErrQueueFull.
func (m *Model) Submit(wanted Request) (*Ticket, error) {
	request, c, err := m.accept(wanted)
	if err != nil {
		return nil, err
	}
	submitted := C.ostler_go_model_submit(m.handle, c.priority, c.deadline_after_ns, c.input, c.input_bytes,
		c.output, c.output_capacity_bytes, c.id, c.input_buffers, c.input_buffer)
	if err := failure(submitted.failure); err != nil {
		refuse(c)
		return nil, err
	}
	return &Ticket{request: request, id: submitted.ticket}, nil
}

// SubmitN hands many requests over in one call. It stops at the first that is refused, and gives the tickets of those
// before it together with the error.
func (m *Model) SubmitN(wanted []Request) ([]*Ticket, error) {
	accepted := make([]*request, len(wanted))
	many := make([]C.ostler_go_request, len(wanted))
	for i := range wanted {
		var err error
		if accepted[i], many[i], err = m.accept(wanted[i]); err != nil {
			refuse(many[:i]...)
			return nil, err
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	ids := make([]C.uint64_t, len(wanted))
	submitted := C.ostler_go_model_submit_n(m.handle, &many[0], C.uint32_t(len(many)), &ids[0])
	refuse(many[submitted.accepted:]...)
	tickets := make([]*Ticket, submitted.accepted)
	for i := range tickets {
		tickets[i] = &Ticket{request: accepted[i], id: ids[i]}
	}
	return tickets, failure(submitted.failure)
}

// Stats is what the model holds, and what it has done up to now.
func (m *Model) Stats() (ModelStats, error) {
	var stats C.ostler_model_stats
	if err := failure(C.ostler_go_model_get_stats(m.handle, &stats)); err != nil {
		return ModelStats{}, err
	}
	runtime.KeepAlive(m)
	return ModelStats{
		Workers: int(stats.workers), IdleWorkers: int(stats.idle_workers), LoadingWorkers: int(stats.loading_workers),
		Queued: uint64(stats.queued), Running: uint64(stats.running), Accepted: uint64(stats.accepted),
		Completed: uint64(stats.completed), Failed: uint64(stats.failed), TimedOut: uint64(stats.timed_out),
		Cancelled: uint64(stats.cancelled), Shed: uint64(stats.shed), Refused: uint64(stats.refused),
		Batches: uint64(stats.batches), LargestBatch: uint64(stats.largest_batch), Loads: uint64(stats.loads),
		LoadFailures: uint64(stats.load_failures), Unloads: uint64(stats.unloads),
		WarmRequests: uint64(stats.warm_requests), Evicted: uint64(stats.evicted),
		QueueTime: duration(stats.queue_ns_total), RunTime: duration(stats.run_ns_total),
	}, nil
}

// crew keeps what the workers of a model have loaded.
type crew[S any] struct {
	config  ModelConfig[S]
	states  registry[S]
	tenancy tenancy
}

func (c *crew[S]) load(worker uint32) (id uintptr, err error) {
	c.tenancy.enter()
	err = guarded(func() error {
		state, err := c.config.Load(int(worker))
		if err == nil {
			id = c.states.add(state)
		}
		return err
	})
	if err != nil {
		c.tenancy.leave()
	}
	return id, err
}

func (c *crew[S]) run(id uintptr, items []*Item) error {
	state, _ := c.states.get(id)
	return guarded(func() error { return c.config.Run(state, items) })
}

func (c *crew[S]) unload(id uintptr) {
	defer c.tenancy.leave()
	if state, found := c.states.take(id); found && c.config.Unload != nil {
		unanswerable("Unload", func() { c.config.Unload(state) })
	}
}
