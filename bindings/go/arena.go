package ostler

// #include "shim_arena.h"
// #cgo nocallback ostler_go_arena_alloc
import "C"

import (
	"context"
	"unsafe"
)

// ArenaConfig says what memory an arena is made of. The zero value is a good arena.
type ArenaConfig struct {
	Name       string
	Source     PageSource
	ChunkBytes int // how much to map at a time; 0 is 2 MiB
	LimitBytes int // the most to map; 0 is no limit
}

// ArenaStats is what an arena has done up to now.
type ArenaStats struct {
	Chunks, MappedBytes, UsedBytes, PeakUsedBytes uint64
	CursorsOpen, Refills, Resets, Rewinds         uint64
	StepDowns                                     uint64
}

// Arena is memory that is given out piece by piece and taken back all at once. It lies outside of Go's heap: the
// collector neither looks into it nor keeps it, so it must hold no pointer to anything of Go, and nobody may touch a
// piece after the Reset, Rewind or Close that takes it back. For the same reason a forgotten Arena stays mapped.
//
// Alloc may be called by many goroutines at once; Mark, Rewind and Reset need the arena for themselves, and so does
// Close against goroutines that allocate.
type Arena struct {
	handle C.uintptr_t
}

// Mark is a place in an arena to come back to.
type Mark struct{ mark C.ostler_mark }

// NewArena makes an arena.
func NewArena(config ArenaConfig) (*Arena, error) {
	var given arguments
	var c C.ostler_arena_config
	if err := failure(C.ostler_go_arena_config_init(&c)); err != nil {
		return nil, err
	}
	source := config.Source.given(&given)
	c.chunk_bytes = given.amount("ChunkBytes", config.ChunkBytes)
	c.limit_bytes = given.amount("LimitBytes", config.LimitBytes)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	created := C.ostler_go_arena_create(&c, &source)
	if err := failure(created.failure); err != nil {
		return nil, err
	}
	return &Arena{handle: created.handle}, nil
}

// Close takes the memory back. While cursors are open it refuses new work, and goes with the last of them.
func (a *Arena) Close() error { return gone(failure(C.ostler_go_arena_destroy(a.handle))) }

// Drain refuses new work and waits until every cursor is closed; it says how many are still open. A context that has
// ended waits for nothing, but new work is refused all the same.
func (a *Arena) Drain(ctx context.Context) (stillOpen uint64, err error) {
	err = drain(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		waited := C.ostler_go_arena_close(a.handle, timeout, cancel)
		stillOpen = uint64(waited.still_out)
		return failure(waited.failure)
	})
	return stillOpen, err
}

// Alloc gives out size bytes. The align is a power of two; 0 is 16. What lies in them is not defined.
func (a *Arena) Alloc(size, align int) ([]byte, error) {
	memory := C.ostler_go_arena_alloc(a.handle, C.uint64_t(size), C.uint64_t(align))
	if memory.failure.status != C.OSTLER_OK {
		return nil, allocationFailure(memory.failure, size, align)
	}
	return unsafe.Slice((*byte)(memory.address), size), nil
}

// allocationFailure says what is wrong with an allocation; a negative number has become a vast one on its way to C.
func allocationFailure(failed C.ostler_go_failure, size, align int) error {
	err := failure(failed)
	var given arguments
	given.amount("size", size)
	given.amount("align", align)
	if given.err != nil {
		return given.err
	}
	return err
}

// Mark remembers how far the arena is used.
func (a *Arena) Mark() (Mark, error) {
	var mark Mark
	err := failure(C.ostler_go_arena_mark(a.handle, &mark.mark))
	return mark, err
}

// Rewind takes back everything that was given out after the mark.
func (a *Arena) Rewind(mark Mark) error {
	return failure(C.ostler_go_arena_rewind(a.handle, mark.mark))
}

// Reset takes back everything and keeps the pages for what comes next.
func (a *Arena) Reset() error {
	return failure(C.ostler_go_arena_reset(a.handle, C.OSTLER_RESET_KEEP_PAGES))
}

// ResetAndReturnPages takes back everything and gives the pages back to the kernel.
func (a *Arena) ResetAndReturnPages() error {
	return failure(C.ostler_go_arena_reset(a.handle, C.OSTLER_RESET_RETURN_PAGES))
}

// Stats is what the arena has done up to now.
func (a *Arena) Stats() (ArenaStats, error) {
	var stats C.ostler_arena_stats
	if err := failure(C.ostler_go_arena_get_stats(a.handle, &stats)); err != nil {
		return ArenaStats{}, err
	}
	return ArenaStats{
		Chunks: uint64(stats.chunks), MappedBytes: uint64(stats.mapped_bytes), UsedBytes: uint64(stats.used_bytes),
		PeakUsedBytes: uint64(stats.peak_used_bytes), CursorsOpen: uint64(stats.cursors_open),
		Refills: uint64(stats.refills), Resets: uint64(stats.resets), Rewinds: uint64(stats.rewinds),
		StepDowns: uint64(stats.step_downs),
	}, nil
}
