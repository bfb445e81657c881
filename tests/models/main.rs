//! Models of the lock-free parts, run under a scheduler that tries many interleavings of their threads (shuttle: random
//! and PCT, Burckhardt and others 2010). The sources are included as they are; what they stand on is replaced by stand-ins
//! whose every atomic operation is a point at which the scheduler may switch. A lost wake-up is a deadlock, which it tells.

#[path = "stand_ins.rs"]
pub mod base;

#[allow(dead_code)]
mod buffers;
#[allow(dead_code)]
mod cells;
mod heap;
#[allow(dead_code)]
mod lazy;
#[allow(dead_code)]
mod orchestrator;
mod pockets;
#[allow(dead_code)]
mod pool;
#[allow(dead_code)]
mod slab;
#[allow(dead_code)]
mod templates;

/// What the included sources find under `crate::memory`.
pub mod memory {
    pub mod governor {
        pub struct Charge;
    }
}

/// Runs a model under both schedulers.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    const INTERLEAVINGS: usize = 2000;
    const DEPTH: usize = 3;
    let model = std::sync::Arc::new(model);
    let again = model.clone();
    shuttle::check_random(move || model(), INTERLEAVINGS);
    shuttle::check_pct(move || again(), INTERLEAVINGS, DEPTH);
}
