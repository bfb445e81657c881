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
/// Brought in by one system call. While it lasts, no other thread maps or unmaps anything.
const CALL: u64 = 8 << 20;
/// Less is not worth a thread.
const LEAST_FOR_A_HAND: u64 = 32 << 20;
const MOST_HANDS: u64 = 8;

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

    /// The same with others beside it, where there is much to do and more CPUs may be used. Only for what a policy places, or
    /// on a machine of one node: else pages would come from wherever the others run.
    pub fn with_helpers(self, bytes: u64, is_placed_anywhere: bool) -> Self {
        if self.places() || bytes < 2 * LEAST_FOR_A_HAND || !(is_placed_anywhere || kernel::is_of_one_node()) {
            return self;
        }
        let count = (bytes / LEAST_FOR_A_HAND).min(system::usable_cpus()).clamp(1, MOST_HANDS);
        Self { hands: vec![Hand { cpus: None }; count as usize], ..self }
    }

    /// A thread for each node of an interleaved placement, else one for all of its nodes. Refused where a node has no CPU
    /// to run on.
    pub fn on_nodes(placement: &Placement) -> Result<Self, Limit> {
        let is_interleaved = placement.is_interleaved() && placement.nodes().count() > 1;
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
            let done = hand.work(&share, slice, CALL.max(page_bytes), &stop, admit, populate);
            stop.fetch_or(done.is_err(), Relaxed);
            done
        };
        // Who asks is one of the hands, unless each has to run elsewhere.
        let (own, others) = match self.hands.split_first() {
            Some((own @ Hand { cpus: None }, others)) => (Some(own), others),
            _ => (None, self.hands.as_slice()),
        };
        if others.is_empty() {
            return own.map_or(Ok(()), |own| work(0, own));
        }
        let first = usize::from(own.is_some());
        std::thread::scope(|scope| {
            let start = |(number, hand)| thread::spawn_scoped(scope, "touch", move || work(number, hand));
            let numbered = || (first..).zip(others);
            let started: Vec<_> = numbered().map(start).collect();
            let own = own.map_or(Ok(()), |own| work(0, own));
            let ended = numbered().zip(started).map(|((number, hand), thread)| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // Who asks does it as well.
                Err(_) if hand.cpus.is_none() => work(number, hand),
                Err(error) => {
                    Err(Refusal::Absent(Limit::ThreadRefused, error.source.raw_os_error().unwrap_or(libc::EAGAIN)))
                }
            });
            // All of them have ended before any of what they say counts.
            let ended: Vec<_> = ended.collect();
            ended.into_iter().fold(own, Result::and)
        })
    }
}

impl Hand {
    fn work<A>(
        &self,
        share: &Share,
        slice: u64,
        call: u64,
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
        for (offset, bytes) in share.ranges(call) {
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

    /// Its pieces, none of them longer than `most`.
    fn ranges(&self, most: u64) -> impl Iterator<Item = (u64, u64)> {
        self.pieces().flat_map(move |(start, bytes)| {
            (0..bytes).step_by(most as usize).map(move |at| (start + at, most.min(bytes - at)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    const PAGE: u64 = 4096;

    fn crew(count: usize, is_interleaved: bool) -> Crew {
        let cpus = Some(kernel::cpus_of_node(0)).filter(|_| is_interleaved);
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
                    assert!(bytes <= CALL.max(page_bytes) && *admitted.lock() >= bytes);
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
    fn helpers_come_for_much_and_never_for_what_a_first_touch_places() {
        let _quiet = super::super::testing::quiet();
        let hands = |bytes| Crew::caller().with_helpers(bytes, true).hands.len() as u64;
        assert_eq!((hands(0), hands(2 * LEAST_FOR_A_HAND - 1)), (1, 1));
        assert_eq!(hands(1 << 40), system::usable_cpus().min(MOST_HANDS));
        assert_eq!(crew(2, true).with_helpers(1 << 40, true).hands.len(), 2);
    }

    /// What no thread can be had for, who asks does alone.
    #[cfg(feature = "faults")]
    #[test]
    fn helpers_that_do_not_come_are_not_needed() {
        use super::super::testing::in_own_process;
        use crate::base::faults::{Point, set};
        if !in_own_process() {
            return;
        }
        for nth in 1..4 {
            let done = Mutex::new(0);
            set(Point::ThreadStart as usize, nth, libc::EAGAIN, true);
            let populate = |_, bytes: u64| {
                *done.lock() += bytes;
                Ok(())
            };
            let ended = crew(4, false).bring_in(5 * SLICE, PAGE, &|_| Ok(()), &populate);
            set(Point::ThreadStart as usize, 0, 0, false);
            assert_eq!((ended, done.into_inner()), (Ok(()), 5 * SLICE));
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
