package ostler

// #include "shim_buffers.h"
// #include "shim_model.h"
// #include "shim_orchestrator.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// Priority is the class of a request. All of one class go before any of the next.
type Priority uint32

const (
	PriorityDefault  Priority = C.OSTLER_PRIORITY_DEFAULT // normal
	PriorityCritical Priority = C.OSTLER_PRIORITY_CRITICAL
	PriorityHigh     Priority = C.OSTLER_PRIORITY_HIGH
	PriorityNormal   Priority = C.OSTLER_PRIORITY_NORMAL
	PriorityLow      Priority = C.OSTLER_PRIORITY_LOW
	PriorityBatch    Priority = C.OSTLER_PRIORITY_BATCH
)

// Outcome is what becomes of a request, once.
type Outcome uint32

const (
	Completed Outcome = C.OSTLER_OUTCOME_COMPLETED
	Failed    Outcome = C.OSTLER_OUTCOME_FAILED
	TimedOut  Outcome = C.OSTLER_OUTCOME_TIMED_OUT
	Cancelled Outcome = C.OSTLER_OUTCOME_CANCELLED
	Shed      Outcome = C.OSTLER_OUTCOME_SHED
)

func (o Outcome) String() string {
	switch o {
	case Completed:
		return "completed"
	case Failed:
		return "failed"
	case TimedOut:
		return "timed out"
	case Cancelled:
		return "cancelled"
	case Shed:
		return "shed"
	}
	return "none"
}

// Request is what a model is asked. Its input and output are pinned and not copied: they belong to the request until
// its outcome is there. Memory of an arena will do as well.
type Request struct {
	Priority Priority
	Deadline time.Duration // from now; one that has not started by then times out; 0 is none
	Input    []byte
	Output   []byte // where the answer goes
	// Buffer is the input in place of Input, without a copy. The request has a reference of its own to it, until its
	// outcome is there.
	Buffer Buffer

	// OnComplete is optional. It is called once with the outcome, on a thread of the library or by the Cancel or Close
	// that ends the request, before Wait ends: it must not wait for its own ticket.
	OnComplete func(Result)
}

// Result is the outcome of a request.
type Result struct {
	Outcome Outcome
	Err     error  // nil when completed; else what failed, with the error that the model's Run gave behind it
	Output  []byte // the part of the request's output that was written
	// Buffer is what Run has handed over, if it has. It comes with one reference, however often the outcome is asked for:
	// whoever takes the outcome releases it. When nobody does, it ends with the ticket.
	Buffer    Buffer
	BatchSize int // requests that ran together
	Worker    int
	QueueTime time.Duration
	RunTime   time.Duration
}

// request is a Request on its way. The registry keeps it, and it keeps its memory pinned, until the outcome.
type request struct {
	model      *Model // not to be forgotten before its requests
	output     []byte
	onComplete func(Result)
	pinner     runtime.Pinner
	cause      error // what Run said about it
	result     Result
	parcel     *parcel
	done       chan struct{}
}

// parcel is what Run has handed over with an outcome that nobody has taken yet.
type parcel struct {
	buffer Buffer
	taken  atomic.Bool
}

// take makes whoever has the outcome the one who releases what came with it.
func (r *request) take() Result {
	if r.parcel != nil {
		r.parcel.taken.Store(true)
	}
	return r.result
}

// bring keeps what Run has handed over, beyond the reference that is the library's and ends with the completion.
func (r *request) bring(set C.uintptr_t, view C.uint64_t) {
	buffer, err := bufferOf(set, C.ostler_go_buffers_share(set, view))
	if err != nil {
		logLine(LogError, "what a run has handed over could not be kept: "+err.Error())
		return
	}
	r.result.Buffer = buffer
	r.parcel = &parcel{buffer: buffer}
	runtime.AddCleanup(r, func(parcel *parcel) {
		if !parcel.taken.Load() {
			_ = parcel.buffer.Release()
		}
	}, r.parcel)
}

// accept registers and pins what is wanted; the library completes it, or refuse takes it back.
func (m *Model) accept(wanted Request) (*request, C.ostler_go_request, error) {
	var given arguments
	c := C.ostler_go_request{
		deadline_after_ns:     given.span("Deadline", wanted.Deadline),
		input_bytes:           C.uint64_t(len(wanted.Input)),
		output_capacity_bytes: C.uint64_t(len(wanted.Output)),
		priority:              C.uint32_t(wanted.Priority),
		input_buffers:         wanted.Buffer.set,
		input_buffer:          wanted.Buffer.view,
	}
	if given.err != nil {
		return nil, c, given.err
	}
	accepted := &request{
		model: m, output: wanted.Output, onComplete: wanted.OnComplete, done: make(chan struct{}),
	}
	c.input = accepted.pin(wanted.Input)
	c.output = accepted.pin(wanted.Output)
	c.id = C.uintptr_t(requests.add(accepted))
	return accepted, c, nil
}

func refuse(refused ...C.ostler_go_request) {
	for _, c := range refused {
		if request, found := requests.take(uintptr(c.id)); found {
			request.pinner.Unpin()
		}
	}
}

func (r *request) pin(memory []byte) unsafe.Pointer {
	if len(memory) == 0 {
		return nil
	}
	r.pinner.Pin(&memory[0])
	return unsafe.Pointer(&memory[0])
}

func (r *request) complete(ticket uint64, c *C.ostler_result) {
	r.pinner.Unpin()
	r.result = Result{
		Outcome: Outcome(c.outcome), BatchSize: int(c.batch_size), Worker: int(c.worker),
		QueueTime: duration(c.queue_ns), RunTime: duration(c.run_ns),
	}
	if c.status == C.OSTLER_OK {
		r.result.Output = r.output[:min(uint64(c.output_bytes), uint64(len(r.output)))]
		if c.output_buffer.value != 0 {
			r.bring(*handleIn(&c.output_buffers), c.output_buffer.value)
		}
	} else {
		failed := &Error{Code: Status(c.status), Message: text(c.message[:]), cause: r.cause}
		if failed.Message == "" {
			failed.Message = "the request has " + r.result.Outcome.String() + ": " + failed.Code.Error()
		}
		r.result.Err = failed
	}
	if r.onComplete != nil {
		unanswerable("OnComplete", func() { r.onComplete(r.take()) })
	}
	close(r.done)
}

// handleIn gives a handle in a struct of C as the integer that it is: as a pointer it would be a broken one to Go.
func handleIn(field **C.ostler_buffers) *C.uintptr_t { return (*C.uintptr_t)(unsafe.Pointer(field)) }

// Ticket stands for a request that was accepted. It may be dropped: the request goes on without.
type Ticket struct {
	request *request
	id      C.uint64_t
}

// Wait waits for the outcome, and gives the same again when it is asked again. The error is that of the result; or the
// context ended first, and the result is none. A wait that ends early leaves the request as it is.
func (t *Ticket) Wait(ctx context.Context) (Result, error) {
	select {
	case <-t.request.done:
		return t.request.take(), t.request.result.Err
	default:
	}
	select {
	case <-t.request.done:
		return t.request.take(), t.request.result.Err
	case <-ctx.Done():
		return Result{}, withContext(ctx, &Error{Code: ErrCancelled, Message: "the wait for the request was cancelled"})
	}
}

// Done is closed when the outcome is there.
func (t *Ticket) Done() <-chan struct{} { return t.request.done }

// Poll gives the outcome as Wait does, or fails with ErrNotReady when there is none yet.
func (t *Ticket) Poll() (Result, error) {
	select {
	case <-t.request.done:
		return t.request.take(), t.request.result.Err
	default:
		return Result{}, &Error{Code: ErrNotReady, Message: "the request has no outcome yet"}
	}
}

// Cancel ends a request that waits for a worker as cancelled. One that runs is told, and ends as its Run sees fit; that
// is ErrBusy. One that has ended keeps its outcome.
func (t *Ticket) Cancel() error {
	err := failure(C.ostler_go_orchestrator_cancel(t.request.model.orchestrator.handle, t.id))
	runtime.KeepAlive(t)
	if errors.Is(err, ErrStaleTicket) || errors.Is(err, ErrInvalidHandle) {
		// The outcome was taken, at the latest when the orchestrator went.
		return nil
	}
	return err
}

// Item is a request as Run sees it. It ends when Run returns.
type Item struct {
	c       *C.ostler_item
	request *request
}

func itemsOf(batch []*C.ostler_item) []*Item {
	all := make([]Item, len(batch))
	items := make([]*Item, len(batch))
	for i, c := range batch {
		// Read as the integer that it is: as a pointer it would be a broken one to Go.
		request, _ := requests.get(*(*uintptr)(unsafe.Pointer(&c.user_data)))
		all[i] = Item{c: c, request: request}
		items[i] = &all[i]
	}
	return items
}

// end takes the item from Run. What Run said about the whole batch stands for items that have no failure of their own.
func (i *Item) end(err error) {
	if err != nil && i.request != nil && i.request.cause == nil {
		i.request.cause = err
	}
	i.c = nil
}

func (i *Item) live() *C.ostler_item {
	if i.c == nil {
		panic("ostler: an Item was used after its Run had returned")
	}
	return i.c
}

// Priority is the request's.
func (i *Item) Priority() Priority { return Priority(i.live().priority) }

// Input is the request's.
func (i *Item) Input() []byte { return unsafe.Slice((*byte)(i.live().input), i.live().input_bytes) }

// Output is the request's, to write the answer to; SetWritten says how much of it the answer is.
func (i *Item) Output() []byte {
	return unsafe.Slice((*byte)(i.live().output), i.live().output_capacity_bytes)
}

// Buffer is the request's, to be read until Run returns; to keep it longer, Retain it.
func (i *Item) Buffer() Buffer {
	c := i.live()
	if c.input_buffer.value == 0 {
		return Buffer{}
	}
	return Buffer{set: *handleIn(&c.input_buffers), view: c.input_buffer.value, bytes: i.Input()}
}

// HandOver gives a buffer to whoever takes the outcome, with one reference that is Run's no longer, whatever the outcome
// is: to hand the input over, or a part of it, Retain or Slice it. What was handed over before is released.
func (i *Item) HandOver(buffer Buffer) {
	c := i.live()
	before := Buffer{set: *handleIn(&c.output_buffers), view: c.output_buffer.value}
	*handleIn(&c.output_buffers), c.output_buffer.value = buffer.set, buffer.view
	if before.view != 0 {
		_ = before.Release()
	}
}

// SetWritten says how many bytes of the output are the answer. More than there is room for fails the request.
func (i *Item) SetWritten(bytes int) { i.live().output_bytes = C.uint64_t(bytes) }

// Answer copies the answer into the output. One that does not fit fails the request.
func (i *Item) Answer(answer []byte) {
	copy(i.Output(), answer)
	i.SetWritten(len(answer))
}

// Fail fails this request and no other of the batch.
func (i *Item) Fail(err error) {
	c := i.live()
	c.status = C.OSTLER_E_CALLBACK_FAILED
	words := cut(wordsOf(err), len(c.message)-1)
	clear(c.message[:])
	for at := range len(words) {
		c.message[at] = C.char(words[at])
	}
	if i.request != nil {
		i.request.cause = err
	}
}

// Cancelled tells whether somebody has asked to cancel the request; Run may then give it up.
func (i *Item) Cancelled() bool {
	return atomic.LoadUint32((*uint32)(i.live().cancelled)) != 0
}
