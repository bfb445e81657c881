package ostler

// #include "shim_slab.h"
// #cgo noescape ostler_go_magazine_get
// #cgo noescape ostler_go_magazine_put
import "C"

import (
	"context"
	"math"
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// SlabConfig says what slots a slab has. Only SlotBytes must be given.
type SlabConfig struct {
	Name          string
	Source        PageSource
	SlotBytes     int
	AlignBytes    int // a power of two; 0 is the largest that divides SlotBytes, at most 64
	MaxSlots      int // 0 is 65536
	InitialSlots  int // memory that is there from the beginning; 0 is one chunk
	ChunkBytes    int // how much to map at a time; 0 is 2 MiB
	MagazineSlots int // 2 to 128; 0 is 128
	Checked       bool

	// Create makes what lies in a slot before it is given out for the first time; it stays there from one use to the next.
	// After an error the get fails with ErrCallbackFailed and its words. Optional.
	Create func(slot unsafe.Pointer) error
	// Reset cleans a slot that is put; after an error the slot is destroyed, and made anew when it is next wanted. With a
	// Reset each Put is a call of the library. Optional.
	Reset func(slot unsafe.Pointer) error
	// Destroy ends what Create made, before the memory of the slot is given back. Optional.
	Destroy func(slot unsafe.Pointer)
}

func (c *SlabConfig) hasCallbacks() bool {
	return c.Create != nil || c.Reset != nil || c.Destroy != nil
}

// SlabStats is what a slab holds and has done up to now.
type SlabStats struct {
	SlotBytes, MaxSlots, Out, Chunks, MappedBytes, MagazinesOpen uint64
	Refills, Flushes, Recalls, Exhausted, Trims                  uint64
	DoublePuts, ForeignPuts, StepDowns                           uint64
}

// LiveSlot is a slot that is out.
type LiveSlot struct {
	Slot     unsafe.Pointer
	Held     time.Duration // since it was got while tracing was on, else since the live slots were first listed
	ThreadID uint32
	CallSite uint32
}

// Slab is many slots of one size, got and put one by one by any goroutine. They lie outside of Go's heap: the collector
// neither looks into them nor keeps them, so a slot must hold no pointer to anything of Go.
type Slab struct {
	handle  C.uintptr_t
	tenancy *tenancy // of its callbacks, which are needed until the last slot is destroyed; may be nil
}

// slotCallbacks is what the library calls for a slab. Each slot that was made and not destroyed is a tenant.
type slotCallbacks struct {
	config  SlabConfig
	tenancy *tenancy
}

var slabs registry[*slotCallbacks]

//export ostlerGoSlabCreate
func ostlerGoSlabCreate(id C.uintptr_t, slot unsafe.Pointer) C.ostler_status {
	callbacks, found := slabs.get(uintptr(id))
	if !found {
		return answer(errGone)
	}
	err := guarded(func() error {
		if callbacks.config.Create == nil {
			return nil
		}
		return callbacks.config.Create(slot)
	})
	if err == nil {
		callbacks.tenancy.enter()
	}
	return answer(err)
}

//export ostlerGoSlabReset
func ostlerGoSlabReset(id C.uintptr_t, slot unsafe.Pointer) C.ostler_status {
	callbacks, found := slabs.get(uintptr(id))
	if !found {
		return answer(errGone)
	}
	return answer(guarded(func() error { return callbacks.config.Reset(slot) }))
}

//export ostlerGoSlabDestroy
func ostlerGoSlabDestroy(id C.uintptr_t, slot unsafe.Pointer) {
	callbacks, found := slabs.get(uintptr(id))
	if !found {
		return
	}
	if callbacks.config.Destroy != nil {
		unanswerable("Destroy", func() { callbacks.config.Destroy(slot) })
	}
	callbacks.tenancy.leave()
}

// NewSlab makes a slab.
func NewSlab(config SlabConfig) (*Slab, error) {
	var given arguments
	var c C.ostler_slab_config
	if err := failure(C.ostler_go_slab_config_init(&c)); err != nil {
		return nil, err
	}
	source := config.Source.given(&given)
	c.checked = flag(config.Checked)
	c.slot_bytes = given.amount("SlotBytes", config.SlotBytes)
	c.align_bytes = given.amount("AlignBytes", config.AlignBytes)
	c.max_slots = given.amount("MaxSlots", config.MaxSlots)
	c.initial_slots = given.amount("InitialSlots", config.InitialSlots)
	c.chunk_bytes = given.amount("ChunkBytes", config.ChunkBytes)
	c.magazine_slots = given.count("MagazineSlots", config.MagazineSlots)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	if !config.hasCallbacks() {
		created := C.ostler_go_slab_create(&c, &source, 0, 0)
		if err := failure(created.failure); err != nil {
			return nil, err
		}
		return &Slab{handle: created.handle}, nil
	}
	callbacks := &slotCallbacks{config: config}
	id := slabs.add(callbacks)
	callbacks.tenancy = &tenancy{end: func() { slabs.take(id) }}
	created := C.ostler_go_slab_create(&c, &source, C.uintptr_t(id), flag(config.Reset != nil))
	if err := failure(created.failure); err != nil {
		callbacks.tenancy.close()
		return nil, err
	}
	return &Slab{handle: created.handle, tenancy: callbacks.tenancy}, nil
}

// Close gives the slab up. Slots that are out stay valid until they are put; the memory goes with the last of them and
// the last magazine.
func (s *Slab) Close() error {
	err := gone(failure(C.ostler_go_slab_destroy(s.handle)))
	if err == nil && s.tenancy != nil {
		s.tenancy.close()
	}
	return err
}

// Drain gives nothing out any more and waits until every slot is put; it says how many are still out.
func (s *Slab) Drain(ctx context.Context) (stillOut uint64, err error) {
	err = drain(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		waited := C.ostler_go_slab_close(s.handle, timeout, cancel)
		stillOut = uint64(waited.still_out)
		return failure(waited.failure)
	})
	return stillOut, err
}

// Get gets a slot. A goroutine that does so often opens a Magazine.
func (s *Slab) Get() (unsafe.Pointer, error) {
	memory := C.ostler_go_slab_get(s.handle)
	return memory.address, failure(memory.failure)
}

// Put puts a slot back, whoever got it.
func (s *Slab) Put(slot unsafe.Pointer) error {
	return failure(C.ostler_go_slab_put(s.handle, C.uintptr_t(uintptr(slot))))
}

// GetN gets as many slots as there is room for, or none.
func (s *Slab) GetN(slots []unsafe.Pointer) error {
	if len(slots) == 0 {
		return nil
	}
	return failure(C.ostler_go_slab_get_n(s.handle, C.uint32_t(min(len(slots), math.MaxUint32)), &slots[0]))
}

// PutN puts many slots back, those that can be also when another one cannot; it says how many.
func (s *Slab) PutN(slots []unsafe.Pointer) (put int, err error) {
	if len(slots) == 0 {
		return 0, nil
	}
	done := C.ostler_go_slab_put_n(s.handle, &slots[0], C.uint32_t(min(len(slots), math.MaxUint32)))
	return int(done.count), failure(done.failure)
}

// Trim gives empty chunks back and says how many bytes that were.
func (s *Slab) Trim() (uint64, error) {
	trimmed := C.ostler_go_slab_trim(s.handle)
	return uint64(trimmed.count), failure(trimmed.failure)
}

// Live lists the slots that are out, in the order of their addresses.
func (s *Slab) Live() ([]LiveSlot, error) {
	var listed []C.ostler_slab_live
	for {
		counted := C.ostler_go_slab_list_live(s.handle, unsafe.SliceData(listed), C.uint64_t(len(listed)))
		if err := failure(counted.failure); err != nil {
			return nil, err
		}
		if int(counted.count) <= len(listed) {
			listed = listed[:counted.count]
			break
		}
		// More may be got between two calls.
		listed = make([]C.ostler_slab_live, counted.count)
	}
	live := make([]LiveSlot, len(listed))
	for i, one := range listed {
		live[i] = LiveSlot{one.slot, time.Duration(one.held_ns), uint32(one.thread_id), uint32(one.call_site)}
	}
	return live, nil
}

// Stats says what the slab holds and has done.
func (s *Slab) Stats() (SlabStats, error) {
	var c C.ostler_slab_stats
	if err := failure(C.ostler_go_slab_get_stats(s.handle, &c)); err != nil {
		return SlabStats{}, err
	}
	return SlabStats{
		SlotBytes: uint64(c.slot_bytes), MaxSlots: uint64(c.max_slots), Out: uint64(c.out), Chunks: uint64(c.chunks),
		MappedBytes: uint64(c.mapped_bytes), MagazinesOpen: uint64(c.magazines_open), Refills: uint64(c.refills),
		Flushes: uint64(c.flushes), Recalls: uint64(c.recalls), Exhausted: uint64(c.exhausted), Trims: uint64(c.trims),
		DoublePuts: uint64(c.double_puts), ForeignPuts: uint64(c.foreign_puts), StepDowns: uint64(c.step_downs),
	}, nil
}

// Magazine is one goroutine's stack of free slots of a slab: a few instructions of Go for each get and put, and a call of
// the library only when it is empty or full. It may go from goroutine to goroutine, but serves one at a time.
type Magazine struct {
	slab    *Slab // not to be forgotten before its magazines
	words   *C.ostler_magazine
	opened  *C.ostler_magazine
	cleanup runtime.Cleanup
}

// closedMagazine takes the place of a magazine's words when it is closed: its layout is none, so that each call asks the
// library, which knows what to say.
var closedMagazine C.ostler_magazine

// The states of a slot.
const (
	slotFree = 1
	slotOut  = 2
)

// OpenMagazine opens a magazine.
func (s *Slab) OpenMagazine() (*Magazine, error) {
	opened := C.ostler_go_magazine_open(s.handle)
	if err := failure(opened.failure); err != nil {
		return nil, err
	}
	words := (*C.ostler_magazine)(opened.address)
	magazine := &Magazine{slab: s, words: words, opened: words}
	magazine.cleanup = runtime.AddCleanup(magazine, forgetMagazine, words)
	return magazine, nil
}

func forgetMagazine(words *C.ostler_magazine) { _ = failure(C.ostler_go_magazine_close(words)) }

// Close closes the magazine. What is in it stays free for others.
func (m *Magazine) Close() error {
	m.cleanup.Stop()
	// The library may give the same address to the next magazine.
	opened := m.opened
	m.words, m.opened = &closedMagazine, nil
	return gone(failure(C.ostler_go_magazine_close(opened)))
}

// lay lets a slot lie in this place, and tells its state; nil when it is none. One that was got from there lies there still.
func lay(words *C.ostler_magazine, place C.int64_t, slot unsafe.Pointer) *C.uint8_t {
	if words.items[place] == slot {
		return words.item_states[place]
	}
	quotient := (uint64(uintptr(slot)) - uint64(words.base)) * uint64(words.inverse)
	number := bits.RotateLeft64(quotient, -int(words.shift))
	if number >= uint64(words.slots) {
		return nil
	}
	state := (*C.uint8_t)(unsafe.Add(unsafe.Pointer(words.states), number))
	words.items[place], words.item_states[place] = slot, state
	return state
}

// Get gets a slot.
func (m *Magazine) Get() (unsafe.Pointer, error) {
	words := m.words
	if atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_MAGAZINE_LAYOUT {
		// The library may take what is in the magazine: it raises the floor, makes every core pass a fence, and reads
		// the top. So the top is lowered before the floor is looked at.
		top := words.top - 1
		order((*uint64)(unsafe.Pointer(&words.top)), uint64(top))
		if top >= C.int64_t(atomic.LoadInt64((*int64)(&words.floor))) && uint64(top) < uint64(len(words.items)) {
			slot := words.items[top]
			*words.item_states[top] = slotOut
			runtime.KeepAlive(m)
			return slot, nil
		}
		words.top = top + 1
	}
	return m.getSlowly()
}

//go:noinline
func (m *Magazine) getSlowly() (unsafe.Pointer, error) {
	memory := C.ostler_go_magazine_get(m.opened)
	runtime.KeepAlive(m)
	return memory.address, failure(memory.failure)
}

// Put puts a slot back, whoever got it.
func (m *Magazine) Put(slot unsafe.Pointer) error {
	words := m.words
	if atomic.LoadUint32((*uint32)(&words.layout)) == C.OSTLER_MAGAZINE_LAYOUT {
		top := words.top
		ceiling := C.int64_t(atomic.LoadInt64((*int64)(&words.ceiling)))
		if top < ceiling && uint64(top) < uint64(len(words.items)) {
			if state := lay(words, top, slot); state != nil && *state >= slotOut {
				*state = slotFree
				publish((*uint64)(unsafe.Pointer(&words.top)), uint64(top+1))
				runtime.KeepAlive(m)
				return nil
			}
		}
	}
	return m.putSlowly(slot)
}

//go:noinline
func (m *Magazine) putSlowly(slot unsafe.Pointer) error {
	err := failure(C.ostler_go_magazine_put(m.opened, C.uintptr_t(uintptr(slot))))
	runtime.KeepAlive(m)
	return err
}

// GetN gets as many slots as there is room for, or none.
func (m *Magazine) GetN(slots []unsafe.Pointer) error {
	if len(slots) == 0 {
		return nil
	}
	err := failure(C.ostler_go_magazine_get_n(m.opened, C.uint32_t(min(len(slots), math.MaxUint32)), &slots[0]))
	runtime.KeepAlive(m)
	return err
}

// PutN puts many slots back, those that can be also when another one cannot; it says how many.
func (m *Magazine) PutN(slots []unsafe.Pointer) (put int, err error) {
	if len(slots) == 0 {
		return 0, nil
	}
	done := C.ostler_go_magazine_put_n(m.opened, &slots[0], C.uint32_t(min(len(slots), math.MaxUint32)))
	runtime.KeepAlive(m)
	return int(done.count), failure(done.failure)
}
