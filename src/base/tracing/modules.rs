//! The program and its shared libraries, each known by its file. An address becomes a module and an offset in it, which
//! means the same in the next run, and after the module was unloaded and another one took its place.

use crate::base::alloc;
use parking_lot::{Mutex, RwLock};
use std::ffi::{CStr, c_int, c_void};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A place in a module's file. Module 0 is memory that belongs to none, such as code made at run time; the offset is
/// the address then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(u64);

const OFFSET_BITS: u32 = 48;

impl Place {
    fn new(module: u16, offset: u64) -> Self {
        Self((u64::from(module) << OFFSET_BITS) | (offset & ((1 << OFFSET_BITS) - 1)))
    }

    pub fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub fn word(self) -> u64 {
        self.0
    }

    pub fn offset(self) -> u64 {
        self.0 & ((1 << OFFSET_BITS) - 1)
    }

    pub fn module(self) -> Option<Arc<Module>> {
        let index = usize::from((self.0 >> OFFSET_BITS) as u16).checked_sub(1)?;
        MODULES.lock().get(index).cloned()
    }
}

/// A file of code that is or was loaded.
#[derive(Debug, PartialEq, Eq)]
pub struct Module {
    pub path: String,
    /// What its linker left in it to tell it from other builds; empty when there is none.
    pub build_id: Vec<u8>,
}

impl Module {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl fmt::Display for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)
    }
}

/// Every module that was ever seen; their numbers are their places here plus 1.
static MODULES: Mutex<Vec<Arc<Module>>> = Mutex::new(Vec::new());
static LOADED: RwLock<Loaded> = RwLock::new(Loaded { changes: Changes { adds: 0, subs: 0 }, parts: Vec::new() });

/// What is mapped now.
struct Loaded {
    changes: Changes,
    /// In the order of their addresses.
    parts: Vec<Part>,
}

/// How many modules the loader has ever loaded and unloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    adds: u64,
    subs: u64,
}

impl Changes {
    #[cfg(test)]
    pub fn of(adds: u64, subs: u64) -> Self {
        Self { adds, subs }
    }

    /// More with each.
    #[inline]
    pub fn count(self) -> u64 {
        self.adds.wrapping_add(self.subs)
    }
}

/// A stretch of a module's code.
#[derive(Clone, Debug)]
struct Part {
    addresses: Range<u64>,
    /// Added to an offset it is the address.
    base: u64,
    module: u16,
}

/// Makes places of addresses, in place.
pub fn locate(addresses: &mut [u64]) {
    let changes = changes();
    let mut loaded = LOADED.read();
    if loaded.changes != changes {
        drop(loaded);
        look_again();
        loaded = LOADED.read();
    }
    for address in addresses {
        *address = loaded.place_of(*address).0;
    }
}

/// The place of one address.
pub fn place_of(address: u64) -> Place {
    let mut place = [address];
    locate(&mut place);
    Place(place[0])
}

impl Loaded {
    fn place_of(&self, address: u64) -> Place {
        let after = self.parts.partition_point(|part| part.addresses.start <= address);
        match after.checked_sub(1).and_then(|index| self.parts.get(index)) {
            Some(part) if part.addresses.contains(&address) => Place::new(part.module, address.wrapping_sub(part.base)),
            _ => Place::new(0, address),
        }
    }
}

/// Reads the loader's list anew.
fn look_again() {
    let mut seen = Seen::default();
    // No lock of ours is held: the loader has one of its own, and may call us under it.
    each_module(&mut |found| {
        seen.changes = found.changes();
        seen.add(found);
        true
    });
    seen.parts.sort_unstable_by_key(|part| part.addresses.start);
    let mut loaded = LOADED.write();
    if (loaded.changes.adds, loaded.changes.subs) <= (seen.changes.adds, seen.changes.subs) {
        *loaded = Loaded { changes: seen.changes, parts: seen.parts };
    }
}

#[derive(Default)]
struct Seen {
    changes: Changes,
    parts: Vec<Part>,
}

impl Seen {
    /// A module for which there is no memory stays unknown.
    fn add(&mut self, found: &Found) {
        let Some(module) = number_of(found) else { return };
        for addresses in found.code() {
            if alloc::try_reserve_one(&mut self.parts).is_err() {
                return;
            }
            self.parts.push(Part { addresses, base: found.base(), module });
        }
    }
}

fn number_of(found: &Found) -> Option<u16> {
    let module = Module { path: found.path(), build_id: found.build_id().to_vec() };
    let mut modules = MODULES.lock();
    let index = match modules.iter().position(|known| **known == module) {
        Some(index) => index,
        None => {
            alloc::try_reserve_one(&mut modules).ok()?;
            modules.push(alloc::try_arc(module).ok()?);
            modules.len() - 1
        }
    };
    u16::try_from(index + 1).ok()
}

/// Where the shared library with this address in its code is mapped; `None` when it is the program itself.
pub fn library_around(address: u64) -> Option<Range<u64>> {
    let mut around = None;
    each_module(&mut |found| {
        if !found.code().any(|part| part.contains(&address)) {
            return true;
        }
        let bounds = found.code().reduce(|all, part| all.start.min(part.start)..all.end.max(part.end));
        around = bounds.filter(|_| !found.is_program());
        false
    });
    around
}

/// How the modules have changed up to now.
pub fn changes() -> Changes {
    let mut changes = Changes::default();
    each_module(&mut |found| {
        changes = found.changes();
        false
    });
    changes
}

/// A part of a module that is mapped for reading.
pub struct Section<'a> {
    pub start: u64,
    pub bytes: &'a [u8],
}

/// The unwind tables of a module, and the index by which an address is found in them.
pub struct Tables<'a> {
    pub index: Section<'a>,
    /// From the begin of the tables as far as they can reach.
    pub frames: Section<'a>,
}

/// Shows the tables of the module that has an address in its code, if it has any.
pub fn with_tables(address: u64, mut show: impl FnMut(&Tables)) {
    each_module(&mut |found| {
        let is_here = found.code().any(|part| part.contains(&address));
        if is_here && let Some(tables) = found.tables() {
            show(&tables);
        }
        !is_here
    });
}

/// A module as the loader shows it.
struct Found<'a>(&'a libc::dl_phdr_info);

impl Found<'_> {
    fn changes(&self) -> Changes {
        Changes { adds: self.0.dlpi_adds, subs: self.0.dlpi_subs }
    }

    fn base(&self) -> u64 {
        self.0.dlpi_addr
    }

    fn given_path(&self) -> &[u8] {
        if self.0.dlpi_name.is_null() {
            return &[];
        }
        // SAFETY: the loader's string, alive during its call.
        unsafe { CStr::from_ptr(self.0.dlpi_name) }.to_bytes()
    }

    fn is_program(&self) -> bool {
        self.given_path().is_empty()
    }

    fn path(&self) -> String {
        if self.is_program() {
            return std::fs::read_link("/proc/self/exe")
                .map_or_else(|_| "(program)".to_owned(), |path| path.to_string_lossy().into_owned());
        }
        String::from_utf8_lossy(self.given_path()).into_owned()
    }

    fn headers(&self) -> &[libc::Elf64_Phdr] {
        if self.0.dlpi_phdr.is_null() {
            return &[];
        }
        // SAFETY: the loader's own table, alive during its call.
        unsafe { std::slice::from_raw_parts(self.0.dlpi_phdr, usize::from(self.0.dlpi_phnum)) }
    }

    fn segments(&self, kind: u32) -> impl Iterator<Item = (&libc::Elf64_Phdr, Range<u64>)> {
        self.headers().iter().filter(move |header| header.p_type == kind).map(|header| {
            let start = self.base().wrapping_add(header.p_vaddr);
            (header, start..start.wrapping_add(header.p_memsz))
        })
    }

    fn code(&self) -> impl Iterator<Item = Range<u64>> {
        self.segments(libc::PT_LOAD).filter(|(header, _)| header.p_flags & libc::PF_X != 0).map(|(_, range)| range)
    }

    /// Of a segment, or of a part of one, that is mapped for reading as notes and tables are.
    fn section(&self, range: Range<u64>) -> Section<'_> {
        let bytes = (range.end - range.start) as usize;
        // SAFETY: the module is loaded during the call.
        Section { start: range.start, bytes: unsafe { std::slice::from_raw_parts(range.start as *const u8, bytes) } }
    }

    fn tables(&self) -> Option<Tables<'_>> {
        let (_, index) = self.segments(libc::PT_GNU_EH_FRAME).next()?;
        // Version, three encodings, and where the tables begin: nearly always from here, in four bytes.
        const FROM_HERE: u8 = 0x1b;
        let head = self.section(index.clone());
        let [1, FROM_HERE, _, _, distance @ ..] = *head.bytes.first_chunk::<8>()? else { return None };
        let start = (index.start + 4).wrapping_add_signed(i32::from_ne_bytes(distance).into());
        let (_, around) = self.segments(libc::PT_LOAD).find(|(_, range)| range.contains(&start))?;
        Some(Tables { index: head, frames: self.section(start..around.end) })
    }

    fn build_id(&self) -> &[u8] {
        const NT_GNU_BUILD_ID: u32 = 3;
        self.segments(libc::PT_NOTE)
            .find_map(|(_, range)| note(self.section(range).bytes, b"GNU\0", NT_GNU_BUILD_ID))
            .unwrap_or_default()
    }
}

/// The contents of the note with this name and kind.
fn note<'a>(mut notes: &'a [u8], name: &[u8], kind: u32) -> Option<&'a [u8]> {
    let padded = |bytes: u32| (bytes as usize).next_multiple_of(4);
    loop {
        let (head, rest) = notes.split_first_chunk::<12>()?;
        let word = |at: usize| Some(u32::from_ne_bytes(*head.get(at..)?.first_chunk()?));
        let (name_bytes, bytes, found_kind) = (word(0)?, word(4)?, word(8)?);
        let found_name = rest.get(..name_bytes as usize)?;
        let rest = rest.get(padded(name_bytes)..)?;
        if found_kind == kind && found_name == name {
            return rest.get(..bytes as usize);
        }
        notes = rest.get(padded(bytes)..)?;
    }
}

/// Shows every module to `visit`, until it says `false`.
fn each_module(visit: &mut dyn FnMut(&Found) -> bool) {
    extern "C" fn one(info: *mut libc::dl_phdr_info, _: usize, visit: *mut c_void) -> c_int {
        // SAFETY: the loader's entry, and the closure that `each_module` passed, both alive during the call.
        let (info, visit) = unsafe { (&*info, &mut *visit.cast::<&mut dyn FnMut(&Found) -> bool>()) };
        c_int::from(!visit(&Found(info)))
    }
    let mut visit = visit;
    // SAFETY: `one` is called with this closure only while it is alive, and does not unwind: nothing in it panics.
    unsafe { libc::dl_iterate_phdr(Some(one), (&raw mut visit).cast()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_program_is_found_again_by_its_offset() {
        let address = an_address_of_the_program_is_found_again_by_its_offset as *const () as u64;
        let mut places = [address, address + 1, 16];
        locate(&mut places);
        let places = places.map(Place::from_word);
        let module = places[0].module().unwrap();
        assert_eq!(module.path, std::env::current_exe().unwrap().to_string_lossy());
        assert_eq!(places[1].offset(), places[0].offset() + 1);
        assert_eq!((places[2].module(), places[2].offset()), (None, 16));
        assert_eq!(library_around(address), None);
    }

    #[test]
    fn a_library_is_told_from_the_program() {
        let around = library_around(libc::getpid as *const () as u64).unwrap();
        assert!(around.contains(&(libc::getpid as *const () as u64)));
        let mut place = [libc::getpid as *const () as u64];
        locate(&mut place);
        assert!(Place::from_word(place[0]).module().unwrap().name().starts_with("libc"));
    }

    #[test]
    fn notes_that_are_cut_short_have_nothing_to_say() {
        let mut notes = Vec::new();
        for word in [4u32, 3, 1] {
            notes.extend(word.to_ne_bytes());
        }
        notes.extend(b"GNU\0abc\0");
        for word in [4u32, 2, 3] {
            notes.extend(word.to_ne_bytes());
        }
        notes.extend(b"GNU\0\x12\x34");
        assert_eq!(note(&notes, b"GNU\0", 3), Some(&[0x12, 0x34][..]));
        for len in 0..notes.len() {
            assert_eq!(note(&notes[..len], b"GNU\0", 3), None);
        }
    }
}
