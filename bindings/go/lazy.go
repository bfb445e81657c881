package ostler

// #include <stdlib.h>
// #include "shim_lazy.h"
import "C"

import (
	"context"
	"sync/atomic"
	"unsafe"
)

// LazyConfig says how a lazy value is made.
type LazyConfig[T any] struct {
	Name string
	// Load makes the value, and says how many bytes it counts against the memory of the process. One goroutine does, while
	// others that want the value wait. After a failure each Pin fails with its words, until it is tried again: after
	// 100 ms, then 200 ms, up to 30 s. A Load that pins its own value gets ErrWouldDeadlock, on the goroutine on which it
	// was called.
	Load func() (value T, bytes int, err error)
	Drop func(value T) // ends a value that nobody uses any more; may be nil
}

// LazyStats is what a lazy value is, and what it has done up to now.
type LazyStats struct {
	Loaded, Loading             bool
	Version, ValueBytes         uint64
	Readers, Leaving, Pins      uint64 // leaving are values that were invalidated, and are still pinned
	LoadFailures, Drops, Stales uint64 // stales are calls of Invalidate
}

// Lazy is a value that is loaded at the first access, dropped when memory runs short, and loaded again when it is needed.
type Lazy[T any] struct {
	handle  C.uintptr_t
	tenancy *tenancy
	valueOf func(value uintptr) T
}

// Reader is one goroutine's way to a lazy value: a pin is a few loads and stores of Go. It may go from goroutine to
// goroutine, but serves one at a time.
type Reader[T any] struct {
	words   *C.ostler_reader
	tenancy *tenancy
	valueOf func(value uintptr) T
}

// lazyValue is what the library calls for a lazy value, whatever its type is.
type lazyValue interface {
	load() (value uintptr, bytes int, err error)
	drop(value uintptr)
}

type lazyCallbacks[T any] struct{ config LazyConfig[T] }

var (
	lazies registry[lazyValue]
	loaded registry[any]
)

func (l lazyCallbacks[T]) load() (value uintptr, bytes int, err error) {
	err = guarded(func() error {
		made, size, err := l.config.Load()
		if err == nil {
			value, bytes = loaded.add(made), size
		}
		return err
	})
	return value, max(bytes, 0), err
}

func (l lazyCallbacks[T]) drop(value uintptr) {
	made, _ := loaded.take(value)
	if l.config.Drop != nil {
		unanswerable("drop", func() { l.config.Drop(made.(T)) })
	}
}

//export ostlerGoLazyLoad
func ostlerGoLazyLoad(id C.uintptr_t) (C.ostler_status, C.uintptr_t, C.uint64_t) {
	callbacks, found := lazies.get(uintptr(id))
	if !found {
		return answer(errGone), 0, 0
	}
	value, bytes, err := callbacks.load()
	return answer(err), C.uintptr_t(value), C.uint64_t(bytes)
}

//export ostlerGoLazyDrop
func ostlerGoLazyDrop(id, value C.uintptr_t) {
	if callbacks, found := lazies.get(uintptr(id)); found {
		callbacks.drop(uintptr(value))
	}
}

// NewLazy makes a lazy value; nothing is loaded yet.
func NewLazy[T any](config LazyConfig[T]) (*Lazy[T], error) {
	var given arguments
	var c C.ostler_lazy_config
	if err := failure(C.ostler_go_lazy_config_init(&c)); err != nil {
		return nil, err
	}
	if config.Load == nil {
		given.refuse("Load is nil, but a lazy value cannot do without it")
	}
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	id := lazies.add(lazyCallbacks[T]{config})
	held := &tenancy{end: func() { lazies.take(id) }}
	created := C.ostler_go_lazy_create(&c, C.uintptr_t(id))
	if err := failure(created.failure); err != nil {
		held.close()
		return nil, err
	}
	return &Lazy[T]{handle: created.handle, tenancy: held, valueOf: loadedValue[T]}, nil
}

func loadedValue[T any](value uintptr) T {
	made, _ := loaded.get(value)
	return made.(T)
}

// LazyFileConfig says where the contents of a lazy file go. The zero value is a good one.
type LazyFileConfig struct {
	Name   string
	Source PageSource
}

// NewLazyFile makes a lazy value of a file, which is read whole at the first access and opened anew at each load. The
// contents lie outside of Go's heap, must only be read, and not after Unpin.
func NewLazyFile(path string, config LazyFileConfig) (*Lazy[[]byte], error) {
	var given arguments
	var c C.ostler_lazy_config
	if err := failure(C.ostler_go_lazy_config_init(&c)); err != nil {
		return nil, err
	}
	source := config.Source.given(&given)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	created := C.ostler_go_lazy_open_file(&c, &source, name)
	if err := failure(created.failure); err != nil {
		return nil, err
	}
	held := &tenancy{end: func() {}}
	return &Lazy[[]byte]{handle: created.handle, tenancy: held, valueOf: fileContent}, nil
}

func fileContent(value uintptr) []byte {
	content := *(**C.ostler_lazy_content)(unsafe.Pointer(&value))
	return unsafe.Slice((*byte)(content.data), int(content.size_bytes))
}

// Close drops the value, when nobody has pinned it; otherwise with the last pin. Readers are still to be closed.
func (l *Lazy[T]) Close() error {
	err := gone(failure(C.ostler_go_lazy_destroy(l.handle)))
	if err == nil {
		l.tenancy.close()
	}
	return err
}

// Invalidate makes the next pin load anew. Who has pinned the value keeps it.
func (l *Lazy[T]) Invalidate() error { return failure(C.ostler_go_lazy_invalidate(l.handle)) }

// Drop drops the value unless it is pinned, which is ErrBusy; it says how many bytes it counted.
func (l *Lazy[T]) Drop() (freed uint64, err error) {
	dropped := C.ostler_go_lazy_drop(l.handle)
	return uint64(dropped.freed_bytes), failure(dropped.failure)
}

// Stats is what the value is, and what it has done up to now.
func (l *Lazy[T]) Stats() (LazyStats, error) {
	var stats C.ostler_lazy_stats
	if err := failure(C.ostler_go_lazy_get_stats(l.handle, &stats)); err != nil {
		return LazyStats{}, err
	}
	return LazyStats{
		Loaded: stats.is_loaded != 0, Loading: stats.is_loading != 0, Version: uint64(stats.version),
		ValueBytes: uint64(stats.value_bytes), Readers: uint64(stats.readers), Leaving: uint64(stats.leaving),
		Pins: uint64(stats.pins), LoadFailures: uint64(stats.load_failures), Drops: uint64(stats.drops),
		Stales: uint64(stats.invalidations),
	}, nil
}

// OpenReader opens a reader.
func (l *Lazy[T]) OpenReader() (*Reader[T], error) {
	opened := C.ostler_go_reader_open(l.handle)
	if err := failure(opened.failure); err != nil {
		return nil, err
	}
	l.tenancy.enter()
	return &Reader[T]{words: (*C.ostler_reader)(opened.address), tenancy: l.tenancy, valueOf: l.valueOf}, nil
}

// Close closes a reader that holds no pin.
func (r *Reader[T]) Close() error {
	err := failure(C.ostler_go_reader_close(r.words))
	if err == nil {
		// The library may give the same address to the next reader.
		r.words = nil
		r.tenancy.leave()
	}
	return gone(err)
}

// Pin gives the value, which is not dropped until Unpin; it loads the value when it is not there, or waits for the
// goroutine that does.
func (r *Reader[T]) Pin(ctx context.Context) (T, error) {
	words := r.words
	if words != nil && atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_READER_LAYOUT {
		word := uint64(words.word)
		if uint32(word) != ^uint32(0) {
			order((*uint64)(&words.word), word+1<<32+1)
			if value := atomic.LoadUintptr((*uintptr)(unsafe.Pointer(words.published))); value != 0 {
				return r.valueOf(value), nil
			}
			publish((*uint64)(&words.word), word)
		}
	}
	var none T
	var value uintptr
	err := await(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		pinned := C.ostler_go_reader_pin(words, timeout, cancel)
		value = uintptr(pinned.value)
		return failure(pinned.failure)
	})
	if err != nil {
		return none, err
	}
	return r.valueOf(value), nil
}

// Unpin lets go of a pin.
func (r *Reader[T]) Unpin() error {
	words := r.words
	if words != nil && atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_READER_LAYOUT {
		if word := uint64(words.word); uint32(word) != 0 {
			order((*uint64)(&words.word), word-1)
			if uint32(word) > 1 || atomic.LoadUint32((*uint32)(&words.attention)) == 0 {
				return nil
			}
			return failure(C.ostler_go_reader_settle(words))
		}
	}
	return failure(C.ostler_go_reader_unpin(words))
}
