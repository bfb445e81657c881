//! Checks of single arguments.

use super::status::{Failure, OSTLER_E_INVALID_ARGUMENT};
use crate::base::{NAME_BYTES, Name};
use std::ffi::{CStr, c_char, c_void};

/// Empties an output before the call does anything else, so that it is NULL or 0 after every failure.
///
/// # Safety
/// A non-null `pointer` must be valid for writes of `T`, as the header asks.
#[inline]
pub unsafe fn clear<T>(pointer: *mut T, empty: T) {
    if !pointer.is_null() {
        // SAFETY: the caller's promise.
        unsafe { pointer.write(empty) };
    }
}

/// A required output: NULL is an error that names it, and it holds `empty` until the call succeeds.
///
/// # Safety
/// A non-null `pointer` must be valid for writes of `T`, as the header asks.
#[inline]
pub unsafe fn output<'a, T>(name: &str, pointer: *mut T, empty: T) -> Result<&'a mut T, Failure> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise.
    unsafe {
        pointer.write(empty);
        Ok(&mut *pointer)
    }
}

/// An output that may be NULL; otherwise it holds `empty` until the call succeeds.
///
/// # Safety
/// A non-null `pointer` must be valid for writes of `T`, as the header asks.
pub unsafe fn optional_output<'a, T>(pointer: *mut T, empty: T) -> Option<&'a mut T> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe {
        pointer.write(empty);
        Some(&mut *pointer)
    }
}

#[cold]
pub fn null(name: &str) -> Failure {
    Failure::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{name} is NULL, but must point to something"))
}

#[cold]
pub fn out_of_range(name: &str, value: u64, bound: &str) -> Failure {
    Failure::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{name} is {value}, but {bound}"))
}

/// A string of C that must be there, whatever bytes it has.
///
/// # Safety
/// A non-null `pointer` must be a NUL-terminated string, as the header asks.
pub unsafe fn string<'a>(name: &str, pointer: *const c_char) -> Result<&'a CStr, Failure> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// How many elements an array may have: no pool, set of cells or table has more.
pub const MOST_ELEMENTS: u32 = 1 << 20;

pub fn check_count(count: u32) -> Result<(), Failure> {
    if count <= MOST_ELEMENTS {
        return Ok(());
    }
    Err(out_of_range("count", u64::from(count), "must be at most 1048576"))
}

/// Empties an array of addresses before the call does anything else.
///
/// # Safety
/// A non-null `pointer` has `count` places that can be written, as the header asks.
#[inline]
pub unsafe fn clear_array(pointer: *mut *mut c_void, count: u32) {
    if !pointer.is_null() && count <= MOST_ELEMENTS {
        // SAFETY: the caller's promise.
        unsafe { pointer.write_bytes(0, count as usize) };
    }
}

/// An array of addresses to be written; none when `count` is 0.
///
/// # Safety
/// A non-null `pointer` has `count` places that can be written, as the header asks.
pub unsafe fn array_out<'a>(
    name: &str,
    pointer: *mut *mut c_void,
    count: u32,
) -> Result<Option<&'a mut [*mut u8]>, Failure> {
    if count == 0 {
        return Ok(None);
    }
    check_count(count)?;
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise, and the array was cleared.
    Ok(Some(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), count as usize) }))
}

/// An array of addresses to be read; none when `count` is 0.
///
/// # Safety
/// A non-null `pointer` has `count` places that can be read, as the header asks.
pub unsafe fn array_in<'a>(
    name: &str,
    pointer: *const *mut c_void,
    count: u32,
) -> Result<Option<&'a [*mut u8]>, Failure> {
    if count == 0 {
        return Ok(None);
    }
    check_count(count)?;
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise.
    Ok(Some(unsafe { std::slice::from_raw_parts(pointer.cast(), count as usize) }))
}

/// A text of C that must be there.
///
/// # Safety
/// As for [`string`].
pub unsafe fn text<'a>(name: &str, pointer: *const c_char) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promise.
    unsafe { string(name, pointer)? }
        .to_str()
        .map_err(|_| Failure::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{name} is not UTF-8, but must be")))
}

/// Writes a text for people into the caller's buffer, NUL-terminated, cut to what fits.
///
/// # Safety
/// `buffer` must be valid for writes of `buffer_bytes`, as the header asks.
pub unsafe fn write_text(text: &str, buffer: *mut c_char, buffer_bytes: u64) {
    let Some(room) = (buffer_bytes as usize).checked_sub(1) else { return };
    let kept = text.floor_char_boundary(room);
    // SAFETY: `kept + 1` bytes are at most `buffer_bytes`: the caller's promise.
    unsafe {
        buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), kept);
        buffer.add(kept).write(0);
    }
}

/// The name in a configuration.
pub fn name(bytes: &[c_char; NAME_BYTES]) -> Result<Name, Failure> {
    Ok(Name::from(fixed_text("name", bytes)?.as_str()))
}

/// A text in a field of fixed room.
pub fn fixed_text(field: &str, bytes: &[c_char]) -> Result<String, Failure> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or_else(|| {
        Failure::new(
            OSTLER_E_INVALID_ARGUMENT,
            format_args!("{field} has no NUL in its {} bytes, but must end with one", bytes.len()),
        )
    })?;
    let bytes: Vec<u8> = bytes[..end].iter().map(|byte| *byte as u8).collect();
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{field} is not UTF-8, but must be")))
}

/// A field that is 0 or 1.
pub fn flag(field: &'static str, value: u32) -> Result<bool, Failure> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(out_of_range(field, u64::from(other), "must be 0 or 1")),
    }
}

/// Writes a text into the caller's buffer, cut to what fits, and tells how much room the whole of it needs.
///
/// # Safety
/// A non-null `buffer` must be valid for writes of `buffer_bytes`, as the header asks.
pub unsafe fn print(
    text: impl FnOnce() -> String,
    buffer: *mut c_char,
    buffer_bytes: u64,
    needed: Option<&mut u64>,
) -> Result<(), Failure> {
    if buffer.is_null() && buffer_bytes > 0 {
        return Err(null("buffer"));
    }
    let text = text();
    // SAFETY: the caller's promise.
    unsafe { write_text(&text, buffer, buffer_bytes) };
    if let Some(needed) = needed {
        *needed = text.len() as u64 + 1;
    }
    Ok(())
}

/// Copies a text into a field of fixed room, NUL-terminated, cut to what fits.
pub fn fixed<const N: usize>(text: &str) -> [c_char; N] {
    let mut bytes = [0u8; N];
    let kept = text.floor_char_boundary(N - 1);
    bytes[..kept].copy_from_slice(&text.as_bytes()[..kept]);
    bytes.map(|byte| byte as c_char)
}
