//! File: the contents of a file in memory, to be read in place: a model's weights, an index, a table. Mapped, its pages
//! are the kernel's cache of the file, shared with everybody who maps it; copied, they are pages of one's own choice.
//! While a mapped file is open, nobody may cut it: a read beyond its new end is answered with SIGBUS, which no library
//! can turn into an error. Where files are replaced while they are in use, write a new one and rename it, or copy.

use super::arguments::{fixed_text, flag, out_of_range, output, text};
use super::guard::{destroy, guard, with};
use super::library::OSTLER_NAME_BYTES;
use super::page_source::{self, ostler_page_source};
use super::receipt::ostler_receipt;
use super::status::{
    Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_OUT_OF_MEMORY,
    OSTLER_E_SYSTEM, OSTLER_E_UNSUPPORTED, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::Name;
use crate::base::handles::{self, Kind, Pin};
use crate::memory::file::{File, FileConfig, FileError, Readahead, Way};
use crate::memory::receipt::Receipt;
use std::ffi::{c_char, c_void};
use std::path::Path;

/// The contents of a file in memory.
pub struct ostler_file {
    _opaque: [u8; 0],
}

/// Mapped: nothing is copied, and pages that memory is short of go by themselves and come back when they are read.
pub const OSTLER_FILE_MAP: u32 = 0;
/// Copied onto pages of ostler_file_config.source: whatever becomes of the file, the contents stay.
pub const OSTLER_FILE_COPY: u32 = 1;

/// All of it is read in the background from now on.
pub const OSTLER_READAHEAD_ALL: u32 = 0;
/// What follows a read is read ahead of the next.
pub const OSTLER_READAHEAD_SEQUENTIAL: u32 = 1;
/// Only what is touched is read.
pub const OSTLER_READAHEAD_NONE: u32 = 2;

const _: () = assert!(
    OSTLER_FILE_MAP == Way::Map as u32
        && OSTLER_FILE_COPY == Way::Copy as u32
        && OSTLER_READAHEAD_ALL == Readahead::All as u32
        && OSTLER_READAHEAD_SEQUENTIAL == Readahead::Sequential as u32
        && OSTLER_READAHEAD_NONE == Readahead::None as u32
);

/// How a file comes into memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_file_config {
    /// sizeof(ostler_file_config).
    pub struct_size: u32,
    /// OSTLER_FILE_...; 0: mapped.
    pub mode: u32,
    /// OSTLER_READAHEAD_... of a mapped file; 0: all of it. Of a copy: 0.
    pub readahead: u32,
    /// 1: all of a mapped file is in memory when it is opened. A copy always is.
    pub prefault: u32,
    /// 1: it stays in memory (within RLIMIT_MEMLOCK), or is an error.
    pub lock: u32,
    /// 0.
    pub reserved: u32,
    /// Where in the file the contents begin.
    pub offset_bytes: u64,
    /// How much of it; 0: to the end.
    pub length_bytes: u64,
    /// The pages of a copy; borrowed while the file is opened; NULL: the defaults of ostler_page_source_init. Of a mapped
    /// file: NULL.
    pub source: *const ostler_page_source,
    /// Shown in reports.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// How a file is now.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_file_info {
    /// sizeof(ostler_file_info), set by the caller.
    pub struct_size: u32,
    /// 1: part of the contents is no longer in the file. If it is mapped, that part must not be read.
    pub is_cut: u32,
    /// 1: the file was written to or cut since it was opened.
    pub is_changed: u32,
    /// 0.
    pub reserved: u32,
    /// Bytes of the contents.
    pub bytes: u64,
    /// Of them, in memory now.
    pub resident_bytes: u64,
    /// Bytes of the whole file, as it is now.
    pub file_bytes: u64,
}

versioned!(ostler_file_config, ostler_file_info);

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let status = match error {
            FileError::Field(_) | FileError::NotAFile { .. } | FileError::TooShort { .. } => OSTLER_E_INVALID_ARGUMENT,
            FileError::Source(error) => return error.into(),
            FileError::Pages(error) => return error.into(),
            FileError::System { .. } | FileError::Shrank { .. } => OSTLER_E_SYSTEM,
            FileError::LockRefused { .. } => OSTLER_E_LIMIT,
            FileError::Refused(_) => OSTLER_E_MEMORY_PRESSURE,
            FileError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// # Safety
/// The source that the configuration names is as the header asks.
unsafe fn checked(config: &ostler_file_config) -> Result<FileConfig, Failure> {
    let range = |field, value: u32, bound| out_of_range(field, u64::from(value), bound);
    let way = match config.mode {
        OSTLER_FILE_MAP => Way::Map,
        OSTLER_FILE_COPY => Way::Copy,
        other => return Err(range("mode", other, "must be one of OSTLER_FILE_... (0 or 1)")),
    };
    let readahead = Readahead::from_number(config.readahead)
        .ok_or_else(|| range("readahead", config.readahead, "must be one of OSTLER_READAHEAD_... (0 to 2)"))?;
    if way == Way::Copy && readahead != Readahead::All {
        return Err(range("readahead", config.readahead, "must be 0 for OSTLER_FILE_COPY"));
    }
    if way == Way::Map && !config.source.is_null() {
        let bound = "must be NULL for OSTLER_FILE_MAP: the pages are the kernel's";
        return Err(Failure::new(OSTLER_E_INVALID_ARGUMENT, format_args!("source is given, but {bound}")));
    }
    if config.reserved != 0 {
        return Err(range("reserved", config.reserved, "must be 0"));
    }
    Ok(FileConfig {
        way,
        readahead,
        prefault: flag("prefault", config.prefault)?,
        lock: flag("lock", config.lock)?,
        offset_bytes: config.offset_bytes,
        length_bytes: config.length_bytes,
        // SAFETY: the caller's promise.
        source: unsafe { page_source::given(config.source)? },
        name: Name::from(fixed_text("name", &config.name)?.as_str()),
    })
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_file_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_file_config_init(config: *mut ostler_file_config, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Opens a file to be read in memory. Its size is checked before anything is mapped.
///
/// Parameters:
/// - path: borrowed during the call; UTF-8.
/// - config: borrowed during the call.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_file_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_SYSTEM, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; path and out must not be NULL.
/// Blocking: as long as the kernel takes to read what is copied, prefaulted or locked; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_file_open(
    path: *const c_char,
    config: *const ostler_file_config,
    out: *mut *mut ostler_file,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let path = unsafe { text("path", path)? };
        let config = if config.is_null() {
            zeroed()
        } else {
            // SAFETY: as the header asks.
            unsafe { read("config", config)? }
        };
        // SAFETY: as the header asks of the source in it.
        let config = unsafe { checked(&config)? };
        let slot = handles::reserve(Kind::File)?;
        *out = slot.publish(File::open(Path::new(path), &config)?) as *mut ostler_file;
        Ok(())
    })
}

/// Tells where the contents are. They must only be read.
///
/// Parameters:
/// - file: borrowed.
/// - out_data: written only on success, else NULL; belongs to the file, until it is destroyed.
/// - out_bytes: written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: file NULL is OSTLER_E_INVALID_HANDLE; out_data and out_bytes must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_file_get_contents(
    file: *mut ostler_file,
    out_data: *mut *mut c_void,
    out_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    let data = unsafe { output("out_data", out_data, std::ptr::null_mut()) };
    // SAFETY: as the header asks.
    let bytes = unsafe { output("out_bytes", out_bytes, 0) };
    with(file, |file: &Pin<File>| {
        let (data, bytes) = (data?, bytes?);
        (*data, *bytes) = (file.address().cast_mut().cast(), file.bytes());
        Ok(())
    })
}

/// Tells how the file is now: how much of it is in memory, and whether somebody cut or changed it. Between this call and
/// a read of a mapped file it can still be cut.
///
/// Parameters:
/// - file: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: file NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_file_get_info(file: *mut ostler_file, out: *mut ostler_file_info) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(file, |file: &Pin<File>| {
        let out = out?;
        let info = file.info().map_err(|errno| {
            Failure::new(OSTLER_E_SYSTEM, format_args!("the kernel does not tell about the file [errno {errno}]"))
        })?;
        out.fill(&ostler_file_info {
            is_cut: u32::from(info.is_cut),
            is_changed: u32::from(info.is_changed),
            bytes: info.bytes,
            resident_bytes: info.resident_bytes,
            file_bytes: info.file_bytes,
            ..zeroed()
        });
        Ok(())
    })
}

/// Tells what the pages of a copy were asked to be, what they are, and why.
///
/// Parameters:
/// - file: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_UNSUPPORTED when the file is mapped, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: file NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_file_get_receipt(file: *mut ostler_file, out: *mut ostler_receipt) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(file, |file: &Pin<File>| {
        let out = out?;
        let mapping = file.mapping().ok_or_else(|| {
            Failure::new(
                OSTLER_E_UNSUPPORTED,
                format_args!("the file is mapped: its pages are the kernel's cache of it"),
            )
        })?;
        out.fill(&ostler_receipt::from(&Receipt::of(mapping)));
        Ok(())
    })
}

/// Closes a file. Its contents are gone.
///
/// Parameters:
/// - file: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may read the contents meanwhile; other calls are waited for.
/// NULL: file NULL is OSTLER_OK and does nothing.
/// Blocking: waits for those calls to return; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_file_destroy(file: *mut ostler_file) -> ostler_status {
    destroy::<_, File>(file)
}
