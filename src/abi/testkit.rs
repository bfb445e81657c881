//! Testkit: for the tests of programs that use the library. Its clock can be stopped and moved by hand, so that what
//! takes hours takes none; the callbacks of a pool, a model or templates can be made to fail and to be slow, in the same
//! way each time; and what the library does by chance can be given a seed. Nothing here belongs into a program that is not a test.

use super::arguments::out_of_range;
use super::cancel::{given, ostler_cancel};
use super::guard::{guard, with};
use super::model::ostler_model;
use super::pool::ostler_pool;
use super::status::{Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_WOULD_DEADLOCK, answered, ostler_status};
use super::structs::{init, prepare, read, versioned};
use super::templates::ostler_templates;
use crate::base::handles::{self, Handled, Pin};
use crate::base::injection::{self, Callback, Fault, InjectError, Injected, OF_MODELS, OF_POOLS, OF_TEMPLATES};
use crate::base::settle::{self, SettleError};
use crate::base::{Owner, chance, clock, thread};
use crate::orchestrator::Model;
use crate::pool::Pool;
use crate::pool::templates::Templates;

/// The callbacks that can be made to misbehave: of a pool the first five, of a model the next two, of templates the last
/// two and OSTLER_TESTKIT_DESTROY.
pub const OSTLER_TESTKIT_CREATE: u32 = 1;
pub const OSTLER_TESTKIT_VALIDATE: u32 = 2;
pub const OSTLER_TESTKIT_RESET: u32 = 3;
pub const OSTLER_TESTKIT_DESTROY: u32 = 4;
pub const OSTLER_TESTKIT_RETAG: u32 = 5;
pub const OSTLER_TESTKIT_LOAD: u32 = 6;
pub const OSTLER_TESTKIT_RUN: u32 = 7;
pub const OSTLER_TESTKIT_BUILD: u32 = 8;
pub const OSTLER_TESTKIT_CLONE: u32 = 9;

/// Which calls of a callback misbehave, and how. Calls are counted from 1, from when the fault was set. The same fault
/// and the same calls give the same misbehaviour, in every run and on every machine.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_testkit_fault {
    /// sizeof(ostler_testkit_fault).
    pub struct_size: u32,
    /// Of which callback: OSTLER_TESTKIT_CREATE, ...
    pub callback: u32,
    /// The first call that misbehaves; 0: the one that every tells.
    pub first: u64,
    /// After the first, each so-many-th; 0: none.
    pub every: u64,
    /// Decides, with the number of a call, what comes by chance.
    pub seed: u64,
    /// How many calls in a million misbehave by chance, besides those that first and every tell; at most 1000000.
    pub per_million: u32,
    /// What the callback seems to have answered, without being called; 0: it is called. Always 0 for a destroy.
    pub status: ostler_status,
    /// How long the call takes, by the library's clock, before it fails or before the callback is called;
    /// OSTLER_FOREVER: until the fault is cleared.
    pub delay_ns: u64,
}

/// What a fault did since it was set.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_testkit_injected {
    /// sizeof(ostler_testkit_injected), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Calls until it was cleared, those that it left alone included.
    pub calls: u64,
    /// Calls that it made fail.
    pub failures: u64,
    /// Calls that it held up.
    pub delays: u64,
}

versioned!(ostler_testkit_fault, ostler_testkit_injected);

impl From<SettleError> for Failure {
    fn from(error: SettleError) -> Self {
        let status = match error {
            SettleError::InsideCallback => OSTLER_E_WOULD_DEADLOCK,
            SettleError::Wait(end) => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<InjectError> for Failure {
    fn from(error: InjectError) -> Self {
        match error {
            InjectError::InvalidField(error) => error.into(),
            InjectError::OutOfMemory(error) => error.into(),
        }
    }
}

/// Stops the library's clock, for the whole process. Every time that the library reads stands still from now on, and
/// every wait with a timeout lasts until ostler_testkit_clock_advance has brought its end. What the library shortens
/// by chance, such as a lifetime or a breaker's pause, it still does. A second freeze changes nothing; each is ended
/// by one thaw.
///
/// Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_testkit_clock_freeze() -> ostler_status {
    guard(|| {
        clock::stop();
        thread::wake_all();
        Ok(())
    })
}

/// Moves the library's clock forward, whether it stands or runs, and ends the waits whose time is up then. What the
/// library's threads do about it is done after ostler_testkit_clock_settle. They see the new time at once and none
/// between: what is to happen three times, happens in three advances.
///
/// Parameters:
/// - by_ns: how far; 0 only wakes those who wait, to look again.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (the clock would be further than 2^62 ns, 146 years), OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. What several threads move it by adds up.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_testkit_clock_advance(by_ns: u64) -> ostler_status {
    guard(|| {
        let advanced = clock::advance(by_ns);
        advanced.map_err(|error| Failure::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{error}")))?;
        thread::wake_all();
        Ok(())
    })
}

/// Waits until every thread of the library sleeps and none has anything to do at the time that it is, so that a test
/// sees what an advance led to. A thread that is held up by a fault sleeps, and so does one that waits in the library
/// from inside a callback; any other callback is waited for. What the program's own threads do is theirs to wait for.
///
/// Parameters:
/// - timeout_ns: real time, however the library's clock stands.
/// - cancel: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK (inside a callback),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: cancel may be NULL.
/// Blocking: as said; inside a callback it is OSTLER_E_WOULD_DEADLOCK.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_clock_settle(timeout_ns: u64, cancel: *mut ostler_cancel) -> ostler_status {
    guard(|| {
        let cancel = given(cancel)?;
        Ok(settle::settle(timeout_ns, cancel.as_deref())?)
    })
}

/// Ends one freeze. After the last the clock runs on from where it stands, so that time neither goes backwards nor
/// leaps, and each wait has as much of it left as it had. A clock that runs is left alone. ostler_shutdown ends every
/// freeze.
///
/// Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_testkit_clock_thaw() -> ostler_status {
    guard(|| {
        clock::run_on();
        thread::wake_all();
        Ok(())
    })
}

/// Fills a fault with zeros.
///
/// Parameters:
/// - fault: written only on success.
/// - struct_size: sizeof(ostler_testkit_fault).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: fault must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_fault_init(
    fault: *mut ostler_testkit_fault,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("fault", fault, struct_size) })
}

/// Gives a seed to what the library does by chance, for the whole process: by how much a lifetime, a keepalive or a pause is
/// shortened, and which templates are looked at for eviction. The same calls in the same order have the same luck from now
/// on, in each run; threads that draw at the same time do so in no order of their own.
///
/// Parameters:
/// - seed: any number.
///
/// Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_testkit_chance_seed(seed: u64) -> ostler_status {
    guard(|| {
        chance::seed(seed);
        Ok(())
    })
}

/// Ends what ostler_testkit_chance_seed began: chance is chance again.
///
/// Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_testkit_chance_unseed() -> ostler_status {
    guard(|| {
        chance::unseed();
        Ok(())
    })
}

/// Makes a callback of a pool misbehave from now on, in place of the fault that it had before. A failure looks to the
/// pool as if the callback had answered with it. It lasts until it is cleared, or the pool destroyed. A callback that
/// the pool does not have is never called, and so never misbehaves.
///
/// Parameters:
/// - pool: borrowed.
/// - fault: borrowed during the call.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; fault must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_pool_inject(
    pool: *mut ostler_pool,
    fault: *const ostler_testkit_fault,
) -> ostler_status {
    // SAFETY: as the header asks.
    with(pool, |_: &Pin<Pool>| unsafe { inject::<Pool>(Owner(pool as u64), OF_POOLS, fault) })
}

/// Ends the fault of a pool's callback, and the delays that it causes at this moment. Without one nothing happens.
///
/// Parameters:
/// - pool: borrowed.
/// - callback: OSTLER_TESTKIT_CREATE to OSTLER_TESTKIT_RETAG.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_pool_clear(pool: *mut ostler_pool, callback: u32) -> ostler_status {
    with(pool, |_: &Pin<Pool>| clear(Owner(pool as u64), OF_POOLS, callback))
}

/// Reads what the fault of a pool's callback did, also after it was cleared; all is 0 when there was none.
///
/// Parameters:
/// - pool: borrowed.
/// - callback: OSTLER_TESTKIT_CREATE to OSTLER_TESTKIT_RETAG.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number is right for some moment of the call.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_pool_get_injected(
    pool: *mut ostler_pool,
    callback: u32,
    out: *mut ostler_testkit_injected,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(pool, |_: &Pin<Pool>| {
        out?.fill(&injected(Owner(pool as u64), OF_POOLS, callback)?);
        Ok(())
    })
}

/// Makes a callback of a model misbehave from now on, in place of the fault that it had before. A failure looks to the
/// model as if the callback had answered with it. It lasts until it is cleared, or the model destroyed.
///
/// Parameters:
/// - model: borrowed.
/// - fault: borrowed during the call.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: model NULL is OSTLER_E_INVALID_HANDLE; fault must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_model_inject(
    model: *mut ostler_model,
    fault: *const ostler_testkit_fault,
) -> ostler_status {
    // SAFETY: as the header asks.
    with(model, |_: &Pin<Model>| unsafe { inject::<Model>(Owner(model as u64), OF_MODELS, fault) })
}

/// Ends the fault of a model's callback, and the delays that it causes at this moment. Without one nothing happens.
///
/// Parameters:
/// - model: borrowed.
/// - callback: OSTLER_TESTKIT_LOAD or OSTLER_TESTKIT_RUN.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: model NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_model_clear(model: *mut ostler_model, callback: u32) -> ostler_status {
    with(model, |_: &Pin<Model>| clear(Owner(model as u64), OF_MODELS, callback))
}

/// Reads what the fault of a model's callback did, also after it was cleared; all is 0 when there was none.
///
/// Parameters:
/// - model: borrowed.
/// - callback: OSTLER_TESTKIT_LOAD or OSTLER_TESTKIT_RUN.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number is right for some moment of the call.
/// NULL: model NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_model_get_injected(
    model: *mut ostler_model,
    callback: u32,
    out: *mut ostler_testkit_injected,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(model, |_: &Pin<Model>| {
        out?.fill(&injected(Owner(model as u64), OF_MODELS, callback)?);
        Ok(())
    })
}

/// Makes a callback of templates misbehave from now on, in place of the fault that it had before. A failure looks to the
/// templates as if the callback had answered with it. It lasts until it is cleared, or the templates destroyed.
///
/// Parameters:
/// - templates: borrowed.
/// - fault: borrowed during the call.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; fault must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_templates_inject(
    templates: *mut ostler_templates,
    fault: *const ostler_testkit_fault,
) -> ostler_status {
    // SAFETY: as the header asks.
    with(templates, |_: &Pin<Templates>| unsafe { inject::<Templates>(Owner(templates as u64), OF_TEMPLATES, fault) })
}

/// Ends the fault of a callback of templates, and the delays that it causes at this moment. Without one nothing happens.
///
/// Parameters:
/// - templates: borrowed.
/// - callback: OSTLER_TESTKIT_BUILD, OSTLER_TESTKIT_CLONE or OSTLER_TESTKIT_DESTROY.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_templates_clear(
    templates: *mut ostler_templates,
    callback: u32,
) -> ostler_status {
    with(templates, |_: &Pin<Templates>| clear(Owner(templates as u64), OF_TEMPLATES, callback))
}

/// Reads what the fault of a callback of templates did, also after it was cleared; all is 0 when there was none.
///
/// Parameters:
/// - templates: borrowed.
/// - callback: OSTLER_TESTKIT_BUILD, OSTLER_TESTKIT_CLONE or OSTLER_TESTKIT_DESTROY.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number is right for some moment of the call.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_testkit_templates_get_injected(
    templates: *mut ostler_templates,
    callback: u32,
    out: *mut ostler_testkit_injected,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(templates, |_: &Pin<Templates>| {
        out?.fill(&injected(Owner(templates as u64), OF_TEMPLATES, callback)?);
        Ok(())
    })
}

/// # Safety
/// A non-null `fault` must be a struct of the size that its first field tells, as the header asks.
unsafe fn inject<T: Handled>(owner: Owner, of: &[Callback], fault: *const ostler_testkit_fault) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let fault = unsafe { read("fault", fault)? };
    let ostler_testkit_fault { first, every, seed, per_million, status, delay_ns, .. } = fault;
    let callback = callback_of(of, fault.callback)?;
    let refusal = answered(status).err();
    injection::inject(owner, callback, Fault { first, every, per_million, seed, refusal, delay_ns })?;
    // A destroy that has begun meanwhile did not see it.
    handles::pin::<T>(owner.0).inspect_err(|_| injection::forget(owner))?;
    Ok(())
}

fn clear(owner: Owner, of: &[Callback], callback: u32) -> Result<(), Failure> {
    injection::clear(owner, callback_of(of, callback)?);
    Ok(())
}

fn injected(owner: Owner, of: &[Callback], callback: u32) -> Result<ostler_testkit_injected, Failure> {
    let Injected { calls, failures, delays } = injection::injected(owner, callback_of(of, callback)?);
    Ok(ostler_testkit_injected { struct_size: 0, reserved: 0, calls, failures, delays })
}

fn callback_of(of: &[Callback], number: u32) -> Result<Callback, Failure> {
    of.iter().copied().find(|callback| *callback as u32 == number).ok_or_else(|| {
        let bound = match of.first() {
            Some(Callback::Create) => "must be 1 (create) to 5 (retag)",
            Some(Callback::Load) => "must be 6 (load) or 7 (run)",
            _ => "must be 8 (build), 9 (clone) or 4 (destroy)",
        };
        out_of_range("callback", number.into(), bound)
    })
}
