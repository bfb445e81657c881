//! The system calls under memory, each through the seam for injected failures. A failure is an errno.

use super::policy::{MASK_BITS, NodeMask};
use crate::base::faults::{self, Point};
use crate::base::text::Text;
use std::ffi::{CStr, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

pub type Errno = i32;

/// The errno of the call that just failed on this thread.
fn last_errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)
}

fn check(result: i64) -> Result<i64, Errno> {
    if result == -1 { Err(last_errno()) } else { Ok(result) }
}

fn seam(point: Point) -> Result<(), Errno> {
    faults::hit(point).map_or(Ok(()), Err)
}

/// Bytes of a base page.
pub fn base_page_bytes() -> u64 {
    // SAFETY: sysconf takes a number.
    match unsafe { libc::sysconf(libc::_SC_PAGESIZE) } {
        bytes if bytes > 0 => bytes as u64,
        _ => 4096,
    }
}

/// Maps private anonymous memory, where the kernel likes or at an address that nobody has; `flags` are added. EEXIST
/// when somebody has it.
pub fn map_at(at: Option<NonNull<u8>>, bytes: u64, flags: i32) -> Result<NonNull<u8>, Errno> {
    map_with(at, bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_ANONYMOUS | flags, -1)
}

/// Maps explicit huge pages. The kernel names no anonymous huge pages, so these are a private mapping of a file in memory
/// that has the name, where that can be made; says also whether they have it.
pub fn map_huge(
    at: Option<NonNull<u8>>,
    bytes: u64,
    page_bytes: u64,
    name: &CStr,
) -> Result<(NonNull<u8>, bool), Errno> {
    let size_flag = page_bytes.trailing_zeros() << libc::MAP_HUGE_SHIFT;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the name is a string; a new descriptor is nobody else's.
    let file = seam(Point::Open).and_then(|()| unsafe {
        let flags = libc::MFD_CLOEXEC | libc::MFD_HUGETLB | size_flag;
        let descriptor = check(libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags))?;
        Ok(OwnedFd::from_raw_fd(descriptor as i32))
    });
    match file {
        Ok(file) => map_with(at, bytes, protection, 0, file.as_raw_fd()).map(|address| (address, true)),
        Err(_) => {
            let flags = libc::MAP_ANONYMOUS | libc::MAP_HUGETLB | size_flag as i32;
            map_with(at, bytes, protection, flags, -1).map(|address| (address, false))
        }
    }
}

/// Takes address space without memory; [`commit`] makes parts of it usable.
pub fn reserve(bytes: u64) -> Result<NonNull<u8>, Errno> {
    map_with(None, bytes, libc::PROT_NONE, libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, -1)
}

fn map_with(at: Option<NonNull<u8>>, bytes: u64, protection: i32, flags: i32, file: i32) -> Result<NonNull<u8>, Errno> {
    seam(Point::Mmap)?;
    let flags = libc::MAP_PRIVATE | flags | if at.is_some() { libc::MAP_FIXED_NOREPLACE } else { 0 };
    let wanted = at.map_or(std::ptr::null_mut(), NonNull::as_ptr);
    // SAFETY: a new mapping where nothing is; nothing existing is touched.
    let address = unsafe { libc::mmap(wanted.cast(), bytes as usize, protection, flags, file, 0) };
    if address == libc::MAP_FAILED {
        return Err(last_errno());
    }
    let address = NonNull::new(address.cast::<u8>()).ok_or(libc::ENOMEM)?;
    if at.is_some_and(|at| at != address) {
        // Before Linux 4.17 the address was only a wish.
        // SAFETY: just mapped, and nobody knows it.
        unsafe { unmap(address.as_ptr(), bytes)? };
        return Err(libc::EEXIST);
    }
    Ok(address)
}

/// Lets the kernel write to fresh, zeroed memory, which brings its page in: EFAULT where there is none to be had. It is
/// zero afterwards.
///
/// # Safety
/// The address is mapped by this library, aligned, and nobody else knows it yet.
pub unsafe fn touch(address: *mut u32) -> Result<(), Errno> {
    let none = std::ptr::null_mut::<c_void>();
    // SAFETY: the caller's promise; the kernel writes one u32, the number of a CPU. The page is there for the zero.
    unsafe {
        check(libc::syscall(libc::SYS_getcpu, address, none, none))?;
        address.write_volatile(0);
    }
    Ok(())
}

/// Makes a range readable only.
///
/// # Safety
/// The range is mapped by this library, and nobody will write to it.
pub unsafe fn protect(address: *mut u8, bytes: u64) -> Result<(), Errno> {
    seam(Point::Mmap)?;
    // SAFETY: the caller's promise.
    check(i64::from(unsafe { libc::mprotect(address.cast(), bytes as usize, libc::PROT_READ) })).map(drop)
}

/// Bytes of a mapped file that are in memory now; it begins anywhere in a page.
pub fn resident_bytes(address: *const u8, bytes: u64) -> Result<u64, Errno> {
    seam(Point::Scan)?;
    let page = base_page_bytes();
    let (mut at, end) = (address as u64 / page * page, address as u64 + bytes);
    let (mut resident, mut states) = (0, [0u8; 4096]);
    while at < end {
        let pages = (end - at).div_ceil(page).min(states.len() as u64);
        // SAFETY: the kernel only looks, and writes one byte for each page.
        check(i64::from(unsafe { libc::mincore(at as *mut c_void, (pages * page) as usize, states.as_mut_ptr()) }))?;
        for (state, start) in states[..pages as usize].iter().zip((at..).step_by(page as usize)) {
            let (from, to) = (start.max(address as u64), (start + page).min(end));
            resident += if state & 1 == 1 { to - from } else { 0 };
        }
        at += pages * page;
    }
    Ok(resident)
}

/// Locks the pages of a range in memory, those that are there and those that come.
///
/// # Safety
/// The range is mapped by this library.
pub unsafe fn lock_on_fault(address: *mut u8, bytes: u64) -> Result<(), Errno> {
    /// `MLOCK_ONFAULT` (Linux 4.4).
    const ON_FAULT: libc::c_uint = 1;
    seam(Point::Mlock)?;
    // SAFETY: the caller's promise; locking changes no contents.
    check(unsafe { libc::syscall(libc::SYS_mlock2, address, bytes, ON_FAULT) }).map(drop)
}

/// Bytes that this process may lock; `u64::MAX`: as many as it likes.
pub fn locked_memory_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the output is live.
    match unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } {
        0 => limit.rlim_cur,
        _ => u64::MAX,
    }
}

/// The memory of the machine, and what of it nobody uses for anything, in bytes.
pub fn free_memory() -> Option<(u64, u64)> {
    // SAFETY: a zeroed sysinfo is valid for sysinfo(2) to fill.
    let told = unsafe {
        let mut told: libc::sysinfo = std::mem::zeroed();
        (libc::sysinfo(&mut told) == 0).then_some(told)
    }?;
    let unit = u64::from(told.mem_unit);
    Some((told.totalram * unit, told.freeram * unit))
}

/// Bytes of address space that this process may have (RLIMIT_AS); `None`: as many as it likes.
pub fn address_space_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the output is live.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
    (told && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Makes reserved address space readable and writable.
///
/// # Safety
/// The range lies inside one that [`reserve`] returned.
pub unsafe fn commit(address: *mut u8, bytes: u64) -> Result<(), Errno> {
    seam(Point::Mmap)?;
    // SAFETY: the caller's promise.
    let result = unsafe { libc::mprotect(address.cast(), bytes as usize, libc::PROT_READ | libc::PROT_WRITE) };
    check(i64::from(result)).map(drop)
}

/// Moves a mapping with its pages onto reserved address space.
///
/// # Safety
/// The range is one mapping of this library, and `to` lies inside what [`reserve`] returned, with room for all of it;
/// nobody uses either.
pub unsafe fn move_to(address: *mut u8, bytes: u64, to: *mut u8) -> Result<(), Errno> {
    seam(Point::Mmap)?;
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: the caller's promise.
    let moved = unsafe { libc::mremap(address.cast(), bytes as usize, bytes as usize, flags, to) };
    if moved == libc::MAP_FAILED { Err(last_errno()) } else { Ok(()) }
}

/// Takes the memory from a range and leaves its address space reserved.
///
/// # Safety
/// The range lies inside one that [`reserve`] returned, and nobody uses it any more.
pub unsafe fn reserve_again(address: *mut u8, bytes: u64) -> Result<(), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    // SAFETY: the caller's promise.
    let reserved = unsafe { libc::mmap(address.cast(), bytes as usize, libc::PROT_NONE, flags, -1, 0) };
    if reserved == libc::MAP_FAILED { Err(last_errno()) } else { Ok(()) }
}

/// Gives a range back. Fails only when it would split a mapping in a process that may have no more of them.
///
/// # Safety
/// The range is mapped by this library, and nobody uses it any more.
pub unsafe fn unmap(address: *mut u8, bytes: u64) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    check(i64::from(unsafe { libc::munmap(address.cast(), bytes as usize) })).map(drop)
}

/// madvise(2).
///
/// # Safety
/// The range is mapped by this library, and the advice does not take away contents that somebody needs.
pub unsafe fn advise(address: *mut u8, bytes: u64, advice: i32) -> Result<(), Errno> {
    seam(Point::Madvise)?;
    // SAFETY: the caller's promise.
    check(i64::from(unsafe { libc::madvise(address.cast(), bytes as usize, advice) })).map(drop)
}

/// Gives a mapping the name that smaps, numa_maps and debuggers show. Kernels without such names refuse.
pub fn name(address: *mut u8, bytes: u64, name: &CStr) -> Result<(), Errno> {
    // SAFETY: prctl copies the name; naming changes no contents.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_VMA,
            libc::PR_SET_VMA_ANON_NAME as libc::c_ulong,
            address as libc::c_ulong,
            bytes as libc::c_ulong,
            name.as_ptr(),
        )
    };
    check(i64::from(result)).map(drop)
}

/// Whether this process switched transparent huge pages off for itself.
pub fn transparent_pages_switched_off() -> bool {
    // SAFETY: prctl takes plain numbers here.
    unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1 }
}

/// Makes an anonymous file of memory that can be sealed; `flags` are added.
pub fn memory_file(name: &CStr, flags: u32) -> Result<OwnedFd, Errno> {
    seam(Point::Segment)?;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | flags;
    // SAFETY: the kernel copies the name.
    owned(unsafe { libc::memfd_create(name.as_ptr(), flags) })
}

fn owned(descriptor: i32) -> Result<OwnedFd, Errno> {
    let descriptor = check(i64::from(descriptor))? as i32;
    // SAFETY: the kernel just gave it out, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Another descriptor of the same open file.
pub fn duplicate(file: BorrowedFd) -> Result<OwnedFd, Errno> {
    seam(Point::Segment)?;
    // SAFETY: fcntl takes plain numbers here.
    owned(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) })
}

/// Opens the same file anew, so that what belongs to an open file is not shared: its mode and its locks.
pub fn reopen(file: BorrowedFd, mode: i32) -> Result<OwnedFd, Errno> {
    seam(Point::Segment)?;
    let path = Text::<32>::format(format_args!("/proc/self/fd/{}", file.as_raw_fd()));
    // SAFETY: the path ends with a NUL.
    owned(unsafe { libc::open(path.as_c_bytes().as_ptr().cast(), mode | libc::O_CLOEXEC) })
}

pub fn set_size(file: BorrowedFd, bytes: u64) -> Result<(), Errno> {
    seam(Point::Segment)?;
    // SAFETY: ftruncate takes plain numbers.
    check(i64::from(unsafe { libc::ftruncate(file.as_raw_fd(), bytes as i64) })).map(drop)
}

/// Brings the pages of a range in, so that no touch of them can fail.
pub fn allocate(file: BorrowedFd, start: u64, bytes: u64) -> Result<(), Errno> {
    seam(Point::Segment)?;
    loop {
        // SAFETY: fallocate takes plain numbers.
        match check(i64::from(unsafe { libc::fallocate(file.as_raw_fd(), 0, start as i64, bytes as i64) })) {
            // What is there by then stays, so this comes to an end.
            Err(libc::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Forbids what the seals name, for every descriptor of the file and for ever.
pub fn seal(file: BorrowedFd, seals: i32) -> Result<(), Errno> {
    seam(Point::Segment)?;
    // SAFETY: fcntl takes plain numbers here.
    check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })).map(drop)
}

pub fn seals(file: BorrowedFd) -> Result<i32, Errno> {
    seam(Point::Segment)?;
    // SAFETY: fcntl takes plain numbers here.
    check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) })).map(|seals| seals as i32)
}

/// Reads from a place of a file; says how many bytes there were.
pub fn read_at(file: BorrowedFd, bytes: &mut [u8], at: u64) -> Result<usize, Errno> {
    seam(Point::Segment)?;
    // SAFETY: the kernel writes at most as many bytes as the slice has.
    let read = unsafe { libc::pread(file.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), at as i64) };
    check(read as i64).map(|read| read as usize)
}

/// Locks the first byte of a file for as long as this opening of it lasts.
pub fn lock(file: BorrowedFd) -> Result<(), Errno> {
    seam(Point::Segment)?;
    first_byte(file, libc::F_OFD_SETLK).map(drop)
}

/// Whether another opening of the file has that lock.
pub fn is_locked(file: BorrowedFd) -> Result<bool, Errno> {
    seam(Point::Segment)?;
    Ok(first_byte(file, libc::F_OFD_GETLK)?.l_type != libc::F_UNLCK as i16)
}

fn first_byte(file: BorrowedFd, command: i32) -> Result<libc::flock, Errno> {
    // SAFETY: a struct of numbers, of which zero is one.
    let mut lock = unsafe { std::mem::zeroed::<libc::flock>() };
    (lock.l_type, lock.l_whence, lock.l_len) = (libc::F_WRLCK as i16, libc::SEEK_SET as i16, 1);
    // SAFETY: the kernel reads and writes the live struct.
    check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) }))?;
    Ok(lock)
}

/// Maps a whole file, so that every process that does sees what the others write.
pub fn map_shared(file: BorrowedFd, bytes: u64, writable: bool) -> Result<NonNull<u8>, Errno> {
    seam(Point::Mmap)?;
    let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
    let (any, descriptor) = (std::ptr::null_mut(), file.as_raw_fd());
    // SAFETY: a new mapping wherever the kernel likes; nothing existing is touched.
    let address = unsafe { libc::mmap(any, bytes as usize, protection, libc::MAP_SHARED, descriptor, 0) };
    if address == libc::MAP_FAILED {
        return Err(last_errno());
    }
    NonNull::new(address.cast()).ok_or(libc::ENOMEM)
}

/// A memory policy as the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPolicy {
    pub mode: i32,
    pub nodes: NodeMask,
}

// The kernel reads one bit less than it is told.
const MAXNODE: u64 = MASK_BITS as u64 + 1;

/// Gives a range its memory policy, for pages that are not there yet.
///
/// # Safety
/// The range is mapped by this library.
pub unsafe fn bind(address: *mut u8, bytes: u64, policy: &RawPolicy) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { mbind(address, bytes, policy, 0) }
}

/// [`bind`] for pages that are there, too: they move, if they can.
///
/// # Safety
/// The range is mapped by this library.
pub unsafe fn bind_and_move(address: *mut u8, bytes: u64, policy: &RawPolicy) -> Result<(), Errno> {
    /// `MPOL_MF_MOVE`, which libc does not have.
    const MOVE: libc::c_int = 2;
    // SAFETY: the caller's promise.
    unsafe { mbind(address, bytes, policy, MOVE) }
}

/// # Safety
/// The range is mapped by this library.
unsafe fn mbind(address: *mut u8, bytes: u64, policy: &RawPolicy, flags: libc::c_int) -> Result<(), Errno> {
    seam(Point::Mbind)?;
    let nodes = policy.nodes.words();
    // SAFETY: the caller's promise; the mask has MASK_BITS bits.
    check(unsafe { libc::syscall(libc::SYS_mbind, address, bytes, policy.mode, nodes.as_ptr(), MAXNODE, flags) })
        .map(drop)
}

/// The calling thread's own memory policy.
pub fn thread_policy() -> Result<RawPolicy, Errno> {
    seam(Point::Mbind)?;
    let mut mode = 0i32;
    let mut nodes = NodeMask::EMPTY;
    let words = nodes.words_mut();
    let none = std::ptr::null_mut::<c_void>();
    // SAFETY: both outputs are live, and the mask has MASK_BITS bits.
    check(unsafe { libc::syscall(libc::SYS_get_mempolicy, &raw mut mode, words.as_mut_ptr(), MAXNODE, none, 0) })?;
    Ok(RawPolicy { mode, nodes })
}

/// Changes the calling thread's memory policy.
pub fn set_thread_policy(policy: &RawPolicy) -> Result<(), Errno> {
    seam(Point::Mbind)?;
    restore_thread_policy(policy)
}

/// Puts back what [`thread_policy`] said. Not a place for injected failures: what could be set can be put back.
pub fn restore_thread_policy(policy: &RawPolicy) -> Result<(), Errno> {
    let nodes = policy.nodes.words();
    let (nodes, maxnode) = if policy.nodes.is_empty() { (std::ptr::null(), 0) } else { (nodes.as_ptr(), MAXNODE) };
    // SAFETY: the mask is null with no bits, or has MASK_BITS bits.
    check(unsafe { libc::syscall(libc::SYS_set_mempolicy, policy.mode, nodes, maxnode) }).map(drop)
}

/// The node of each page of this process, or a negative errno for a page that is not there.
pub fn nodes_of_pages(pages: &[*const u8], nodes: &mut [i32]) -> Result<(), Errno> {
    if pages.len() != nodes.len() {
        return Err(libc::EINVAL);
    }
    seam(Point::MovePages)?;
    let ask = std::ptr::null::<i32>();
    // SAFETY: with no target nodes move_pages only asks; both lists have `pages.len()` entries.
    let result =
        unsafe { libc::syscall(libc::SYS_move_pages, 0, pages.len(), pages.as_ptr(), ask, nodes.as_mut_ptr(), 0) };
    check(result).map(drop)
}

/// The CPU that runs this thread now, without a call of the kernel.
#[inline]
pub fn current_cpu() -> Option<u32> {
    // SAFETY: it takes nothing.
    u32::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// The node of the CPU that runs this thread now.
pub fn current_node() -> Option<u32> {
    let (mut cpu, mut node) = (0u32, 0u32);
    let none = std::ptr::null_mut::<c_void>();
    // SAFETY: both outputs are live.
    check(unsafe { libc::syscall(libc::SYS_getcpu, &raw mut cpu, &raw mut node, none) }).ok()?;
    Some(node)
}

/// How many CPUs this thread may run on.
pub fn usable_cpus() -> u64 {
    let mut cpus = NodeMask::EMPTY;
    // SAFETY: the mask has as many bytes as are told.
    let told = unsafe { libc::sched_getaffinity(0, MASK_BITS / 8, cpus.words_mut().as_mut_ptr().cast()) };
    if told == 0 { u64::from(cpus.count()).max(1) } else { 1 }
}

/// Lets this thread run on these CPUs only, as far as it may use them: EINVAL when it may use none.
pub fn run_on(cpus: &NodeMask) -> Result<(), Errno> {
    seam(Point::Affinity)?;
    // SAFETY: the mask has as many bytes as are told.
    check(i64::from(unsafe { libc::sched_setaffinity(0, MASK_BITS / 8, cpus.words().as_ptr().cast()) })).map(drop)
}

/// One stretch of pages that are alike.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct PageRegion {
    pub start: u64,
    pub end: u64,
    pub categories: u64,
}

pub const PAGE_IS_PRESENT: u64 = 1 << 3;
pub const PAGE_IS_ZERO_PAGE: u64 = 1 << 5;
pub const PAGE_IS_HUGE: u64 = 1 << 6;

/// Finds pages that are present from `start` on; fills `regions` and returns how many, and where the scan stopped.
pub fn scan_pages(pagemap: i32, start: u64, end: u64, regions: &mut [PageRegion]) -> Result<(usize, u64), Errno> {
    /// `struct pm_scan_arg` of linux/fs.h.
    #[repr(C)]
    struct ScanArgument {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        vec: u64,
        vec_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }
    /// `_IOWR('f', 16, struct pm_scan_arg)`.
    const PAGEMAP_SCAN: libc::c_ulong =
        (3 << 30) | ((size_of::<ScanArgument>() as libc::c_ulong) << 16) | ((b'f' as libc::c_ulong) << 8) | 16;
    let mut argument = ScanArgument {
        size: size_of::<ScanArgument>() as u64,
        flags: 0,
        start,
        end,
        walk_end: 0,
        vec: regions.as_mut_ptr() as u64,
        vec_len: regions.len() as u64,
        max_pages: 0,
        category_inverted: 0,
        category_mask: PAGE_IS_PRESENT,
        category_anyof_mask: 0,
        return_mask: PAGE_IS_PRESENT | PAGE_IS_HUGE | PAGE_IS_ZERO_PAGE,
    };
    seam(Point::Scan)?;
    // SAFETY: the kernel writes at most `vec_len` regions, and `walk_end` of the live argument.
    let found = check(i64::from(unsafe { libc::ioctl(pagemap, PAGEMAP_SCAN, &raw mut argument) }))?;
    Ok((found as usize, argument.walk_end))
}
