//! A look at what the kernel tells: the limits as they are now, how far they are used, what this process really takes,
//! and how short memory is by all of that.

use super::level::{Judge, Level, Readings, Thresholds, Verdict};
use super::limit::{Bound, Ceiling, Configured, Limit, Limits, Source, thousandths};
use super::stall::{Meter, Places};
use super::watch::{self, Change};
use super::{account, keeper, root, rounds};
use crate::base::{InvalidField, clock};
use crate::memory::cgroup::{self, MemoryLimit};
use crate::memory::kernel::{self, Memory, Reread};
use crate::memory::system;
use parking_lot::Mutex;
use std::path::PathBuf;

/// How old a look may be, at most, when memory is taken.
pub const PERIOD_MS: u64 = 250;

/// How much a look reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All that there is.
    Whole,
    /// Limits, which anybody may change at any time, and stalls; of all else what may matter by now. Every file costs several
    /// microseconds of a processor that did something else before.
    Glance,
}

/// How old what a glance leaves out may be.
const WHOLE_PERIOD_NS: u64 = 2_000_000_000;
/// No machine's memory fills faster, in bytes for each nanosecond.
const FASTEST_FILL: u64 = 32;

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    pub limits: Limits,
    /// The memory of this process that is resident; measured, and never mixed with what is charged.
    pub resident: u64,
    /// The tightest limit of the control groups.
    pub group: Option<Bound>,
    pub machine: Memory,
    pub readings: Readings,
    pub verdict: Verdict,
    /// How much must go before the level is no longer high.
    pub excess: u64,
    pub alarm: AlarmState,
}

/// Whether the kernel wakes the thread when memory is short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlarmState {
    pub is_armed: bool,
    /// Why not, where it was tried; 0: it was not.
    pub errno: i32,
}

/// What the host wants of the governor.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub limit: Configured,
    pub thresholds: Thresholds,
    pub tick_ns: u64,
    /// How often the memory of each object is looked at again; `u64::MAX`: never.
    pub coverage_period_ns: u64,
    /// Nothing is asked back unless the host does.
    pub suggest_only: bool,
    /// The group that is asked; `None`: that of this process.
    pub group: Option<PathBuf>,
    /// Where the sums of stalls are read; `None`: where they are mostly found.
    pub pressure: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error("cgroup_folder is \"{}\", which has no file memory.current or memory.usage_in_bytes", .0.display())]
    NoGroup(PathBuf),
    #[error("pressure_file is \"{}\", which does not tell pressure stall information", .0.display())]
    NoPressure(PathBuf),
}

impl Config {
    pub fn checked(self) -> Result<Self, ConfigError> {
        const TICKS_NS: std::ops::RangeInclusive<u64> = 10_000_000..=60_000_000_000;
        self.limit.checked()?;
        self.thresholds.checked()?;
        if !TICKS_NS.contains(&self.tick_ns) {
            let bound = "must be 0, or 10000000 (10 ms) to 60000000000 (60 s)";
            return Err(InvalidField { field: "tick_ns", value: self.tick_ns, bound }.into());
        }
        if self.coverage_period_ns < *TICKS_NS.start() {
            let bound = "must be 0, at least 10000000 (10 ms), or OSTLER_FOREVER";
            return Err(InvalidField { field: "coverage_period_ns", value: self.coverage_period_ns, bound }.into());
        }
        match (&self.group, &self.pressure) {
            (Some(group), _) if !cgroup::is_memory_group(group) => Err(ConfigError::NoGroup(group.clone())),
            (_, Some(file)) if Meter::new(file).measure(0).is_none() => Err(ConfigError::NoPressure(file.clone())),
            _ => Ok(self),
        }
    }
}

/// What is looked at, and what is remembered of the last time.
struct Eyes {
    /// Somebody configured or watches the governor, so that levels have consequences.
    is_active: bool,
    limit: Configured,
    thresholds: Thresholds,
    tick_ns: u64,
    coverage_period_ns: u64,
    suggest_only: bool,
    meminfo: Reread,
    statm: Reread,
    /// The memory of each node, when there are several.
    nodes: Vec<Reread>,
    known: Known,
    /// For each bound, at a place of its own, what was used beside what is held.
    beside: Vec<Option<u64>>,
    groups_seen: u64,
    meter: Option<Meter>,
    /// Where stalls are told of, and the number of the configuration that said so.
    places: Option<Places>,
    orders: u64,
    alarm: AlarmState,
    judge: Judge,
    verdict: Verdict,
}

/// What was read, for glances.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The next look is a whole one, whatever was asked for.
    whole_due_ns: u64,
    machine: Memory,
    /// From so many bytes in use on the machine is at another level.
    machine_end: u64,
    /// Until then no memory that is there to be taken takes it there.
    machine_due_ns: u64,
    /// Bytes of address space, and of memory.
    process: Option<(u64, u64)>,
    /// Of the fullest node.
    node: Option<u64>,
}

impl Known {
    /// Whether so much memory of the machine is free that it does not matter what else could be freed, which takes the kernel
    /// longer to tell.
    fn is_enough_free(&mut self, now_ns: u64) -> bool {
        let Some((total, free)) = system::free_memory().filter(|(total, _)| *total == self.machine.total) else {
            return false;
        };
        let room = self.machine_end.saturating_sub(total.saturating_sub(free));
        self.machine_due_ns = now_ns + room / FASTEST_FILL;
        room > 0
    }
}

static EYES: Mutex<Option<Eyes>> = Mutex::new(None);

pub const DEFAULT_TICK_NS: u64 = PERIOD_MS * 1_000_000;

impl Eyes {
    fn new() -> Self {
        let nodes = kernel::allowed_nodes();
        Self {
            is_active: false,
            limit: Configured::default(),
            thresholds: Thresholds::default(),
            tick_ns: DEFAULT_TICK_NS,
            coverage_period_ns: rounds::DEFAULT_PERIOD_NS,
            suggest_only: false,
            meminfo: Reread::new("/proc/meminfo"),
            statm: Reread::new("/proc/self/statm"),
            // The memory of a single node is the machine's.
            nodes: nodes
                .iter()
                .filter(|_| nodes.len() > 1)
                .map(|node| Reread::new(kernel::node_meminfo(*node)))
                .collect(),
            known: Known::default(),
            beside: Vec::new(),
            groups_seen: 0,
            meter: None,
            places: None,
            orders: 0,
            alarm: AlarmState::default(),
            judge: Judge::default(),
            verdict: Verdict::default(),
        }
    }

    fn look(&mut self, depth: Depth) -> Sight {
        let now_ns = clock::monotonic_ns();
        // While memory is short, everything matters.
        let is_whole = depth == Depth::Whole || now_ns >= self.known.whole_due_ns || self.verdict.level >= Level::High;
        let address_space_limit = system::address_space_limit();
        self.read_what_changes(is_whole, address_space_limit.is_some(), now_ns);
        let totals = root::totals();
        let in_memory = totals.held - totals.in_huge_pool;
        let (mapped, resident) = self.known.process.unwrap_or((u64::MAX, u64::MAX));
        let machine = self.known.machine;

        let mut found = Found::new(in_memory, resident, self.thresholds, &mut self.beside);
        if machine.total > 0 {
            found.note(OF_MACHINE, machine.total, Source::Machine, machine.total.saturating_sub(machine.available));
        }
        if let Some(limit) = address_space_limit {
            found.note(OF_ADDRESS_SPACE, limit, Source::AddressSpace, mapped);
        }
        let mut groups = cgroup::MEMORY.lock();
        if is_whole {
            groups.look_for_groups();
        }
        let groups_seen = groups.bounds_of_known(|level, kind, bound| {
            let (source, place) = match kind {
                MemoryLimit::Max => (Source::GroupMax, 0),
                MemoryLimit::High => (Source::GroupHigh, 1),
                MemoryLimit::Older => (Source::GroupOlder, 0),
            };
            found.note(OF_GROUPS + 2 * level + place, bound.limit, source, bound.used);
        });
        drop(groups);
        let Found { of_kernel, ceiling, group, mut readings, mut excess, .. } = found;
        if groups_seen != self.groups_seen {
            // What was beside in one group says nothing of another.
            self.groups_seen = groups_seen;
            self.beside.clear();
        }
        let limits = Limits::of(self.limit, of_kernel, ceiling);
        if limits.configured != Limit::NONE {
            readings.limit = Some(thousandths(totals.held, limits.configured.bytes));
            excess = excess.max(self.thresholds.excess(limits.configured.bytes, totals.held));
        }
        readings.node = self.known.node;
        readings.stall = self.meter.as_mut().and_then(|meter| meter.measure(now_ns));
        let verdict = self.judge.judge(&readings, &self.thresholds, now_ns);
        if verdict.level >= Level::High && excess == 0 {
            // Stalls and nodes do not say how much would help.
            excess = totals.held / 16;
        }
        Sight { limits, resident, group, machine, readings, verdict, excess, alarm: self.alarm }
    }

    /// Reads what may be another than it was.
    fn read_what_changes(&mut self, is_whole: bool, is_address_space_limited: bool, now_ns: u64) {
        let mut buffer = [0; 4096];
        let known = &mut self.known;
        if is_whole || is_address_space_limited {
            known.process = self.statm.read(&mut buffer).and_then(kernel::process_memory_in);
        }
        if is_whole || (now_ns >= known.machine_due_ns && !known.is_enough_free(now_ns)) {
            known.machine = self.meminfo.read(&mut buffer).and_then(kernel::machine_memory_in).unwrap_or_default();
            let Memory { total, available, .. } = known.machine;
            let used = total - available.min(total);
            let room = self.thresholds.room(total, used);
            known.machine_end = used + room;
            known.machine_due_ns = now_ns + room / FASTEST_FILL;
        }
        if is_whole {
            known.whole_due_ns = now_ns + WHOLE_PERIOD_NS;
            let nodes = self.nodes.iter_mut().filter_map(|node| kernel::node_memory_in(node.read(&mut buffer)?));
            known.node = nodes.map(|node| thousandths(node.total.saturating_sub(node.available), node.total)).max();
        }
    }

    /// Makes what was found hold, and has a change told of.
    fn look_and_act(&mut self, depth: Depth) -> Sight {
        let sight = self.look(depth);
        root::set_limits(&sight.limits, clock::coarse_ms() + PERIOD_MS);
        let (before, now) = (self.verdict.level, sight.verdict.level);
        let ring_above = self.thresholds.next_rise(sight.limits.effective.bytes, now).unwrap_or(u64::MAX);
        root::set_level(self.is_active && now == Level::Critical, if self.is_active { ring_above } else { u64::MAX });
        self.verdict = sight.verdict;
        if !root::may_keep() {
            account::call_in_all();
        }
        if before != now && watch::is_any() {
            let held = root::totals().held;
            let limit = sight.limits.effective.bytes;
            watch::note(Change { level: now, before, reason: sight.verdict.reason, held, limit });
            keeper::ring();
        }
        sight
    }
}

/// The places of what is remembered of each bound; each group has two.
const OF_MACHINE: usize = 0;
const OF_ADDRESS_SPACE: usize = 1;
const OF_GROUPS: usize = 2;

/// What was found so far, and what the process holds.
struct Found<'a> {
    in_memory: u64,
    resident: u64,
    beside: &'a mut Vec<Option<u64>>,
    of_kernel: Limit,
    ceiling: Ceiling,
    group: Option<Bound>,
    readings: Readings,
    thresholds: Thresholds,
    excess: u64,
}

impl<'a> Found<'a> {
    fn new(in_memory: u64, resident: u64, thresholds: Thresholds, beside: &'a mut Vec<Option<u64>>) -> Self {
        Self {
            in_memory,
            resident,
            beside,
            of_kernel: Limit::NONE,
            ceiling: Ceiling::NONE,
            group: None,
            readings: Readings::default(),
            thresholds,
            excess: 0,
        }
    }

    fn note(&mut self, place: usize, limit: u64, source: Source, used: u64) {
        let bound = Bound { limit: Limit { bytes: limit, source }, used };
        if bound.limit.bytes < self.of_kernel.bytes {
            self.of_kernel = bound.limit;
        }
        self.note_ceiling(place, bound);
        // What is charged may come to be used at any moment.
        let filled = used.max(self.in_memory);
        let fill = thousandths(filled, limit);
        self.excess = self.excess.max(self.thresholds.excess(limit, filled));
        let reading = match source {
            Source::Machine => &mut self.readings.machine,
            Source::AddressSpace => &mut self.readings.address_space,
            _ => {
                if self.group.is_none_or(|group| bound.fill() > group.fill()) {
                    self.group = Some(bound);
                }
                &mut self.readings.group
            }
        };
        *reading = (*reading).max(Some(fill));
    }

    fn note_ceiling(&mut self, place: usize, bound: Bound) {
        // Address space is taken when memory is mapped, all else when it is touched.
        let is_address_space = bound.limit.source == Source::AddressSpace;
        let ours_at_most = if is_address_space { self.in_memory } else { self.in_memory.min(self.resident) };
        if self.beside.len() <= place {
            self.beside.resize(place + 1, None);
        }
        let Some(beside) = self.beside.get_mut(place) else { return };
        let ceiling = Ceiling::below(bound, ours_at_most, *beside);
        *beside = Some(ceiling.beside);
        if ceiling.held < self.ceiling.held {
            self.ceiling = ceiling;
        }
    }
}

/// Looks now; what is found holds from now on.
pub fn now(depth: Depth) -> Sight {
    EYES.lock().get_or_insert_with(Eyes::new).look_and_act(depth)
}

/// Looks, unless somebody else did a short time ago.
#[cold]
pub fn again_if_due() {
    if root::is_look_due() {
        now(Depth::Glance);
    }
}

/// From now on the host wants this, which is [`Config::checked`].
pub fn configure(config: Config) {
    let places = Places::find(config.pressure, cgroup::pressure_file(config.group.as_deref()));
    let mut eyes = EYES.lock();
    let eyes = eyes.get_or_insert_with(Eyes::new);
    (eyes.limit, eyes.thresholds) = (config.limit, config.thresholds);
    (eyes.tick_ns, eyes.suggest_only) = (config.tick_ns, config.suggest_only);
    eyes.coverage_period_ns = config.coverage_period_ns;
    eyes.watch_stalls(places);
    cgroup::MEMORY.lock().ask_instead(config.group);
    eyes.look_and_act(Depth::Whole);
}

/// Levels have consequences from now on, whether the host configured anything or not.
pub fn activate() {
    let mut eyes = EYES.lock();
    let eyes = eyes.get_or_insert_with(Eyes::new);
    if !eyes.is_active {
        eyes.is_active = true;
        if eyes.meter.is_none() {
            eyes.watch_stalls(Places::find(None, cgroup::pressure_file(None)));
        }
    }
    eyes.look_and_act(Depth::Whole);
}

/// As before the host said anything.
pub fn forget() {
    let mut eyes = EYES.lock();
    let eyes = eyes.get_or_insert_with(Eyes::new);
    let (orders, verdict) = (eyes.orders + 1, eyes.verdict);
    *eyes = Eyes { orders, verdict, ..Eyes::new() };
    cgroup::MEMORY.lock().ask_instead(None);
    eyes.look_and_act(Depth::Whole);
}

impl Eyes {
    fn watch_stalls(&mut self, places: Option<Places>) {
        self.meter = places.as_ref().map(|places| Meter::new(&places.sums));
        self.places = places;
        self.alarm = AlarmState::default();
        self.orders += 1;
    }
}

/// How long the thread sleeps.
pub fn tick_ns() -> u64 {
    EYES.lock().as_ref().map_or(DEFAULT_TICK_NS, |eyes| eyes.tick_ns)
}

/// How often it looks at the memory of each object.
pub fn coverage_period_ns() -> u64 {
    EYES.lock().as_ref().map_or(rounds::DEFAULT_PERIOD_NS, |eyes| eyes.coverage_period_ns)
}

/// What the host set, and where levels begin.
pub fn settings() -> (Configured, Thresholds) {
    EYES.lock().as_ref().map_or_else(Default::default, |eyes| (eyes.limit, eyes.thresholds))
}

/// Whether memory is asked back only when the host does so.
pub fn is_suggesting_only() -> bool {
    EYES.lock().as_ref().is_none_or(|eyes| eyes.suggest_only || !eyes.is_active)
}

/// Where alarms come from and from which share of stalls on, if that is not what was known under this number.
pub fn orders(known: u64) -> Option<(u64, Option<Places>, u32)> {
    let eyes = EYES.lock();
    let eyes = eyes.as_ref().filter(|eyes| eyes.orders != known)?;
    Some((eyes.orders, eyes.places.clone(), eyes.thresholds.stall_high))
}

pub fn note_alarm(is_armed: bool, errno: i32) {
    if let Some(eyes) = EYES.lock().as_mut() {
        eyes.alarm = AlarmState { is_armed, errno };
    }
}

/// Whether threads waited for memory since the last look.
pub fn is_stalled_since() -> bool {
    EYES.lock().as_mut().and_then(|eyes| eyes.meter.as_mut()).is_some_and(Meter::has_grown)
}
