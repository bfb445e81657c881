//! The governor's thread. It looks at the kernel at every tick, and at once when it is rung for or the kernel sounds the
//! alarm, and tells who watches. It is there only while somebody configured or watches the governor.

use super::level::Level;
use super::look::{Depth, Sight};
use super::reclaim::{self, ReclaimKind};
use super::rounds::Round;
use super::stall::{self, Alarm};
use super::{look, root, watch};
use crate::base::back_off::BackOff;
use crate::base::text::Size;
use crate::base::thread::{self, SpawnError};
use crate::base::{clock, log, panics};
use parking_lot::Mutex;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::thread::JoinHandle;

struct Keeper {
    is_wanted: bool,
    is_there: bool,
    thread: Option<JoinHandle<()>>,
}

static KEEPER: Mutex<Keeper> = Mutex::new(Keeper { is_wanted: false, is_there: false, thread: None });

/// Rouses the thread. Open for as long as the process lives, because anybody may ring at any time.
static BELL: OnceLock<Option<File>> = OnceLock::new();
static IS_RUNG: AtomicBool = AtomicBool::new(false);
static TICKS: AtomicU64 = AtomicU64::new(0);
static CPU_NS: AtomicU64 = AtomicU64::new(0);
static FALSE_ALARMS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Looks of the thread.
    pub ticks: u64,
    /// What they took of a processor.
    pub cpu_ns: u64,
    /// Alarms of the kernel behind which nothing was.
    pub false_alarms: u64,
}

pub fn work() -> Work {
    Work { ticks: TICKS.load(Relaxed), cpu_ns: CPU_NS.load(Relaxed), false_alarms: FALSE_ALARMS.load(Relaxed) }
}

/// Asks the thread, when it is there, to look now.
pub fn ring() {
    if let Some(Some(mut bell)) = BELL.get().map(Option::as_ref)
        && !IS_RUNG.swap(true, SeqCst)
    {
        // It is full only when it was rung already.
        let _ = bell.write(&1u64.to_ne_bytes());
    }
}

fn bell() -> Option<&'static File> {
    let make = || {
        // SAFETY: eventfd takes numbers, and gives a descriptor that is ours, or -1.
        unsafe {
            let descriptor = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            (descriptor >= 0).then(|| File::from_raw_fd(descriptor))
        }
    };
    BELL.get_or_init(make).as_ref()
}

/// Starts the thread, when it is not there yet.
pub fn start() -> Result<(), SpawnError> {
    // Here, so that it is there from the first start on, however soon the thread is sent away.
    bell();
    let mut keeper = KEEPER.lock();
    keeper.is_wanted = true;
    if !keeper.is_there {
        // One that was sent away has left this room for good.
        if let Some(gone) = keeper.thread.take() {
            drop(gone.join());
        }
        keeper.thread = Some(thread::spawn_apart("governor", keep)?);
        keeper.is_there = true;
    }
    drop(keeper);
    ring();
    Ok(())
}

/// Sends the thread away unless somebody watches, and does not wait for it. `false`: it stays.
pub fn send_away_unless_watched() -> bool {
    let mut keeper = KEEPER.lock();
    // Under the lock: who begins to watch now starts the thread after that.
    keeper.is_wanted = watch::is_any();
    let goes = !keeper.is_wanted;
    drop(keeper);
    ring();
    goes
}

/// Sends the thread away and waits until it is gone, and with it every callback.
pub fn stop() {
    let mut keeper = KEEPER.lock();
    keeper.is_wanted = false;
    let thread = keeper.thread.take();
    drop(keeper);
    ring();
    if let Some(thread) = thread {
        // A panic in it was caught and told inside it.
        drop(thread.join());
    }
}

fn keep() {
    let (mut alarm, mut relief, mut round) = (Guard::default(), Relief::default(), Round::default());
    while is_wanted() {
        IS_RUNG.store(false, SeqCst);
        let begin_ns = cpu_ns();
        let looked = panics::catch(|| look::now(Depth::Glance));
        CPU_NS.fetch_add(cpu_ns().saturating_sub(begin_ns), Relaxed);
        TICKS.fetch_add(1, Relaxed);
        watch::tell();
        match looked {
            Ok(sight) => {
                relief.give(&sight);
                look_again(&mut round, sight.verdict.level);
            }
            Err(caught) => log::warn(format_args!("governor: a look panicked: {}", caught.message())),
        }
        alarm.follow_orders();
        alarm.wait(look::tick_ns());
    }
}

/// At the memory of an object, where that is due: not for long, and only until somebody rings.
fn look_again(round: &mut Round, level: Level) {
    let mut stay = Stay::default();
    let mut may_stay = || !IS_RUNG.load(SeqCst) && stay.is_within(clock::monotonic_ns());
    let looked = panics::catch(|| round.go_on(level, look::coverage_period_ns(), cpu_ns, &mut may_stay));
    if let Err(caught) = looked {
        log::warn(format_args!("governor: a look at memory panicked: {}", caught.message()));
    }
}

/// How long bites are taken. From the first question on, so that a long list of chunks that stands before it leaves as
/// much time for them as a short one.
#[derive(Default)]
struct Stay {
    until_ns: Option<u64>,
}

impl Stay {
    const LONGEST_NS: u64 = 2_000_000;

    fn is_within(&mut self, now_ns: u64) -> bool {
        now_ns < *self.until_ns.get_or_insert(now_ns.saturating_add(Self::LONGEST_NS))
    }
}

fn is_wanted() -> bool {
    let mut keeper = KEEPER.lock();
    keeper.is_there = keeper.is_wanted;
    keeper.is_there
}

/// Nanoseconds of a processor that this thread has used.
fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Asks memory back while it is short, unless the host keeps that to itself.
#[derive(Default)]
struct Relief {
    /// After nobody had anything to give.
    back_off: BackOff,
    not_before_ns: u64,
}

impl Relief {
    fn give(&mut self, sight: &Sight) {
        let is_short = sight.verdict.level >= Level::High;
        let wanted = root::take_wanted().max(if is_short { sight.excess } else { 0 });
        let now_ns = clock::monotonic_ns();
        if wanted == 0 || now_ns < self.not_before_ns || look::is_suggesting_only() {
            return;
        }
        let is_critical = sight.verdict.level == Level::Critical;
        let up_to = if is_critical { ReclaimKind::Worker } else { ReclaimKind::Pool };
        let freed = reclaim::reclaim(wanted, up_to, |one| {
            let (freed, name) = (Size(one.freed), one.from.name);
            log::info(format_args!("governor: {} \"{name}\" gave {freed} back", one.from.holder.word()));
        });
        match freed {
            Ok(0) => self.not_before_ns = now_ns + self.back_off.next_ns(),
            // To see at once what came of it.
            Ok(_) => {
                *self = Self::default();
                ring();
            }
            // The host is at it.
            Err(reclaim::Underway) => {}
        }
    }
}

/// What the thread sleeps with: the bell, and the kernel's alarm where there is one.
#[derive(Default)]
struct Guard {
    alarm: Option<Alarm>,
    /// The configuration that the alarm is of.
    orders: u64,
    /// Until then no further alarm is heard, so that they cannot keep the thread busy.
    quiet_until_ns: u64,
}

impl Guard {
    /// Arms the alarm that is asked for by now.
    fn follow_orders(&mut self) {
        let Some((orders, places, high_percent)) = look::orders(self.orders) else { return };
        self.orders = orders;
        self.alarm = None;
        let armed = places.map(|places| places.arm(high_percent));
        let errno = match &armed {
            Some(Err(error)) => error.raw_os_error().unwrap_or(libc::EINVAL),
            _ => 0,
        };
        self.alarm = armed.and_then(Result::ok);
        look::note_alarm(self.alarm.is_some(), errno);
    }

    fn wait(&mut self, timeout_ns: u64) {
        let Some(mut bell) = bell() else { return std::thread::sleep(std::time::Duration::from_nanos(timeout_ns)) };
        let quiet_ns = self.quiet_until_ns.saturating_sub(clock::monotonic_ns());
        let timeout_ns = if quiet_ns > 0 { timeout_ns.min(quiet_ns) } else { timeout_ns };
        let on = |descriptor, events| libc::pollfd { fd: descriptor, events, revents: 0 };
        let heard = self.alarm.as_ref().filter(|_| quiet_ns == 0);
        let alarm = heard.map_or(on(-1, 0), |alarm| on(alarm.descriptor(), alarm.events));
        let mut polled = [on(bell.as_raw_fd(), libc::POLLIN), alarm];
        let timeout = libc::timespec {
            tv_sec: (timeout_ns / 1_000_000_000) as libc::time_t,
            tv_nsec: (timeout_ns % 1_000_000_000) as libc::c_long,
        };
        // SAFETY: both entries and the timeout are live; no signal mask is given.
        unsafe { libc::ppoll(polled.as_mut_ptr(), 2, &timeout, std::ptr::null()) };
        let _ = bell.read(&mut [0; 8]);
        let told = polled.map(|entry| entry.revents)[1];
        if told == 0 {
            return;
        }
        self.quiet_until_ns = clock::monotonic_ns() + stall::SHORTEST_NS;
        // Taken back before it is counted: one that comes after that is another.
        let is_over = self.alarm.as_mut().is_some_and(|alarm| !alarm.quieten(told));
        if !look::is_stalled_since() {
            FALSE_ALARMS.fetch_add(1, Relaxed);
        }
        if is_over {
            // Its group is gone, or stalls are not told any more: without it they are still measured at each tick.
            self.alarm = None;
            look::note_alarm(false, libc::EPIPE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stay_begins_with_the_first_question() {
        let (mut stay, begin_ns) = (Stay::default(), 1 << 40);
        assert!(stay.is_within(begin_ns) && stay.is_within(begin_ns + Stay::LONGEST_NS - 1));
        assert!(!stay.is_within(begin_ns + Stay::LONGEST_NS) && !stay.is_within(u64::MAX));
    }
}
