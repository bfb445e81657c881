package ostler

import _ "unsafe" // for the names

// pin keeps this goroutine on its processor of Go, whose number it tells, and keeps the processor to this goroutine, until
// unpin. Between the two it must neither block nor call C. Both are names of the runtime that it promises to keep.
//
//go:linkname pin runtime.procPin
//go:noescape
func pin() int

//go:linkname unpin runtime.procUnpin
//go:noescape
func unpin()
