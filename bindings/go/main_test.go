package ostler

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	status := m.Run()
	if left := registered(); left != 0 && status == 0 {
		println("FAIL: after all tests", left, "objects are still registered for C")
		status = 1
	}
	os.Exit(status)
}

func registered() int {
	return pools.len() + models.len() + requests.len() + cells.len() + settled.len() + builders.len() +
		bells.len() + levelWatches.len() + reclaims.len() + slabs.len() + lazies.len() + loaded.len() + wraps.len()
}

// leavesNothing fails the test when its end finds objects that are still registered for C.
func leavesNothing(t *testing.T) {
	t.Helper()
	before := registered()
	t.Cleanup(func() {
		eventually(t, "everything that was registered for C is gone", func() bool { return registered() == before })
	})
}

// eventually gives what happens on other threads the time to happen.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Errorf("waited in vain until %s", what)
}

// collected is eventually, with the collector at work.
func collected(t *testing.T, what string, holds func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		runtime.GC()
		return holds()
	})
}

func succeeds(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("failed: %v", err)
	}
}

func failsWith(t *testing.T, err error, wanted ...error) {
	t.Helper()
	for _, one := range wanted {
		if !errors.Is(err, one) {
			t.Fatalf("got %v (%T), wanted %v", err, err, one)
		}
	}
}

func closes(t *testing.T, closer interface{ Close() error }) {
	t.Cleanup(func() {
		if err := closer.Close(); err != nil {
			t.Errorf("Close of %T: %v", closer, err)
		}
	})
}

// soon is a context for waits that should end well.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// waitIsCancelled runs a wait that nothing else ends, and looks at how it ends with its context.
func waitIsCancelled(t *testing.T, wait func(ctx context.Context) error) {
	t.Helper()
	mine := errors.New("the caller lost interest")
	ended := make(chan error, 1)

	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { ended <- wait(ctx) }()
	select {
	case err := <-ended:
		t.Fatalf("the wait ended before its context: %v", err)
	case <-time.After(30 * time.Millisecond):
	}
	cancel(mine)
	failsWith(t, <-ended, ErrCancelled, context.Canceled, mine)

	before, again := context.WithCancel(context.Background())
	again()
	failsWith(t, wait(before), ErrCancelled, context.Canceled)

	limited, release := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer release()
	err := wait(limited)
	failsWith(t, err, ErrTimeout, context.DeadlineExceeded)
	if errors.Is(err, ErrCancelled) {
		t.Fatalf("a timeout is no cancel: %v", err)
	}
	if deadline, _ := limited.Deadline(); time.Now().Before(deadline) {
		t.Fatalf("the wait ended %v before its deadline", time.Until(deadline))
	}
	failsWith(t, wait(limited), ErrTimeout, context.DeadlineExceeded)
}

// runsOut is a context whose deadline comes when the test says so.
type runsOut struct {
	context.Context
	ended chan struct{}
}

func (c runsOut) Done() <-chan struct{} { return c.ended }

func (c runsOut) Err() error {
	select {
	case <-c.ended:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// waitsInVain runs an acquire whose deadline comes when it stands in the pool's queue.
func waitsInVain[T any](t *testing.T, pool *Pool[T], wait func(ctx context.Context) error) error {
	t.Helper()
	limited := runsOut{context.Background(), make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- wait(limited) }()
	eventually(t, "it waits", func() bool { return numbersOf(t, pool).Waiting == 1 })
	close(limited.ended)
	return <-ended
}
