//! Call stacks, each kept once, in a table of a fixed size that is never freed. Looking one up takes no lock.

use super::modules::Place;
use super::unwind::MAX_FRAMES;
use crate::base::alloc::OutOfMemory;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// Call stacks that are kept; the rest share the number [`OTHERS`].
const STACKS: usize = 1 << 15;
/// Places to look for one, twice as many.
const SLOTS: usize = 2 * STACKS;
/// Frames of all of them together.
const FRAMES: usize = 1 << 19;

/// Stands for every call stack that found no room.
pub const OTHERS: u32 = 1;
const FIRST: u32 = 2;

/// All zeros is an empty table.
struct Table {
    /// The number of a call stack, where its hash points to or soon after; 0: none.
    slots: [AtomicU32; SLOTS],
    stacks: [Stack; STACKS],
    frames: [AtomicU64; FRAMES],
    stacks_taken: AtomicU32,
    frames_taken: AtomicU32,
}

/// Written before its number stands in a slot, and never again.
struct Stack {
    hash: AtomicU64,
    start: AtomicU32,
    count: AtomicU32,
}

static TABLE: OnceLock<Box<Table>> = OnceLock::new();

fn table() -> Option<&'static Table> {
    TABLE.get().map(|table| &**table)
}

/// Takes the memory, of which the system gives only what is used.
pub fn prepare() -> Result<(), OutOfMemory> {
    let refusal = OutOfMemory { bytes: size_of::<Table>() as u64 };
    super::keep(&TABLE).map(|_| ()).ok_or(refusal)
}

// SAFETY: made of atomic integers.
unsafe impl super::Zeroable for Table {}

/// Call stacks that are kept.
pub fn count() -> u64 {
    table().map_or(0, |table| table.stacks_taken.load(Relaxed).into())
}

/// The number of this call stack; the same one for the same frames.
pub fn intern(frames: &[u64]) -> u32 {
    let Some(table) = table() else { return 0 };
    let hash = hash(frames);
    let mut ours = None;
    for probe in 0..SLOTS {
        let Some(slot) = table.slots.get((hash as usize).wrapping_add(probe) % SLOTS) else { break };
        let mut number = slot.load(Acquire);
        if number == 0 {
            let Some(fresh) = ours.or_else(|| table.write_down(frames, hash)) else { break };
            match slot.compare_exchange(0, fresh, AcqRel, Acquire) {
                Ok(_) => return fresh,
                Err(other) => (number, ours) = (other, Some(fresh)),
            }
        }
        if table.is(number, frames, hash) {
            return number;
        }
    }
    OTHERS
}

/// The frames of the call stack with this number, innermost first.
pub fn frames(number: u32) -> impl Iterator<Item = Place> {
    let range = table().and_then(|table| {
        let stack = table.stack(number)?;
        let start = stack.start.load(Relaxed) as usize;
        table.frames.get(start..start + stack.count.load(Relaxed) as usize)
    });
    range.unwrap_or_default().iter().map(|frame| Place::from_word(frame.load(Relaxed)))
}

impl Table {
    fn stack(&self, number: u32) -> Option<&Stack> {
        self.stacks.get(number.checked_sub(FIRST)? as usize)
    }

    fn is(&self, number: u32, frames: &[u64], hash: u64) -> bool {
        let Some(stack) = self.stack(number) else { return false };
        let start = stack.start.load(Relaxed) as usize;
        stack.hash.load(Relaxed) == hash
            && stack.count.load(Relaxed) as usize == frames.len()
            && self
                .frames
                .get(start..start + frames.len())
                .is_some_and(|known| known.iter().zip(frames).all(|(known, frame)| known.load(Relaxed) == *frame))
    }

    /// `None` when the table is full. What two threads write down at once is there twice; one of them is used.
    fn write_down(&self, frames: &[u64], hash: u64) -> Option<u32> {
        const _: () = assert!(STACKS + FRAMES + MAX_FRAMES < u32::MAX as usize);
        let take = |taken: &AtomicU32, wanted: usize, most: usize| {
            let next = |taken: u32| Some(taken + wanted as u32).filter(|after| *after as usize <= most);
            taken.fetch_update(Relaxed, Relaxed, next).ok()
        };
        let start = take(&self.frames_taken, frames.len(), FRAMES)?;
        let index = take(&self.stacks_taken, 1, STACKS)?;
        let places = self.frames.get(start as usize..)?;
        for (place, frame) in places.iter().zip(frames) {
            place.store(*frame, Relaxed);
        }
        let stack = self.stacks.get(index as usize)?;
        stack.hash.store(hash, Relaxed);
        stack.start.store(start, Relaxed);
        stack.count.store(frames.len() as u32, Relaxed);
        Some(FIRST + index)
    }
}

fn hash(frames: &[u64]) -> u64 {
    let mixed = frames
        .iter()
        .fold(frames.len() as u64, |hash, frame| (hash.rotate_left(5) ^ frame).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn one_number_for_each_call_stack_however_many_threads_bring_it() {
        prepare().unwrap();
        let stack = |index: u64| (0..index % 7 + 1).map(move |depth| (index << 8) | depth).collect::<Vec<_>>();
        let numbers: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let one = || (0..500).map(|index| intern(&stack(index))).collect();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(numbers.windows(2).all(|pair| pair[0] == pair[1]));
        let by_number: HashMap<u32, u64> = numbers[0].iter().copied().zip(0..).collect();
        assert_eq!(by_number.len(), 500);
        for (number, index) in by_number {
            assert_eq!(frames(number).map(Place::word).collect::<Vec<_>>(), stack(index));
        }
    }

    #[test]
    fn a_full_table_counts_what_it_cannot_keep() {
        let table = super::super::zeroed::<Table>().unwrap();
        let mut kept = 0;
        while table.write_down(&[1; MAX_FRAMES], 1).is_some() {
            kept += 1;
        }
        assert_eq!(kept, FRAMES / MAX_FRAMES);
        assert!(table.write_down(&[], 1).is_some());
    }
}
