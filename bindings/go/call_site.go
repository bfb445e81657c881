package ostler

import (
	"cmp"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// CallSite is where a goroutine was when it acquired. It is empty when tracing was off.
type CallSite struct{ calls []uintptr }

// Frames are the calls that it was in, the innermost first.
func (s CallSite) Frames() []runtime.Frame {
	if len(s.calls) == 0 {
		return nil
	}
	var frames []runtime.Frame
	for next := runtime.CallersFrames(s.calls); ; {
		frame, more := next.Next()
		if len(frames) > 0 || !isOfThisPackage(frame.File) {
			frames = append(frames, frame)
		}
		if !more {
			return frames
		}
	}
}

func (s CallSite) String() string {
	var words []string
	for _, frame := range s.Frames() {
		words = append(words, fmt.Sprintf("%s (%s:%d)", frame.Function, path.Base(frame.File), frame.Line))
	}
	return strings.Join(words, " < ")
}

var packageFolder = func() string {
	_, file, _, _ := runtime.Caller(0)
	return path.Dir(file)
}()

func isOfThisPackage(file string) bool {
	return path.Dir(file) == packageFolder && !strings.HasSuffix(file, "_test.go")
}

// tracing is on, as this package switched it.
var tracing atomic.Bool

// callSites are those of a pool's leases. The library's own, in LeaseInfo and in its messages, end where Go called C.
type callSites struct {
	count atomic.Int64
	mu    sync.Mutex
	taken map[uint64]CallSite
}

const callSiteFrames = 40

// note remembers where this goroutine is, while tracing is on.
func (s *callSites) note(lease uint64) {
	if tracing.Load() {
		s.remember(lease)
	}
}

func (s *callSites) remember(lease uint64) {
	calls := make([]uintptr, callSiteFrames)
	site := CallSite{calls[:runtime.Callers(3, calls)]}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == nil {
		s.taken = make(map[uint64]CallSite)
	}
	s.taken[lease] = site
	s.count.Store(int64(len(s.taken)))
}

// forget is for a lease that ends.
func (s *callSites) forget(lease uint64) {
	if s.count.Load() > 0 {
		s.drop(lease)
	}
}

func (s *callSites) drop(lease uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, lease)
	s.count.Store(int64(len(s.taken)))
}

func (s *callSites) of(lease uint64) CallSite {
	if s.count.Load() == 0 {
		return CallSite{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[lease]
}

// namedHolders is how many the message of a wait in vain names, as the library's own does with threads.
const namedHolders = 3

// nameHolders says in the message of a wait in vain where the leases were taken that are held longest.
func nameHolders[T any](p *Pool[T], err error) error {
	failed, is := err.(*Error)
	if !is || !isOneOf(err, ErrTimeout, ErrCancelled) || p.keeper.sites.count.Load() == 0 {
		return err
	}
	held, failure := p.Leases()
	if failure != nil {
		return err
	}
	held = slices.DeleteFunc(held, func(info LeaseInfo[T]) bool { return len(info.CallSite.calls) == 0 })
	slices.SortStableFunc(held, func(a, b LeaseInfo[T]) int { return cmp.Compare(b.Held, a.Held) })
	for i, info := range held[:min(len(held), namedHolders)] {
		before := "; leased from "
		if i > 0 {
			before = ", and from "
		}
		failed.Message += before + info.CallSite.String()
	}
	return err
}
