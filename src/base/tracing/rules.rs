//! How the frame of a caller is found from that of its callee: a rule for each address in the code, read from the unwind
//! tables once and then kept, since to read them takes most of what it costs to walk a stack. Only the plain rules that
//! compilers write for nearly all code are kept; a stack with another one is left to the unwinder of the compiler's.
//!
//! The kept rules are a table of a fixed size, which forgets the older of two that have the same place. Looking one up takes
//! no lock. What was read before a module came or went is read anew.

use super::modules::{self, Changes, Place, Tables};
use addr2line::gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, Error, NativeEndian, Register, RegisterRule, UnwindContext,
    UnwindContextStorage, UnwindSection, UnwindTableRow, X86_64,
};
use std::sync::atomic::{AtomicU64, Ordering::*, fence};

/// What a frame says of its caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// There is none, or nothing is known of it.
    Last,
    /// Too much is to be done for what a kept rule can say.
    Involved,
    Plain(Plain),
}

/// Where the caller's frame begins (the canonical frame address), and what it had in its frame pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// From the frame pointer, else from the stack pointer.
    pub is_from_frame_pointer: bool,
    pub distance: i32,
    /// Where it was saved, in words from there; else it was left as it is.
    pub saved_frame_pointer: Option<i8>,
}

const LAST: u64 = 1;
const INVOLVED: u64 = 2;
const PLAIN: u64 = 3;
const FROM_FRAME_POINTER: u64 = 1 << 2;
const IS_SAVED: u64 = 1 << 3;
const SAVED_SHIFT: u32 = 8;
const DISTANCE_SHIFT: u32 = 32;

impl Rule {
    fn word(self) -> u64 {
        let Rule::Plain(plain) = self else { return if self == Rule::Last { LAST } else { INVOLVED } };
        let base = if plain.is_from_frame_pointer { FROM_FRAME_POINTER } else { 0 };
        let saved = plain.saved_frame_pointer.map_or(0, |words| IS_SAVED | u64::from(words as u8) << SAVED_SHIFT);
        PLAIN | base | saved | u64::from(plain.distance as u32) << DISTANCE_SHIFT
    }

    fn of_word(word: u64) -> Self {
        match word & 3 {
            PLAIN => Rule::Plain(Plain {
                is_from_frame_pointer: word & FROM_FRAME_POINTER != 0,
                distance: (word >> DISTANCE_SHIFT) as i32,
                saved_frame_pointer: (word & IS_SAVED != 0).then_some((word >> SAVED_SHIFT) as i8),
            }),
            LAST => Rule::Last,
            _ => Rule::Involved,
        }
    }
}

/// An address in the code as it is known now.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub place: Place,
    pub rule: Rule,
}

/// What is known of an address in the code of a frame that is on the stack, where the modules are as they were after those
/// changes.
pub fn at(address: u64, changes: Changes) -> Known {
    let kept = &KEPT[slot_of(address)];
    kept.read(address, changes).unwrap_or_else(|| {
        let known = Known { place: modules::place_of(address), rule: read(address) };
        kept.write(address, changes, known);
        known
    })
}

const SLOTS: usize = 1 << 12;
static KEPT: [Kept; SLOTS] = [const { Kept::NOTHING }; SLOTS];

fn slot_of(address: u64) -> usize {
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize % SLOTS
}

/// The words belong together when the address is the same before and after they were read.
struct Kept {
    address: AtomicU64,
    changes: AtomicU64,
    place: AtomicU64,
    rule: AtomicU64,
}

/// No addresses of any code.
const NOWHERE: u64 = 0;
const WRITING: u64 = 1;

impl Kept {
    #[allow(clippy::declare_interior_mutable_const)] // each use is to be one of its own
    const NOTHING: Self = Self {
        address: AtomicU64::new(NOWHERE),
        changes: AtomicU64::new(0),
        place: AtomicU64::new(0),
        rule: AtomicU64::new(0),
    };

    #[inline]
    fn read(&self, address: u64, changes: Changes) -> Option<Known> {
        if self.address.load(Acquire) != address || self.changes.load(Relaxed) != changes.count() {
            return None;
        }
        let place = Place::from_word(self.place.load(Relaxed));
        let rule = Rule::of_word(self.rule.load(Relaxed));
        fence(Acquire);
        (self.address.load(Relaxed) == address).then_some(Known { place, rule })
    }

    /// Of several that would write one does.
    fn write(&self, address: u64, changes: Changes, known: Known) {
        let before = self.address.load(Relaxed);
        if before == WRITING || self.address.compare_exchange(before, WRITING, Acquire, Relaxed).is_err() {
            return;
        }
        // Whoever reads one of the words that come now sees that they are being written.
        fence(Release);
        self.changes.store(changes.count(), Relaxed);
        self.place.store(known.place.word(), Relaxed);
        self.rule.store(known.rule.word(), Relaxed);
        self.address.store(address, Release);
    }
}

/// Reads the rule for an address from the tables of its module.
#[cold]
fn read(address: u64) -> Rule {
    let mut rule = Rule::Involved;
    modules::with_tables(address, |tables| rule = rule_of(tables, address));
    rule
}

/// Room for what compilers write, without an allocation.
struct OnTheStack;

impl UnwindContextStorage<usize> for OnTheStack {
    type Rules = [(Register, RegisterRule<usize>); 32];
    type Stack = [UnwindTableRow<usize, Self>; 4];
}

fn rule_of(tables: &Tables, address: u64) -> Rule {
    match row_of(tables, address) {
        Ok(rule) => rule,
        // Code without tables, as Go has it.
        Err(Error::NoUnwindInfoForAddress) => Rule::Last,
        Err(_) => Rule::Involved,
    }
}

fn row_of(tables: &Tables, address: u64) -> Result<Rule, Error> {
    let bases = BaseAddresses::default().set_eh_frame_hdr(tables.index.start).set_eh_frame(tables.frames.start);
    let index = EhFrameHdr::new(tables.index.bytes, NativeEndian).parse(&bases, 8)?;
    let frames = EhFrame::new(tables.frames.bytes, NativeEndian);
    // The compiler's unwinder looks through all of them.
    let Some(table) = index.table() else { return Ok(Rule::Involved) };
    let entry = table.fde_for_address(&frames, &bases, address, EhFrame::cie_from_offset)?;
    if entry.is_signal_trampoline() {
        return Ok(Rule::Involved);
    }
    let mut context = UnwindContext::<usize, OnTheStack>::new_in();
    Ok(rule_in(entry.unwind_info_for_address(&frames, &bases, &mut context, address)?))
}

fn rule_in(row: &UnwindTableRow<usize, OnTheStack>) -> Rule {
    match row.register(X86_64::RA) {
        Some(RegisterRule::Undefined) => return Rule::Last,
        Some(RegisterRule::Offset(-8)) => {}
        _ => return Rule::Involved,
    }
    let saved_frame_pointer = match row.register(X86_64::RBP) {
        None | Some(RegisterRule::SameValue) => None,
        Some(RegisterRule::Offset(bytes)) if bytes % 8 == 0 && i8::try_from(bytes / 8).is_ok() => {
            Some((bytes / 8) as i8)
        }
        _ => return Rule::Involved,
    };
    let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else { return Rule::Involved };
    match i32::try_from(offset) {
        Ok(distance) if register == X86_64::RSP || register == X86_64::RBP => {
            Rule::Plain(Plain { is_from_frame_pointer: register == X86_64::RBP, distance, saved_frame_pointer })
        }
        _ => Rule::Involved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_fit_a_word() {
        let plain = |is_from_frame_pointer, distance, saved_frame_pointer| {
            Rule::Plain(Plain { is_from_frame_pointer, distance, saved_frame_pointer })
        };
        let all = [false, true].into_iter().flat_map(|base| {
            [i32::MIN, -8, 16, i32::MAX].into_iter().flat_map(move |distance| {
                [None, Some(-128), Some(-2), Some(127)].map(|saved| plain(base, distance, saved))
            })
        });
        for rule in all.chain([Rule::Last, Rule::Involved]) {
            assert_eq!(Rule::of_word(rule.word()), rule);
        }
    }

    #[test]
    fn an_address_is_read_once_and_again_when_the_modules_changed() {
        let address = rules_fit_a_word as *const () as u64 + 1;
        let (now, later) = (Changes::of(1, 1), Changes::of(2, 1));
        let kept = Kept::NOTHING;
        assert!(kept.read(address, now).is_none());
        let known = Known { place: modules::place_of(address), rule: read(address) };
        assert!(matches!(known.rule, Rule::Plain(_)), "{known:?}");
        kept.write(address, now, known);
        let again = kept.read(address, now).unwrap();
        assert_eq!((again.rule, again.place), (known.rule, known.place));
        assert!(kept.read(address, later).is_none() && kept.read(address + 1, now).is_none());
        assert_eq!(read(16), Rule::Involved, "of no module");
    }
}
