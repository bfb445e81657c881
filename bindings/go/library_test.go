package ostler

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// journal keeps what was logged.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) write(level LogLevel, message string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, level.String()+" "+message)
}

func (j *journal) has(words ...string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}

func (j *journal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.lines)
}

// failToLoad makes the library and this package say one line each.
func failToLoad(t *testing.T) {
	t.Helper()
	orchestrator, err := NewOrchestrator(OrchestratorConfig{})
	succeeds(t, err)
	model, err := NewModel(orchestrator, ModelConfig[*engine]{
		Name: "leaky", Run: upper, Load: func(int) (*engine, error) { panic("the weights leak") },
	})
	succeeds(t, err)
	failsWith(t, model.WaitReady(soon(t)), ErrLoadFailed)
	succeeds(t, orchestrator.Close())
	succeeds(t, model.Close())
	pool, err := NewPool(PoolConfig[int]{
		Create: func() (int, error) { return 0, nil }, Destroy: func(int) { panic("the drain is blocked") },
	})
	succeeds(t, err)
	lease, err := pool.Acquire(soon(t))
	succeeds(t, err)
	succeeds(t, lease.Discard())
	succeeds(t, pool.Close())
}

func TestLogSaysWhatTheLibraryAndCallbacksSay(t *testing.T) {
	leavesNothing(t)
	var first, second journal
	t.Cleanup(func() { succeeds(t, SetLog(0, nil)) })
	succeeds(t, SetLog(LogDebug, first.write))
	failToLoad(t)
	eventually(t, "both lines are in the log", func() bool {
		return first.has("warn", "leaky", "the weights leak") && first.has("error", "Destroy", "the drain is blocked")
	})

	succeeds(t, SetLog(LogError, second.write))
	before := first.len()
	failToLoad(t)
	succeeds(t, SetLog(0, nil))
	if first.len() != before {
		t.Error("a log that was replaced is still written to")
	}
	if second.has("warn") || !second.has("error", "the drain is blocked") {
		t.Errorf("a log of errors alone has %q", second.lines)
	}
	var third journal
	succeeds(t, SetLog(LogWarn, third.write))
	failToLoad(t)
	succeeds(t, SetLog(0, nil))
	if !third.has("warn", "the weights leak") {
		t.Errorf("SetLog did not wait for what was said before: %q", third.lines)
	}
	failToLoad(t)
	if second.has("warn") {
		t.Error("a log that was taken away is still written to")
	}

	succeeds(t, SetLog(LogDebug, func(LogLevel, string) { panic("the log is full") }))
	failToLoad(t)
	failsWith(t, SetLog(99, second.write), ErrInvalidArgument)
}

func TestShutdownTakesEverything(t *testing.T) {
	leavesNothing(t)
	var count counted
	pool := newPool(t, count.config())
	lease := acquire(t, pool)
	arena, err := NewArena(ArenaConfig{})
	succeeds(t, err)
	orchestrator := newOrchestrator(t, OrchestratorConfig{})
	model := newModel(t, orchestrator, ModelConfig[*engine]{})
	ticket := submit(t, model, Request{Input: []byte("a"), Output: make([]byte, 1)})

	short, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	out, err := Shutdown(short)
	failsWith(t, err, ErrTimeout)
	failsWith(t, err, context.DeadlineExceeded)
	if out != 1 {
		t.Errorf("with one lease out, %d objects remain", out)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	out, err = Shutdown(ended)
	failsWith(t, err, ErrCancelled)
	failsWith(t, err, context.Canceled)
	if out != 1 {
		t.Errorf("with one lease out, %d objects remain", out)
	}
	succeeds(t, lease.Release())
	out, err = Shutdown(soon(t))
	succeeds(t, err)
	if out != 0 || count.created.Load() != count.destroyed.Load() {
		t.Errorf("%d objects remain; %d created and %d destroyed", out, count.created.Load(), count.destroyed.Load())
	}
	select {
	case <-ticket.Done():
	default:
		t.Error("a request has no outcome")
	}
	_, err = arena.Alloc(8, 0)
	failsWith(t, err, ErrInvalidHandle)
	_, err = pool.TryAcquire()
	failsWith(t, err, ErrInvalidHandle)
	succeeds(t, arena.Close())

	again := newPool(t, count.config())
	succeeds(t, acquire(t, again).Release())
}

func TestDrainClosesForAContextThatHasEnded(t *testing.T) {
	leavesNothing(t)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	late, release := context.WithTimeout(context.Background(), 0)
	defer release()
	drains := func(drain func(context.Context) (uint64, error)) {
		t.Helper()
		left, err := drain(ended)
		failsWith(t, err, ErrCancelled, context.Canceled)
		if left != 1 || !strings.Contains(err.Error(), "the wait was cancelled") {
			t.Errorf("%d are left: %v", left, err)
		}
		_, err = drain(late)
		failsWith(t, err, ErrTimeout, context.DeadlineExceeded)
	}

	var count counted
	pool := newPool(t, count.config())
	lease := acquire(t, pool)
	drains(pool.Drain)
	_, err := pool.TryAcquire()
	failsWith(t, err, ErrClosed)
	succeeds(t, lease.Release())
	// There is nothing to wait for any more.
	_, err = pool.Drain(ended)
	succeeds(t, err)

	arena := newArena(t, ArenaConfig{})
	cursor, err := arena.OpenCursor()
	succeeds(t, err)
	drains(arena.Drain)
	_, err = arena.Alloc(8, 0)
	failsWith(t, err, ErrClosed)
	succeeds(t, cursor.Close())

	gate := newGate()
	orchestrator := newOrchestrator(t, OrchestratorConfig{})
	model := newModel(t, orchestrator, ModelConfig[*engine]{Run: gate.run})
	ticket := submit(t, model, Request{})
	<-gate.entered
	drains(orchestrator.Drain)
	_, err = model.Submit(Request{})
	failsWith(t, err, ErrClosed)
	close(gate.open)
	_, err = ticket.Wait(soon(t))
	succeeds(t, err)
}
