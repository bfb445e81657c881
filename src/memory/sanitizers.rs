//! What is told to the tools that watch a program's memory: AddressSanitizer, LeakSanitizer and valgrind. They know
//! malloc; what lies in a mapping of ours they can only know from here. Where none of them watches, nothing happens.

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

/// A function of a sanitizer that takes a range.
type OnRange = unsafe extern "C" fn(*const c_void, usize);

/// The tools that watch this process. A sanitizer's functions are in the program or in a library that came with it, and
/// are looked up by name, so that nothing is linked.
struct Tools {
    poison: Option<OnRange>,
    unpoison: Option<OnRange>,
    register_root: Option<OnRange>,
    unregister_root: Option<OnRange>,
    valgrind: bool,
}

fn tools() -> &'static Tools {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    TOOLS.get_or_init(|| Tools {
        poison: function(c"__asan_poison_memory_region"),
        unpoison: function(c"__asan_unpoison_memory_region"),
        register_root: function(c"__lsan_register_root_region"),
        unregister_root: function(c"__lsan_unregister_root_region"),
        valgrind: valgrind::runs(),
    })
}

fn function(name: &CStr) -> Option<OnRange> {
    // SAFETY: a look-up by name; the sanitizers declare all four as `void (const volatile void *, size_t)`.
    unsafe {
        let address = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        (!address.is_null()).then(|| std::mem::transmute::<*mut c_void, OnRange>(address))
    }
}

/// Whether a tool watches that reports a use of memory that is forbidden.
pub fn watch() -> bool {
    tools().poison.is_some() || tools().valgrind
}

/// Nobody may touch these bytes any more; the tool that watches reports whoever does.
pub fn forbid(address: *mut u8, bytes: u64) {
    tell(tools().poison, address, bytes);
    if tools().valgrind {
        valgrind::make_no_access(address, bytes);
    }
}

/// These bytes may be used. What lies in them is not defined.
pub fn allow(address: *mut u8, bytes: u64) {
    tell(tools().unpoison, address, bytes);
    if tools().valgrind {
        valgrind::make_undefined(address, bytes);
    }
}

/// Memory that was just mapped: pointers in it keep what they point to from being reported as leaked.
pub fn mapped(address: *mut u8, bytes: u64) {
    tell(tools().register_root, address, bytes);
}

/// Memory that is about to be unmapped: whoever is given the address next shall not inherit what was said of it.
pub fn unmapping(address: *mut u8, bytes: u64) {
    tell(tools().unregister_root, address, bytes);
    tell(tools().unpoison, address, bytes);
}

fn tell(function: Option<OnRange>, address: *mut u8, bytes: u64) {
    if let Some(function) = function {
        // SAFETY: the sanitizers keep books about the range; they do not touch it.
        unsafe { function(address.cast(), bytes as usize) };
    }
}

/// Valgrind reads its requests from a sequence of instructions that do nothing on a real processor.
mod valgrind {
    const RUNNING_ON_VALGRIND: u64 = 0x1001;
    const MEMCHECK: u64 = ((b'M' as u64) << 24) | ((b'C' as u64) << 16);
    const MAKE_MEM_NOACCESS: u64 = MEMCHECK;
    const MAKE_MEM_UNDEFINED: u64 = MEMCHECK + 1;

    pub fn runs() -> bool {
        request(RUNNING_ON_VALGRIND, 0, 0) != 0
    }

    pub fn make_no_access(address: *mut u8, bytes: u64) {
        request(MAKE_MEM_NOACCESS, address as u64, bytes);
    }

    pub fn make_undefined(address: *mut u8, bytes: u64) {
        request(MAKE_MEM_UNDEFINED, address as u64, bytes);
    }

    /// 0 where no valgrind runs.
    #[cfg(target_arch = "x86_64")]
    fn request(number: u64, first: u64, second: u64) -> u64 {
        let words = [number, first, second, 0, 0, 0];
        let mut answer = 0u64;
        // SAFETY: the rotations come to 128 bits and leave rdi as it was, and the exchange changes nothing.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
                in("rax") words.as_ptr(), inout("rdx") answer, options(nostack)
            );
        }
        answer
    }

    #[cfg(target_arch = "aarch64")]
    fn request(number: u64, first: u64, second: u64) -> u64 {
        let words = [number, first, second, 0, 0, 0];
        let mut answer = 0u64;
        // SAFETY: the rotations come to 128 bits and leave x12 as it was, and x10 is joined with itself.
        unsafe {
            std::arch::asm!(
                "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61", "orr x10, x10, x10",
                in("x4") words.as_ptr(), inout("x3") answer, options(nostack)
            );
        }
        answer
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn request(_: u64, _: u64, _: u64) -> u64 {
        0
    }
}
