//! Pre-allocated cells that each carry one result at a time, from whoever makes it to whoever takes it; and the keys that
//! name one use of one cell. A key stays wrong after its cell is used again.
//!
//! The life of a cell: `FREE` → the stages of its user, in which it is *open* → `DONE` → `TAKEN` → `FREE` with the next
//! generation. Whoever brought it to the last open stage writes the result and makes it `DONE`, once; of several who want
//! the result one makes it `TAKEN`, and frees the cell.
//!
//! Where a cell goes to `DONE` from a stage that anybody may end, it is `FILLING` for the few instructions that write the
//! result. Nobody else changes its word meanwhile: who wants to waits for them, so that a result costs whoever brings it one
//! locked operation. Where one thread alone uses a set it goes neither through `FILLING` nor through `TAKEN` (see [`alone`]).

mod alone;
pub mod desk;
pub mod runs;
mod waiting;

use super::stack::Stack;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::barrier;
use crate::base::cancel::WaitEnd;
use crate::base::park::Parker;
pub use alone::Users;

use crate::base::sync::{AtomicPtr, AtomicU64, Ordering::*, fence};

pub const MOST_CELLS: u32 = 1 << 20;

/// Where an open cell stands: a number of its user's own, from 1 to [`Stage::LAST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage(pub u8);

impl Stage {
    pub const LAST: u8 = 0x0e;
}

// The word of a cell: generation:32 | flags and phase:32.
const PHASE: u64 = 0xff;
const FREE: u64 = 0;
/// Its result is being written.
const FILLING: u64 = 0x0f;
const DONE: u64 = 0x10;
/// Its result is being taken; to everybody else it is gone.
const TAKEN: u64 = 0x11;
/// A thread waits for the result.
const WAITED: u64 = 0x100;
/// Nobody will take the result.
const FORGOTTEN: u64 = 0x200;
/// A completion takes the result.
const COMPLETION: u64 = 0x400;
/// The completion came after the cell was opened, and is there now.
const ATTACHED: u64 = 0x800;
const GENERATION_SHIFT: u32 = 32;
const GENERATION_MASK: u64 = u32::MAX as u64;

// A key: generation:32 | salt:12 | cell:20.
const SALT_SHIFT: u32 = 20;
const NUMBER_MASK: u64 = 0xf_ffff;

/// Names one use of one cell. 0 is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Key(pub u64);

impl Key {
    /// The cell that it names.
    pub fn number(self) -> u32 {
        (self.0 & NUMBER_MASK) as u32
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellError {
    /// The result was taken or given up, or the key is of other cells.
    Stale,
    NotReady,
    /// Only the completion takes the result.
    HasCompletion,
    /// Another thread waits for it.
    Waited,
    /// It was brought to its last stage before.
    Ended,
    Wait(WaitEnd),
}

impl From<OutOfMemory> for CellError {
    fn from(error: OutOfMemory) -> Self {
        Self::Wait(error.into())
    }
}

/// Whose a result is that has just come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is there for whoever takes it.
    Kept,
    /// It is for the attached completion; the caller calls that and vacates the cell.
    Attached,
}

#[repr(C, align(64))]
pub struct Cell<T> {
    word: AtomicU64,
    /// Of who waits, or has waited: one of an earlier use is woken in vain.
    waiter: AtomicPtr<Parker>,
    content: T,
}

impl<T> Cell<T> {
    /// Where the content lies behind the word, for the inline code of a desk.
    pub const CONTENT: usize = std::mem::offset_of!(Self, content);

    /// A word that it had when nobody wrote the result.
    fn settled_word(&self) -> u64 {
        let mut word = 0;
        barrier::wait_while(|| {
            word = self.word.load(SeqCst);
            word & PHASE == FILLING
        });
        word
    }

    /// For who has made it done.
    #[cold]
    fn wake_waiter(&self) {
        // SAFETY: parkers are never freed.
        if let Some(waiter) = unsafe { self.waiter.load(SeqCst).as_ref() } {
            waiter.unpark();
        }
    }

    fn replace(&self, word: u64, new: u64) -> bool {
        self.word.compare_exchange(word, new, SeqCst, SeqCst).is_ok()
    }
}

/// What a cell holds besides belongs to one side at a time, told by its stage.
pub struct Cells<T> {
    cells: Vec<Cell<T>>,
    free: Stack,
    /// Where it stands in a key.
    salt: u32,
    /// How often the generations of a cell were used up and began anew.
    rounds: AtomicU64,
}

impl<T> Cells<T> {
    /// At most [`MOST_CELLS`].
    pub fn new(count: u32, mut content: impl FnMut() -> T) -> Result<Self, OutOfMemory> {
        static SALT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let mut cells = alloc::try_vec(count as usize)?;
        cells.extend((0..count).map(|_| Cell {
            word: AtomicU64::new((1 << GENERATION_SHIFT) | FREE),
            waiter: AtomicPtr::new(std::ptr::null_mut()),
            content: content(),
        }));
        let free = Stack::new(count)?;
        (0..count).rev().for_each(|number| free.push(number));
        Ok(Self { cells, free, salt: SALT.fetch_add(1, Relaxed) << SALT_SHIFT, rounds: AtomicU64::new(0) })
    }

    pub fn capacity(&self) -> u32 {
        self.cells.len() as u32
    }

    /// For code outside of the library: the first cell, and where they stand in a key.
    pub fn published(&self) -> (*const Cell<T>, u32) {
        (self.cells.as_ptr(), self.salt)
    }

    /// Cells that are not free: open ones, and results that nobody took yet.
    pub fn used(&self) -> u32 {
        self.capacity() - self.free.depth()
    }

    /// Results that nobody took yet.
    pub fn untaken(&self) -> u64 {
        self.cells.iter().filter(|cell| cell.word.load(Relaxed) & PHASE == DONE).count() as u64
    }

    /// How often cells were vacated.
    pub fn vacated(&self) -> u64 {
        let this_round: u64 = self.cells.iter().map(|cell| (cell.word.load(Relaxed) >> GENERATION_SHIFT) - 1).sum();
        this_round + self.rounds.load(Relaxed) * GENERATION_MASK
    }

    /// Cells that were given out and not vacated, each looked at once.
    pub fn out(&self) -> u32 {
        self.cells.iter().filter(|cell| cell.word.load(SeqCst) & PHASE != FREE).count() as u32
    }

    /// The open cells of this moment, each with its key.
    pub fn open_keys(&self) -> impl Iterator<Item = Key> {
        (0..self.capacity()).filter_map(|number| {
            let word = self.cell(number).word.load(SeqCst);
            let is_open = (1..=FILLING).contains(&(word & PHASE));
            is_open.then(|| self.key_of(number, word >> GENERATION_SHIFT))
        })
    }

    #[inline]
    fn cell(&self, number: u32) -> &Cell<T> {
        &self.cells[number as usize]
    }

    /// Cells are reached by numbers that this set gave out, so each is there.
    #[inline]
    pub fn get(&self, number: u32) -> &T {
        &self.cell(number).content
    }

    #[inline]
    fn key_of(&self, number: u32, generation: u64) -> Key {
        Key((generation << GENERATION_SHIFT) | u64::from(self.salt) | u64::from(number))
    }

    /// The free cells that are nobody's.
    #[inline]
    pub fn free(&self) -> &Stack {
        &self.free
    }

    /// Takes a free cell, which is the caller's until it is opened or put back; and tells how many are left.
    #[inline]
    pub fn take_free(&self) -> Option<(u32, u32)> {
        self.free.pop()
    }

    #[inline]
    pub fn put_back(&self, number: u32) {
        self.free.push(number);
    }

    /// The key that a free cell, which is the caller's, will have when it is opened.
    #[inline]
    pub fn key(&self, number: u32) -> Key {
        self.key_of(number, self.cell(number).word.load(Relaxed) >> GENERATION_SHIFT)
    }

    /// Opens a cell that is the caller's. With a completion nobody else takes its result.
    #[inline]
    pub fn open(&self, number: u32, stage: Stage, has_completion: bool) -> Key {
        let cell = self.cell(number);
        let generation = cell.word.load(Relaxed) >> GENERATION_SHIFT;
        let flag = if has_completion { COMPLETION } else { 0 };
        cell.word.store((generation << GENERATION_SHIFT) | u64::from(stage.0) | flag, Release);
        self.key_of(number, generation)
    }

    /// The cell of a key, and its stage while it is open.
    #[inline]
    pub fn stage(&self, key: Key) -> Result<(u32, Option<Stage>), CellError> {
        let (number, _, word) = self.find(key)?;
        Ok((number, (word & PHASE < DONE).then_some(Stage((word & PHASE) as u8))))
    }

    /// Whether the cell is at this stage with this generation.
    pub fn is_at(&self, number: u32, generation: u32, stage: Stage) -> bool {
        let word = self.cell(number).word.load(Acquire);
        word >> GENERATION_SHIFT == u64::from(generation) && word & PHASE == u64::from(stage.0)
    }

    pub fn generation(&self, number: u32) -> u32 {
        (self.cell(number).word.load(Relaxed) >> GENERATION_SHIFT) as u32
    }

    /// Moves an open cell on, for the one who may; the flags may change meanwhile.
    pub fn advance(&self, number: u32, stage: Stage) {
        let word = &self.cell(number).word;
        // By addition, which leaves the flags alone.
        let now = word.load(Relaxed) & PHASE;
        word.fetch_add(u64::from(stage.0) - now, AcqRel);
    }

    /// Brings an open cell from a stage that several may want to end to its result, which `write` writes: one of them does.
    #[inline(always)]
    pub fn complete(&self, key: Key, from: Stage, write: impl FnOnce(&T)) -> Result<Finished, CellError> {
        let word = self.fill(key, from, 0, write)?;
        Ok(if word & ATTACHED == 0 { Finished::Kept } else { Finished::Attached })
    }

    /// The same for one who can call no completion: a cell that has one, or gets one at this moment, stays as it is.
    #[inline(always)]
    pub fn complete_for_taker(&self, key: Key, from: Stage, write: impl FnOnce(&T)) -> Result<(), CellError> {
        self.fill(key, from, COMPLETION, write).map(|_| ())
    }

    /// Tells the word before. One with any of the refused flags stays as it is.
    #[inline(always)]
    fn fill(&self, key: Key, from: Stage, refused: u64, write: impl FnOnce(&T)) -> Result<u64, CellError> {
        let (cell, word) = loop {
            let (_, cell, word) = self.find(key)?;
            if word & PHASE != u64::from(from.0) {
                return Err(CellError::Ended);
            }
            if word & refused != 0 {
                return Err(CellError::HasCompletion);
            }
            let filling = word - u64::from(from.0) + FILLING;
            if cell.replace(word, filling) {
                break (cell, word);
            }
        };
        write(&cell.content);
        cell.word.store(word - u64::from(from.0) + DONE, Release);
        if word & WAITED != 0 {
            // Before a look at who waits, who looks for the result after telling that.
            fence(SeqCst);
            cell.wake_waiter();
        }
        Ok(word)
    }

    /// The result of an open cell has been written by the caller, who alone may end it at this stage, and calls its
    /// completion. False when nobody wants the result: then the cell is free.
    #[inline(always)]
    pub fn finish(&self, number: u32, stage: Stage) -> bool {
        let cell = self.cell(number);
        let before = cell.word.fetch_add(DONE - u64::from(stage.0), SeqCst);
        if before & FORGOTTEN != 0 {
            self.vacate(number);
            return false;
        }
        if before & WAITED != 0 {
            cell.wake_waiter();
        }
        true
    }

    /// Frees a cell whose result is the caller's.
    #[inline(always)]
    pub fn vacate(&self, number: u32) {
        self.renew(self.cell(number));
        self.put_back(number);
    }

    /// Makes a cell free, which stays the caller's.
    #[inline(always)]
    fn renew(&self, cell: &Cell<T>) {
        let mut generation = (cell.word.load(Relaxed) >> GENERATION_SHIFT) + 1;
        if generation > GENERATION_MASK {
            // 0 is left out, so that no key is.
            generation = 1;
            self.rounds.fetch_add(1, Relaxed);
        }
        // Seen by whoever takes it from where it is put.
        cell.word.store((generation << GENERATION_SHIFT) | FREE, Release);
    }

    /// Takes the result when it is there.
    #[inline]
    pub fn poll<R>(&self, key: Key, read: impl FnOnce(&T) -> R) -> Result<R, CellError> {
        self.poll_out(key, read).map(|(number, result)| {
            self.put_back(number);
            result
        })
    }

    /// The same, and leaves the cell to the caller, free.
    #[inline(always)]
    pub fn poll_out<R>(&self, key: Key, read: impl FnOnce(&T) -> R) -> Result<(u32, R), CellError> {
        let (number, cell, word) = self.find_takeable(key)?;
        if word & PHASE != DONE {
            return Err(CellError::NotReady);
        }
        Ok((number, self.take_out(key, cell, 0, read)?))
    }

    /// Gives the result up, whether it is there or not; `read` gets one that is.
    pub fn forget(&self, key: Key, read: impl FnOnce(&T)) -> Result<(), CellError> {
        loop {
            let (number, cell, word) = self.find_takeable(key)?;
            match word & PHASE {
                DONE => return self.take(key, number, 0, read),
                FILLING => {
                    cell.settled_word();
                }
                _ if cell.replace(word, word | FORGOTTEN) => return Ok(()),
                _ => {}
            }
        }
    }

    /// Takes a cell out of its use while it is at this stage, its completion with it: whoever wants to move it on finds
    /// its key stale. The caller vacates it.
    pub fn withdraw(&self, key: Key, stage: Stage) -> Result<u32, CellError> {
        loop {
            let (number, cell, word) = self.find(key)?;
            if word & WAITED != 0 {
                return Err(CellError::Waited);
            }
            if word & PHASE != u64::from(stage.0) {
                return Err(CellError::Ended);
            }
            if word & (COMPLETION | ATTACHED) == COMPLETION {
                // Somebody is attaching it at this moment.
                return Err(CellError::HasCompletion);
            }
            let taken = (word & !(PHASE | COMPLETION | ATTACHED)) | TAKEN;
            if cell.replace(word, taken) {
                return Ok(number);
            }
        }
    }

    /// Gives the cell a completion, which `write` writes down. True when the result is there already: then it is the
    /// caller's to complete, and the cell's to vacate.
    pub fn attach(&self, key: Key, write: impl FnOnce(&T)) -> Result<bool, CellError> {
        let cell = loop {
            let (_, cell, word) = self.find_takeable(key)?;
            if word & PHASE == FILLING {
                cell.settled_word();
            } else if cell.replace(word, word | COMPLETION) {
                break cell;
            }
        };
        write(&cell.content);
        loop {
            let word = cell.settled_word();
            if cell.replace(word, word | ATTACHED) {
                return Ok(word & PHASE == DONE);
            }
        }
    }

    /// Takes the result and vacates the cell; see [`Cells::take_out`].
    fn take<R>(&self, key: Key, number: u32, flags: u64, read: impl FnOnce(&T) -> R) -> Result<R, CellError> {
        let result = self.take_out(key, self.cell(number), flags, read)?;
        self.put_back(number);
        Ok(result)
    }

    /// Of several that want the result of a `DONE` cell one gets it, and the cell, which is free then; who waits for it is
    /// never robbed.
    #[inline(always)]
    fn take_out<R>(&self, key: Key, cell: &Cell<T>, flags: u64, read: impl FnOnce(&T) -> R) -> Result<R, CellError> {
        let generation = (key.0 >> GENERATION_SHIFT) << GENERATION_SHIFT;
        let done = generation | DONE | flags;
        if let Err(found) = cell.word.compare_exchange(done, generation | TAKEN, SeqCst, SeqCst) {
            return Err(if found == done | WAITED {
                CellError::Waited
            } else if found == done | COMPLETION || found == done | COMPLETION | ATTACHED {
                CellError::HasCompletion
            } else {
                CellError::Stale
            });
        }
        let result = read(&cell.content);
        self.renew(cell);
        Ok(result)
    }

    /// The number in a key; one that no cell has when the key is of other cells.
    #[inline(always)]
    fn place_of(&self, key: Key) -> usize {
        (key.0 as u32 ^ self.salt) as usize
    }

    /// The cell of a key, with its number and its word.
    #[inline(always)]
    fn find(&self, key: Key) -> Result<(u32, &Cell<T>, u64), CellError> {
        let place = self.place_of(key);
        let cell = self.cells.get(place).ok_or(CellError::Stale)?;
        let word = cell.word.load(SeqCst);
        let is_known = word >> GENERATION_SHIFT == key.0 >> GENERATION_SHIFT
            && !matches!(word & PHASE, FREE | TAKEN)
            && word & FORGOTTEN == 0;
        if is_known { Ok((place as u32, cell, word)) } else { Err(CellError::Stale) }
    }

    /// [`Cells::find`] for a caller who wants to take the result.
    #[inline(always)]
    fn find_takeable(&self, key: Key) -> Result<(u32, &Cell<T>, u64), CellError> {
        let found = self.find(key)?;
        if found.2 & COMPLETION != 0 {
            return Err(CellError::HasCompletion);
        }
        if found.2 & WAITED != 0 {
            return Err(CellError::Waited);
        }
        Ok(found)
    }
}
