//! Pools, one-shot cells and allocators of Rust, as the C++ side calls them: each function does its work `count` times.
//!
//! Every pool leases out the same: eight boxes of 64 bytes, which need no test and do not age. The functions of pools may
//! be called by several threads at once, which then share the pool. Where a pool is asynchronous, each thread enters a
//! runtime of its own, once for all its pairs: what is measured is the pool, not a scheduler that moves tasks about.

mod heaps;

use bumpalo::Bump;
use deadpool::{managed, unmanaged};
use std::alloc::Layout;
use std::cell::RefCell;
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::LazyLock;
use tokio::runtime;

const RESOURCES: u32 = 8;

type Resource = Box<[u8; 64]>;

fn make() -> Resource {
    Box::new([0; 64])
}

struct Manager;

impl r2d2::ManageConnection for Manager {
    type Connection = Resource;
    type Error = Infallible;

    fn connect(&self) -> Result<Resource, Infallible> {
        Ok(make())
    }

    fn is_valid(&self, _: &mut Resource) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Resource) -> bool {
        false
    }
}

impl bb8::ManageConnection for Manager {
    type Connection = Resource;
    type Error = Infallible;

    async fn connect(&self) -> Result<Resource, Infallible> {
        Ok(make())
    }

    async fn is_valid(&self, _: &mut Resource) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Resource) -> bool {
        false
    }
}

impl managed::Manager for Manager {
    type Type = Resource;
    type Error = Infallible;

    async fn create(&self) -> Result<Resource, Infallible> {
        Ok(make())
    }

    async fn recycle(&self, _: &mut Resource, _: &managed::Metrics) -> managed::RecycleResult<Infallible> {
        Ok(())
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}

#[unsafe(no_mangle)]
pub extern "C" fn peer_r2d2(count: u64) {
    static POOL: LazyLock<r2d2::Pool<Manager>> = LazyLock::new(|| {
        let builder = r2d2::Pool::builder().max_size(RESOURCES).test_on_check_out(false);
        builder.idle_timeout(None).max_lifetime(None).build(Manager).expect("a pool")
    });
    let pool = &*POOL;
    for _ in 0..count {
        black_box(&*pool.get().expect("a lease"));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn peer_bb8(count: u64) {
    // All are made at once: a task that made one later would belong to the runtime of whoever needed it.
    static POOL: LazyLock<bb8::Pool<Manager>> = LazyLock::new(|| {
        let builder = bb8::Pool::builder().max_size(RESOURCES).min_idle(RESOURCES).test_on_check_out(false);
        block_on(builder.idle_timeout(None).max_lifetime(None).build(Manager)).expect("a pool")
    });
    let pool = &*POOL;
    block_on(async {
        for _ in 0..count {
            black_box(&*pool.get().await.expect("a lease"));
        }
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn peer_deadpool_managed(count: u64) {
    static POOL: LazyLock<managed::Pool<Manager>> =
        LazyLock::new(|| managed::Pool::builder(Manager).max_size(RESOURCES as usize).build().expect("a pool"));
    let pool = &*POOL;
    block_on(async {
        for _ in 0..count {
            black_box(&*pool.get().await.expect("a lease"));
        }
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn peer_deadpool_unmanaged(count: u64) {
    static POOL: LazyLock<unmanaged::Pool<Resource>> =
        LazyLock::new(|| (0..RESOURCES).map(|_| make()).collect::<Vec<_>>().into());
    let pool = &*POOL;
    block_on(async {
        for _ in 0..count {
            black_box(&*pool.get().await.expect("a lease"));
        }
    });
}

/// Blocks of 64 bytes, then all of them given back.
#[unsafe(no_mangle)]
pub extern "C" fn peer_bumpalo(count: u64) {
    thread_local!(static BUMP: RefCell<Bump> = RefCell::new(Bump::with_capacity(16 << 20)));
    let layout = Layout::from_size_align(64, 16).expect("a layout");
    BUMP.with_borrow_mut(|bump| {
        for _ in 0..count {
            black_box(bump.alloc_layout(layout));
        }
        bump.reset();
    });
}

// The ends of a cell go through a black box: in real life they part, so that the compiler cannot see through it.

#[unsafe(no_mangle)]
pub extern "C" fn peer_oneshot(count: u64) {
    for i in 0..count {
        let (sender, receiver) = black_box(oneshot::channel());
        sender.send(black_box(i)).expect("a receiver");
        black_box(receiver.recv().expect("a value"));
    }
}

/// Cells whose ends are kept by C.
///
/// # Safety
/// Both arrays have room for so many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_oneshot_make(senders: *mut *mut (), receivers: *mut *mut (), count: u64) {
    for i in 0..count as usize {
        let (sender, receiver) = oneshot::channel::<u64>();
        // SAFETY: the caller's promise.
        unsafe {
            senders.add(i).write(sender.into_raw().cast());
            receivers.add(i).write(receiver.into_raw().cast());
        }
    }
}

/// # Safety
/// So many of [`peer_oneshot_make`], each once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_oneshot_send(senders: *const *mut (), count: u64) {
    for i in 0..count as usize {
        // SAFETY: the caller's promise.
        unsafe { oneshot::Sender::<u64>::from_raw((*senders.add(i)).cast()) }.send(7).expect("a receiver");
    }
}

/// # Safety
/// So many of [`peer_oneshot_make`], each once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_oneshot_receive(receivers: *const *mut (), count: u64) {
    for i in 0..count as usize {
        // SAFETY: the caller's promise.
        black_box(unsafe { oneshot::Receiver::<u64>::from_raw((*receivers.add(i)).cast()) }.recv().expect("a value"));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn peer_tokio_oneshot(count: u64) {
    block_on(async {
        for i in 0..count {
            let (sender, receiver) = black_box(tokio::sync::oneshot::channel());
            sender.send(black_box(i)).expect("a receiver");
            black_box(receiver.await.expect("a value"));
        }
    });
}
