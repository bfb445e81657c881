package ostler

import (
	"strings"
	"testing"
	"unsafe"
)

func TestHeapBlocksInBulk(t *testing.T) {
	heap, err := NewHeap(HeapConfig{Source: PageSource{Pages: PagesBase}, ChunkBytes: 1 << 20, LimitBytes: 2 << 20})
	succeeds(t, err)
	defer heap.Close()
	blocks := make([]unsafe.Pointer, 1000)
	succeeds(t, heap.AllocN(blocks, 100, 0))
	for i, block := range blocks {
		memory := unsafe.Slice((*byte)(block), 100)
		for at := range memory {
			memory[at] = byte(i)
		}
	}
	for i, block := range blocks {
		if memory := unsafe.Slice((*byte)(block), 100); memory[0] != byte(i) || memory[99] != byte(i) {
			t.Fatalf("block %d holds %v", i, memory)
		}
	}
	// All or none.
	failsWith(t, heap.AllocN(make([]unsafe.Pointer, 1000), 10000, 0), ErrLimit)
	failsWith(t, heap.AllocN(blocks[:1], -1, 0), ErrInvalidArgument)
	if stats, err := heap.Stats(); err != nil || stats.Blocks != 1000 {
		t.Errorf("%+v, %v", stats, err)
	}
	twice := append([]unsafe.Pointer{blocks[0]}, blocks...)
	freed, err := heap.FreeN(twice)
	failsWith(t, err, ErrDoubleFree)
	if freed != 1000 || !strings.Contains(err.Error(), "addresses[1]") {
		t.Errorf("%d were freed: %v", freed, err)
	}
	freed, err = heap.FreeN(nil)
	if freed != 0 || err != nil || heap.AllocN(nil, 1, 0) != nil {
		t.Errorf("%d, %v", freed, err)
	}
	_, err = heap.Drain(t.Context())
	succeeds(t, err)
}
