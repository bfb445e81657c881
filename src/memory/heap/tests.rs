use super::*;
use crate::memory::policy::Pages;
use crate::memory::testing;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::*};

const CHUNK: u64 = 256 << 10;

fn small_chunks() -> HeapConfig {
    let source = PageSource { pages: Pages::Base, ..PageSource::default() };
    HeapConfig { source, chunk_bytes: CHUNK, ..HeapConfig::default() }
}

fn heap(config: HeapConfig) -> Arc<Heap> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let owner = Owner(u64::MAX - MADE.fetch_add(1, Relaxed));
    Heap::new(owner, config).expect("a heap")
}

/// A block that the model knows, filled with bytes that tell its serial number.
struct Known {
    bytes: u64,
    align: u64,
    serial: u64,
}

impl Known {
    fn byte(&self, offset: u64) -> u8 {
        (self.serial.wrapping_mul(0x9e37_79b9) >> 8) as u8 ^ offset as u8
    }
}

/// What a user of the heap believes: which blocks it has, and what it wrote to them.
struct Model {
    heap: Arc<Heap>,
    blocks: BTreeMap<usize, Known>,
    random: fastrand::Rng,
    serial: u64,
}

impl Model {
    fn new(config: HeapConfig, seed: u64) -> Self {
        Self { heap: heap(config), blocks: BTreeMap::new(), random: fastrand::Rng::with_seed(seed), serial: 0 }
    }

    fn size(&mut self) -> u64 {
        match self.random.u32(..100) {
            0..60 => self.random.u64(..1100),
            60..95 => self.random.u64(..20_000),
            95..99 => self.random.u64(..CHUNK),
            _ => self.random.u64(..4 * CHUNK),
        }
    }

    fn align(&mut self) -> u64 {
        if self.random.u32(..10) > 0 { 0 } else { 1 << self.random.u32(..17) }
    }

    fn record(&self) -> Option<&'static ThreadRecord> {
        ThreadRecord::current()
    }

    fn write(&mut self, address: *mut u8, bytes: u64, align: u64) {
        self.serial += 1;
        let known = Known { bytes, align, serial: self.serial };
        for offset in 0..bytes {
            unsafe { address.add(offset as usize).write(known.byte(offset)) };
        }
        let start = address as usize;
        assert_eq!(start as u64 % align.max(16), 0);
        let before = self.blocks.range(..start).next_back();
        assert!(before.is_none_or(|(at, known)| at + known.bytes as usize <= start), "overlaps the one before");
        let after = self.blocks.range(start..).next();
        assert!(after.is_none_or(|(at, _)| start + bytes.max(1) as usize <= *at), "overlaps the one behind");
        self.blocks.insert(start, known);
    }

    fn verify(address: usize, known: &Known, up_to: u64) {
        for offset in 0..known.bytes.min(up_to) {
            let found = unsafe { (address as *const u8).add(offset as usize).read() };
            assert_eq!(found, known.byte(offset), "byte {offset} of {}", known.bytes);
        }
    }

    fn any(&mut self) -> Option<usize> {
        let wanted = self.random.usize(..=usize::MAX);
        self.blocks.range(wanted..).next().or(self.blocks.range(..wanted).next_back()).map(|(at, _)| *at)
    }

    fn some(&mut self) -> Option<usize> {
        let (first, last) = (*self.blocks.keys().next()?, *self.blocks.keys().next_back()?);
        let wanted = self.random.usize(first..=last);
        self.blocks.range(wanted..).next().map(|(at, _)| *at).or_else(|| self.any())
    }

    fn alloc(&mut self) {
        let (bytes, align) = (self.size(), self.align());
        let address = self.heap.alloc(self.record(), bytes, align).expect("memory");
        self.write(address, bytes, align);
    }

    fn free(&mut self) {
        let Some(address) = self.some() else { return };
        let known = self.blocks.remove(&address).unwrap();
        Self::verify(address, &known, u64::MAX);
        self.heap.free(self.record(), address as *mut u8).expect("it was allocated");
    }

    fn resize(&mut self) {
        let Some(address) = self.some() else { return };
        let known = self.blocks.remove(&address).unwrap();
        let bytes = self.size();
        let moved = self.heap.resize(self.record(), address as *mut u8, bytes, known.align).expect("memory");
        Self::verify(moved as usize, &known, bytes);
        self.write(moved, bytes, known.align);
    }

    fn step(&mut self, most: usize) {
        match self.random.u32(..100) {
            _ if self.blocks.len() >= most => self.free(),
            0..50 => self.alloc(),
            50..85 => self.free(),
            85..99 => self.resize(),
            _ => {
                self.heap.trim(0).unwrap();
            }
        }
    }

    fn check_numbers(&self) {
        let stats = self.heap.stats().unwrap();
        assert_eq!(stats.blocks, self.blocks.len() as u64);
        assert_eq!(stats.requested_bytes, self.blocks.values().map(|known| known.bytes.max(1)).sum::<u64>());
        assert!(stats.used_bytes >= stats.requested_bytes);
        let usable = (stats.mapped_bytes + stats.adopted_bytes) * 16 / 17;
        let counted = stats.used_bytes + stats.free_bytes + stats.cached_bytes + stats.returned_bytes;
        assert!(counted <= usable && counted + stats.chunks * 64 >= usable, "{stats:?}");
        assert_eq!(stats.mapped_bytes - stats.returned_bytes, self.heap.account.held());
        let (listed, count) = self.heap.blocks_behind(0, usize::MAX).unwrap();
        assert_eq!((listed.len() as u64, count), (stats.blocks, stats.blocks));
        for (found, (address, known)) in listed.iter().zip(&self.blocks) {
            assert_eq!((found.address, found.requested_bytes), (*address as u64, known.bytes.max(1)));
        }
    }

    fn free_all(&mut self) {
        while !self.blocks.is_empty() {
            self.free();
        }
        // Nothing is given back, but what threads have at hand comes home.
        self.heap.trim(u64::MAX).unwrap();
        let stats = self.heap.stats().unwrap();
        assert_eq!((stats.blocks, stats.requested_bytes, stats.used_bytes, stats.cached_bytes), (0, 0, 0, 0));
        assert_eq!((stats.free_blocks, stats.repairs), (stats.chunks, 0));
        assert_eq!(stats.mapped_bytes, self.heap.account.held());
    }
}

fn play(config: HeapConfig, seeds: std::ops::Range<u64>) {
    let _quiet = testing::quiet();
    for seed in seeds {
        let mut model = Model::new(config, seed);
        for step in 0..3000 {
            model.step(400);
            if step % 500 == 0 {
                model.check_numbers();
            }
        }
        model.check_numbers();
        model.free_all();
        model.heap.trim(0).unwrap();
        assert_eq!((model.heap.account.held(), model.heap.stats().unwrap().chunks), (0, 0));
    }
}

#[test]
fn behaves_as_its_user_believes() {
    play(small_chunks(), 0..12);
}

#[test]
fn behaves_the_same_when_it_is_checked() {
    play(HeapConfig { checked: true, ..small_chunks() }, 100..106);
}

#[test]
fn every_size_up_to_the_largest_class_loses_little() {
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    for bytes in 1..=5000 {
        let block = heap.alloc(ThreadRecord::current(), bytes, 0).unwrap();
        let lost = heap.usable_bytes(block).unwrap() - bytes;
        assert!(lost < 16 || lost * 8 <= bytes + lost, "{lost} of {bytes}");
        heap.free(ThreadRecord::current(), block).unwrap();
    }
}

#[test]
fn nobody_is_refused_while_memory_lies_in_anothers_cache() {
    let _quiet = testing::quiet();
    let heap = heap(HeapConfig { limit_bytes: SMALLEST_CHUNK_BYTES, ..small_chunks() });
    let fill = || {
        let mut blocks = Vec::new();
        while let Ok(block) = heap.alloc(ThreadRecord::current(), 100, 0) {
            blocks.push(block as usize);
        }
        blocks
    };
    let first = std::thread::scope(|scope| {
        let filled = scope.spawn(|| {
            let blocks = fill();
            // Freed here, so this thread has some of them at hand when it ends.
            blocks.iter().for_each(|block| heap.free(ThreadRecord::current(), *block as *mut u8).unwrap());
            assert!(heap.stats().unwrap().cached_bytes > 0);
            blocks.len()
        });
        filled.join().unwrap()
    });
    assert_eq!(fill().len(), first);
}

#[test]
fn what_threads_have_at_hand_is_a_part_of_the_heap_and_all_of_it_comes_home() {
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    let record = ThreadRecord::current();
    for round in 0..3 {
        let blocks: Vec<_> = (0..40_000).map(|index| heap.alloc(record, 1 + index % 2048, 0).unwrap()).collect();
        let refilled = heap.stats().unwrap();
        blocks.iter().for_each(|block| heap.free(record, *block).unwrap());
        let stats = heap.stats().unwrap();
        let first_rooms: u64 = (0..classes::CLASSES).map(|class| 16 * classes::bytes_of(class)).sum();
        assert!(refilled.cached_bytes <= stats.mapped_bytes / 2 + first_rooms, "round {round}: {refilled:?}");
        assert!(stats.cached_bytes <= stats.mapped_bytes / 2 + first_rooms, "round {round}: {stats:?}");
        // Wide stacks, and what overflowed from them.
        assert!(stats.cached_bytes > 2 * first_rooms, "round {round}: {stats:?}");
        assert!(stats.free_blocks > stats.chunks);
        heap.trim(u64::MAX).unwrap();
        let stats = heap.stats().unwrap();
        assert_eq!((stats.cached_bytes, stats.free_blocks), (0, stats.chunks));
    }
}

#[test]
fn writes_to_free_memory_do_not_lead_it_astray() {
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    let record = ThreadRecord::current();
    let blocks: Vec<_> = (0..64).map(|_| heap.alloc(record, 3000, 0).unwrap()).collect();
    blocks.iter().step_by(2).for_each(|block| heap.free(record, *block).unwrap());
    for pattern in [0u8, 0xff, 0x41] {
        for block in blocks.iter().step_by(2) {
            // A use after free.
            unsafe { block.write_bytes(pattern, 3000) };
        }
        let again: Vec<_> = (0..32).map(|_| heap.alloc(record, 2900, 0).unwrap()).collect();
        assert!(again.iter().all(|block| !blocks.iter().skip(1).step_by(2).any(|used| used == block)));
        again.iter().for_each(|block| heap.free(record, *block).unwrap());
    }
    blocks.iter().skip(1).step_by(2).for_each(|block| heap.free(record, *block).unwrap());
    let stats = heap.stats().unwrap();
    assert!(stats.repairs > 0);
    assert_eq!(stats.used_bytes, 0);
}

#[test]
fn blocks_freed_by_another_thread_come_back_whole() {
    let _quiet = testing::quiet();
    const BLOCKS: usize = 20_000;
    let heap = heap(small_chunks());
    let (sender, receiver) = std::sync::mpsc::sync_channel::<(usize, usize)>(256);
    std::thread::scope(|scope| {
        let heap = &heap;
        scope.spawn(move || {
            let mut random = fastrand::Rng::with_seed(1);
            for _ in 0..BLOCKS {
                let bytes = random.usize(1..3000);
                let block = heap.alloc(ThreadRecord::current(), bytes as u64, 0).unwrap();
                unsafe { block.write_bytes(bytes as u8, bytes) };
                sender.send((block as usize, bytes)).unwrap();
            }
        });
        for (block, bytes) in receiver {
            let contents = unsafe { std::slice::from_raw_parts(block as *const u8, bytes) };
            assert!(contents.iter().all(|byte| *byte == bytes as u8));
            heap.free(ThreadRecord::current(), block as *mut u8).unwrap();
        }
    });
    heap.trim(u64::MAX).unwrap();
    let stats = heap.stats().unwrap();
    assert_eq!((stats.blocks, stats.used_bytes, stats.free_blocks), (0, 0, stats.chunks));
}

#[test]
fn threads_share_it_while_others_take_back_what_they_have_at_hand() {
    let _quiet = testing::quiet();
    const THREADS: u64 = 4;
    let heap = heap(small_chunks());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let heap = &heap;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                let mut mine: Vec<(usize, usize, u8)> = Vec::new();
                for round in 0..30_000 {
                    if random.bool() && mine.len() < 200 {
                        let bytes = random.usize(1..2500);
                        let block = heap.alloc(ThreadRecord::current(), bytes as u64, 0).unwrap();
                        unsafe { block.write_bytes(round as u8, bytes) };
                        mine.push((block as usize, bytes, round as u8));
                    } else if !mine.is_empty() {
                        let (block, bytes, tag) = mine.swap_remove(random.usize(..mine.len()));
                        let contents = unsafe { std::slice::from_raw_parts(block as *const u8, bytes) };
                        assert!(contents.iter().all(|byte| *byte == tag));
                        heap.free(ThreadRecord::current(), block as *mut u8).unwrap();
                    }
                    if round % 1000 == 0 {
                        heap.trim(0).unwrap();
                        heap.blocks_behind(0, 10).unwrap();
                    }
                }
                mine.iter().for_each(|(block, ..)| heap.free(ThreadRecord::current(), *block as *mut u8).unwrap());
            });
        }
    });
    heap.trim(0).unwrap();
    assert_eq!((heap.stats().unwrap().blocks, heap.stats().unwrap().chunks, heap.account.held()), (0, 0, 0));
}

/// A movable block that the model knows.
struct KnownMovable {
    block: MovableBlock,
    contents: Vec<u8>,
    align: u64,
    /// Where it lies, once for each pin.
    pinned_at: Vec<*mut u8>,
}

struct MovableModel {
    heap: Arc<Heap>,
    blocks: Vec<KnownMovable>,
    /// Blocks given out by their address, which must stay where they are.
    fixed: Vec<(*mut u8, usize, u8)>,
    random: fastrand::Rng,
    moved: u64,
}

impl MovableModel {
    fn new(config: HeapConfig, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { heap: heap(config), blocks: Vec::new(), fixed: Vec::new(), random, moved: 0 }
    }

    fn size(&mut self) -> usize {
        if self.random.u32(..10) > 0 { self.random.usize(..2000) } else { self.random.usize(..60_000) }
    }

    fn fresh_contents(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|_| self.random.u8(..)).collect()
    }

    /// Looks at a block, and writes to it anew.
    fn rewrite(&mut self, index: usize) {
        let bytes = self.blocks[index].contents.len();
        let fresh = self.fresh_contents(bytes);
        let known = &mut self.blocks[index];
        let address = self.heap.pin(known.block).unwrap();
        assert_eq!(address as u64 % known.align.max(16), 0);
        if let Some(pinned) = known.pinned_at.last() {
            assert_eq!(address, *pinned, "a pinned block was moved");
        }
        let found = unsafe { std::slice::from_raw_parts_mut(address, bytes) };
        assert!(found == known.contents, "contents of a block of {bytes} bytes");
        found.copy_from_slice(&fresh);
        known.contents = fresh;
        self.heap.unpin(known.block).unwrap();
    }

    fn alloc(&mut self) {
        let bytes = self.size();
        let align = if self.random.u32(..8) > 0 { 0 } else { 1 << self.random.u32(..13) };
        let block = self.heap.alloc_block(bytes as u64, align).unwrap();
        let contents = self.fresh_contents(bytes);
        let address = self.heap.pin(block).unwrap();
        unsafe { address.copy_from_nonoverlapping(contents.as_ptr(), bytes) };
        self.heap.unpin(block).unwrap();
        self.blocks.push(KnownMovable { block, contents, align, pinned_at: Vec::new() });
    }

    fn free(&mut self, index: usize) {
        if !self.blocks[index].pinned_at.is_empty() {
            assert!(matches!(self.heap.free_block(self.blocks[index].block), Err(HeapError::Pinned { .. })));
            return;
        }
        self.rewrite(index);
        let known = self.blocks.swap_remove(index);
        self.heap.free_block(known.block).unwrap();
        assert!(matches!(self.heap.free_block(known.block), Err(HeapError::StaleBlock { .. })));
        assert!(matches!(self.heap.pin(known.block), Err(HeapError::StaleBlock { .. })));
    }

    fn resize(&mut self, index: usize) {
        let bytes = self.size();
        let known = &mut self.blocks[index];
        let resized = self.heap.resize_block(known.block, bytes as u64);
        if !known.pinned_at.is_empty() {
            assert!(matches!(resized, Err(HeapError::Pinned { .. })));
            return;
        }
        resized.unwrap();
        let kept = known.contents.len().min(bytes);
        known.contents.truncate(kept);
        let address = self.heap.pin(known.block).unwrap();
        assert!(unsafe { std::slice::from_raw_parts(address, kept) } == known.contents);
        while known.contents.len() < bytes {
            known.contents.push(0x5c);
        }
        unsafe { address.copy_from_nonoverlapping(known.contents.as_ptr(), bytes) };
        self.heap.unpin(known.block).unwrap();
    }

    fn pin(&mut self, index: usize) {
        let known = &mut self.blocks[index];
        known.pinned_at.push(self.heap.pin(known.block).unwrap());
        assert!(known.pinned_at.iter().all(|address| *address == known.pinned_at[0]));
        assert_eq!(self.heap.block_info(known.block).unwrap().pins, known.pinned_at.len() as u64);
    }

    fn unpin(&mut self, index: usize) {
        let known = &mut self.blocks[index];
        let unpinned = self.heap.unpin(known.block);
        match known.pinned_at.pop() {
            Some(_) => unpinned.unwrap(),
            None => assert!(matches!(unpinned, Err(HeapError::NotPinned))),
        }
    }

    fn replace_fixed(&mut self) {
        let record = ThreadRecord::current();
        if self.fixed.len() > 20 || (self.random.bool() && !self.fixed.is_empty()) {
            let (address, bytes, tag) = self.fixed.swap_remove(self.random.usize(..self.fixed.len()));
            assert!(unsafe { std::slice::from_raw_parts(address, bytes) }.iter().all(|byte| *byte == tag));
            self.heap.free(record, address).unwrap();
        } else {
            let (bytes, tag) = (self.size(), self.random.u8(..));
            let address = self.heap.alloc(record, bytes as u64, 0).unwrap();
            unsafe { address.write_bytes(tag, bytes) };
            self.fixed.push((address, bytes, tag));
        }
    }

    fn compact(&mut self) {
        let most = if self.random.bool() { 0 } else { self.random.u64(1..100_000) };
        let before = self.heap.stats().unwrap();
        let done = self.heap.compact(most).unwrap();
        let after = self.heap.stats().unwrap();
        assert!(most == 0 || done.moved_bytes <= most);
        assert!(done.fragmentation_after <= 1_000_000 && done.fragmentation_before <= 1_000_000);
        assert_eq!((before.blocks, before.requested_bytes), (after.blocks, after.requested_bytes));
        assert!(after.mapped_bytes <= before.mapped_bytes);
        assert_eq!(after.mapped_bytes - after.returned_bytes, self.heap.account.held());
        self.moved += done.moved_blocks;
    }

    fn step(&mut self) {
        let index = self.random.usize(..self.blocks.len().max(1));
        match self.random.u32(..100) {
            0..30 => self.alloc(),
            30..35 => self.replace_fixed(),
            35..37 => self.compact(),
            _ if self.blocks.is_empty() => {}
            37..65 => self.free(index),
            65..75 => self.resize(index),
            75..82 => self.pin(index),
            82..90 => self.unpin(index),
            _ => self.rewrite(index),
        }
    }

    fn end(mut self) {
        for index in 0..self.blocks.len() {
            while !self.blocks[index].pinned_at.is_empty() {
                self.unpin(index);
            }
        }
        let fixed = std::mem::take(&mut self.fixed);
        fixed.iter().for_each(|(address, ..)| self.heap.free(ThreadRecord::current(), *address).unwrap());
        // Now that all can be moved, no gap is left but one in each chunk.
        let done = self.heap.compact(0).unwrap();
        let stats = self.heap.stats().unwrap();
        assert_eq!((stats.movable_blocks, stats.blocks), (self.blocks.len() as u64, self.blocks.len() as u64));
        // Or what alignment leaves.
        let aligned = self.blocks.iter().map(|known| known.align).filter(|align| *align > 16).sum::<u64>();
        let free = stats.free_bytes + stats.returned_bytes;
        let scattered = u64::from(done.fragmentation_after) * free / 1_000_000;
        assert!(scattered <= aligned, "{done:?} of {free}, {aligned} for alignment");
        assert!(self.moved > 0 && stats.repairs == 0);
        while !self.blocks.is_empty() {
            self.free(0);
        }
        self.heap.trim(0).unwrap();
        let stats = self.heap.stats().unwrap();
        assert_eq!((stats.blocks, stats.movable_blocks, stats.chunks, self.heap.account.held()), (0, 0, 0, 0));
    }
}

fn play_movable(config: HeapConfig, seeds: std::ops::Range<u64>) {
    let _quiet = testing::quiet();
    for seed in seeds {
        let mut model = MovableModel::new(config, seed);
        (0..4000).for_each(|_| model.step());
        model.end();
    }
}

#[test]
fn movable_blocks_keep_their_contents_and_pinned_ones_their_place() {
    play_movable(small_chunks(), 0..8);
}

#[test]
fn movable_blocks_of_a_checked_heap_take_their_guards_along() {
    play_movable(HeapConfig { checked: true, ..small_chunks() }, 50..54);
}

#[test]
fn compaction_empties_chunks_that_are_almost_empty() {
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    let blocks: Vec<_> = (0..2000).map(|_| heap.alloc_block(1000, 0).unwrap()).collect();
    for (index, block) in blocks.iter().enumerate() {
        if index % 10 > 0 {
            heap.free_block(*block).unwrap();
        }
    }
    let before = heap.stats().unwrap();
    assert!(before.chunks >= 8);
    let done = heap.compact(0).unwrap();
    let after = heap.stats().unwrap();
    assert_eq!((after.chunks, after.free_blocks), (1, 1));
    assert!(done.fragmentation_before > 500_000 && done.fragmentation_after == 0, "{done:?}");
    assert_eq!(done.returned_chunks, before.chunks - 1);
    assert_eq!(heap.account.held(), after.mapped_bytes - after.returned_bytes);
}

#[test]
fn compaction_gives_whole_pages_back_beside_a_pinned_block() {
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    let blocks: Vec<_> = (0..200).map(|_| heap.alloc_block(1000, 0).unwrap()).collect();
    for block in &blocks {
        let address = heap.pin(*block).unwrap();
        unsafe { address.write_bytes(7, 1000) };
        heap.unpin(*block).unwrap();
    }
    let pinned = heap.pin(blocks[199]).unwrap();
    blocks[..199].iter().for_each(|block| heap.free_block(*block).unwrap());
    let before = heap.stats().unwrap().resident_bytes;
    let done = heap.compact(0).unwrap();
    let after = heap.stats().unwrap().resident_bytes;
    assert_eq!((done.moved_blocks, done.returned_chunks), (0, 0));
    assert!(done.returned_bytes > 150_000 && before - after == done.returned_bytes, "{done:?}");
    assert_eq!(unsafe { std::slice::from_raw_parts(pinned, 1000) }, [7; 1000]);
    heap.unpin(blocks[199]).unwrap();
}

/// A heap of one chunk, whose only block lies at its end and is pinned, so that the rest is given back.
fn mostly_returned() -> (Arc<Heap>, MovableBlock) {
    let heap = heap(small_chunks());
    let ahead = heap.alloc_block(200_000, 0).unwrap();
    let last = heap.alloc_block(1000, 0).unwrap();
    heap.pin(last).unwrap();
    heap.free_block(ahead).unwrap();
    assert!(heap.compact(0).unwrap().returned_bytes >= 190_000);
    (heap, last)
}

#[test]
fn what_was_given_back_is_charged_again_before_it_is_used() {
    let _quiet = testing::quiet();
    let (heap, last) = mostly_returned();
    let record = ThreadRecord::current();
    let given_back = heap.stats().unwrap();
    assert_eq!(heap.account.held(), CHUNK - given_back.returned_bytes);
    // No more than is needed, then all of it, and no chunk is mapped for it.
    let some = heap.alloc(record, 60_000, 0).unwrap();
    let between = heap.stats().unwrap();
    assert!(between.returned_bytes < given_back.returned_bytes && between.returned_bytes > 100_000, "{between:?}");
    assert_eq!(heap.account.held(), CHUNK - between.returned_bytes);
    unsafe { some.write_bytes(1, 60_000) };
    let more = heap.alloc(record, 100_000, 4096).unwrap();
    unsafe { more.write_bytes(1, 100_000) };
    assert_eq!(heap.stats().unwrap().mapped_bytes, CHUNK);
    heap.free(record, some).unwrap();
    heap.free(record, more).unwrap();
    heap.unpin(last).unwrap();
    heap.free_block(last).unwrap();
    // With all of it free, the chunk goes, and what is charged for it.
    let charged = CHUNK - heap.stats().unwrap().returned_bytes;
    assert_eq!((heap.account.held(), heap.trim(0).unwrap()), (charged, charged));
    assert_eq!((heap.account.held(), heap.stats().unwrap().chunks), (0, 0));
}

#[test]
fn blocks_slide_to_where_pages_were_given_back() {
    let _quiet = testing::quiet();
    let (heap, last) = mostly_returned();
    let before = heap.pin(last).unwrap() as usize;
    heap.unpin(last).unwrap();
    heap.unpin(last).unwrap();
    let done = heap.compact(0).unwrap();
    let after = heap.stats().unwrap();
    assert_eq!((done.moved_blocks, done.fragmentation_after), (1, 0));
    assert!(before - heap.pin(last).unwrap() as usize > 190_000);
    assert_eq!(heap.account.held(), CHUNK - after.returned_bytes);
    assert!(after.returned_bytes > 190_000);
    heap.unpin(last).unwrap();
}

#[test]
fn a_chunk_of_which_much_was_given_back_goes_whole() {
    let _quiet = testing::quiet();
    let (heap, last) = mostly_returned();
    let address = heap.pin(last).unwrap();
    let inside = address.wrapping_sub(100_000);
    assert!(matches!(heap.free(ThreadRecord::current(), inside), Err(HeapError::InFreeMemory { .. })));
    heap.unpin(last).unwrap();
    heap.unpin(last).unwrap();
    heap.free_block(last).unwrap();
    heap.trim(0).unwrap();
    assert_eq!((heap.account.held(), heap.stats().unwrap().repairs), (0, 0));
}

#[test]
fn a_chunk_that_is_trimmed_while_it_is_repaired_is_charged_for_until_it_goes() {
    use crate::memory::inspection::{Inspect, Memory};
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    let shown = heap.each_chunk(&mut |memory| {
        let Memory::Mapped(mapping) = memory else { panic!("the chunk was mapped") };
        let bare = heap.bare_parts(mapping).unwrap();
        assert_eq!((heap.trim(0).unwrap(), bare.parts.len()), (CHUNK, 0));
        drop(bare);
        assert_eq!((heap.account.held(), heap.stats().unwrap().chunks), (CHUNK, 0));
        // Nothing of it is brought in from now on.
        let start = mapping.address() as u64;
        let bare = heap.bare_parts(mapping).unwrap();
        assert!(bare.parts.iter().eq([&(start..start + CHUNK)]));
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!((shown.is_ok(), heap.account.held()), (true, 0));
}

#[test]
fn blocks_are_pinned_while_others_compact() {
    let _quiet = testing::quiet();
    const THREADS: usize = 3;
    let heap = heap(small_chunks());
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let heap = &heap;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread as u64);
                    let mut mine: Vec<(MovableBlock, usize, u8)> = Vec::new();
                    for round in 0..6000 {
                        if mine.len() < 50 || random.u32(..3) == 0 {
                            let (bytes, tag) = (random.usize(1..3000), round as u8);
                            let block = heap.alloc_block(bytes as u64, 0).unwrap();
                            unsafe { heap.pin(block).unwrap().write_bytes(tag, bytes) };
                            heap.unpin(block).unwrap();
                            mine.push((block, bytes, tag));
                        }
                        let index = random.usize(..mine.len());
                        let (block, bytes, tag) = mine[index];
                        let address = heap.pin(block).unwrap();
                        let contents = unsafe { std::slice::from_raw_parts(address, bytes) };
                        assert!(contents.iter().all(|byte| *byte == tag));
                        assert_eq!(heap.pin(block).unwrap(), address);
                        heap.unpin(block).unwrap();
                        heap.unpin(block).unwrap();
                        if mine.len() > 100 || random.bool() {
                            mine.swap_remove(index);
                            heap.free_block(block).unwrap();
                        }
                    }
                    mine.iter().for_each(|(block, ..)| heap.free_block(*block).unwrap());
                })
            })
            .collect();
        let (heap, over) = (&heap, &over);
        scope.spawn(move || {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                heap.compact(0).unwrap();
            }
        });
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    heap.trim(0).unwrap();
    assert_eq!((heap.stats().unwrap().blocks, heap.account.held()), (0, 0));
}

#[test]
fn governor_gets_back_what_a_heap_can_do_without() {
    use crate::memory::governor::reclaim::{ReclaimKind, Reclaimer};
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    let [empty, compact] = heap.returning.get().unwrap();
    assert_eq!((empty.kind(), compact.kind()), (ReclaimKind::Empty, ReclaimKind::Compact));
    assert_eq!(compact.reclaimable_bytes(), 0);
    let blocks: Vec<_> = (0..1000).map(|_| heap.alloc_block(1000, 0).unwrap()).collect();
    assert_eq!(empty.reclaimable_bytes(), 0);
    for (index, block) in blocks.iter().enumerate() {
        if index % 10 > 0 {
            heap.free_block(*block).unwrap();
        }
    }
    let mapped = heap.account.held();
    assert!(compact.reclaimable_bytes() > 500_000);
    let used_ns = compact.last_used_ns();
    assert_eq!(compact.last_used_ns(), used_ns);
    assert!(compact.reclaim(1) >= mapped - heap.account.held());
    assert!(heap.account.held() <= 2 * CHUNK);
    blocks.iter().step_by(10).for_each(|block| heap.free_block(*block).unwrap());
    assert!(empty.reclaimable_bytes() > 0);
    assert!(empty.reclaim(u64::MAX) > 0);
    assert_eq!(heap.account.held(), 0);
}
