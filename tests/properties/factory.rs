//! A host whose callbacks do at random what callbacks may do, note it, and watch over every resource.

use ostler_rlib::abi::acquire::*;
use ostler_rlib::abi::lease::*;
use ostler_rlib::abi::pool::*;
use ostler_rlib::abi::request::OSTLER_PRIORITY_HIGH;
use ostler_rlib::abi::status::{OSTLER_E_CALLBACK_FAILED, OSTLER_OK, ostler_status};
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// What a callback did, and to which resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Created(u32),
    CreateFailed,
    Valid(u32),
    Invalid(u32),
    Reset(u32),
    NotReset(u32),
    Destroyed(u32),
}

/// How often, of 256 times, a callback does what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Odds {
    pub fails: u8,
    pub blocks: u8,
    pub panics: u8,
}

struct Resource {
    users: AtomicU32,
    ends: AtomicU32,
}

/// Behind the user data of a pool. Resource `n` is the pointer `n + 1`.
pub struct Factory {
    pub validates: bool,
    pub resets: bool,
    pub odds: Odds,
    seed: AtomicU64,
    resources: Vec<Resource>,
    made: AtomicU32,
    pub panics: AtomicU32,
    events: Mutex<Vec<Event>>,
}

impl Factory {
    pub fn new(validates: bool, resets: bool, odds: Odds, seed: u64, most: usize) -> Box<Self> {
        let resource = || Resource { users: AtomicU32::new(0), ends: AtomicU32::new(0) };
        Box::new(Self {
            validates,
            resets,
            odds,
            seed: AtomicU64::new(seed),
            resources: (0..most).map(|_| resource()).collect(),
            made: AtomicU32::new(0),
            panics: AtomicU32::new(0),
            events: Mutex::new(Vec::new()),
        })
    }

    pub fn pool(&self, mut config: ostler_pool_config) -> *mut ostler_pool {
        // SAFETY: plain structs, for which zeroes are the defaults.
        let mut table: ostler_pool_callbacks = unsafe { std::mem::zeroed() };
        table.struct_size = size_of::<ostler_pool_callbacks>() as u32;
        table.create = Some(create);
        table.validate = self.validates.then_some(validate as _);
        table.reset = self.resets.then_some(reset as _);
        table.destroy = Some(destroy);
        config.struct_size = size_of::<ostler_pool_config>() as u32;
        let mut pool = std::ptr::null_mut();
        // SAFETY: as the header asks; the factory outlives the pool.
        let status = unsafe { ostler_pool_create(&config, &table, (&raw const *self).cast_mut().cast(), &mut pool) };
        assert_eq!(status, OSTLER_OK);
        pool
    }

    pub fn made(&self) -> u32 {
        self.made.load(SeqCst)
    }

    /// Resources that were made and not destroyed.
    pub fn alive(&self) -> u32 {
        let ended = |resource: &&Resource| resource.ends.load(SeqCst) == 0;
        self.resources.iter().take(self.made() as usize).filter(ended).count() as u32
    }

    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    pub fn begin_use(&self, number: u32) {
        let resource = &self.resources[number as usize];
        assert_eq!(resource.users.fetch_add(1, SeqCst), 0, "two have resource {number}");
        assert_eq!(resource.ends.load(SeqCst), 0, "resource {number} is used after its end");
    }

    pub fn end_use(&self, number: u32) {
        self.resources[number as usize].users.fetch_sub(1, SeqCst);
    }

    /// The next random byte (splitmix64, Steele and others 2014).
    pub fn dice(&self) -> u8 {
        let mut z = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, SeqCst);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 56) as u8
    }

    /// Whether the callback that is running shall succeed.
    fn is_well(&self) -> bool {
        if self.dice() < self.odds.blocks {
            std::thread::sleep(std::time::Duration::from_micros(self.dice().into()));
        }
        if self.dice() < self.odds.panics {
            self.panics.fetch_add(1, SeqCst);
            panic!("as the dice have it");
        }
        self.dice() >= self.odds.fails
    }

    fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    fn checked(&self, resource: *mut c_void, well: fn(u32) -> Event, ill: fn(u32) -> Event) -> ostler_status {
        let number = number_of(resource);
        self.begin_use(number);
        let used = EndUse { factory: self, number };
        let is_well = self.is_well();
        self.note(if is_well { well(number) } else { ill(number) });
        drop(used);
        if is_well { OSTLER_OK } else { OSTLER_E_CALLBACK_FAILED }
    }
}

/// Ends a use, also where the callback panics.
struct EndUse<'a> {
    factory: &'a Factory,
    number: u32,
}

impl Drop for EndUse<'_> {
    fn drop(&mut self) {
        self.factory.end_use(self.number);
    }
}

pub fn number_of(resource: *mut c_void) -> u32 {
    resource as usize as u32 - 1
}

fn factory<'a>(user_data: *mut c_void) -> &'a Factory {
    // SAFETY: the user data of each pool here, which outlives it.
    unsafe { &*user_data.cast::<Factory>() }
}

unsafe extern "C-unwind" fn create(user_data: *mut c_void, resource: *mut *mut c_void) -> ostler_status {
    let factory = factory(user_data);
    if !factory.is_well() {
        factory.note(Event::CreateFailed);
        return OSTLER_E_CALLBACK_FAILED;
    }
    let number = factory.made.fetch_add(1, SeqCst);
    assert!((number as usize) < factory.resources.len(), "there are enough resources");
    factory.note(Event::Created(number));
    // SAFETY: the library's output.
    unsafe { *resource = (number as usize + 1) as *mut c_void };
    OSTLER_OK
}

unsafe extern "C-unwind" fn validate(user_data: *mut c_void, resource: *mut c_void) -> ostler_status {
    factory(user_data).checked(resource, Event::Valid, Event::Invalid)
}

unsafe extern "C-unwind" fn reset(user_data: *mut c_void, resource: *mut c_void) -> ostler_status {
    factory(user_data).checked(resource, Event::Reset, Event::NotReset)
}

unsafe extern "C-unwind" fn destroy(user_data: *mut c_void, resource: *mut c_void) {
    let (factory, number) = (factory(user_data), number_of(resource));
    factory.begin_use(number);
    assert_eq!(factory.resources[number as usize].ends.fetch_add(1, SeqCst), 0, "resource {number} is destroyed twice");
    factory.end_use(number);
    factory.note(Event::Destroyed(number));
}

/// The calls of the header, with their outputs as results.
pub struct Stable(pub *mut ostler_pool);

// SAFETY: every function of the pool may be called by any thread.
unsafe impl Send for Stable {}
// SAFETY: as above.
unsafe impl Sync for Stable {}

impl Stable {
    pub fn acquire(&self, timeout_ns: u64) -> Result<(u64, u32), ostler_status> {
        let (mut lease, mut resource) = (ostler_lease { value: 1 }, std::ptr::null_mut());
        // SAFETY: as the header asks, here and below.
        let status =
            unsafe { ostler_pool_acquire(self.0, timeout_ns, std::ptr::null_mut(), &mut lease, &mut resource) };
        leased(status, lease, resource)
    }

    pub fn acquire_high(&self, timeout_ns: u64) -> Result<(u64, u32), ostler_status> {
        let (mut lease, mut resource) = (ostler_lease { value: 1 }, std::ptr::null_mut());
        // SAFETY: as above; a plain struct.
        let status = unsafe {
            let mut how: ostler_acquire = std::mem::zeroed();
            how.struct_size = size_of::<ostler_acquire>() as u32;
            how.priority = OSTLER_PRIORITY_HIGH;
            how.timeout_ns = timeout_ns;
            ostler_pool_acquire_with(self.0, &how, &mut lease, &mut resource)
        };
        leased(status, lease, resource)
    }

    pub fn try_acquire(&self) -> Result<(u64, u32), ostler_status> {
        let (mut lease, mut resource) = (ostler_lease { value: 1 }, std::ptr::null_mut());
        // SAFETY: as above.
        let status = unsafe { ostler_pool_try_acquire(self.0, &mut lease, &mut resource) };
        leased(status, lease, resource)
    }

    pub fn acquire_n(&self, count: usize, timeout_ns: u64) -> Result<Vec<(u64, u32)>, ostler_status> {
        let mut leases = vec![ostler_lease { value: 1 }; count];
        let mut resources = vec![std::ptr::null_mut(); count];
        let (none, into) = (std::ptr::null_mut(), leases.as_mut_ptr());
        // SAFETY: as above.
        let status =
            unsafe { ostler_pool_acquire_n(self.0, count as u32, timeout_ns, none, into, resources.as_mut_ptr()) };
        leases.into_iter().zip(resources).map(|(lease, resource)| leased(status, lease, resource)).collect()
    }

    pub fn release(&self, lease: u64) -> ostler_status {
        // SAFETY: as above.
        unsafe { ostler_pool_release(self.0, ostler_lease { value: lease }) }
    }

    pub fn discard(&self, lease: u64) -> ostler_status {
        // SAFETY: as above.
        unsafe { ostler_pool_discard(self.0, ostler_lease { value: lease }) }
    }

    pub fn resize(&self, max_size: u32) -> ostler_status {
        // SAFETY: as above.
        unsafe { ostler_pool_resize(self.0, 0, max_size) }
    }

    #[cfg(feature = "faults")]
    pub fn trim(&self, keep_idle: u32) {
        // SAFETY: as above.
        assert_eq!(unsafe { ostler_pool_trim(self.0, keep_idle, std::ptr::null_mut()) }, OSTLER_OK);
    }

    pub fn pause(&self) -> ostler_status {
        // SAFETY: as above.
        unsafe { ostler_pool_pause(self.0) }
    }

    pub fn resume(&self) -> ostler_status {
        // SAFETY: as above.
        unsafe { ostler_pool_resume(self.0) }
    }

    pub fn refresh(&self) -> ostler_status {
        // SAFETY: as above.
        unsafe { ostler_pool_refresh(self.0) }
    }

    pub fn close(&self) -> (ostler_status, u64) {
        let mut still_out = 0;
        // SAFETY: as above.
        let status = unsafe { ostler_pool_close(self.0, 0, std::ptr::null_mut(), &mut still_out) };
        (status, still_out)
    }

    pub fn destroy(&self) -> ostler_status {
        // SAFETY: as above.
        unsafe { ostler_pool_destroy(self.0) }
    }

    pub fn stats(&self) -> ostler_pool_stats {
        // SAFETY: as above; a plain struct.
        unsafe {
            let mut stats: ostler_pool_stats = std::mem::zeroed();
            stats.struct_size = size_of::<ostler_pool_stats>() as u32;
            assert_eq!(ostler_pool_get_stats(self.0, &mut stats), OSTLER_OK);
            stats
        }
    }
}

/// After a failure nothing is left in the outputs.
fn leased(status: ostler_status, lease: ostler_lease, resource: *mut c_void) -> Result<(u64, u32), ostler_status> {
    assert_eq!((status == OSTLER_OK, status == OSTLER_OK), (lease.value != 0, !resource.is_null()));
    if status == OSTLER_OK { Ok((lease.value, number_of(resource))) } else { Err(status) }
}
