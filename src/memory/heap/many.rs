//! Many blocks in one call: a thread's window is entered once for a run of them.

use super::cache::Cache;
use super::{Heap, HeapError};
use crate::base::thread::ThreadRecord;

/// Who wants all windows shut waits for no more than this.
const RUN: usize = 64;

impl Heap {
    /// Allocates as many blocks as there are places, or none.
    pub fn alloc_n(
        &self,
        record: Option<&'static ThreadRecord>,
        bytes: u64,
        align: u64,
        places: &mut [*mut u8],
    ) -> Result<(), HeapError> {
        let mut got = 0;
        while got < places.len() {
            let run = places.len().min(got + RUN);
            got += self.alloc_run(record, bytes, align, &mut places[got..run]);
            if got < run {
                match self.alloc(record, bytes, align) {
                    Ok(block) => places[got] = block,
                    Err(error) => {
                        self.free_in_vain(record, &mut places[..got]);
                        return Err(error);
                    }
                }
                got += 1;
            }
        }
        Ok(())
    }

    /// Of what the thread has at hand; tells how many there were.
    fn alloc_run(
        &self,
        record: Option<&'static ThreadRecord>,
        bytes: u64,
        align: u64,
        places: &mut [*mut u8],
    ) -> usize {
        self.in_window(record, |record, cache| {
            let at_hand = std::iter::from_fn(|| cache.alloc(record, bytes, align));
            places.iter_mut().zip(at_hand).map(|(place, block)| *place = block).count()
        })
    }

    fn free_in_vain(&self, record: Option<&'static ThreadRecord>, places: &mut [*mut u8]) {
        for place in places {
            // It is ours and out, so it can be freed.
            let _ = self.free(record, std::mem::replace(place, std::ptr::null_mut()));
        }
    }

    /// Takes back those that can be, and tells how many that were, and of the first that cannot its place and why. A null
    /// block is none, and back already.
    pub fn free_n(
        &self,
        record: Option<&'static ThreadRecord>,
        blocks: &[*mut u8],
    ) -> (u32, Result<(), (usize, HeapError)>) {
        let (mut freed, mut at, mut result) = (0, 0, Ok(()));
        while at < blocks.len() {
            let run = blocks.len().min(at + RUN);
            let done = self.free_run(record, &blocks[at..run]);
            (at, freed) = (at + done, freed + done as u32);
            if at < run {
                match if blocks[at].is_null() { Ok(()) } else { self.free(record, blocks[at]) } {
                    Ok(()) => freed += 1,
                    Err(error) => result = result.and(Err((at, error))),
                }
                at += 1;
            }
        }
        (freed, result)
    }

    /// Up to the first that cannot be had at hand.
    fn free_run(&self, record: Option<&'static ThreadRecord>, blocks: &[*mut u8]) -> usize {
        self.in_window(record, |_, cache| blocks.iter().map_while(|block| self.free_to(cache, *block)).count())
    }

    /// 0 where the thread has nothing at hand now.
    fn in_window(
        &self,
        record: Option<&'static ThreadRecord>,
        body: impl FnOnce(&'static ThreadRecord, &Cache) -> usize,
    ) -> usize {
        let Some((record, cache)) = record.and_then(|record| Some((record, self.caches.of(record)?))) else { return 0 };
        self.windows.enter(record.pocket(self.owner)).map_or(0, |_window| body(record, cache))
    }
}
