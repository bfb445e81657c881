package ostler

import (
	"strings"
	"testing"
	"time"
)

type looked interface {
	Receipt(chunk int) (Receipt, error)
	PrintReceipts() (string, error)
	Coverage() (Coverage, error)
	Repair() (Repair, error)
}

func TestEveryNounOfChunksIsLookedAt(t *testing.T) {
	source := PageSource{Pages: PagesBase}
	arena := newArena(t, ArenaConfig{Source: source, ChunkBytes: 1 << 20})
	heap, err := NewHeap(HeapConfig{Source: source, ChunkBytes: 1 << 20})
	succeeds(t, err)
	defer heap.Close()
	slab, err := NewSlab(SlabConfig{Source: source, SlotBytes: 64, ChunkBytes: 1 << 20})
	succeeds(t, err)
	defer slab.Close()
	buffers, err := NewBuffers(BuffersConfig{Source: source, ChunkBytes: 1 << 20})
	succeeds(t, err)
	defer buffers.Close()
	for noun, object := range map[string]looked{"arena": arena, "heap": heap, "slab": slab, "buffers": buffers} {
		receipt, err := object.Receipt(0)
		succeeds(t, err)
		_, err = object.Receipt(1)
		failsWith(t, err, ErrInvalidArgument)
		_, err = object.Receipt(-1)
		failsWith(t, err, ErrInvalidArgument)
		table, err := object.PrintReceipts()
		succeeds(t, err)
		coverage, err := object.Coverage()
		succeeds(t, err)
		repair, err := object.Repair()
		succeeds(t, err)
		if receipt.MappedBytes != 1<<20 || coverage.MappedBytes != 1<<20 || coverage.WantedHugeBytes != 0 ||
			repair.Limit != LimitNone || !strings.Contains(table, "1 MiB") {
			t.Errorf("%s: %+v, %+v, %+v, %s", noun, receipt, coverage, repair, table)
		}
	}
}

func seenOfAccount(t *testing.T, name string) Seen {
	accounts, err := GovernorAccounts()
	succeeds(t, err)
	for _, account := range accounts {
		if account.Name == name {
			return account.Seen
		}
	}
	t.Fatalf("there is no account %q in %+v", name, accounts)
	return Seen{}
}

func TestGovernorRemembersWhatWasSeen(t *testing.T) {
	newArena(t, ArenaConfig{Name: "looked at", Source: PageSource{Pages: PagesBase}, ChunkBytes: 1 << 20})
	if seen := seenOfAccount(t, "looked at"); seen.Age >= 0 || seen.MappedBytes != 0 {
		t.Errorf("%+v", seen)
	}
	coverage, err := GovernorCoverage()
	succeeds(t, err)
	stats, err := GetGovernorStats()
	succeeds(t, err)
	seen := seenOfAccount(t, "looked at")
	if seen.Age < 0 || seen.MappedBytes != 1<<20 || coverage.MappedBytes < 1<<20 || stats.Seen.MappedBytes < 1<<20 {
		t.Errorf("%+v, %+v, %+v", seen, coverage, stats.Seen)
	}
	_, err = GovernorRepair()
	succeeds(t, err)
	failsWith(t, ConfigureGovernor(GovernorConfig{CoveragePeriod: time.Nanosecond}), ErrInvalidArgument)
	succeeds(t, ConfigureGovernor(GovernorConfig{CoveragePeriod: -1}))
	succeeds(t, ForgetGovernor())
}
