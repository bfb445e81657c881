//! Placing: how a mapping comes to its nodes before any page of it is there. The kernel takes a policy for it; where that is
//! refused, a crew on CPUs of the nodes will touch its pages first.

use super::crew::Crew;
use super::placement::Placement;
use super::policy::NodePolicy;
use super::steps::Limit;
use super::system::{self, Errno};

/// What places the pages of a mapping. The numbers are those of OSTLER_PLACED_BY_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum PlacedBy {
    /// The kernel, as it likes.
    #[default]
    Kernel = 0,
    Policy = 1,
    FirstTouch = 2,
}

impl PlacedBy {
    pub fn name(self) -> &'static str {
        match self {
            PlacedBy::Kernel => "kernel",
            PlacedBy::Policy => "policy",
            PlacedBy::FirstTouch => "first touch",
        }
    }
}

/// What places the pages of a mapping, and who brings them in.
#[derive(Clone, Debug)]
pub struct Placing {
    pub placement: Option<Placement>,
    pub by: PlacedBy,
    pub crew: Crew,
}

impl Placing {
    /// Left to the kernel.
    pub fn nowhere() -> Self {
        Self { placement: None, by: PlacedBy::Kernel, crew: Crew::caller() }
    }

    /// Gives a range its nodes; what is refused is told to `note`.
    ///
    /// # Safety
    /// The range is mapped by this library.
    pub unsafe fn of(
        address: *mut u8,
        bytes: u64,
        asked: NodePolicy,
        placement: Option<Placement>,
        mut note: impl FnMut(Limit, Errno),
    ) -> Self {
        let Some(wanted) = placement else {
            if asked != NodePolicy::Any {
                note(Limit::NodeUnknown, 0);
            }
            return Self::nowhere();
        };
        // SAFETY: the caller's promise.
        let bind = |placement: &Placement| unsafe { system::bind(address, bytes, &placement.raw) };
        let (placement, bound) = match (bind(&wanted), wanted.narrowed()) {
            // Before Linux 5.15 only one node can be preferred.
            (Err(libc::EINVAL), Some(narrowed)) => {
                note(Limit::KernelTooOld, libc::EINVAL);
                (narrowed, bind(&narrowed))
            }
            (bound, _) => (wanted, bound),
        };
        match bound {
            Ok(()) => Self { placement: Some(placement), by: PlacedBy::Policy, crew: Crew::caller() },
            Err(errno) => {
                note(Limit::PolicyRefused, errno);
                Self::instead_of_policy(wanted, errno).unwrap_or_else(|limit| {
                    note(limit, 0);
                    Self::nowhere()
                })
            }
        }
    }

    /// What can be done where a policy was refused with an errno: nothing, or to touch pages first.
    pub fn instead_of_policy(placement: Placement, errno: Errno) -> Result<Self, Limit> {
        // By a sandbox, or a kernel without policies. Else it was about the nodes themselves.
        if !matches!(errno, libc::EPERM | libc::ENOSYS) {
            return Ok(Self::nowhere());
        }
        let crew = Crew::on_nodes(&placement)?;
        Ok(Self { placement: Some(placement), by: PlacedBy::FirstTouch, crew })
    }
}
