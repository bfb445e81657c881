package ostler

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"
)

func freezeClock(t *testing.T) *Clock {
	t.Helper()
	clock, err := FreezeClock()
	succeeds(t, err)
	t.Cleanup(func() { succeeds(t, clock.Thaw()) })
	return clock
}

func numbers(config PoolConfig[int]) PoolConfig[int] {
	config.Create = func() (int, error) { return 7, nil }
	return config
}

func leaseOnce(t *testing.T, pool *Pool[int]) {
	t.Helper()
	lease, err := pool.Acquire(soon(t))
	succeeds(t, err)
	succeeds(t, lease.Release())
}

func TestFrozenClockIsMovedByHand(t *testing.T) {
	leavesNothing(t)
	clock := freezeClock(t)
	pool := newPool(t, numbers(PoolConfig[int]{IdleTimeout: time.Hour}))
	leaseOnce(t, pool)
	succeeds(t, clock.Pass(soon(t), 59*time.Minute))
	stats, err := pool.Stats()
	succeeds(t, err)
	if stats.Idle != 1 {
		t.Errorf("%d are idle after 59 minutes", stats.Idle)
	}
	succeeds(t, clock.Pass(soon(t), 31*time.Minute))
	stats, err = pool.Stats()
	succeeds(t, err)
	if stats.DestroyedIdle != 1 {
		t.Errorf("%d went after 90 minutes", stats.DestroyedIdle)
	}
	failsWith(t, clock.Advance(-1), ErrInvalidArgument)
	done, cancel := context.WithCancel(context.Background())
	cancel()
	failsWith(t, clock.Settle(done), ErrCancelled, context.Canceled)
	succeeds(t, clock.Thaw())
	succeeds(t, clock.Thaw())
}

func TestPoolCallbackFailsByInjection(t *testing.T) {
	leavesNothing(t)
	pool := newPool(t, numbers(PoolConfig[int]{}))
	injection, err := pool.Inject(Fault{Callback: FaultyCreate, First: 1, Fails: ErrLimit})
	succeeds(t, err)
	_, err = pool.Acquire(soon(t))
	failsWith(t, err, ErrCreateFailed)
	leaseOnce(t, pool)
	done, err := injection.Done()
	succeeds(t, err)
	if done != (Injected{Calls: 2, Failures: 1}) {
		t.Errorf("it did %+v", done)
	}
	succeeds(t, injection.Clear())
	_, err = pool.Inject(Fault{Callback: FaultyCreate, First: -1, Fails: ErrLimit})
	failsWith(t, err, ErrInvalidArgument)
	_, err = pool.Inject(Fault{Callback: FaultyRun, First: 1, Fails: ErrLimit})
	failsWith(t, err, ErrInvalidArgument)
}

func TestRunIsSlowByTheClock(t *testing.T) {
	leavesNothing(t)
	clock := freezeClock(t)
	orchestrator := newOrchestrator(t, OrchestratorConfig{})
	model := newModel(t, orchestrator, ModelConfig[*engine]{
		Load: loads,
		Run:  func(*engine, []*Item) error { return nil },
	})
	injection, err := model.Inject(Fault{Callback: FaultyRun, Every: 1, Takes: 10 * time.Minute})
	succeeds(t, err)
	ticket := submit(t, model, Request{})
	succeeds(t, clock.Settle(soon(t)))
	done, err := injection.Done()
	succeeds(t, err)
	if done.Delays != 1 {
		t.Errorf("it did %+v", done)
	}
	succeeds(t, clock.Pass(soon(t), 10*time.Minute))
	result, err := ticket.Wait(soon(t))
	succeeds(t, err)
	if result.RunTime != 10*time.Minute {
		t.Errorf("it ran for %v", result.RunTime)
	}
	succeeds(t, injection.Clear())
}

func TestBuildFailsByInjection(t *testing.T) {
	leavesNothing(t)
	templates := newTemplates(t, TemplatesConfig{})
	injection, err := templates.Inject(Fault{Callback: FaultyBuild, First: 1, Fails: ErrLimit})
	succeeds(t, err)
	_, err = templates.Copy(soon(t), "ab")
	failsWith(t, err, ErrBuildFailed)
	instance, err := templates.Copy(soon(t), "ab")
	succeeds(t, err)
	if string(instance) != "abab" {
		t.Errorf("got %q", instance)
	}
	done, err := injection.Done()
	succeeds(t, err)
	if done != (Injected{Calls: 2, Failures: 1}) {
		t.Errorf("it did %+v", done)
	}
	succeeds(t, injection.Clear())
	_, err = templates.Inject(Fault{Callback: FaultyRun, First: 1, Fails: ErrLimit})
	failsWith(t, err, ErrInvalidArgument)
}

func TestSameSeedGivesTheSameChance(t *testing.T) {
	leavesNothing(t)
	// Which of many templates stay where there is room for some is chance.
	survivors := func(seed uint64) string {
		succeeds(t, SeedChance(seed))
		defer func() { succeeds(t, UnseedChance()) }()
		templates := newTemplates(t, TemplatesConfig{MaxTemplates: 500})
		var kept strings.Builder
		for key := range 1000 {
			_, err := templates.Copy(soon(t), strconv.Itoa(key))
			succeeds(t, err)
		}
		for key := range 1000 {
			version, err := templates.Version(strconv.Itoa(key))
			succeeds(t, err)
			if version != 0 {
				kept.WriteString(strconv.Itoa(key) + " ")
			}
		}
		return kept.String()
	}
	if one, again := survivors(7), survivors(7); one != again {
		t.Errorf("the same seed kept %s and then %s", one, again)
	}
	if one, other := survivors(7), survivors(8); one == other {
		t.Errorf("two seeds kept the same: %s", one)
	}
}
