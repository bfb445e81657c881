//! What a set of cells calls.

use super::ostler_cell;
use super::outcomes::outcome_of;
use crate::abi::status::ostler_status;
use crate::pool::cells::Key;
use crate::pool::{Completion, Recipient, Settled};
use std::ffi::c_void;

/// Takes what came to a cell: called once, with no lock held, on the thread that completes, cancels or destroys, or on
/// the one that attaches it when it is late. It may call the library, but not destroy its own set. The cell is stale once
/// it returns. outcome and value are as for ostler_deferred_wait.
pub type ostler_cell_callback = Option<
    unsafe extern "C-unwind" fn(user_data: *mut c_void, cell: ostler_cell, outcome: ostler_status, value: *mut c_void),
>;

/// The host's function for one set.
pub(super) struct Host {
    pub discard: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, value: *mut c_void)>,
    pub user_data: *mut c_void,
}

// SAFETY: the host's function and its pointer for it; the header says on which threads it is called.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Recipient for Host {
    fn complete(&self, completion: Completion, user_data: *mut c_void, cell: Key, settled: Settled) {
        // SAFETY: `ostler_deferred_on_complete` made it of a function of this type; null is none.
        let callback = unsafe { std::mem::transmute::<*const (), ostler_cell_callback>(completion.0) };
        if let Some(callback) = callback {
            // SAFETY: the host's function, called as the header says.
            unsafe { callback(user_data, ostler_cell { value: cell.0 }, outcome_of(settled.end), settled.value) }
        }
    }

    fn discard(&self, value: *mut c_void) {
        if let Some(discard) = self.discard {
            // SAFETY: the host's function, called as the header says.
            unsafe { discard(self.user_data, value) }
        }
    }
}
