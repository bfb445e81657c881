package ostler

// #include "shim_arena.h"
import "C"

import "syscall"

// Coverage is how much of an arena's memory still is what its receipts told.
type Coverage struct {
	MappedBytes, ResidentBytes, HugeBytes uint64
	SmallBytes                            uint64 // in base pages although larger ones were asked for
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

// Coverage asks the kernel about all chunks.
func (a *Arena) Coverage() (Coverage, error) {
	var c C.ostler_coverage
	if err := failure(C.ostler_go_arena_get_coverage(a.handle, &c)); err != nil {
		return Coverage{}, err
	}
	return Coverage{
		MappedBytes: uint64(c.mapped_bytes), ResidentBytes: uint64(c.resident_bytes), HugeBytes: uint64(c.huge_bytes),
		SmallBytes: uint64(c.small_bytes), RemoteBytes: uint64(c.remote_bytes),
		UnverifiedBytes: uint64(c.unverified_bytes),
	}, nil
}

// Repair puts huge pages together that the kernel split, and moves pages home that it moved away.
func (a *Arena) Repair() (Repair, error) {
	var c C.ostler_repair
	if err := failure(C.ostler_go_arena_repair(a.handle, &c)); err != nil {
		return Repair{}, err
	}
	return Repair{
		Limit: Limit(c.limit), Errno: syscall.Errno(c.os_errno),
		SmallBytesBefore: uint64(c.small_bytes_before), SmallBytesAfter: uint64(c.small_bytes_after),
		RemoteBytesBefore: uint64(c.remote_bytes_before), RemoteBytesAfter: uint64(c.remote_bytes_after),
	}, nil
}
