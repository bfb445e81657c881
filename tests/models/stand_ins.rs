//! What the included sources find under `crate::base`.

pub const MESSAGE_BYTES: usize = 128;

pub mod sync {
    pub use shuttle::sync::MutexGuard;
    pub use shuttle::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

    /// The lock of parking_lot, which is never poisoned.
    #[derive(Default)]
    pub struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no model panics while it holds a lock")
        }
    }
}

pub mod alloc {
    use std::sync::Arc;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct OutOfMemory {
        pub bytes: u64,
    }

    pub fn check(_bytes: usize) -> Result<(), OutOfMemory> {
        Ok(())
    }

    pub fn try_arc<T>(value: T) -> Result<Arc<T>, OutOfMemory> {
        Ok(Arc::new(value))
    }

    pub fn try_box<T>(value: T) -> Result<Box<T>, OutOfMemory> {
        Ok(Box::new(value))
    }

    pub fn try_reserve_one<T>(_vector: &mut Vec<T>) -> Result<(), OutOfMemory> {
        Ok(())
    }

    pub fn try_vec<T>(capacity: usize) -> Result<Vec<T>, OutOfMemory> {
        Ok(Vec::with_capacity(capacity))
    }
}

pub mod clock {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Deadline(u64);

    impl Deadline {
        pub const NEVER: Self = Self(u64::MAX);

        pub fn at(moment_ns: u64) -> Self {
            Self(moment_ns)
        }

        pub fn has_passed(self) -> bool {
            self.0 == 0
        }
    }

    pub fn now_ns() -> u64 {
        1
    }
}

pub mod park {
    use super::clock::Deadline;
    use shuttle::sync::{Condvar, Mutex};

    #[derive(Default)]
    pub struct Parker {
        token: Mutex<bool>,
        given: Condvar,
    }

    impl Parker {
        /// One for each thread of a model; models are small, so they are not freed.
        pub fn leaked() -> &'static Self {
            Box::leak(Box::default())
        }

        pub fn park(&self, _deadline: Deadline) {
            let mut token = self.token.lock().expect("never poisoned");
            while !*token {
                token = self.given.wait(token).expect("never poisoned");
            }
            *token = false;
        }

        pub fn unpark(&self) {
            *self.token.lock().expect("never poisoned") = true;
            self.given.notify_one();
        }
    }
}

pub mod thread {
    use shuttle::sync::Mutex;
    use shuttle::sync::atomic::AtomicU64;

    /// Of a thread with one hazard. Models are small, so records are not freed.
    #[derive(Default)]
    pub struct ThreadRecord {
        pub hazard: AtomicU64,
    }

    shuttle::lazy_static! {
        /// Those of all threads of this run.
        pub static ref RECORDS: Mutex<Vec<&'static ThreadRecord>> = Mutex::new(Vec::new());
    }

    shuttle::thread_local! {
        static CURRENT: &'static ThreadRecord = {
            let record: &'static ThreadRecord = Box::leak(Box::default());
            RECORDS.lock().expect("never poisoned").push(record);
            record
        };
    }

    impl ThreadRecord {
        pub fn current() -> Option<&'static Self> {
            Some(CURRENT.with(|record| *record))
        }
    }
}

/// As src/base/hazards.rs.
pub mod hazards {
    use super::thread::{RECORDS, ThreadRecord};
    use shuttle::sync::atomic::Ordering::*;

    pub struct Hazard(&'static ThreadRecord);

    impl Hazard {
        pub fn take(record: Option<&'static ThreadRecord>) -> Option<Self> {
            record.map(Self)
        }

        pub fn show(&self, number: u64) {
            self.0.hazard.store(number, SeqCst);
        }

        pub fn let_go(&self) {
            self.0.hazard.store(0, SeqCst);
        }
    }

    pub fn is_shown(number: u64) -> bool {
        let records = RECORDS.lock().expect("never poisoned").clone();
        records.iter().any(|record| record.hazard.load(SeqCst) == number)
    }
}

pub mod cancel {
    use super::alloc::OutOfMemory;
    use super::clock::Deadline;
    use super::park::Parker;

    pub struct Cancel;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum WaitEnd {
        TimedOut,
        OutOfMemory(OutOfMemory),
    }

    impl From<OutOfMemory> for WaitEnd {
        fn from(error: OutOfMemory) -> Self {
            Self::OutOfMemory(error)
        }
    }

    shuttle::thread_local! {
        static PARKER: &'static Parker = Parker::leaked();
    }

    pub fn current_parker() -> Result<&'static Parker, OutOfMemory> {
        Ok(PARKER.with(|parker| *parker))
    }

    pub fn wait_until<R>(
        deadline: Deadline,
        _cancel: Option<&Cancel>,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Result<R, WaitEnd> {
        loop {
            if let Some(value) = ready() {
                return Ok(value);
            }
            if deadline == Deadline::at(1) {
                return Err(WaitEnd::TimedOut);
            }
            current_parker()?.park(deadline);
        }
    }
}

/// The scheduler tries sequentially consistent executions, in which no fence is missing.
pub mod barrier {
    pub fn is_asymmetric() -> bool {
        true
    }

    pub fn light() {}

    pub fn heavy() {}

    pub fn wait_while(mut condition: impl FnMut() -> bool) {
        while condition() {
            shuttle::thread::yield_now();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(pub u64);

#[allow(dead_code)]
#[path = "../../src/base/chance.rs"]
pub mod chance;
#[path = "../../src/base/pockets.rs"]
pub mod pockets;
#[path = "../../src/base/priority.rs"]
pub mod priority;
#[path = "../../src/base/text.rs"]
pub mod text;
