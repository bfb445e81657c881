//! Pool: resources that are expensive to make are made once, checked, leased out, and taken back. A lease names one
//! use of one resource; a second release of it is an error and harms nobody.

use super::arguments::{clear, flag, name, null, optional_output, out_of_range, output};
use super::cancel::{given, ostler_cancel};
use super::guard::{destroy, guard, with};
use super::library::OSTLER_NAME_BYTES;
use super::request::ostler_ticket;
use super::status::{
    Failure, OSTLER_E_CLOSED, OSTLER_E_CREATE_FAILED, OSTLER_E_EXHAUSTED, OSTLER_E_LIMIT, OSTLER_E_OVERLOADED,
    OSTLER_E_PANIC, OSTLER_E_PAUSED, OSTLER_E_QUARANTINED, OSTLER_E_STALE_LEASE, OSTLER_E_WOULD_DEADLOCK, OSTLER_OK,
    answered, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::alloc;
use crate::base::callback::Refusal;
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::pool::{
    AcquireError, Affinity, CloseError, CreateError, Event, Factory, Hearer, IdleOrder, Lease, LeaseInfo, Left,
    Outcome, Pool, PoolConfig, ResizeError, Resource, RevokeError, StaleLease, TimesSnapshot, WarmError,
};
use std::ffi::{c_char, c_void};

/// Keeps resources of one kind warm.
pub struct ostler_pool {
    _opaque: [u8; 0],
}

/// Names one use of one resource. A value of 0 is never a lease. One that has ended stays stale until its place in the pool
/// has been leased another 2^(48 - s) - 1 times, where s is how many bits the capacity less 1 has.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_lease {
    pub value: u64,
}

/// What the host does for a pool. All are called with the pool's user_data, with no lock held, on the thread that
/// acquires or releases, or on the pool's own. They may call the library, but not close or destroy their own pool. Each
/// resource is with one callback or one lease at a time. A C++ exception must not leave one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_pool_callbacks {
    /// sizeof(ostler_pool_callbacks).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Makes a resource, which must not be NULL; required.
    pub create:
        Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, resource: *mut *mut c_void) -> ostler_status>,
    /// Tells whether an idle resource can still be used, before it is leased again; may be NULL. After a failure it is
    /// destroyed and the next is taken.
    pub validate: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, resource: *mut c_void) -> ostler_status>,
    /// Makes a released resource ready for the next use; may be NULL. After a failure it is destroyed.
    pub reset: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, resource: *mut c_void) -> ostler_status>,
    /// Ends a resource, once for each that create made; required.
    pub destroy: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, resource: *mut c_void)>,
    /// Hears, once, of a lease that has lasted longer than lease_limit_ns; may be NULL. info is borrowed during the call.
    /// It may take the resource away from its holder with ostler_pool_discard, which destroys it: the host sees to it that
    /// the holder does not use it any more.
    pub overdue: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, info: *const ostler_lease_info)>,
    /// Gives a resource other settings, from those of one tag to those of another, before it is leased; may be NULL, and
    /// then tags are ignored. A resource has the tag 0 when it is made. After a failure it is destroyed, and the acquire
    /// fails with OSTLER_E_CREATE_FAILED.
    pub retag: Option<
        unsafe extern "C-unwind" fn(
            user_data: *mut c_void,
            resource: *mut c_void,
            from_tag: u64,
            to_tag: u64,
        ) -> ostler_status,
    >,
    /// Hears what happens to the pool: an OSTLER_POOL_EVENT_...; may be NULL. resource is NULL unless the event is about one.
    pub event: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, event: u32, resource: *mut c_void)>,
}

/// A resource was made.
pub const OSTLER_POOL_EVENT_CREATED: u32 = 1;

/// A resource is about to be destroyed.
pub const OSTLER_POOL_EVENT_DESTROYED: u32 = 2;

/// create has failed breaker_failures times in a row.
pub const OSTLER_POOL_EVENT_BREAKER_OPENED: u32 = 3;

/// create has succeeded again.
pub const OSTLER_POOL_EVENT_BREAKER_CLOSED: u32 = 4;

pub const OSTLER_POOL_EVENT_PAUSED: u32 = 5;

pub const OSTLER_POOL_EVENT_RESUMED: u32 = 6;

pub const OSTLER_POOL_EVENT_RESIZED: u32 = 7;

pub const OSTLER_POOL_EVENT_REFRESHED: u32 = 8;

/// By a close or a destroy, before any resource goes.
pub const OSTLER_POOL_EVENT_CLOSED: u32 = 9;

/// A lease that is out.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_lease_info {
    pub lease: ostler_lease,
    pub resource: *mut c_void,
    /// How long it has lasted, to a quarter of the shortest of the pool's times; 0 when nobody has looked at the clock.
    pub held_ns: u64,
    /// The thread that acquired it, as gettid has it.
    pub thread_id: u32,
    /// From where it was acquired, for ostler_tracing_print_site; 0 while tracing was off.
    pub call_site: u32,
}

/// How long things took, in nanoseconds, exact to a hundredth.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_times {
    /// How many were measured.
    pub count: u64,
    pub min_ns: u64,
    pub mean_ns: u64,
    /// So many percent took at most this long.
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
}

/// The bounds of a pool.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_pool_config {
    /// sizeof(ostler_pool_config).
    pub struct_size: u32,
    /// Resources that are made in the background and kept however long they are idle; at most max_size.
    pub min_size: u32,
    /// Most resources there are at once; 1 to 1048576; 0: 16.
    pub max_size: u32,
    /// For whom an idle resource is kept by preference: OSTLER_AFFINITY_THREAD (0) or OSTLER_AFFINITY_NODE.
    pub affinity: u32,
    /// A resource above min_size that was idle this long is destroyed, at the latest half as long afterwards; 0: never.
    pub idle_timeout_ns: u64,
    /// validate is called only for a resource that was idle this long; 0: every time.
    pub validate_after_ns: u64,
    /// Shown in the log.
    pub name: [c_char; OSTLER_NAME_BYTES],
    /// The most that a later ostler_pool_resize may set max_size to; max_size to 1048576; 0: max_size. The memory for
    /// so many places is taken at once: 36 bytes each, 16 more with OSTLER_IDLE_LONGEST_FIRST or retag (for each node, with
    /// OSTLER_AFFINITY_NODE, and 4 more for that), and 8 more for each of retag, max_uses and max_lifetime_ns.
    pub capacity: u32,
    /// Resources that are made in the background so that as many are idle, as far as max_size allows; at most max_size.
    pub min_idle: u32,
    /// Beyond this many resources one that is released is destroyed when nobody waits for it; min_size to capacity;
    /// 0: all are kept.
    pub soft_max_size: u32,
    /// Threads on which resources are made, so that no caller is held up by create; at most 64; 0: a caller makes what
    /// it needs on its own thread, and min_size and min_idle are made one after the other.
    pub creator_threads: u32,
    /// After so many failures of create in a row it is called only now and then, after 100 ms at first and 30 s at
    /// last, until it succeeds; 0: 5. Meanwhile a pool that has no resource fails its callers at once.
    pub breaker_failures: u32,
    /// Which idle resource is leased next: OSTLER_IDLE_LAST_USED_FIRST (0) or OSTLER_IDLE_LONGEST_FIRST.
    pub idle_order: u32,
    /// A resource is destroyed after this many leases; 0: never.
    pub max_uses: u64,
    /// A resource this old is destroyed when it is next idle, at the latest a quarter as long afterwards; never while it
    /// is leased; 0: it may be of any age.
    pub max_lifetime_ns: u64,
    /// Each lifetime is shorter by up to this, by chance, so that not all end at once; at most max_lifetime_ns; 0: a
    /// tenth of max_lifetime_ns.
    pub lifetime_jitter_ns: u64,
    /// validate is called in the background for a resource that was idle this long, and again after each such time, so
    /// that it is not closed at the other end, and is replaced when it was; 0: never.
    pub keepalive_ns: u64,
    /// A lease that lasts longer is told to the log and to the overdue callback, at the latest a quarter as long
    /// afterwards; 0: none is.
    pub lease_limit_ns: u64,
    /// Of max_size, so many are kept for callers of OSTLER_PRIORITY_HIGH and OSTLER_PRIORITY_CRITICAL: all others together
    /// lease at most the rest; less than max_size; 0: none are.
    pub reserved_high: u32,
    /// 1: a caller who would still wait when its time is up, at the rate at which those before it are served, is refused at
    /// once with OSTLER_E_OVERLOADED; 0: it waits.
    pub refuse_hopeless: u32,
    /// When nobody has waited less than this for wait_interval_ns, callers who have waited longer get OSTLER_E_OVERLOADED
    /// when their turn comes, so that those who came last are served in time (controlled delay); 0: never.
    pub target_wait_ns: u64,
    /// 0: 100 ms.
    pub wait_interval_ns: u64,
    /// What each resource holds, as far as the host knows: charged to an account of the pool while it lives. One for which
    /// the governor leaves no room is not made, which is a failure of create; when memory runs short, idle resources beyond
    /// min_size are destroyed. 0: nothing is charged.
    pub resource_bytes: u64,
}

/// Hears what became of an acquire that did not have its resource at once: called once, on the pool's own thread, with no
/// lock held. On OSTLER_OK the lease is its own to end; else lease is 0, resource NULL, status as for
/// ostler_pool_acquire_with, and ostler_last_error_message has the words. It may call the library, but not wait for a lease
/// of its own pool, nor close or destroy that.
pub type ostler_acquired_callback = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        ticket: ostler_ticket,
        status: ostler_status,
        lease: ostler_lease,
        resource: *mut c_void,
    ),
>;

/// Idle orders: the warmest resource is leased next, so that what is not needed grows old and can go.
pub const OSTLER_IDLE_LAST_USED_FIRST: u32 = 0;

/// Each resource is leased in its turn, so that all stay in use.
pub const OSTLER_IDLE_LONGEST_FIRST: u32 = 1;

/// Affinities: with OSTLER_IDLE_LAST_USED_FIRST a thread gets first of all the resource that it released last itself. For
/// others, and with OSTLER_IDLE_LONGEST_FIRST, there is one order for all.
pub const OSTLER_AFFINITY_THREAD: u32 = 0;

/// An idle resource stays with the NUMA node on which it was used last: each caller gets, in the idle_order, one of the node
/// that runs it, else of the nearest node that has one. On a machine whose CPUs are all of one node this is
/// OSTLER_AFFINITY_THREAD.
pub const OSTLER_AFFINITY_NODE: u32 = 1;

/// What a pool holds and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_pool_stats {
    /// sizeof(ostler_pool_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Resources that are leased, or on their way into or out of a lease.
    pub in_use: u64,
    /// Resources that wait to be leased.
    pub idle: u64,
    /// Resources that create is making.
    pub creating: u64,
    /// Callers that wait for one.
    pub waiting: u64,
    pub created: u64,
    pub create_failures: u64,
    /// All that were destroyed, for the reasons that follow or because the pool was closed.
    pub destroyed: u64,
    /// Idle too long.
    pub destroyed_idle: u64,
    /// Found invalid.
    pub destroyed_invalid: u64,
    pub destroyed_discarded: u64,
    /// Could not be reset.
    pub destroyed_reset: u64,
    /// Leases that were given out.
    pub acquires: u64,
    /// Those of them that got a resource which was there already.
    pub reuses: u64,
    /// Waits that ended because the time was up.
    pub timeouts: u64,
    /// Most resources that were in use at once.
    pub peak_in_use: u64,
    /// Most callers that waited at once.
    pub peak_waiting: u64,
    /// Destroyed because they were older than max_lifetime_ns.
    pub destroyed_old: u64,
    /// After their last use by max_uses.
    pub destroyed_used: u64,
    /// After an ostler_pool_refresh.
    pub destroyed_refreshed: u64,
    /// Beyond soft_max_size, or beyond max_size after an ostler_pool_resize.
    pub destroyed_surplus: u64,
    /// The bounds now.
    pub min_size: u64,
    pub max_size: u64,
    /// Creates that failed since the last success.
    pub failures_in_a_row: u64,
    /// Leases that lasted longer than lease_limit_ns.
    pub overdue: u64,
    /// How long those waited that had to, also in vain.
    pub waits: ostler_times,
    /// How long create took, also when it failed.
    pub creates: ostler_times,
    /// How long resources were leased: of each the first use and every 256th.
    pub uses: ostler_times,
    /// Resources that were given other settings with retag.
    pub retags: u64,
    /// Callers who got OSTLER_E_OVERLOADED.
    pub refused: u64,
    /// Resources whose lease was revoked and whose holder has not given them back yet.
    pub revoked: u64,
    /// With OSTLER_AFFINITY_NODE, where there are several nodes: idle resources that went to a caller on the node that had
    /// used them last.
    pub node_hits: u64,
    /// The same to a caller on another node, because none was idle on its own.
    pub node_misses: u64,
}

versioned!(ostler_pool_callbacks, ostler_pool_config, ostler_pool_stats);

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::InvalidField(error) => error.into(),
            CreateError::OutOfMemory(error) => error.into(),
            CreateError::Spawn(error) => error.into(),
            CreateError::Topology(error) => error.into(),
        }
    }
}

impl From<AcquireError> for Failure {
    fn from(error: AcquireError) -> Self {
        let status = match error {
            AcquireError::Closed => OSTLER_E_CLOSED,
            AcquireError::Paused => OSTLER_E_PAUSED,
            AcquireError::Exhausted { .. } | AcquireError::NoneIdle => OSTLER_E_EXHAUSTED,
            AcquireError::TooMany { .. } => OSTLER_E_LIMIT,
            AcquireError::Hopeless { .. } | AcquireError::TooLate { .. } => OSTLER_E_OVERLOADED,
            AcquireError::CreateFailed(_) | AcquireError::BreakerOpen { .. } => OSTLER_E_CREATE_FAILED,
            AcquireError::Wait { end, .. } => Failure::from(end).status(),
            AcquireError::Panicked => OSTLER_E_PANIC,
            AcquireError::Quarantined => OSTLER_E_QUARANTINED,
            AcquireError::Spawn(error) => return error.into(),
            AcquireError::OutOfMemory(error) => return error.into(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<StaleLease> for Failure {
    fn from(error: StaleLease) -> Self {
        Self::new(OSTLER_E_STALE_LEASE, format_args!("{error}"))
    }
}

impl From<RevokeError> for Failure {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Stale(error) => error.into(),
            RevokeError::OutOfMemory(error) => error.into(),
        }
    }
}

impl From<CloseError> for Failure {
    fn from(error: CloseError) -> Self {
        let status = match error {
            CloseError::InsideOwnCallback => OSTLER_E_WOULD_DEADLOCK,
            CloseError::Destroyed { .. } => OSTLER_E_CLOSED,
            CloseError::Quarantined { .. } => OSTLER_E_QUARANTINED,
            CloseError::Wait { end, .. } => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<ResizeError> for Failure {
    fn from(error: ResizeError) -> Self {
        match error {
            ResizeError::InvalidField(error) => error.into(),
            ResizeError::Spawn(error) => error.into(),
        }
    }
}

impl From<WarmError> for Failure {
    fn from(error: WarmError) -> Self {
        let status = match error {
            WarmError::InsideOwnCallback => OSTLER_E_WOULD_DEADLOCK,
            WarmError::Closed => OSTLER_E_CLOSED,
            WarmError::Quarantined { .. } => OSTLER_E_QUARANTINED,
            WarmError::CreateFailed { .. } => OSTLER_E_CREATE_FAILED,
            WarmError::Wait { end, .. } => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// The callbacks of one pool; create and destroy are there.
struct Callbacks {
    table: ostler_pool_callbacks,
    user_data: *mut c_void,
}

// SAFETY: the host's functions and its pointer for them; the header says on which threads they are called.
unsafe impl Send for Callbacks {}

// SAFETY: as above.
unsafe impl Sync for Callbacks {}

impl Factory for Callbacks {
    fn create(&self, resource: &mut Resource) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.create.map_or(OSTLER_OK, |create| unsafe { create(self.user_data, &mut resource.0) }))
    }

    fn validates(&self) -> bool {
        self.table.validate.is_some()
    }

    fn validate(&self, resource: Resource) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.validate.map_or(OSTLER_OK, |validate| unsafe { validate(self.user_data, resource.0) }))
    }

    fn resets(&self) -> bool {
        self.table.reset.is_some()
    }

    fn reset(&self, resource: Resource) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.reset.map_or(OSTLER_OK, |reset| unsafe { reset(self.user_data, resource.0) }))
    }

    fn acquired(&self, hearer: Hearer, outcome: Outcome) {
        // SAFETY: `ostler_pool_acquire_async` made it of a function of this type; null is none.
        let callback = unsafe { std::mem::transmute::<*const (), ostler_acquired_callback>(hearer.acquired.0) };
        let (status, (lease, resource)) = match outcome.leased {
            Ok(leased) => (OSTLER_OK, leased),
            Err(status) => (status, (Lease(0), Resource::NONE)),
        };
        let (ticket, lease) = (ostler_ticket { value: outcome.number }, ostler_lease { value: lease.0 });
        if let Some(callback) = callback {
            // SAFETY: the host's function, called as the header says.
            unsafe { callback(hearer.user_data, ticket, status, lease, resource.0) }
        }
    }

    fn status_of(&self, error: AcquireError) -> i32 {
        Failure::from(error).status()
    }

    fn hears(&self) -> bool {
        self.table.event.is_some()
    }

    fn event(&self, event: Event, resource: Resource) {
        if let Some(hear) = self.table.event {
            // SAFETY: the host's function, called as the header says.
            unsafe { hear(self.user_data, event as u32, resource.0) }
        }
    }

    fn retags(&self) -> bool {
        self.table.retag.is_some()
    }

    fn retag(&self, resource: Resource, from: u64, to: u64) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.retag.map_or(OSTLER_OK, |retag| unsafe { retag(self.user_data, resource.0, from, to) }))
    }

    fn destroy(&self, resource: Resource) {
        if let Some(destroy) = self.table.destroy {
            // SAFETY: the host's function, called as the header says.
            unsafe { destroy(self.user_data, resource.0) }
        }
    }

    fn overdue(&self, info: &LeaseInfo) {
        if let Some(overdue) = self.table.overdue {
            // SAFETY: the host's function, called as the header says.
            unsafe { overdue(self.user_data, &lease_info(info)) }
        }
    }
}

pub fn lease_info(info: &LeaseInfo) -> ostler_lease_info {
    ostler_lease_info {
        lease: ostler_lease { value: info.lease.0 },
        resource: info.resource.0,
        held_ns: info.held_ns,
        thread_id: info.thread,
        call_site: info.site.number(),
    }
}

pub fn times(times: &TimesSnapshot) -> ostler_times {
    ostler_times {
        count: times.count,
        min_ns: times.min_ns,
        mean_ns: times.mean_ns,
        p50_ns: times.p50_ns,
        p90_ns: times.p90_ns,
        p99_ns: times.p99_ns,
        p999_ns: times.p999_ns,
        max_ns: times.max_ns,
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_pool_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_config_init(config: *mut ostler_pool_config, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Empties a table of callbacks.
///
/// Parameters:
/// - callbacks: written only on success.
/// - struct_size: sizeof(ostler_pool_callbacks).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_callbacks_init(
    callbacks: *mut ostler_pool_callbacks,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("callbacks", callbacks, struct_size) })
}

/// Makes a pool. With a min_size or min_idle, or a time after which something happens, it starts a thread, ostler-pool,
/// that looks after the resources; with creator_threads as many more, on which they are made. One that cannot be made in
/// the background is tried again after 100 ms, then 200 ms, up to 30 s, each time up to a quarter sooner, by chance.
///
/// Parameters:
/// - config: borrowed during the call.
/// - callbacks: borrowed during the call; create and destroy are required.
/// - user_data: handed to every callback; must stay valid until the pool is destroyed and the last lease is back.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_pool_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM,
/// OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; user_data may be NULL; callbacks, its create and destroy, and out must not be
/// NULL.
/// Blocking: as long as it takes to start a thread; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_create(
    config: *const ostler_pool_config,
    callbacks: *const ostler_pool_callbacks,
    user_data: *mut c_void,
    out: *mut *mut ostler_pool,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        // SAFETY: as the header asks.
        let table: ostler_pool_callbacks = unsafe { read("callbacks", callbacks)? };
        if table.reserved != 0 {
            return Err(out_of_range("callbacks->reserved", u64::from(table.reserved), "must be 0"));
        }
        if table.create.is_none() {
            return Err(null("callbacks->create"));
        }
        if table.destroy.is_none() {
            return Err(null("callbacks->destroy"));
        }
        let config = checked(&config)?;
        let slot = handles::reserve(Kind::Pool)?;
        let factory = alloc::try_box(Callbacks { table, user_data })?;
        let pool = Pool::new(slot.owner(), config, factory)?;
        *out = slot.publish(pool) as *mut ostler_pool;
        Ok(())
    })
}

fn checked(config: &ostler_pool_config) -> Result<PoolConfig, Failure> {
    let affinity = match config.affinity {
        OSTLER_AFFINITY_THREAD => Affinity::Thread,
        OSTLER_AFFINITY_NODE => Affinity::Node,
        other => return Err(out_of_range("affinity", other.into(), "must be an OSTLER_AFFINITY_... constant")),
    };
    let idle_order = match config.idle_order {
        OSTLER_IDLE_LAST_USED_FIRST => IdleOrder::LastUsedFirst,
        OSTLER_IDLE_LONGEST_FIRST => IdleOrder::LongestIdleFirst,
        other => return Err(out_of_range("idle_order", other.into(), "must be an OSTLER_IDLE_... constant")),
    };
    let or = |value: u32, default: u32| if value == 0 { default } else { value };
    let max_size = or(config.max_size, 16);
    let capacity = or(config.capacity, max_size);
    Ok(PoolConfig {
        min_size: config.min_size,
        max_size,
        capacity,
        min_idle: config.min_idle,
        soft_max_size: or(config.soft_max_size, capacity),
        creator_threads: config.creator_threads,
        breaker_failures: or(config.breaker_failures, 5),
        idle_order,
        affinity,
        reserved_high: config.reserved_high,
        refuses_hopeless: flag("refuse_hopeless", config.refuse_hopeless)?,
        target_wait_ns: config.target_wait_ns,
        resource_bytes: config.resource_bytes,
        wait_interval_ns: if config.wait_interval_ns == 0 { 100_000_000 } else { config.wait_interval_ns },
        max_uses: config.max_uses,
        idle_timeout_ns: config.idle_timeout_ns,
        validate_after_ns: config.validate_after_ns,
        keepalive_ns: config.keepalive_ns,
        lease_limit_ns: config.lease_limit_ns,
        max_lifetime_ns: config.max_lifetime_ns,
        lifetime_jitter_ns: match config.lifetime_jitter_ns {
            0 => config.max_lifetime_ns / 10,
            jitter_ns => jitter_ns,
        },
        name: name(&config.name)?,
    })
}

/// Tells what a pool holds and did, also after an ostler_pool_close: only one that is being destroyed is
/// OSTLER_E_CLOSED.
///
/// Parameters:
/// - pool: borrowed.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback. Looks at every slot.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_get_stats(pool: *mut ostler_pool, out: *mut ostler_pool_stats) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(pool, |pool: &Pin<Pool>| {
        let out = out?;
        let (stats, measured) = (pool.stats(), pool.times());
        out.fill(&ostler_pool_stats {
            struct_size: 0,
            reserved: 0,
            in_use: stats.in_use,
            idle: stats.idle,
            creating: stats.creating,
            waiting: stats.waiting,
            created: stats.created,
            create_failures: stats.create_failures,
            destroyed: stats.destroyed,
            destroyed_idle: stats.destroyed_idle,
            destroyed_invalid: stats.destroyed_invalid,
            destroyed_discarded: stats.destroyed_discarded,
            destroyed_reset: stats.destroyed_reset,
            acquires: stats.acquires,
            reuses: stats.reuses,
            timeouts: stats.timeouts,
            peak_in_use: stats.peak_in_use,
            peak_waiting: stats.peak_waiting,
            destroyed_old: stats.destroyed_old,
            destroyed_used: stats.destroyed_used,
            destroyed_refreshed: stats.destroyed_refreshed,
            destroyed_surplus: stats.destroyed_surplus,
            min_size: stats.min_size,
            max_size: stats.max_size,
            failures_in_a_row: stats.failures_in_a_row,
            overdue: stats.overdue,
            waits: times(&measured.waits),
            creates: times(&measured.creates),
            uses: times(&measured.uses),
            retags: stats.retags,
            refused: stats.refused,
            revoked: stats.revoked,
            node_hits: stats.node_hits,
            node_misses: stats.node_misses,
        });
        Ok(())
    })
}

/// Waits until the resources are there that min_size and min_idle ask for, or until one of them cannot be made. What
/// failed before the call does not end it: a program that starts beside its server may call it again until it is
/// OSTLER_OK, and waits for the next attempt each time.
///
/// Parameters:
/// - pool: borrowed.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - ready: written; how many resources there are, also after a failure, for a display of the progress.
/// - wanted: written; how many there shall be.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT (with the words of the last failure), OSTLER_E_CANCELLED,
/// OSTLER_E_CREATE_FAILED (with the words of the create callback; the pool goes on trying), OSTLER_E_WOULD_DEADLOCK,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel, ready and wanted may be NULL.
/// Blocking: up to timeout_ns; not from a callback of the same pool (OSTLER_E_WOULD_DEADLOCK).
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_wait_warm(
    pool: *mut ostler_pool,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    ready: *mut u32,
    wanted: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(ready, 0);
        clear(wanted, 0);
    }
    with(pool, |pool: &Pin<Pool>| {
        let cancel = given(cancel)?;
        let warm = pool.wait_warm(Deadline::after(timeout_ns), cancel.as_deref());
        let (made, asked) = match &warm {
            Ok((made, asked)) => (*made, *asked),
            Err(_) => pool.warmth(),
        };
        // SAFETY: as the header asks.
        unsafe {
            clear(ready, made);
            clear(wanted, asked);
        }
        Ok(warm.map(drop)?)
    })
}

/// Destroys idle resources beyond a number, as when memory is needed elsewhere: those first that were idle longest, where
/// the pool has a time by which it tells. As many as min_size asks for stay.
///
/// Parameters:
/// - pool: borrowed.
/// - keep_idle: how many idle ones stay.
/// - trimmed: written; how many were destroyed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; trimmed may be NULL.
/// Blocking: as long as the destroy callbacks take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_trim(pool: *mut ostler_pool, keep_idle: u32, trimmed: *mut u32) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(trimmed, 0) };
    with(pool, |pool: &Pin<Pool>| {
        let count = pool.trim(keep_idle);
        // SAFETY: as the header asks.
        unsafe { clear(trimmed, count) };
        Ok(())
    })
}

/// Changes the bounds of a pool that is in use. When there are too many resources, idle ones are destroyed at once, and
/// leased ones when they come back.
///
/// Parameters:
/// - pool: borrowed.
/// - min_size: at most max_size, and at most the soft_max_size of the configuration.
/// - max_size: 1 to the capacity of the pool's configuration.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the destroy callbacks take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_resize(pool: *mut ostler_pool, min_size: u32, max_size: u32) -> ostler_status {
    with(pool, |pool: &Pin<Pool>| Ok(pool.share().resize(min_size, max_size)?))
}

/// Leases nothing until ostler_pool_resume: callers wait, and ostler_pool_try_acquire is OSTLER_E_PAUSED. Leases that are
/// out stay good and can be released.
///
/// Parameters:
/// - pool: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_pause(pool: *mut ostler_pool) -> ostler_status {
    with(pool, |pool: &Pin<Pool>| {
        pool.pause();
        Ok(())
    })
}

/// Leases again, to those who wait first.
///
/// Parameters:
/// - pool: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_resume(pool: *mut ostler_pool) -> ostler_status {
    with(pool, |pool: &Pin<Pool>| {
        pool.resume();
        Ok(())
    })
}

/// Replaces all resources, as after a change of a password or a failover: none that was made before is leased any more.
/// Idle ones are destroyed, leased ones when they come back; to keep min_size, a new one is made before an old one goes.
/// Where create has failed too often, it is tried at once, and the pauses after that begin with the shortest again.
///
/// Parameters:
/// - pool: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the callbacks take, in a pool without a thread; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_refresh(pool: *mut ostler_pool) -> ostler_status {
    with(pool, |pool: &Pin<Pool>| Ok(pool.refresh()?))
}

/// Leases nothing any more, ends waits with OSTLER_E_CLOSED, destroys what is idle, and waits until every lease is back
/// and every resource destroyed, also one that create is still making. The pool stays closed, also when the time is up
/// first; a later close goes on waiting. A destroy by another thread ends the wait with OSTLER_E_CLOSED.
///
/// Parameters:
/// - pool: borrowed.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - still_out: written; how many leases are out when the wait ends too early, which may be 0 when only a callback is
///   still under way (the message tells); else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
/// Blocking: up to timeout_ns; not from a callback of the same pool (OSTLER_E_WOULD_DEADLOCK).
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_close(
    pool: *mut ostler_pool,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    still_out: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(still_out, 0) };
    with(pool, |pool: &Pin<Pool>| {
        let cancel = given(cancel)?;
        let closed = pool.close(Deadline::after(timeout_ns), cancel.as_deref());
        // SAFETY: as the header asks.
        let still_out = unsafe { optional_output(still_out, 0) };
        let left = match &closed {
            Err(CloseError::Wait { left, .. } | CloseError::Destroyed { left } | CloseError::Quarantined { left }) => {
                *left
            }
            Ok(()) | Err(CloseError::InsideOwnCallback) => Left::default(),
        };
        if let Some(still_out) = still_out {
            *still_out = left.leases;
        }
        Ok(closed?)
    })
}

/// Destroys a pool: waits end with OSTLER_E_CLOSED, what is idle is destroyed. Leases that are out stay valid; each
/// release then destroys its resource, and the pool's memory goes with the last.
///
/// Parameters:
/// - pool: owned; invalid afterwards, except for its leases.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks, or inside one of an object whose destroy
/// would wait for this one while this one waits for it; nothing happens), OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_OK and does nothing.
/// Blocking: as long as the callbacks that are under way, and those that destroy, take.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_destroy(pool: *mut ostler_pool) -> ostler_status {
    destroy::<_, Pool>(pool)
}
