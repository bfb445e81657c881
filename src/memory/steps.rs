//! Why a chunk is less than was asked: the steps of the ladder that did not hold, and the options that were refused.

use super::policy::Pages;
use super::system::Errno;
use std::fmt;

/// What kept a page size, a node or an option from being had. The numbers are those of OSTLER_LIMIT_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Limit {
    #[default]
    None = 0,
    HugePagePool = 1,
    HugetlbCgroup = 2,
    MemoryCgroup = 3,
    NodeMemory = 4,
    PolicyRefused = 5,
    ThpDisabled = 6,
    AddressSpace = 7,
    PageSizeUnknown = 8,
    ChunkTooSmall = 9,
    KernelTooOld = 10,
    LockedMemory = 11,
    NodeUnknown = 12,
    OptionRefused = 13,
    NoCpu = 14,
    ThreadRefused = 15,
    NotVerified = 16,
    Governor = 17,
}

impl Limit {
    pub fn words(self) -> &'static str {
        match self {
            Limit::None => "no limit",
            Limit::HugePagePool => "the pool of huge pages is short (nr_hugepages)",
            Limit::HugetlbCgroup => "the control group allows no more huge pages (hugetlb limit)",
            Limit::MemoryCgroup => "the control group has too little memory left (memory limit)",
            Limit::NodeMemory => "too little free memory, or no free block of that size",
            Limit::PolicyRefused => "the kernel or a sandbox refused the memory policy",
            Limit::ThpDisabled => "transparent huge pages are switched off",
            Limit::AddressSpace => "address space is short (RLIMIT_AS, vm.max_map_count or overcommit)",
            Limit::PageSizeUnknown => "this kernel has no pages of that size",
            Limit::ChunkTooSmall => "the chunk is smaller than such a page",
            Limit::KernelTooOld => "the kernel is too old for that",
            Limit::LockedMemory => "so much memory may not be locked (RLIMIT_MEMLOCK)",
            Limit::NodeUnknown => "no node with memory that this process may use is known to be the one",
            Limit::OptionRefused => "the kernel or a sandbox refused to keep it out of forks or core dumps",
            Limit::NoCpu => "no CPU of the node may be used, so nothing can be touched there first",
            Limit::ThreadRefused => {
                "no thread could be run on a CPU of the node (sched_setaffinity, or a limit on threads)"
            }
            Limit::NotVerified => "the kernel does not tell where all of it is",
            Limit::Governor => "the governor's limit leaves no room, or memory is critically short",
        }
    }
}

/// One step that did not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub tried: Pages,
    pub limit: Limit,
    /// 0 when no system call failed.
    pub errno: Errno,
}

/// The steps of one chunk: four page sizes, and refused policies and options among them.
pub const MAX_STEPS: usize = 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    steps: [Step; MAX_STEPS],
    len: usize,
}

impl Steps {
    pub fn note(&mut self, step: Step) {
        if self.as_slice().contains(&step) {
            return;
        }
        if let Some(place) = self.steps.get_mut(self.len) {
            *place = step;
            self.len += 1;
        }
    }

    pub fn as_slice(&self) -> &[Step] {
        &self.steps[..self.len]
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.as_slice().iter().enumerate() {
            let comma = if index > 0 { "; " } else { "" };
            write!(formatter, "{comma}{}: {}", step.tried, step.limit.words())?;
            if step.errno != 0 {
                write!(formatter, " [errno {}]", step.errno)?;
            }
        }
        Ok(())
    }
}
