//! Destroys inside callbacks. A destroy waits until nobody is inside a callback of its object; one that is called inside a
//! callback of another object is waited for in turn by whoever destroys that one. The call that would make these waits a
//! circle is refused before it does anything.

use super::Owner;
use super::callback::Inside;
use parking_lot::Mutex;
use std::ptr::null;

/// A destroy that was called inside a callback and has not returned. It lies on the stack of its thread.
struct Nested {
    /// What it waits for.
    ends: Owner,
    /// The callbacks that wait for it.
    inside: Inside,
    next: *const Nested,
}

struct First(*const Nested);

// SAFETY: what it points to is looked at and changed only under the lock around it.
unsafe impl Send for First {}

static FIRST: Mutex<First> = Mutex::new(First(null()));

/// The destroy of an object: `begin` makes it the only one of its object, `go_on` waits. Nothing when it would wait for
/// one that waits for it; then neither runs.
pub fn destroy<E>(ends: Owner, begin: impl FnOnce() -> Result<(), E>, go_on: impl FnOnce()) -> Option<Result<(), E>> {
    let Some(inside) = Inside::here() else { return Some(begin().map(|()| go_on())) };
    let mut first = FIRST.lock();
    if waits_for(&first, ends, inside) {
        return None;
    }
    if let Err(error) = begin() {
        return Some(Err(error));
    }
    let nested = Nested { ends, inside, next: first.0 };
    first.0 = &raw const nested;
    drop(first);
    let _leave = Leave(&nested);
    go_on();
    Some(Ok(()))
}

/// Whether the end of that object waits, by way of others, for who is inside these callbacks. No circle is ever let in, so
/// this comes to an end.
fn waits_for(first: &First, ends: Owner, inside: Inside) -> bool {
    let mut next = first.0;
    // SAFETY: what is in the list is in the destroy that put it there, and leaves it under the lock that the caller holds.
    while let Some(nested) = unsafe { next.as_ref() } {
        // SAFETY: its thread is in these callbacks, because it has not returned; this thread is in its own.
        let is_next = unsafe { nested.inside.has(ends) };
        // SAFETY: as above.
        if is_next && (unsafe { inside.has(nested.ends) } || waits_for(first, nested.ends, inside)) {
            return true;
        }
        next = nested.next;
    }
    false
}

/// Takes it out of the list, also when a callback unwinds.
struct Leave<'a>(&'a Nested);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut first = FIRST.lock();
        let mut place = &raw mut first.0;
        // SAFETY: the list is changed under this lock alone, and ends with this one at the latest.
        unsafe {
            while *place != &raw const *self.0 {
                place = &raw mut (*(*place).cast_mut()).next;
            }
            *place = self.0.next;
        }
    }
}
