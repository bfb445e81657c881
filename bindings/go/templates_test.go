package ostler

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// twice makes templates that are their keys, twice.
func twice(key string) ([]byte, error) { return []byte(key + key), nil }

func newTemplates(t *testing.T, config TemplatesConfig) *Templates {
	t.Helper()
	if config.Build == nil {
		config.Build = twice
	}
	templates, err := NewTemplates(config)
	succeeds(t, err)
	closes(t, templates)
	return templates
}

func templatesStats(t *testing.T, templates *Templates) TemplatesStats {
	t.Helper()
	stats, err := templates.Stats()
	succeeds(t, err)
	return stats
}

func TestTemplateIsBuiltOnceAndCopied(t *testing.T) {
	leavesNothing(t)
	var builds atomic.Int32
	var own []byte
	templates := newTemplates(t, TemplatesConfig{Build: func(key string) ([]byte, error) {
		builds.Add(1)
		own = []byte(key + key)
		return own, nil
	}})
	into := make([]byte, 10)
	for range 3 {
		size, err := templates.Instantiate(soon(t), "ab\x00", into)
		succeeds(t, err)
		if string(into[:size]) != "ab\x00ab\x00" {
			t.Fatalf("got %q", into[:size])
		}
		own[0] = 'x' // The library has a copy of its own.
	}
	copied, err := templates.Copy(context.Background(), "ab\x00")
	succeeds(t, err)
	copied[0] = 'y'
	if again, _ := templates.Copy(soon(t), "ab\x00"); again[0] != 'a' {
		t.Error("a copy is not the caller's own")
	}
	stats := templatesStats(t, templates)
	if builds.Load() != 1 || stats.Builds != 1 || stats.Hits != 4 || stats.Bytes != 6 || stats.BuildTimes.Count != 1 {
		t.Errorf("%d builds, %+v", builds.Load(), stats)
	}
}

func TestTemplateGoesIntoAnArena(t *testing.T) {
	arena, err := NewArena(ArenaConfig{})
	succeeds(t, err)
	closes(t, arena)
	templates := newTemplates(t, TemplatesConfig{})
	instance, err := templates.InstantiateIn(soon(t), "ab", arena)
	succeeds(t, err)
	if string(instance) != "abab" {
		t.Errorf("got %q", instance)
	}
}

func TestTemplatesSayWhatDoesNotFit(t *testing.T) {
	leavesNothing(t)
	_, err := NewTemplates(TemplatesConfig{})
	failsWith(t, err, ErrInvalidArgument)
	_, err = NewTemplates(TemplatesConfig{Build: twice, MaxTemplates: -1})
	failsWith(t, err, ErrInvalidArgument)
	_, err = NewTemplates(TemplatesConfig{Build: twice, Eviction: 9})
	failsWith(t, err, ErrInvalidArgument)

	templates := newTemplates(t, TemplatesConfig{})
	for _, room := range [][]byte{nil, {}, make([]byte, 3)} {
		_, err = templates.Instantiate(soon(t), "ab", room)
		failsWith(t, err, ErrInvalidArgument)
		if !strings.Contains(err.Error(), "at least 4") {
			t.Errorf("it does not say how much is needed: %v", err)
		}
	}
	for _, key := range []string{"", strings.Repeat("x", 256)} {
		_, err = templates.Copy(soon(t), key)
		failsWith(t, err, ErrInvalidArgument)
	}
	failsWith(t, TemplateReference{}.Release(), ErrStaleTemplate)
}

func TestTemplateOfNoBytes(t *testing.T) {
	templates := newTemplates(t, TemplatesConfig{Build: func(string) ([]byte, error) { return nil, nil }})
	size, err := templates.Instantiate(soon(t), "a", nil)
	succeeds(t, err)
	copied, err := templates.Copy(soon(t), "a")
	succeeds(t, err)
	if size != 0 || len(copied) != 0 {
		t.Errorf("got %d and %d bytes of none", size, len(copied))
	}
}

func TestFailedBuildIsToldAndTriedAgain(t *testing.T) {
	var attempts atomic.Int32
	templates := newTemplates(t, TemplatesConfig{Build: func(key string) ([]byte, error) {
		switch attempts.Add(1) {
		case 1:
			return nil, errors.New("the plan is lost")
		case 2:
			panic("the plan burns")
		}
		return twice(key)
	}})
	for _, words := range []string{"the plan is lost", "the plan burns"} {
		_, err := templates.Copy(soon(t), "a")
		failsWith(t, err, ErrBuildFailed)
		if !strings.Contains(err.Error(), words) {
			t.Errorf("the words of the build are missing: %v", err)
		}
	}
	_, err := templates.Copy(soon(t), "a")
	succeeds(t, err)
}

func TestBuildThatAsksForItsOwnKey(t *testing.T) {
	var templates *Templates
	templates = newTemplates(t, TemplatesConfig{Build: func(key string) ([]byte, error) {
		return templates.Copy(context.Background(), key)
	}})
	_, err := templates.Copy(soon(t), "a")
	failsWith(t, err, ErrBuildFailed)
	if !strings.Contains(err.Error(), "wait for itself") {
		t.Errorf("got %v", err)
	}
}

func TestWaitForABuildEndsWithItsContext(t *testing.T) {
	leavesNothing(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	templates := newTemplates(t, TemplatesConfig{Build: func(key string) ([]byte, error) {
		close(begun)
		<-goOn
		return twice(key)
	}})
	built := make(chan error)
	go func() {
		_, err := templates.Copy(context.Background(), "a")
		built <- err
	}()
	<-begun
	waitIsCancelled(t, func(ctx context.Context) error {
		_, err := templates.Copy(ctx, "a")
		return err
	})
	close(goOn)
	succeeds(t, <-built)
}

func TestReferenceLastsWhileItsKeyIsInvalidated(t *testing.T) {
	templates := newTemplates(t, TemplatesConfig{MaxReferences: 2})
	old, err := templates.Refer(soon(t), "a")
	succeeds(t, err)
	succeeds(t, templates.Invalidate("a"))
	if version, err := templates.Version("a"); version != 0 || err != nil {
		t.Errorf("version %d of a template that is gone: %v", version, err)
	}
	fresh, err := templates.Refer(soon(t), "a")
	succeeds(t, err)
	_, err = templates.Refer(soon(t), "b")
	failsWith(t, err, ErrExhausted)
	before, err := old.Version()
	succeeds(t, err)
	if after, err := fresh.Version(); after <= before || err != nil {
		t.Errorf("version %d after %d: %v", after, before, err)
	}
	if string(old.Bytes()) != "aa" || templatesStats(t, templates).Leaving != 1 {
		t.Errorf("%q, %+v", old.Bytes(), templatesStats(t, templates))
	}
	succeeds(t, templates.InvalidateAll())
	succeeds(t, old.Release())
	failsWith(t, old.Release(), ErrStaleTemplate)
	succeeds(t, fresh.Release())
	if stats := templatesStats(t, templates); stats.Leaving != 0 || stats.Invalidated != 2 {
		t.Errorf("%+v", stats)
	}
}

func TestReferenceOutlivesItsCache(t *testing.T) {
	leavesNothing(t)
	templates, err := NewTemplates(TemplatesConfig{Build: twice})
	succeeds(t, err)
	reference, err := templates.Refer(soon(t), "a")
	succeeds(t, err)
	succeeds(t, templates.Close())
	_, err = templates.Copy(soon(t), "a")
	failsWith(t, err, ErrClosed)
	if string(reference.Bytes()) != "aa" {
		t.Errorf("got %q", reference.Bytes())
	}
	succeeds(t, reference.Release())
	failsWith(t, reference.Release(), ErrInvalidHandle)
	succeeds(t, templates.Close())
}

func TestForgottenTemplatesAreCollected(t *testing.T) {
	before := builders.len()
	func() {
		templates, err := NewTemplates(TemplatesConfig{Build: twice})
		succeeds(t, err)
		_, err = templates.Copy(soon(t), "a")
		succeeds(t, err)
		runtime.KeepAlive(templates)
	}()
	collected(t, "the builder is forgotten", func() bool { return builders.len() == before })
}

func TestTemplatesUnderManyGoroutines(t *testing.T) {
	leavesNothing(t)
	templates := newTemplates(t, TemplatesConfig{
		MaxTemplates: 5, Eviction: LeastFrequentlyUsed,
		Build: func(key string) ([]byte, error) {
			return bytes.Repeat([]byte(key), 1000), nil
		},
	})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			into := make([]byte, 1000)
			for i := range 500 {
				key := string(rune('a' + (worker*7+i)%8))
				if i%50 == worker {
					succeedsHere(t, templates.Invalidate(key))
				}
				size, err := templates.Instantiate(context.Background(), key, into)
				succeedsHere(t, err)
				if !bytes.Equal(into[:size], bytes.Repeat([]byte(key), 1000)) {
					t.Errorf("the template of %s is not whole", key)
				}
			}
		}()
	}
	group.Wait()
	stats := templatesStats(t, templates)
	if gone := stats.EvictedCount + stats.Invalidated + stats.Unkept; stats.Builds != stats.Templates+gone {
		t.Errorf("%+v", stats)
	}
	if stats.Leaving != 0 || stats.InUse != 0 || stats.Templates > 5 {
		t.Errorf("%+v", stats)
	}
}

// succeedsHere is succeeds for goroutines that must not end the test.
func succeedsHere(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("failed: %v", err)
	}
}
