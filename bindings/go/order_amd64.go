//go:build !race

package ostler

// order stores before every load that follows in the program, publish after every store and load before it: x86 keeps
// stores in their order, and neither the compiler nor the processor moves one before what stands before it.

func order(word *uint64, value uint64) { *word = value }

func publish(word *uint64, value uint64) { *word = value }
