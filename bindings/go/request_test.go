package ostler

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestRequestWaitEndsWithItsContext(t *testing.T) {
	leavesNothing(t)
	gate := newGate()
	orchestrator := newOrchestrator(t, OrchestratorConfig{})
	model := newModel(t, orchestrator, ModelConfig[*engine]{Run: gate.run})
	ticket := submit(t, model, Request{Input: []byte("still"), Output: make([]byte, 9)})
	<-gate.entered
	_, err := ticket.Poll()
	failsWith(t, err, ErrNotReady)
	waitIsCancelled(t, func(ctx context.Context) error {
		_, err := ticket.Wait(ctx)
		return err
	})
	waitIsCancelled(t, func(ctx context.Context) error {
		without, err := orchestrator.Drain(ctx)
		if ctx.Err() == nil && without != 1 {
			t.Errorf("%d requests have no outcome: %v", without, err)
		}
		return err
	})
	_, err = model.Submit(Request{})
	failsWith(t, err, ErrClosed)
	close(gate.open)
	result, err := ticket.Wait(soon(t))
	succeeds(t, err)
	if string(result.Output) != "STILL" {
		t.Errorf("the result is %+v", result)
	}
}

func TestRequestIsCancelled(t *testing.T) {
	leavesNothing(t)
	entered, seen := make(chan struct{}), make(chan bool, 1)
	model := newModel(t, newOrchestrator(t, OrchestratorConfig{}), ModelConfig[*engine]{
		Run: func(_ *engine, items []*Item) error {
			close(entered)
			for begin := time.Now(); !items[0].Cancelled() && time.Since(begin) < patience; {
				time.Sleep(time.Millisecond)
			}
			seen <- items[0].Cancelled()
			return nil
		},
	})
	running := submit(t, model, Request{})
	<-entered
	var told atomic.Int32
	queued := submit(t, model, Request{OnComplete: func(result Result) {
		if result.Outcome == Cancelled && errors.Is(result.Err, ErrCancelled) {
			told.Add(1)
		}
	}})
	late := submit(t, model, Request{Deadline: 20 * time.Millisecond})
	succeeds(t, queued.Cancel())
	result, err := queued.Wait(soon(t))
	failsWith(t, err, ErrCancelled)
	if result.Outcome != Cancelled || told.Load() != 1 || errors.Is(err, context.Canceled) {
		t.Errorf("told %d times of %+v", told.Load(), result)
	}
	result, err = late.Wait(soon(t))
	failsWith(t, err, ErrDeadlineExceeded)
	if result.Outcome != TimedOut {
		t.Errorf("the result is %+v", result)
	}
	failsWith(t, running.Cancel(), ErrBusy)
	if !<-seen {
		t.Error("the running request was not told")
	}
	_, err = running.Wait(soon(t))
	succeeds(t, err)
	succeeds(t, running.Cancel())
}

func TestItemEndsWithItsRun(t *testing.T) {
	leavesNothing(t)
	kept := make(chan *Item, 1)
	model := newModel(t, newOrchestrator(t, OrchestratorConfig{}), ModelConfig[*engine]{
		Run: func(_ *engine, items []*Item) error {
			if items[0].Priority() != PriorityLow || len(items[0].Output()) != 0 || len(items[0].Input()) != 0 {
				return errors.New("the item is not the request")
			}
			kept <- items[0]
			return nil
		},
	})
	_, err := submit(t, model, Request{Priority: PriorityLow}).Wait(soon(t))
	succeeds(t, err)
	item := <-kept
	defer func() {
		if words := fmt.Sprint(recover()); !strings.Contains(words, "Run had returned") {
			t.Errorf("the late use says %q", words)
		}
	}()
	item.Output()
}

func TestRequestMemoryStaysWhereItIs(t *testing.T) {
	leavesNothing(t)
	gate := newGate()
	model := newModel(t, newOrchestrator(t, OrchestratorConfig{}), ModelConfig[*engine]{Run: gate.run})
	arena := newArena(t, ArenaConfig{})
	var tickets []*Ticket
	for at := range 20 {
		input, output := fmt.Appendf(nil, "page %d", at), make([]byte, 10)
		if at%2 == 0 { // memory of C will do as well
			fromArena, err := arena.Alloc(10, 0)
			succeeds(t, err)
			output = fromArena
		}
		tickets = append(tickets, submit(t, model, Request{Input: input, Output: output}))
	}
	for range 5 {
		runtime.GC()
		_ = make([]byte, 1<<20)
	}
	close(gate.open)
	for at, ticket := range tickets {
		result, err := ticket.Wait(soon(t))
		succeeds(t, err)
		if string(result.Output) != fmt.Sprintf("PAGE %d", at) {
			t.Errorf("request %d got %q", at, result.Output)
		}
	}
}

func TestManySubmittersOneOutcomeEach(t *testing.T) {
	leavesNothing(t)
	orchestrator := newOrchestrator(t, OrchestratorConfig{})
	model := newModel(t, orchestrator, ModelConfig[*engine]{MinWorkers: 2, MaxBatch: 8, QueueCapacity: 4096})
	var outcomes [Shed + 1]atomic.Int64
	var group sync.WaitGroup
	const submitters, each = 8, 200
	for range submitters {
		group.Add(1)
		go func() {
			defer group.Done()
			for at := range each {
				var once atomic.Int32
				ticket, err := model.Submit(Request{
					Priority: Priority(at % 6), Deadline: time.Duration(at%3) * time.Millisecond,
					Input: []byte("a"), Output: make([]byte, 1),
					OnComplete: func(result Result) {
						once.Add(1)
						outcomes[result.Outcome].Add(1)
					},
				})
				if err != nil {
					t.Error(err)
					return
				}
				if at%5 == 0 {
					_ = ticket.Cancel()
				}
				_, _ = ticket.Wait(context.Background())
				if once.Load() != 1 {
					t.Errorf("%d outcomes of one request", once.Load())
				}
			}
		}()
	}
	group.Wait()
	_, err := orchestrator.Drain(soon(t))
	succeeds(t, err)
	stats, err := orchestrator.Stats()
	succeeds(t, err)
	for outcome, told := range map[Outcome]uint64{
		Completed: stats.Completed, Failed: stats.Failed, TimedOut: stats.TimedOut, Cancelled: stats.Cancelled,
		Shed: stats.Shed,
	} {
		if got := uint64(outcomes[outcome].Load()); got != told {
			t.Errorf("%d have %v and the library counts %d", got, outcome, told)
		}
	}
	if stats.Accepted != submitters*each || stats.Failed+stats.Shed != 0 {
		t.Errorf("stats are %+v", stats)
	}
}

// halves hands back the second half of a request's buffer, or a buffer of its own when there is none.
func halves(buffers *Buffers) func(*engine, []*Item) error {
	return func(_ *engine, items []*Item) error {
		for _, item := range items {
			input := item.Buffer()
			var part Buffer
			var err error
			if len(input.Bytes()) == 0 {
				part, err = buffers.Get(5)
			} else {
				part, err = input.Slice(len(input.Bytes())/2, len(input.Bytes())-len(input.Bytes())/2)
			}
			if err != nil {
				return err
			}
			item.HandOver(part)
			if string(item.Input()) == "bad word" {
				item.Fail(errors.New("bad word"))
			}
		}
		return nil
	}
}

func inUse(t *testing.T, buffers *Buffers) uint64 {
	t.Helper()
	stats, err := buffers.Stats()
	succeeds(t, err)
	return stats.InUse
}

func TestRequestTakesABufferAlongAndBringsOneBack(t *testing.T) {
	leavesNothing(t)
	buffers, err := NewBuffers(BuffersConfig{})
	succeeds(t, err)
	closes(t, buffers)
	orchestrator := newOrchestrator(t, OrchestratorConfig{})
	model := newModel(t, orchestrator, ModelConfig[*engine]{Run: halves(buffers), MaxBatch: 8})
	request := func(words string) Request {
		input, err := buffers.Get(len(words))
		succeeds(t, err)
		copy(input.Bytes(), words)
		return Request{Buffer: input}
	}

	one := request("hello, world")
	ticket := submit(t, model, one)
	// The request has a reference of its own.
	succeeds(t, one.Buffer.Release())
	for range 2 {
		result, err := ticket.Wait(soon(t))
		succeeds(t, err)
		if string(result.Buffer.Bytes()) != " world" {
			t.Errorf("%q came back", result.Buffer.Bytes())
		}
	}
	result, err := ticket.Poll()
	succeeds(t, err)
	runtime.GC()
	succeeds(t, result.Buffer.Release())
	failsWith(t, result.Buffer.Release(), ErrStaleBuffer)

	// A completion takes it, too.
	brought := make(chan Buffer, 1)
	one = request("completed")
	one.OnComplete = func(result Result) { brought <- result.Buffer }
	submit(t, model, one)
	buffer := <-brought
	if string(buffer.Bytes()) != "leted" {
		t.Errorf("%q came back", buffer.Bytes())
	}
	succeeds(t, buffer.Release())
	succeeds(t, one.Buffer.Release())

	// Without a buffer, many at once, and when the request fails.
	bad, short := request("bad word"), request("or")
	many, err := model.SubmitN([]Request{{}, bad, short})
	succeeds(t, err)
	for i, ticket := range many {
		result, err := ticket.Wait(soon(t))
		if i == 1 {
			failsWith(t, err, ErrCallbackFailed)
		} else {
			succeeds(t, err)
			succeeds(t, result.Buffer.Release())
		}
		if wanted := []int{5, 0, 1}[i]; len(result.Buffer.Bytes()) != wanted {
			t.Errorf("request %d brought %d bytes", i, len(result.Buffer.Bytes()))
		}
	}
	succeeds(t, bad.Buffer.Release())
	succeeds(t, short.Buffer.Release())

	// Not both, and not one that is gone.
	one = request("twice")
	one.Input = []byte("twice")
	_, err = model.Submit(one)
	failsWith(t, err, ErrInvalidArgument)
	succeeds(t, one.Buffer.Release())
	_, err = model.Submit(Request{Buffer: one.Buffer})
	failsWith(t, err, ErrStaleBuffer)
	eventually(t, "every reference is back", func() bool { return inUse(t, buffers) == 0 })
}

func TestOutcomeThatNobodyTakesGivesItsBufferBack(t *testing.T) {
	leavesNothing(t)
	buffers, err := NewBuffers(BuffersConfig{})
	succeeds(t, err)
	closes(t, buffers)
	orchestrator := newOrchestrator(t, OrchestratorConfig{})
	model := newModel(t, orchestrator, ModelConfig[*engine]{Run: halves(buffers)})
	func() {
		dropped := submit(t, model, Request{})
		<-dropped.Done()
		if inUse(t, buffers) != 1 {
			t.Error("nothing came")
		}
	}()
	collected(t, "the buffer is back", func() bool { return inUse(t, buffers) == 0 })
}

func TestWhatIsHandedOverTwiceIsReleasedOnce(t *testing.T) {
	leavesNothing(t)
	buffers, err := NewBuffers(BuffersConfig{})
	succeeds(t, err)
	closes(t, buffers)
	model := newModel(t, newOrchestrator(t, OrchestratorConfig{}), ModelConfig[*engine]{
		Run: func(_ *engine, items []*Item) error {
			for size := 1; size < 4; size++ {
				buffer, err := buffers.Get(size)
				if err != nil {
					return err
				}
				items[0].HandOver(buffer)
			}
			return nil
		},
	})
	result, err := submit(t, model, Request{}).Wait(soon(t))
	succeeds(t, err)
	if len(result.Buffer.Bytes()) != 3 || inUse(t, buffers) != 1 {
		t.Errorf("%d bytes came, %d buffers are in use", len(result.Buffer.Bytes()), inUse(t, buffers))
	}
	succeeds(t, result.Buffer.Release())
}
