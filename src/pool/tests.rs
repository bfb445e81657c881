//! Attacks on what the pool promises: one lease for each resource, each created one destroyed once, nobody forgotten.

use super::stack::Stack;
use std::sync::atomic::{AtomicU32, Ordering::*};

#[test]
fn last_in_first_out_and_counted() {
    let stack = Stack::new(3).unwrap();
    assert_eq!(stack.pop(), None);
    (0..3).for_each(|slot| stack.push(slot));
    assert_eq!(stack.depth(), 3);
    assert_eq!([stack.pop(), stack.pop(), stack.pop(), stack.pop()], [Some((2, 2)), Some((1, 1)), Some((0, 0)), None]);
}

#[test]
fn a_number_is_never_handed_to_two() {
    let stack = Stack::new(8).unwrap();
    (0..8).for_each(|slot| stack.push(slot));
    let owners: Vec<AtomicU32> = (0..8).map(|_| AtomicU32::new(0)).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50_000 {
                    if let Some((slot, _)) = stack.pop() {
                        assert_eq!(owners[slot as usize].swap(1, Relaxed), 0);
                        owners[slot as usize].store(0, Relaxed);
                        stack.push(slot);
                    }
                }
            });
        }
    });
    assert_eq!(stack.depth(), 8);
}
