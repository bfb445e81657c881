package ostler

// #include "shim.h"
import "C"

import (
	"errors"
	"strings"
	"sync"
)

// lastErrors are those of a callback. What the library tells of one comes in words, perhaps on another thread and much
// later, and they lead back to the error. There are more than a breaker that opens lets through at once.
type lastErrors struct {
	mu   sync.Mutex
	last [16]told
	next int
}

// told is an error in the words that the library passes on.
type told struct {
	words string
	cause error
}

func (t told) Error() string { return t.words }

// note gives the error back in the words that the library is to be told.
func (l *lastErrors) note(err error) error {
	words, _, _ := strings.Cut(strings.ToValidUTF8(wordsOf(err), "\ufffd"), "\x00")
	noted := told{words: cut(words, C.OSTLER_MESSAGE_BYTES-1), cause: err}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[l.next] = noted
	l.next = (l.next + 1) % len(l.last)
	return noted
}

// explain puts the error behind a failure that ends with its words: where several do, the one that says most, and of
// those the last.
func (l *lastErrors) explain(err error) error {
	var failed *Error
	// No other failure tells of a callback.
	if !isOneOf(err, ErrCreateFailed, ErrTimeout, ErrCancelled) || !errors.As(err, &failed) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var best told
	for age := range l.last {
		one := l.last[(l.next+age)%len(l.last)]
		if len(one.words) >= len(best.words) && strings.HasSuffix(failed.Message, ": "+one.words) {
			best = one
		}
	}
	if best.cause != nil {
		failed.because(best.cause)
	}
	return err
}
