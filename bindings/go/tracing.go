package ostler

// #include "shim_tracing.h"
import "C"

import (
	"bytes"
	"fmt"
	"time"
	"unsafe"
)

// TracingConfig is what tracing remembers; the zero value is the default.
type TracingConfig struct {
	MaxFrames   int    // frames of a call stack, at most 64; 0: 32
	SampleBytes uint64 // one block in so many bytes is remembered, on average; 1: each; 0: 16777216
	Seed        uint64 // what the sample is drawn with
}

// StartTracing remembers, for the whole process, who takes memory from now on, with its size, its age and its call
// stack. A call stack has the frames of C; where Go called, it ends in the function that cgo made for the call. Leases of
// pools tell the calls of Go themselves, in LeaseInfo.
func StartTracing(config TracingConfig) error {
	var given arguments
	frames := given.count("MaxFrames", config.MaxFrames)
	if given.err != nil {
		return given.err
	}
	err := failure(C.ostler_go_tracing_start(frames, C.uint64_t(config.SampleBytes), C.uint64_t(config.Seed)))
	if err == nil {
		tracing.Store(true)
	}
	return err
}

// StopTracing switches tracing off. What is remembered stays so until it is given back.
func StopTracing() error {
	tracing.Store(false)
	return failure(C.ostler_go_tracing_stop())
}

// TracingStats is how much is remembered.
type TracingStats struct {
	On          bool
	SampleBytes uint64
	Followed    uint64 // mappings and blocks that are remembered now
	Lost        uint64 // those for which there was no room
	CallStacks  uint64 // different ones that were seen
}

// GetTracingStats tells how much is remembered.
func GetTracingStats() (TracingStats, error) {
	var stats C.ostler_tracing_stats
	if err := failure(C.ostler_go_tracing_get_stats(&stats)); err != nil {
		return TracingStats{}, err
	}
	return TracingStats{
		On: stats.on != 0, SampleBytes: uint64(stats.sample_bytes), Followed: uint64(stats.followed),
		Lost: uint64(stats.lost), CallStacks: uint64(stats.call_stacks),
	}, nil
}

// TracingOrder is how a report is sorted; the zero value is ByStack.
type TracingOrder uint32

const (
	ByStack  TracingOrder = C.OSTLER_TRACING_BY_STACK  // a group for each call stack, most bytes first
	ByObject TracingOrder = C.OSTLER_TRACING_BY_OBJECT // the call stacks of each object, that with most bytes first
)

// TracedKind is what a group of a report is made of.
type TracedKind uint32

const (
	TracedMapping TracedKind = C.OSTLER_TRACED_MAPPING // memory that an object took from the system
	TracedBlock   TracedKind = C.OSTLER_TRACED_BLOCK   // blocks that an object handed out
)

func (k TracedKind) String() string {
	switch k {
	case TracedMapping:
		return "mapping"
	case TracedBlock:
		return "block"
	}
	return "unknown"
}

// TraceFrame is one call in a call stack. What a module does not tell is empty.
type TraceFrame struct {
	Module   string
	Offset   uint64 // of the call in the module's file
	Function string
	File     string
	Line     int
}

func (f TraceFrame) String() string {
	return fmt.Sprintf("%s (%s+%#x) %s:%d", f.Function, f.Module, f.Offset, f.File, f.Line)
}

// TraceGroup is what one call stack took and has not given back. Bytes and Blocks are estimates where only a sample is
// remembered.
type TraceGroup struct {
	Kind     TracedKind
	Bytes    uint64
	Blocks   uint64
	Followed uint64 // those of them that are remembered
	Oldest   time.Duration
	Holder   string // the kind of the object that has them; empty when several kinds have
	Name     string // its name; empty when several objects have them
	Account  uint64 // the number of its account; 0 when several objects have them
	Frames   []TraceFrame
}

// TracingReport is what is alive, for people.
func TracingReport(order TracingOrder) (string, error) {
	// More may be taken between asking how long the report is and printing it.
	for room := 4096; ; {
		buffer := make([]byte, room)
		printed := C.ostler_go_tracing_report(C.uint32_t(order), (*C.char)(unsafe.Pointer(&buffer[0])), C.uint64_t(room))
		if err := failure(printed.failure); err != nil {
			return "", err
		}
		if needed := int(printed.needed_bytes); needed > room {
			room = needed
			continue
		}
		return string(buffer[:bytes.IndexByte(buffer, 0)]), nil
	}
}

// traceVisits are the lists that are being filled.
var traceVisits registry[*[]TraceGroup]

// TraceGroups is what is alive, in the order of the report.
func TraceGroups(order TracingOrder) ([]TraceGroup, error) {
	var groups []TraceGroup
	id := traceVisits.add(&groups)
	defer traceVisits.take(id)
	err := failure(C.ostler_go_tracing_visit(C.uint32_t(order), C.uintptr_t(id)))
	return groups, err
}

//export ostlerGoTraceGroup
func ostlerGoTraceGroup(id C.uintptr_t, shown *C.ostler_trace_group) {
	groups, found := traceVisits.get(uintptr(id))
	if !found {
		return
	}
	group := TraceGroup{
		Kind: TracedKind(shown.kind), Bytes: uint64(shown.bytes), Blocks: uint64(shown.blocks),
		Followed: uint64(shown.followed), Oldest: time.Duration(shown.oldest_ns), Holder: C.GoString(shown.holder),
		Name: C.GoString(&shown.name[0]), Account: uint64(shown.account),
	}
	for _, frame := range unsafe.Slice(shown.frames, int(shown.frame_count)) {
		group.Frames = append(group.Frames, TraceFrame{
			Module: C.GoString(frame.module), Offset: uint64(frame.offset), Function: C.GoString(frame.function),
			File: C.GoString(frame.file), Line: int(frame.line),
		})
	}
	*groups = append(*groups, group)
}
