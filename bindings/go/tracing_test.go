package ostler

import (
	"errors"
	"strings"
	"testing"
)

func traced(t *testing.T, config TracingConfig) {
	t.Helper()
	if err := StartTracing(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := StopTracing(); err != nil {
			t.Error(err)
		}
	})
}

func TestTracingTellsWhoHasMemory(t *testing.T) {
	traced(t, TracingConfig{SampleBytes: 1, Seed: 7})
	arena, err := NewArena(ArenaConfig{Name: "go-stable"})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := TraceGroups(ByObject)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, group := range groups {
		if group.Name != "go-stable" {
			continue
		}
		found = true
		if group.Kind != TracedMapping || group.Holder != "arena" || group.Bytes == 0 || group.Account == 0 {
			t.Errorf("%+v", group)
		}
		// A test program of Go has no names in it.
		if len(group.Frames) == 0 || group.Frames[0].Module == "" || group.Frames[0].Offset == 0 {
			t.Errorf("the call stack is %v", group.Frames)
		}
	}
	if !found {
		t.Errorf("the arena is not among %+v", groups)
	}
	report, err := TracingReport(ByStack)
	if err != nil || !strings.Contains(report, `arena "go-stable"`) {
		t.Errorf("%v: %s", err, report)
	}
	if err := arena.Close(); err != nil {
		t.Fatal(err)
	}
	report, err = TracingReport(ByStack)
	if err != nil || strings.Contains(report, "go-stable") {
		t.Errorf("%v: %s", err, report)
	}
	stats, err := GetTracingStats()
	if err != nil || !stats.On || stats.SampleBytes != 1 {
		t.Errorf("%v: %+v", err, stats)
	}
}

func TestTracingNamesTheFieldThatIsWrong(t *testing.T) {
	err := StartTracing(TracingConfig{MaxFrames: 65})
	if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), "max_frames is 65") {
		t.Error(err)
	}
	if err := StartTracing(TracingConfig{MaxFrames: -1}); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
}
