//! How short memory is, in four levels. A level rises at once, and falls only when there is clearly more room again, and,
//! where that is measured, when it stays so for a while.

use crate::base::InvalidField;

/// The numbers are those of OSTLER_LEVEL_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    #[default]
    Low = 0,
    Normal = 1,
    High = 2,
    Critical = 3,
}

/// What a level comes from. The numbers are those of OSTLER_PRESSURE_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    #[default]
    None = 0,
    /// What is charged, against the host's own limit.
    Limit = 1,
    Group = 2,
    Machine = 3,
    AddressSpace = 4,
    /// One of several nodes.
    Node = 5,
    /// Threads wait for memory.
    Stall = 6,
}

impl Reason {
    pub fn words(self) -> &'static str {
        match self {
            Reason::None => "nothing",
            Reason::Limit => "the configured limit",
            Reason::Group => "the control group",
            Reason::Machine => "the machine's memory",
            Reason::AddressSpace => "RLIMIT_AS",
            Reason::Node => "a node's memory",
            Reason::Stall => "stalls for want of memory",
        }
    }
}

/// Where levels begin, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    pub normal: u32,
    pub high: u32,
    pub critical: u32,
    /// So much lower a level ends.
    pub hysteresis: u32,
    /// The share of time in which some thread waited for memory, from which on the level is high.
    pub stall_high: u32,
    /// The share of time in which all threads waited, from which on it is critical.
    pub stall_critical: u32,
    /// How long a measured level must have been left before it falls.
    pub cool_down_ns: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            normal: 50,
            high: 80,
            critical: 95,
            hysteresis: 5,
            stall_high: 10,
            stall_critical: 10,
            cool_down_ns: 1_000_000_000,
        }
    }
}

impl Thresholds {
    pub fn checked(self) -> Result<Self, InvalidField> {
        let percent = |field, value: u32, at_least: u32, bound| {
            if (at_least..=100).contains(&value) {
                return Ok(());
            }
            Err(InvalidField { field, value: value.into(), bound })
        };
        percent("normal_percent", self.normal, 1, "must be 1 to 100")?;
        percent("high_percent", self.high, self.normal, "must be at least normal_percent and at most 100")?;
        percent("critical_percent", self.critical, self.high, "must be at least high_percent and at most 100")?;
        percent("stall_high_percent", self.stall_high, 1, "must be 1 to 100")?;
        percent("stall_critical_percent", self.stall_critical, 1, "must be 1 to 100")?;
        if self.hysteresis >= self.normal {
            let bound = "must be below normal_percent";
            return Err(InvalidField { field: "hysteresis_percent", value: self.hysteresis.into(), bound });
        }
        Ok(self)
    }

    /// The level of what is full to so many thousandths.
    fn of_fill(&self, fill: u64) -> Level {
        match fill {
            fill if fill >= u64::from(self.critical) * 10 => Level::Critical,
            fill if fill >= u64::from(self.high) * 10 => Level::High,
            fill if fill >= u64::from(self.normal) * 10 => Level::Normal,
            _ => Level::Low,
        }
    }

    fn of_stall(&self, some: u64, full: u64) -> Level {
        if full >= u64::from(self.stall_critical) * 10 {
            Level::Critical
        } else if some >= u64::from(self.stall_high) * 10 {
            Level::High
        } else {
            Level::Low
        }
    }

    /// How much of what fills a limit must go before the level is no longer high; 0 when it is not.
    pub fn excess(&self, limit: u64, filled: u64) -> u64 {
        let percent = |percent: u32| (u128::from(limit) * u128::from(percent) / 100) as u64;
        let until = percent(self.high.saturating_sub(self.hysteresis));
        if filled >= percent(self.high) { (filled - until).max(1) } else { 0 }
    }

    /// How much what is filled so far may take more before another level begins.
    pub fn room(&self, limit: u64, filled: u64) -> u64 {
        let ends = [self.normal, self.high, self.critical].map(|percent| u128::from(limit) * u128::from(percent) / 100);
        ends.into_iter().find(|end| *end > u128::from(filled)).map_or(0, |end| end as u64 - filled)
    }

    /// How far what has this limit may be filled before the next level after `level` begins.
    pub fn next_rise(&self, limit: u64, level: Level) -> Option<u64> {
        let percent = match level {
            Level::Low => self.normal,
            Level::Normal => self.high,
            Level::High => self.critical,
            Level::Critical => return None,
        };
        (limit < u64::MAX).then(|| (u128::from(limit) * u128::from(percent) / 100) as u64)
    }
}

/// How full everything is, in thousandths; `None` where there is nothing to fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    pub limit: Option<u64>,
    pub group: Option<u64>,
    pub machine: Option<u64>,
    pub address_space: Option<u64>,
    /// Of the fullest node.
    pub node: Option<u64>,
    /// The shares of time in which some threads, and all threads, waited for memory.
    pub stall: Option<(u64, u64)>,
}

/// The level by one reason.
#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    level: Level,
    /// Since when a lower level would do.
    calm_since_ns: Option<u64>,
}

impl Gate {
    /// `rises_to` is what is read now, `holds` what it would be if the thresholds were lower by the hysteresis.
    fn pass(&mut self, rises_to: Level, holds: Level, now_ns: u64, cool_down_ns: u64) -> Level {
        if rises_to >= self.level {
            *self = Self { level: rises_to, calm_since_ns: None };
        } else if holds >= self.level {
            self.calm_since_ns = None;
        } else {
            let since_ns = *self.calm_since_ns.get_or_insert(now_ns);
            if now_ns.saturating_sub(since_ns) >= cool_down_ns {
                *self = Self { level: holds, calm_since_ns: None };
            }
        }
        self.level
    }
}

/// The level, and what it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub level: Level,
    pub reason: Reason,
}

/// Remembers what each reason came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judge {
    gates: [Gate; 6],
}

impl Judge {
    pub fn judge(&mut self, readings: &Readings, thresholds: &Thresholds, now_ns: u64) -> Verdict {
        // What is charged is known exactly, so nothing is to be waited for.
        let fills = [
            (Reason::Limit, readings.limit, 0, Level::Critical),
            (Reason::Group, readings.group, thresholds.cool_down_ns, Level::Critical),
            (Reason::Machine, readings.machine, thresholds.cool_down_ns, Level::Critical),
            (Reason::AddressSpace, readings.address_space, 0, Level::Critical),
            // The kernel goes to another node when one is full.
            (Reason::Node, readings.node, thresholds.cool_down_ns, Level::High),
        ];
        let mut verdict = Verdict::default();
        let [of_fills @ .., of_stall] = &mut self.gates;
        for (gate, (reason, fill, cool_down_ns, at_most)) in of_fills.iter_mut().zip(fills) {
            let level = |fill| thresholds.of_fill(fill).min(at_most);
            let rises_to = fill.map_or(Level::Low, level);
            let holds = fill.map_or(Level::Low, |fill| level(fill + u64::from(thresholds.hysteresis) * 10));
            verdict.note(gate.pass(rises_to, holds, now_ns, cool_down_ns), reason);
        }
        let (some, full) = readings.stall.unwrap_or_default();
        let by_stall = thresholds.of_stall(some, full);
        verdict.note(of_stall.pass(by_stall, by_stall, now_ns, thresholds.cool_down_ns), Reason::Stall);
        verdict
    }
}

impl Verdict {
    fn note(&mut self, level: Level, reason: Reason) {
        if level > self.level {
            *self = Self { level, reason };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn full(limit: u64) -> Readings {
        Readings { limit: Some(limit), ..Readings::default() }
    }

    #[test]
    fn a_level_rises_at_once_and_falls_below_its_hysteresis() {
        let thresholds = Thresholds::default();
        let mut judge = Judge::default();
        let mut level = |fill| judge.judge(&full(fill), &thresholds, 0).level;
        let fills = [0, 499, 500, 799, 800, 760, 751, 750, 749, 949, 950, 901, 900, 899, 0];
        use Level::*;
        assert_eq!(
            fills.map(&mut level),
            [Low, Low, Normal, Normal, High, High, High, High, Normal, High, Critical, Critical, Critical, High, Low]
        );
    }

    #[test]
    fn what_is_measured_must_stay_calm_for_a_while() {
        let thresholds = Thresholds::default();
        let mut judge = Judge::default();
        let mut at = |seconds: u64, some| {
            let readings = Readings { stall: Some((some, 0)), ..Readings::default() };
            judge.judge(&readings, &thresholds, seconds * SECOND_NS / 10)
        };
        let high = Verdict { level: Level::High, reason: Reason::Stall };
        assert_eq!(at(0, 99), Verdict::default());
        assert_eq!(at(1, 100), high);
        assert_eq!(at(2, 0), high);
        // One stall on the way begins the wait anew.
        assert_eq!(at(11, 150), high);
        assert_eq!(at(12, 0), high);
        assert_eq!(at(21, 0), high);
        assert_eq!(at(22, 0), Verdict::default());
    }

    #[test]
    fn the_worst_reason_is_told_and_a_node_is_never_critical() {
        let readings = Readings {
            limit: Some(600),
            group: Some(820),
            node: Some(1000),
            stall: Some((1000, 50)),
            ..Readings::default()
        };
        let verdict = Judge::default().judge(&readings, &Thresholds::default(), 0);
        assert_eq!(verdict, Verdict { level: Level::High, reason: Reason::Group });
        let verdict =
            Judge::default().judge(&Readings { stall: Some((1000, 100)), ..readings }, &Thresholds::default(), 0);
        assert_eq!(verdict, Verdict { level: Level::Critical, reason: Reason::Stall });
    }

    /// Against a plain model: whatever is read, the level is never below what the readings say, and never above what
    /// they say with the hysteresis, once it is calm for long enough.
    #[test]
    fn no_sequence_of_readings_leads_astray() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let thresholds = Thresholds { hysteresis: random.u32(0..50), ..Thresholds::default() };
            let mut judge = Judge::default();
            for step in 0..200 {
                let fill = random.u64(0..=1000);
                let level = judge.judge(&full(fill), &thresholds, step).level;
                assert!(level >= thresholds.of_fill(fill));
                assert!(level <= thresholds.of_fill(fill + u64::from(thresholds.hysteresis) * 10));
            }
        }
    }

    #[test]
    fn thresholds_out_of_order_are_named() {
        let refused = |thresholds: Thresholds| thresholds.checked().unwrap_err().to_string();
        let usual = Thresholds::default();
        assert_eq!(refused(Thresholds { normal: 0, ..usual }), "normal_percent is 0, but must be 1 to 100");
        assert!(refused(Thresholds { high: 40, ..usual }).starts_with("high_percent is 40, but must be at least"));
        assert!(refused(Thresholds { critical: 101, ..usual }).starts_with("critical_percent is 101"));
        assert!(refused(Thresholds { hysteresis: 50, ..usual }).starts_with("hysteresis_percent is 50"));
        assert_eq!([799, 800, 1000].map(|filled| usual.excess(1000, filled)), [0, 50, 250]);
        assert_eq!(usual.next_rise(1000, Level::Normal), Some(800));
        assert_eq!(usual.next_rise(u64::MAX, Level::Low), None);
    }
}
