package ostler

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
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

func TestBuffersWrapMemoryOfTheProgram(t *testing.T) {
	leavesNothing(t)
	buffers, err := NewBuffers(BuffersConfig{})
	succeeds(t, err)
	var released atomic.Int64
	release := func() { released.Add(1) }
	whole := []byte("hello, world")
	view, err := buffers.Wrap(whole, release)
	succeeds(t, err)
	part, err := view.Slice(7, 5)
	succeeds(t, err)
	succeeds(t, view.Release())
	// The part keeps all of it where it is.
	runtime.GC()
	whole[7] = 'W'
	if string(part.Bytes()) != "World" || released.Load() != 0 {
		t.Errorf("%q, released %d times", part.Bytes(), released.Load())
	}
	succeeds(t, part.Release())
	if released.Load() != 1 {
		t.Errorf("released %d times", released.Load())
	}
	failsWith(t, part.Release(), ErrStaleBuffer)

	// Memory of the library's and nothing at all; a panic stays on this side.
	arena, err := NewArena(ArenaConfig{})
	succeeds(t, err)
	memory, err := arena.Alloc(100, 16)
	succeeds(t, err)
	for _, given := range [][]byte{memory, nil, {}} {
		view, err := buffers.Wrap(given, func() { panic("must not unwind into C") })
		succeeds(t, err)
		if len(view.Bytes()) != len(given) {
			t.Errorf("%d bytes of %d", len(view.Bytes()), len(given))
		}
		succeeds(t, view.Release())
	}
	succeeds(t, arena.Close())
	view, err = buffers.Wrap(whole, nil)
	succeeds(t, err)
	succeeds(t, buffers.Close())
	succeeds(t, view.Release())
	if _, err := buffers.Wrap(whole, release); err == nil || released.Load() != 1 {
		t.Errorf("%v, released %d times", err, released.Load())
	}
}

func TestWrappedMemoryIsKeptFromTheCollector(t *testing.T) {
	leavesNothing(t)
	buffers, err := NewBuffers(BuffersConfig{})
	succeeds(t, err)
	var found atomic.Bool
	view := func() Buffer {
		memory := make([]byte, 4096)
		runtime.AddCleanup(&memory[0], func(found *atomic.Bool) { found.Store(true) }, &found)
		for i := range memory {
			memory[i] = byte(i)
		}
		view, err := buffers.Wrap(memory, nil)
		succeeds(t, err)
		return view
	}()
	data := uintptr(unsafe.Pointer(unsafe.SliceData(view.Bytes())))
	view.bytes = nil // only the library has it now
	for range 3 {
		runtime.GC()
	}
	if found.Load() {
		t.Fatal("the collector has taken what is viewed")
	}
	part, err := view.Slice(4000, 96)
	succeeds(t, err)
	if uintptr(unsafe.Pointer(unsafe.SliceData(part.Bytes()))) != data+4000 || part.Bytes()[95] != 255 {
		t.Error("not what was wrapped")
	}
	part.bytes = nil
	succeeds(t, part.Release())
	succeeds(t, view.Release())
	collected(t, "what nobody views is collected", found.Load)
	succeeds(t, buffers.Close())
}

func TestBuffersTellOfTheirSizesAndChunks(t *testing.T) {
	buffers, err := NewBuffers(BuffersConfig{Source: PageSource{Pages: PagesBase}})
	succeeds(t, err)
	closes(t, buffers)
	var views []Buffer
	for range 3 {
		view, err := buffers.Get(256)
		succeeds(t, err)
		views = append(views, view)
	}
	class, err := buffers.ClassStats(0)
	succeeds(t, err)
	if class.SizeBytes != 256 || class.InUse != 3 || class.Gets != 3 {
		t.Errorf("the smallest class is %+v", class)
	}
	_, err = buffers.ClassStats(1000)
	failsWith(t, err, ErrInvalidArgument)
	receipt, err := buffers.Receipt(0)
	succeeds(t, err)
	if receipt.MappedBytes == 0 {
		t.Errorf("the receipt is %+v", receipt)
	}
	_, err = buffers.Receipt(-1)
	failsWith(t, err, ErrInvalidArgument)

	succeeds(t, views[0].Truncate(10))
	if len(views[0].Bytes()) != 10 {
		t.Errorf("%d bytes after the truncation", len(views[0].Bytes()))
	}
	failsWith(t, views[0].Truncate(11), ErrInvalidArgument)
	if released, err := buffers.ReleaseAll(views); err != nil || released != 3 {
		t.Error(released, err)
	}
	released, err := buffers.ReleaseAll(views)
	failsWith(t, err, ErrStaleBuffer)
	if released != 0 {
		t.Errorf("%d were released twice", released)
	}
	if released, err := buffers.ReleaseAll(nil); err != nil || released != 0 {
		t.Error(released, err)
	}
}
