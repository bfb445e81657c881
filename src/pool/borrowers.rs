//! Who has what: named in the errors of those who wait in vain, listed on request, and told when a lease lasts too long.

use super::pool::Pool;
use super::slots::{Borrower, Lease, Resource};
use super::taps::thread_of;
use crate::base::text::Text;
use crate::base::tracing::CallSite;
use crate::base::{alloc, callback, clock, log};
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

/// Threads that an error names.
const NAMED: usize = 3;
/// Threads that are told apart when the longest holders are looked for.
const TOLD_APART: usize = 32;
/// Bytes of a thread's name, the NUL included, as the kernel has it.
const THREAD_NAME_BYTES: usize = 16;

/// A lease that is out.
#[derive(Clone, Copy, Debug)]
pub struct LeaseInfo {
    pub lease: Lease,
    pub resource: Resource,
    /// The thread that acquired it, as gettid(2) has it.
    pub thread: u32,
    /// 0 when nobody looked at the clock since.
    pub held_ns: u64,
    /// From where it was acquired, while tracing was on.
    pub site: CallSite,
}

/// The threads that hold the most for the longest.
#[derive(Clone, Copy, Debug)]
pub struct Holders {
    named: [Holder; NAMED],
    is_deadlock: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Holder {
    thread: u32,
    leases: u32,
    longest_ns: u64,
    /// Of the longest of those that were traced.
    site: CallSite,
}

impl Pool {
    /// The leases that are out, as far as there is room for them; tells how many there are.
    pub fn leases(&self, mut each: impl FnMut(LeaseInfo)) -> u64 {
        let now_ns = clock::now_ns();
        let mut count = 0;
        for (place, lease, slot) in self.slots.leased() {
            let Borrower { number, since_ns, .. } = slot.borrower();
            let thread = thread_of(number);
            let resource = slot.resource();
            // It may have been released meanwhile.
            if self.slots.resource_of(lease) == Ok(resource) {
                count += 1;
                let held_ns = if since_ns == 0 { 0 } else { now_ns.saturating_sub(since_ns) };
                let site = self.sites.of(place, lease);
                each(LeaseInfo { lease, resource, thread, held_ns, site });
            }
        }
        count
    }

    /// Leases that were taken without a look at the clock count from now on, for a caller that begins to wait for them.
    pub(super) fn note_waiting_begins(&self) {
        let now_ns = clock::now_ns();
        self.slots.leased().for_each(|(_, _, slot)| slot.note_since_if_unknown(now_ns));
    }

    /// For the error of `me`, which has waited.
    pub(super) fn holders(&self, me: u32) -> Holders {
        let mut holders = [Holder::default(); TOLD_APART];
        self.leases(|info| {
            let Some(holder) = holders.iter_mut().find(|holder| [0, info.thread].contains(&holder.thread)) else {
                return;
            };
            holder.thread = info.thread;
            holder.leases += 1;
            let is_longest = info.held_ns > holder.longest_ns || holder.site == CallSite::NONE;
            if is_longest && info.site != CallSite::NONE {
                holder.site = info.site;
            }
            holder.longest_ns = holder.longest_ns.max(info.held_ns);
        });
        holders.sort_unstable_by_key(|holder| std::cmp::Reverse((holder.longest_ns, holder.leases)));
        let mut named = [Holder::default(); NAMED];
        named.copy_from_slice(&holders[..NAMED]);
        Holders { named, is_deadlock: self.is_deadlock(me) }
    }

    /// Every resource is leased, and each by a thread that waits for this pool.
    fn is_deadlock(&self, me: u32) -> bool {
        let Ok(mut waiting) = alloc::try_vec(self.waiters.count() as usize + 1) else { return false };
        self.waiters.for_each_thread(|thread| {
            if waiting.len() < waiting.capacity() {
                waiting.push(thread);
            }
        });
        waiting.push(me);
        waiting.sort_unstable();
        let mut all_wait = true;
        let leased = self.leases(|info| all_wait &= waiting.binary_search(&info.thread).is_ok());
        all_wait && leased > 0 && leased == u64::from(self.limits.max_size())
    }

    /// Tells of each lease that lasts longer than the limit, once. `told` remembers them from one call to the next.
    pub(super) fn tell_overdue(&self, told: &mut Vec<Lease>) {
        let limit_ns = self.config.lease_limit_ns;
        if limit_ns == 0 {
            return;
        }
        told.retain(|lease| self.slots.resource_of(*lease).is_ok());
        self.leases(|info| {
            let is_news = info.held_ns >= limit_ns && !told.contains(&info.lease);
            // Without memory to remember it, it is told again.
            if is_news && alloc::try_reserve_one(told).is_ok() {
                told.push(info.lease);
                self.report_overdue(&info);
            }
        });
    }

    fn report_overdue(&self, info: &LeaseInfo) {
        self.counters.overdue.fetch_add(1, Relaxed);
        log::warn(format_args!(
            "{}: thread {} has held a lease for {} ms{}",
            self.config.name,
            info.thread,
            info.held_ns / 1_000_000,
            From(info.site)
        ));
        callback::run(self.owner, || self.factory.overdue(info));
    }
}

/// A call site as the end of a sentence, when there is one.
struct From(CallSite);

impl fmt::Display for From {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == CallSite::NONE { Ok(()) } else { write!(formatter, ", from {}", self.0) }
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, holder) in self.named.iter().filter(|holder| holder.leases > 0).enumerate() {
            let before = if place == 0 { "; held by" } else { "," };
            write!(formatter, "{before} thread {}", holder.thread)?;
            if let Some(name) = thread_name(holder.thread) {
                write!(formatter, " ({name})")?;
            }
            match holder.leases {
                1 => {}
                leases => write!(formatter, " {leases} times")?,
            }
            if holder.longest_ns > 0 {
                write!(formatter, " for {} ms", holder.longest_ns / 1_000_000)?;
            }
            if holder.site != CallSite::NONE {
                write!(formatter, " from {}", holder.site)?;
            }
        }
        if self.is_deadlock {
            write!(formatter, "; a deadlock: each of them waits for this pool")?;
        }
        Ok(())
    }
}

/// What /proc has, for a thread that still lives.
fn thread_name(thread: u32) -> Option<Text<THREAD_NAME_BYTES>> {
    let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm")).ok()?;
    Some(Text::from(name.trim_end()))
}
