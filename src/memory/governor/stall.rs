//! Stalls: how much of the time threads waited for memory (pressure stall information, Linux 4.20), and the alarm that the
//! kernel gives when it was much.
//!
//! The time is always measured as the growth of the kernel's own sums. An alarm only says when to look, so one that comes
//! for nothing, as the first one after arming may, changes nothing.

use crate::memory::kernel::Reread;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

const SYSTEM_WIDE: &str = "/proc/pressure/memory";
/// Shorter times tell nothing.
pub const SHORTEST_NS: u64 = 50_000_000;
/// Without CAP_SYS_RESOURCE the kernel takes windows of whole multiples of this only.
const WINDOW_US: u64 = 2_000_000;

/// What the kernel has added up since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sums {
    some_us: u64,
    full_us: u64,
}

fn sums_in(text: &str) -> Option<Sums> {
    let total = |kind| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        line.split_ascii_whitespace().find_map(|word| word.strip_prefix("total=")?.parse().ok())
    };
    // The file of the machine had no `full` line for every resource at all times.
    Some(Sums { some_us: total("some ")?, full_us: total("full ").unwrap_or(0) })
}

/// Measures stalls between looks.
pub struct Meter {
    file: Reread,
    last: Option<(u64, Sums)>,
    /// Thousandths of the time between the last two looks in which some threads, and all threads, waited.
    stall: (u64, u64),
}

impl Meter {
    pub fn new(file: &Path) -> Self {
        Self { file: Reread::new(file), last: None, stall: (0, 0) }
    }

    /// `None`: the kernel tells nothing.
    pub fn measure(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        let Some(sums) = self.file.read(&mut [0; 512]).and_then(sums_in) else {
            self.last = None;
            return None;
        };
        let Some((then_ns, before)) = self.last else {
            self.last = Some((now_ns, sums));
            self.stall = (0, 0);
            return Some(self.stall);
        };
        let passed_us = now_ns.saturating_sub(then_ns) / 1000;
        if passed_us >= SHORTEST_NS / 1000 {
            let share = |now: u64, before: u64| (now.saturating_sub(before) * 1000 / passed_us).min(1000);
            self.stall = (share(sums.some_us, before.some_us), share(sums.full_us, before.full_us));
            self.last = Some((now_ns, sums));
        }
        Some(self.stall)
    }
}

impl Meter {
    /// Whether anything was added since the last measurement.
    pub fn has_grown(&mut self) -> bool {
        let sums = self.file.read(&mut [0; 512]).and_then(sums_in);
        matches!((sums, self.last), (Some(sums), Some((_, before))) if sums.some_us > before.some_us)
    }
}

/// Where stalls are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The kernel's sums.
    pub sums: PathBuf,
    /// Who sounds the alarm, and what to write there first.
    alarm: PathBuf,
    order: Option<Vec<u8>>,
}

impl Places {
    /// The file that was given, else that of the process's own group, else that of the machine. Who started the process may
    /// have named another one for alarms, or have said that there are to be none (systemd's MEMORY_PRESSURE_WATCH): then
    /// `None`.
    pub fn find(given: Option<PathBuf>, of_group: Option<PathBuf>) -> Option<Self> {
        let sums = given.or(of_group).unwrap_or_else(|| SYSTEM_WIDE.into());
        match std::env::var_os("MEMORY_PRESSURE_WATCH").map(PathBuf::from) {
            Some(watch) if watch == Path::new("/dev/null") => None,
            Some(watch) if watch.is_absolute() => {
                let order = std::env::var("MEMORY_PRESSURE_WRITE").ok();
                Some(Self { sums, alarm: watch, order: order.and_then(|text| base64(text.trim())) })
            }
            _ => Some(Self { alarm: sums.clone(), sums, order: None }),
        }
    }

    /// Asks for an alarm when some thread waited for so much of the time.
    pub fn arm(&self, high_percent: u32) -> std::io::Result<Alarm> {
        let is_pressure_file = self.alarm == self.sums;
        if is_pressure_file && !is_of_kernel(&self.alarm) {
            return Err(std::io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        // The kernel overwrites the last byte that it is given, so that must be a NUL.
        let usual = || format!("some {} {WINDOW_US}\0", WINDOW_US / 100 * u64::from(high_percent)).into_bytes();
        let order = if is_pressure_file { Some(usual()) } else { self.order.clone() };
        Alarm::arm(&self.alarm, order.as_deref())
    }
}

/// Whether the file is one of procfs or of a control group: only those understand a trigger that is written to them.
fn is_of_kernel(file: &Path) -> bool {
    let Ok(file) = File::open(file) else { return false };
    // SAFETY: a zeroed statfs is valid for fstatfs to fill; the descriptor is open.
    unsafe {
        let mut status: libc::statfs = std::mem::zeroed();
        libc::fstatfs(file.as_raw_fd(), &mut status) == 0
            && [libc::PROC_SUPER_MAGIC, libc::CGROUP2_SUPER_MAGIC].contains(&status.f_type)
    }
}

/// Wakes whoever polls it when threads waited for memory.
pub struct Alarm {
    file: File,
    /// What poll(2) is asked for.
    pub events: i16,
}

impl Alarm {
    fn arm(path: &Path, order: Option<&[u8]>) -> std::io::Result<Self> {
        let kind = std::fs::metadata(path)?.file_type();
        let mut file = if kind.is_socket() {
            let stream = UnixStream::connect(path)?;
            stream.set_nonblocking(true)?;
            File::from(OwnedFd::from(stream))
        } else {
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?
        };
        if let Some(order) = order {
            file.write_all(order)?;
        }
        let events = if kind.is_socket() || kind.is_fifo() { libc::POLLIN } else { libc::POLLPRI };
        Ok(Self { file, events })
    }

    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Takes the alarm back. `false`: there will be no more of them.
    pub fn quieten(&mut self, told: i16) -> bool {
        if told & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
            return false;
        }
        if told & libc::POLLIN == 0 {
            return true;
        }
        loop {
            match self.file.read(&mut [0; 512]) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }
}

/// The bytes of a text in base64; `None` when it is not one.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND_NS: u64 = 1_000_000;

    struct Fake(PathBuf);

    impl Fake {
        fn new(name: &str) -> Self {
            let fake = Self(std::env::temp_dir().join(format!("ostler-{name}-{}", std::process::id())));
            fake.tell(0, 0);
            fake
        }

        fn tell(&self, some_us: u64, full_us: u64) {
            let line = |kind, total| format!("{kind} avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n");
            std::fs::write(&self.0, line("some", some_us) + &line("full", full_us)).unwrap();
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn only_what_is_added_to_the_sums_is_a_stall() {
        let fake = Fake::new("stall-sums");
        // What was stalled before the first look is past.
        fake.tell(900_000, 800_000);
        let mut meter = Meter::new(&fake.0);
        assert_eq!(meter.measure(0), Some((0, 0)));
        assert_eq!(meter.measure(250 * MILLISECOND_NS), Some((0, 0)));
        fake.tell(950_000, 805_000);
        // Too soon to say; what it was holds on.
        assert_eq!(meter.measure(260 * MILLISECOND_NS), Some((0, 0)));
        assert_eq!(meter.measure(500 * MILLISECOND_NS), Some((200, 20)));
        assert_eq!(meter.measure(750 * MILLISECOND_NS), Some((0, 0)));
        // Sums that begin anew, as those of another group would.
        fake.tell(0, 0);
        assert_eq!(meter.measure(1000 * MILLISECOND_NS), Some((0, 0)));
        std::fs::remove_file(&fake.0).unwrap();
        assert_eq!(Meter::new(&fake.0).measure(0), None);
    }

    #[test]
    fn a_plain_file_is_never_written_to() {
        let fake = Fake::new("stall-plain");
        let before = std::fs::read(&fake.0).unwrap();
        let places = Places { sums: fake.0.clone(), alarm: fake.0.clone(), order: None };
        let refused = places.arm(10).err().expect("no alarm");
        assert_eq!(refused.raw_os_error(), Some(libc::EOPNOTSUPP));
        assert_eq!(std::fs::read(&fake.0).unwrap(), before);
    }

    #[test]
    fn base64_is_what_it_is() {
        assert_eq!(base64("c29tZSAyMDAwMDAgMjAwMDAwMAA=").unwrap(), b"some 200000 2000000\0");
        assert_eq!(base64("").unwrap(), b"");
        assert_eq!(base64("a b"), None);
    }

    /// The kernel takes the trigger without privileges: with a window of two seconds, and a NUL behind it.
    #[test]
    fn this_kernel_takes_the_trigger() {
        let places = Places { sums: SYSTEM_WIDE.into(), alarm: SYSTEM_WIDE.into(), order: None };
        if let Err(error) = places.arm(10) {
            let known = [libc::ENOENT, libc::EACCES, libc::EPERM, libc::EOPNOTSUPP];
            assert!(error.raw_os_error().is_some_and(|errno| known.contains(&errno)), "{error}");
        }
    }
}
