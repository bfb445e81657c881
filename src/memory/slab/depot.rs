//! The depot: the free slots that are in no magazine, one bit for each. Slots are given out from the lowest address on, so
//! what lives stays together, and a bit that is there already says that a slot was put twice. Every call is lock-free.
//!
//! The states of the slots of one word fill a line of the cache, which threads write whenever they get and put. So whoever
//! draws many claims the word that it draws from, and others draw from another as long as there is one. For the same reason
//! words that follow each other lie in different lines.

use crate::base::alloc::{self, OutOfMemory};
use crate::base::sync::{AtomicU32, AtomicU64, Ordering::*};

const BITS: u32 = u64::BITS;

/// The word that one draws from; none at first. A claim keeps nobody away who finds no other word.
pub struct Claim {
    /// The number of the word behind it; 0: none.
    next: AtomicU32,
}

impl Default for Claim {
    fn default() -> Self {
        Self { next: AtomicU32::new(0) }
    }
}

/// Slots of one word that go into the depot in one step.
#[derive(Clone, Copy, Default)]
pub struct Run {
    word: u32,
    slots: u64,
}

impl Run {
    /// Adds a slot. When it is of another word a new run begins with it, and the one before is told.
    #[inline]
    pub fn add(&mut self, slot: u32) -> Option<Self> {
        let one = Self { word: slot / BITS, slots: 1 << (slot % BITS) };
        if one.word == self.word && self.slots & one.slots == 0 {
            self.slots |= one.slots;
            return None;
        }
        Some(std::mem::replace(self, one))
    }
}

/// A line of the cache.
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

const LINE: usize = 8;

/// Words, of which two that follow each other share a line only where one would do for all.
struct Words {
    lines: Vec<Line>,
    count: u32,
}

impl Words {
    /// All 0.
    fn new(count: u32) -> Result<Self, OutOfMemory> {
        let lines = count.div_ceil(LINE as u32);
        let mut words = alloc::try_vec(lines as usize)?;
        words.extend((0..lines).map(|_| Line([const { AtomicU64::new(0) }; LINE])));
        Ok(Self { lines: words, count })
    }

    #[inline]
    fn get(&self, word: u32) -> Option<&AtomicU64> {
        let lines = self.lines.len() as u32;
        (word < self.count).then(|| &self.lines[(word % lines) as usize].0[(word / lines) as usize])
    }

    fn iter(&self) -> impl Iterator<Item = &AtomicU64> {
        (0..self.count).filter_map(|word| self.get(word))
    }
}

pub struct Depot {
    /// Of a bit for each slot.
    words: Words,
    /// Of a bit for each word that may have some.
    summary: Words,
    /// Of a bit for each word that somebody claims.
    claims: Words,
    /// The slot at which the search begins; 0 unless [`Depot::rotate`] is used.
    first: AtomicU32,
}

impl Depot {
    /// Without a free slot.
    pub fn new(slots: u32) -> Result<Self, OutOfMemory> {
        let words = Words::new(slots.div_ceil(BITS))?;
        let summary = Words::new(words.count.div_ceil(BITS))?;
        let claims = Words::new(summary.count)?;
        Ok(Self { words, summary, claims, first: AtomicU32::new(0) })
    }

    /// Makes a slot free; `false` when it was.
    #[inline]
    pub fn give(&self, slot: u32) -> bool {
        self.give_all(slot / BITS, 1 << (slot % BITS)) == 0
    }

    /// Makes the slots of a run free. `again` gets those that were.
    pub fn give_run(&self, run: Run, mut again: impl FnMut(u32)) {
        if run.slots != 0 {
            each_of(run.word, self.give_all(run.word, run.slots), &mut again);
        }
    }

    /// Makes slots of one word free, and tells which of them were.
    pub fn give_all(&self, word: u32, slots: u64) -> u64 {
        let Some(bits) = self.words.get(word) else { return slots };
        let before = bits.fetch_or(slots, SeqCst);
        if before == 0 {
            self.note(word);
        }
        before & slots
    }

    /// For a word that has some.
    fn note(&self, word: u32) {
        let Some(bits) = self.summary.get(word / BITS) else { return };
        let bit = 1 << (word % BITS);
        // Whoever takes it back looks at the word afterwards.
        if bits.load(SeqCst) & bit == 0 {
            bits.fetch_or(bit, SeqCst);
        }
    }

    /// For a word that had none, unless it was given some meanwhile. One that is claimed stays noted: it is given back to
    /// whoever draws from it without a word to the others.
    fn strike(&self, word: u32) {
        let Some(bits) = self.summary.get(word / BITS) else { return };
        let bit = 1 << (word % BITS);
        if bits.load(SeqCst) & bit == 0 {
            return;
        }
        bits.fetch_and(!bit, SeqCst);
        if self.words.get(word).is_some_and(|bits| bits.load(SeqCst) != 0) {
            self.note(word);
        }
    }

    /// Takes at most so many, and tells how many: first from the word that is claimed, then from words that nobody claims,
    /// and from those of others only when there is nothing else.
    pub fn draw(&self, claim: &Claim, most: u32, mut each: impl FnMut(u32)) -> u32 {
        let own = claim.next.load(Relaxed).checked_sub(1);
        let mut taken = own.map_or(0, |word| self.take_from(word, u64::MAX, most, &mut each));
        while taken < most
            && let Some(word) = self.claim_next(claim)
        {
            taken += self.take_from(word, u64::MAX, most - taken, &mut each);
        }
        if taken == 0 { self.take(most, each) } else { taken }
    }

    /// Claims the lowest word that has some and that nobody claims, instead of what was claimed before.
    fn claim_next(&self, claim: &Claim) -> Option<u32> {
        self.let_go(claim);
        for (index, (summary, claims)) in (0..).zip(self.summary.iter().zip(self.claims.iter())) {
            loop {
                let unclaimed = summary.load(SeqCst) & !claims.load(Relaxed);
                if unclaimed == 0 {
                    break;
                }
                let word = unclaimed.trailing_zeros();
                if claims.fetch_or(1 << word, Relaxed) & (1 << word) == 0 {
                    let word = index * BITS + word;
                    claim.next.store(word + 1, Relaxed);
                    return Some(word);
                }
            }
        }
        None
    }

    /// Ends a claim.
    pub fn let_go(&self, claim: &Claim) {
        let Some(word) = claim.next.swap(0, Relaxed).checked_sub(1) else { return };
        if self.words.get(word).is_some_and(|bits| bits.load(SeqCst) == 0) {
            self.strike(word);
        }
        if let Some(claims) = self.claims.get(word / BITS) {
            claims.fetch_and(!(1 << (word % BITS)), Relaxed);
        }
    }

    /// Takes at most so many, and tells how many.
    pub fn take(&self, most: u32, mut each: impl FnMut(u32)) -> u32 {
        let first = self.first.load(Relaxed);
        let taken = self.take_between(first, u32::MAX, most, &mut each);
        if first == 0 || taken == most {
            return taken;
        }
        taken + self.take_between(0, first, most - taken, &mut each)
    }

    /// Of the slots from `start` on and below `end`.
    fn take_between(&self, start: u32, end: u32, most: u32, each: &mut impl FnMut(u32)) -> u32 {
        let (from, to) = (start / BITS, end.div_ceil(BITS));
        let mut taken = 0;
        for (index, summary) in (0..).zip(self.summary.iter()).skip((from / BITS) as usize) {
            let mut words = summary.load(SeqCst);
            while words != 0 {
                let word = index * BITS + words.trailing_zeros();
                words &= words - 1;
                if word < from {
                    continue;
                }
                if word >= to || taken == most {
                    return taken;
                }
                let mut mask = u64::MAX;
                if word == from {
                    mask &= u64::MAX << (start % BITS);
                }
                if word == end / BITS {
                    mask &= !(u64::MAX << (end % BITS));
                }
                taken += self.take_from(word, mask, most - taken, each);
                if self.words.get(word).is_some_and(|bits| bits.load(SeqCst) == 0) {
                    self.strike(word);
                }
            }
        }
        taken
    }

    fn take_from(&self, word: u32, mask: u64, most: u32, each: &mut impl FnMut(u32)) -> u32 {
        let Some(bits) = self.words.get(word) else { return 0 };
        loop {
            let seen = bits.load(SeqCst);
            let wanted = lowest(seen & mask, most);
            if wanted == 0 {
                return 0;
            }
            let before = bits.fetch_and(!wanted, SeqCst);
            let got = before & wanted;
            if got == 0 {
                continue;
            }
            each_of(word, got, each);
            return got.count_ones();
        }
    }

    /// The search begins behind this slot the next time, so that what was given now rests for long.
    pub fn rotate(&self, last: u32) {
        self.first.store(last + 1, Relaxed);
    }

    pub fn has(&self, slot: u32) -> bool {
        self.words.get(slot / BITS).is_some_and(|bits| bits.load(SeqCst) & (1 << (slot % BITS)) != 0)
    }

    /// Takes all of a range, when all of it is free.
    pub fn take_range(&self, slots: std::ops::Range<u32>) -> bool {
        if !slots.clone().all(|slot| self.has(slot)) {
            return false;
        }
        for slot in slots {
            let (word, bit) = (slot / BITS, 1 << (slot % BITS));
            if self.words.get(word).is_some_and(|bits| bits.fetch_and(!bit, SeqCst) == bit) {
                self.strike(word);
            }
        }
        true
    }

    /// How many there are at this moment, when nobody gives or takes.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|bits| u64::from(bits.load(Relaxed).count_ones())).sum()
    }
}

/// Tells slots of one word, the lowest first.
fn each_of(word: u32, mut slots: u64, each: &mut impl FnMut(u32)) {
    while slots != 0 {
        each(word * BITS + slots.trailing_zeros());
        slots &= slots - 1;
    }
}

/// The lowest `most` bits that are set.
fn lowest(bits: u64, most: u32) -> u64 {
    if bits.count_ones() <= most {
        return bits;
    }
    let mut rest = bits;
    for _ in 0..most {
        rest &= rest - 1;
    }
    bits & !rest
}
