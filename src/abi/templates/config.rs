//! What a cache of templates is told when it is made.

use crate::abi::arguments::out_of_range;
use crate::abi::guard::guard;
use crate::abi::status::{Failure, ostler_status};
use crate::abi::structs::{init, versioned};
use crate::pool::templates::{Eviction, TemplatesConfig};

/// The bounds of a cache of templates.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_templates_config {
    /// sizeof(ostler_templates_config).
    pub struct_size: u32,
    /// Which template goes when there is no room: OSTLER_EVICT_LEAST_RECENTLY_USED (0) or
    /// OSTLER_EVICT_LEAST_FREQUENTLY_USED. One that is in use goes from the cache at once, and is destroyed after its last
    /// use. Of more than 128 templates the least used of 128 goes, which are picked at random.
    pub eviction: u32,
    /// Most templates that are kept; 1 to 1048576; 0: 1024. The memory to find them is taken at once, 40 to 72 bytes each.
    pub max_templates: u32,
    /// Most references that are out; 1 to 1048576; 0: 1024. The memory for all is taken at once, some 50 bytes each.
    pub max_references: u32,
    /// Most bytes that the templates that are kept may count; one that counts more is built for each who asks for it, and
    /// not kept; 0: no bound.
    pub max_bytes: u64,
    /// Alignment of an instance in an arena; a power of two of at most 2 MiB; 0: 64.
    pub align_bytes: u64,
}

/// Evictions: the template whose last use is longest ago goes. Uses are told apart as far as templates were kept between
/// them; of those that were used since the same one was kept the oldest goes.
pub const OSTLER_EVICT_LEAST_RECENTLY_USED: u32 = 0;

/// The template with the fewest uses goes; after 64 they are counted ever more rarely. All counts are halved each time as
/// many have gone as there are.
pub const OSTLER_EVICT_LEAST_FREQUENTLY_USED: u32 = 1;

versioned!(ostler_templates_config);

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_templates_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_config_init(
    config: *mut ostler_templates_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

pub(super) fn checked(config: &ostler_templates_config) -> Result<TemplatesConfig, Failure> {
    let eviction = match config.eviction {
        OSTLER_EVICT_LEAST_RECENTLY_USED => Eviction::LeastRecentlyUsed,
        OSTLER_EVICT_LEAST_FREQUENTLY_USED => Eviction::LeastFrequentlyUsed,
        other => return Err(out_of_range("eviction", other.into(), "must be one of OSTLER_EVICT_... (0 or 1)")),
    };
    let or = |value, default| if value == 0 { default } else { value };
    Ok(TemplatesConfig {
        eviction,
        most: or(config.max_templates, 1024),
        most_references: or(config.max_references, 1024),
        most_bytes: if config.max_bytes == 0 { u64::MAX } else { config.max_bytes },
        align_bytes: if config.align_bytes == 0 { 64 } else { config.align_bytes },
    })
}
