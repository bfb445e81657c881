//! A crew: the threads that bring pages in, slice by slice, and before each slice look whether what is still to come may be
//! taken at all. Mostly it is the thread that asks. Where memory policies are refused, it is threads on CPUs of the wanted
//! nodes: without a policy a page comes from the node of the CPU that touches it first.

use super::kernel;
use super::placement::Placement;
use super::policy::{NodeMask, Pages};
use super::steps::{Limit, Step};
use super::system::{self, Errno};
use crate::base::thread;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Brought in at once by all hands together, between two looks at the headroom.
const SLICE: u64 = 64 << 20;

#[derive(Clone, Debug)]
pub struct Crew {
    hands: Vec<Hand>,
    /// Pages go to the hands in turn; else each hand has one part of all.
    is_interleaved: bool,
}

/// One thread of a crew.
#[derive(Clone, Copy, Debug)]
struct Hand {
    /// Where it runs; `None`: it is the thread that asks.
    cpus: Option<NodeMask>,
}

/// Why a crew stopped. What it had brought in stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What is still to come would pass a limit.
    Limit(Limit),
    Errno(Errno),
    /// A hand does not get to its CPUs.
    Absent(Limit, Errno),
}

impl Refusal {
    /// What it means for pages of this size; `shortage` is what an errno stands for.
    pub fn step(self, tried: Pages, shortage: Limit) -> Step {
        let (limit, errno) = match self {
            Refusal::Limit(limit) => (limit, 0),
            Refusal::Errno(errno) => (shortage, errno),
            Refusal::Absent(limit, errno) => (limit, errno),
        };
        Step { tried, limit, errno }
    }
}

impl Crew {
    /// The thread that asks.
    pub fn caller() -> Self {
        Self { hands: vec![Hand { cpus: None }], is_interleaved: false }
    }

    /// A thread for each node of an interleaved placement, else one for all of its nodes. Refused where a node has no CPU
    /// to run on.
    pub fn on_nodes(placement: &Placement) -> Result<Self, Limit> {
        let is_interleaved = placement.is_interleaved();
        let of_nodes: Vec<NodeMask> = placement.nodes().iter().map(kernel::cpus_of_node).collect();
        let groups = match is_interleaved {
            true => of_nodes,
            false => vec![of_nodes.iter().flat_map(NodeMask::iter).collect()],
        };
        if groups.is_empty() || groups.iter().any(NodeMask::is_empty) {
            return Err(Limit::NoCpu);
        }
        let hands = groups.into_iter().map(|cpus| Hand { cpus: Some(cpus) }).collect();
        Ok(Self { hands, is_interleaved })
    }

    /// Whether it places pages by touching them first.
    pub fn places(&self) -> bool {
        self.hands.iter().any(|hand| hand.cpus.is_some())
    }

    /// Whether every hand gets to its CPUs.
    pub fn muster(&self) -> Result<(), Refusal> {
        self.bring_in(0, 1, &|_| Ok(()), &|_, _| Ok(()))
    }

    /// Brings in `bytes` in whole pages. `populate` is told an offset and how much to bring in there; `admit` is asked
    /// before each slice of a hand for what that hand has still to do, and what it grants is kept until the slice is there.
    pub fn bring_in<A>(
        &self,
        bytes: u64,
        page_bytes: u64,
        admit: &(impl Fn(u64) -> Result<A, Limit> + Sync),
        populate: &(impl Fn(u64, u64) -> Result<(), Errno> + Sync),
    ) -> Result<(), Refusal> {
        let count = self.hands.len() as u64;
        let piece = if self.is_interleaved { page_bytes } else { bytes.div_ceil(count).next_multiple_of(page_bytes) };
        let slice = (SLICE / count).max(page_bytes);
        let stop = AtomicBool::new(false);
        let work = |number: usize, hand: &Hand| {
            let share = Share { bytes, piece: piece.max(1), first: number as u64, of: count };
            let done = hand.work(&share, slice, &stop, admit, populate);
            stop.fetch_or(done.is_err(), Relaxed);
            done
        };
        if let [hand @ Hand { cpus: None }] = self.hands.as_slice() {
            return work(0, hand);
        }
        std::thread::scope(|scope| {
            let start = |(number, hand)| thread::spawn_scoped(scope, "touch", move || work(number, hand));
            let started: Vec<_> = self.hands.iter().enumerate().map(start).collect();
            let ended = started.into_iter().map(|thread| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(error) => {
                    Err(Refusal::Absent(Limit::ThreadRefused, error.source.raw_os_error().unwrap_or(libc::EAGAIN)))
                }
            });
            // All of them have ended before any of what they say counts.
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }
}

impl Hand {
    fn work<A>(
        &self,
        share: &Share,
        slice: u64,
        stop: &AtomicBool,
        admit: impl Fn(u64) -> Result<A, Limit>,
        populate: impl Fn(u64, u64) -> Result<(), Errno>,
    ) -> Result<(), Refusal> {
        if let Some(cpus) = &self.cpus {
            system::run_on(cpus).map_err(|errno| match errno {
                // None of them is one that this process may use.
                libc::EINVAL => Refusal::Absent(Limit::NoCpu, errno),
                errno => Refusal::Absent(Limit::ThreadRefused, errno),
            })?;
        }
        let (mut left, mut admitted, mut until_look) = (share.left(), None, 0);
        for (offset, bytes) in share.ranges(slice) {
            if stop.load(Relaxed) {
                break;
            }
            if until_look == 0 {
                // What was granted before is there by now.
                drop(admitted.take());
                admitted = Some(admit(left).map_err(Refusal::Limit)?);
                until_look = slice;
            }
            populate(offset, bytes).map_err(Refusal::Errno)?;
            left -= bytes;
            until_look = until_look.saturating_sub(bytes);
        }
        Ok(())
    }
}

/// What one hand does of all: every `of`-th piece, from the one with the number `first` on.
struct Share {
    bytes: u64,
    piece: u64,
    first: u64,
    of: u64,
}

impl Share {
    fn pieces(&self) -> impl Iterator<Item = (u64, u64)> {
        let (bytes, piece) = (self.bytes, self.piece);
        let starts = (self.first.saturating_mul(piece)..bytes).step_by((self.of * piece) as usize);
        starts.map(move |start| (start, piece.min(bytes - start)))
    }

    fn left(&self) -> u64 {
        self.pieces().map(|(_, bytes)| bytes).sum()
    }

    /// Its pieces, none of them longer than a slice.
    fn ranges(&self, slice: u64) -> impl Iterator<Item = (u64, u64)> {
        self.pieces().flat_map(move |(start, bytes)| {
            (0..bytes).step_by(slice as usize).map(move |at| (start + at, slice.min(bytes - at)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    const PAGE: u64 = 4096;

    fn crew(count: usize, is_interleaved: bool) -> Crew {
        let cpus = Some(kernel::cpus_of_node(0)).filter(|_| count > 1);
        Crew { hands: vec![Hand { cpus }; count], is_interleaved }
    }

    /// However many hands, each byte is brought in once, and never before it was admitted.
    #[test]
    fn every_page_is_brought_in_once() {
        let _quiet = super::super::testing::quiet();
        for (count, is_interleaved) in [(1, false), (3, false), (3, true), (4, true)] {
            for bytes in [0, PAGE, 2 * PAGE, 7 * PAGE, (SLICE / PAGE + 5) * PAGE, 3 * SLICE] {
                let page_bytes = if bytes > SLICE { 64 * PAGE } else { PAGE };
                let bytes = bytes.next_multiple_of(page_bytes);
                let (done, admitted) = (Mutex::new(Vec::new()), Mutex::new(0));
                let admit = |left: u64| {
                    let mut most = admitted.lock();
                    *most = left.max(*most);
                    Ok(())
                };
                let populate = |offset, bytes| {
                    assert!(bytes <= SLICE.max(page_bytes) && *admitted.lock() >= bytes);
                    done.lock().push((offset, bytes));
                    Ok(())
                };
                crew(count, is_interleaved).bring_in(bytes, page_bytes, &admit, &populate).expect("no failure");
                let mut done = done.into_inner();
                done.sort_unstable();
                let end = done.iter().fold(0, |end, (offset, bytes)| {
                    assert_eq!(*offset, end);
                    end + bytes
                });
                assert_eq!(end, bytes);
            }
        }
    }

    #[test]
    fn the_first_that_is_refused_stops_all() {
        let _quiet = super::super::testing::quiet();
        for count in [1, 2] {
            let refused =
                crew(count, false).bring_in(4 * SLICE, PAGE, &|_| Err::<(), _>(Limit::MemoryCgroup), &|_, _| Ok(()));
            assert_eq!(refused, Err(Refusal::Limit(Limit::MemoryCgroup)));
            let failed = crew(count, true).bring_in(4 * SLICE, PAGE, &|_| Ok(()), &|at, _| match at {
                at if at < PAGE * 64 => Ok(()),
                _ => Err(libc::EFAULT),
            });
            assert_eq!(failed, Err(Refusal::Errno(libc::EFAULT)));
        }
    }
}
