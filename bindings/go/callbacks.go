package ostler

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// PanicError is a panic of a callback, as the error that it becomes.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprint("panic: ", e.Value) }

// Unwrap gives the value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// guarded runs a callback of the program. Nothing may unwind into C.
func guarded(callback func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return callback()
}

// wordsOf asks an error for its words, which is a callback of the program too.
func wordsOf(err error) string {
	words := "the error panicked when asked for its words"
	_ = guarded(func() error {
		words = err.Error()
		return nil
	})
	if words == "" {
		return "an error without words"
	}
	return words
}

// cut shortens words to so many bytes, between two characters.
func cut(words string, limit int) string {
	length := min(len(words), limit)
	for length > 0 && length < len(words) && !utf8.RuneStart(words[length]) {
		length--
	}
	return words[:length]
}

// answer tells the library how a callback went.
func answer(err error) C.ostler_status {
	if err == nil {
		return C.OSTLER_OK
	}
	words := C.CString(wordsOf(err))
	defer C.free(unsafe.Pointer(words))
	C.ostler_callback_set_message(words)
	return C.OSTLER_E_CALLBACK_FAILED
}

// unanswerable runs a callback that C gives no way to fail: a panic in it goes to the log.
func unanswerable(name string, callback func()) {
	err := guarded(func() error {
		callback()
		return nil
	})
	if err != nil {
		logLine(LogError, name+" callback failed: "+wordsOf(err))
	}
}

// errGone answers a callback whose object went meanwhile.
var errGone = errors.New("the object of this callback is gone")

// tenancy keeps the callbacks of an object as long as the library may call them: until it is closed and nothing that
// they made, or are making, is left.
type tenancy struct {
	mu      sync.Mutex
	tenants int
	closed  bool
	end     func()
}

func (t *tenancy) enter() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tenants++
}

func (t *tenancy) leave() { t.change(func() { t.tenants-- }) }

func (t *tenancy) close() { t.change(func() { t.closed = true }) }

func (t *tenancy) change(what func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	what()
	if t.closed && t.tenants == 0 {
		t.end()
	}
}

// poolCallbacks is what the library calls for a pool, whatever its resources are.
type poolCallbacks interface {
	create() (resource uintptr, err error)
	validate(resource uintptr) error
	reset(resource uintptr) error
	retag(resource uintptr, from, to uint64) error
	destroy(resource uintptr)
	event(event uint32, resource uintptr)
	overdue(lease C.ostler_lease_info)
}

// modelCallbacks is what the library calls for a model, whatever the state of its workers is.
type modelCallbacks interface {
	load(worker uint32) (state uintptr, err error)
	run(state uintptr, items []*Item) error
	unload(state uintptr)
}

var (
	pools    registry[poolCallbacks]
	models   registry[modelCallbacks]
	requests registry[*request]
	builders registry[func(key string) ([]byte, error)]
)

//export ostlerGoPoolCreate
func ostlerGoPoolCreate(pool C.uintptr_t) (C.ostler_status, C.uintptr_t) {
	callbacks, found := pools.get(uintptr(pool))
	if !found {
		return answer(errGone), 0
	}
	resource, err := callbacks.create()
	return answer(err), C.uintptr_t(resource)
}

//export ostlerGoPoolValidate
func ostlerGoPoolValidate(pool, resource C.uintptr_t) C.ostler_status {
	callbacks, found := pools.get(uintptr(pool))
	if !found {
		return answer(errGone)
	}
	return answer(callbacks.validate(uintptr(resource)))
}

//export ostlerGoPoolReset
func ostlerGoPoolReset(pool, resource C.uintptr_t) C.ostler_status {
	callbacks, found := pools.get(uintptr(pool))
	if !found {
		return answer(errGone)
	}
	return answer(callbacks.reset(uintptr(resource)))
}

//export ostlerGoPoolRetag
func ostlerGoPoolRetag(pool, resource C.uintptr_t, from, to C.uint64_t) C.ostler_status {
	callbacks, found := pools.get(uintptr(pool))
	if !found {
		return answer(errGone)
	}
	return answer(callbacks.retag(uintptr(resource), uint64(from), uint64(to)))
}

//export ostlerGoPoolDestroy
func ostlerGoPoolDestroy(pool, resource C.uintptr_t) {
	if callbacks, found := pools.get(uintptr(pool)); found {
		callbacks.destroy(uintptr(resource))
	}
}

//export ostlerGoPoolEvent
func ostlerGoPoolEvent(pool C.uintptr_t, event C.uint32_t, resource C.uintptr_t) {
	if callbacks, found := pools.get(uintptr(pool)); found {
		callbacks.event(uint32(event), uintptr(resource))
	}
}

//export ostlerGoPoolOverdue
func ostlerGoPoolOverdue(pool C.uintptr_t, lease C.ostler_lease_info) {
	if callbacks, found := pools.get(uintptr(pool)); found {
		callbacks.overdue(lease)
	}
}

//export ostlerGoTemplatesBuild
func ostlerGoTemplatesBuild(id C.uintptr_t, key *C.char, keyBytes C.int) (C.ostler_status, unsafe.Pointer, C.uint64_t) {
	builder, found := builders.get(uintptr(id))
	if !found {
		return answer(errGone), nil, 0
	}
	data, bytes, err := build(builder, C.GoStringN(key, keyBytes))
	return answer(err), data, C.uint64_t(bytes)
}

//export ostlerGoModelLoad
func ostlerGoModelLoad(model C.uintptr_t, worker C.uint32_t) (C.ostler_status, C.uintptr_t) {
	callbacks, found := models.get(uintptr(model))
	if !found {
		return answer(errGone), 0
	}
	state, err := callbacks.load(uint32(worker))
	return answer(err), C.uintptr_t(state)
}

//export ostlerGoModelRun
func ostlerGoModelRun(model, state C.uintptr_t, batch **C.ostler_item, count C.uint32_t) C.ostler_status {
	callbacks, found := models.get(uintptr(model))
	if !found {
		return answer(errGone)
	}
	items := itemsOf(unsafe.Slice(batch, int(count)))
	err := callbacks.run(uintptr(state), items)
	for _, item := range items {
		item.end(err)
	}
	return answer(err)
}

//export ostlerGoModelUnload
func ostlerGoModelUnload(model, state C.uintptr_t) {
	if callbacks, found := models.get(uintptr(model)); found {
		callbacks.unload(uintptr(state))
	}
}

//export ostlerGoCellSettle
func ostlerGoCellSettle(key C.uintptr_t, outcome C.ostler_status, value C.uintptr_t) {
	if cell, found := cells.take(uintptr(key)); found {
		cell.settle(Status(outcome), uintptr(value))
	}
}

//export ostlerGoCellDiscard
func ostlerGoCellDiscard(value C.uintptr_t) { settled.take(uintptr(value)) }

//export ostlerGoRequestComplete
func ostlerGoRequestComplete(id C.uintptr_t, ticket C.uint64_t, result *C.ostler_result) {
	if request, found := requests.take(uintptr(id)); found {
		request.complete(uint64(ticket), result)
	}
}
