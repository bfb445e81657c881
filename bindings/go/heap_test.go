package ostler

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"unsafe"
)

func newHeap(t *testing.T, config HeapConfig) *Heap {
	t.Helper()
	config.Source.Pages = PagesBase
	config.ChunkBytes = 256 << 10
	heap, err := NewHeap(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := heap.Close(); err != nil {
			t.Error(err)
		}
	})
	return heap
}

func filled(t *testing.T, heap *Heap, size int, value byte) Block {
	t.Helper()
	block, err := heap.AllocBlock(size, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = heap.Use(block, func(memory []byte) error {
		copy(memory, bytes.Repeat([]byte{value}, size))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return block
}

func TestCompactionKeepsWhatBlocksHold(t *testing.T) {
	for _, checked := range []bool{false, true} {
		heap := newHeap(t, HeapConfig{Checked: checked})
		blocks := make([]Block, 1000)
		for i := range blocks {
			blocks[i] = filled(t, heap, 900, byte(i))
		}
		for i, block := range blocks {
			if i%8 != 0 {
				if err := heap.FreeBlock(block); err != nil {
					t.Fatal(err)
				}
			}
		}
		err := heap.Use(blocks[992], func(pinned []byte) error {
			done, err := heap.Compact(0)
			if err != nil {
				return err
			}
			if done.MovedBlocks == 0 || done.ReturnedChunks == 0 || done.FragmentationAfter >= done.FragmentationBefore {
				t.Errorf("%+v", done)
			}
			if info, err := heap.Info(blocks[992]); err != nil || info.Pins != 1 || info.RequestedBytes != 900 {
				t.Errorf("%+v %v", info, err)
			}
			if !bytes.Equal(pinned, bytes.Repeat([]byte{992 & 255}, 900)) {
				t.Error("a pinned block was moved")
			}
			if err := heap.FreeBlock(blocks[992]); !errors.Is(err, ErrBusy) {
				t.Errorf("freed while it was pinned: %v", err)
			}
			return heap.Check()
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(blocks); i += 8 {
			err := heap.Use(blocks[i], func(memory []byte) error {
				if !bytes.Equal(memory, bytes.Repeat([]byte{byte(i)}, 900)) {
					t.Errorf("block %d holds something else", i)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestBlocksThatStayWhereTheyAre(t *testing.T) {
	for _, checked := range []bool{false, true} {
		heap := newHeap(t, HeapConfig{Checked: checked})
		block, err := heap.Alloc(100, 0)
		succeeds(t, err)
		sevens := bytes.Repeat([]byte{7}, 100)
		copy(unsafe.Slice((*byte)(block), 100), sevens)
		if usable, err := heap.UsableBytes(block); err != nil || usable < 100 || checked && usable != 100 {
			t.Errorf("%d usable: %v", usable, err)
		}
		// Not where it is: it is to begin on a page.
		before := uintptr(block)
		block, err = heap.Resize(block, 5000, 1<<20)
		succeeds(t, err)
		if uintptr(block) == before || uintptr(block)%(1<<20) != 0 {
			t.Errorf("it was at %#x and is at %#x", before, block)
		}
		if !bytes.Equal(unsafe.Slice((*byte)(block), 100), sevens) {
			t.Error("what it held did not stay")
		}
		_, err = heap.Resize(block, -1, 0)
		failsWith(t, err, ErrInvalidArgument)
		succeeds(t, errors.Join(heap.Check(), heap.Free(block), heap.Free(nil)))
		if stats, err := heap.Stats(); err != nil || stats.Blocks != 0 || stats.UsedBytes != 0 {
			t.Errorf("%+v %v", stats, err)
		}
	}
}

func TestBlockWithoutBytesHasAnAddressOfItsOwn(t *testing.T) {
	heap := newHeap(t, HeapConfig{})
	one, err := heap.Alloc(0, 0)
	succeeds(t, err)
	other, err := heap.Alloc(0, 0)
	succeeds(t, err)
	if one == nil || one == other {
		t.Errorf("%p and %p", one, other)
	}
	succeeds(t, errors.Join(heap.Free(one), heap.Free(other)))
}

func TestMisuseOfAHeapIsTold(t *testing.T) {
	heap := newHeap(t, HeapConfig{Checked: true})
	block, err := heap.Alloc(10, 0)
	succeeds(t, err)
	failsWith(t, heap.Free(unsafe.Add(block, 1)), ErrForeignPointer)
	failsWith(t, heap.Free(unsafe.Pointer(new(int))), ErrForeignPointer)
	behind := (*byte)(unsafe.Add(block, 10))
	*behind ^= 1
	failsWith(t, heap.Free(block), ErrOverrun)
	*behind ^= 1
	succeeds(t, heap.Free(block))
	failsWith(t, heap.Free(block), ErrDoubleFree)
	_, err = heap.UsableBytes(block)
	failsWith(t, err, ErrDoubleFree)
	for _, align := range []int{3, -1, 4 << 20} {
		_, err = heap.Alloc(8, align)
		failsWith(t, err, ErrInvalidArgument)
	}
	_, err = heap.Alloc(-1, 0)
	failsWith(t, err, ErrInvalidArgument)
}

func TestStaleBlockIsTold(t *testing.T) {
	heap := newHeap(t, HeapConfig{})
	block := filled(t, heap, 100, 1)
	if err := heap.ResizeBlock(block, 5000); err != nil {
		t.Fatal(err)
	}
	if err := heap.FreeBlock(block); err != nil {
		t.Fatal(err)
	}
	for _, stale := range []Block{block, {}} {
		if err := heap.FreeBlock(stale); !errors.Is(err, ErrStaleBlock) {
			t.Errorf("%v", err)
		}
		err := heap.Use(stale, func([]byte) error { t.Error("used"); return nil })
		if !errors.Is(err, ErrStaleBlock) {
			t.Errorf("%v", err)
		}
	}
	if _, err := heap.AllocBlock(-1, 0); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("%v", err)
	}
}

func TestGoroutinesShareAHeapWhileItIsCompacted(t *testing.T) {
	heap := newHeap(t, HeapConfig{})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for round := range 300 {
				value := byte(worker*50 + round)
				block, err := heap.AllocBlock(200+round*7, 0)
				if err != nil {
					t.Error(err)
					return
				}
				fill := func(memory []byte) error { memory[0], memory[len(memory)-1] = value, value; return nil }
				look := func(memory []byte) error {
					if memory[0] != value || memory[len(memory)-1] != value {
						t.Error("holds something else")
					}
					return nil
				}
				err = errors.Join(heap.Use(block, fill), heap.Use(block, look))
				if round%20 == 0 {
					_, failed := heap.Compact(0)
					err = errors.Join(err, failed)
				}
				if err = errors.Join(err, heap.Use(block, look), heap.FreeBlock(block)); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	all.Wait()
	if stillOut, err := heap.Drain(context.Background()); err != nil || stillOut != 0 {
		t.Errorf("%d still out: %v", stillOut, err)
	}
	stats, err := heap.Stats()
	if err != nil || stats.Blocks != 0 || stats.UsedBytes != 0 || stats.Allocations != 1200 {
		t.Errorf("%+v %v", stats, err)
	}
}
