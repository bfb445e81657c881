package ostler

// #include "shim_cancel.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// await runs one call of the library that waits, so that it ends with the context: at its deadline by the library's own
// timeout, at its end by the library's cancel.
func await(ctx context.Context, wait func(timeoutNs C.uint64_t, cancel C.uintptr_t) error) error {
	timeout, err := timeLeft(ctx)
	if err != nil {
		return err
	}
	return awaitFor(ctx, timeout, wait)
}

// drain is await for a call that closes before it waits: it closes for a context that has ended, too, and then does not
// wait.
func drain(ctx context.Context, wait func(timeoutNs C.uint64_t, cancel C.uintptr_t) error) error {
	timeout, err := timeLeft(ctx)
	if err == nil {
		return awaitFor(ctx, timeout, wait)
	}
	err = wait(0, 0)
	var late *Error
	if errors.As(err, &late) && late.Code == ErrTimeout {
		late.Code = ErrCancelled
		late.Message = strings.Replace(late.Message, "the time was up", "the wait was cancelled", 1)
	}
	return withContext(ctx, err)
}

func awaitFor(ctx context.Context, timeout C.uint64_t,
	wait func(timeoutNs C.uint64_t, cancel C.uintptr_t) error) error {
	if ctx.Done() == nil {
		return wait(timeout, 0)
	}
	created := C.ostler_go_cancel_create()
	if err := failure(created.failure); err != nil {
		return err
	}
	signalled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(signalled)
		// It fails only when Shutdown destroyed the cancel, and with it what the wait was for.
		_ = failure(C.ostler_go_cancel_signal(created.handle))
	})
	err := wait(timeout, created.handle)
	if !stop() {
		<-signalled
	}
	// Its failure could only hide what the wait was for.
	_ = failure(C.ostler_go_cancel_destroy(created.handle))
	return withContext(ctx, err)
}

// timeLeft is the timeout that stands for the context's deadline.
func timeLeft(ctx context.Context) (C.uint64_t, error) {
	if ctx.Err() != nil {
		return 0, withContext(ctx, &Error{Code: ErrCancelled, Message: "the wait was cancelled before it began"})
	}
	deadline, limited := ctx.Deadline()
	if !limited {
		return C.OSTLER_FOREVER, nil
	}
	return C.uint64_t(max(time.Until(deadline), 0)), nil
}

// withContext adds to the error of a wait what the context has to say. A context tells of its deadline by ending, so
// that a wait may be cancelled a moment before it times out by itself; both are a timeout.
func withContext(ctx context.Context, err error) error {
	var failed *Error
	if !errors.As(err, &failed) {
		return err
	}
	switch {
	case failed.Code == ErrTimeout:
		failed.because(context.DeadlineExceeded)
	case failed.Code == ErrCancelled && ctx.Err() == context.DeadlineExceeded:
		// The rest of the words, such as who holds what, is as true of a timeout.
		failed.Message = strings.Replace(failed.Message, "the wait was cancelled", "the time was up", 1)
		failed.Code = ErrTimeout
		failed.because(ctx.Err())
	case failed.Code == ErrCancelled && context.Cause(ctx) == ctx.Err():
		failed.because(ctx.Err())
	case failed.Code == ErrCancelled && ctx.Err() != nil:
		failed.because(fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx)))
	}
	return failed
}
