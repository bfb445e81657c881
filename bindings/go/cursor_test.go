package ostler

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"
)

func TestCursorDoesAsTheLibrary(t *testing.T) {
	arena := newArena(t, ArenaConfig{})
	one, err := arena.OpenCursor()
	succeeds(t, err)
	closes(t, one)
	random := rand.New(rand.NewPCG(7, 7))
	type span struct{ begin, end uintptr }
	var given []span
	for range 100_000 {
		size, align := 1+random.IntN(200), 1<<random.IntN(7)
		if random.IntN(4) == 0 {
			align = 0
		}
		next, end := uintptr(unsafe.Pointer(one.words.next)), uintptr(unsafe.Pointer(one.words.end))
		piece, err := one.Alloc(size, align)
		succeeds(t, err)
		wanted := uintptr(align)
		if align == 0 {
			wanted = 16
		}
		if len(piece) != size || cap(piece) != size || addressOf(piece)%wanted != 0 {
			t.Fatalf("Alloc(%d, %d) gives %d bytes at %#x", size, align, len(piece), addressOf(piece))
		}
		if begin := (next + wanted - 1) &^ (wanted - 1); begin+uintptr(size) <= end && addressOf(piece) != begin {
			t.Fatalf("there was room at %#x, and the memory is at %#x", begin, addressOf(piece))
		}
		given = append(given, span{addressOf(piece), addressOf(piece) + uintptr(size)})
		piece[0], piece[size-1] = 1, 1
	}
	slices.SortFunc(given, func(a, b span) int { return cmp.Compare(a.begin, b.begin) })
	for at := range given[1:] {
		if given[at].end > given[at+1].begin {
			t.Fatalf("%#x-%#x and %#x-%#x were given out together", given[at].begin, given[at].end,
				given[at+1].begin, given[at+1].end)
		}
	}
	stats, err := arena.Stats()
	succeeds(t, err)
	if stats.Refills == 0 || stats.Refills > 10_000 || stats.CursorsOpen != 1 {
		t.Errorf("stats are %+v", stats)
	}
}

func TestCursorAllocatesNothingInGo(t *testing.T) {
	arena := newArena(t, ArenaConfig{})
	cursor, err := arena.OpenCursor()
	succeeds(t, err)
	closes(t, cursor)
	if allocations := testing.AllocsPerRun(1000, func() { _, _ = cursor.Alloc(4096, 64) }); allocations != 0 {
		t.Errorf("%v allocations of Go's for one of a cursor", allocations)
	}
}

func TestCursorOfAnotherLayoutAsksTheLibrary(t *testing.T) {
	arena := newArena(t, ArenaConfig{})
	cursor, err := arena.OpenCursor()
	succeeds(t, err)
	closes(t, cursor)
	_, err = cursor.Alloc(64, 64)
	succeeds(t, err)
	_, err = cursor.Mark() // so that there is room for more without a call
	succeeds(t, err)
	strange := *cursor.words
	cursor.words = &strange
	strange.inline_end = nil
	before := strange.next
	piece, err := cursor.Alloc(64, 64)
	succeeds(t, err)
	if addressOf(piece) == 0 || strange.next != before {
		t.Error("a cursor whose room ends nowhere gave some out by itself")
	}
	strangers, err := cursor.Mark()
	succeeds(t, err)
	strange.layout = 99
	depth := strange.depth
	failsWith(t, cursor.Rewind(strangers), ErrStaleMark)
	mark, err := cursor.Mark()
	succeeds(t, err)
	succeeds(t, cursor.Rewind(mark))
	if strange.depth != depth {
		t.Error("the marks of a layout that is not known were used")
	}
}

func TestCursorGoesBackToItsMarks(t *testing.T) {
	arena := newArena(t, ArenaConfig{})
	cursor, err := arena.OpenCursor()
	succeeds(t, err)
	closes(t, cursor)
	random := rand.New(rand.NewPCG(3, 3))
	type moment struct {
		mark Mark
		live int
	}
	var live [][]byte
	var marks []moment
	for turn := range 50_000 {
		switch random.IntN(4) {
		case 0, 1:
			size := 1 + random.IntN(300)
			if random.IntN(50) == 0 {
				size = 5000 + random.IntN(40_000)
			}
			piece, err := cursor.Alloc(size, 1)
			succeeds(t, err)
			for at := range piece {
				piece[at] = byte(turn)
			}
			live = append(live, piece)
		case 2:
			mark, err := cursor.Mark()
			succeeds(t, err)
			marks = append(marks, moment{mark, len(live)})
		case 3:
			if len(marks) == 0 {
				continue
			}
			at := len(marks) - 1 - random.IntN(min(3, len(marks)))
			for _, piece := range live {
				if piece[0] != piece[len(piece)-1] {
					t.Fatal("a piece was given out twice")
				}
			}
			succeeds(t, cursor.Rewind(marks[at].mark))
			failsWith(t, cursor.Rewind(marks[len(marks)-1].mark), ErrStaleMark)
			live, marks = live[:marks[at].live], marks[:at]
		}
	}
	other, err := arena.OpenCursor()
	succeeds(t, err)
	closes(t, other)
	mark, err := cursor.Mark()
	succeeds(t, err)
	failsWith(t, other.Rewind(mark), ErrStaleMark)
	failsWith(t, arena.Rewind(mark), ErrStaleMark)
	succeeds(t, arena.Reset())
	failsWith(t, cursor.Rewind(mark), ErrStaleMark)
	if allocations := testing.AllocsPerRun(1000, func() {
		_ = cursor.Scope(func() error { _, err := cursor.Alloc(64, 8); return err })
	}); allocations != 0 {
		t.Errorf("%v allocations of Go's for a scope", allocations)
	}
}

func TestCursorAfterItsEnd(t *testing.T) {
	arena, err := NewArena(ArenaConfig{})
	succeeds(t, err)
	closed, err := arena.OpenCursor()
	succeeds(t, err)
	succeeds(t, closed.Close())
	open, err := arena.OpenCursor() // perhaps where the closed one was
	succeeds(t, err)
	_, err = closed.Alloc(8, 0)
	failsWith(t, err, ErrInvalidHandle)
	succeeds(t, closed.Close())
	_, err = open.Alloc(8, 0)
	succeeds(t, err)
	for _, wrong := range [][2]int{{-1, 0}, {8, 3}, {8, -16}, {1 << 50, 0}} {
		if _, err := open.Alloc(wrong[0], wrong[1]); err == nil {
			t.Errorf("Alloc(%d, %d) succeeds", wrong[0], wrong[1])
		}
	}
	memory, err := open.Alloc(8, 0)
	succeeds(t, err)
	succeeds(t, arena.Close())
	memory[7] = 1 // it stays while a cursor is open
	for _, size := range []int{8, 4 << 20} {
		_, err = open.Alloc(size, 0)
		failsWith(t, err, ErrClosed)
	}
	_, err = arena.OpenCursor()
	failsWith(t, err, ErrClosed)
	succeeds(t, open.Close())
	_, err = arena.Stats()
	failsWith(t, err, ErrInvalidHandle)
}

func TestForgottenCursorIsClosed(t *testing.T) {
	arena := newArena(t, ArenaConfig{})
	func() {
		cursor, err := arena.OpenCursor()
		succeeds(t, err)
		_, err = cursor.Alloc(8, 0)
		succeeds(t, err)
	}()
	collected(t, "the forgotten cursor is closed", func() bool {
		stats, err := arena.Stats()
		return err == nil && stats.CursorsOpen == 0
	})
	runtime.KeepAlive(arena)
}

func BenchmarkCursor(b *testing.B) {
	arena, err := NewArena(ArenaConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer arena.Close()
	cursor, err := arena.OpenCursor()
	if err != nil {
		b.Fatal(err)
	}
	defer cursor.Close()
	for i := 0; b.Loop(); i++ {
		if _, err := cursor.Alloc(32, 16); err != nil {
			b.Fatal(err)
		}
		if i%(1<<20) == 0 {
			_ = arena.Reset()
		}
	}
}
