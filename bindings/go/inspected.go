package ostler

// #include "shim_inspected.h"
import "C"

import (
	"bytes"
	"unsafe"
)

// inspected is an object that is made of chunks.
type inspected struct {
	noun   C.ostler_go_noun
	handle C.uintptr_t
}

func (a *Arena) inspected() inspected   { return inspected{C.OSTLER_GO_ARENA, a.handle} }
func (h *Heap) inspected() inspected    { return inspected{C.OSTLER_GO_HEAP, h.handle} }
func (s *Slab) inspected() inspected    { return inspected{C.OSTLER_GO_SLAB, s.handle} }
func (b *Buffers) inspected() inspected { return inspected{C.OSTLER_GO_BUFFERS, b.handle} }

// Receipt asks the kernel about the chunk at this index, from 0.
func (a *Arena) Receipt(chunk int) (Receipt, error) { return a.inspected().receipt(chunk) }

// Receipt asks the kernel about the chunk at this index, from 0.
func (h *Heap) Receipt(chunk int) (Receipt, error) { return h.inspected().receipt(chunk) }

// Receipt asks the kernel about the chunk at this index, from 0.
func (s *Slab) Receipt(chunk int) (Receipt, error) { return s.inspected().receipt(chunk) }

// Receipt asks the kernel about the chunk at this index, from 0.
func (b *Buffers) Receipt(chunk int) (Receipt, error) { return b.inspected().receipt(chunk) }

// PrintReceipts gives a table of all receipts, for people.
func (a *Arena) PrintReceipts() (string, error) { return a.inspected().printReceipts() }

// PrintReceipts gives a table of all receipts, for people.
func (h *Heap) PrintReceipts() (string, error) { return h.inspected().printReceipts() }

// PrintReceipts gives a table of all receipts, for people.
func (s *Slab) PrintReceipts() (string, error) { return s.inspected().printReceipts() }

// PrintReceipts gives a table of all receipts, for people.
func (b *Buffers) PrintReceipts() (string, error) { return b.inspected().printReceipts() }

// Coverage asks the kernel about all chunks.
func (a *Arena) Coverage() (Coverage, error) { return a.inspected().coverage() }

// Coverage asks the kernel about all chunks.
func (h *Heap) Coverage() (Coverage, error) { return h.inspected().coverage() }

// Coverage asks the kernel about all chunks.
func (s *Slab) Coverage() (Coverage, error) { return s.inspected().coverage() }

// Coverage asks the kernel about all chunks.
func (b *Buffers) Coverage() (Coverage, error) { return b.inspected().coverage() }

// Repair puts huge pages together that the kernel split, and moves pages home that it moved away.
func (a *Arena) Repair() (Repair, error) { return a.inspected().repair() }

// Repair puts huge pages together that the kernel split, and moves pages home that it moved away.
func (h *Heap) Repair() (Repair, error) { return h.inspected().repair() }

// Repair puts huge pages together that the kernel split, and moves pages home that it moved away.
func (s *Slab) Repair() (Repair, error) { return s.inspected().repair() }

// Repair puts huge pages together that the kernel split, and moves pages home that it moved away.
func (b *Buffers) Repair() (Repair, error) { return b.inspected().repair() }

func (i inspected) receipt(chunk int) (Receipt, error) {
	var given arguments
	at := given.amount("chunk", chunk)
	if given.err != nil {
		return Receipt{}, given.err
	}
	var c C.ostler_receipt
	if err := failure(C.ostler_go_get_receipt(i.noun, i.handle, at, &c)); err != nil {
		return Receipt{}, err
	}
	return receiptOf(&c), nil
}

func (i inspected) printReceipts() (string, error) {
	// The object may grow between asking how long the table is and printing it.
	for room := 4096; ; {
		buffer := make([]byte, room)
		printed := C.ostler_go_print_receipts(i.noun, i.handle, (*C.char)(unsafe.Pointer(&buffer[0])), C.uint64_t(room))
		if err := failure(printed.failure); err != nil {
			return "", err
		}
		if needed := int(printed.needed_bytes); needed > room {
			room = needed
			continue
		}
		return string(buffer[:bytes.IndexByte(buffer, 0)]), nil
	}
}

func (i inspected) coverage() (Coverage, error) {
	var c C.ostler_coverage
	if err := failure(C.ostler_go_get_coverage(i.noun, i.handle, &c)); err != nil {
		return Coverage{}, err
	}
	return coverageOf(&c), nil
}

func (i inspected) repair() (Repair, error) {
	var c C.ostler_repair
	if err := failure(C.ostler_go_repair(i.noun, i.handle, &c)); err != nil {
		return Repair{}, err
	}
	return repairOf(&c), nil
}
