//! A look at what the kernel tells: the limits as they are now, how far they are used, what this process really takes.

use super::limit::{Bound, Ceiling, Configured, Limit, Limits, Source};
use super::root;
use crate::base::{InvalidField, clock};
use crate::memory::cgroup::{self, MemoryLimit};
use crate::memory::kernel::{self, Memory, Reread};
use parking_lot::Mutex;
use std::path::PathBuf;

/// How old a look may be, at most, when memory is taken.
pub const PERIOD_MS: u64 = 250;

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    pub limits: Limits,
    /// The memory of this process that is resident; measured, and never mixed with what is charged.
    pub resident: u64,
    /// The tightest limit of the control groups.
    pub group: Option<Bound>,
    pub machine: Memory,
}

/// What is looked at, and what is remembered of the last time.
struct Eyes {
    configured: Configured,
    meminfo: Reread,
    statm: Reread,
    /// For each bound in the order of reading, what was used beside what is held.
    beside: Vec<Option<u64>>,
    groups_seen: u64,
}

static EYES: Mutex<Option<Eyes>> = Mutex::new(None);

impl Eyes {
    fn new() -> Self {
        Self {
            configured: Configured::default(),
            meminfo: Reread::new("/proc/meminfo"),
            statm: Reread::new("/proc/self/statm"),
            beside: Vec::new(),
            groups_seen: 0,
        }
    }

    fn look(&mut self) -> Sight {
        let totals = root::totals();
        let in_memory = totals.held - totals.in_huge_pool;
        let mut buffer = [0; 4096];
        let process = self.statm.read(&mut buffer).and_then(kernel::process_memory_in);
        let (mapped, resident) = process.unwrap_or((u64::MAX, u64::MAX));
        let machine = self.meminfo.read(&mut buffer).and_then(kernel::machine_memory_in).unwrap_or_default();

        let mut found = Found { eyes: self, of_kernel: Limit::NONE, ceiling: Ceiling::NONE, group: None, place: 0 };
        if machine.total > 0 {
            let used = machine.total.saturating_sub(machine.available);
            found.note(
                Bound { limit: Limit { bytes: machine.total, source: Source::Machine }, used },
                in_memory.min(resident),
            );
        }
        if let Some(bytes) = address_space_limit() {
            found.note(Bound { limit: Limit { bytes, source: Source::AddressSpace }, used: mapped }, in_memory);
        }
        let seen = cgroup::MEMORY.lock().bounds(|kind, bound| {
            let source = match kind {
                MemoryLimit::Max => Source::GroupMax,
                MemoryLimit::High => Source::GroupHigh,
                MemoryLimit::Older => Source::GroupOlder,
            };
            found
                .note(Bound { limit: Limit { bytes: bound.limit, source }, used: bound.used }, in_memory.min(resident));
        });
        let (of_kernel, ceiling, group) = (found.of_kernel, found.ceiling, found.group);
        if seen != self.groups_seen {
            // What was beside in one group says nothing of another.
            self.groups_seen = seen;
            self.beside.clear();
        }
        Sight { limits: Limits::of(self.configured, of_kernel, ceiling), resident, group, machine }
    }
}

/// What was found so far.
struct Found<'a> {
    eyes: &'a mut Eyes,
    of_kernel: Limit,
    ceiling: Ceiling,
    group: Option<Bound>,
    place: usize,
}

impl Found<'_> {
    fn note(&mut self, bound: Bound, ours_at_most: u64) {
        if self.eyes.beside.len() <= self.place {
            self.eyes.beside.resize(self.place + 1, None);
        }
        let Some(beside) = self.eyes.beside.get_mut(self.place) else { return };
        let ceiling = Ceiling::below(bound, ours_at_most, *beside);
        *beside = Some(ceiling.beside);
        self.place += 1;
        if ceiling.held < self.ceiling.held {
            self.ceiling = ceiling;
        }
        if bound.limit.bytes < self.of_kernel.bytes {
            self.of_kernel = bound.limit;
        }
        let of_group = matches!(bound.limit.source, Source::GroupMax | Source::GroupHigh | Source::GroupOlder);
        if of_group && self.group.is_none_or(|group| bound.fill() > group.fill()) {
            self.group = Some(bound);
        }
    }
}

fn address_space_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) } == 0;
    (told && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Looks now; the limits that are found hold from now on.
pub fn now() -> Sight {
    look_with(EYES.lock().get_or_insert_with(Eyes::new))
}

fn look_with(eyes: &mut Eyes) -> Sight {
    let sight = eyes.look();
    root::set_limits(&sight.limits, clock::coarse_ms() + PERIOD_MS);
    sight
}

/// Looks, unless somebody else did a short time ago.
#[cold]
pub fn again_if_due() {
    if root::is_look_due() {
        now();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigureError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error("cgroup_folder is \"{}\", which has no file memory.current or memory.usage_in_bytes", .0.display())]
    NoGroup(PathBuf),
}

/// What the host sets from now on, and whose groups are asked.
pub fn configure(configured: Configured, folder: Option<PathBuf>) -> Result<(), ConfigureError> {
    let configured = configured.checked()?;
    if let Some(folder) = &folder
        && !cgroup::is_memory_group(folder)
    {
        return Err(ConfigureError::NoGroup(folder.clone()));
    }
    let mut eyes = EYES.lock();
    let eyes = eyes.get_or_insert_with(Eyes::new);
    eyes.configured = configured;
    cgroup::MEMORY.lock().ask_instead(folder);
    look_with(eyes);
    Ok(())
}
