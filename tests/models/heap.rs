//! Windows of a heap: what lies in a thread's cache is its thread's or, with the lock and the windows shut, somebody
//! else's, and never both.

#[path = "../../src/memory/heap/windows.rs"]
mod windows;

use crate::base::Owner;
use crate::base::pockets::Pocket;
use crate::base::sync::{AtomicU32, Mutex, Ordering::*};
use crate::explore;
use shuttle::thread;
use std::sync::Arc;
use windows::Windows;

const THREADS: usize = 2;
const HEAP: Owner = Owner(7);

/// A heap of blocks that are all alike: only their number counts.
struct Model {
    windows: Windows,
    pockets: Vec<Pocket>,
    /// What each thread has at hand. Its loads and stores are apart, as those of a cache are.
    caches: Vec<AtomicU32>,
    /// What is free for all.
    free: Mutex<u32>,
}

impl Model {
    fn new(blocks: u32) -> Arc<Self> {
        let model = Self {
            windows: Windows::new(HEAP),
            pockets: (0..THREADS).map(|_| Pocket::EMPTY).collect(),
            caches: (0..THREADS).map(|_| AtomicU32::new(0)).collect(),
            free: Mutex::new(blocks),
        };
        model.windows.open();
        Arc::new(model)
    }

    fn alloc(&self, me: usize) -> bool {
        if let Some(_window) = self.windows.enter(&self.pockets[me]) {
            let depth = self.caches[me].load(Relaxed);
            if depth > 0 {
                self.caches[me].store(depth - 1, Relaxed);
                return true;
            }
        }
        let mut free = self.free.lock();
        if *free == 0 {
            self.recall(&mut free);
        }
        if *free == 0 {
            return false;
        }
        *free -= 1;
        true
    }

    fn release(&self, me: usize) {
        if let Some(_window) = self.windows.enter(&self.pockets[me]) {
            let depth = self.caches[me].load(Relaxed);
            self.caches[me].store(depth + 1, Relaxed);
            return;
        }
        // With the lock it may use its own cache, too.
        let mut free = self.free.lock();
        let depth = self.caches[me].load(Relaxed);
        self.caches[me].store(0, Relaxed);
        *free += depth + 1;
    }

    fn recall(&self, free: &mut u32) {
        self.windows.shut(self.pockets.iter());
        for cache in &self.caches {
            let depth = cache.load(Relaxed);
            cache.store(0, Relaxed);
            *free += depth;
        }
        self.windows.open();
    }
}

#[test]
fn no_block_is_lost_and_none_is_had_twice() {
    explore(|| {
        let model = Model::new(2);
        let riders: Vec<_> = (0..THREADS)
            .map(|me| {
                let model = model.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        // There are as many blocks as there are threads.
                        assert!(model.alloc(me), "refused what lies in a cache");
                        model.release(me);
                    }
                })
            })
            .collect();
        let recaller = model.clone();
        let recall = thread::spawn(move || recaller.recall(&mut recaller.free.lock()));
        riders.into_iter().for_each(|rider| rider.join().unwrap());
        recall.join().unwrap();
        let mut free = model.free.lock();
        model.recall(&mut free);
        assert_eq!(*free, 2, "a block is lost, or there is one too many");
    });
}
