//! The readers of one lazy, and the values that were taken away while one of them held a pin.

use super::reader::{Owed, Reader};
use super::source::Loaded;
use crate::base::alloc::{self, OutOfMemory};
use crate::memory::governor::Charge;

/// A value with its charge.
pub struct Held {
    pub loaded: Loaded,
    pub charge: Option<Charge>,
    /// Among those that were taken away.
    serial: u64,
    /// Readers that held a pin when it was, and still do.
    holders: u32,
    next: Option<Box<Held>>,
}

impl Held {
    pub fn new(loaded: Loaded, charge: Option<Charge>) -> Self {
        Self { loaded, charge, serial: 0, holders: 0, next: None }
    }

    /// The one behind it in a list of ended ones.
    pub fn take_next(&mut self) -> Option<Box<Held>> {
        self.next.take()
    }
}

struct Entry {
    reader: &'static Reader,
    owed: Owed,
    /// Opened by its holder, who closes it.
    is_open: bool,
}

#[derive(Default)]
pub struct Desk {
    entries: Vec<Entry>,
    last_serial: u64,
    /// Taken away and still held by a reader; linked, so that taking one away needs no memory.
    leaving: Option<Box<Held>>,
    /// Uses by readers that are closed.
    times: u64,
}

impl Desk {
    /// Makes room for one more reader.
    pub fn reserve(&mut self) -> Result<(), OutOfMemory> {
        alloc::try_reserve_one(&mut self.entries)
    }

    pub fn add(&mut self, reader: &'static Reader, is_open: bool) {
        self.entries.push(Entry { reader, owed: Owed::NOTHING, is_open });
    }

    /// Takes a reader away that holds no pin; tells what ends with it.
    pub fn remove(&mut self, reader: &Reader) -> Option<Box<Held>> {
        let ended = self.settle(reader);
        self.times = self.times.wrapping_add(reader.times());
        self.entries.retain(|entry| !std::ptr::eq(entry.reader, reader));
        ended
    }

    /// Readers that keep the lazy: those that were opened, and those of threads that hold a pin.
    pub fn children(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.is_open || entry.reader.is_pinned()).count() as u64
    }

    pub fn is_pinned(&self) -> bool {
        self.entries.iter().any(|entry| entry.reader.is_pinned())
    }

    pub fn open(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.is_open).count() as u64
    }

    pub fn leaving(&self) -> u64 {
        std::iter::successors(self.leaving.as_ref(), |held| held.next.as_ref()).count() as u64
    }

    /// How often all readers pinned.
    pub fn times(&self) -> u64 {
        self.entries.iter().fold(self.times, |sum, entry| sum.wrapping_add(entry.reader.times()))
    }

    /// Tells every reader that somebody waits for its last unpin; before the heavy side.
    pub fn ask(&self) {
        self.entries.iter().for_each(|entry| entry.reader.ask(true));
    }

    /// Keeps a value that was withdrawn until those who hold a pin have let go of it; after the heavy side. Gives it back
    /// when nobody holds one.
    pub fn retire(&mut self, mut held: Box<Held>) -> Option<Box<Held>> {
        self.last_serial += 1;
        held.serial = self.last_serial;
        let mut ended = None;
        for place in 0..self.entries.len() {
            if self.entries[place].reader.is_pinned() {
                self.entries[place].owed.add(held.serial);
                held.holders += 1;
            } else {
                let reader = self.entries[place].reader;
                ended = joined(ended, self.settle(reader));
            }
        }
        if held.holders == 0 {
            return joined(Some(held), ended);
        }
        held.next = self.leaving.take();
        self.leaving = Some(held);
        ended
    }

    /// A reader holds no pin now, or holds one of a later time; tells what ends with that.
    pub fn settle(&mut self, reader: &Reader) -> Option<Box<Held>> {
        let entry = self.entries.iter_mut().find(|entry| std::ptr::eq(entry.reader, reader))?;
        let owed = std::mem::replace(&mut entry.owed, Owed::NOTHING);
        reader.ask(false);
        if owed.is_nothing() {
            return None;
        }
        let (mut ended, mut kept) = (None, None);
        let mut rest = self.leaving.take();
        while let Some(mut held) = rest {
            rest = held.next.take();
            held.holders -= u32::from(owed.has(held.serial));
            let list = if held.holders == 0 { &mut ended } else { &mut kept };
            held.next = list.take();
            *list = Some(held);
        }
        self.leaving = kept;
        ended
    }
}

/// Two lists as one.
fn joined(first: Option<Box<Held>>, second: Option<Box<Held>>) -> Option<Box<Held>> {
    let Some(mut first) = first else { return second };
    let mut last = &mut first;
    while last.next.is_some() {
        last = last.next.as_mut()?;
    }
    last.next = second;
    Some(first)
}
