//! What a mapping can be beside its pages and nodes: locked, guarded, kept out of forks and core dumps, named.

use super::super::policy::Pages;
use super::super::source::PageSource;
use super::super::system::{self, Errno};
use super::{Limit, Mapping, Step, Steps};
use std::ffi::CString;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// A set of options. The numbers are those of OSTLER_OPTION_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options(pub u32);

impl Options {
    pub const PREFAULTED: Self = Self(1);
    pub const LOCKED: Self = Self(2);
    pub const GUARDED: Self = Self(4);
    pub const NOT_FORKED: Self = Self(8);
    pub const NOT_DUMPED: Self = Self(16);
    pub const NAMED: Self = Self(32);

    const NAMES: [(Self, &str); 6] = [
        (Self::PREFAULTED, "prefaulted"),
        (Self::LOCKED, "locked"),
        (Self::GUARDED, "guarded"),
        (Self::NOT_FORKED, "not forked"),
        (Self::NOT_DUMPED, "not dumped"),
        (Self::NAMED, "named"),
    ];

    pub fn asked(source: &PageSource) -> Self {
        let mut asked = Self::default();
        let wishes = [
            (source.prefault, Self::PREFAULTED),
            (source.lock, Self::LOCKED),
            (source.guard, Self::GUARDED),
            (source.exclude_fork, Self::NOT_FORKED),
            (source.exclude_dump, Self::NOT_DUMPED),
        ];
        wishes.iter().filter(|(wish, _)| *wish).for_each(|(_, option)| asked.add(*option));
        asked
    }

    pub fn has(self, option: Self) -> bool {
        self.0 & option.0 == option.0
    }

    pub fn add(&mut self, option: Self) {
        self.0 |= option.0;
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(option, _)| self.has(*option)).map(|(_, name)| name)
    }
}

impl Mapping {
    /// Keeps the mapping out of forks and core dumps, before anything is in it. Explicit huge pages are always kept
    /// out of forks: a forked child would share them copy-on-write, and with an empty pool its first write is a SIGBUS.
    pub(super) fn exclude(&mut self, source: &PageSource, steps: &mut Steps) -> Result<(), Step> {
        let is_explicit = self.is_explicit();
        let wishes = [
            (source.exclude_fork || is_explicit, Options::NOT_FORKED, libc::MADV_DONTFORK, is_explicit),
            (source.exclude_dump, Options::NOT_DUMPED, libc::MADV_DONTDUMP, false),
        ];
        for (_, option, advice, must) in wishes.into_iter().filter(|(wish, ..)| *wish) {
            match self.advise(advice) {
                Ok(()) => self.options.add(option),
                Err(errno) => {
                    let step = Step { tried: self.pages, limit: Limit::OptionRefused, errno };
                    if must || source.strict {
                        return Err(step);
                    }
                    steps.note(step);
                }
            }
        }
        Ok(())
    }

    /// Locks pages as they come, so that populating stays within what was admitted. Explicit huge pages never leave
    /// memory, and need no lock.
    pub(super) fn lock(&mut self) -> Result<(), Errno> {
        if !self.is_explicit() {
            // SAFETY: the range is this mapping; locking changes no contents.
            unsafe { system::lock_on_fault(self.address(), self.bytes)? };
        }
        self.options.add(Options::LOCKED);
        Ok(())
    }

    /// From now on it can only be read.
    pub fn seal(&self) -> Result<(), Errno> {
        // SAFETY: the range is this mapping, which whoever seals it no longer writes to.
        unsafe { system::protect(self.address(), self.bytes) }
    }

    /// A name of its own keeps the kernel from merging neighbouring chunks, so that smaps tells of each alone. Explicit
    /// huge pages got theirs when they were mapped.
    pub(super) fn name(&mut self, name: &CString) {
        if !self.is_explicit() && system::name(self.address(), self.bytes, name).is_ok() {
            self.options.add(Options::NAMED);
        }
    }

    pub(super) fn is_explicit(&self) -> bool {
        matches!(self.pages, Pages::Huge2M | Pages::Huge1G)
    }
}

/// What the kernel's list of mappings shows.
pub fn name_of_mapping(name: &str) -> CString {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let allowed = |c: char| c.is_ascii_graphic() && !"\\`$[]/".contains(c);
    let name: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    let serial = SERIAL.fetch_add(1, Relaxed);
    CString::new(format!("ostler:{name}:{serial}")).unwrap_or_default()
}
