//! Buffer: a view of memory in a set of buffers, until its last reference is released. A stale view, one that is released
//! twice, and one of another set are errors and harm nobody.

use super::arguments::{check_count, clear, null, optional_output, output};
use super::buffers::ostler_buffers;
use super::guard::{seated, with, with_child};
use super::status::{Failure, OSTLER_OK, ostler_status};
use crate::base::handles::Pin;
use crate::memory::buffers::{Buffers, Ending, Released, View};
use std::ffi::c_void;

/// Names a view until its last reference is released. A value of 0 is never a view.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_buffer {
    pub value: u64,
}

const NONE: ostler_buffer = ostler_buffer { value: 0 };

/// A piece of memory, laid out as a struct iovec is: an array of them can be cast and given to readv, writev, sendmsg.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_iovec {
    pub base: *mut c_void,
    pub size_bytes: u64,
}

const _: () = assert!(size_of::<ostler_iovec>() == size_of::<libc::iovec>());

/// Takes wrapped memory back when its last view is released: called once, on the thread that releases it, with no lock held.
/// It may call the library, but not destroy its set. A C++ exception must not leave it.
pub type ostler_buffer_release_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, data: *mut c_void)>;

/// Calls what [`ostler_buffers_wrap`] was given.
pub(super) fn call_ending(ending: Ending, memory: *mut u8) {
    // SAFETY: `ostler_buffers_wrap` made it from a callback of this type, that is not NULL.
    let release = unsafe { std::mem::transmute::<*const (), ostler_buffer_release_callback>(ending.callback) };
    if let Some(release) = release {
        // SAFETY: the host's function, called as the header says.
        unsafe { release(ending.user_data.cast(), memory.cast()) }
    }
}

/// Leases a buffer, with one reference. Its memory begins on a multiple of 64, from 16 KiB on of 4096, and holds whatever
/// was there before.
///
/// Parameters:
/// - buffers: borrowed.
/// - size_bytes: at most 1 GiB; 0 has an address of its own, too.
/// - out: written only on success, else 0; ends with ostler_buffers_release.
/// - data: written only on success, else NULL; size_bytes of memory, valid as long as the view.
///
/// Returns: OSTLER_OK, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE,
/// OSTLER_E_MEMORY_PRESSURE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL; data may be NULL.
/// Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_get(
    buffers: *mut ostler_buffers,
    size_bytes: u64,
    out: *mut ostler_buffer,
    data: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    if let Some(out) = unsafe { out.as_mut() }
        && let Some(buffers) = seated::<_, Buffers>(buffers)
        && let Some((view, memory)) = buffers.get_at_hand(buffers.record(), size_bytes)
    {
        out.value = view.0;
        // SAFETY: as the header asks.
        unsafe { clear(data, memory.cast()) };
        return OSTLER_OK;
    }
    get_guarded(buffers, size_bytes, out, data)
}

/// The way of a call that may have to look for memory.
#[inline(never)]
fn get_guarded(
    buffers: *mut ostler_buffers,
    size_bytes: u64,
    out: *mut ostler_buffer,
    data: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(out, NONE);
        clear(data, std::ptr::null_mut());
    }
    with(buffers, |buffers: &Pin<Buffers>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, NONE)? };
        let (view, memory) = buffers.get(buffers.record(), size_bytes)?;
        out.value = view.0;
        // SAFETY: as the header asks.
        unsafe { clear(data, memory.cast()) };
        Ok(())
    })
}

/// Makes a view of memory of the caller's, with one reference.
///
/// Parameters:
/// - buffers: borrowed.
/// - data: size_bytes of memory; borrowed until release is called.
/// - size_bytes: how much it is; below 2^48.
/// - release: called when the last view of the memory is released; not called when this fails.
/// - user_data: handed to release; must stay valid until that has returned; not used when this fails.
/// - out: written only on success, else 0; ends with ostler_buffers_release.
///
/// Returns: OSTLER_OK, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; data (unless size_bytes is 0) and out must not be NULL; release and
/// user_data may be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_wrap(
    buffers: *mut ostler_buffers,
    data: *mut c_void,
    size_bytes: u64,
    release: ostler_buffer_release_callback,
    user_data: *mut c_void,
    out: *mut ostler_buffer,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, NONE) };
    with(buffers, |buffers: &Pin<Buffers>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, NONE)? };
        if data.is_null() && size_bytes > 0 {
            return Err(null("data"));
        }
        let callback = release.map_or(std::ptr::null(), |release| release as *const ());
        let ending = Ending { callback, user_data: user_data.cast() };
        out.value = buffers.wrap(buffers.record(), data.cast(), size_bytes, ending)?.0;
        Ok(())
    })
}

/// Makes a view of a part of what another shows, with one reference. Nothing is copied; the memory stays until the last
/// view of any part of it is released.
///
/// Parameters:
/// - buffers: borrowed, also when it was destroyed.
/// - buffer: stays as it is; may be a slice itself.
/// - offset_bytes: where the part begins.
/// - size_bytes: how long it is; it ends where buffer does, or before. At most 262143 slices of one buffer are out at once.
/// - out: written only on success, else 0; ends with ostler_buffers_release.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_slice(
    buffers: *mut ostler_buffers,
    buffer: ostler_buffer,
    offset_bytes: u64,
    size_bytes: u64,
    out: *mut ostler_buffer,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, NONE) };
    with_child(buffers, |buffers: &Pin<Buffers>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, NONE)? };
        out.value = buffers.slice(buffers.record(), View(buffer.value), offset_bytes, size_bytes)?.0;
        Ok(())
    })
}

/// Adds a reference to a view. Each ends with one ostler_buffers_release.
///
/// Parameters:
/// - buffers: borrowed, also when it was destroyed.
/// - buffer: a view with at most 16382 references.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_LIMIT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_retain(buffers: *mut ostler_buffers, buffer: ostler_buffer) -> ostler_status {
    let view = View(buffer.value);
    if seated::<_, Buffers>(buffers).is_some_and(|buffers| buffers.retain(view).is_ok()) {
        return OSTLER_OK;
    }
    with_child(buffers, |buffers: &Pin<Buffers>| Ok(buffers.retain(view)?))
}

/// Ends a reference. With the last one the view is stale; with the last view of its memory the buffer is idle, or the
/// release callback is called.
///
/// Parameters:
/// - buffers: borrowed, also when it was destroyed.
/// - buffer: consumed when this was its last reference.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; any thread may release.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the release callback of wrapped memory takes, else never; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_release(buffers: *mut ostler_buffers, buffer: ostler_buffer) -> ostler_status {
    let view = View(buffer.value);
    let released = seated::<_, Buffers>(buffers).and_then(|buffers| buffers.release_at_hand(buffers.record(), view));
    match released {
        Some(Released::Done) => OSTLER_OK,
        Some(Released::ToBeTold) => tell_returned(buffers),
        None => release_guarded(buffers, view),
    }
}

/// The way of a call that has released, and may have to wake somebody.
#[inline(never)]
fn tell_returned(buffers: *mut ostler_buffers) -> ostler_status {
    with_child(buffers, |buffers: &Pin<Buffers>| {
        buffers.tell_returned();
        Ok(())
    });
    // A set that is gone by now has nobody who waits.
    OSTLER_OK
}

/// The way of a call that may have to make room, to end a slice or to call back.
#[inline(never)]
fn release_guarded(buffers: *mut ostler_buffers, view: View) -> ostler_status {
    with_child(buffers, |buffers: &Pin<Buffers>| Ok(buffers.release(buffers.record(), view)?))
}

/// Ends a reference of each of many views. Those that are good are released, also when another one is not.
///
/// Parameters:
/// - buffers: borrowed, also when it was destroyed.
/// - views: borrowed during the call; an array of count views of this set.
/// - count: how many; 0 does nothing; at most 1048576.
/// - released: written; how many were good, also after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER (one or more were not good; the message names the first),
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; views (unless count is 0) must not be NULL; released may be NULL.
/// Blocking: as ostler_buffers_release; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_release_n(
    buffers: *mut ostler_buffers,
    views: *const ostler_buffer,
    count: u32,
    released: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(released, 0) };
    with_child(buffers, |buffers: &Pin<Buffers>| {
        // SAFETY: as the header asks.
        let views = unsafe { array(views, count)? };
        let mut good = 0;
        let mut first_error = None;
        for view in views {
            match buffers.release(buffers.record(), view) {
                Ok(()) => good += 1,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        // SAFETY: as the header asks.
        unsafe { clear(released, good) };
        first_error.map_or(Ok(()), |error| Err(error.into()))
    })
}

/// Tells what a view shows.
///
/// Parameters:
/// - buffers: borrowed, also when it was destroyed.
/// - buffer: stays as it is.
/// - data: written only on success, else NULL; valid as long as the view.
/// - size_bytes: written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; data and size_bytes may be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_get_data(
    buffers: *mut ostler_buffers,
    buffer: ostler_buffer,
    data: *mut *mut c_void,
    size_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    let (data, size) = unsafe { (optional_output(data, std::ptr::null_mut()), optional_output(size_bytes, 0)) };
    with_child(buffers, |buffers: &Pin<Buffers>| {
        let (memory, bytes) = buffers.extent(View(buffer.value))?;
        if let Some(data) = data {
            *data = memory.cast();
        }
        if let Some(size) = size {
            *size = bytes;
        }
        Ok(())
    })
}

/// Makes a view shorter, as after a read that filled only its begin. What its slices show stays.
///
/// Parameters:
/// - buffers: borrowed, also when it was destroyed.
/// - buffer: stays as it is.
/// - size_bytes: at most what it shows now.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: nobody else may truncate the same view meanwhile.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_truncate(
    buffers: *mut ostler_buffers,
    buffer: ostler_buffer,
    size_bytes: u64,
) -> ostler_status {
    with_child(buffers, |buffers: &Pin<Buffers>| {
        Ok(buffers.truncate(buffers.record(), View(buffer.value), size_bytes)?)
    })
}

/// Lists what many views show, for readv, writev and sendmsg. The views keep their references.
///
/// Parameters:
/// - buffers: borrowed, also when it was destroyed.
/// - views: borrowed during the call; an array of count views of this set.
/// - count: how many; 0 does nothing; at most 1048576.
/// - out: room for count pieces; written only on success, the first of them emptied otherwise.
/// - total_bytes: written; what they are together, 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; views and out (unless count is 0) must not be NULL; total_bytes may be
/// NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_export(
    buffers: *mut ostler_buffers,
    views: *const ostler_buffer,
    count: u32,
    out: *mut ostler_iovec,
    total_bytes: *mut u64,
) -> ostler_status {
    let nothing = ostler_iovec { base: std::ptr::null_mut(), size_bytes: 0 };
    // SAFETY: as the header asks.
    unsafe {
        clear(total_bytes, 0);
        if count > 0 {
            clear(out, nothing);
        }
    }
    with_child(buffers, |buffers: &Pin<Buffers>| {
        // SAFETY: as the header asks.
        let views = unsafe { array(views, count)? };
        if out.is_null() && count > 0 {
            return Err(null("out"));
        }
        let mut total = 0u64;
        for (place, view) in views.enumerate() {
            let piece = match buffers.extent(view) {
                Ok((memory, bytes)) => ostler_iovec { base: memory.cast(), size_bytes: bytes },
                Err(error) => {
                    // SAFETY: as the header asks; there is at least one.
                    unsafe { clear(out, nothing) };
                    return Err(error.into());
                }
            };
            total = total.saturating_add(piece.size_bytes);
            // SAFETY: as the header asks, and there is room for `count` pieces.
            unsafe { out.add(place).write(piece) };
        }
        // SAFETY: as the header asks.
        unsafe { clear(total_bytes, total) };
        Ok(())
    })
}

/// The views of an array.
///
/// # Safety
/// A non-null `views` has `count` elements, as the header asks.
unsafe fn array(views: *const ostler_buffer, count: u32) -> Result<impl Iterator<Item = View>, Failure> {
    check_count(count)?;
    if views.is_null() && count > 0 {
        return Err(null("views"));
    }
    // SAFETY: the caller's promise.
    Ok((0..count as usize).map(move |place| View(unsafe { views.add(place).read() }.value)))
}
