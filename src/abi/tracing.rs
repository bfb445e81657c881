//! Tracing: who took what, and from where. While it is on, memory that an object takes from the system, and a sample of
//! the blocks that it hands out, is remembered with its size, its age and the call stack that asked for it, until it is
//! given back. Off, it costs one load of a flag.

use super::arguments::{clear, null, optional_output, out_of_range, write_text};
use super::guard::guard;
use super::library::OSTLER_NAME_BYTES;
use super::status::{Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, ostler_status};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::tracing::report::{self, By, Group, Table};
use crate::base::tracing::symbols::{Frame, Symbols};
use crate::base::tracing::{self, CallSite, Config, TracingError, blocks::Kind};
use std::ffi::{CString, c_char, c_void};

/// Memory that an object took from the system; every one is remembered.
pub const OSTLER_TRACED_MAPPING: u32 = 0;
/// A block that an object handed out; a sample is remembered.
pub const OSTLER_TRACED_BLOCK: u32 = 1;

/// One group for each call stack, the one with most bytes first.
pub const OSTLER_TRACING_BY_STACK: u32 = 0;
/// One group for each call stack of each object, the object with most bytes first.
pub const OSTLER_TRACING_BY_OBJECT: u32 = 1;

const _: () = assert!(
    OSTLER_TRACED_MAPPING == Kind::Mapping as u32
        && OSTLER_TRACED_BLOCK == Kind::Block as u32
        && OSTLER_TRACING_BY_STACK == By::Stack as u32
        && OSTLER_TRACING_BY_OBJECT == By::Object as u32
);

/// What is remembered.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_tracing_config {
    /// sizeof(ostler_tracing_config).
    pub struct_size: u32,
    /// Frames of a call stack, innermost first; at most 64; 0: 32.
    pub max_frames: u32,
    /// Of the bytes that are handed out as blocks, one in so many is looked at on average, and the block that it falls
    /// into is remembered; 1: every block; 0: 16777216. A larger block is found more surely, and stands for fewer.
    pub sample_bytes: u64,
    /// What the sample is drawn with: the same seed finds the same blocks in a thread that takes the same ones; 0 is a
    /// seed like any other.
    pub seed: u64,
}

/// How much is remembered.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_tracing_stats {
    /// sizeof(ostler_tracing_stats), set by the caller.
    pub struct_size: u32,
    /// 1 while tracing is on.
    pub on: u32,
    /// As configured.
    pub sample_bytes: u64,
    /// Mappings and blocks that are remembered now.
    pub followed: u64,
    /// Those that were not, because the table of 65536 was full.
    pub lost: u64,
    /// Different call stacks that were seen; of more than 32768 the rest counts as one.
    pub call_stacks: u64,
}

/// One call in a call stack. Module and offset stay true after the module is unloaded, and from one run to the next.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_trace_frame {
    /// The file of the program or library; "" when the code belongs to none.
    pub module: *const c_char,
    /// The address of the call in that file, as addr2line -e takes it; without a module, in memory.
    pub offset: u64,
    /// The name of the function; "" when the file does not tell.
    pub function: *const c_char,
    /// The file of the source; "" when the module has no debug information.
    pub file: *const c_char,
    /// The line in it, or 0.
    pub line: u32,
    /// 0.
    pub reserved: u32,
}

/// What one call stack took and has not given back.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_trace_group {
    /// sizeof(ostler_trace_group).
    pub struct_size: u32,
    /// OSTLER_TRACED_...
    pub kind: u32,
    /// Bytes of all blocks; an estimate where only a sample is remembered.
    pub bytes: u64,
    /// How many there are; an estimate as well.
    pub blocks: u64,
    /// Those of them that are remembered.
    pub followed: u64,
    /// The age of the oldest one in nanoseconds.
    pub oldest_ns: u64,
    /// The number of the account of the object that has them; 0: several have them, or it has none.
    pub account: u64,
    /// The kind of that object, such as "arena"; "": several kinds.
    pub holder: *const c_char,
    /// Its call stack, innermost call first.
    pub frames: *const ostler_trace_frame,
    /// How many frames there are.
    pub frame_count: u32,
    /// 0.
    pub reserved: u32,
    /// The name of that object; "": several objects, or it has no name.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// Is shown one group, which is borrowed during the call with all that it points to.
pub type ostler_tracing_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, group: *const ostler_trace_group)>;

versioned!(ostler_tracing_config, ostler_tracing_stats, ostler_trace_group);

impl From<TracingError> for Failure {
    fn from(error: TracingError) -> Self {
        let status = match error {
            TracingError::Field(_) => OSTLER_E_INVALID_ARGUMENT,
            TracingError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
        };
        Self::new(status, format_args!("{error}"))
    }
}

fn order(by: u32) -> Result<By, Failure> {
    match by {
        OSTLER_TRACING_BY_STACK => Ok(By::Stack),
        OSTLER_TRACING_BY_OBJECT => Ok(By::Object),
        other => Err(out_of_range("by", u64::from(other), "must be one of OSTLER_TRACING_BY_... (0 or 1)")),
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_tracing_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tracing_config_init(
    config: *mut ostler_tracing_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Switches tracing on, for the whole process. When it is on already, the new configuration holds from now on. What was
/// taken before is not known.
///
/// Parameters:
/// - config: borrowed during the call.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tracing_start(config: *const ostler_tracing_config) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        let ostler_tracing_config { max_frames, sample_bytes, seed, .. } = config;
        Ok(tracing::start(Config { max_frames, sample_bytes, seed })?)
    })
}

/// Switches tracing off. What is remembered stays so until it is given back.
///
/// Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_tracing_stop() -> ostler_status {
    guard(|| {
        tracing::stop();
        Ok(())
    })
}

/// Tells how much is remembered.
///
/// Parameters:
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tracing_get_stats(out: *mut ostler_tracing_stats) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    guard(|| {
        let out = out?;
        let stats = tracing::stats();
        out.fill(&ostler_tracing_stats {
            on: u32::from(stats.is_on),
            sample_bytes: stats.sample_bytes,
            followed: stats.followed,
            lost: stats.lost,
            call_stacks: stats.call_stacks,
            ..zeroed()
        });
        Ok(())
    })
}

/// Writes what is alive for people: one line for each group, and below it its call stack.
///
/// Parameters:
/// - by: OSTLER_TRACING_BY_STACK or OSTLER_TRACING_BY_OBJECT.
/// - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
/// - buffer_bytes: its size; 0 writes nothing.
/// - needed_bytes: written only on success, else 0: the size that the whole report needs, its NUL included.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
/// Blocking: as long as it takes to read the names from the files of the program and its libraries; may be called from
/// any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tracing_report(
    by: u32,
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
        let by = order(by)?;
        if buffer.is_null() && buffer_bytes > 0 {
            return Err(null("buffer"));
        }
        let report = Table(&report::groups(by)?).to_string();
        // SAFETY: as the header asks.
        unsafe { write_text(&report, buffer, buffer_bytes) };
        if let Some(needed) = needed {
            *needed = report.len() as u64 + 1;
        }
        Ok(())
    })
}

/// Shows every group to a callback, in the order of the report.
///
/// Parameters:
/// - by: OSTLER_TRACING_BY_STACK or OSTLER_TRACING_BY_OBJECT.
/// - callback: called for each group, on this thread, with no lock held; it may call the library.
/// - user_data: handed to the callback as it is, during the call.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callback must not be NULL; user_data may be NULL.
/// Blocking: as long as it takes to read the names from the files of the program and its libraries, and as the callback
/// takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tracing_visit(
    by: u32,
    callback: ostler_tracing_callback,
    user_data: *mut c_void,
) -> ostler_status {
    guard(|| {
        let by = order(by)?;
        let Some(callback) = callback else { return Err(null("callback")) };
        let mut symbols = Symbols::default();
        for group in report::groups(by)? {
            let words = Words::of(&group, &mut symbols);
            let frames = words.frames();
            let shown = words.group(&group, &frames);
            crate::base::callback::run(crate::base::Owner::TRACING, || {
                // SAFETY: the host's function, called as the header says.
                unsafe { callback(user_data, &shown) }
            });
        }
        Ok(())
    })
}

/// Writes a call site for people: its frames in one line, innermost first.
///
/// Parameters:
/// - call_site: one that the library gave out, as in ostler_lease_info; 0 says that tracing was off.
/// - buffer: written; cut to buffer_bytes - 1 bytes, and a NUL.
/// - buffer_bytes: the bytes of the buffer; 0 only counts.
/// - needed_bytes: written; how many bytes all of it needs, the NUL included; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
/// Blocking: as long as it takes to read the names from the files of the program and its libraries; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tracing_print_site(
    call_site: u32,
    buffer: *mut c_char,
    buffer_bytes: u64,
    needed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(needed_bytes, 0) };
    if buffer_bytes > 0 {
        // SAFETY: as the header asks.
        unsafe { clear(buffer, 0) };
    }
    guard(|| {
        if buffer.is_null() && buffer_bytes > 0 {
            return Err(null("buffer"));
        }
        let words = CallSite::from_number(call_site).to_string();
        // SAFETY: as the header asks.
        unsafe {
            write_text(&words, buffer, buffer_bytes);
            clear(needed_bytes, words.len() as u64 + 1);
        }
        Ok(())
    })
}

/// The strings of C that a group points to.
struct Words {
    holder: CString,
    frames: Vec<FrameWords>,
}

struct FrameWords {
    module: CString,
    function: CString,
    file: CString,
    offset: u64,
    line: u32,
}

impl Words {
    fn of(group: &Group, symbols: &mut Symbols) -> Self {
        let frames = symbols.of(group.site).into_iter().map(FrameWords::of).collect();
        Self { holder: c_string(group.keeper.holder.to_owned()), frames }
    }

    fn frames(&self) -> Vec<ostler_trace_frame> {
        let frame = |words: &FrameWords| ostler_trace_frame {
            module: words.module.as_ptr(),
            offset: words.offset,
            function: words.function.as_ptr(),
            file: words.file.as_ptr(),
            line: words.line,
            reserved: 0,
        };
        self.frames.iter().map(frame).collect()
    }

    fn group(&self, group: &Group, frames: &[ostler_trace_frame]) -> ostler_trace_group {
        ostler_trace_group {
            struct_size: size_of::<ostler_trace_group>() as u32,
            kind: group.kind as u32,
            bytes: group.bytes,
            blocks: group.blocks,
            followed: group.followed,
            oldest_ns: group.oldest_ns,
            account: group.keeper.account,
            holder: self.holder.as_ptr(),
            frames: frames.as_ptr(),
            frame_count: frames.len() as u32,
            reserved: 0,
            name: group.keeper.name.as_c_bytes().map(|byte| byte as c_char),
        }
    }
}

impl FrameWords {
    fn of(frame: Frame) -> Self {
        let (file, line) = frame.source.unwrap_or_default();
        Self {
            module: c_string(frame.module.map(|module| module.path.clone()).unwrap_or_default()),
            function: c_string(frame.function.unwrap_or_default()),
            file: c_string(file),
            offset: frame.place.offset(),
            line,
        }
    }
}

/// A name with a NUL in it is none.
fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_default()
}
