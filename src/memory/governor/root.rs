//! The root of all accounts: what the process holds, and how much it may. A charge is admitted here by comparisons and
//! one exchange; only one that does not fit, or that comes long after the last look at the kernel, looks again.

use super::account::{self, Backing, LargestHolders, Need};
use super::keeper;
use super::level::Reason;
use super::limit::{Limit, Limits, Source};
use super::look::{self, Depth, Sight};
use crate::base::clock;
use crate::base::text::Size;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

/// What the process holds and may hold, on cache lines of its own.
#[repr(align(128))]
struct Root {
    /// All but the memory of devices, with what accounts keep of what was released.
    held: AtomicU64,
    /// Part of `held`: never counted here before it is there, nor after.
    in_huge_pool: AtomicU64,
    on_devices: AtomicU64,
    peak: AtomicU64,
    refusals: AtomicU64,
    /// The most that was refused since the thread looked, and could be granted once others give something back.
    wanted: AtomicU64,
    /// What `held` may become.
    limit: AtomicU64,
    /// What `held` without the pool of huge pages may become.
    ceiling: AtomicU64,
    /// Only what is essential is granted.
    is_critical: AtomicBool,
    /// When `held` comes to be more than this, the governor's thread wants to know.
    ring_above: AtomicU64,
    /// When the kernel is to be looked at again, on the coarse clock.
    look_again_ms: AtomicU64,
}

static ROOT: Root = Root {
    held: AtomicU64::new(0),
    in_huge_pool: AtomicU64::new(0),
    on_devices: AtomicU64::new(0),
    peak: AtomicU64::new(0),
    refusals: AtomicU64::new(0),
    wanted: AtomicU64::new(0),
    limit: AtomicU64::new(u64::MAX),
    ceiling: AtomicU64::new(u64::MAX),
    is_critical: AtomicBool::new(false),
    ring_above: AtomicU64::new(u64::MAX),
    look_again_ms: AtomicU64::new(0),
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub held: u64,
    pub in_huge_pool: u64,
    pub on_devices: u64,
    pub peak: u64,
    pub refusals: u64,
}

pub fn totals() -> Totals {
    // In this order, so that the part is never more than the whole.
    let in_huge_pool = ROOT.in_huge_pool.load(Acquire);
    let held = ROOT.held.load(Acquire).saturating_sub(account::kept()).max(in_huge_pool);
    Totals {
        held,
        in_huge_pool,
        on_devices: ROOT.on_devices.load(Relaxed),
        peak: ROOT.peak.load(Relaxed).max(held),
        refusals: ROOT.refusals.load(Relaxed),
    }
}

/// The governor does not let an account grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub wanted: u64,
    pub held: u64,
    pub limit: u64,
    pub source: Source,
    /// Used by what no account is charged for.
    pub beside: u64,
    /// Why memory is critically short, when it is that and no limit that is in the way.
    pub critical: Reason,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanted, limit, held) = (Size(self.wanted), Size(self.limit), Size(self.held));
        if self.critical == Reason::None {
            write!(formatter, "{wanted} more would pass the limit of {limit} ({}): held {held}", self.source.words())?;
        } else {
            let reason = self.critical.words();
            write!(
                formatter,
                "{wanted} more are not essential, and memory is critically short ({reason}): held {held}"
            )?;
        }
        write!(formatter, "{LargestHolders}")?;
        if self.beside > 0 {
            write!(formatter, "; used beside that {}", Size(self.beside))?;
        }
        Ok(())
    }
}

/// Counts bytes, or refuses them.
#[inline]
pub fn take(bytes: u64, backing: Backing, need: Need) -> Result<(), Refused> {
    if !is_fresh() {
        look::again_if_due();
    }
    if try_take(bytes, backing, need) { Ok(()) } else { take_after_a_look(bytes, backing, need) }
}

#[inline]
fn try_take(bytes: u64, backing: Backing, need: Need) -> bool {
    if backing == Backing::Device {
        ROOT.on_devices.fetch_add(bytes, Relaxed);
        return true;
    }
    if ROOT.is_critical.load(Relaxed) && need == Need::Ordinary {
        return false;
    }
    let mut held = ROOT.held.load(Relaxed);
    loop {
        let Some(sum) = held.checked_add(bytes) else { return false };
        let fits = sum <= ROOT.limit.load(Relaxed)
            && (backing == Backing::HugePool
                || sum.saturating_sub(ROOT.in_huge_pool.load(Relaxed)) <= ROOT.ceiling.load(Relaxed));
        if !fits && need != Need::Fact {
            return false;
        }
        match ROOT.held.compare_exchange_weak(held, sum, AcqRel, Relaxed) {
            Ok(_) => {
                if backing == Backing::HugePool {
                    ROOT.in_huge_pool.fetch_add(bytes, Release);
                }
                if sum > ROOT.peak.load(Relaxed) {
                    note_peak();
                }
                if sum > ROOT.ring_above.load(Relaxed) {
                    keeper::ring();
                }
                return true;
            }
            Err(changed) => held = changed,
        }
    }
}

/// What is only kept is no peak.
#[cold]
fn note_peak() {
    account::call_in_all();
    ROOT.peak.fetch_max(ROOT.held.load(Relaxed), Relaxed);
}

/// Nothing is refused by what was true some time ago, nor for what is only kept.
#[cold]
fn take_after_a_look(bytes: u64, backing: Backing, need: Need) -> Result<(), Refused> {
    account::call_in_all();
    let sight = look::now(Depth::Whole);
    if try_take(bytes, backing, need) {
        return Ok(());
    }
    ROOT.refusals.fetch_add(1, Relaxed);
    if bytes <= sight.limits.effective.bytes {
        ROOT.wanted.fetch_max(bytes, Relaxed);
        keeper::ring();
    }
    Err(refusal(bytes, backing, &sight))
}

/// What a charge would be answered now. Nothing is counted.
pub fn foresee(bytes: u64, backing: Backing) -> Result<(), Refused> {
    let sight = look::now(Depth::Whole);
    let (totals, limits) = (totals(), &sight.limits);
    let fits = totals.held.checked_add(bytes).is_some_and(|sum| {
        sum <= limits.configured.bytes
            && (backing == Backing::HugePool || sum - totals.in_huge_pool <= limits.ceiling.held)
    });
    if fits && !ROOT.is_critical.load(Relaxed) { Ok(()) } else { Err(refusal(bytes, backing, &sight)) }
}

/// Why so many bytes are refused.
fn refusal(bytes: u64, backing: Backing, sight: &Sight) -> Refused {
    let (totals, limits) = (totals(), &sight.limits);
    let in_memory = totals.held - totals.in_huge_pool;
    let passes = |held: u64, limit: u64| held.checked_add(bytes).is_none_or(|sum| sum > limit);
    let refused = |held, limit: Limit, beside, critical| Refused {
        wanted: bytes,
        held,
        limit: limit.bytes,
        source: limit.source,
        beside,
        critical,
    };
    if passes(totals.held, limits.configured.bytes) {
        refused(totals.held, limits.configured, 0, Reason::None)
    } else if backing == Backing::HugePool || !passes(in_memory, limits.ceiling.held) {
        // No limit is in the way, so it is the level; or it was a limit until just now.
        refused(totals.held, limits.effective, limits.ceiling.beside, sight.verdict.reason)
    } else {
        refused(in_memory, limits.ceiling.limit, limits.ceiling.beside, Reason::None)
    }
}

/// The most that was refused since this was last asked.
pub fn take_wanted() -> u64 {
    ROOT.wanted.swap(0, Relaxed)
}

#[inline]
pub fn give(bytes: u64, backing: Backing) {
    match backing {
        Backing::Memory => {}
        Backing::HugePool => {
            ROOT.in_huge_pool.fetch_sub(bytes, Release);
        }
        Backing::Device => {
            ROOT.on_devices.fetch_sub(bytes, Relaxed);
            return;
        }
    }
    ROOT.held.fetch_sub(bytes, Release);
}

/// Whether the last look at the kernel still counts.
#[inline]
pub fn is_fresh() -> bool {
    clock::coarse_ms() < ROOT.look_again_ms.load(Relaxed)
}

/// Whether what is released may be kept for the next reservation: not while it would be refused, or while a level begins
/// where all of it is reserved again.
#[inline]
pub fn may_keep() -> bool {
    let held = ROOT.held.load(Relaxed);
    held <= ROOT.limit.load(Relaxed).min(ROOT.ring_above.load(Relaxed))
        && held.saturating_sub(ROOT.in_huge_pool.load(Relaxed)) <= ROOT.ceiling.load(Relaxed)
        && !ROOT.is_critical.load(Relaxed)
}

/// From now on these limits hold, until the kernel is looked at again at that time of the coarse clock.
pub fn set_limits(limits: &Limits, look_again_ms: u64) {
    ROOT.limit.store(limits.configured.bytes, Relaxed);
    ROOT.ceiling.store(limits.ceiling.held, Relaxed);
    ROOT.look_again_ms.store(look_again_ms, Relaxed);
}

/// What the level means for charges.
pub fn set_level(is_critical: bool, ring_above: u64) {
    ROOT.is_critical.store(is_critical, Relaxed);
    ROOT.ring_above.store(ring_above, Relaxed);
}

/// Whether the last look is too old. One of those who ask at the same time is told so.
pub fn is_look_due() -> bool {
    let now_ms = clock::coarse_ms();
    let due_ms = ROOT.look_again_ms.load(Relaxed);
    let next_ms = now_ms + look::PERIOD_MS;
    now_ms >= due_ms && ROOT.look_again_ms.compare_exchange(due_ms, next_ms, Relaxed, Relaxed).is_ok()
}
