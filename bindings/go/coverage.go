package ostler

// #include "shim_governor.h"
import "C"

import (
	"math"
	"syscall"
	"time"
)

// Coverage is how much of some memory still is what its receipts told.
type Coverage struct {
	MappedBytes, ResidentBytes, HugeBytes uint64
	WantedHugeBytes                       uint64 // for which huge pages were asked
	SmallBytes                            uint64 // of them in base pages
	RemoteBytes                           uint64 // on other nodes than the policy stands for
	UnverifiedBytes                       uint64 // of chunks of which the kernel does not tell
}

// Repair is what a repair found and what it left.
type Repair struct {
	Limit                               Limit // of the first thing that could not be repaired
	Errno                               syscall.Errno
	SmallBytesBefore, SmallBytesAfter   uint64
	RemoteBytesBefore, RemoteBytesAfter uint64
}

// Seen is what the last look at the memory of an account saw: one by the governor's thread, or one that was asked for.
type Seen struct {
	Coverage
	Age time.Duration // of several accounts the longest; below 0: nobody looked yet
}

// GovernorCoverage asks the kernel about the memory of all arenas, heaps, slabs and sets of buffers.
func GovernorCoverage() (Coverage, error) {
	var c C.ostler_coverage
	if err := failure(C.ostler_go_governor_get_coverage(&c)); err != nil {
		return Coverage{}, err
	}
	return coverageOf(&c), nil
}

// GovernorRepair repairs the memory of all of them.
func GovernorRepair() (Repair, error) {
	var c C.ostler_repair
	if err := failure(C.ostler_go_governor_repair(&c)); err != nil {
		return Repair{}, err
	}
	return repairOf(&c), nil
}

func coverageOf(c *C.ostler_coverage) Coverage {
	return Coverage{
		MappedBytes: uint64(c.mapped_bytes), ResidentBytes: uint64(c.resident_bytes), HugeBytes: uint64(c.huge_bytes),
		WantedHugeBytes: uint64(c.wanted_huge_bytes), SmallBytes: uint64(c.small_bytes),
		RemoteBytes: uint64(c.remote_bytes), UnverifiedBytes: uint64(c.unverified_bytes),
	}
}

func repairOf(c *C.ostler_repair) Repair {
	return Repair{
		Limit: Limit(c.limit), Errno: syscall.Errno(c.os_errno),
		SmallBytesBefore: uint64(c.small_bytes_before), SmallBytesAfter: uint64(c.small_bytes_after),
		RemoteBytesBefore: uint64(c.remote_bytes_before), RemoteBytesAfter: uint64(c.remote_bytes_after),
	}
}

func seenOf(c *C.ostler_seen) Seen {
	if c.age_ns == math.MaxUint64 {
		return Seen{Age: -1}
	}
	return Seen{
		Coverage: Coverage{
			MappedBytes: uint64(c.mapped_bytes), ResidentBytes: uint64(c.resident_bytes),
			WantedHugeBytes: uint64(c.wanted_huge_bytes), HugeBytes: uint64(c.huge_bytes),
			SmallBytes: uint64(c.small_bytes), RemoteBytes: uint64(c.remote_bytes),
			UnverifiedBytes: uint64(c.unverified_bytes),
		},
		Age: time.Duration(min(uint64(c.age_ns), math.MaxInt64)),
	}
}
