//! Buffers: a view ends once, its memory goes with the last slice, once; and a list at hand of a thread loses nothing and
//! gives nothing twice while others take all of it.

#[path = "../../src/memory/buffers/record.rs"]
mod record;
#[path = "../../src/memory/buffers/sizes.rs"]
mod sizes;
#[path = "../../src/memory/buffers/stash.rs"]
mod stash;
#[path = "../../src/memory/buffers/view.rs"]
mod view;

use crate::base::barrier;
use crate::base::sync::{AtomicU32, Ordering::*};
use crate::explore;
use record::{Chain, Records};
use shuttle::thread;
use stash::{Door, List};
use std::sync::Arc;
use view::{Left, View, ViewError};

struct Stable {
    records: Records,
    door: Door,
    at_hand: List,
    /// How often each record is in somebody's hands.
    held: Vec<AtomicU32>,
    ended: AtomicU32,
}

impl Stable {
    fn new(count: u32) -> Arc<Self> {
        let records = Records::new(7);
        (0..count).for_each(|number| records.grow_to(number).unwrap());
        let held = (0..count).map(|_| AtomicU32::new(0)).collect();
        Arc::new(Self { records, door: Door::default(), at_hand: List::default(), held, ended: AtomicU32::new(0) })
    }

    fn hold(&self, number: u32) {
        assert_eq!(self.held[number as usize].fetch_add(1, SeqCst), 0, "two have one buffer");
    }

    fn let_go(&self, number: u32) {
        self.held[number as usize].fetch_sub(1, SeqCst);
    }

    fn release(&self, view: View) -> Result<(), ViewError> {
        let (_, record) = self.records.find(view).unwrap();
        if record.word.release(view)? == Left::Nothing {
            self.ended.fetch_add(1, SeqCst);
        }
        Ok(())
    }
}

#[test]
fn of_two_who_release_the_last_reference_one_does() {
    explore(|| {
        let stable = Stable::new(1);
        let view = stable.records.begin(0);
        let thief = {
            let stable = stable.clone();
            thread::spawn(move || stable.release(view).is_ok())
        };
        let mine = stable.release(view).is_ok();
        assert!(mine != thief.join().unwrap(), "it ended twice, or never");
        assert_eq!(stable.ended.load(SeqCst), 1);
        assert!(stable.records.get(0).word.is_idle());
    });
}

#[test]
fn memory_ends_once_with_its_last_view_whoever_is_last() {
    explore(|| {
        let stable = Stable::new(1);
        let view = stable.records.begin(0);
        let end_slice = |stable: &Stable| {
            assert_eq!(stable.ended.load(SeqCst), 0, "its memory went under a slice");
            if stable.records.get(0).word.end_slice() == Left::Nothing {
                stable.ended.fetch_add(1, SeqCst);
            }
        };
        stable.records.get(0).word.slice(view).unwrap();
        let slicer = {
            let stable = stable.clone();
            thread::spawn(move || {
                // A slice of the slice, and then both go.
                stable.records.get(0).word.slice_beside().unwrap();
                end_slice(&stable);
                end_slice(&stable);
            })
        };
        let late = {
            let stable = stable.clone();
            thread::spawn(move || match stable.records.get(0).word.slice(view) {
                Ok(()) => end_slice(&stable),
                Err(error) => assert_eq!(error, ViewError::Stale),
            })
        };
        stable.release(view).unwrap();
        slicer.join().unwrap();
        late.join().unwrap();
        assert_eq!(stable.ended.load(SeqCst), 1);
    });
}

#[test]
fn a_stale_name_changes_nothing_of_the_next_use() {
    explore(|| {
        let stable = Stable::new(1);
        let first = stable.records.begin(0);
        stable.release(first).unwrap();
        let misuser = {
            let stable = stable.clone();
            thread::spawn(move || {
                assert!(stable.records.get(0).word.retain(first).is_err());
                assert!(stable.release(first).is_err());
            })
        };
        let second = stable.records.begin(0);
        stable.release(second).unwrap();
        misuser.join().unwrap();
        assert_eq!(stable.ended.load(SeqCst), 2);
    });
}

#[test]
fn a_list_at_hand_loses_nothing_and_gives_nothing_twice() {
    const COUNT: u32 = 3;
    explore(|| {
        let stable = Stable::new(COUNT);
        let mut full = Chain::EMPTY;
        (0..COUNT).for_each(|number| full.push(&stable.records, number));
        stable.at_hand.fill(full);
        let recaller = {
            let stable = stable.clone();
            thread::spawn(move || {
                let mut taken = Chain::EMPTY;
                for _ in 0..2 {
                    stable.door.shut();
                    barrier::heavy();
                    assert!(stable.door.wait_until_left());
                    let mut all = stable.at_hand.take_all();
                    while let Some(number) = all.pop(&stable.records) {
                        stable.hold(number);
                        // In use its link means something else.
                        stable.records.get(number).link.store(0, Relaxed);
                        taken.push(&stable.records, number);
                    }
                    stable.door.open();
                }
                taken.count
            })
        };
        let mut mine = Vec::new();
        for step in 0..4 {
            let popped = {
                let _busy = stable.door.begin();
                stable.at_hand.pop(&stable.records)
            };
            if let Some(number) = popped {
                stable.hold(number);
                mine.push(number);
            }
            if step % 2 == 1
                && let Some(busy) = stable.door.try_begin()
            {
                if let Some(number) = mine.pop() {
                    stable.let_go(number);
                    stable.at_hand.push(&stable.records, number);
                }
                drop(busy);
            }
        }
        let taken = recaller.join().unwrap();
        assert_eq!(stable.at_hand.count() + taken + mine.len() as u32, COUNT, "one is lost");
    });
}
