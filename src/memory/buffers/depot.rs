//! Where the idle buffers of one size class are that no thread has at hand: in spans, so that one whose buffers are all
//! idle can be given back.

use super::chunks::Site;
use super::record::{Chain, NONE, Records};
use crate::base::alloc::{self, OutOfMemory};
use std::sync::atomic::Ordering::*;

struct Span {
    /// None: the span was given back.
    site: Option<Site>,
    buffers: u32,
    idle: Chain,
    /// The neighbours in the list of those that have idle buffers; of those that were given back only the next one.
    previous: u32,
    next: u32,
}

/// Spans with idle buffers stand in a list: first those of which some are in use, so that the others stay whole.
pub struct Depot {
    spans: Vec<Span>,
    first: u32,
    last: u32,
    given_back: u32,
    buffers: u64,
    idle: u64,
    whole_bytes: u64,
}

impl Default for Depot {
    fn default() -> Self {
        Self { spans: Vec::new(), first: NONE, last: NONE, given_back: NONE, buffers: 0, idle: 0, whole_bytes: 0 }
    }
}

impl Depot {
    /// All buffers of the class, wherever they are.
    pub fn buffers(&self) -> u64 {
        self.buffers
    }

    pub fn idle(&self) -> u64 {
        self.idle
    }

    /// Bytes of spans whose buffers are all idle.
    pub fn whole_bytes(&self) -> u64 {
        self.whole_bytes
    }

    /// Adds a span with all its buffers, which are idle.
    pub fn add(&mut self, site: Site, idle: Chain, records: &Records) -> Result<(), OutOfMemory> {
        let number = match self.given_back {
            NONE => {
                alloc::try_reserve_one(&mut self.spans)?;
                self.spans.push(Span { site: None, buffers: 0, idle: Chain::EMPTY, previous: NONE, next: NONE });
                self.spans.len() as u32 - 1
            }
            number => {
                self.given_back = self.span(number).next;
                number
            }
        };
        let mut each = idle;
        let mut at = each.first;
        while each.count > 0 {
            let record = records.get(at);
            record.place.store(number, Relaxed);
            at = record.link.load(Relaxed);
            each.count -= 1;
        }
        *self.span(number) = Span { site: Some(site), buffers: idle.count, idle, previous: NONE, next: NONE };
        self.buffers += u64::from(idle.count);
        self.idle += u64::from(idle.count);
        self.whole_bytes += site.bytes;
        self.link_last(number);
        Ok(())
    }

    /// Takes at most so many.
    pub fn take(&mut self, most: u32, records: &Records) -> Chain {
        let mut taken = Chain::EMPTY;
        while taken.count < most && self.first != NONE {
            let number = self.first;
            let span = self.span(number);
            let was_whole = span.idle.count == span.buffers;
            let Some(buffer) = span.idle.pop(records) else { break };
            let (is_empty, bytes) = (span.idle.count == 0, span.site.map_or(0, |site| site.bytes));
            if was_whole {
                self.whole_bytes -= bytes;
            }
            if is_empty {
                self.unlink(number);
            }
            self.idle -= 1;
            taken.push(records, buffer);
        }
        taken
    }

    pub fn put(&mut self, mut idle: Chain, records: &Records) {
        while let Some(buffer) = idle.pop(records) {
            let number = records.get(buffer).place.load(Relaxed);
            let span = self.span(number);
            span.idle.push(records, buffer);
            let (is_first, is_whole) = (span.idle.count == 1, span.idle.count == span.buffers);
            let bytes = span.site.map_or(0, |site| site.bytes);
            self.idle += 1;
            if is_whole {
                self.whole_bytes += bytes;
                if !is_first {
                    self.unlink(number);
                }
                self.link_last(number);
            } else if is_first {
                self.link_first(number);
            }
        }
    }

    /// Takes a span away whose buffers are all idle: where it lay, and the records of its buffers.
    pub fn take_whole(&mut self) -> Option<(Site, Chain)> {
        let number = self.last;
        let span = self.spans.get_mut(number as usize).filter(|span| span.idle.count == span.buffers)?;
        let site = span.site.take()?;
        let idle = std::mem::replace(&mut span.idle, Chain::EMPTY);
        self.unlink(number);
        self.span(number).next = self.given_back;
        self.given_back = number;
        self.buffers -= u64::from(idle.count);
        self.idle -= u64::from(idle.count);
        self.whole_bytes -= site.bytes;
        Some((site, idle))
    }

    fn span(&mut self, number: u32) -> &mut Span {
        &mut self.spans[number as usize]
    }

    fn link_first(&mut self, number: u32) {
        let first = std::mem::replace(&mut self.first, number);
        let span = self.span(number);
        (span.previous, span.next) = (NONE, first);
        match first {
            NONE => self.last = number,
            first => self.span(first).previous = number,
        }
    }

    fn link_last(&mut self, number: u32) {
        let last = std::mem::replace(&mut self.last, number);
        let span = self.span(number);
        (span.previous, span.next) = (last, NONE);
        match last {
            NONE => self.first = number,
            last => self.span(last).next = number,
        }
    }

    fn unlink(&mut self, number: u32) {
        let Span { previous, next, .. } = *self.span(number);
        match previous {
            NONE => self.first = next,
            previous => self.span(previous).next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.span(next).previous = previous,
        }
    }
}
