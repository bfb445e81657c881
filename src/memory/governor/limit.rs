//! How much memory there may be: the least of what the host set and what the kernel allows.

use crate::base::InvalidField;

/// Who set a limit. The numbers are those of OSTLER_LIMITED_BY_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Source {
    #[default]
    None = 0,
    /// The host, in bytes or as a share of what the kernel allows.
    Host = 1,
    GroupMax = 2,
    GroupHigh = 3,
    GroupOlder = 4,
    Machine = 5,
    AddressSpace = 6,
}

impl Source {
    pub fn words(self) -> &'static str {
        match self {
            Source::None => "no limit",
            Source::Host => "configured",
            Source::GroupMax => "cgroup memory.max",
            Source::GroupHigh => "cgroup memory.high",
            Source::GroupOlder => "cgroup memory.limit_in_bytes",
            Source::Machine => "the machine's memory",
            Source::AddressSpace => "RLIMIT_AS",
        }
    }

    /// Kept free below it: for page tables and for what each CPU charges ahead, and for the rest of the machine.
    fn margin(self) -> u64 {
        match self {
            Source::GroupMax | Source::GroupHigh | Source::GroupOlder => super::super::headroom::GROUP_MARGIN,
            Source::Machine => super::super::headroom::MACHINE_MARGIN,
            Source::None | Source::Host | Source::AddressSpace => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub bytes: u64,
    pub source: Source,
}

impl Limit {
    pub const NONE: Self = Self { bytes: u64::MAX, source: Source::None };

    fn least(self, other: Self) -> Self {
        if other.bytes < self.bytes { other } else { self }
    }
}

/// What the host set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// 0: none.
    pub bytes: u64,
    /// Of the kernel's least limit, in percent; 0: none.
    pub percent: u32,
}

impl Configured {
    pub fn checked(self) -> Result<Self, InvalidField> {
        if self.percent > 100 {
            let bound = "must be at most 100";
            return Err(InvalidField { field: "limit_percent", value: self.percent.into(), bound });
        }
        Ok(self)
    }

    fn limit(self, of_kernel: Limit) -> Limit {
        let given = |bytes| Limit { bytes, source: Source::Host };
        let in_bytes = if self.bytes > 0 { given(self.bytes) } else { Limit::NONE };
        let share = u128::from(of_kernel.bytes) * u128::from(self.percent) / 100;
        let in_percent = if self.percent > 0 { given(share as u64) } else { Limit::NONE };
        in_bytes.least(in_percent)
    }
}

/// A limit of the kernel's, and what counts against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    pub limit: Limit,
    /// By this process and, where it is shared, by others.
    pub used: u64,
}

impl Bound {
    /// Used, in thousandths of the limit.
    pub fn fill(self) -> u64 {
        thousandths(self.used, self.limit.bytes)
    }
}

/// At most 1000.
pub fn thousandths(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 1000 / u128::from(whole.max(1))).min(1000) as u64
}

/// How much accounts may hold below a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    pub held: u64,
    pub limit: Limit,
    /// Used by what no account is charged for, as far as that can be told.
    pub beside: u64,
}

impl Ceiling {
    pub const NONE: Self = Self { held: u64::MAX, limit: Limit::NONE, beside: 0 };

    /// The kernel tells how much is used, but not by whom. What is charged may not be touched yet, and then is not
    /// used: so what is used beside it is at least `used` without all that can be ours, and at most `used`. Between these
    /// it is taken to be what it was before.
    pub fn below(bound: Bound, ours_at_most: u64, before: Option<u64>) -> Self {
        let least = bound.used.saturating_sub(ours_at_most);
        let beside = before.unwrap_or(least).clamp(least, bound.used);
        let margin = bound.limit.source.margin();
        Self { held: bound.limit.bytes.saturating_sub(beside).saturating_sub(margin), limit: bound.limit, beside }
    }
}

/// What holds for the process at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The least of all.
    pub effective: Limit,
    /// The host's own, which all that is held counts against.
    pub configured: Limit,
    /// The kernel's tightest, which memory outside the pool of huge pages counts against.
    pub ceiling: Ceiling,
}

impl Limits {
    pub const NONE: Self = Self { effective: Limit::NONE, configured: Limit::NONE, ceiling: Ceiling::NONE };

    pub fn of(configured: Configured, of_kernel: Limit, ceiling: Ceiling) -> Self {
        let configured = configured.limit(of_kernel);
        Self { effective: of_kernel.least(configured), configured, ceiling }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn bound(limit: u64, used: u64) -> Bound {
        Bound { limit: Limit { bytes: limit, source: Source::AddressSpace }, used }
    }

    #[test]
    fn the_least_limit_holds_and_says_whose_it_is() {
        let kernel = Limit { bytes: 64 * MIB, source: Source::GroupMax };
        let of = |bytes, percent| Limits::of(Configured { bytes, percent }, kernel, Ceiling::NONE);
        assert_eq!(of(0, 0).effective, kernel);
        assert_eq!(of(0, 0).configured, Limit::NONE);
        assert_eq!(of(128 * MIB, 0).effective, kernel);
        assert_eq!(of(128 * MIB, 0).configured.bytes, 128 * MIB);
        assert_eq!(of(0, 50).effective, Limit { bytes: 32 * MIB, source: Source::Host });
        assert_eq!(of(16 * MIB, 50).effective.bytes, 16 * MIB);
        let none = Limits::of(Configured { bytes: 0, percent: 100 }, Limit::NONE, Ceiling::NONE);
        assert_eq!(none.effective.bytes, u64::MAX);
    }

    #[test]
    fn what_others_use_is_never_ours() {
        // 10 of 64 MiB are used, and nothing is held: all of it is beside.
        let first = Ceiling::below(bound(64 * MIB, 10 * MIB), 0, None);
        assert_eq!((first.beside, first.held), (10 * MIB, 54 * MIB));
        // 40 MiB are held and untouched: nothing is known that was not before.
        let untouched = Ceiling::below(bound(64 * MIB, 10 * MIB), 10 * MIB, Some(first.beside));
        assert_eq!(untouched.held, 54 * MIB);
        let touched = Ceiling::below(bound(64 * MIB, 50 * MIB), 40 * MIB, Some(untouched.beside));
        assert_eq!(touched.held, 54 * MIB);
        // Somebody else took 8 MiB more, then gave all but 2 MiB back.
        let more = Ceiling::below(bound(64 * MIB, 58 * MIB), 40 * MIB, Some(touched.beside));
        assert_eq!((more.beside, more.held), (18 * MIB, 46 * MIB));
        let less = Ceiling::below(bound(64 * MIB, 2 * MIB), 2 * MIB, Some(more.beside));
        assert_eq!((less.beside, less.held), (2 * MIB, 62 * MIB));
        assert_eq!(Ceiling::below(bound(64 * MIB, 100 * MIB), 0, None).held, 0);
    }
}
