//! Slab: many objects of one size, side by side on the pages asked for, got and put one by one from any thread. There are
//! never more than a bound, and what is no slot, or is not out, is told when it is put.

use super::arguments::{
    MOST_ELEMENTS, check_count, clear, flag, name, null, optional_output, out_of_range, output, print,
};
use super::guard::{destroy, guard, leaf, with, with_child};
use super::library::OSTLER_NAME_BYTES;
use super::page_source::{self, ostler_page_source};
use super::receipt::ostler_receipt;
use super::status::{
    Failure, OSTLER_E_CALLBACK_FAILED, OSTLER_E_CLOSED, OSTLER_E_DOUBLE_FREE, OSTLER_E_EXHAUSTED,
    OSTLER_E_FOREIGN_POINTER, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_OUT_OF_MEMORY, OSTLER_OK,
    answered, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use super::{cancel, cancel::ostler_cancel};
use crate::base::alloc;
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::base::refusal::Refusal;
use crate::memory::slab::chunks::ChunkError;
use crate::memory::slab::states::StatesError;
use crate::memory::slab::{LiveSlot, Slab, SlabConfig, SlabError, Upkeep};
use std::ffi::{c_char, c_void};

/// Slots of one size for objects that come and go, shared by many threads.
pub struct ostler_slab {
    _opaque: [u8; 0],
}

/// What a slab is asked to be.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_slab_config {
    /// sizeof(ostler_slab_config).
    pub struct_size: u32,
    /// 1: every call looks exactly, no slot is used again before others have been, and inline calls go into the library.
    pub checked: u32,
    /// What memory the slab is made of; borrowed while the slab is created; NULL: the defaults of
    /// ostler_page_source_init.
    pub source: *const ostler_page_source,
    /// Bytes of an object; 1 to 1 GiB, rounded up to align_bytes. From one slot to the next there is nothing else.
    pub slot_bytes: u64,
    /// What each slot is aligned to, a power of two of at most 2 MiB; 0: the largest that divides slot_bytes, at most 64.
    pub align_bytes: u64,
    /// Most slots that there ever are, at most 67108864; 0: 65536. Address space for all of them is reserved at once.
    pub max_slots: u64,
    /// Slots whose memory is there from the beginning and is kept at a trim; at most max_slots; 0: those of one chunk.
    pub initial_slots: u64,
    /// Bytes mapped at once; 65536 to 1 TiB, rounded up to the page size; 0: 2 MiB. At least one slot, at most max_slots.
    pub chunk_bytes: u64,
    /// Slots that a magazine holds; 2 to 128; 0: 64. Half of them move at once.
    pub magazine_slots: u32,
    /// 0.
    pub reserved: u32,
    /// Shown in reports and in the kernel's list of mappings.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// What the host does with the memory of a slot. Each may be NULL, and gets user_data first. None is called with a lock
/// held, so all may call the library, also for this slab.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_slab_callbacks {
    /// sizeof(ostler_slab_callbacks).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Makes what lies in a slot, on the thread that gets it, before it is given out for the first time. What it made
    /// stays there from one use to the next. Answers OSTLER_OK, or any other status when it cannot; then the get fails
    /// with OSTLER_E_CALLBACK_FAILED and the slot stays free.
    pub create: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, slot: *mut c_void) -> ostler_status>,
    /// Cleans it, on the thread that puts the slot. After any other status than OSTLER_OK it is destroyed, and made anew
    /// when the slot is next wanted. With a reset every put is a call, also an inline one.
    pub reset: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, slot: *mut c_void) -> ostler_status>,
    /// Ends what create made, before the memory of the slot is given back.
    pub destroy: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, slot: *mut c_void)>,
}

/// A slot that is out.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_slab_live {
    pub slot: *mut c_void,
    /// Nanoseconds since it was got, when tracing remembered it then; else since the slab's live slots were first listed or printed
    /// with it among them, and 0 that time.
    pub held_ns: u64,
    /// The thread that got it, as gettid has it; 0 when tracing did not remember it.
    pub thread_id: u32,
    /// The number of the call stack that got it; 0 when tracing did not remember it.
    pub call_site: u32,
}

/// What a slab holds and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_slab_stats {
    /// sizeof(ostler_slab_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// From one slot to the next.
    pub slot_bytes: u64,
    /// Most slots that there ever are.
    pub max_slots: u64,
    /// Slots that are out.
    pub out: u64,
    /// Chunks that are mapped.
    pub chunks: u64,
    /// Their bytes.
    pub mapped_bytes: u64,
    /// Magazines that are open now, those that the library keeps for threads not among them.
    pub magazines_open: u64,
    /// How often a magazine was refilled.
    pub refills: u64,
    /// How often half of a full magazine was emptied.
    pub flushes: u64,
    /// How often nothing else was left than what other threads had at hand, and all of that was taken back.
    pub recalls: u64,
    /// Calls that found nothing.
    pub exhausted: u64,
    /// How often chunks were given back.
    pub trims: u64,
    /// Puts of a slot that was put before.
    pub double_puts: u64,
    /// Puts of what is no slot, or was never got.
    pub foreign_puts: u64,
    /// Chunks that got smaller pages or another node policy than asked.
    pub step_downs: u64,
}

versioned!(ostler_slab_config, ostler_slab_callbacks, ostler_slab_stats);

impl From<SlabError> for Failure {
    fn from(error: SlabError) -> Self {
        let status = match error {
            SlabError::Source(error) => return error.into(),
            SlabError::Chunk(ChunkError::Pages(error)) => return error.into(),
            SlabError::States(StatesError::Refused(_)) => OSTLER_E_MEMORY_PRESSURE,
            SlabError::Space { .. }
            | SlabError::States(_)
            | SlabError::Chunk(ChunkError::Move(_) | ChunkError::OutOfMemory(_))
            | SlabError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
            SlabError::Magazine(error) => return error.into(),
            SlabError::Chunk(ChunkError::Full(_)) | SlabError::Exhausted { .. } => OSTLER_E_EXHAUSTED,
            SlabError::Closed | SlabError::Destroyed => OSTLER_E_CLOSED,
            SlabError::Callback(_) => OSTLER_E_CALLBACK_FAILED,
            SlabError::Foreign { .. } | SlabError::NeverGot { .. } => OSTLER_E_FOREIGN_POINTER,
            SlabError::PutTwice { .. } => OSTLER_E_DOUBLE_FREE,
            SlabError::NoSuchChunk { .. } => OSTLER_E_INVALID_ARGUMENT,
            SlabError::Wait(end) => return end.into(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// The callbacks of one slab.
struct Callbacks {
    table: ostler_slab_callbacks,
    user_data: *mut c_void,
}

// SAFETY: the host's functions and its pointer for them; the header says on which threads they are called.
unsafe impl Send for Callbacks {}

// SAFETY: as above.
unsafe impl Sync for Callbacks {}

impl Upkeep for Callbacks {
    fn creates(&self) -> bool {
        self.table.create.is_some()
    }

    fn create(&self, slot: *mut u8) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.create.map_or(OSTLER_OK, |create| unsafe { create(self.user_data, slot.cast()) }))
    }

    fn resets(&self) -> bool {
        self.table.reset.is_some()
    }

    fn reset(&self, slot: *mut u8) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.reset.map_or(OSTLER_OK, |reset| unsafe { reset(self.user_data, slot.cast()) }))
    }

    fn destroys(&self) -> bool {
        self.table.destroy.is_some()
    }

    fn destroy(&self, slot: *mut u8) {
        if let Some(destroy) = self.table.destroy {
            // SAFETY: the host's function, called as the header says.
            unsafe { destroy(self.user_data, slot.cast()) }
        }
    }
}

/// Fills a configuration with the defaults. There is none for slot_bytes.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_slab_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_config_init(config: *mut ostler_slab_config, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Empties a table of callbacks.
///
/// Parameters:
/// - callbacks: written only on success.
/// - struct_size: sizeof(ostler_slab_callbacks).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_callbacks_init(
    callbacks: *mut ostler_slab_callbacks,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("callbacks", callbacks, struct_size) })
}

/// # Safety
/// A non-null `source` is as the header asks.
unsafe fn checked(config: &ostler_slab_config) -> Result<SlabConfig, Failure> {
    if config.reserved != 0 {
        return Err(out_of_range("reserved", u64::from(config.reserved), "must be 0"));
    }
    Ok(SlabConfig {
        // SAFETY: the caller's promise.
        source: unsafe { page_source::given(config.source)? },
        slot_bytes: config.slot_bytes,
        align_bytes: config.align_bytes,
        max_slots: config.max_slots,
        initial_slots: config.initial_slots,
        chunk_bytes: config.chunk_bytes,
        magazine_slots: config.magazine_slots,
        checked: flag("checked", config.checked)?,
        name: name(&config.name)?,
    })
}

/// Makes a slab, reserves the address space for every slot, and maps the first chunks.
///
/// Parameters:
/// - config: borrowed during the call.
/// - callbacks: borrowed during the call.
/// - user_data: handed to every callback; must stay valid until the slab is destroyed and the last slot is put.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_slab_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks may be NULL, which is none; user_data may be NULL; config and out must not be NULL.
/// Blocking: as long as the kernel takes to map the chunks and bring in their pages; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_create(
    config: *const ostler_slab_config,
    callbacks: *const ostler_slab_callbacks,
    user_data: *mut c_void,
    out: *mut *mut ostler_slab,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = unsafe { checked(&read("config", config)?)? };
        // SAFETY: as the header asks.
        let table = if callbacks.is_null() { zeroed() } else { unsafe { read("callbacks", callbacks)? } };
        if table.reserved != 0 {
            return Err(out_of_range("callbacks->reserved", u64::from(table.reserved), "must be 0"));
        }
        let slot = handles::reserve(Kind::Slab)?;
        let upkeep = alloc::try_box(Callbacks { table, user_data })?;
        let slab = Slab::new(slot.owner(), config, upkeep)?;
        *out = slot.publish(slab) as *mut ostler_slab;
        Ok(())
    })
}

/// Gets a slot through the magazine that the library keeps for this thread. What lies in it is what create made or the
/// last use left; in fresh memory, zeros. The slab grows by a chunk when nothing is free, and only when every slot that may
/// be is out the call fails.
///
/// Parameters:
/// - slab: borrowed.
/// - out: written only on success, else NULL; the caller's alone until it is put.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_get(slab: *mut ostler_slab, out: *mut *mut c_void) -> ostler_status {
    if !out.is_null()
        && let Some(slab) = leaf::<_, Slab>(slab)
        && let Some(slot) = slab.get_at_hand(slab.record())
    {
        // SAFETY: as the header asks.
        unsafe { out.write(slot.cast()) };
        return OSTLER_OK;
    }
    get_guarded(slab, out)
}

/// The way of a call that may have to look for a slot, or to make one.
#[inline(never)]
fn get_guarded(slab: *mut ostler_slab, out: *mut *mut c_void) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = slab.get(slab.record())?.cast();
        Ok(())
    })
}

/// Puts a slot back, whichever thread got it. A second put of a slot that nobody got meanwhile is told, and so is what is
/// no slot of this slab; both change nothing. Only when two threads put one slot in the same moment may both be answered
/// OSTLER_OK; with checked set, never.
///
/// Parameters:
/// - slab: borrowed, also when it was destroyed.
/// - slot: owned; from this slab, and no longer the caller's.
///
/// Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (no slot begins there, or it was never got),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slot NULL is OSTLER_E_FOREIGN_POINTER.
/// Blocking: as long as reset takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_put(slab: *mut ostler_slab, slot: *mut c_void) -> ostler_status {
    if leaf::<_, Slab>(slab).and_then(|slab| slab.put_at_hand(slab.record(), slot.cast())).is_some() {
        return OSTLER_OK;
    }
    put_guarded(slab, slot)
}

/// The way of a call that may have to clean a slot, to make room, or to say what is wrong.
#[inline(never)]
fn put_guarded(slab: *mut ostler_slab, slot: *mut c_void) -> ostler_status {
    with_child(slab, |slab: &Pin<Slab>| Ok(slab.put(slab.record(), slot.cast())?))
}

/// Gets many slots at once, or none.
///
/// Parameters:
/// - slab: borrowed.
/// - count: how many; 0 does nothing; at most 1048576.
/// - slots: written; an array of count slots on success, else of NULLs.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL.
/// Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_get_n(
    slab: *mut ostler_slab,
    count: u32,
    slots: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear_slots(slots, count) };
    with(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let Some(slots) = (unsafe { array_out(slots, count)? }) else { return Ok(()) };
        Ok(slab.get_n(slab.record(), slots)?)
    })
}

/// Puts many slots back. Those that can be put are, also when another one cannot.
///
/// Parameters:
/// - slab: borrowed, also when it was destroyed.
/// - slots: borrowed during the call; an array of count slots from this slab, none of them twice.
/// - count: how many; 0 does nothing; at most 1048576.
/// - put: written; how many were put, also after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (both of the first that cannot be put, which the
/// message names), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL; put may be NULL.
/// Blocking: as long as reset takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_put_n(
    slab: *mut ostler_slab,
    slots: *const *mut c_void,
    count: u32,
    put: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(put, 0) };
    with_child(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let Some(slots) = (unsafe { array_in(slots, count)? }) else { return Ok(()) };
        let (done, result) = slab.put_n(slab.record(), slots);
        // SAFETY: as the header asks.
        unsafe { clear(put, done) };
        Ok(result?)
    })
}

/// Empties an array of slots before the call does anything else.
///
/// # Safety
/// A non-null `slots` has `count` places that can be written, as the header asks.
#[inline]
pub(super) unsafe fn clear_slots(slots: *mut *mut c_void, count: u32) {
    if !slots.is_null() && count <= MOST_ELEMENTS {
        // SAFETY: the caller's promise.
        unsafe { slots.write_bytes(0, count as usize) };
    }
}

/// An array of slots to be written; none when `count` is 0.
///
/// # Safety
/// A non-null `slots` has `count` places that can be written, as the header asks.
pub(super) unsafe fn array_out<'a>(slots: *mut *mut c_void, count: u32) -> Result<Option<&'a mut [*mut u8]>, Failure> {
    if count == 0 {
        return Ok(None);
    }
    check_count(count)?;
    if slots.is_null() {
        return Err(null("slots"));
    }
    // SAFETY: the caller's promise, and the slots were cleared.
    Ok(Some(unsafe { std::slice::from_raw_parts_mut(slots.cast(), count as usize) }))
}

/// An array of slots to be read; none when `count` is 0.
///
/// # Safety
/// A non-null `slots` has `count` places that can be read, as the header asks.
pub(super) unsafe fn array_in<'a>(slots: *const *mut c_void, count: u32) -> Result<Option<&'a [*mut u8]>, Failure> {
    if count == 0 {
        return Ok(None);
    }
    check_count(count)?;
    if slots.is_null() {
        return Err(null("slots"));
    }
    // SAFETY: the caller's promise.
    Ok(Some(unsafe { std::slice::from_raw_parts(slots.cast(), count as usize) }))
}

/// Gives back every chunk in which nothing is out, except for those of initial_slots. What threads have at hand is taken
/// back for that.
///
/// Parameters:
/// - slab: borrowed.
/// - freed_bytes: written; how much was given back; 0 after a failure, and while another trim is under way.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; freed_bytes may be NULL.
/// Blocking: as long as destroy and the kernel take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_trim(slab: *mut ostler_slab, freed_bytes: *mut u64) -> ostler_status {
    // SAFETY: as the header asks.
    let freed_bytes = unsafe { optional_output(freed_bytes, 0) };
    with(slab, |slab: &Pin<Slab>| {
        let freed = slab.trim(u64::MAX);
        if let Some(freed_bytes) = freed_bytes {
            *freed_bytes = freed;
        }
        Ok(())
    })
}

/// Lists the slots that are out, in the order of their addresses.
///
/// Parameters:
/// - slab: borrowed.
/// - slots: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
/// - capacity: its elements; 0 only counts.
/// - count: written; how many slots are out, which may be more than capacity; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each slot was out at some moment of the call; nobody is held up.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slots may be NULL when capacity is 0; count must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_list_live(
    slab: *mut ostler_slab,
    slots: *mut ostler_slab_live,
    capacity: u64,
    count: *mut u64,
) -> ostler_status {
    let none = ostler_slab_live { slot: std::ptr::null_mut(), held_ns: 0, thread_id: 0, call_site: 0 };
    // SAFETY: as the header asks.
    unsafe {
        clear(count, 0);
        if capacity > 0 {
            clear(slots, none);
        }
    }
    with(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let count = unsafe { output("count", count, 0)? };
        if slots.is_null() && capacity > 0 {
            return Err(null("slots"));
        }
        for live in slab.live() {
            if *count < capacity {
                // SAFETY: as the header asks, and there are `capacity` places.
                unsafe { slots.add(*count as usize).write(live_slot(&live)) };
            }
            *count += 1;
        }
        Ok(())
    })
}

fn live_slot(live: &LiveSlot) -> ostler_slab_live {
    ostler_slab_live {
        slot: live.slot.cast(),
        held_ns: live.held_ns,
        thread_id: live.thread,
        call_site: live.site.number(),
    }
}

/// Writes the slots that are out as a table for people: each with its address, for how long, the thread, and the call stack
/// that got it, where tracing remembered it.
///
/// Parameters:
/// - slab: borrowed.
/// - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
/// - buffer_bytes: its size; 0 writes nothing.
/// - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each slot was out at some moment of the call; nobody is held up.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_print_live(
    slab: *mut ostler_slab,
    buffer: *mut c_char,
    buffer_bytes: u64,
    needed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    let needed = unsafe { optional_output(needed_bytes, 0) };
    if buffer_bytes > 0 {
        // SAFETY: as the header asks.
        unsafe { clear(buffer, 0) };
    }
    with(slab, |slab: &Pin<Slab>| {
        let table = || slab.live().map(|live| format!("{live}\n")).collect();
        // SAFETY: as the header asks.
        unsafe { print(table, buffer, buffer_bytes, needed) }
    })
}

/// Tells what the slab holds and did.
///
/// Parameters:
/// - slab: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number is right for some moment of the call; nobody is held up.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_get_stats(slab: *mut ostler_slab, out: *mut ostler_slab_stats) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(slab, |slab: &Pin<Slab>| {
        let out = out?;
        let stats = slab.stats();
        out.fill(&ostler_slab_stats {
            struct_size: 0,
            reserved: 0,
            slot_bytes: stats.slot_bytes,
            max_slots: stats.max_slots,
            out: stats.out,
            chunks: stats.chunks,
            mapped_bytes: stats.mapped_bytes,
            magazines_open: stats.magazines_open,
            refills: stats.refills,
            flushes: stats.flushes,
            recalls: stats.recalls,
            exhausted: stats.exhausted,
            trims: stats.trims,
            double_puts: stats.put_twice,
            foreign_puts: stats.foreign,
            step_downs: stats.step_downs,
        });
        Ok(())
    })
}

/// Tells what a chunk was asked to be, what it got, and why. Asks the kernel anew each time, because pages come, go,
/// merge and move.
///
/// Parameters:
/// - slab: borrowed.
/// - chunk_index: 0 to chunks - 1 of ostler_slab_get_stats, in the order of addresses.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_get_receipt(
    slab: *mut ostler_slab,
    chunk_index: u64,
    out: *mut ostler_receipt,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(slab, |slab: &Pin<Slab>| {
        let out = out?;
        out.fill(&ostler_receipt::from(&slab.receipt(chunk_index)?));
        Ok(())
    })
}

/// Gives nothing out any more, and waits until every slot is put. The slab's memory stays until ostler_slab_destroy.
///
/// Parameters:
/// - slab: borrowed.
/// - timeout_ns: nanoseconds; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait from another thread.
/// - still_out: written; how many slots are out, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
/// Blocking: waits as said; OSTLER_E_CLOSED when the slab is destroyed meanwhile with slots still out.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_close(
    slab: *mut ostler_slab,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    still_out: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(still_out, 0) };
    with(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let still_out = unsafe { optional_output(still_out, 0) };
        let cancel = cancel::given(cancel)?;
        let closed = slab.close(Deadline::after(timeout_ns), cancel.as_deref());
        if let Some(still_out) = still_out {
            *still_out = slab.left();
        }
        Ok(closed?)
    })
}

/// Destroys a slab. What create made is destroyed in every slot that is free. With slots still out, or magazines open, the
/// memory stays until the last is put and closed; each slot is then destroyed when it is put.
///
/// Parameters:
/// - slab: owned; invalid afterwards, except for putting its slots and closing its magazines.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may be inside an inline call of one of its magazines; other calls are waited
/// for.
/// NULL: slab NULL is OSTLER_OK and does nothing.
/// Blocking: ends the waits inside, waits for those calls to return, and as long as destroy takes.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_destroy(slab: *mut ostler_slab) -> ostler_status {
    destroy::<_, Slab>(slab)
}
