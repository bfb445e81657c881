package ostler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// engine is what a worker of the tests keeps loaded.
type engine struct{ worker int }

// upper answers with the input in capitals, and fails what begins with "bad".
func upper(_ *engine, items []*Item) error {
	for _, item := range items {
		if bytes.HasPrefix(item.Input(), []byte("bad")) {
			item.Fail(fmt.Errorf("%q: %w", item.Input(), io.ErrUnexpectedEOF))
			continue
		}
		item.Answer(bytes.ToUpper(item.Input()))
	}
	return nil
}

func loads(worker int) (*engine, error) { return &engine{worker}, nil }

func newOrchestrator(t *testing.T, config OrchestratorConfig) *Orchestrator {
	t.Helper()
	orchestrator, err := NewOrchestrator(config)
	succeeds(t, err)
	closes(t, orchestrator)
	return orchestrator
}

func newModel(t *testing.T, orchestrator *Orchestrator, config ModelConfig[*engine]) *Model {
	t.Helper()
	if config.Load == nil {
		config.Load = loads
	}
	if config.Run == nil {
		config.Run = upper
	}
	model, err := NewModel(orchestrator, config)
	succeeds(t, err)
	closes(t, model)
	return model
}

// gate is a model whose Run waits until it is let go.
type gate struct {
	entered chan struct{}
	open    chan struct{}
}

func newGate() *gate { return &gate{entered: make(chan struct{}, 1000), open: make(chan struct{})} }

func (g *gate) run(state *engine, items []*Item) error {
	g.entered <- struct{}{}
	<-g.open
	return upper(state, items)
}

func submit(t *testing.T, model *Model, request Request) *Ticket {
	t.Helper()
	ticket, err := model.Submit(request)
	succeeds(t, err)
	return ticket
}

func TestModelAnswers(t *testing.T) {
	leavesNothing(t)
	orchestrator := newOrchestrator(t, OrchestratorConfig{Name: "house"})
	model := newModel(t, orchestrator, ModelConfig[*engine]{Name: "upper", MinWorkers: 2, MaxBatch: 4})
	succeeds(t, model.WaitReady(soon(t)))
	output := make([]byte, 100)
	ticket := submit(t, model, Request{Priority: PriorityHigh, Input: []byte("warm"), Output: output})
	result, err := ticket.Wait(soon(t))
	succeeds(t, err)
	if string(result.Output) != "WARM" || &result.Output[0] != &output[0] || result.Outcome != Completed ||
		result.BatchSize != 1 {
		t.Errorf("the result is %+v", result)
	}
	again, err := ticket.Poll()
	succeeds(t, err)
	if string(again.Output) != "WARM" {
		t.Errorf("asked again, the result is %+v", again)
	}
	succeeds(t, ticket.Cancel())

	_, err = submit(t, model, Request{Input: []byte("bad page"), Output: output}).Wait(soon(t))
	failsWith(t, err, ErrCallbackFailed, io.ErrUnexpectedEOF)
	if !strings.Contains(err.Error(), "bad page") {
		t.Errorf("%q does not say what failed", err)
	}
	_, err = submit(t, model, Request{Input: []byte("too long for the output"), Output: output[:3]}).Wait(soon(t))
	failsWith(t, err, ErrCallbackFailed)

	_, err = orchestrator.Drain(soon(t))
	succeeds(t, err)
	stats, err := model.Stats()
	succeeds(t, err)
	if stats.Accepted != 3 || stats.Completed != 1 || stats.Failed != 2 || stats.Loads != 2 {
		t.Errorf("stats are %+v", stats)
	}
	all, err := orchestrator.Stats()
	succeeds(t, err)
	if all.Models != 1 || all.Accepted != 3 || all.Untaken != 0 {
		t.Errorf("stats of the orchestrator are %+v", all)
	}
}

func TestModelTakesManyAtOnce(t *testing.T) {
	leavesNothing(t)
	const count = 300 // more than cross to the library in one go
	gate := newGate()
	model := newModel(t, newOrchestrator(t, OrchestratorConfig{}), ModelConfig[*engine]{MaxBatch: 16, Run: gate.run})
	close(gate.open)
	requests := make([]Request, count)
	for at := range requests {
		requests[at] = Request{Input: fmt.Appendf(nil, "page %d", at), Output: make([]byte, 16)}
	}
	tickets, err := model.SubmitN(requests)
	succeeds(t, err)
	if len(tickets) != count {
		t.Fatalf("%d tickets for %d requests", len(tickets), count)
	}
	largest := 0
	for at, ticket := range tickets {
		result, err := ticket.Wait(soon(t))
		succeeds(t, err)
		if wanted := fmt.Sprintf("PAGE %d", at); string(result.Output) != wanted {
			t.Fatalf("request %d got %q", at, result.Output)
		}
		largest = max(largest, result.BatchSize)
	}
	if largest < 2 || largest > 16 {
		t.Errorf("the largest batch had %d requests", largest)
	}
	none, err := model.SubmitN(nil)
	succeeds(t, err)
	if len(none) != 0 {
		t.Error("tickets for nothing")
	}
	_, err = model.SubmitN([]Request{{}, {Deadline: -1}})
	failsWith(t, err, ErrInvalidArgument)
}

func TestModelRefusesWhatItHasNoRoomFor(t *testing.T) {
	leavesNothing(t)
	gate := newGate()
	model := newModel(t, newOrchestrator(t, OrchestratorConfig{}), ModelConfig[*engine]{QueueCapacity: 100, Run: gate.run})
	running := submit(t, model, Request{})
	<-gate.entered
	tickets, err := model.SubmitN(make([]Request, 150))
	failsWith(t, err, ErrQueueFull)
	if len(tickets) != 100 {
		t.Errorf("%d tickets for 100 places", len(tickets))
	}
	_, err = model.Submit(Request{})
	failsWith(t, err, ErrQueueFull)
	if got := requests.len(); got != 101 {
		t.Errorf("%d requests are registered for 101 that were accepted", got)
	}
	_, err = model.Submit(Request{Priority: 9})
	failsWith(t, err, ErrInvalidArgument)
	// Each ticket is that of its own request.
	last := tickets[len(tickets)-1]
	succeeds(t, last.Cancel())
	_, err = last.Wait(soon(t))
	failsWith(t, err, ErrCancelled)
	close(gate.open)
	for _, ticket := range append(tickets[:len(tickets)-1], running) {
		_, err := ticket.Wait(soon(t))
		succeeds(t, err)
	}
}

func TestRequestsAreShedAtTheEnd(t *testing.T) {
	leavesNothing(t)
	gate := newGate()
	var unloaded atomic.Int32
	orchestrator := newOrchestrator(t, OrchestratorConfig{})
	model := newModel(t, orchestrator, ModelConfig[*engine]{
		MinWorkers: 1, Run: gate.run, Unload: func(*engine) { unloaded.Add(1) },
	})
	running := submit(t, model, Request{Input: []byte("x"), Output: make([]byte, 1)})
	<-gate.entered
	queued := submit(t, model, Request{})
	closed := make(chan error)
	go func() { closed <- orchestrator.Close() }()
	result, err := queued.Wait(soon(t))
	failsWith(t, err, ErrShed)
	if result.Outcome != Shed {
		t.Errorf("the result is %+v", result)
	}
	close(gate.open)
	succeeds(t, <-closed)
	if _, err := running.Poll(); err != nil {
		t.Errorf("after the end a request that ran has: %v", err)
	}
	if unloaded.Load() != 1 {
		t.Errorf("%d workers unloaded", unloaded.Load())
	}
	_, err = model.Submit(Request{})
	failsWith(t, err, ErrInvalidHandle)
	succeeds(t, running.Cancel())
}

func TestModelSurvivesItsCallbacks(t *testing.T) {
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			says := func(err error) {
				t.Helper()
				if !strings.Contains(err.Error(), wordsOfFailures[name]) {
					t.Errorf("%q does not say %q", err, wordsOfFailures[name])
				}
			}
			orchestrator := newOrchestrator(t, OrchestratorConfig{})
			dead := newModel(t, orchestrator, ModelConfig[*engine]{Load: func(int) (*engine, error) { return nil, fail() }})
			err := dead.WaitReady(soon(t))
			failsWith(t, err, ErrLoadFailed)
			says(err)

			var healthy atomic.Bool
			model := newModel(t, orchestrator, ModelConfig[*engine]{
				MaxBatch: 3,
				Run: func(state *engine, items []*Item) error {
					if healthy.Load() {
						return upper(state, items)
					}
					if string(items[0].Input()) == "own" {
						items[0].Fail(io.EOF)
					}
					return fail()
				},
				Unload: func(*engine) {
					if err := fail(); err != nil {
						panic(err)
					}
				},
			})
			_, err = submit(t, model, Request{Input: []byte("x"), OnComplete: func(Result) {
				if err := fail(); err != nil {
					panic(err)
				}
			}}).Wait(soon(t))
			failsWith(t, err, ErrCallbackFailed)
			says(err)
			var thrown *PanicError
			if isError := name == "error" || name == "rude error" || name == "latin-1"; errors.As(err, &thrown) == isError {
				t.Errorf("%v is a panic and should not be, or the other way round", err)
			}
			if thrown != nil && !bytes.Contains(thrown.Stack, []byte("model_test.go")) {
				t.Errorf("the stack is %s", thrown.Stack)
			}
			_, err = submit(t, model, Request{Input: []byte("own")}).Wait(soon(t))
			failsWith(t, err, ErrCallbackFailed, io.EOF)

			healthy.Store(true)
			result, err := submit(t, model, Request{Input: []byte("well"), Output: make([]byte, 4)}).Wait(soon(t))
			succeeds(t, err)
			if string(result.Output) != "WELL" {
				t.Errorf("afterwards the result is %+v", result)
			}
		})
	}
}

func TestWaitReadyEndsWithItsContext(t *testing.T) {
	leavesNothing(t)
	loading := make(chan struct{})
	model := newModel(t, newOrchestrator(t, OrchestratorConfig{}), ModelConfig[*engine]{
		Load: func(worker int) (*engine, error) {
			<-loading
			return loads(worker)
		},
	})
	waitIsCancelled(t, func(ctx context.Context) error { return model.WaitReady(ctx) })
	close(loading)
	succeeds(t, model.WaitReady(soon(t)))
}

func TestModelCallbackMayUseTheOrchestrator(t *testing.T) {
	leavesNothing(t)
	var model *Model
	var orchestrator *Orchestrator
	var inner *Ticket
	model2 := make(chan *Model, 1)
	orchestrator = newOrchestrator(t, OrchestratorConfig{})
	model = newModel(t, orchestrator, ModelConfig[*engine]{Run: func(state *engine, items []*Item) error {
		if string(items[0].Input()) != "outer" {
			return upper(state, items)
		}
		own := <-model2
		for _, closing := range []error{own.Close(), orchestrator.Close()} {
			if !errors.Is(closing, ErrWouldDeadlock) {
				return fmt.Errorf("closing inside gives %v", closing)
			}
		}
		var err error
		inner, err = own.Submit(Request{Input: []byte("inner"), Output: make([]byte, 5)})
		return err
	}})
	model2 <- model
	_, err := submit(t, model, Request{Input: []byte("outer")}).Wait(soon(t))
	succeeds(t, err)
	result, err := inner.Wait(soon(t))
	succeeds(t, err)
	if string(result.Output) != "INNER" {
		t.Errorf("the result is %+v", result)
	}
}

func TestOrchestratorTakesItsModelsAlong(t *testing.T) {
	leavesNothing(t)
	orchestrator, err := NewOrchestrator(OrchestratorConfig{})
	succeeds(t, err)
	model, err := NewModel(orchestrator, ModelConfig[*engine]{Load: loads, Run: upper})
	succeeds(t, err)
	succeeds(t, model.WaitReady(soon(t)))
	succeeds(t, orchestrator.Close())
	if got := models.len(); got != 0 {
		t.Errorf("%d models are registered after their orchestrator went", got)
	}
	succeeds(t, model.Close())
}

func TestForgottenOrchestratorIsClosed(t *testing.T) {
	leavesNothing(t)
	var unloaded atomic.Int32
	func() {
		orchestrator, err := NewOrchestrator(OrchestratorConfig{})
		succeeds(t, err)
		model, err := NewModel(orchestrator, ModelConfig[*engine]{
			Load: loads, Run: upper, Unload: func(*engine) { unloaded.Add(1) },
		})
		succeeds(t, err)
		succeeds(t, model.WaitReady(soon(t)))
		ticket := submit(t, model, Request{Input: []byte("a"), Output: make([]byte, 1)})
		model, orchestrator = nil, nil
		runtime.GC()
		_, err = ticket.Wait(soon(t))
		succeeds(t, err)
	}()
	collected(t, "the forgotten model is unloaded", func() bool { return unloaded.Load() == 1 })
}

func BenchmarkRoundTrip(b *testing.B) {
	orchestrator, err := NewOrchestrator(OrchestratorConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer orchestrator.Close()
	model, err := NewModel(orchestrator, ModelConfig[*engine]{Load: loads, Run: upper})
	if err != nil {
		b.Fatal(err)
	}
	request := Request{Input: []byte("a"), Output: make([]byte, 1)}
	b.ReportAllocs()
	for b.Loop() {
		ticket, err := model.Submit(request)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ticket.Wait(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
