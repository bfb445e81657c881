// Package empty calls C for nothing.
package empty

// static void nothing(void) {}
import "C"

// Call is a call of C that does nothing.
func Call() { C.nothing() }
