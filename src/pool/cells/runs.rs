//! Free cells at hand: a thread keeps a run of them, so that one who gets and frees cells in turn touches nothing that
//! others do, and one who only gets or only frees touches it once for half a run. The uppermost number of a run lies in its
//! thread's pocket, the others lie beneath it as on the stack. Nobody goes without while any thread has one: then all runs
//! are recalled.

mod at_desk;

use crate::base::Owner;
use crate::base::pockets::{Place, Places, Pocket, Pockets};
use crate::base::sync::{AtomicU32, AtomicU64, Ordering::*};
use crate::pool::stack::{Chain, Stack};

const LONGEST: u32 = 64;
/// Under the lowest number of a run lies what nobody looks at.
const NOTHING: u32 = 0;
/// All threads together keep at most a small part of the cells, as long as there are few of them.
const RUNS: u32 = 16;

/// What one thread has at hand.
pub struct Run<'a> {
    pub pocket: &'a Pocket,
    pub stack: &'a Stack,
}

impl Run<'_> {
    /// How many lie beneath the uppermost.
    #[inline(always)]
    fn beneath(&self) -> &AtomicU32 {
        &self.pocket.notes[0]
    }

    /// See [`Look`].
    #[inline(always)]
    fn look(&self) -> &AtomicU32 {
        &self.pocket.notes[1]
    }

    fn fill(&self, owner: Owner, top: u32, count: u32) {
        self.beneath().store(count - 1, Relaxed);
        self.pocket.fill(owner, top);
    }

    /// Takes the uppermost, and tells how many are left.
    #[inline(always)]
    fn pop(&self, owner: Owner) -> Option<(u32, u32)> {
        let number = self.pocket.number(owner)?;
        let left = self.beneath().load(Relaxed);
        if left == 0 {
            self.pocket.clear();
        } else {
            self.beneath().store(left - 1, Relaxed);
            self.pocket.replace(self.stack.beneath(number));
        }
        Some((number, left))
    }

    /// Where the next goes, unless there are so many, or another object's.
    #[inline(always)]
    fn spot(&self, owner: Owner, most: u32) -> Option<Spot> {
        if self.pocket.is_empty() {
            return Some(Spot { top: NOTHING, beneath: 0 });
        }
        let top = self.pocket.number(owner)?;
        let beneath = self.beneath().load(Relaxed) + 1;
        (beneath < most).then_some(Spot { top, beneath })
    }

    #[inline(always)]
    fn lay(&self, owner: Owner, number: u32, spot: Spot) {
        self.stack.lay(number, spot.top);
        self.beneath().store(spot.beneath, Relaxed);
        self.pocket.fill(owner, number);
    }
}

/// Where the next number of a run goes, and how many lie there.
pub struct Spot {
    top: u32,
    beneath: u32,
}

impl Place for Run<'_> {
    fn busy(&self) -> &AtomicU64 {
        self.pocket.busy()
    }

    fn count(&self, owner: Owner) -> u32 {
        self.pocket.number(owner).map_or(0, |_| 1 + self.beneath().load(Relaxed))
    }

    fn take(&self, owner: Owner) -> Option<u32> {
        self.pop(owner).map(|(number, _)| number)
    }
}

/// When a thread looks how many cells are out: when fewer than so many are left at hand, so that there may be more than ever
/// before. After looks in vain it does so later and later, because others free what it gets.
#[derive(Clone, Copy)]
struct Look {
    below: u32,
    in_vain: u32,
}

/// What follows on a look, with so many left at hand, and so many missing to the peak unless it found more than ever before.
type NextLook = fn(Look, u32, Option<u32>) -> Look;

impl Look {
    const IN_VAIN_SHIFT: u32 = 16;
    /// From here on it looks once for each run.
    const MOST_IN_VAIN: u32 = LONGEST.ilog2();

    #[inline(always)]
    fn of(word: u32) -> Self {
        Self { below: word & ((1 << Self::IN_VAIN_SHIFT) - 1), in_vain: word >> Self::IN_VAIN_SHIFT }
    }

    fn word(self) -> u32 {
        (self.in_vain << Self::IN_VAIN_SHIFT) | self.below
    }

    /// After one that found more than ever before, or so many missing to the peak.
    fn next(self, left: u32, missing: Option<u32>) -> Self {
        let in_vain = missing.map_or(0, |_| (self.in_vain + 1).min(Self::MOST_IN_VAIN));
        self.after(left, missing, in_vain)
    }

    /// The same at the begin of a run, which is no reason to look.
    fn first(self, left: u32, missing: Option<u32>) -> Self {
        self.after(left, missing, self.in_vain)
    }

    fn after(self, left: u32, missing: Option<u32>, in_vain: u32) -> Self {
        let quiet = missing.unwrap_or(0).max((1 << in_vain) - 1);
        Self { below: left.saturating_sub(quiet), in_vain }
    }
}

/// The runs of one set of cells, and how many of the cells were out at most.
pub struct Runs {
    owner: Owner,
    capacity: u32,
    longest: u32,
    pockets: Pockets,
    peak: AtomicU32,
}

impl Runs {
    pub fn new(owner: Owner, capacity: u32) -> Self {
        let longest = (capacity / RUNS).clamp(1, LONGEST);
        Self { owner, capacity, longest, pockets: Pockets::new(owner), peak: AtomicU32::new(0) }
    }

    /// Most that were out at once, with so many at this moment: exact for what one thread gets and frees, and of several what
    /// their looks found.
    pub fn peak(&self, out: u32) -> u32 {
        self.peak.fetch_max(out, Relaxed).max(out)
    }

    /// Takes a free cell, for a thread in its window. Nothing also when there is something to do out of it.
    #[inline(always)]
    pub fn take(&self, run: &Run<'_>, all: &impl Places) -> Option<u32> {
        let popped = if self.pockets.is_open() { run.pop(self.owner) } else { None };
        let Some((number, left)) = popped else { return self.take_from_stack(run, all) };
        self.note_left_at_hand(left, run, all);
        Some(number)
    }

    /// Takes so many, or none; see [`Runs::take`].
    #[inline]
    pub fn take_all(
        &self,
        count: u32,
        run: &Run<'_>,
        all: &impl Places,
        mut each: impl FnMut(usize, u32),
    ) -> Option<()> {
        if self.pockets.is_open() && run.count(self.owner) >= count {
            let mut left = 0;
            for place in 0..count as usize {
                let number;
                (number, left) = run.pop(self.owner)?;
                each(place, number);
            }
            self.note_left_at_hand(left, run, all);
            return Some(());
        }
        if self.pockets.is_due() {
            return None;
        }
        let left = run.stack.pop_all(count as usize, each)?;
        self.note_left(left, run.stack, all);
        Some(())
    }

    /// Takes so many from what all share, or none, for a thread that is in no window; recalls what is at hand when that
    /// helps.
    pub fn take_shared(
        &self,
        count: usize,
        stack: &Stack,
        all: &impl Places,
        may_open: impl Fn() -> bool,
        mut each: impl FnMut(usize, u32),
    ) -> Option<()> {
        loop {
            let moment = self.pockets.moment();
            if let Some(left) = stack.pop_all(count, &mut each) {
                self.note_left(left, stack, all);
                self.pockets.note_calm(all, may_open);
                return Some(());
            }
            // Else one may be on its way between what is at hand and the stack: the recall waits until it has come.
            if self.pockets.were_shut(moment) {
                return None;
            }
            self.recall(stack, all);
        }
    }

    /// Takes a free cell that is at hand, for a thread in its window, when there is nothing else to do.
    #[inline(always)]
    pub fn take_at_hand(&self, run: &Run<'_>) -> Option<u32> {
        let is_all = self.pockets.is_open() && !self.is_look_due(run.beneath().load(Relaxed), run);
        if is_all { run.pop(self.owner).map(|(number, _)| number) } else { None }
    }

    /// Where a free cell can be kept at hand, for a thread in its window.
    #[inline(always)]
    pub fn spot(&self, run: &Run<'_>) -> Option<Spot> {
        if self.pockets.is_open() { run.spot(self.owner, self.longest) } else { None }
    }

    #[inline(always)]
    pub fn lay(&self, number: u32, spot: Spot, run: &Run<'_>) {
        run.lay(self.owner, number, spot);
    }

    /// Keeps a free cell at hand, for a thread in its window.
    #[inline(always)]
    pub fn put(&self, number: u32, run: &Run<'_>) {
        if let Some(spot) = self.spot(run) {
            return self.lay(number, spot, run);
        }
        if self.pockets.is_open() {
            self.halve(run);
        }
        run.stack.push(number);
    }

    /// For code outside of the library that has windows of its own.
    pub fn state(&self) -> *const AtomicU32 {
        self.pockets.state()
    }

    /// How many free cells one may have at hand.
    pub fn longest(&self) -> u32 {
        self.longest
    }

    /// Runs `body` while nothing is recalled, and nothing that was begins to be at hand: for who adds a place or takes one
    /// away.
    pub fn unchanged<R>(&self, body: impl FnOnce() -> R) -> R {
        self.pockets.unchanged(body)
    }

    /// Puts what is at hand of any thread where all find it.
    pub fn recall(&self, stack: &Stack, all: &impl Places) {
        self.pockets.recall(all, |number| stack.push(number));
    }

    /// Takes one from what all share, and a new run with it when the pockets are open.
    #[inline(never)]
    fn take_from_stack(&self, run: &Run<'_>, all: &impl Places) -> Option<u32> {
        if self.pockets.is_open() {
            if let Some(number) = self.begin_run(run, all) {
                return Some(number);
            }
        } else if self.pockets.is_due() {
            return None;
        }
        let (number, left) = run.stack.pop()?;
        self.note_left(left, run.stack, all);
        Some(number)
    }

    /// A new run of half the length, of which the first is the caller's.
    fn begin_run(&self, run: &Run<'_>, all: &impl Places) -> Option<u32> {
        let count = self.longest / 2;
        if count < 2 || !run.pocket.is_empty() {
            return None;
        }
        let mut first = 0;
        run.stack.pop_all(count as usize, |place, number| {
            if place == 0 {
                first = number;
            }
        })?;
        run.fill(self.owner, run.stack.beneath(first), count - 1);
        self.look_at(run, all, Look::first);
        Some(first)
    }

    /// The upper half, or the only one, goes where all find it, when there are any.
    #[inline(never)]
    fn halve(&self, run: &Run<'_>) {
        let Some(top) = run.pocket.number(self.owner) else { return };
        let count = self.longest.div_ceil(2);
        let bottom = (1..count).fold(top, |number, _| run.stack.beneath(number));
        let rest = run.stack.beneath(bottom);
        match run.count(self.owner) - count {
            0 => run.pocket.clear(),
            left => run.fill(self.owner, rest, left),
        }
        let look = Look::of(run.look().load(Relaxed));
        run.look().store(Look { below: look.below.saturating_sub(count), ..look }.word(), Relaxed);
        run.stack.push_chain(Chain::of(top, bottom, count));
    }

    #[inline(always)]
    fn note_left_at_hand(&self, left: u32, run: &Run<'_>, all: &impl Places) {
        if self.is_look_due(left, run) {
            self.look_at(run, all, Look::next);
        }
    }

    #[inline(always)]
    fn is_look_due(&self, left: u32, run: &Run<'_>) -> bool {
        left < Look::of(run.look().load(Relaxed)).below
    }

    #[cold]
    fn look_at(&self, run: &Run<'_>, all: &impl Places, next: NextLook) {
        let look = Look::of(run.look().load(Relaxed));
        run.look().store(self.look(look, run.count(self.owner), run.stack, all, next).word(), Relaxed);
    }

    /// Looks how many cells are out, with so many left at hand, and tells when that is to be done again.
    fn look(&self, look: Look, left: u32, stack: &Stack, all: &impl Places, next: NextLook) -> Look {
        let out = self.out(stack, all);
        let peak = self.peak.fetch_max(out, Relaxed);
        next(look, left, peak.checked_sub(out))
    }

    #[inline]
    fn note_left(&self, left: u32, stack: &Stack, all: &impl Places) {
        if self.capacity - left > self.peak.load(Relaxed) {
            self.raise_peak(stack, all);
        }
    }

    #[cold]
    fn raise_peak(&self, stack: &Stack, all: &impl Places) {
        self.peak.fetch_max(self.out(stack, all), Relaxed);
    }

    /// How many are neither on the stack nor at hand, also in between.
    fn out(&self, stack: &Stack, all: &impl Places) -> u32 {
        // In this order, so that what is recalled meanwhile counts as free twice and not as out.
        let at_hand = self.pockets.count(all);
        self.capacity.saturating_sub(at_hand + stack.depth())
    }
}
