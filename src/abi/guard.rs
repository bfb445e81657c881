//! What every call passes on its way in and out: the fork check, the panic guard, the handle check.

use super::status::{Failure, OSTLER_E_FORKED, OSTLER_E_PANIC, OSTLER_OK, ostler_status};
use crate::base::faults::{self, Point};
use crate::base::handles::{self, Handled, Laned, Pin, Seated};
use crate::base::thread::ThreadRecord;
use crate::base::{fork, panics};

/// Runs the body of a call. Nothing unwinds out of it.
#[inline]
pub fn guard(body: impl FnOnce() -> Result<(), Failure>) -> ostler_status {
    enter(|_| body())
}

/// The guard itself; the body gets this thread's record, which costs a look-up.
#[inline]
fn enter(body: impl FnOnce(Option<&'static ThreadRecord>) -> Result<(), Failure>) -> ostler_status {
    if fork::is_forked() {
        return forked();
    }
    let record = ThreadRecord::current();
    match panics::catch_on(record, || {
        faults::hit(Point::Call);
        body(record)
    }) {
        Ok(Ok(())) => OSTLER_OK,
        Ok(Err(failure)) => failure.status(),
        Err(caught) => panicked(caught),
    }
}

#[cold]
fn panicked(caught: panics::Caught) -> ostler_status {
    Failure::new(OSTLER_E_PANIC, format_args!("the library panicked: {}", caught.message())).status()
}

#[cold]
fn forked() -> ostler_status {
    Failure::new(OSTLER_E_FORKED, format_args!(
        "this process is a forked child of the one that uses the library: exec a program, or load Ostler after the fork"
    ))
    .status()
}

/// A call that gives the object new work. A panic inside quarantines the object.
#[inline]
pub fn with<H, T: Handled>(handle: *mut H, body: impl FnOnce(&Pin<T>) -> Result<(), Failure>) -> ostler_status {
    enter(|record| handles::with(record, handle as u64, body)?)
}

/// A call on behalf of something that is out (a lease, a ticket): the object may be closing or destroyed already.
#[inline]
pub fn with_child<H, T: Handled>(handle: *mut H, body: impl FnOnce(&Pin<T>) -> Result<(), Failure>) -> ostler_status {
    enter(|record| handles::with_child(record, handle as u64, |pin| handles::watched(pin, handle as u64, body))?)
}

/// The object for a call that has next to nothing to do, before the guard: see [`Seated`].
#[inline(always)]
pub fn seated<H, T: Laned>(handle: *mut H) -> Option<Seated<T>> {
    Seated::enter(handle as u64)
}

/// Destroys the object behind the handle; NULL is nothing to do.
pub fn destroy<H, T: Handled>(handle: *mut H) -> ostler_status {
    if handle.is_null() {
        return OSTLER_OK;
    }
    guard(|| Ok(handles::destroy::<T>(handle as u64)?))
}
