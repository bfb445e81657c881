//! One template: what the host built, which goes back to the host with its last user.

use crate::base::Owner;
use crate::base::callback::{self, CallbackFailure, Refusal};
use crate::base::injection::Callback;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// The host's side of a cache of templates.
pub trait TemplateHost: Send + Sync + 'static {
    fn build(&self, key: &[u8], made: &mut Made) -> Result<(), Refusal>;
    /// Whether instances are made by [`TemplateHost::clone_into`]; else by a plain copy.
    fn has_clone(&self) -> bool;
    /// Makes an instance at `target`, which has room for the template's bytes.
    fn clone_into(&self, made: &Made, target: *mut c_void) -> Result<(), Refusal>;
    fn destroy(&self, made: &Made);
}

/// What a build made; it is the host's.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub data: *mut c_void,
    pub bytes: u64,
    /// What it counts for the bound.
    pub charge_bytes: u64,
}

// SAFETY: the host's pointer, which the header says is used by many threads.
unsafe impl Send for Made {}
// SAFETY: as above; nobody writes there.
unsafe impl Sync for Made {}

/// The host, and what of it is alive.
pub struct Maker {
    owner: Owner,
    host: Box<dyn TemplateHost>,
    has_clone: bool,
    alive: AtomicU64,
    alive_bytes: AtomicU64,
}

impl Maker {
    pub fn new(owner: Owner, host: Box<dyn TemplateHost>) -> Self {
        let has_clone = host.has_clone();
        Self { owner, host, has_clone, alive: AtomicU64::new(0), alive_bytes: AtomicU64::new(0) }
    }

    /// Templates that were built and not destroyed, and what they count.
    pub fn alive(&self) -> (u64, u64) {
        (self.alive.load(SeqCst), self.alive_bytes.load(SeqCst))
    }

    pub fn build(self: &Arc<Self>, key: &[u8], version: u64) -> Result<Template, CallbackFailure> {
        let mut made = Made { data: std::ptr::null_mut(), bytes: 0, charge_bytes: 0 };
        callback::run_checked(self.owner, Callback::Build, || self.host.build(key, &mut made))?;
        self.alive.fetch_add(1, SeqCst);
        self.alive_bytes.fetch_add(made.charge_bytes, SeqCst);
        Ok(Template { maker: self.clone(), made, version })
    }
}

pub struct Template {
    maker: Arc<Maker>,
    made: Made,
    version: u64,
}

impl Template {
    #[inline]
    pub fn made(&self) -> &Made {
        &self.made
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    /// Makes an instance when that is a plain copy of at most so many bytes; tells how many they are.
    ///
    /// # Safety
    /// `target` has room for so many bytes, and is no part of the template.
    #[inline(always)]
    pub unsafe fn copy(&self, target: *mut c_void, most: u64) -> Option<u64> {
        let Made { data, bytes, .. } = self.made;
        if self.maker.has_clone || bytes > most {
            return None;
        }
        if bytes > 0 {
            // SAFETY: the host told that so many bytes stand there; the rest is the caller's promise.
            unsafe { data.cast::<u8>().copy_to_nonoverlapping(target.cast(), bytes as usize) };
        }
        Some(bytes)
    }

    /// # Safety
    /// `target` has room for the template's bytes, and is no part of it.
    #[inline]
    pub unsafe fn instantiate(&self, target: *mut c_void) -> Result<(), CallbackFailure> {
        let (maker, made) = (&self.maker, &self.made);
        if maker.has_clone {
            return callback::run_checked(maker.owner, Callback::Clone, || maker.host.clone_into(made, target));
        }
        // SAFETY: the caller's promise.
        unsafe { self.copy(target, made.bytes) };
        Ok(())
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        callback::run(self.maker.owner, || self.maker.host.destroy(&self.made));
        self.maker.alive.fetch_sub(1, SeqCst);
        self.maker.alive_bytes.fetch_sub(self.made.charge_bytes, SeqCst);
    }
}
