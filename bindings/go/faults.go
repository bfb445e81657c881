//go:build faults

package ostler

// The seam for injected failures, for tests: cgo is not to be had in a test file.

// #cgo CFLAGS: -I${SRCDIR}/../../tests/support
// #include <ostler_faults.h>
import "C"

type faultPoint uint32

const (
	faultAllocation  faultPoint = C.OSTLER_FAULT_ALLOCATION
	faultMmap        faultPoint = C.OSTLER_FAULT_MMAP
	faultThreadStart faultPoint = C.OSTLER_FAULT_THREAD_START
	faultCallback    faultPoint = C.OSTLER_FAULT_CALLBACK
	faultCall        faultPoint = C.OSTLER_FAULT_CALL
	faultWorker      faultPoint = C.OSTLER_FAULT_WORKER
)

// faultPanic in place of an errno makes the library panic.
const faultPanic = -1

func setFault(point faultPoint, nth uint64, errno int32) {
	C.ostler_faults_set(C.uint32_t(point), C.uint64_t(nth), C.int32_t(errno), 0)
}

func faultHits(point faultPoint) uint64 { return uint64(C.ostler_faults_hits(C.uint32_t(point))) }

func liveObjects() uint64 { return uint64(C.ostler_faults_live()) }
