//! Objects that themselves know which of their blocks are followed, because a block of theirs ends without a call into
//! the library. They are asked when somebody wants a report.

use super::blocks::Traced;
use crate::base::alloc::{self, OutOfMemory};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

pub trait Census: Send + Sync {
    /// Shows each block that is followed and alive.
    fn each_traced(&self, each: &mut dyn FnMut(Traced));
}

/// Who is asked; the dead are forgotten when the next one comes.
static OBJECTS: Mutex<Vec<Weak<dyn Census>>> = Mutex::new(Vec::new());

/// Has an object asked for as long as it lives.
pub fn register(object: Weak<dyn Census>) -> Result<(), OutOfMemory> {
    let mut objects = OBJECTS.lock();
    objects.retain(|known| known.strong_count() > 0);
    alloc::try_reserve_one(&mut objects)?;
    objects.push(object);
    Ok(())
}

/// Shows each block that such objects follow.
pub fn each(each: &mut dyn FnMut(Traced)) {
    for place in 0.. {
        // One at a time: an object whose last share this is ends outside the lock.
        let Some(object) = OBJECTS.lock().get(place).map(Weak::upgrade) else { return };
        let object: Option<Arc<dyn Census>> = object;
        if let Some(object) = object {
            object.each_traced(each);
        }
    }
}
