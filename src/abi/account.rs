//! Account: memory that the host takes itself, or holds already, in the governor's books. What is about to be taken is
//! reserved, and may be refused; what is there already is reported.

use super::arguments::{flag, name, out_of_range, output};
use super::governor::{OSTLER_HOLDER_DEVICE, OSTLER_HOLDER_EXTERNAL};
use super::guard::{destroy, guard, with};
use super::library::OSTLER_NAME_BYTES;
use super::status::{Failure, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, answered, ostler_status};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::handles::{self, Kind, Pin};
use crate::base::text::Text;
use crate::base::{Name, alloc, callback, log};
use crate::memory::governor::account::{ChargeError, Holder};
use crate::memory::governor::reclaim::ReclaimKind;
use crate::memory::governor::reservation::{Free, Reservation, ReservationConfig, ReservationError};
use std::ffi::{c_char, c_void};

/// What the host takes or holds itself.
pub struct ostler_account {
    _opaque: [u8; 0],
}

/// The reservation is granted while memory is critically short, too, as long as no limit is passed.
pub const OSTLER_RESERVE_ESSENTIAL: u32 = 1;

/// Frees about bytes of what an account holds, releases or reports that to the account, and writes to freed, which is 0 at
/// first, how much it was. Called with no lock held, on the governor's thread or on one that calls
/// ostler_governor_reclaim, one call at a time. It may call the library, but not destroy its own account. A failure is
/// told to the log, with the words of ostler_callback_set_message.
pub type ostler_reclaim_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, bytes: u64, freed: *mut u64) -> ostler_status>;

/// What an account is for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_account_config {
    /// sizeof(ostler_account_config).
    pub struct_size: u32,
    /// OSTLER_HOLDER_EXTERNAL or OSTLER_HOLDER_DEVICE; 0: external.
    pub holder: u32,
    /// An account that is charged for the same bytes, with a limit for all that are below it; borrowed during the call;
    /// NULL: none but that of the process.
    pub parent: *mut ostler_account,
    /// What may be reserved in this account and those below it; what is reported counts, but is never refused; 0: no
    /// limit of its own.
    pub limit_bytes: u64,
    /// 1: every reservation is as with OSTLER_RESERVE_ESSENTIAL.
    pub essential: u32,
    /// OSTLER_RECLAIM_...: what it costs to get back what reclaim frees; 0: nothing. Only with reclaim.
    pub reclaim_kind: u32,
    /// Frees memory that the account holds, when it runs short and the host can do without; NULL: it cannot.
    pub reclaim: ostler_reclaim_callback,
    /// Handed to reclaim; must stay valid until the account is destroyed.
    pub user_data: *mut c_void,
    /// Shown in reports and in the words of a refusal.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// What an account holds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_account_stats {
    /// sizeof(ostler_account_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// All that is charged, what accounts below it hold included.
    pub held_bytes: u64,
    /// Part of it that was reserved in this account.
    pub reserved_bytes: u64,
    /// Part of it that was reported to this account.
    pub reported_bytes: u64,
    /// The most that held_bytes ever was.
    pub peak_bytes: u64,
    /// The account's own limit; 0: none.
    pub limit_bytes: u64,
}

versioned!(ostler_account_config, ostler_account_stats);

impl From<ReservationError> for Failure {
    fn from(error: ReservationError) -> Self {
        let status = match error {
            ReservationError::Field(error) => return error.into(),
            ReservationError::OutOfMemory(error) => return error.into(),
            ReservationError::Charge(ChargeError::Refused(error)) => return error.into(),
            ReservationError::Charge(ChargeError::OverLimit(_)) | ReservationError::TooDeep => OSTLER_E_LIMIT,
            ReservationError::OtherLimits { .. } | ReservationError::NotReserved { .. } => OSTLER_E_INVALID_ARGUMENT,
            ReservationError::Closed => OSTLER_E_CLOSED,
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_account_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_account_config_init(
    config: *mut ostler_account_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Opens an account.
///
/// Parameters:
/// - config: borrowed during the call.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_account_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE (parent), OSTLER_E_CLOSED (parent),
/// OSTLER_E_QUARANTINED (parent), OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT (too many accounts below
/// each other), OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_account_create(
    config: *const ostler_account_config,
    out: *mut *mut ostler_account,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        let holder = match config.holder {
            0 | OSTLER_HOLDER_EXTERNAL => Holder::External,
            OSTLER_HOLDER_DEVICE => Holder::Device,
            other => {
                let bound = "must be 0, OSTLER_HOLDER_EXTERNAL (10) or OSTLER_HOLDER_DEVICE (11)";
                return Err(out_of_range("holder", u64::from(other), bound));
            }
        };
        let parent = if config.parent.is_null() {
            None
        } else {
            Some(handles::pin::<Reservation>(config.parent as u64)?.account.clone())
        };
        let name = name(&config.name)?;
        let config = ReservationConfig {
            holder,
            parent,
            limit: config.limit_bytes,
            essential: flag("essential", config.essential)?,
            name,
            reclaim: dispensable(&config, name)?,
        };
        let slot = handles::reserve(Kind::Account)?;
        let reservation = Reservation::new(slot.owner(), config)?;
        *out = slot.publish(reservation) as *mut ostler_account;
        Ok(())
    })
}

/// The host's callback that frees memory.
struct Host {
    reclaim: unsafe extern "C-unwind" fn(*mut c_void, u64, *mut u64) -> ostler_status,
    user_data: *mut c_void,
}

// SAFETY: the header asks for a callback and user data that any thread may use.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    fn free(&self, account: &Name, bytes: u64) -> u64 {
        let mut freed = 0;
        // SAFETY: the host's function, called as the header says.
        let status = unsafe { (self.reclaim)(self.user_data, bytes, &mut freed) };
        if let Err(refusal) = answered(status) {
            let said = callback::said().unwrap_or_else(|| Text::from("reclaim callback failed"));
            log::warn(format_args!("account \"{account}\": {said}{refusal}"));
        }
        freed
    }
}

fn dispensable(config: &ostler_account_config, name: Name) -> Result<Option<(ReclaimKind, Free)>, Failure> {
    let number = u64::from(config.reclaim_kind);
    let kind = ReclaimKind::from_number(config.reclaim_kind)
        .ok_or_else(|| out_of_range("reclaim_kind", number, "must be one of OSTLER_RECLAIM_... (0 to 4)"))?;
    let Some(reclaim) = config.reclaim else {
        if number != 0 {
            return Err(out_of_range("reclaim_kind", number, "must be 0 without reclaim"));
        }
        return Ok(None);
    };
    let host = Host { reclaim, user_data: config.user_data };
    alloc::check(size_of::<(Host, Name)>())?;
    Ok(Some((kind, Box::new(move |bytes| host.free(&name, bytes)))))
}

/// Asks for memory before it is taken. Granted bytes are held until they are released, also in the accounts above.
///
/// Parameters:
/// - account: borrowed.
/// - bytes: how much; 0 is granted; at most 2^56.
/// - flags: 0 or OSTLER_RESERVE_ESSENTIAL.
///
/// Returns: OSTLER_OK, OSTLER_E_MEMORY_PRESSURE (the message has the limit and the largest holders), OSTLER_E_LIMIT (of
/// this account or one above it), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: account NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: now and then as long as the kernel takes to tell its limits; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_account_reserve(account: *mut ostler_account, bytes: u64, flags: u32) -> ostler_status {
    with(account, |account: &Pin<Reservation>| {
        if flags & !OSTLER_RESERVE_ESSENTIAL != 0 {
            return Err(out_of_range("flags", u64::from(flags), "must be 0 or OSTLER_RESERVE_ESSENTIAL (1)"));
        }
        Ok(account.reserve(bytes, flags & OSTLER_RESERVE_ESSENTIAL != 0)?)
    })
}

/// Ends a reservation, or a part of it. Needs no memory.
///
/// Parameters:
/// - account: borrowed.
/// - bytes: how much; at most what is reserved in this account.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: account NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_account_release(account: *mut ostler_account, bytes: u64) -> ostler_status {
    with(account, |account: &Pin<Reservation>| Ok(account.release(bytes)?))
}

/// Tells what the host holds beside its reservations, in place of what was told before: the heap of another runtime, the
/// memory of a device. It is never refused for want of room, because it is there already, but leaves less for others.
///
/// Parameters:
/// - account: borrowed.
/// - bytes: how much is held now; at most 2^56.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT or OSTLER_E_MEMORY_PRESSURE (the sum is more than 64 bits can hold; nothing is
/// changed), OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; of two calls the later one holds.
/// NULL: account NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: now and then as long as the kernel takes to tell its limits; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_account_report(account: *mut ostler_account, bytes: u64) -> ostler_status {
    with(account, |account: &Pin<Reservation>| Ok(account.report(bytes)?))
}

/// Tells that what the account holds was of use just now. What was not used for longest is freed first; reserving and
/// reporting count as use as well.
///
/// Parameters:
/// - account: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: account NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_account_touch(account: *mut ostler_account) -> ostler_status {
    with(account, |account: &Pin<Reservation>| {
        account.note_use();
        Ok(())
    })
}

/// Tells what an account holds.
///
/// Parameters:
/// - account: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: account NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_account_get_stats(
    account: *mut ostler_account,
    out: *mut ostler_account_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(account, |account: &Pin<Reservation>| {
        let stats = account.stats();
        out?.fill(&ostler_account_stats {
            struct_size: 0,
            reserved: 0,
            held_bytes: stats.held,
            reserved_bytes: stats.reserved,
            reported_bytes: stats.reported,
            peak_bytes: stats.peak,
            limit_bytes: stats.limit,
        });
        Ok(())
    })
}

/// Closes an account. What was reserved in it or reported to it is held no more; accounts below it stay, and go on to be
/// limited by it.
///
/// Parameters:
/// - account: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside its own reclaim callback; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: account NULL is OSTLER_OK and does nothing.
/// Blocking: waits for calls on the account, and for its reclaim callback, to return; that runs no more afterwards.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_account_destroy(account: *mut ostler_account) -> ostler_status {
    destroy::<_, Reservation>(account)
}
