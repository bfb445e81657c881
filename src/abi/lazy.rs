//! Lazy: a value that is loaded at the first access, by one thread while others wait; pinned while it is used; dropped when
//! memory runs short, and loaded again at the next access.

use super::arguments::{clear, name, null, optional_output, output, text};
use super::cancel::{self, ostler_cancel};
use super::guard::{destroy, guard, with, with_child};
use super::library::OSTLER_NAME_BYTES;
use super::page_source::{self, ostler_page_source};
use super::status::{
    Failure, OSTLER_E_BUSY, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_LOAD_FAILED,
    OSTLER_E_MEMORY_PRESSURE, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_WOULD_DEADLOCK, OSTLER_OK, answered, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::Name;
use crate::base::alloc;
use crate::base::callback::Refusal;
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::memory::governor::{Account, Holder};
use crate::memory::lazy::lazy::LoadFailure;
use crate::memory::lazy::reader::{self, Reader};
use crate::memory::lazy::{Content, File, Lazy, LazyError, Loaded, READERS, Source};
use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::sync::Arc;

/// A value that is loaded when it is needed.
pub struct ostler_lazy {
    _opaque: [u8; 0],
}

/// The layout that ostler_inline.h of this version knows. A library with another one writes another number into its
/// readers, and the inline code calls the library.
pub const OSTLER_READER_LAYOUT: u32 = 1;

/// One thread's way to pin a lazy value, made by ostler_reader_open. The fields are for ostler_inline.h; programs use its
/// functions, or ostler_reader_pin and ostler_reader_unpin.
#[repr(C)]
pub struct ostler_reader {
    /// OSTLER_READER_LAYOUT, or another number that sends every pin into the library.
    pub layout: u32,
    /// 1: the library wants to hear of the last unpin.
    pub attention: u32,
    /// How often it pinned, in the upper half, and how many pins it holds.
    pub word: u64,
    /// Where the value stands; NULL there when there is none.
    pub published: *mut *mut c_void,
    /// The library's own.
    pub private_words: [u64; 5],
}

const _: () = assert!(
    size_of::<ostler_reader>() == 64
        && size_of::<ostler_reader>() == size_of::<Reader>()
        && offset_of!(ostler_reader, word) == 8
        && offset_of!(ostler_reader, published) == 16
        && OSTLER_READER_LAYOUT == reader::LAYOUT
);

/// What the host does for a lazy value. Both are called with no lock held, on the thread that pins, drops, invalidates or
/// destroys, or on the governor's. They may call the library; a load that pins its own value gets OSTLER_E_WOULD_DEADLOCK. A
/// C++ exception must not leave one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_lazy_callbacks {
    /// sizeof(ostler_lazy_callbacks).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Makes the value, which must not be NULL; required. size_bytes holds 0: it writes what the value counts against the
    /// memory of the process. Called by one thread at a time. After a failure each pin fails with its words, until it is
    /// tried again: after 100 ms, then 200 ms, up to 30 s.
    pub load: Option<
        unsafe extern "C-unwind" fn(
            user_data: *mut c_void,
            value: *mut *mut c_void,
            size_bytes: *mut u64,
        ) -> ostler_status,
    >,
    /// Ends a value that nobody uses any more; may be NULL.
    pub drop: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, value: *mut c_void)>,
}

/// How a lazy value is kept.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_lazy_config {
    /// sizeof(ostler_lazy_config).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// What memory a file is read into; borrowed during the call; NULL: the defaults of ostler_page_source_init.
    pub source: *const ostler_page_source,
    /// Shown in reports.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// What the value of ostler_lazy_open_file points to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_lazy_content {
    /// The bytes of the file, at the moment at which it was read.
    pub data: *const c_void,
    pub size_bytes: u64,
}

const _: () = assert!(
    offset_of!(ostler_lazy_content, data) == offset_of!(Content, data)
        && offset_of!(ostler_lazy_content, size_bytes) == offset_of!(Content, bytes)
);

/// What a lazy value is and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_lazy_stats {
    /// sizeof(ostler_lazy_stats), set by the caller.
    pub struct_size: u32,
    /// 1: it is loaded.
    pub is_loaded: u32,
    /// 1: a thread loads it.
    pub is_loading: u32,
    /// 0.
    pub reserved: u32,
    /// How often it was loaded: the version of the value that is there, or was last.
    pub version: u64,
    /// What it counts.
    pub value_bytes: u64,
    /// Readers that are open.
    pub readers: u64,
    /// Values that were invalidated, and are still pinned.
    pub leaving: u64,
    /// How often it was pinned.
    pub pins: u64,
    /// Loads that failed.
    pub load_failures: u64,
    /// How often it was dropped because memory ran short, or by ostler_lazy_drop.
    pub drops: u64,
    /// Calls of ostler_lazy_invalidate.
    pub invalidations: u64,
}

versioned!(ostler_lazy_callbacks, ostler_lazy_config, ostler_lazy_stats);

impl From<LazyError> for Failure {
    fn from(error: LazyError) -> Self {
        let status = match error {
            LazyError::Load { failure: LoadFailure::Callback(_), .. } => OSTLER_E_LOAD_FAILED,
            LazyError::Load { failure: LoadFailure::Refused(_), .. } => OSTLER_E_MEMORY_PRESSURE,
            LazyError::Load { failure: LoadFailure::OutOfMemory(_), .. } | LazyError::OutOfMemory(_) => {
                OSTLER_E_OUT_OF_MEMORY
            }
            LazyError::Closed => OSTLER_E_CLOSED,
            LazyError::InsideOwnLoad => OSTLER_E_WOULD_DEADLOCK,
            LazyError::Wait(end) => return end.into(),
            LazyError::TooManyPins => OSTLER_E_LIMIT,
            LazyError::NotPinned => OSTLER_E_INVALID_ARGUMENT,
            LazyError::InUse | LazyError::StillPinned => OSTLER_E_BUSY,
            LazyError::Reader(error) => return error.into(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// The callbacks of one lazy value; load is there.
struct Callbacks {
    table: ostler_lazy_callbacks,
    user_data: *mut c_void,
}

// SAFETY: the host's functions and its pointer for them; the header says on which threads they are called.
unsafe impl Send for Callbacks {}
// SAFETY: as above.
unsafe impl Sync for Callbacks {}

impl Source for Callbacks {
    fn load(&self, loaded: &mut Loaded) -> Result<(), Refusal> {
        let Some(load) = self.table.load else { return Ok(()) };
        let mut value = std::ptr::null_mut();
        // SAFETY: the host's function, called as the header says.
        let status = unsafe { load(self.user_data, &mut value, &mut loaded.bytes) };
        loaded.value = value.cast();
        answered(status)
    }

    fn unload(&self, loaded: Loaded) {
        if let Some(drop) = self.table.drop {
            // SAFETY: the host's function, called as the header says.
            unsafe { drop(self.user_data, loaded.value.cast()) }
        }
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_lazy_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_config_init(config: *mut ostler_lazy_config, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Empties a table of callbacks.
///
/// Parameters:
/// - callbacks: written only on success.
/// - struct_size: sizeof(ostler_lazy_callbacks).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_callbacks_init(
    callbacks: *mut ostler_lazy_callbacks,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("callbacks", callbacks, struct_size) })
}

/// # Safety
/// A non-null `config` is as the header asks.
unsafe fn given(config: *const ostler_lazy_config) -> Result<(ostler_lazy_config, Name), Failure> {
    // SAFETY: the caller's promise.
    let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
    let name = name(&config.name)?;
    Ok((config, name))
}

fn create(
    holder: Holder,
    name: Name,
    source: impl FnOnce(&Arc<Account>) -> Result<Box<dyn Source>, Failure>,
) -> Result<*mut ostler_lazy, Failure> {
    let slot = handles::reserve(Kind::Lazy)?;
    let account = Account::open(holder, name)?;
    let source = source(&account)?;
    let lazy = Lazy::new(slot.owner(), account, source)?;
    Ok(slot.publish(lazy) as *mut ostler_lazy)
}

/// Makes a lazy value; nothing is loaded yet.
///
/// Parameters:
/// - config: borrowed during the call.
/// - callbacks: borrowed during the call; load is required.
/// - user_data: handed to every callback; must stay valid until the lazy value and its last reader are gone.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_lazy_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; user_data may be NULL; callbacks, its load and out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_create(
    config: *const ostler_lazy_config,
    callbacks: *const ostler_lazy_callbacks,
    user_data: *mut c_void,
    out: *mut *mut ostler_lazy,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let (config, name) = unsafe { given(config)? };
        // SAFETY: as the header asks.
        unsafe { page_source::given(config.source)? };
        // SAFETY: as the header asks.
        let table: ostler_lazy_callbacks = unsafe { read("callbacks", callbacks)? };
        if table.load.is_none() {
            return Err(null("callbacks->load"));
        }
        *out = create(Holder::Lazy, name, |_| Ok(alloc::try_box(Callbacks { table, user_data })?))?;
        Ok(())
    })
}

/// Makes a lazy value of a file, whose value is an ostler_lazy_content. The file is read whole, so that nobody who shortens
/// it later can take it from under a reader; it is opened anew at each load.
///
/// Parameters:
/// - config: borrowed during the call.
/// - path: borrowed during the call; NUL-terminated UTF-8.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_lazy_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; path and out must not be NULL.
/// Blocking: never blocks, the file is not touched; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_open_file(
    config: *const ostler_lazy_config,
    path: *const c_char,
    out: *mut *mut ostler_lazy,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let (config, name) = unsafe { given(config)? };
        // SAFETY: as the header asks.
        let source = unsafe { page_source::given(config.source)? }.checked()?;
        // SAFETY: as the header asks.
        let path = unsafe { text("path", path)? };
        *out = create(Holder::Lazy, name, |account| Ok(alloc::try_box(File::new(path, source, account.clone()))?))?;
        Ok(())
    })
}

/// Pins the value for this thread, and loads it when it is not there. It stays until the thread lets go of its last pin.
///
/// Parameters:
/// - lazy: borrowed.
/// - timeout_ns: how long to wait for another thread that loads it; 0 does not wait, OSTLER_FOREVER waits without bound. A
///   load by this thread takes as long as it does.
/// - cancel: borrowed during the call; ends the wait.
/// - value: written only on success, else NULL; valid until the pin ends with ostler_lazy_unpin.
///
/// Returns: OSTLER_OK, OSTLER_E_LOAD_FAILED (with the words of the load callback), OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_LIMIT, OSTLER_E_SYSTEM,
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; the pin is this thread's.
/// NULL: lazy NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; value must not be NULL.
/// Blocking: as said; may be called from any callback but its own load.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_pin(
    lazy: *mut ostler_lazy,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    value: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(value, std::ptr::null_mut()) };
    with(lazy, |lazy: &Pin<Lazy>| {
        // SAFETY: as the header asks.
        let value = unsafe { output("value", value, std::ptr::null_mut())? };
        let cancel = cancel::given(cancel)?;
        *value = lazy.pin_on(lazy.record(), Deadline::after(timeout_ns), cancel.as_deref())?.cast();
        Ok(())
    })
}

/// Lets go of a pin of this thread.
///
/// Parameters:
/// - lazy: borrowed, also when it was destroyed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (this thread has no pin of it), OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: the thread that pinned it.
/// NULL: lazy NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the drop callback takes when the value was invalidated meanwhile, else never; may be called from
/// any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_unpin(lazy: *mut ostler_lazy) -> ostler_status {
    with_child(lazy, |lazy: &Pin<Lazy>| Ok(lazy.unpin_on(lazy.record())?))
}

/// Opens a reader: with it one thread at a time pins the value inline, by ostler_reader_pin_inline of ostler_inline.h,
/// without a call and without a locked operation.
///
/// Parameters:
/// - lazy: borrowed.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_reader_close.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: lazy NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_reader_open(lazy: *mut ostler_lazy, out: *mut *mut ostler_reader) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(lazy, |lazy: &Pin<Lazy>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = lazy.open_reader()?.cast();
        Ok(())
    })
}

/// Pins the value through a reader, and loads it when it is not there. Does the same as ostler_reader_pin_inline, which
/// calls it when the value is not there.
///
/// Parameters:
/// - reader: borrowed.
/// - timeout_ns: as for ostler_lazy_pin.
/// - cancel: borrowed during the call; ends the wait.
/// - value: written only on success, else NULL; valid until the reader lets go of its last pin.
///
/// Returns: OSTLER_OK, OSTLER_E_LOAD_FAILED (with the words of the load callback), OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_LIMIT, OSTLER_E_SYSTEM,
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a reader.
/// NULL: reader NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; value must not be NULL.
/// Blocking: as ostler_lazy_pin; may be called from any callback but its own load.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_reader_pin(
    reader: *mut ostler_reader,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    value: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(value, std::ptr::null_mut()) };
    with_lazy_of(reader, |lazy, number| {
        // SAFETY: as the header asks.
        let value = unsafe { output("value", value, std::ptr::null_mut())? };
        let cancel = cancel::given(cancel)?;
        *value = lazy.pin(READERS.get(number), Deadline::after(timeout_ns), cancel.as_deref())?.cast();
        Ok(())
    })
}

/// Lets go of a pin of a reader. Does the same as ostler_reader_unpin_inline, which calls it when somebody waits for that.
///
/// Parameters:
/// - reader: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (it holds no pin), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a reader.
/// NULL: reader NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the drop callback takes when the value was invalidated meanwhile, else never; may be called from
/// any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_reader_unpin(reader: *mut ostler_reader) -> ostler_status {
    with_lazy_of(reader, |lazy, number| Ok(lazy.unpin(READERS.get(number))?))
}

/// Tells the library that a reader has let go of its last pin; for ostler_reader_unpin_inline, which has seen that
/// somebody waits for that.
///
/// Parameters:
/// - reader: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a reader.
/// NULL: reader NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the drop callback takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_reader_settle(reader: *mut ostler_reader) -> ostler_status {
    with_lazy_of(reader, |lazy, number| {
        lazy.settle(READERS.get(number));
        Ok(())
    })
}

/// Closes a reader that holds no pin. Closing the last one of a destroyed lazy value ends it.
///
/// Parameters:
/// - reader: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_BUSY (it holds a pin; nothing happens), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: no other thread may use the reader meanwhile; any thread may close it.
/// NULL: reader NULL is OSTLER_OK and does nothing.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_reader_close(reader: *mut ostler_reader) -> ostler_status {
    if reader.is_null() {
        return OSTLER_OK;
    }
    with_lazy_of(reader, |lazy, number| Ok(lazy.close_reader(number)?))
}

/// A call on behalf of a reader, whose lazy may be destroyed already.
fn with_lazy_of(
    reader: *mut ostler_reader,
    body: impl FnOnce(&Pin<Lazy>, u32) -> Result<(), Failure>,
) -> ostler_status {
    match READERS.find(reader.cast()) {
        Ok((number, lazy)) => with_child(lazy as *mut ostler_lazy, |lazy| body(lazy, number)),
        Err(error) => guard(|| Err(error.into())),
    }
}

/// Makes the value one that is not used any more: the next pin loads anew, at once also after failed loads. Who holds a pin
/// keeps what he has; it is dropped when the last such pin ends.
///
/// Parameters:
/// - lazy: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. A load that began before is done again.
/// NULL: lazy NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the drop callback takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_invalidate(lazy: *mut ostler_lazy) -> ostler_status {
    with(lazy, |lazy: &Pin<Lazy>| {
        lazy.invalidate();
        Ok(())
    })
}

/// Drops the value, as happens when memory runs short: unless somebody holds a pin.
///
/// Parameters:
/// - lazy: borrowed.
/// - freed_bytes: written; what the value counted, 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_BUSY (it is pinned, or not loaded; nothing happens), OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: lazy NULL is OSTLER_E_INVALID_HANDLE; freed_bytes may be NULL.
/// Blocking: as long as the drop callback takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_drop(lazy: *mut ostler_lazy, freed_bytes: *mut u64) -> ostler_status {
    // SAFETY: as the header asks.
    let freed_bytes = unsafe { optional_output(freed_bytes, 0) };
    with(lazy, |lazy: &Pin<Lazy>| {
        let freed = lazy.drop_value()?;
        if let Some(freed_bytes) = freed_bytes {
            *freed_bytes = freed;
        }
        Ok(())
    })
}

/// Tells what a lazy value is and did.
///
/// Parameters:
/// - lazy: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: lazy NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_get_stats(lazy: *mut ostler_lazy, out: *mut ostler_lazy_stats) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(lazy, |lazy: &Pin<Lazy>| {
        let out = out?;
        let stats = lazy.stats();
        out.fill(&ostler_lazy_stats {
            is_loaded: u32::from(stats.is_loaded),
            is_loading: u32::from(stats.is_loading),
            version: stats.version,
            value_bytes: stats.value_bytes,
            readers: stats.readers,
            leaving: stats.leaving,
            pins: stats.pins,
            load_failures: stats.load_failures,
            drops: stats.drops,
            invalidations: stats.invalidations,
            ..zeroed()
        });
        Ok(())
    })
}

/// Destroys a lazy value. One that is pinned stays until the last pin ends; open readers must be closed.
///
/// Parameters:
/// - lazy: owned; invalid afterwards, except for the unpins that are still to come.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: lazy NULL is OSTLER_OK and does nothing.
/// Blocking: until a load that is under way has returned, and as long as the drop callback takes.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_lazy_destroy(lazy: *mut ostler_lazy) -> ostler_status {
    destroy::<_, Lazy>(lazy)
}
