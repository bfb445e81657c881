package ostler

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

func newArena(t *testing.T, config ArenaConfig) *Arena {
	t.Helper()
	arena, err := NewArena(config)
	succeeds(t, err)
	closes(t, arena)
	return arena
}

func addressOf(memory []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(memory))) }

func TestArenaGivesOutMemoryThatIsAlignedAndNobodyElses(t *testing.T) {
	arena := newArena(t, ArenaConfig{Name: "pieces", Source: PageSource{Pages: PagesBase}, ChunkBytes: 1 << 20})
	var group sync.WaitGroup
	for number := range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			random := rand.New(rand.NewPCG(1, uint64(number)))
			var pieces [][]byte
			for range 500 {
				size, align := 1+random.IntN(3000), 1<<random.IntN(9)
				piece, err := arena.Alloc(size, align)
				if err != nil || len(piece) != size || cap(piece) != size || addressOf(piece)%uintptr(align) != 0 {
					t.Errorf("Alloc(%d, %d) gives %d bytes at %#x: %v", size, align, len(piece), addressOf(piece), err)
					return
				}
				for at := range piece {
					piece[at] = byte(number*50 + len(pieces))
				}
				pieces = append(pieces, piece)
			}
			for order, piece := range pieces {
				for at := range piece {
					if piece[at] != byte(number*50+order) {
						t.Errorf("piece %d of goroutine %d was overwritten", order, number)
						return
					}
				}
			}
		}()
	}
	group.Wait()
	stats, err := arena.Stats()
	succeeds(t, err)
	if stats.Chunks < 2 || stats.UsedBytes < 4*500 || stats.MappedBytes < stats.UsedBytes {
		t.Errorf("stats are %+v", stats)
	}
}

func TestArenaComesBackToItsMark(t *testing.T) {
	arena := newArena(t, ArenaConfig{})
	_, err := arena.Alloc(1000, 0)
	succeeds(t, err)
	mark, err := arena.Mark()
	succeeds(t, err)
	first, err := arena.Alloc(64, 64)
	succeeds(t, err)
	succeeds(t, arena.Rewind(mark))
	second, err := arena.Alloc(64, 64)
	succeeds(t, err)
	if addressOf(first) != addressOf(second) {
		t.Errorf("after the rewind the memory is at %#x and not again at %#x", addressOf(second), addressOf(first))
	}
	succeeds(t, arena.Reset())
	failsWith(t, arena.Rewind(mark), ErrStaleMark)
	failsWith(t, newArena(t, ArenaConfig{}).Rewind(mark), ErrStaleMark)
	succeeds(t, arena.ResetAndReturnPages())
	stats, err := arena.Stats()
	succeeds(t, err)
	if stats.Resets != 2 || stats.Rewinds != 1 || stats.UsedBytes != 0 {
		t.Errorf("stats are %+v", stats)
	}
}

func TestArenaRefusesWhatIsWrongOrTooMuch(t *testing.T) {
	arena := newArena(t, ArenaConfig{ChunkBytes: 1 << 20, LimitBytes: 4 << 20, Source: PageSource{Pages: PagesBase}})
	for _, wrong := range []struct {
		size, align int
		word        string
	}{{-1, 0, "size"}, {8, -8, "align"}, {8, 3, "align"}} {
		_, err := arena.Alloc(wrong.size, wrong.align)
		failsWith(t, err, ErrInvalidArgument)
		if !strings.Contains(err.Error(), wrong.word) {
			t.Errorf("%q does not name the %s", err, wrong.word)
		}
	}
	_, err := arena.Alloc(64<<20, 0)
	failsWith(t, err, ErrLimit)
	succeeds(t, arena.Close())
	succeeds(t, arena.Close())
	_, err = arena.Alloc(8, 0)
	failsWith(t, err, ErrInvalidHandle)
}

func TestArenaShowsItsReceipts(t *testing.T) {
	arena := newArena(t, ArenaConfig{Name: "receipts", Source: PageSource{Pages: PagesBase, Prefault: true}, ChunkBytes: 1 << 20})
	_, err := arena.Alloc(100, 0)
	succeeds(t, err)
	receipt, err := arena.Receipt(0)
	succeeds(t, err)
	if receipt.AskedPages != PagesBase || receipt.GotPages != PagesBase || receipt.PageBytes != 4096 ||
		receipt.MappedBytes < 1<<20 || receipt.ResidentBytes < 1<<20 || receipt.HugeBytes != 0 {
		t.Errorf("the receipt is %+v", receipt)
	}
	if receipt.PagesVerifiedBy == VerifiedNot {
		t.Error("the kernel was not asked")
	}
	table, err := arena.PrintReceipts()
	succeeds(t, err)
	if strings.Count(table, "\n") < 1 || strings.ContainsRune(table, 0) {
		t.Errorf("the table is %q", table)
	}
	_, err = arena.Receipt(1)
	failsWith(t, err, ErrInvalidArgument)
	_, err = arena.Receipt(-1)
	failsWith(t, err, ErrInvalidArgument)
}

func TestStrictArenaRefusesPagesThatAreNotThere(t *testing.T) {
	config := ArenaConfig{Source: PageSource{Pages: Pages1G}, ChunkBytes: 1 << 30}
	arena, err := NewArena(config)
	succeeds(t, err)
	closes(t, arena)
	_, err = arena.Alloc(8, 0)
	succeeds(t, err)
	receipt, err := arena.Receipt(0)
	succeeds(t, err)
	if receipt.GotPages == Pages1G {
		t.Skip("this machine has free pages of 1 GiB")
	}
	if len(receipt.Steps) == 0 || receipt.Steps[0].Tried != Pages1G || receipt.Steps[0].Limit == LimitNone {
		t.Errorf("the receipt does not say why: %+v", receipt)
	}
	config.Source.Strict = true
	strict, err := NewArena(config)
	if err == nil {
		closes(t, strict)
		_, err = strict.Alloc(8, 0)
	}
	failsWith(t, err, ErrPagesUnavailable)
}

func TestArenaGetsTheOptionsAndNodesOfItsSource(t *testing.T) {
	source := PageSource{Pages: PagesBase, NodePolicy: NodeNearCPUs, CPUs: []int{0}, Strict: true, Prefault: true,
		Guard: true, ExcludeFork: true, ExcludeDump: true}
	receipt, err := newArena(t, ArenaConfig{Source: source}).Receipt(0)
	succeeds(t, err)
	want := OptionPrefaulted | OptionGuarded | OptionNotForked | OptionNotDumped
	if receipt.PlacedBy == PlacedByKernel || receipt.UnverifiedErrno != 0 {
		t.Errorf("placed by %d, errno %d", receipt.PlacedBy, receipt.UnverifiedErrno)
	}
	if receipt.AskedOptions != want || receipt.GotOptions&want != want || len(receipt.NodeSet) != 1 {
		t.Errorf("asked for %b near one CPU, and got %+v", want, receipt)
	}
	for _, wrong := range []PageSource{
		{NodePolicy: NodeSet, Nodes: []int{1024}},
		{NodePolicy: NodeSet, Nodes: []int{-1}},
		{NodePolicy: NodeSet},
		{NodePolicy: NodeNearCPUs},
		{Nodes: []int{0}},
		{NodePolicy: NodeNearDevice, Device: "net/none"},
		{NodePolicy: NodeNearDevice, Device: strings.Repeat("x", 64)},
	} {
		_, err := NewArena(ArenaConfig{Source: wrong})
		failsWith(t, err, ErrInvalidArgument)
	}
	_, err = NewArena(ArenaConfig{Source: PageSource{NodePolicy: NodeSet, Nodes: []int{0, 1000}, Strict: true}})
	failsWith(t, err, ErrNodeUnavailable)
}

func TestAdviceTellsWhatAnArenaGets(t *testing.T) {
	source := PageSource{Pages: PagesBase, Prefault: true}
	advice, err := source.Advise(1 << 20)
	succeeds(t, err)
	if !advice.Holds || advice.Pages != PagesBase || len(advice.Obstacles) != 0 {
		t.Errorf("base pages are not to be had: %+v", advice)
	}
	words, err := source.PrintAdvice(1 << 20)
	succeeds(t, err)
	if !strings.Contains(words, "would get") {
		t.Error(words)
	}
	_, err = source.Advise(-1)
	failsWith(t, err, ErrInvalidArgument)
	arena := newArena(t, ArenaConfig{Source: source})
	coverage, err := arena.Coverage()
	succeeds(t, err)
	repair, err := arena.Repair()
	succeeds(t, err)
	if coverage.ResidentBytes != coverage.MappedBytes || coverage.SmallBytes != 0 || repair.Limit != LimitNone {
		t.Errorf("%+v, %+v", coverage, repair)
	}
}

func TestArenaDrainWaitsForCursors(t *testing.T) {
	arena := newArena(t, ArenaConfig{})
	cursor, err := arena.OpenCursor()
	succeeds(t, err)
	waitIsCancelled(t, func(ctx context.Context) error {
		_, err := arena.Drain(ctx)
		return err
	})
	succeeds(t, cursor.Close())
	open, err := arena.Drain(soon(t))
	succeeds(t, err)
	if open != 0 {
		t.Errorf("%d cursors are still open", open)
	}
}

func TestArenaScopesNestAndTrimGivesBack(t *testing.T) {
	arena := newArena(t, ArenaConfig{Source: PageSource{Pages: PagesBase}, ChunkBytes: 64 << 10, Growth: GrowthDouble})
	fill := func() {
		for range 10 {
			_, err := arena.Alloc(60_000, 0)
			succeeds(t, err)
		}
	}
	refused := errors.New("refused")
	err := arena.Scope(func() error {
		fill()
		stats, err := arena.Stats()
		succeeds(t, err)
		succeeds(t, arena.Scope(func() error { fill(); return nil }))
		after, err := arena.Stats()
		succeeds(t, err)
		if after.UsedBytes != stats.UsedBytes || after.Rewinds != 1 {
			t.Errorf("after a scope stats are %+v, before it %+v", after, stats)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("the scope ended with %v", err)
	}
	stats, err := arena.Stats()
	succeeds(t, err)
	givenBack, err := arena.Trim(0)
	succeeds(t, err)
	if stats.UsedBytes != 0 || stats.KeptBytes == 0 || givenBack != stats.KeptBytes {
		t.Errorf("a trim gave back %d of %+v", givenBack, stats)
	}
	if _, err := arena.Trim(-1); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("a trim to -1 gives %v", err)
	}
}

func TestArenaHandsItselfAndRegionsOver(t *testing.T) {
	from, into := newArena(t, ArenaConfig{}), newArena(t, ArenaConfig{Poison: PoisonAlways})
	region, err := from.BeginRegion()
	succeeds(t, err)
	piece, err := from.Alloc(100, 0)
	succeeds(t, err)
	piece[99] = 7
	succeeds(t, from.HandOverRegion(region, into))
	succeeds(t, from.ResetAndReturnPages())
	heir, err := into.HandOver()
	succeeds(t, err)
	if piece[99] != 7 {
		t.Error("what was handed over is gone")
	}
	if _, err := into.Alloc(1, 0); !errors.Is(err, ErrInvalidHandle) {
		t.Errorf("the giver allocates: %v", err)
	}
	if err := from.HandOverRegion(region, heir); !errors.Is(err, ErrStaleMark) {
		t.Errorf("the region goes twice: %v", err)
	}
	succeeds(t, heir.Reset())
	if piece[99] != 0xef {
		t.Error("freed memory was not overwritten")
	}
	succeeds(t, heir.Close())
}

func TestArenaAdoptsMemory(t *testing.T) {
	lender := newArena(t, ArenaConfig{})
	memory, err := lender.Alloc(1<<20, 0)
	succeeds(t, err)
	arena, err := NewArena(ArenaConfig{Growth: GrowthNone, ChunkBytes: 64 << 10})
	succeeds(t, err)
	succeeds(t, arena.Adopt(memory))
	piece, err := arena.Alloc(100_000, 0)
	succeeds(t, err)
	if at := addressOf(piece) - addressOf(memory); at >= 1<<20 {
		t.Errorf("the piece lies %d bytes into the adopted memory", at)
	}
	if err := arena.Adopt(nil); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("nothing is adopted: %v", err)
	}
	succeeds(t, arena.Close())
}
