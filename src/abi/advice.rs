//! Advice: what a page source would get now, before anything is mapped, and which setting with which value would give
//! it more.

use super::arguments::{clear, fixed, optional_output, out_of_range, print};
use super::guard::guard;
use super::page_source::{OSTLER_SET_WORDS, given, ostler_page_source};
use super::status::{Failure, ostler_status};
use super::structs::{prepare, versioned, zeroed};
use crate::memory::advice::{Advice, Obstacle};
use std::ffi::c_char;

/// Obstacles that an advice lists.
pub const OSTLER_ADVICE_OBSTACLES: usize = 8;
/// Bytes of the name of a setting, its NUL included.
pub const OSTLER_SETTING_BYTES: usize = 160;
/// Bytes of the value of a setting, its NUL included.
pub const OSTLER_VALUE_BYTES: usize = 48;

/// Something that stands in the way of what was asked, and what would clear it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_obstacle {
    /// OSTLER_PAGES_... that it is about.
    pub page_policy: u32,
    /// OSTLER_LIMIT_...: what stands in the way.
    pub limit: u32,
    /// What the kernel said when it was asked; 0 where it is arithmetic.
    pub os_errno: i32,
    /// 0.
    pub reserved: u32,
    /// Bytes that would be taken.
    pub wanted_bytes: u64,
    /// Bytes that are there to be taken, where the limit lies.
    pub left_bytes: u64,
    /// What to set: a file of the kernel's, a resource limit, a capability, or "bytes" for a larger request; empty when
    /// nothing is known that could be set.
    pub setting: [c_char; OSTLER_SETTING_BYTES],
    /// To what.
    pub value: [c_char; OSTLER_VALUE_BYTES],
    /// The field of a Kubernetes pod that does the same; empty: none.
    pub pod_field: [c_char; OSTLER_VALUE_BYTES],
}

/// What a page source would get now.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_advice {
    /// sizeof(ostler_advice), set by the caller.
    pub struct_size: u32,
    /// 1: the request would be honoured, as the rest says. 0: it would fail.
    pub holds: u32,
    /// OSTLER_PAGES_... that would be got.
    pub page_policy: u32,
    /// OSTLER_NODE_... that would place it, by what placed_by says.
    pub node_policy: u32,
    /// Bytes of one page that would be got.
    pub page_bytes: u64,
    /// Bytes that would be mapped, in whole pages.
    pub mapped_bytes: u64,
    /// The nodes that node_policy stands for; empty: any.
    pub node_set: [u64; OSTLER_SET_WORDS],
    /// Obstacles that are listed, larger pages first.
    pub obstacle_count: u32,
    /// OSTLER_PLACED_BY_...: by what means pages would come to their nodes. By first touch they are brought in when
    /// memory is mapped, with or without prefault.
    pub placed_by: u32,
    /// In the way of what was asked.
    pub obstacles: [ostler_obstacle; OSTLER_ADVICE_OBSTACLES],
}

versioned!(ostler_advice);

impl From<&Obstacle> for ostler_obstacle {
    fn from(obstacle: &Obstacle) -> Self {
        Self {
            page_policy: obstacle.tried as u32,
            limit: obstacle.limit as u32,
            os_errno: obstacle.errno,
            reserved: 0,
            wanted_bytes: obstacle.wanted_bytes,
            left_bytes: obstacle.left_bytes,
            setting: fixed(&obstacle.setting.name),
            value: fixed(&obstacle.setting.value),
            pod_field: fixed(obstacle.setting.pod_field),
        }
    }
}

impl From<&Advice> for ostler_advice {
    fn from(advice: &Advice) -> Self {
        let mut out = Self {
            holds: u32::from(advice.holds.is_some()),
            page_policy: advice.holds.map_or(0, |rung| rung.pages as u32),
            node_policy: advice.nodes.number(),
            page_bytes: advice.holds.map_or(0, |rung| rung.page_bytes),
            mapped_bytes: advice.holds.map_or(0, |rung| rung.wanted_bytes),
            node_set: *advice.node_set.words(),
            placed_by: advice.placed_by as u32,
            obstacle_count: advice.obstacles.len().min(OSTLER_ADVICE_OBSTACLES) as u32,
            ..zeroed()
        };
        for (place, obstacle) in out.obstacles.iter_mut().zip(&advice.obstacles) {
            *place = obstacle.into();
        }
        out
    }
}

/// # Safety
/// As for [`given`].
unsafe fn advice(source: *const ostler_page_source, size_bytes: u64) -> Result<Advice, Failure> {
    // SAFETY: the caller's promise.
    let source = unsafe { given(source)? }.checked()?;
    if size_bytes == 0 {
        return Err(out_of_range("size_bytes", size_bytes, "must be at least 1"));
    }
    Ok(Advice::on(&source, size_bytes))
}

/// Tells what a mapping of so many bytes would get now, and what stands in the way of more. Maps nothing. What is free
/// may be gone by the time it is asked for; the receipt of the real mapping says what became of it.
///
/// Parameters:
/// - source: borrowed during the call.
/// - size_bytes: at least 1; what an arena maps at once is its chunk_bytes.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: source may be NULL, which takes every default; out must not be NULL.
/// Blocking: reads files of the kernel, waits for nothing else; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_page_source_advise(
    source: *const ostler_page_source,
    size_bytes: u64,
    out: *mut ostler_advice,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    guard(|| {
        let out = out?;
        // SAFETY: as the header asks.
        out.fill(&ostler_advice::from(&unsafe { advice(source, size_bytes)? }));
        Ok(())
    })
}

/// Writes the same for people: what would be got, and below it each obstacle with the setting that would clear it.
///
/// Parameters:
/// - source: borrowed during the call.
/// - size_bytes: at least 1.
/// - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
/// - buffer_bytes: its size; 0 writes nothing.
/// - needed_bytes: written only on success, else 0: the size that the whole text needs, its NUL included.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: source may be NULL; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
/// Blocking: reads files of the kernel, waits for nothing else; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_page_source_print_advice(
    source: *const ostler_page_source,
    size_bytes: u64,
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
    guard(|| {
        // SAFETY: as the header asks.
        let advice = unsafe { advice(source, size_bytes)? };
        // SAFETY: as the header asks.
        unsafe { print(|| advice.to_string(), buffer, buffer_bytes, needed) }
    })
}
