//! How the end of a cell stands in its outcome.

use crate::abi::status::{OSTLER_E_CANCELLED, OSTLER_E_CLOSED, OSTLER_OK, ostler_status};
use crate::pool::End;

#[inline(always)]
pub(in crate::abi) fn outcome_of(end: End) -> ostler_status {
    if end == End::Completed { OSTLER_OK } else { status_of(end) }
}

#[cold]
fn status_of(end: End) -> ostler_status {
    match end {
        End::Completed => OSTLER_OK,
        End::Failed(status) => status,
        End::Cancelled => OSTLER_E_CANCELLED,
        End::Closed => OSTLER_E_CLOSED,
    }
}
