//! Structs that may be older or newer than this library: each begins with its size, as its user's header had it.

use super::arguments::{null, out_of_range};
use super::status::{Failure, OSTLER_E_UNSUPPORTED};

/// Smaller than any struct that was ever published, larger than any that will be.
const SMALLEST: u32 = 8;
const LARGEST: u32 = 4096;

/// A struct of the header that begins with `uint32_t struct_size`.
///
/// # Safety
/// The type is `repr(C)`, begins with `struct_size: u32`, and every bit pattern is a value of it.
pub unsafe trait Versioned: Copy {
    /// The name of the type in C, for messages.
    const NAME: &'static str;
}

/// Implements [`Versioned`] for structs of the header.
macro_rules! versioned {
    ($($name:ident),* $(,)?) => {
        $(
            // SAFETY: a `repr(C)` struct of integers, pointers and optional function pointers after `struct_size`.
            unsafe impl $crate::abi::structs::Versioned for $name {
                const NAME: &'static str = stringify!($name);
            }
        )*
    };
}
pub(super) use versioned;

/// A struct of all zeros.
pub fn zeroed<T: Versioned>() -> T {
    // SAFETY: every bit pattern is a value, by the trait's promise.
    unsafe { std::mem::zeroed() }
}

/// Fills the caller's struct of `struct_size` bytes with zeros and its size.
///
/// # Safety
/// A non-null `pointer` must be valid for writes of `struct_size` bytes, as the header asks.
pub unsafe fn init<T: Versioned>(name: &str, pointer: *mut T, struct_size: u32) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(null(name));
    }
    check_size(&format_args!("struct_size"), struct_size)?;
    // SAFETY: the caller's promise; the size was checked.
    unsafe {
        pointer.cast::<u8>().write_bytes(0, struct_size as usize);
        pointer.cast::<u32>().write(struct_size);
    }
    Ok(())
}

/// Reads the caller's struct. What an older header did not have is zero; what a newer one has must be.
///
/// # Safety
/// A non-null `pointer` must be valid for reads of the size that its first field tells, as the header asks.
pub unsafe fn read<T: Versioned>(name: &str, pointer: *const T) -> Result<T, Failure> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise: at least the first field is there.
    let struct_size = unsafe { pointer.cast::<u32>().read() };
    check_size(&format_args!("{name}->struct_size"), struct_size)?;
    let theirs = struct_size as usize;
    let mut ours = zeroed::<T>();
    // SAFETY: `theirs` bytes are readable; at most `size_of::<T>()` are written.
    unsafe {
        let bytes = pointer.cast::<u8>();
        bytes.copy_to_nonoverlapping((&raw mut ours).cast(), theirs.min(size_of::<T>()));
        if let Some(dirty) = (size_of::<T>()..theirs).find(|at| bytes.add(*at).read() != 0) {
            return Err(Failure::new(
                OSTLER_E_UNSUPPORTED,
                format_args!(
                    "{name} is a newer {} of {theirs} bytes with a value at byte {dirty}, which this library \
                     (it knows {} bytes) cannot honour",
                    T::NAME,
                    size_of::<T>()
                ),
            ));
        }
        (&raw mut ours).cast::<u32>().write(size_of::<T>() as u32);
    }
    Ok(ours)
}

/// Checks an output struct and empties it.
///
/// # Safety
/// A non-null `pointer` must be valid for writes of the size that its first field tells, as the header asks.
pub unsafe fn prepare<T: Versioned>(name: &str, pointer: *mut T) -> Result<Output<T>, Failure> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise: at least the first field is there.
    let struct_size = unsafe { pointer.cast::<u32>().read() };
    check_size(&format_args!("{name}->struct_size"), struct_size)?;
    // SAFETY: `struct_size` bytes are writable.
    unsafe {
        pointer.cast::<u8>().write_bytes(0, struct_size as usize);
        pointer.cast::<u32>().write(struct_size);
    }
    Ok(Output { pointer, struct_size })
}

/// An output struct of the caller, empty until it is filled.
pub struct Output<T: Versioned> {
    pointer: *mut T,
    struct_size: u32,
}

impl<T: Versioned> Output<T> {
    /// Whether the caller's struct has so many bytes.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        self.struct_size as usize >= bytes
    }

    /// Copies as much as the caller's struct has room for; the struct keeps its size.
    pub fn fill(self, value: &T) {
        let bytes = (self.struct_size as usize).min(size_of::<T>());
        // SAFETY: `prepare` was promised `struct_size` writable bytes.
        unsafe {
            (&raw const *value).cast::<u8>().copy_to_nonoverlapping(self.pointer.cast(), bytes);
            self.pointer.cast::<u32>().write(self.struct_size);
        }
    }
}

fn check_size(name: &dyn std::fmt::Display, struct_size: u32) -> Result<(), Failure> {
    if (SMALLEST..=LARGEST).contains(&struct_size) {
        return Ok(());
    }
    Err(out_of_range(&name.to_string(), u64::from(struct_size), "must be the sizeof of the struct (8 to 4096)"))
}
