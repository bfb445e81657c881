//! Templates: immutable initial data by key, built once and then copied, or read in place, without a lock. What is here
//! is bounded by count and by bytes; a key can be invalidated at any time, and whoever uses the old template goes on
//! with it.

use super::arena::ostler_arena;
use super::arguments::{clear, null, out_of_range, output};
use super::cancel::{given, ostler_cancel};
use super::guard::{destroy, guard, with, with_child};
use super::pool::{ostler_times, times};
use super::status::{
    Failure, OSTLER_E_BUILD_FAILED, OSTLER_E_CALLBACK_FAILED, OSTLER_E_CLOSED, OSTLER_E_EXHAUSTED,
    OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_STALE_TEMPLATE, OSTLER_E_WOULD_DEADLOCK, OSTLER_OK,
    answered, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::callback::{self, Refusal};
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::memory::arena::Arena;
use crate::pool::cells::Key;
use crate::pool::templates::{
    CreateTemplatesError, Eviction, MOST_KEY_BYTES, Made, TemplateHost, Templates, TemplatesConfig, TemplatesError,
};
use std::ffi::c_void;

/// A cache of templates.
pub struct ostler_templates {
    _opaque: [u8; 0],
}

/// Names one reference to one template. A value of 0 is never one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_template {
    pub value: u64,
}

/// The functions of the host for a cache of templates. They run on the thread that calls the library, with no lock held,
/// and may call it, also the same cache, but not destroy that. A build that asks for its own key, over others or not, gets
/// OSTLER_E_WOULD_DEADLOCK; a circle over several caches, or over threads that a build starts and waits for, is not noticed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_templates_callbacks {
    /// sizeof(ostler_templates_callbacks).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Builds the template of a key: writes where its data is and of how many bytes it is, and returns OSTLER_OK, or what
    /// went wrong. The data is not copied and must not change until destroy. charge_bytes holds 0: the template counts
    /// data_bytes for max_bytes; or it writes what that is to be. Called for one key by one thread at a time, unless the
    /// key is invalidated meanwhile.
    pub build: Option<
        unsafe extern "C-unwind" fn(
            user_data: *mut c_void,
            key: *const c_void,
            key_bytes: u64,
            data: *mut *mut c_void,
            data_bytes: *mut u64,
            charge_bytes: *mut u64,
        ) -> ostler_status,
    >,
    /// Makes an instance of data_bytes at target, by many threads at once; NULL: the bytes are copied.
    pub clone: Option<
        unsafe extern "C-unwind" fn(
            user_data: *mut c_void,
            data: *const c_void,
            data_bytes: u64,
            target: *mut c_void,
        ) -> ostler_status,
    >,
    /// Ends what build made, when nobody uses it any more; may be NULL.
    pub destroy: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, data: *mut c_void, data_bytes: u64)>,
}

/// The bounds of a cache of templates.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_templates_config {
    /// sizeof(ostler_templates_config).
    pub struct_size: u32,
    /// Which template goes when there is no room: OSTLER_EVICT_LEAST_RECENTLY_USED (0) or
    /// OSTLER_EVICT_LEAST_FREQUENTLY_USED. One that is in use goes from the cache at once, and is destroyed after its last
    /// use. Of more than 128 templates the least used of 128 goes, which are picked at random.
    pub eviction: u32,
    /// Most templates that are kept; 1 to 1048576; 0: 1024. The memory to find them is taken at once, 40 to 72 bytes each.
    pub max_templates: u32,
    /// Most references that are out; 1 to 1048576; 0: 1024. The memory for all is taken at once, some 50 bytes each.
    pub max_references: u32,
    /// Most bytes that the templates that are kept may count; one that counts more is built for each who asks for it, and
    /// not kept; 0: no bound.
    pub max_bytes: u64,
    /// Alignment of an instance in an arena; a power of two of at most 2 MiB; 0: 64.
    pub align_bytes: u64,
}

/// Evictions: the template whose last use is longest ago goes. Uses are told apart as far as templates were kept between
/// them; of those that were used since the same one was kept the oldest goes.
pub const OSTLER_EVICT_LEAST_RECENTLY_USED: u32 = 0;
/// The template with the fewest uses goes; after 64 they are counted ever more rarely. All counts are halved each time as
/// many have gone as there are.
pub const OSTLER_EVICT_LEAST_FREQUENTLY_USED: u32 = 1;

/// What a reference to a template leads to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_template_info {
    /// sizeof(ostler_template_info), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    pub data: *const c_void,
    pub data_bytes: u64,
    /// From 1; a template whose build began later has a higher one.
    pub version: u64,
}

/// What a cache of templates holds and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_templates_stats {
    /// sizeof(ostler_templates_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Templates that are kept.
    pub templates: u64,
    /// What they count.
    pub bytes: u64,
    /// Templates that are not kept, but still in use.
    pub leaving: u64,
    /// What those count.
    pub leaving_bytes: u64,
    /// References that are out.
    pub in_use: u64,
    /// Callers that wait for another thread's build.
    pub waiting: u64,
    /// Uses of a template that was there.
    pub hits: u64,
    /// Calls that did not find theirs, and built it or waited for it.
    pub misses: u64,
    pub builds: u64,
    pub build_failures: u64,
    /// Templates that went because of max_templates.
    pub evicted_for_count: u64,
    /// Templates that went because of max_bytes.
    pub evicted_for_bytes: u64,
    /// Templates that were kept until they were invalidated.
    pub invalidated: u64,
    /// Templates that were built and not kept: invalidated meanwhile, above max_bytes, or of a cache that is destroyed.
    pub unkept: u64,
    /// How long builds took, also those that failed.
    pub build_times: ostler_times,
    /// How long those waited that had to, also in vain.
    pub waits: ostler_times,
}

versioned!(ostler_templates_callbacks, ostler_templates_config, ostler_template_info, ostler_templates_stats);

impl From<CreateTemplatesError> for Failure {
    fn from(error: CreateTemplatesError) -> Self {
        match error {
            CreateTemplatesError::InvalidField(error) => error.into(),
            CreateTemplatesError::OutOfMemory(error) => error.into(),
        }
    }
}

impl From<TemplatesError> for Failure {
    fn from(error: TemplatesError) -> Self {
        let status = match error {
            TemplatesError::Closed => OSTLER_E_CLOSED,
            TemplatesError::BuildFailed(_) => OSTLER_E_BUILD_FAILED,
            TemplatesError::CloneFailed(_) => OSTLER_E_CALLBACK_FAILED,
            TemplatesError::WouldDeadlock => OSTLER_E_WOULD_DEADLOCK,
            TemplatesError::Exhausted { .. } => OSTLER_E_EXHAUSTED,
            TemplatesError::Stale { .. } => OSTLER_E_STALE_TEMPLATE,
            TemplatesError::Wait(end) => Failure::from(end).status(),
            TemplatesError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// The host's functions for one cache.
struct Host {
    table: ostler_templates_callbacks,
    user_data: *mut c_void,
}

// SAFETY: the host's functions and its pointer for them; the header says on which threads they are called.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl TemplateHost for Host {
    fn build(&self, key: &[u8], made: &mut Made) -> Result<(), Refusal> {
        let (name, length) = (key.as_ptr().cast(), key.len() as u64);
        // SAFETY: the host's function, called as the header says.
        answered(self.table.build.map_or(OSTLER_OK, |build| unsafe {
            build(self.user_data, name, length, &mut made.data, &mut made.bytes, &mut made.charge_bytes)
        }))?;
        if made.bytes > i64::MAX as u64 || (made.data.is_null() && made.bytes > 0) {
            callback::set_message("build said that it worked, but wrote no data of that size");
            return Err(Refusal::IN_WORDS);
        }
        if made.charge_bytes == 0 {
            made.charge_bytes = made.bytes;
        }
        Ok(())
    }

    fn has_clone(&self) -> bool {
        self.table.clone.is_some()
    }

    fn clone_into(&self, made: &Made, target: *mut c_void) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(
            self.table.clone.map_or(OSTLER_OK, |clone| unsafe { clone(self.user_data, made.data, made.bytes, target) }),
        )
    }

    fn destroy(&self, made: &Made) {
        if let Some(destroy) = self.table.destroy {
            // SAFETY: the host's function, called as the header says.
            unsafe { destroy(self.user_data, made.data, made.bytes) }
        }
    }
}

/// Checks a key.
///
/// # Safety
/// A non-null `key` must be valid for reads of `key_bytes`, as the header asks.
#[inline]
unsafe fn checked_key<'a>(key: *const c_void, key_bytes: u64) -> Result<&'a [u8], Failure> {
    if key.is_null() {
        return Err(null("key"));
    }
    if !(1..=MOST_KEY_BYTES).contains(&key_bytes) {
        return Err(out_of_range("key_bytes", key_bytes, "must be 1 to 255"));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(key.cast(), key_bytes as usize) })
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_templates_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_config_init(
    config: *mut ostler_templates_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Empties a table of callbacks.
///
/// Parameters:
/// - callbacks: written only on success.
/// - struct_size: sizeof(ostler_templates_callbacks).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_callbacks_init(
    callbacks: *mut ostler_templates_callbacks,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("callbacks", callbacks, struct_size) })
}

/// Makes a cache of templates, with nothing in it.
///
/// Parameters:
/// - config: borrowed during the call; NULL: the defaults.
/// - callbacks: borrowed during the call; build is required.
/// - user_data: handed to every callback; must stay valid until the cache is destroyed and the last reference is back.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_templates_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL; user_data may be NULL; callbacks, its build, and out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_create(
    config: *const ostler_templates_config,
    callbacks: *const ostler_templates_callbacks,
    user_data: *mut c_void,
    out: *mut *mut ostler_templates,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        // SAFETY: as the header asks.
        let table: ostler_templates_callbacks = unsafe { read("callbacks", callbacks)? };
        if table.reserved != 0 {
            return Err(out_of_range("callbacks->reserved", u64::from(table.reserved), "must be 0"));
        }
        if table.build.is_none() {
            return Err(null("callbacks->build"));
        }
        let config = checked(&config)?;
        let slot = handles::reserve(Kind::Templates)?;
        let templates = Templates::new(slot.owner(), config, Box::new(Host { table, user_data }))?;
        *out = slot.publish(templates) as *mut ostler_templates;
        Ok(())
    })
}

fn checked(config: &ostler_templates_config) -> Result<TemplatesConfig, Failure> {
    let eviction = match config.eviction {
        OSTLER_EVICT_LEAST_RECENTLY_USED => Eviction::LeastRecentlyUsed,
        OSTLER_EVICT_LEAST_FREQUENTLY_USED => Eviction::LeastFrequentlyUsed,
        other => return Err(out_of_range("eviction", other.into(), "must be one of OSTLER_EVICT_... (0 or 1)")),
    };
    let or = |value, default| if value == 0 { default } else { value };
    Ok(TemplatesConfig {
        eviction,
        most: or(config.max_templates, 1024),
        most_references: or(config.max_references, 1024),
        most_bytes: if config.max_bytes == 0 { u64::MAX } else { config.max_bytes },
        align_bytes: if config.align_bytes == 0 { 64 } else { config.align_bytes },
    })
}

/// Makes an instance of the template of a key in the caller's memory. When the template is not there the first caller
/// builds it, and those who come meanwhile wait. One that is there takes no lock.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value.
/// - key_bytes: 1 to 255.
/// - target: written only on success, but for what a clone callback that fails has written; no part of a template.
/// - target_bytes: its size; at least that of the template, which the message tells when it is more.
/// - timeout_ns: how long to wait for another thread's build; 0 does not wait, OSTLER_FOREVER waits without bound. A build
///   of the caller's own takes as long as it takes.
/// - cancel: borrowed during the call; ends the wait.
/// - data_bytes: written; how many bytes were; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_BUILD_FAILED (the message has the words of the build), OSTLER_E_CALLBACK_FAILED (of the
/// clone), OSTLER_E_WOULD_DEADLOCK (from inside a build of the same key, or one that it waits for), OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; data_bytes may be NULL; key and target must not
/// be NULL.
/// Blocking: up to timeout_ns, or as long as build takes, and then as long as clone takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_instantiate(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
    target: *mut c_void,
    target_bytes: u64,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    data_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(data_bytes, 0) };
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        let key = unsafe { checked_key(key, key_bytes)? };
        if target.is_null() {
            return Err(null("target"));
        }
        let cancel = given(cancel)?;
        let place = |bytes| if bytes <= target_bytes { Ok(target) } else { Err(too_small(target_bytes, bytes)) };
        // SAFETY: as the header asks, the target has room for `target_bytes`.
        let made = unsafe {
            templates.instantiate(templates.record(), key, || Deadline::after(timeout_ns), cancel.as_deref(), place)?
        };
        // SAFETY: as the header asks.
        unsafe { clear(data_bytes, made.1) };
        Ok(())
    })
}

#[cold]
fn too_small(target_bytes: u64, bytes: u64) -> Failure {
    let words = format_args!("target_bytes is {target_bytes}, but must be at least {bytes}, the size of the template");
    Failure::new(OSTLER_E_INVALID_ARGUMENT, words)
}

/// Makes an instance of the template of a key in an arena; see ostler_templates_instantiate.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value.
/// - key_bytes: 1 to 255.
/// - arena: borrowed; what was allocated for a clone callback that fails stays allocated.
/// - timeout_ns: how long to wait for another thread's build; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - out: written only on success, else NULL; belongs to the arena, aligned as the configuration says.
/// - data_bytes: written; how many bytes are there; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_BUILD_FAILED (the message has the words of the build), OSTLER_E_CALLBACK_FAILED (of the
/// clone), OSTLER_E_WOULD_DEADLOCK (from inside a build of the same key, or one that it waits for), OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED (also the arena's),
/// OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates or arena NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; data_bytes may be NULL; key and out must
/// not be NULL.
/// Blocking: up to timeout_ns, or as long as build takes, and then as long as the kernel takes to map a chunk and clone
/// takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_instantiate_in(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
    arena: *mut ostler_arena,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    out: *mut *mut c_void,
    data_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(out, std::ptr::null_mut());
        clear(data_bytes, 0);
    }
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let key = unsafe { checked_key(key, key_bytes)? };
        let arena = handles::pin_on::<Arena>(templates.record(), arena as u64)?;
        let cancel = given(cancel)?;
        let place = |bytes| Ok::<_, Failure>(arena.alloc(bytes, templates.align_bytes())?.cast());
        // SAFETY: the arena's block has room for as many bytes as were asked for.
        let (target, bytes) = unsafe {
            templates.instantiate(templates.record(), key, || Deadline::after(timeout_ns), cancel.as_deref(), place)?
        };
        *out = target;
        // SAFETY: as the header asks.
        unsafe { clear(data_bytes, bytes) };
        Ok(())
    })
}

/// Hands out a reference to the template of a key, which is built when it is not there; see
/// ostler_templates_instantiate. Until it is released the template stays, also when it is invalidated or evicted.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value.
/// - key_bytes: 1 to 255.
/// - timeout_ns: how long to wait for another thread's build; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - out: written only on success, else 0; ends with ostler_templates_release.
/// - data: written only on success, else NULL; the template's data, which must not be written; valid until the release.
/// - data_bytes: written; how many bytes are there; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_BUILD_FAILED (the message has the words of the build), OSTLER_E_EXHAUSTED (of references),
/// OSTLER_E_WOULD_DEADLOCK (from inside a build of the same key, or one that it waits for), OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; data may be NULL; data_bytes may be NULL; key and
/// out must not be NULL.
/// Blocking: up to timeout_ns, or as long as build takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_get(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    out: *mut ostler_template,
    data: *mut *const c_void,
    data_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(out, ostler_template { value: 0 });
        clear(data, std::ptr::null());
        clear(data_bytes, 0);
    }
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, ostler_template { value: 0 })? };
        // SAFETY: as the header asks.
        let key = unsafe { checked_key(key, key_bytes)? };
        let cancel = given(cancel)?;
        let (reference, view) =
            templates.get(templates.record(), key, || Deadline::after(timeout_ns), cancel.as_deref())?;
        out.value = reference.0;
        // SAFETY: as the header asks.
        unsafe {
            clear(data, view.data.cast_const());
            clear(data_bytes, view.bytes);
        }
        Ok(())
    })
}

/// Gives a reference back. A template that is not kept any more is destroyed with its last one.
///
/// Parameters:
/// - templates: borrowed, also when it was destroyed.
/// - reference: consumed.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_TEMPLATE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_release(
    templates: *mut ostler_templates,
    reference: ostler_template,
) -> ostler_status {
    with_child(templates, |templates: &Pin<Templates>| Ok(templates.release(Key(reference.value))?))
}

/// Tells what a reference leads to.
///
/// Parameters:
/// - templates: borrowed, also when it was destroyed.
/// - reference: one that is out.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_TEMPLATE, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_get_info(
    templates: *mut ostler_templates,
    reference: ostler_template,
    out: *mut ostler_template_info,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with_child(templates, |templates: &Pin<Templates>| {
        let out = out?;
        let view = templates.view(Key(reference.value))?;
        let data = view.data.cast_const();
        out.fill(&ostler_template_info { data, data_bytes: view.bytes, version: view.version, ..zeroed() });
        Ok(())
    })
}

/// Tells the version of the template that is kept for a key. Versions only grow, so one that differs from that of a
/// reference says that a newer one is there, or none.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value.
/// - key_bytes: 1 to 255.
/// - version: written; 0 when none is kept, and after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; key and version must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_get_version(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
    version: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(version, 0) };
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        let version = unsafe { output("version", version, 0)? };
        // SAFETY: as the header asks.
        *version = templates.version(unsafe { checked_key(key, key_bytes)? });
        Ok(())
    })
}

/// Makes the template of a key go: once this returns, no call that begins gets it, nor what a build that was under way
/// made. Those who use it, or waited for that build, go on with it.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value; one that is not there is nothing to do.
/// - key_bytes: 1 to 255.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; key must not be NULL.
/// Blocking: as long as destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_invalidate(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
) -> ostler_status {
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        templates.invalidate(unsafe { checked_key(key, key_bytes)? });
        Ok(())
    })
}

/// Makes the templates of all keys go; see ostler_templates_invalidate.
///
/// Parameters:
/// - templates: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_invalidate_all(templates: *mut ostler_templates) -> ostler_status {
    with(templates, |templates: &Pin<Templates>| {
        templates.invalidate_all();
        Ok(())
    })
}

/// Reads what a cache of templates holds and did.
///
/// Parameters:
/// - templates: borrowed.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number is right for some moment of the call; nobody is held up.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_get_stats(
    templates: *mut ostler_templates,
    out: *mut ostler_templates_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(templates, |templates: &Pin<Templates>| {
        let stats = templates.stats();
        out?.fill(&ostler_templates_stats {
            struct_size: 0,
            reserved: 0,
            templates: stats.templates,
            bytes: stats.bytes,
            leaving: stats.leaving,
            leaving_bytes: stats.leaving_bytes,
            in_use: stats.in_use,
            waiting: stats.waiting,
            hits: stats.hits,
            misses: stats.misses,
            builds: stats.builds,
            build_failures: stats.build_failures,
            evicted_for_count: stats.evicted_for_count,
            evicted_for_bytes: stats.evicted_for_bytes,
            invalidated: stats.invalidated,
            unkept: stats.unkept,
            build_times: times(&stats.build_times),
            waits: times(&stats.waits),
        });
        Ok(())
    })
}

/// Destroys a cache of templates: waits inside it end with OSTLER_E_CLOSED, and builds that are under way are waited for.
/// References that are out stay valid until they are released, and the memory goes with the last.
///
/// Parameters:
/// - templates: owned; invalid afterwards, except for its references.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_OK and does nothing.
/// Blocking: as long as the callbacks take.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_destroy(templates: *mut ostler_templates) -> ostler_status {
    destroy::<_, Templates>(templates)
}
