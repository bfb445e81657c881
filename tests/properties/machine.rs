//! A machine of four nodes, for which pools take this one where the library has the seam for that.

/// Two of each node.
pub const CPUS: u32 = 8;

/// From each node to all, the nearest first: two are in one package.
#[cfg(feature = "faults")]
pub const NEAREST: [[usize; 4]; 4] = [[0, 1, 2, 3], [1, 0, 2, 3], [2, 3, 0, 1], [3, 2, 0, 1]];

pub fn pretend() {
    #[cfg(feature = "faults")]
    ostler_rlib::base::faults::take_for(Some("package:2 numa:2 core:2 pu:1"));
}

/// Where this thread runs from now on.
pub fn run_on(_cpu: u32) {
    #[cfg(feature = "faults")]
    ostler_rlib::base::faults::run_on(_cpu);
}
