package ostler

// #include "shim_arena.h"
// #cgo nocallback ostler_go_arena_alloc
import "C"

import (
	"context"
	"errors"
	"unsafe"
)

// Growth is how large an arena's next chunk is.
type Growth uint32

const (
	GrowthFixed  Growth = C.OSTLER_GROWTH_FIXED  // as large as the first
	GrowthDouble Growth = C.OSTLER_GROWTH_DOUBLE // as large as all that is mapped, up to MaxChunkBytes
	GrowthNone   Growth = C.OSTLER_GROWTH_NONE   // one chunk is all there is
)

// Poison is when memory that an arena took back is made unusable, so that a use of it shows.
type Poison uint32

const (
	PoisonWatched Poison = C.OSTLER_POISON_WATCHED // where AddressSanitizer or valgrind watches
	PoisonNever   Poison = C.OSTLER_POISON_NEVER
	PoisonAlways  Poison = C.OSTLER_POISON_ALWAYS // everywhere: it is overwritten
)

// ArenaConfig says what memory an arena is made of. The zero value is a good arena.
type ArenaConfig struct {
	Name          string
	Source        PageSource
	ChunkBytes    int // how much to map at a time; 0 is 2 MiB
	Growth        Growth
	MaxChunkBytes int // where GrowthDouble ends; 0 is 64 MiB
	LimitBytes    int // the most to map; 0 is no limit
	Poison        Poison
}

// ArenaStats is what an arena has done up to now.
type ArenaStats struct {
	Chunks, MappedBytes, UsedBytes, PeakUsedBytes uint64
	CursorsOpen, Refills, Resets, Rewinds         uint64
	StepDowns, AdoptedBytes, KeptBytes, Strays    uint64
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

// Mark is a place of an arena or of a cursor to come back to.
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
	c.growth = C.uint32_t(config.Growth)
	c.max_chunk_bytes = given.amount("MaxChunkBytes", config.MaxChunkBytes)
	c.limit_bytes = given.amount("LimitBytes", config.LimitBytes)
	c.poison = C.uint32_t(config.Poison)
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

// Scope runs body and then takes back everything that was given out meanwhile. Scopes nest.
func (a *Arena) Scope(body func() error) (err error) {
	begin, err := a.Mark()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Rewind(begin)) }()
	return body()
}

// Adopt gives the arena memory to hand out, which must stay until the arena is closed, and be none of Go's heap: from
// another arena, or from syscall.Mmap.
func (a *Arena) Adopt(memory []byte) error {
	address := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	return failure(C.ostler_go_arena_adopt(a.handle, C.uintptr_t(address), C.uint64_t(len(memory))))
}

// Trim gives chunks that are kept for later back to the kernel, until at most keep bytes of them stay; it says how much
// went.
func (a *Arena) Trim(keep int) (givenBack uint64, err error) {
	var given arguments
	bytes := given.amount("keep", keep)
	if given.err != nil {
		return 0, given.err
	}
	trimmed := C.ostler_go_arena_trim(a.handle, bytes)
	return uint64(trimmed.given_back_bytes), failure(trimmed.failure)
}

// HandOver passes everything that the arena holds on to a new one, for another owner; this one is closed. No cursor may
// be open.
func (a *Arena) HandOver() (*Arena, error) {
	created := C.ostler_go_arena_hand_over(a.handle)
	if err := failure(created.failure); err != nil {
		return nil, err
	}
	return &Arena{handle: created.handle}, nil
}

// BeginRegion begins what HandOverRegion can pass on by itself.
func (a *Arena) BeginRegion() (Mark, error) {
	var region Mark
	err := failure(C.ostler_go_arena_begin_region(a.handle, &region.mark))
	return region, err
}

// HandOverRegion moves everything that was given out since the region began into another arena.
func (a *Arena) HandOverRegion(region Mark, into *Arena) error {
	return failure(C.ostler_go_arena_hand_over_region(a.handle, region.mark, into.handle))
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
		StepDowns: uint64(stats.step_downs), AdoptedBytes: uint64(stats.adopted_bytes), KeptBytes: uint64(stats.kept_bytes),
		Strays: uint64(stats.strays),
	}, nil
}
