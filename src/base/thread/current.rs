//! The pointer by which a thread finds its record: one thread-local word, which nearly every call looks at first.
//!
//! Where the compiler reaches a thread-local word of a shared library by calling `__tls_get_addr`, which may change most
//! registers, this asks the linker for a TLS descriptor instead (A. Oliva, "Thread-Local Storage Descriptors for IA32 and
//! AMD64/EM64T", 2006): its call changes one. It works in a library that is loaded late, and becomes a plain load in a
//! program that is linked statically.

use super::ThreadRecord;

#[cfg(target_arch = "x86_64")]
mod word {
    use super::ThreadRecord;
    use std::arch::{asm, global_asm};

    global_asm!(
        ".pushsection .tbss.ostler_thread_record,\"awT\",@nobits",
        ".balign 8",
        ".hidden ostler_thread_record",
        ".globl ostler_thread_record",
        ".type ostler_thread_record, @object",
        ".size ostler_thread_record, 8",
        "ostler_thread_record:",
        ".zero 8",
        ".popsection",
    );

    /// Where the word of this thread lies, as a distance from the thread's pointer.
    macro_rules! with_word {
        ($($use:tt)*) => {
            asm!(
                "lea rax, [rip + ostler_thread_record@tlsdesc]",
                "call [rax + ostler_thread_record@tlscall]",
                $($use)*
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            )
        };
    }

    #[inline(always)]
    pub fn get() -> *const ThreadRecord {
        let record;
        // SAFETY: the code that a descriptor names keeps every register but rax; older versions of glibc did not keep the
        // vector registers when they had to allocate.
        unsafe { with_word!("mov rax, fs:[rax]", out("rax") record,) };
        record
    }

    #[inline(always)]
    pub fn set(record: *const ThreadRecord) {
        // SAFETY: as above; the word is this thread's own, and only used here.
        unsafe { with_word!("mov fs:[rax], {record}", record = in(reg) record, out("rax") _,) };
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod word {
    use super::ThreadRecord;
    use std::cell::Cell;

    thread_local! {
        static WORD: Cell<*const ThreadRecord> = const { Cell::new(std::ptr::null()) };
    }

    #[inline(always)]
    pub fn get() -> *const ThreadRecord {
        WORD.get()
    }

    #[inline(always)]
    pub fn set(record: *const ThreadRecord) {
        WORD.set(record);
    }
}

pub use word::{get, set};
