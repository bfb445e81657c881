package ostler

import (
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const mib = 1 << 20

func governed(t *testing.T, config GovernorConfig) {
	t.Helper()
	succeeds(t, ConfigureGovernor(config))
	t.Cleanup(func() { succeeds(t, ForgetGovernor()) })
}

func TestGovernorRefusesAndNamesWhoHolds(t *testing.T) {
	before, err := GetGovernorStats()
	succeeds(t, err)
	governed(t, GovernorConfig{LimitBytes: before.HeldBytes + 32*mib, CriticalPercent: 100})
	cache, err := NewAccount(AccountConfig{Name: "go cache"})
	succeeds(t, err)
	defer cache.Close()
	succeeds(t, cache.Reserve(30*mib))
	if err := cache.Reserve(3 * mib); !errors.Is(err, ErrMemoryPressure) || !strings.Contains(err.Error(), `"go cache" 30 MiB`) {
		t.Errorf("got %v", err)
	}
	accounts, err := GovernorAccounts()
	succeeds(t, err)
	if accounts[0].Name != "go cache" || accounts[0].HeldBytes != 30*mib {
		t.Errorf("the largest is %+v", accounts[0])
	}
	succeeds(t, cache.Release(30*mib))
	succeeds(t, cache.Report(mib))
	stats, err := cache.Stats()
	succeeds(t, err)
	if stats != (AccountStats{HeldBytes: mib, ReportedBytes: mib, PeakBytes: 30 * mib}) {
		t.Errorf("the account is %+v", stats)
	}
	if err := ConfigureGovernor(GovernorConfig{Tick: -1}); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("got %v", err)
	}
}

func TestGovernorTellsOfLevelsAndAsksMemoryBack(t *testing.T) {
	before, err := GetGovernorStats()
	succeeds(t, err)
	var held, calls atomic.Int64
	var account *Account
	account, err = NewAccount(AccountConfig{Name: "frees", Cost: ReclaimLazy, Reclaim: func(bytes uint64) (uint64, error) {
		if calls.Add(1) == 1 {
			panic("not now")
		}
		gives := min(bytes, uint64(held.Load()))
		held.Add(-int64(gives))
		return gives, account.Release(gives)
	}})
	succeeds(t, err)
	defer account.Close()
	succeeds(t, account.Reserve(40*mib))
	held.Store(40 * mib)
	changes := make(chan LevelChange, 64)
	stop, err := WatchLevel(func(change LevelChange) { changes <- change })
	succeeds(t, err)
	governed(t, GovernorConfig{LimitBytes: before.HeldBytes + 45*mib, Tick: 10 * time.Millisecond, CoolDown: 1})
	if change := <-changes; change.Level != LevelHigh || change.Pressure != PressureLimit {
		t.Errorf("told of %+v", change)
	}
	eventually(t, "memory was asked back", func() bool {
		stats, err := GetGovernorStats()
		return err == nil && stats.Level < LevelHigh && calls.Load() >= 2
	})
	succeeds(t, stop())
	succeeds(t, stop())
	left := uint64(held.Load())
	freed, from, err := Reclaim(math.MaxUint64, ReclaimWorker)
	succeeds(t, err)
	if last := from[len(from)-1]; freed < left || last.From.Name != "frees" || last.FreedBytes != left {
		t.Errorf("freed %d of %d: %+v", freed, left, from)
	}
}

func TestMemoryLimitOfGoFollowsWhatTheLibraryHolds(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	stats, err := GetGovernorStats()
	succeeds(t, err)
	account, err := NewAccount(AccountConfig{Name: "beside Go"})
	succeeds(t, err)
	defer account.Close()
	stop := FollowMemoryLimit(int64(stats.HeldBytes)+1024*mib, 5*time.Millisecond)
	defer stop()
	eventually(t, "the limit is what is left", func() bool { return debug.SetMemoryLimit(-1) == 1024*mib })
	succeeds(t, account.Report(600*mib))
	eventually(t, "the limit is what is left of it", func() bool { return debug.SetMemoryLimit(-1) == 424*mib })
	succeeds(t, account.Report(1020*mib))
	eventually(t, "a quarter is left to Go", func() bool {
		return debug.SetMemoryLimit(-1) == (int64(stats.HeldBytes)+1024*mib)/4
	})
	stop()
	if after := debug.SetMemoryLimit(-1); after != before {
		t.Errorf("the limit was %d and is %d", before, after)
	}
}

func TestGovernorSendsIdleWorkersHome(t *testing.T) {
	leavesNothing(t)
	const workerBytes = 1 << 20
	gate := newGate()
	var unloaded atomic.Int64
	model := newModel(t, newOrchestrator(t, OrchestratorConfig{}), ModelConfig[*engine]{
		MinWorkers: 1, MaxWorkers: 3, MemoryBytes: workerBytes, Run: gate.run,
		Unload: func(*engine) { unloaded.Add(1) },
	})
	var tickets []*Ticket
	for range 3 {
		tickets = append(tickets, submit(t, model, Request{Input: []byte("a"), Output: make([]byte, 1)}))
	}
	for range 3 {
		<-gate.entered
	}
	if freed, _, err := Reclaim(1<<40, ReclaimWorker); err != nil || freed != 0 {
		t.Errorf("%d bytes of busy workers were freed: %v", freed, err)
	}
	close(gate.open)
	for _, ticket := range tickets {
		_, err := ticket.Wait(soon(t))
		succeeds(t, err)
	}
	eventually(t, "all three are idle", func() bool {
		stats, err := model.Stats()
		return err == nil && stats.IdleWorkers == 3
	})
	if freed, _, err := Reclaim(1<<40, ReclaimWorker); err != nil || freed < 2*workerBytes {
		t.Errorf("%d bytes were freed: %v", freed, err)
	}
	stats, err := model.Stats()
	succeeds(t, err)
	if stats.Evicted != 2 || stats.Unloads != 2 || unloaded.Load() != 2 {
		t.Errorf("stats are %+v, %d were unloaded", stats, unloaded.Load())
	}
}
