package ostler

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"slices"
	"unsafe"
)

// Status is what a call of the library came to. Each failure is an error by itself, so that errors.Is finds it:
//
//	if errors.Is(err, ostler.ErrTimeout) { ... }
type Status int32

const (
	ErrInvalidArgument  Status = C.OSTLER_E_INVALID_ARGUMENT  // an argument is wrong; the message says which
	ErrInvalidHandle    Status = C.OSTLER_E_INVALID_HANDLE    // the object was closed
	ErrClosed           Status = C.OSTLER_E_CLOSED            // the object is closing and takes no new work
	ErrTimeout          Status = C.OSTLER_E_TIMEOUT           // the wait's deadline passed
	ErrCancelled        Status = C.OSTLER_E_CANCELLED         // the wait, or the request, was cancelled
	ErrOutOfMemory      Status = C.OSTLER_E_OUT_OF_MEMORY     // no memory
	ErrPanic            Status = C.OSTLER_E_PANIC             // the library panicked in this call
	ErrQuarantined      Status = C.OSTLER_E_QUARANTINED       // the library panicked in it before; it can only be closed
	ErrWouldDeadlock    Status = C.OSTLER_E_WOULD_DEADLOCK    // for instance an object closed inside its own callback
	ErrForked           Status = C.OSTLER_E_FORKED            // a child of fork cannot use the library
	ErrUnsupported      Status = C.OSTLER_E_UNSUPPORTED       // not known to this library, kernel or machine
	ErrSystem           Status = C.OSTLER_E_SYSTEM            // a system call failed
	ErrCallbackFailed   Status = C.OSTLER_E_CALLBACK_FAILED   // a callback returned an error or panicked
	ErrLimit            Status = C.OSTLER_E_LIMIT             // a configured bound is reached
	ErrBusy             Status = C.OSTLER_E_BUSY              // in use
	ErrPagesUnavailable Status = C.OSTLER_E_PAGES_UNAVAILABLE // a strict arena cannot have its pages
	ErrNodeUnavailable  Status = C.OSTLER_E_NODE_UNAVAILABLE  // a strict arena cannot have its node
	ErrStaleMark        Status = C.OSTLER_E_STALE_MARK        // the mark was reset, rewound past, or is of another arena
	ErrForeignPointer   Status = C.OSTLER_E_FOREIGN_POINTER   // the address is not one that this object gave out
	ErrDoubleFree       Status = C.OSTLER_E_DOUBLE_FREE       // what lay at this address was given back before
	ErrOverrun          Status = C.OSTLER_E_OVERRUN           // memory beside a block was written
	ErrStaleBlock       Status = C.OSTLER_E_STALE_BLOCK       // the block was given back before
	ErrStaleBuffer      Status = C.OSTLER_E_STALE_BUFFER      // the buffer was given back before
	ErrMemoryPressure   Status = C.OSTLER_E_MEMORY_PRESSURE   // the governor grants no more memory
	ErrExhausted        Status = C.OSTLER_E_EXHAUSTED         // all resources of the pool are leased
	ErrCreateFailed     Status = C.OSTLER_E_CREATE_FAILED     // the pool could not create a resource
	ErrStaleLease       Status = C.OSTLER_E_STALE_LEASE       // the lease was given back before
	ErrPaused           Status = C.OSTLER_E_PAUSED            // the pool leases nothing until it is resumed
	ErrStaleCell        Status = C.OSTLER_E_STALE_CELL        // what came to the cell was taken, or it was released
	ErrAlreadyCompleted Status = C.OSTLER_E_ALREADY_COMPLETED // the cell was completed, cancelled, or ended by a close
	ErrBuildFailed      Status = C.OSTLER_E_BUILD_FAILED      // the template could not be built
	ErrStaleTemplate    Status = C.OSTLER_E_STALE_TEMPLATE    // the reference to the template was released before
	ErrOverloaded       Status = C.OSTLER_E_OVERLOADED        // more is asked of the pool than it can give in time
	ErrQueueFull        Status = C.OSTLER_E_QUEUE_FULL        // the model's queue, or the orchestrator's table, is full
	ErrLoadFailed       Status = C.OSTLER_E_LOAD_FAILED       // a worker could not load the model
	ErrStaleTicket      Status = C.OSTLER_E_STALE_TICKET      // the ticket was never given out, or its outcome is gone
	ErrNotReady         Status = C.OSTLER_E_NOT_READY         // the request has no outcome yet
	ErrDeadlineExceeded Status = C.OSTLER_E_DEADLINE_EXCEEDED // the request was not started by its deadline
	ErrShed             Status = C.OSTLER_E_SHED              // the request was dropped, because its model or orchestrator was closed
)

// Error gives the status its name in C, as the manual has it.
func (s Status) Error() string { return C.GoString(C.ostler_status_name(C.ostler_status(s))) }

// Error is a failure with its words.
type Error struct {
	Code    Status
	Message string
	cause   error // the context's error, what a callback of this program returned, or both
}

func (e *Error) Error() string { return "ostler: " + e.Message }

// Unwrap gives the status, and what is behind it where that is an error of this program.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.cause}
}

// because puts an error behind it, beside one that is there.
func (e *Error) because(cause error) {
	if e.cause != nil {
		cause = errors.Join(e.cause, cause)
	}
	e.cause = cause
}

// isOneOf looks at the failure itself, and not, as errors.Is does, at what is behind it.
func isOneOf(err error, codes ...Status) bool {
	var failed *Error
	return errors.As(err, &failed) && slices.Contains(codes, failed.Code)
}

// failure gives the error of a call, nil where it went well.
func failure(failure C.ostler_go_failure) error {
	if failure.status == C.OSTLER_OK {
		return nil
	}
	return inWords(failure)
}

func inWords(failure C.ostler_go_failure) error {
	code := Status(failure.status)
	if failure.message == nil {
		return &Error{Code: code, Message: code.Error()}
	}
	defer C.free(unsafe.Pointer(failure.message))
	return &Error{Code: code, Message: C.GoString(failure.message)}
}

// gone is a destroy without the complaint that the object went before: Shutdown destroys whatever there is.
func gone(err error) error {
	if errors.Is(err, ErrInvalidHandle) {
		return nil
	}
	return err
}
