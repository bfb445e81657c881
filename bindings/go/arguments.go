package ostler

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// arguments turns what Go hands over into what C takes, and remembers the first that does not fit.
type arguments struct{ err error }

func (a *arguments) refuse(format string, words ...any) {
	if a.err == nil {
		a.err = &Error{Code: ErrInvalidArgument, Message: fmt.Sprintf(format, words...)}
	}
}

func (a *arguments) count(name string, value int) C.uint32_t {
	if value < 0 || uint64(value) > math.MaxUint32 {
		a.refuse("%s is %d, but must be from 0 to %d", name, value, uint32(math.MaxUint32))
		return 0
	}
	return C.uint32_t(value)
}

func (a *arguments) amount(name string, value int) C.uint64_t {
	if value < 0 {
		a.refuse("%s is %d, but must not be negative", name, value)
		return 0
	}
	return C.uint64_t(value)
}

func (a *arguments) span(name string, value time.Duration) C.uint64_t {
	if value < 0 {
		a.refuse("%s is %v, but must not be negative", name, value)
		return 0
	}
	return C.uint64_t(value)
}

func (a *arguments) name(value string, to *[C.OSTLER_NAME_BYTES]C.char) {
	a.fixed("Name", value, to[:])
}

// fixed writes a string of fixed room.
func (a *arguments) fixed(name, value string, to []C.char) {
	if room := len(to) - 1; len(value) > room {
		a.refuse("%s %q has %d bytes, but there is room for %d", name, value, len(value), room)
	} else if strings.ContainsRune(value, 0) {
		a.refuse("%s %q has a byte of 0", name, value)
	} else {
		for i := range len(value) {
			to[i] = C.char(value[i])
		}
	}
}

// set writes numbers as bits.
func (a *arguments) set(name string, numbers []int, to *[C.OSTLER_SET_WORDS]C.uint64_t) {
	for _, number := range numbers {
		if most := len(to)*64 - 1; number < 0 || number > most {
			a.refuse("%s has %d, but must have numbers from 0 to %d", name, number, most)
			return
		}
		to[number/64] |= 1 << (number % 64)
	}
}

func flag(value bool) C.uint32_t {
	if value {
		return 1
	}
	return 0
}

func indexOf(index int) (C.uint32_t, error) {
	var given arguments
	return given.count("index", index), given.err
}

func duration(nanoseconds C.uint64_t) time.Duration {
	return time.Duration(min(uint64(nanoseconds), math.MaxInt64))
}

// text reads a string of fixed room.
func text(from []C.char) string {
	var words strings.Builder
	for _, letter := range from {
		if letter == 0 {
			break
		}
		words.WriteByte(byte(letter))
	}
	return words.String()
}
