//go:build race

package ostler

import (
	"runtime"
	"unsafe"
)

// edge shows the race detector what it cannot see in C: that the release of a resource happens before whatever comes of it. A
// call of C it knows; a release without one may be followed by a call on another goroutine.
type edge struct{ word uint32 }

func (e *edge) released() { runtime.RaceReleaseMerge(unsafe.Pointer(&e.word)) }

func (e *edge) leased() { runtime.RaceAcquire(unsafe.Pointer(&e.word)) }
