//! The same for what the user of a desk has at hand.

use super::{Look, NextLook, Runs};
use crate::base::pockets::{Place, Places};
use crate::base::sync::Ordering::*;
use crate::pool::cells::Key;
use crate::pool::cells::desk::{Desk, ROOM};
use crate::pool::stack::{Chain, Stack};

impl Runs {
    /// [`Runs::take`] for the user of a desk in its window; `key` tells the one that a free cell will have.
    pub fn take_at_desk(&self, desk: &Desk, stack: &Stack, all: &impl Places, key: impl Fn(u32) -> Key) -> Option<u32> {
        if !self.pockets.is_open() {
            if self.pockets.is_due() {
                return None;
            }
            return self.take_one(stack, all);
        }
        if let Some((number, left)) = desk.pop() {
            if left < desk.floor().load(Relaxed) {
                self.look_at_desk(desk, left, stack, all, Look::next);
            }
            return Some(number);
        }
        self.fill(desk, stack, all, key).or_else(|| self.take_one(stack, all))
    }

    /// [`Runs::put`] for the user of a desk in its window, of a cell with the key that it will have.
    pub fn put_at_desk(&self, number: u32, key: Key, desk: &Desk, stack: &Stack) {
        if self.pockets.is_open() {
            if desk.push(key.0) {
                return;
            }
            self.halve_desk(desk, stack);
        }
        stack.push(number);
    }

    fn take_one(&self, stack: &Stack, all: &impl Places) -> Option<u32> {
        let (number, left) = stack.pop()?;
        self.note_left(left, stack, all);
        Some(number)
    }

    /// Half of what an empty desk has room for, of which the first is the caller's.
    fn fill(&self, desk: &Desk, stack: &Stack, all: &impl Places, key: impl Fn(u32) -> Key) -> Option<u32> {
        let count = desk.room() as usize / 2;
        if count < 2 {
            return None;
        }
        let mut numbers = [0; ROOM];
        stack.pop_all(count, |place, number| numbers[place] = number)?;
        let (first, rest) = numbers[..count].split_first()?;
        // What was used last lies on top, as it did there.
        rest.iter().rev().for_each(|number| {
            desk.push(key(*number).0);
        });
        self.look_at_desk(desk, desk.count(self.owner), stack, all, Look::first);
        Some(*first)
    }

    /// The upper half, or the only one, goes where all find it.
    fn halve_desk(&self, desk: &Desk, stack: &Stack) {
        let count = desk.room().div_ceil(2);
        let mut chain = Chain::default();
        for (number, _) in (0..count).map_while(|_| desk.pop()) {
            stack.link(&mut chain, number);
        }
        stack.push_chain(chain);
        desk.floor().store(desk.floor().load(Relaxed).saturating_sub(count), Relaxed);
    }

    fn look_at_desk(&self, desk: &Desk, left: u32, stack: &Stack, all: &impl Places, next: NextLook) {
        let look = Look { below: desk.floor().load(Relaxed), in_vain: desk.note().load(Relaxed) };
        let Look { below, in_vain } = self.look(look, left, stack, all, next);
        desk.floor().store(below, Relaxed);
        desk.note().store(in_vain, Relaxed);
    }
}
