package ostler

// #include "shim_buffers.h"
import "C"

import (
	"context"
	"runtime"
	"unsafe"
)

// BuffersConfig says what memory a set of buffers is made of. The zero value is a good one.
type BuffersConfig struct {
	Name       string
	Source     PageSource
	ChunkBytes int // how much to map at a time; 0 is 2 MiB
	LimitBytes int // the most to map; 0 is no limit
}

// BuffersStats is what a set of buffers holds, and what it has done up to now.
type BuffersStats struct {
	Chunks, MappedBytes           uint64
	InUse, InUseBytes, WasteBytes uint64 // waste is what nobody asked for
	Idle, IdleBytes, AtHand       uint64 // of the idle ones, threads have some at hand
	Wrapped, Gets, Refused        uint64
	Recalls, Trims, StepDowns     uint64
}

// Buffers is memory in 89 sizes from 256 bytes to 1 GiB, leased one by one. It lies outside of Go's heap, so it must hold
// no pointer to anything of Go. All methods may be called by many goroutines at once.
type Buffers struct {
	handle C.uintptr_t
}

// Buffer is a reference to a view of memory. It is released once; a second time, as after the last reference of the view,
// is ErrStaleBuffer. Bytes must not be touched afterwards.
type Buffer struct {
	set   C.uintptr_t
	view  C.uint64_t
	bytes []byte
}

// NewBuffers makes a set of buffers.
func NewBuffers(config BuffersConfig) (*Buffers, error) {
	var given arguments
	var c C.ostler_buffers_config
	if err := failure(C.ostler_go_buffers_config_init(&c)); err != nil {
		return nil, err
	}
	source := config.Source.given(&given)
	c.chunk_bytes = given.amount("ChunkBytes", config.ChunkBytes)
	c.limit_bytes = given.amount("LimitBytes", config.LimitBytes)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	created := C.ostler_go_buffers_create(&c, &source)
	if err := failure(created.failure); err != nil {
		return nil, err
	}
	return &Buffers{handle: created.handle}, nil
}

// Close gives back what is idle. What is viewed stays until its last view is released.
func (b *Buffers) Close() error { return gone(failure(C.ostler_go_buffers_destroy(b.handle))) }

// Drain refuses new work and waits until every view is released; it says how many buffers are still out.
func (b *Buffers) Drain(ctx context.Context) (stillOut uint64, err error) {
	err = drain(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		waited := C.ostler_go_buffers_close(b.handle, timeout, cancel)
		stillOut = uint64(waited.still_out)
		return failure(waited.failure)
	})
	return stillOut, err
}

// Get leases a buffer of size bytes. What lies in them is not defined.
func (b *Buffers) Get(size int) (Buffer, error) {
	var given arguments
	bytes := given.amount("size", size)
	if given.err != nil {
		return Buffer{}, given.err
	}
	return bufferOf(b.handle, C.ostler_go_buffers_get(b.handle, bytes))
}

// wrapped is memory of the program that views of a set show.
type wrapped struct {
	pinner  runtime.Pinner
	release func()
}

var wraps registry[*wrapped]

// Wrap makes a view of memory of the program's, of Go or of C. It stays where it is, and must hold no pointer to anything
// of Go, until the last view of it is released; then release is called, on whatever thread that was. It may be nil.
func (b *Buffers) Wrap(memory []byte, release func()) (Buffer, error) {
	kept := &wrapped{release: release}
	data := unsafe.Pointer(unsafe.SliceData(memory))
	if data != nil {
		// What is no memory of Go's is left alone.
		kept.pinner.Pin(data)
	}
	id := wraps.add(kept)
	view, err := bufferOf(b.handle, C.ostler_go_buffers_wrap(b.handle, data, C.uint64_t(len(memory)), C.uintptr_t(id)))
	if err != nil {
		wraps.take(id)
		kept.pinner.Unpin()
	}
	return view, err
}

//export ostlerGoBuffersRelease
func ostlerGoBuffersRelease(id C.uintptr_t) {
	if kept, found := wraps.take(uintptr(id)); found {
		kept.pinner.Unpin()
		if kept.release != nil {
			unanswerable("release", kept.release)
		}
	}
}

// Trim gives idle memory back to the kernel, until at most keep bytes stay mapped; it says how much went.
func (b *Buffers) Trim(keep int) (freed uint64, err error) {
	var given arguments
	bytes := given.amount("keep", keep)
	if given.err != nil {
		return 0, given.err
	}
	trimmed := C.ostler_go_buffers_trim(b.handle, bytes)
	return uint64(trimmed.freed_bytes), failure(trimmed.failure)
}

// Stats is what the set holds, and what it has done up to now.
func (b *Buffers) Stats() (BuffersStats, error) {
	var stats C.ostler_buffers_stats
	if err := failure(C.ostler_go_buffers_get_stats(b.handle, &stats)); err != nil {
		return BuffersStats{}, err
	}
	return BuffersStats{
		Chunks: uint64(stats.chunks), MappedBytes: uint64(stats.mapped_bytes), InUse: uint64(stats.in_use),
		InUseBytes: uint64(stats.in_use_bytes), WasteBytes: uint64(stats.waste_bytes), Idle: uint64(stats.idle),
		IdleBytes: uint64(stats.idle_bytes), AtHand: uint64(stats.at_hand), Wrapped: uint64(stats.wrapped),
		Gets: uint64(stats.gets), Refused: uint64(stats.refused), Recalls: uint64(stats.recalls),
		Trims: uint64(stats.trims), StepDowns: uint64(stats.step_downs),
	}, nil
}

// BufferClassStats is what a set holds of one size.
type BufferClassStats struct {
	SizeBytes                             uint64
	InUse, Idle, AtHand, WasteBytes, Gets uint64
}

// ClassStats is what the set holds of one size; the first is number 0.
func (b *Buffers) ClassStats(number int) (BufferClassStats, error) {
	var given arguments
	at := given.amount("number", number)
	if given.err != nil {
		return BufferClassStats{}, given.err
	}
	var c C.ostler_buffers_class_stats
	if err := failure(C.ostler_go_buffers_get_class_stats(b.handle, at, &c)); err != nil {
		return BufferClassStats{}, err
	}
	return BufferClassStats{
		SizeBytes: uint64(c.size_bytes), InUse: uint64(c.in_use), Idle: uint64(c.idle), AtHand: uint64(c.at_hand),
		WasteBytes: uint64(c.waste_bytes), Gets: uint64(c.gets),
	}, nil
}

// ReleaseAll ends a reference to each of many views in one call; it says how many were good. Those of another set are stale.
func (b *Buffers) ReleaseAll(views []Buffer) (released int, err error) {
	if len(views) == 0 {
		return 0, nil
	}
	ids := make([]C.ostler_buffer, len(views))
	for i, view := range views {
		ids[i].value = view.view
	}
	ended := C.ostler_go_buffers_release_n(b.handle, &ids[0], C.uint32_t(len(ids)))
	return int(ended.released), failure(ended.failure)
}

// Bytes is the memory that the view shows.
func (b Buffer) Bytes() []byte { return b.bytes }

// Slice makes a view of a part of what this one shows, which may outlive it. Nothing is copied.
func (b Buffer) Slice(offset, size int) (Buffer, error) {
	var given arguments
	from, bytes := given.amount("offset", offset), given.amount("size", size)
	if given.err != nil {
		return Buffer{}, given.err
	}
	return bufferOf(b.set, C.ostler_go_buffers_slice(b.set, b.view, from, bytes))
}

// Truncate makes the view shorter, for all who have a reference to it.
func (b *Buffer) Truncate(size int) error {
	var given arguments
	bytes := given.amount("size", size)
	if given.err != nil {
		return given.err
	}
	err := failure(C.ostler_go_buffers_truncate(b.set, b.view, bytes))
	if err == nil {
		b.bytes = b.bytes[:size:size]
	}
	return err
}

// Retain adds a reference to the view; each is released once.
func (b Buffer) Retain() error { return failure(C.ostler_go_buffers_retain(b.set, b.view)) }

// Release ends a reference. With the last view of it the memory is idle.
func (b Buffer) Release() error { return failure(C.ostler_go_buffers_release(b.set, b.view)) }

func bufferOf(set C.uintptr_t, got C.ostler_go_buffer) (Buffer, error) {
	if err := failure(got.failure); err != nil {
		return Buffer{}, err
	}
	return Buffer{set: set, view: got.view, bytes: unsafe.Slice((*byte)(got.data), int(got.size_bytes))}, nil
}
