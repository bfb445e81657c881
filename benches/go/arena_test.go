package benches

import (
	"testing"

	"ostler"
)

const (
	blockBytes = 64
	// So many blocks are given out before all of them are taken back at once.
	blocks = 4096
)

func newArena(b *testing.B) *ostler.Arena {
	arena, err := ostler.NewArena(ostler.ArenaConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = arena.Close() })
	return arena
}

func openCursor(b *testing.B, arena *ostler.Arena) *ostler.Cursor {
	cursor, err := arena.OpenCursor()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cursor.Close() })
	return cursor
}

// batches times blocks out of alloc, with a reset after each batch of them.
func batches(b *testing.B, arena *ostler.Arena, alloc func(size, align int) ([]byte, error)) {
	for b.Loop() {
		for range blocks {
			if _, err := alloc(blockBytes, 16); err != nil {
				b.Fatal(err)
			}
		}
		if err := arena.Reset(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/blocks, "ns/block")
}

// Not through batches, where the compiler would call what it can put in place.
func BenchmarkArenaCursor(b *testing.B) {
	arena := newArena(b)
	cursor := openCursor(b, arena)
	for b.Loop() {
		for range blocks {
			if _, err := cursor.Alloc(blockBytes, 16); err != nil {
				b.Fatal(err)
			}
		}
		if err := arena.Reset(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/blocks, "ns/block")
}

// A call of the library for each block.
func BenchmarkArenaCall(b *testing.B) {
	arena := newArena(b)
	batches(b, arena, arena.Alloc)
}

var kept [blocks][]byte

func BenchmarkArenaMake(b *testing.B) {
	for b.Loop() {
		for at := range kept {
			kept[at] = make([]byte, blockBytes)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/blocks, "ns/block")
}

func BenchmarkArenaCursorMark(b *testing.B) {
	cursor := openCursor(b, newArena(b))
	for b.Loop() {
		mark, err := cursor.Mark()
		if err == nil {
			err = cursor.Rewind(mark)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
