// Package ostler keeps a program's expensive things warm:
//
//   - things that are made once, checked and leased out: [Pool], with [Pool.Do] for the simplest use, and [Tap] for one
//     goroutine that leases very often;
//   - memory on the pages and the node you asked for, outside of Go's heap: [Arena] and [Cursor] for what goes all at once,
//     [Heap], [Slab] and [Buffers] for what goes piece by piece, [Segment] for several processes, [File] for what is on disk;
//   - values that are loaded when they are needed ([Lazy]) or built once and copied ([Templates]), and cells for results that
//     come later ([Deferred], and [Desk] for one goroutine that uses very many);
//   - workers that load a model once and are fed by priority, deadline and batch: [Orchestrator], [Model].
//
// [ConfigureGovernor] bounds the memory of them all; each says what it got where that is not what was asked for.
//
// # Closing
//
// What New or Open gives is closed by Close, which may be called twice. Forgotten objects are closed when the
// collector finds them, but that is a net and not a plan: it may come late or never. An [Arena] has no such net,
// because the collector cannot see who still uses its memory.
//
// # Contexts
//
// Whatever waits takes a context, and ends with it: the error then is [ErrCancelled] or [ErrTimeout], and the context's
// own. A goroutine that waits for a lease or for a [Ticket] sleeps as any goroutine does. One that waits for a
// pool to be warm, for a model to be ready or for a drain holds a thread of the machine as long.
//
// # Callbacks
//
// Callbacks run on threads of the library, or inside the call of yours that needs them; they may call the library. An
// error that a callback returns, and a panic in it, is a failure with [ErrCallbackFailed] or, where the header says so,
// with the status of what it was for. A callback must not end its goroutine with [runtime.Goexit], which is what
// FailNow of a test does.
//
// # Versions
//
// A program that finds another library when it starts than it was built with, one that does not fit, panics in the
// initialization of this package, with a sentence that names both versions.
package ostler

// #cgo pkg-config: ostler
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"time"
)

func init() {
	// The two differ when a program finds an older library at run time than it was built with.
	if err := failure(C.ostler_go_version_check()); err != nil {
		panic(err)
	}
}

// Version is that of the library, as in "0.1.0".
func Version() string { return C.GoString(C.ostler_version_string()) }

// Shutdown closes every object of the program, joins every thread of the library, and then waits for leases and cursors
// until the context ends; stillOut says how many objects remain because of those that are out. A context that has ended
// waits for nothing, but everything is closed all the same. The library can be used again.
func Shutdown(ctx context.Context) (stillOut uint64, err error) {
	const patience = 10 * time.Millisecond // between two looks at the context
	for timeout := time.Duration(0); ; timeout = patience {
		closeAllOwnTaps()
		waited := C.ostler_go_shutdown(C.uint64_t(timeout))
		err := failure(waited.failure)
		var late *Error
		if !errors.As(err, &late) || late.Code != ErrTimeout {
			return 0, err
		}
		if ctx.Err() != nil {
			late.Code = ErrCancelled
			return uint64(waited.still_out), withContext(ctx, late)
		}
	}
}
