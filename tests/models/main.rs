//! Models of the lock-free parts, run under a scheduler that tries many interleavings of their threads (shuttle: random
//! and PCT, Burckhardt and others 2010). The sources are included as they are; what they stand on is replaced by stand-ins
//! whose every atomic operation is a point at which the scheduler may switch. A lost wake-up is a deadlock, which it tells.

#[path = "stand_ins.rs"]
pub mod base;

#[allow(dead_code)]
mod buffers;
#[allow(dead_code)]
mod cells;
#[allow(dead_code)]
mod desks;
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

    /// A machine of two nodes, whose threads say themselves where they run.
    pub mod nodes {
        use std::cell::Cell;

        shuttle::thread_local! {
            static HERE: Cell<u32> = Cell::new(0);
        }

        pub struct Nodes;

        impl Nodes {
            pub fn count(&self) -> u32 {
                2
            }

            pub fn here(&self) -> u32 {
                HERE.with(Cell::get)
            }

            pub fn nearest_to(&self, node: u32) -> &[u32] {
                if node == 0 { &[0, 1] } else { &[1, 0] }
            }
        }

        pub fn run_on(node: u32) {
            HERE.with(|here| here.set(node));
        }
    }
}

/// Runs a model under both schedulers.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    const INTERLEAVINGS: usize = 2000;
    const DEPTH: usize = 3;
    // An atomic of a model is larger than a real one: what is made of many does not fit into what a model's thread has.
    const STACK_BYTES: usize = 1 << 20;
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    let model = std::sync::Arc::new(model);
    let again = model.clone();
    shuttle::Runner::new(shuttle::scheduler::RandomScheduler::new(INTERLEAVINGS), config.clone()).run(move || model());
    shuttle::Runner::new(shuttle::scheduler::PctScheduler::new(DEPTH, INTERLEAVINGS), config).run(move || again());
}
