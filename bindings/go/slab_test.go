package ostler

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

func newSlab(t *testing.T, config SlabConfig) *Slab {
	t.Helper()
	config.Source.Pages = PagesBase
	slab, err := NewSlab(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := slab.Close(); err != nil {
			t.Error(err)
		}
	})
	return slab
}

func slabStats(t *testing.T, slab *Slab) SlabStats {
	t.Helper()
	stats, err := slab.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

func TestMagazineDoesWhatTheLibraryDoes(t *testing.T) {
	slab := newSlab(t, SlabConfig{SlotBytes: 96, MaxSlots: 300, MagazineSlots: 16})
	magazine, err := slab.OpenMagazine()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[unsafe.Pointer]bool{}
	var slots []unsafe.Pointer
	for range 300 {
		slot, err := magazine.Get()
		if err != nil || seen[slot] {
			t.Fatal(err, "or two have one slot")
		}
		seen[slot] = true
		slots = append(slots, slot)
	}
	if _, err := magazine.Get(); !errors.Is(err, ErrExhausted) {
		t.Fatal(err)
	}
	live, err := slab.Live()
	if err != nil || len(live) != 300 || uintptr(live[1].Slot)-uintptr(live[0].Slot) != 96 {
		t.Fatal(err, len(live))
	}
	for _, slot := range slots {
		if err := magazine.Put(slot); err != nil {
			t.Fatal(err)
		}
		if err := magazine.Put(slot); !errors.Is(err, ErrDoubleFree) {
			t.Fatal(err)
		}
	}
	for _, stray := range []unsafe.Pointer{nil, unsafe.Add(slots[0], 1), unsafe.Pointer(&slots)} {
		if err := magazine.Put(stray); !errors.Is(err, ErrForeignPointer) {
			t.Fatal(err)
		}
	}
	stats := slabStats(t, slab)
	if stats.Out != 0 || stats.DoublePuts != 300 || stats.Refills == 0 || stats.Flushes == 0 {
		t.Fatalf("%+v", stats)
	}
	if err := magazine.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := magazine.Get(); !errors.Is(err, ErrInvalidHandle) {
		t.Fatal(err)
	}
}

func TestMagazineNeedsNoCallWhenItHasASlot(t *testing.T) {
	slab := newSlab(t, SlabConfig{SlotBytes: 64, MaxSlots: 1000})
	magazine, err := slab.OpenMagazine()
	if err != nil {
		t.Fatal(err)
	}
	defer magazine.Close()
	slot, err := magazine.Get()
	if err != nil {
		t.Fatal(err)
	}
	refills := slabStats(t, slab).Refills
	for range 1000 {
		if err := magazine.Put(slot); err != nil {
			t.Fatal(err)
		}
		if again, err := magazine.Get(); err != nil || again != slot {
			t.Fatal(err, again, slot)
		}
	}
	if slabStats(t, slab).Refills != refills {
		t.Fatal("it asked the depot")
	}
	if err := magazine.Put(slot); err != nil {
		t.Fatal(err)
	}
}

// As many slots as all hold at once, so nobody may go short, whichever magazine they are in.
func TestGoroutinesNeverShareASlotAndNeverGoShort(t *testing.T) {
	const goroutines, each = 4, 20
	slab := newSlab(t, SlabConfig{SlotBytes: 64, MaxSlots: goroutines * each, MagazineSlots: 8})
	var owners sync.Map
	var group sync.WaitGroup
	var failed atomic.Bool
	for me := range goroutines {
		group.Add(1)
		go func() {
			defer group.Done()
			magazine, err := slab.OpenMagazine()
			if err != nil {
				t.Error(err)
				return
			}
			defer magazine.Close()
			var held []unsafe.Pointer
			random := uint64(me) + 1
			for round := 0; round < 5000 && !failed.Load(); round++ {
				random = random*6364136223846793005 + 1442695040888963407
				if len(held) < each && random>>60 < 9 {
					slot, err := magazine.Get()
					if _, taken := owners.LoadOrStore(slot, me); err != nil || taken {
						t.Error(err, taken)
						failed.Store(true)
						return
					}
					*(*int)(slot) = me
					held = append(held, slot)
				} else if len(held) > 0 {
					slot := held[len(held)-1]
					held = held[:len(held)-1]
					if *(*int)(slot) != me {
						t.Error("another wrote to it")
					}
					owners.Delete(slot)
					if err := magazine.Put(slot); err != nil {
						t.Error(err)
					}
				}
			}
			for _, slot := range held {
				owners.Delete(slot)
				if err := magazine.Put(slot); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
	if stats := slabStats(t, slab); stats.Out != 0 || stats.Exhausted != 0 || stats.DoublePuts != 0 {
		t.Fatalf("%+v", stats)
	}
}

func TestSlabDrainsAndRefuses(t *testing.T) {
	if _, err := NewSlab(SlabConfig{}); !errors.Is(err, ErrInvalidArgument) {
		t.Fatal(err)
	}
	if _, err := NewSlab(SlabConfig{SlotBytes: -1}); !errors.Is(err, ErrInvalidArgument) {
		t.Fatal(err)
	}
	slab := newSlab(t, SlabConfig{SlotBytes: 64, MaxSlots: 10})
	slot, err := slab.Get()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if out, err := slab.Drain(ctx); out != 1 || err == nil {
		t.Fatal(out, err)
	}
	if _, err := slab.Get(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := slab.Put(slot); err != nil {
		t.Fatal(err)
	}
	if out, err := slab.Drain(context.Background()); out != 0 || err != nil {
		t.Fatal(out, err)
	}
	if _, err := slab.Trim(); err != nil {
		t.Fatal(err)
	}
}

// words is what Create of the tests leaves in a slot.
type words struct{ made, uses uint64 }

func TestSlabMakesCleansAndEndsWhatLiesInItsSlots(t *testing.T) {
	leavesNothing(t)
	var made, reset, destroyed atomic.Int64
	var refuse atomic.Bool
	slab, err := NewSlab(SlabConfig{
		SlotBytes: 64, MaxSlots: 1, Source: PageSource{Pages: PagesBase},
		Create: func(slot unsafe.Pointer) error {
			if refuse.Load() {
				return errors.New("no words left")
			}
			*(*words)(slot) = words{made: uint64(made.Add(1))}
			return nil
		},
		Reset: func(slot unsafe.Pointer) error {
			reset.Add(1)
			if (*words)(slot).uses == 2 {
				return errors.New("worn out")
			}
			return nil
		},
		Destroy: func(unsafe.Pointer) {
			destroyed.Add(1)
			panic("must not unwind into C")
		},
	})
	succeeds(t, err)
	magazine, err := slab.OpenMagazine()
	succeeds(t, err)
	// After the second use the slot is worn out.
	for _, wanted := range []words{{1, 0}, {1, 1}, {2, 0}} {
		slot, err := magazine.Get()
		succeeds(t, err)
		if *(*words)(slot) != wanted {
			t.Errorf("found %+v in place of %+v", *(*words)(slot), wanted)
		}
		(*words)(slot).uses++
		succeeds(t, magazine.Put(slot))
	}
	if reset.Load() != 3 || destroyed.Load() != 1 {
		t.Errorf("%d resets, %d destroyed", reset.Load(), destroyed.Load())
	}
	out, err := magazine.Get()
	succeeds(t, err)
	(*words)(out).uses++
	succeeds(t, magazine.Put(out))
	refuse.Store(true)
	_, err = slab.Get()
	failsWith(t, err, ErrCallbackFailed)
	if !strings.Contains(err.Error(), "no words left") {
		t.Errorf("%q does not say why", err)
	}
	refuse.Store(false)
	out, err = slab.Get()
	succeeds(t, err)
	succeeds(t, magazine.Close())
	succeeds(t, slab.Close())
	// What is out is still cleaned and ended when it is put.
	succeeds(t, slab.Put(out))
	if made.Load() != destroyed.Load() {
		t.Errorf("%d were made and %d destroyed", made.Load(), destroyed.Load())
	}
}

func TestSlabCallbacksRunOnManyGoroutines(t *testing.T) {
	leavesNothing(t)
	var alive atomic.Int64
	slab, err := NewSlab(SlabConfig{
		SlotBytes: 64, MaxSlots: 1000, MagazineSlots: 8, Source: PageSource{Pages: PagesBase},
		Create:  func(unsafe.Pointer) error { alive.Add(1); return nil },
		Destroy: func(unsafe.Pointer) { alive.Add(-1) },
	})
	succeeds(t, err)
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			magazine, err := slab.OpenMagazine()
			if err != nil {
				t.Error(err)
				return
			}
			for range 200 {
				var slots [20]unsafe.Pointer
				for i := range slots {
					if slots[i], err = magazine.Get(); err != nil {
						t.Error(err)
						return
					}
				}
				for _, slot := range slots {
					if err := magazine.Put(slot); err != nil {
						t.Error(err)
					}
				}
			}
			if err := magazine.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	if alive.Load() == 0 || alive.Load() > 1000 {
		t.Errorf("%d slots are made", alive.Load())
	}
	if _, err := slab.Trim(); err != nil {
		t.Error(err)
	}
	succeeds(t, slab.Close())
	if alive.Load() != 0 {
		t.Errorf("%d slots were never ended", alive.Load())
	}
}

// many is a slab, or a magazine of one.
type many interface {
	GetN(slots []unsafe.Pointer) error
	PutN(slots []unsafe.Pointer) (int, error)
}

func TestSlabGivesAndTakesManyAtOnce(t *testing.T) {
	slab := newSlab(t, SlabConfig{SlotBytes: 64, MaxSlots: 10})
	receipt, err := slab.Receipt(0)
	succeeds(t, err)
	if receipt.MappedBytes == 0 {
		t.Errorf("the receipt is %+v", receipt)
	}
	magazine, err := slab.OpenMagazine()
	succeeds(t, err)
	closes(t, magazine)
	for _, from := range []many{slab, magazine} {
		slots, rest := make([]unsafe.Pointer, 8), make([]unsafe.Pointer, 3)
		succeeds(t, from.GetN(slots))
		failsWith(t, from.GetN(rest), ErrExhausted)
		if rest[0] != nil || slabStats(t, slab).Out != 8 {
			t.Errorf("%d slots are out", slabStats(t, slab).Out)
		}
		if put, err := from.PutN(slots[:5]); err != nil || put != 5 {
			t.Error(put, err)
		}
		// Five are put a second time, the others are not.
		put, err := from.PutN(slots)
		failsWith(t, err, ErrDoubleFree)
		if put != 3 || slabStats(t, slab).Out != 0 {
			t.Errorf("%d were put, %d are out", put, slabStats(t, slab).Out)
		}
		succeeds(t, from.GetN(nil))
	}
}
