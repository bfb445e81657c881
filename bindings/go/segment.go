package ostler

// #include "shim_segment.h"
import "C"

import (
	"os"
	"unsafe"
)

// SegmentConfig says how a segment is made. The zero value is a good one of 2 MiB.
type SegmentConfig struct {
	Name       string
	Source     PageSource
	Bytes      int
	SoleWriter bool // no other process can map it for writing
}

// Access is what a process may do with a segment.
type Access uint32

const (
	ReadWrite Access = C.OSTLER_ACCESS_READ_WRITE
	ReadOnly  Access = C.OSTLER_ACCESS_READ_ONLY
)

// OwnerState says whether the process that made a segment is still there.
type OwnerState uint32

const (
	OwnerAlive  OwnerState = C.OSTLER_OWNER_ALIVE
	OwnerClosed OwnerState = C.OSTLER_OWNER_CLOSED // it closed the segment
	OwnerDied   OwnerState = C.OSTLER_OWNER_DIED   // it ended without that
)

// SegmentStats is what a segment is and holds.
type SegmentStats struct {
	Access                                  Access
	Bytes, UsedBytes, PageBytes, Generation uint64
	OwnerProcess                            uint64
	Owner                                   OwnerState
}

// Segment is an arena in memory that several processes map, each at an address of its own. It is not Go's memory: it
// must hold no pointer, and nobody may touch a block after the Reset or Close that takes it back.
//
// All methods but Reset and Close may be called by many goroutines, and processes, at once.
type Segment struct {
	handle C.uintptr_t
}

// SegmentBlock is a block of a segment, the same for every process. The zero value is none.
type SegmentBlock uint64

func (b SegmentBlock) given() C.ostler_segment_block {
	return C.ostler_segment_block{value: C.uint64_t(b)}
}

// NewSegment makes a segment.
func NewSegment(config SegmentConfig) (*Segment, error) {
	var given arguments
	var c C.ostler_segment_config
	source := config.Source.given(&given)
	c.sole_writer = flag(config.SoleWriter)
	c.bytes = given.amount("Bytes", config.Bytes)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	return segmentOf(C.ostler_go_segment_create(&c, &source))
}

func segmentOf(created C.ostler_go_created) (*Segment, error) {
	if err := failure(created.failure); err != nil {
		return nil, err
	}
	return &Segment{handle: created.handle}, nil
}

// AttachSegment maps the segment behind a file, which stays the caller's, as File of another process gave it.
func AttachSegment(file *os.File, access Access) (segment *Segment, err error) {
	connection, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlled := connection.Control(func(fd uintptr) {
		segment, err = segmentOf(C.ostler_go_segment_attach(C.int32_t(fd), C.uint32_t(access)))
	})
	if controlled != nil {
		return nil, controlled
	}
	return segment, err
}

// File gives what another process needs to attach: in exec.Cmd's ExtraFiles, or over a socket. The caller closes it.
func (s *Segment) File(access Access) (*os.File, error) {
	descriptor := C.ostler_go_segment_get_fd(s.handle, C.uint32_t(access))
	if err := failure(descriptor.failure); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(descriptor.fd), "segment"), nil
}

// Close unmaps the segment here. Other processes keep theirs.
func (s *Segment) Close() error { return gone(failure(C.ostler_go_segment_destroy(s.handle))) }

// Alloc gives out size bytes, and the block by which every process finds them. The align is a power of two; 0 is 16.
func (s *Segment) Alloc(size, align int) ([]byte, SegmentBlock, error) {
	memory := C.ostler_go_segment_alloc(s.handle, C.uint64_t(size), C.uint64_t(align))
	if memory.failure.status != C.OSTLER_OK {
		return nil, 0, allocationFailure(memory.failure, size, align)
	}
	return unsafe.Slice((*byte)(memory.address), size), SegmentBlock(memory.block.value), nil
}

// Get finds a block.
func (s *Segment) Get(block SegmentBlock) ([]byte, error) {
	memory := C.ostler_go_segment_get(s.handle, block.given())
	if err := failure(memory.failure); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(memory.address), int(memory.size_bytes)), nil
}

// Find says which block begins where the memory does.
func (s *Segment) Find(memory []byte) (SegmentBlock, error) {
	address := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	found := C.ostler_go_segment_find(s.handle, C.uintptr_t(address))
	return SegmentBlock(found.block.value), failure(found.failure)
}

// SetRoot names the block that whoever attaches begins with; 0 names none.
func (s *Segment) SetRoot(block SegmentBlock) error {
	return failure(C.ostler_go_segment_set_root(s.handle, block.given()))
}

// Root is the block that was named, or 0.
func (s *Segment) Root() (SegmentBlock, error) {
	root := C.ostler_go_segment_get_root(s.handle)
	return SegmentBlock(root.block.value), failure(root.failure)
}

// Reset frees every block. Only the process that made the segment can, and no process may use a block meanwhile.
func (s *Segment) Reset() error { return failure(C.ostler_go_segment_reset(s.handle)) }

// Stats is what the segment holds now, and whether its owner is still there.
func (s *Segment) Stats() (SegmentStats, error) {
	var stats C.ostler_segment_stats
	if err := failure(C.ostler_go_segment_get_stats(s.handle, &stats)); err != nil {
		return SegmentStats{}, err
	}
	return SegmentStats{
		Access: Access(stats.access), Bytes: uint64(stats.bytes), UsedBytes: uint64(stats.used_bytes),
		PageBytes: uint64(stats.page_bytes), Generation: uint64(stats.generation),
		OwnerProcess: uint64(stats.owner_process), Owner: OwnerState(stats.owner),
	}, nil
}
