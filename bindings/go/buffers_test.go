package ostler

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestBuffersAreViewedAndReleased(t *testing.T) {
	buffers, err := NewBuffers(BuffersConfig{Name: "go", LimitBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := buffers.Get(100)
	if err != nil {
		t.Fatal(err)
	}
	copy(whole.Bytes(), "hello, world")
	world, err := whole.Slice(7, 5)
	if err != nil || string(world.Bytes()) != "world" {
		t.Fatal(world.Bytes(), err)
	}
	if _, err := whole.Slice(96, 5); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	if _, err := whole.Slice(-1, 5); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	for _, err := range []error{world.Retain(), whole.Release(), world.Release(), world.Release()} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := world.Release(); !errors.Is(err, ErrStaleBuffer) {
		t.Error(err)
	}
	if _, err := buffers.Get(2 << 20); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	stats, err := buffers.Stats()
	if err != nil || stats.InUse != 0 || stats.Gets != 1 || stats.Refused != 1 {
		t.Error(stats, err)
	}
	// What was refused has taken idle memory for it already.
	if freed, err := buffers.Trim(0); err != nil || freed != 0 {
		t.Error(freed, err)
	}
	if stillOut, err := buffers.Drain(context.Background()); err != nil || stillOut != 0 {
		t.Error(stillOut, err)
	}
	if _, err := buffers.Get(1); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := buffers.Close(); err != nil {
		t.Error(err)
	}
}

func TestBuffersPassBetweenGoroutines(t *testing.T) {
	buffers, err := NewBuffers(BuffersConfig{})
	if err != nil {
		t.Fatal(err)
	}
	passed := make(chan Buffer, 16)
	var makers sync.WaitGroup
	for maker := range 4 {
		makers.Add(1)
		go func() {
			defer makers.Done()
			for round := range 2000 {
				buffer, err := buffers.Get(1 + round)
				if err != nil {
					t.Error(err)
					return
				}
				buffer.Bytes()[0] = byte(maker)
				passed <- buffer
			}
		}()
	}
	go func() {
		makers.Wait()
		close(passed)
	}()
	for buffer := range passed {
		if buffer.Bytes()[0] > 3 {
			t.Error("another's bytes")
		}
		if err := buffer.Release(); err != nil {
			t.Error(err)
		}
	}
	if err := buffers.Close(); err != nil {
		t.Error(err)
	}
}
