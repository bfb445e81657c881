//! Allocators of single blocks: each replaces one of 10,000 live blocks of 16 to 1039 bytes, as benches/heap.cpp does.

use offset_allocator::{Allocation, Allocator};
use rlsf::Tlsf;
use std::alloc::Layout;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::{LazyLock, Mutex};

const LIVE: usize = 10_000;
const POOL_BYTES: usize = 64 << 20;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn place_of(random: u64) -> usize {
    (((random >> 32) * LIVE as u64) >> 32) as usize
}

fn size_of(random: u64) -> usize {
    16 + (random & 1023) as usize
}

/// The live blocks of an allocator, which stay from one call to the next.
struct Churn<A, B> {
    allocator: A,
    blocks: Vec<B>,
    random: Random,
}

impl<A, B> Churn<A, B> {
    fn new(mut allocator: A, alloc: fn(&mut A, usize) -> B) -> Self {
        let mut random = Random(88_172_645_463_325_252);
        let blocks = (0..LIVE).map(|_| alloc(&mut allocator, size_of(random.next()))).collect();
        Self { allocator, blocks, random }
    }

    fn run(&mut self, count: u64, alloc: impl Fn(&mut A, usize) -> B, free: impl Fn(&mut A, &B)) {
        for _ in 0..count {
            let random = self.random.next();
            let block = &mut self.blocks[place_of(random)];
            free(&mut self.allocator, block);
            *block = black_box(alloc(&mut self.allocator, size_of(random)));
        }
    }
}

type Rlsf = Tlsf<'static, u32, u32, 28, 32>;

struct Blocks(Churn<Rlsf, NonNull<u8>>);

// SAFETY: the memory belongs to the pool, which is behind a lock.
unsafe impl Send for Blocks {}

fn rlsf_alloc(pool: &mut Rlsf, bytes: usize) -> NonNull<u8> {
    pool.allocate(Layout::from_size_align(bytes, 16).expect("a layout")).expect("memory")
}

// The lock is taken once for all steps: neither peer is timed with one.

#[unsafe(no_mangle)]
pub extern "C" fn peer_rlsf(count: u64) {
    static POOL: LazyLock<Mutex<Blocks>> = LazyLock::new(|| {
        let mut pool = Rlsf::new();
        pool.insert_free_block(Box::leak(vec![MaybeUninit::uninit(); POOL_BYTES].into_boxed_slice()));
        Mutex::new(Blocks(Churn::new(pool, rlsf_alloc)))
    });
    // SAFETY: each block came from this pool, and is freed once.
    let free = |pool: &mut Rlsf, block: &NonNull<u8>| unsafe { pool.deallocate(*block, 16) };
    POOL.lock().expect("the pool").0.run(count, rlsf_alloc, free);
}

fn offset_alloc(allocator: &mut Allocator<u32>, bytes: usize) -> Allocation<u32> {
    allocator.allocate(bytes as u32).expect("room")
}

#[unsafe(no_mangle)]
pub extern "C" fn peer_offset_allocator(count: u64) {
    static POOL: LazyLock<Mutex<Churn<Allocator<u32>, Allocation<u32>>>> =
        LazyLock::new(|| Mutex::new(Churn::new(Allocator::new(POOL_BYTES as u32), offset_alloc)));
    POOL.lock().expect("the pool").run(count, offset_alloc, |allocator, block| allocator.free(*block));
}
