package ostler

// #include "shim_heap.h"
// #cgo nocallback ostler_go_heap_pin
// #cgo nocallback ostler_go_heap_unpin
import "C"

import (
	"context"
	"unsafe"
)

// HeapConfig says what memory a heap is made of. The zero value is a good heap.
type HeapConfig struct {
	Name       string
	Source     PageSource
	ChunkBytes int  // how much to map at a time; 0 is 2 MiB
	LimitBytes int  // the most to map; 0 is no limit
	Checked    bool // guards surround each block, and are looked at when it is freed
}

// HeapStats is what a heap holds and has done up to now.
type HeapStats struct {
	Chunks, MappedBytes, PeakMappedBytes, AdoptedBytes, ResidentBytes uint64
	Blocks, MovableBlocks, RequestedBytes, UsedBytes, CachedBytes     uint64
	FreeBytes, FreeBlocks, LargestFreeBytes, TagBytes                 uint64
	Allocations, Repairs, StepDowns, ReturnedBytes                    uint64
}

// Compaction is what a compaction did. Fragmentation is how many millionths of the free bytes did not lie in the
// largest gap of their chunk.
type Compaction struct {
	FragmentationBefore, FragmentationAfter                uint32
	MovedBlocks, MovedBytes, ReturnedBytes, ReturnedChunks uint64
}

// Heap is memory in blocks of any size that are given back one by one, by any goroutine. It lies outside of Go's heap:
// the collector neither looks into it nor keeps it, so a block must hold no pointer to anything of Go, and nobody may touch
// one after it was freed. What Alloc gives stays where it is. What AllocBlock gives is reached through a handle, so that a
// compaction can move it while nobody has it pinned.
type Heap struct {
	handle C.uintptr_t
}

// Block names a block of a heap that may be moved.
type Block struct{ value C.uint64_t }

// BlockInfo is how large a block is, and how often it is pinned.
type BlockInfo struct {
	Pins                      uint32
	RequestedBytes, UsedBytes uint64
}

// NewHeap makes a heap.
func NewHeap(config HeapConfig) (*Heap, error) {
	var given arguments
	var c C.ostler_heap_config
	if err := failure(C.ostler_go_heap_config_init(&c)); err != nil {
		return nil, err
	}
	source := config.Source.given(&given)
	c.checked = flag(config.Checked)
	c.chunk_bytes = given.amount("ChunkBytes", config.ChunkBytes)
	c.limit_bytes = given.amount("LimitBytes", config.LimitBytes)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	created := C.ostler_go_heap_create(&c, &source)
	if err := failure(created.failure); err != nil {
		return nil, err
	}
	return &Heap{handle: created.handle}, nil
}

// Close gives the heap up with all its blocks; the memory goes at once, or when no block is pinned any more.
func (h *Heap) Close() error { return gone(failure(C.ostler_go_heap_destroy(h.handle))) }

// Drain allocates nothing any more and waits until every block is freed; it says how many are still out.
func (h *Heap) Drain(ctx context.Context) (stillOut uint64, err error) {
	err = drain(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		waited := C.ostler_go_heap_close(h.handle, timeout, cancel)
		stillOut = uint64(waited.still_out)
		return failure(waited.failure)
	})
	return stillOut, err
}

// Alloc allocates a block that stays where it is. An alignment of 0 is 16. It holds whatever was there.
func (h *Heap) Alloc(bytes, align int) (unsafe.Pointer, error) {
	var given arguments
	size, alignment := given.amount("bytes", bytes), given.amount("align", align)
	if given.err != nil {
		return nil, given.err
	}
	memory := C.ostler_go_heap_alloc(h.handle, size, alignment)
	return memory.address, failure(memory.failure)
}

// Resize gives a block of Alloc another size: where it is if that can be, else elsewhere, and then the old memory is gone.
// What it held stays, as far as it fits. After a failure the block is as it was.
func (h *Heap) Resize(block unsafe.Pointer, bytes, align int) (unsafe.Pointer, error) {
	var given arguments
	size, alignment := given.amount("bytes", bytes), given.amount("align", align)
	if given.err != nil {
		return nil, given.err
	}
	memory := C.ostler_go_heap_resize(h.handle, block, size, alignment)
	return memory.address, failure(memory.failure)
}

// Free gives a block of Alloc or AllocN back. Of nil there is nothing to free.
func (h *Heap) Free(block unsafe.Pointer) error {
	return failure(C.ostler_go_heap_free(h.handle, block))
}

// UsableBytes says how many bytes a block of Alloc has room for: at least those that were asked for.
func (h *Heap) UsableBytes(block unsafe.Pointer) (uint64, error) {
	usable := C.ostler_go_heap_get_usable_bytes(h.handle, block)
	return uint64(usable.value), failure(usable.failure)
}

// AllocBlock allocates a block that may be moved. An alignment of 0 is 16.
func (h *Heap) AllocBlock(bytes, align int) (Block, error) {
	var given arguments
	size, alignment := given.amount("bytes", bytes), given.amount("align", align)
	if given.err != nil {
		return Block{}, given.err
	}
	made := C.ostler_go_heap_alloc_block(h.handle, size, alignment)
	return Block{made.value}, failure(made.failure)
}

// Use pins a block for as long as use runs, and hands it its memory, which must not be kept.
func (h *Heap) Use(block Block, use func(memory []byte) error) error {
	pinned := C.ostler_go_heap_pin(h.handle, block.value)
	if err := failure(pinned.failure); err != nil {
		return err
	}
	defer C.ostler_go_heap_unpin(h.handle, block.value)
	// While it is pinned nobody changes its size.
	info, err := h.Info(block)
	if err != nil {
		return err
	}
	return use(unsafe.Slice((*byte)(pinned.address), int(info.RequestedBytes)))
}

// ResizeBlock gives a block that nobody has pinned another size. What it held stays, as far as it fits.
func (h *Heap) ResizeBlock(block Block, bytes int) error {
	var given arguments
	size := given.amount("bytes", bytes)
	if given.err != nil {
		return given.err
	}
	return failure(C.ostler_go_heap_resize_block(h.handle, block.value, size))
}

// FreeBlock gives a block back that nobody has pinned.
func (h *Heap) FreeBlock(block Block) error {
	return failure(C.ostler_go_heap_free_block(h.handle, block.value))
}

// Info says how large a block is, and how often it is pinned.
func (h *Heap) Info(block Block) (BlockInfo, error) {
	var c C.ostler_block_info
	if err := failure(C.ostler_go_heap_get_block_info(h.handle, block.value, &c)); err != nil {
		return BlockInfo{}, err
	}
	return BlockInfo{uint32(c.pins), uint64(c.requested_bytes), uint64(c.used_bytes)}, nil
}

// Compact moves blocks together that nobody has pinned, at most so many bytes (0: as many as it takes), and gives what is
// then free in whole chunks and pages back.
func (h *Heap) Compact(mostBytes int) (Compaction, error) {
	var given arguments
	most := given.amount("mostBytes", mostBytes)
	if given.err != nil {
		return Compaction{}, given.err
	}
	var c C.ostler_heap_compaction
	if err := failure(C.ostler_go_heap_compact(h.handle, most, &c)); err != nil {
		return Compaction{}, err
	}
	return Compaction{
		uint32(c.fragmentation_before_ppm), uint32(c.fragmentation_after_ppm),
		uint64(c.moved_blocks), uint64(c.moved_bytes), uint64(c.returned_bytes), uint64(c.returned_chunks),
	}, nil
}

// Trim gives empty chunks back as long as more than keepBytes are mapped, and says how many bytes that were.
func (h *Heap) Trim(keepBytes int) (uint64, error) {
	var given arguments
	keep := given.amount("keepBytes", keepBytes)
	if given.err != nil {
		return 0, given.err
	}
	trimmed := C.ostler_go_heap_trim(h.handle, keep)
	return uint64(trimmed.value), failure(trimmed.failure)
}

// Check looks at the guards of every block of a checked heap.
func (h *Heap) Check() error { return failure(C.ostler_go_heap_check(h.handle)) }

// Stats says what the heap holds and has done.
func (h *Heap) Stats() (HeapStats, error) {
	var c C.ostler_heap_stats
	if err := failure(C.ostler_go_heap_get_stats(h.handle, &c)); err != nil {
		return HeapStats{}, err
	}
	return HeapStats{
		uint64(c.chunks), uint64(c.mapped_bytes), uint64(c.peak_mapped_bytes), uint64(c.adopted_bytes),
		uint64(c.resident_bytes), uint64(c.blocks), uint64(c.movable_blocks), uint64(c.requested_bytes),
		uint64(c.used_bytes), uint64(c.cached_bytes), uint64(c.free_bytes), uint64(c.free_blocks),
		uint64(c.largest_free_bytes), uint64(c.tag_bytes), uint64(c.allocations), uint64(c.repairs), uint64(c.step_downs),
		uint64(c.returned_bytes),
	}, nil
}
