//! Pre-allocated cells that each carry one result at a time, from whoever makes it to whoever takes it; and the keys that
//! name one use of one cell. A key stays wrong after its cell is used again.
//!
//! The life of a cell: `FREE` → the stages of its user, in which it is *open* → `DONE` → `TAKEN` → `FREE` with the next
//! generation. Whoever brought it to the last open stage writes the result and makes it `DONE`, once; of several who want
//! the result one makes it `TAKEN`, and frees the cell.

use super::stack::Stack;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel::{self, Cancel, WaitEnd};
use crate::base::clock::Deadline;
use crate::base::park::Parker;
use crate::base::sync::{AtomicPtr, AtomicU64, Ordering::*};

pub const MOST_CELLS: u32 = 1 << 20;

/// Where an open cell stands: a number of its user's own, from 1 to [`Stage::LAST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage(pub u8);

impl Stage {
    pub const LAST: u8 = 0x0f;
}

// The word of a cell: generation:32 | flags and phase:32.
const PHASE: u64 = 0xff;
const FREE: u64 = 0;
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
const SALT_MASK: u64 = 0xfff;
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

/// What is to be done with a result that has just come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is there for whoever takes it.
    Kept,
    /// Nobody wants it; the cell is free.
    Unwanted,
    /// It is for the attached completion; the caller calls that and vacates the cell.
    Attached,
}

pub struct Cell<T> {
    word: AtomicU64,
    waiter: AtomicPtr<Parker>,
    content: T,
}

/// What a cell holds besides belongs to one side at a time, told by its stage.
pub struct Cells<T> {
    cells: Vec<Cell<T>>,
    free: Stack,
    salt: u64,
    /// How often the generations of a cell were used up and began anew.
    rounds: AtomicU64,
}

impl<T> Cells<T> {
    /// At most [`MOST_CELLS`].
    pub fn new(count: u32, mut content: impl FnMut() -> T) -> Result<Self, OutOfMemory> {
        static SALT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let mut cells = alloc::try_vec(count as usize)?;
        cells.extend((0..count).map(|_| Cell {
            word: AtomicU64::new((1 << GENERATION_SHIFT) | FREE),
            waiter: AtomicPtr::new(std::ptr::null_mut()),
            content: content(),
        }));
        let free = Stack::new(count)?;
        (0..count).rev().for_each(|number| free.push(number));
        Ok(Self { cells, free, salt: SALT.fetch_add(1, Relaxed) & SALT_MASK, rounds: AtomicU64::new(0) })
    }

    pub fn capacity(&self) -> u32 {
        self.cells.len() as u32
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

    /// The open cells of this moment, each with its key.
    pub fn open_keys(&self) -> impl Iterator<Item = Key> {
        (0..self.capacity()).filter_map(|number| {
            let word = self.cell(number).word.load(SeqCst);
            let is_open = (1..=u64::from(Stage::LAST)).contains(&(word & PHASE));
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
        Key((generation << GENERATION_SHIFT) | (self.salt << SALT_SHIFT) | u64::from(number))
    }

    /// Takes a free cell, which is the caller's until it is opened or put back; and tells how many are left.
    #[inline]
    pub fn take_free(&self) -> Option<(u32, u32)> {
        self.free.pop()
    }

    /// So many at once, or none; see [`Stack::pop_all`].
    #[inline]
    pub fn take_all_free(&self, count: usize, each: impl FnMut(usize, u32)) -> Option<u32> {
        self.free.pop_all(count, each)
    }

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
        cell.waiter.store(std::ptr::null_mut(), Relaxed);
        let flag = if has_completion { COMPLETION } else { 0 };
        cell.word.store((generation << GENERATION_SHIFT) | u64::from(stage.0) | flag, Release);
        self.key_of(number, generation)
    }

    /// The cell of a key, and its stage while it is open.
    #[inline]
    pub fn stage(&self, key: Key) -> Result<(u32, Option<Stage>), CellError> {
        let (number, word) = self.find(key)?;
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

    /// Moves an open cell on when several may want to: one of them does.
    #[inline(always)]
    pub fn claim(&self, key: Key, from: Stage, to: Stage) -> Result<u32, CellError> {
        loop {
            let (number, word) = self.find(key)?;
            if word & PHASE != u64::from(from.0) {
                return Err(CellError::Ended);
            }
            let claimed = word - u64::from(from.0) + u64::from(to.0);
            if self.cell(number).word.compare_exchange(word, claimed, SeqCst, Relaxed).is_ok() {
                return Ok(number);
            }
        }
    }

    /// The result of an open cell has been written by the caller, who alone may end it at this stage.
    #[inline(always)]
    pub fn finish(&self, number: u32, stage: Stage) -> Finished {
        let cell = self.cell(number);
        let before = cell.word.fetch_add(DONE - u64::from(stage.0), SeqCst);
        if before & FORGOTTEN != 0 {
            self.vacate(number);
            return Finished::Unwanted;
        }
        if before & ATTACHED != 0 {
            return Finished::Attached;
        }
        if before & WAITED != 0 {
            // SAFETY: parkers are never freed.
            if let Some(waiter) = unsafe { cell.waiter.load(SeqCst).as_ref() } {
                waiter.unpark();
            }
        }
        Finished::Kept
    }

    /// Frees a cell whose result is the caller's.
    #[inline(always)]
    pub fn vacate(&self, number: u32) {
        let word = &self.cell(number).word;
        let mut generation = (word.load(Relaxed) >> GENERATION_SHIFT) + 1;
        if generation > GENERATION_MASK {
            // 0 is left out, so that no key is.
            generation = 1;
            self.rounds.fetch_add(1, Relaxed);
        }
        // Seen by whoever takes it from the stack.
        word.store((generation << GENERATION_SHIFT) | FREE, Release);
        self.put_back(number);
    }

    /// Waits for the result and takes it.
    pub fn wait<R>(
        &self,
        key: Key,
        deadline: Deadline,
        cancel: Option<&Cancel>,
        read: impl FnOnce(&T) -> R,
    ) -> Result<R, CellError> {
        if deadline.has_passed() {
            // No wait at all, so it keeps nobody else from waiting.
            return self.poll(key, read).map_err(|error| match error {
                CellError::NotReady => CellError::Wait(WaitEnd::TimedOut),
                error => error,
            });
        }
        let number = self.begin_waiting(key)?;
        match self.sleep(&[key], 1, deadline, cancel) {
            Ok(_) => self.take(key, number, WAITED, read),
            // What came at the last moment is preferred over the end of the wait.
            Err(_) if self.end_waiting(number) => self.take(key, number, 0, read),
            Err(end) => Err(CellError::Wait(end)),
        }
    }

    /// Waits until so many of these have their results, which stay there; tells the place of the first that has. On an
    /// error it tells the place of the key that it is about.
    pub fn wait_for(
        &self,
        keys: &[Key],
        wanted: usize,
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<usize, (usize, CellError)> {
        let mut result = Ok(0);
        let mut begun = 0;
        for key in keys {
            if let Err(error) = self.begin_waiting(*key) {
                result = Err((begun, error));
                break;
            }
            begun += 1;
        }
        if result.is_ok() {
            result = self.sleep(keys, wanted, deadline, cancel).map_err(|end| (0, CellError::Wait(end)));
        }
        for key in keys.iter().take(begun) {
            self.end_waiting(key.number());
        }
        result
    }

    /// Sleeps until so many of the cells that this thread waits for are done; tells the place of the first.
    fn sleep(
        &self,
        keys: &[Key],
        wanted: usize,
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<usize, WaitEnd> {
        let parker = cancel::current_parker()?;
        let cell_of = |key: &Key| self.cell(key.number());
        for key in keys {
            cell_of(key).waiter.store((&raw const *parker).cast_mut(), SeqCst);
        }
        let is_done = |key: &Key| cell_of(key).word.load(SeqCst) & PHASE == DONE;
        let ready = || {
            let first = keys.iter().position(is_done)?;
            (wanted == 1 || keys.iter().filter(|key| is_done(key)).count() >= wanted).then_some(first)
        };
        cancel::wait_until(deadline, cancel, ready)
    }

    fn begin_waiting(&self, key: Key) -> Result<u32, CellError> {
        loop {
            let (number, word) = self.find_takeable(key)?;
            if self.cell(number).word.compare_exchange(word, word | WAITED, SeqCst, SeqCst).is_ok() {
                return Ok(number);
            }
        }
    }

    /// Tells whether the result is there.
    fn end_waiting(&self, number: u32) -> bool {
        self.cell(number).word.fetch_and(!WAITED, SeqCst) & PHASE == DONE
    }

    /// Takes the result when it is there.
    #[inline(always)]
    pub fn poll<R>(&self, key: Key, read: impl FnOnce(&T) -> R) -> Result<R, CellError> {
        let (number, word) = self.find_takeable(key)?;
        if word & PHASE != DONE {
            return Err(CellError::NotReady);
        }
        self.take(key, number, 0, read)
    }

    /// Gives the result up, whether it is there or not; `read` gets one that is.
    pub fn forget(&self, key: Key, read: impl FnOnce(&T)) -> Result<(), CellError> {
        loop {
            let (number, word) = self.find_takeable(key)?;
            if word & PHASE == DONE {
                return self.take(key, number, 0, read);
            }
            if self.cell(number).word.compare_exchange(word, word | FORGOTTEN, SeqCst, SeqCst).is_ok() {
                return Ok(());
            }
        }
    }

    /// Takes a cell out of its use while it is at this stage, its completion with it: whoever wants to move it on finds
    /// its key stale. The caller vacates it.
    pub fn withdraw(&self, key: Key, stage: Stage) -> Result<u32, CellError> {
        loop {
            let (number, word) = self.find(key)?;
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
            if self.cell(number).word.compare_exchange(word, taken, SeqCst, SeqCst).is_ok() {
                return Ok(number);
            }
        }
    }

    /// Gives the cell a completion, which `write` writes down. True when the result is there already: then it is the
    /// caller's to complete, and the cell's to vacate.
    pub fn attach(&self, key: Key, write: impl FnOnce(&T)) -> Result<bool, CellError> {
        loop {
            let (number, word) = self.find_takeable(key)?;
            let cell = self.cell(number);
            if cell.word.compare_exchange(word, word | COMPLETION, SeqCst, SeqCst).is_ok() {
                write(&cell.content);
                let before = cell.word.fetch_or(ATTACHED, SeqCst);
                return Ok(before & PHASE == DONE);
            }
        }
    }

    /// Of several that want the result of a `DONE` cell one gets it; who waits for it is never robbed.
    #[inline(always)]
    fn take<R>(&self, key: Key, number: u32, flags: u64, read: impl FnOnce(&T) -> R) -> Result<R, CellError> {
        let cell = self.cell(number);
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
        self.vacate(number);
        Ok(result)
    }

    #[inline(always)]
    fn find(&self, key: Key) -> Result<(u32, u64), CellError> {
        let number = key.number();
        let cell = self.cells.get(number as usize).ok_or(CellError::Stale)?;
        let word = cell.word.load(SeqCst);
        let is_known = (key.0 >> SALT_SHIFT) & SALT_MASK == self.salt
            && word >> GENERATION_SHIFT == key.0 >> GENERATION_SHIFT
            && !matches!(word & PHASE, FREE | TAKEN)
            && word & FORGOTTEN == 0;
        if is_known { Ok((number, word)) } else { Err(CellError::Stale) }
    }

    /// [`Cells::find`] for a caller who wants to take the result.
    #[inline]
    fn find_takeable(&self, key: Key) -> Result<(u32, u64), CellError> {
        let (number, word) = self.find(key)?;
        if word & COMPLETION != 0 {
            return Err(CellError::HasCompletion);
        }
        if word & WAITED != 0 {
            return Err(CellError::Waited);
        }
        Ok((number, word))
    }
}
