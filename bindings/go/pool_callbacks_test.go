package ostler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Callbacks that fail, panic and dawdle at random lose no resource, and let nobody wait for ever.
func TestPoolAccountsForEveryResource(t *testing.T) {
	leavesNothing(t)
	for creators := range 2 {
		var count counted
		config := count.config()
		config.MaxSize = 3
		config.CreatorThreads = creators
		config.BreakerFailures = 1000000
		unruly := func() error {
			switch dice := rand.IntN(64); {
			case dice == 0:
				return errors.New("not today")
			case dice == 1:
				panic("as the dice have it")
			case dice > 48:
				runtime.Gosched()
			}
			return nil
		}
		create, destroy := config.Create, config.Destroy
		config.Create = func() (*thing, error) {
			if err := unruly(); err != nil {
				return nil, err
			}
			return create()
		}
		config.Validate = func(*thing) error { return unruly() }
		config.Reset = func(*thing) error { return unruly() }
		config.Destroy = func(thing *thing) {
			if thing.users.Load() != 0 {
				t.Error("destroyed while it is in use")
			}
			destroy(thing)
			_ = unruly()
		}
		pool := newPool(t, config)
		var group sync.WaitGroup
		for range 8 {
			group.Add(1)
			go func() {
				defer group.Done()
				for range 400 {
					lease, err := pool.Acquire(context.Background())
					if errors.Is(err, ErrCreateFailed) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					if lease.Value().users.Add(1) != 1 {
						t.Error("two leases of one resource")
					}
					runtime.Gosched()
					lease.Value().users.Add(-1)
					end := lease.Release
					if rand.IntN(16) == 0 {
						end = lease.Discard
					}
					if err := end(); err != nil {
						t.Error(err)
					}
					if alive := count.created.Load() - count.destroyed.Load(); alive > 3 {
						t.Errorf("%d are alive", alive)
					}
				}
			}()
		}
		group.Wait()
		succeeds(t, pool.Close())
		if count.created.Load() != count.destroyed.Load() {
			t.Errorf("created %d and destroyed %d", count.created.Load(), count.destroyed.Load())
		}
	}
}

// failures are the ways in which a callback fails, with the words that must come through.
var failures = map[string]func() error{
	"error":         func() error { return fmt.Errorf("no luck today") },
	"panic":         func() error { panic("no luck today") },
	"panic, error":  func() error { panic(errors.New("no luck today")) },
	"nil map":       func() error { var none map[string]int; none["no luck today"]++; return nil },
	"runtime error": func() error { var none []int; _ = none[len("no luck today")]; return nil },
	"rude error":    func() error { return rude{} },
	"latin-1":       func() error { return errors.New("refus\xe9e") },
}

type rude struct{}

func (rude) Error() string { panic("an error without words") }

var wordsOfFailures = map[string]string{
	"error": "no luck today", "panic": "no luck today", "panic, error": "no luck today",
	"nil map": "nil map", "runtime error": "index out of range [13]", "rude error": "panicked when asked",
	"latin-1": "refus\ufffde",
}

func TestPoolSurvivesItsCallbacks(t *testing.T) {
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			var failing atomic.Value
			failing.Store("create")
			failsNow := func(callback string) error {
				if failing.Load() == callback {
					return fail()
				}
				return nil
			}
			destroyed := 0
			pool := newPool(t, PoolConfig[string]{
				Create:   func() (string, error) { return "made", failsNow("create") },
				Validate: func(string) error { return failsNow("validate") },
				Reset:    func(string) error { return failsNow("reset") },
				Destroy: func(string) {
					destroyed++
					if err := failsNow("destroy"); err != nil {
						panic(err)
					}
				},
			})
			_, err := pool.Acquire(soon(t))
			failsWith(t, err, ErrCreateFailed)
			if !strings.Contains(err.Error(), wordsOfFailures[name]) {
				t.Errorf("%q does not say %q", err, wordsOfFailures[name])
			}
			for _, callback := range []string{"reset", "none", "validate", "destroy"} {
				failing.Store(callback)
				lease, err := pool.Acquire(soon(t))
				succeeds(t, err)
				if lease.Value() != "made" {
					t.Errorf("the resource is %q", lease.Value())
				}
				if callback == "destroy" {
					succeeds(t, lease.Discard())
				} else {
					succeeds(t, lease.Release())
				}
			}
			stats, err := pool.Stats()
			succeeds(t, err)
			if stats.CreateFailures != 1 || stats.DestroyedReset != 1 || stats.DestroyedInvalid != 1 ||
				stats.DestroyedDiscarded != 1 || destroyed != 3 {
				t.Errorf("%d destroyed, stats are %+v", destroyed, stats)
			}
		})
	}
}

func TestPoolCallbackMayUseThePool(t *testing.T) {
	leavesNothing(t)
	var pool *Pool[int]
	var closing error
	var deep func() (int, error)
	deep = func() (int, error) {
		if _, err := pool.Stats(); err != nil {
			return 0, err
		}
		closing = pool.Close()
		return 7, nil
	}
	pool = newPool(t, PoolConfig[int]{Create: func() (int, error) { return deep() }})
	lease := acquire(t, pool)
	failsWith(t, closing, ErrWouldDeadlock)
	if lease.Value() != 7 {
		t.Errorf("the resource is %d", lease.Value())
	}
	succeeds(t, lease.Release())
}
