//go:build !amd64 || race

package ostler

import "sync/atomic"

// order stores before every load that follows in the program, publish after every store and load before it.

func order(word *uint64, value uint64) { atomic.StoreUint64(word, value) }

func publish(word *uint64, value uint64) { atomic.StoreUint64(word, value) }
