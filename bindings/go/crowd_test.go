package ostler

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// threads is how many threads of the machine this process has.
func threads(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	succeeds(t, err)
	_, after, _ := strings.Cut(string(status), "\nThreads:")
	line, _, _ := strings.Cut(after, "\n")
	count, err := strconv.Atoi(strings.TrimSpace(line))
	succeeds(t, err)
	return count
}

// waitsWithoutThreads has a crowd of goroutines use a pool, which all wait for a lease until that is released, and checks that
// they need no threads for it.
func waitsWithoutThreads[T any](t *testing.T, pool *Pool[T], held Lease[T], crowd int, use func(number int) error) {
	t.Helper()
	before := threads(t)
	served := make(chan error, crowd)
	for number := range crowd {
		go func() { served <- use(number) }()
	}
	eventually(t, "all of them wait", func() bool { return numbersOf(t, pool).Waiting == uint64(crowd) })
	if now := threads(t); now > before+crowd/4 {
		t.Errorf("%d goroutines that wait made %d threads", crowd, now-before)
	}
	succeeds(t, held.Release())
	for range crowd {
		succeeds(t, <-served)
	}
}

func TestGoroutinesThatWaitHoldNoThreads(t *testing.T) {
	leavesNothing(t)
	const crowd = 1000
	var count counted
	config := count.config()
	config.MaxSize = 1
	pool := newPool(t, config)
	held := acquire(t, pool)
	waitsWithoutThreads(t, pool, held, crowd, func(number int) error {
		lease, err := pool.AcquireWith(soon(t), Demand{Priority: Priority(1 + number%5)})
		if err == nil {
			err = lease.Release()
		}
		return err
	})
	if now := numbersOf(t, pool); now.Waiting != 0 || now.InUse != 0 || now.PeakWaiting != crowd || now.Waits.Count != crowd {
		t.Errorf("afterwards: %+v", now)
	}
}

func TestGoroutinesThatWaitForSeveralHoldNoThreads(t *testing.T) {
	leavesNothing(t)
	const crowd = 500
	var count counted
	config := count.config()
	config.MaxSize = 2
	pool := newPool(t, config)
	held := acquire(t, pool)
	waitsWithoutThreads(t, pool, held, crowd, func(int) error {
		team, err := pool.AcquireN(soon(t), 2)
		if err == nil && (team[0].Value().users.Add(1) != 1 || team[1].Value().users.Add(1) != 1) {
			t.Error("two teams share a resource")
		}
		for _, lease := range team {
			lease.Value().users.Add(-1)
		}
		if err == nil {
			err = pool.ReleaseN(team)
		}
		return err
	})
	if now := numbersOf(t, pool); now.Waiting != 0 || now.InUse != 0 || now.Created != 2 || now.Acquires != 2*crowd+1 {
		t.Errorf("afterwards: %+v", now)
	}
}

func TestGoroutinesWaitInTheOrderOfTheirComing(t *testing.T) {
	leavesNothing(t)
	const crowd = 50
	var count counted
	config := count.config()
	config.MaxSize = 1
	pool := newPool(t, config)
	held := acquire(t, pool)
	served := make(chan int, crowd)
	for number := range crowd {
		go func() {
			lease, err := pool.Acquire(context.Background())
			if err != nil {
				t.Error(err)
			}
			served <- number
			_ = lease.Release()
		}()
		eventually(t, "it waits", func() bool { return numbersOf(t, pool).Waiting == uint64(number)+1 })
	}
	succeeds(t, held.Release())
	for number := range crowd {
		if next := <-served; next != number {
			t.Fatalf("number %d was served in place of %d", next, number)
		}
	}
}

// Many more goroutines than resources come, and lose patience in every way there is.
func TestCrowdLosesNobody(t *testing.T) {
	leavesNothing(t)
	const crowd, resources = 10_000, 8
	var count counted
	config := count.config()
	config.MaxSize = resources
	config.Validate = func(*thing) error {
		if rand.IntN(100) == 0 {
			return errors.New("worn")
		}
		return nil
	}
	pool := newPool(t, config)
	before := threads(t)
	most := atomic.Int64{}
	var served, left atomic.Int64
	var group sync.WaitGroup
	for number := range crowd {
		group.Add(1)
		go func() {
			defer group.Done()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			switch number % 4 {
			case 0:
				time.AfterFunc(time.Duration(rand.IntN(20))*time.Millisecond, cancel)
			case 1:
				limited, release := context.WithTimeout(ctx, time.Duration(rand.IntN(20))*time.Millisecond)
				defer release()
				ctx = limited
			}
			lease, err := pool.Acquire(ctx)
			switch {
			case err == nil:
				served.Add(1)
			case number%4 < 2 && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
				left.Add(1)
				return
			default:
				t.Error(err)
				return
			}
			if lease.Value().users.Add(1) != 1 {
				t.Error("two leases of one resource")
			}
			if number%97 == 0 {
				most.Store(max(most.Load(), int64(threads(t))))
			}
			lease.Value().users.Add(-1)
			end := lease.Release
			if rand.IntN(50) == 0 {
				end = lease.Discard
			}
			if err := end(); err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
	if served.Load()+left.Load() != crowd || served.Load() < crowd/2 {
		t.Errorf("%d were served and %d left, of %d", served.Load(), left.Load(), crowd)
	}
	// Some are in calls at the same time, as long as the machine has processors for them or a callback sleeps.
	if most.Load() > int64(before+crowd/10) {
		t.Errorf("the crowd made %d threads", most.Load()-int64(before))
	}
	now := numbersOf(t, pool)
	if now.Waiting != 0 || now.InUse != 0 || now.Created > now.Destroyed+resources {
		t.Errorf("afterwards: %+v", now)
	}
	succeeds(t, pool.Close())
	if count.created.Load() != count.destroyed.Load() {
		t.Errorf("created %d and destroyed %d", count.created.Load(), count.destroyed.Load())
	}
}

// Whoever waits when the pool is closed is told.
func TestCrowdHearsOfTheClose(t *testing.T) {
	leavesNothing(t)
	const crowd = 200
	var count counted
	config := count.config()
	config.MaxSize = 1
	pool := newPool(t, config)
	held := acquire(t, pool)
	ended := make(chan error, crowd)
	for range crowd {
		go func() {
			_, err := pool.Acquire(context.Background())
			ended <- err
		}()
	}
	eventually(t, "all of them wait", func() bool { return numbersOf(t, pool).Waiting == crowd })
	succeeds(t, pool.Close())
	for range crowd {
		failsWith(t, <-ended, ErrClosed)
	}
	succeeds(t, held.Release())
	eventually(t, "the resource is destroyed", func() bool { return count.destroyed.Load() == 1 })
}
