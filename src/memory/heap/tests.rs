use super::config::SMALLEST_CHUNK_BYTES;
use super::*;
use crate::base::clock::Deadline;
use crate::base::handles::Handled;
use crate::memory::policy::Pages;
use crate::memory::source::PageSource;
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

mod movable;

#[test]
fn nobody_waits_for_the_blocks_of_a_heap_in_quarantine() {
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    heap.alloc(ThreadRecord::current(), 100, 0).unwrap();
    heap.quarantined();
    assert!(matches!(heap.close(Deadline::NEVER, None), Err(HeapError::Closed)));
}
