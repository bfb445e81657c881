//! A panic in the middle of an object's work quarantines the object.

use super::{HandleError, Handled, Pin, pin_on, quarantine};
use crate::base::Owner;
use crate::base::thread::ThreadRecord;

/// Runs `body` with a live object, for new work. A panic inside quarantines the object on its way out.
#[inline(always)]
pub fn with<T: Handled, R>(
    record: Option<&'static ThreadRecord>,
    handle: u64,
    body: impl FnOnce(&Pin<T>) -> R,
) -> Result<R, HandleError> {
    let pin = pin_on::<T>(record, handle)?;
    Ok(watched(&pin, handle, body))
}

/// The same for an object that is pinned already.
#[inline(always)]
pub fn watched<T: Handled, R>(pin: &Pin<T>, handle: u64, body: impl FnOnce(&Pin<T>) -> R) -> R {
    let watch = QuarantineOnPanic { owner: Owner(handle), object: &**pin };
    let result = body(pin);
    std::mem::forget(watch);
    result
}

struct QuarantineOnPanic<'a, T: Handled> {
    owner: Owner,
    object: &'a T,
}

impl<T: Handled> Drop for QuarantineOnPanic<'_, T> {
    fn drop(&mut self) {
        quarantine(self.owner);
        self.object.quarantined();
    }
}
