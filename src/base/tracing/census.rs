//! Objects that themselves know which of their blocks are followed, because a block of theirs ends without a call into
//! the library. They are asked when somebody wants a report.

use super::blocks::Traced;
use crate::base::Owner;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::handles::{self, Handled};
use crate::base::thread::ThreadRecord;
use parking_lot::Mutex;
use std::sync::Weak;

pub trait Census: Send + Sync {
    /// Shows each block that is followed and alive.
    fn each_traced(&self, each: &mut dyn FnMut(Traced));

    /// Every block is followed from now on: whoever gives some out where it cannot be seen ends that.
    fn follow_each(&self) {}
}

type Ask = fn(Owner, &mut dyn FnMut(&dyn Census));

struct Known {
    object: Weak<dyn Census>,
    owner: Owner,
    ask: Ask,
}

/// Who is asked; the dead are forgotten when the next one comes.
static OBJECTS: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// Has an object asked for as long as it lives.
pub fn register<T: Handled + Census>(owner: Owner, object: Weak<dyn Census>) -> Result<(), OutOfMemory> {
    let mut objects = OBJECTS.lock();
    objects.retain(|known| known.object.strong_count() > 0);
    alloc::try_reserve_one(&mut objects)?;
    objects.push(Known { object, owner, ask: ask::<T> });
    Ok(())
}

/// While the object is pinned: a destroy waits for that, so that its memory is gone when it returns. One that is destroyed and
/// has blocks out is asked as well.
fn ask<T: Handled + Census>(owner: Owner, question: &mut dyn FnMut(&dyn Census)) {
    // One that is in quarantine, or gone, has nothing to say.
    let _ = handles::with_child::<T, _>(ThreadRecord::current(), owner.0, |object| question(&**object));
}

/// Shows each block that such objects follow.
pub fn each(each: &mut dyn FnMut(Traced)) {
    each_object(&mut |object| object.each_traced(each));
}

/// Tells such objects that every block is followed from now on.
pub fn follow_each() {
    each_object(&mut |object| object.follow_each());
}

/// Outside of any lock.
fn each_object(question: &mut dyn FnMut(&dyn Census)) {
    for place in 0.. {
        let Some((owner, ask)) = OBJECTS.lock().get(place).map(|known| (known.owner, known.ask)) else { return };
        ask(owner, question);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::handles::Kind;
    use crate::base::testing::in_own_process;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    /// Is in the middle of its answer for as long as that takes.
    struct Object(Box<dyn Fn() + Send + Sync>);

    impl Census for Object {
        fn each_traced(&self, _each: &mut dyn FnMut(Traced)) {
            (self.0)();
        }
    }

    impl Handled for Object {
        const KIND: Kind = Kind::Slab;
        fn begin_destroy(&self) {}
        fn finish_destroy(&self) {}
    }

    #[test]
    fn a_destroy_waits_for_the_answer() {
        if !in_own_process() {
            return;
        }
        static DESTROYED: AtomicBool = AtomicBool::new(false);
        let (begun, begins) = mpsc::sync_channel(1);
        let (go_on, goes_on) = mpsc::sync_channel::<()>(1);
        let goes_on = Mutex::new(goes_on);
        let slot = handles::reserve(Kind::Slab).unwrap();
        let object = Arc::new(Object(Box::new(move || {
            begun.send(()).unwrap();
            // As long as a destroy that does not wait needs at most.
            let ended = goes_on.lock().recv_timeout(Duration::from_millis(200));
            assert!(ended.is_err() && !DESTROYED.load(SeqCst), "it is destroyed while it answers");
        })));
        let weak: Weak<Object> = Arc::downgrade(&object);
        register::<Object>(slot.owner(), weak).unwrap();
        let handle = slot.publish(object);
        let destroyer = std::thread::spawn(move || {
            begins.recv().unwrap();
            handles::destroy::<Object>(handle).unwrap();
            DESTROYED.store(true, SeqCst);
            let _ = go_on.send(());
        });
        each(&mut |_| {});
        destroyer.join().unwrap();
        assert!(DESTROYED.load(SeqCst));
    }
}
