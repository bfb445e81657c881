//! A file as the source of a lazy value: read whole into memory of a page source, so that nobody who shortens it later can
//! take it from under a reader.

use super::source::{Loaded, Source};
use crate::base::callback::{self, Refusal};
use crate::memory::governor::Account;
use crate::memory::pages::{Mapping, Request};
use crate::memory::source::PageSource;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// What the value of a file points to.
#[repr(C)]
pub struct Content {
    pub data: *const u8,
    pub bytes: u64,
    /// None: the file is empty.
    mapping: Option<Mapping>,
}

pub struct File {
    path: PathBuf,
    source: PageSource,
    account: Arc<Account>,
}

impl File {
    pub fn new(path: &str, source: PageSource, account: Arc<Account>) -> Self {
        Self { path: PathBuf::from(path), source, account }
    }

    fn read(&self) -> Result<Content, String> {
        let shown = self.path.display();
        let said = |what: &str, error: std::io::Error| format!("{what} {shown}: {error}");
        let file = fs::File::open(&self.path).map_err(|error| said("open", error))?;
        let told = file.metadata().map_err(|error| said("stat", error))?;
        if !told.is_file() {
            return Err(format!("{shown} is no regular file"));
        }
        let bytes = told.len();
        if bytes == 0 {
            return Ok(Content { data: std::ptr::dangling(), bytes, mapping: None });
        }
        let name = self.path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or("file");
        let request = Request { bytes, at_most: u64::MAX, source: self.source, account: &self.account, name };
        let mapping = Mapping::new(&request).map_err(|error| format!("{shown}: {error}"))?;
        // SAFETY: the mapping is this call's, of at least so many bytes, all of them zero.
        let memory = unsafe { std::slice::from_raw_parts_mut(mapping.address(), bytes as usize) };
        file.read_exact_at(memory, 0).map_err(|error| said("read", error))?;
        Ok(Content { data: mapping.address(), bytes, mapping: Some(mapping) })
    }
}

impl Source for File {
    fn load(&self, loaded: &mut Loaded) -> Result<(), Refusal> {
        let content = self.read().map_err(|words| {
            callback::set_message(words);
            Refusal::IN_WORDS
        })?;
        // Its mapping is charged already.
        *loaded = Loaded { value: Box::into_raw(Box::new(content)).cast(), bytes: 0 };
        Ok(())
    }

    fn unload(&self, loaded: Loaded) {
        // SAFETY: `load` made it, and its last user is gone.
        drop(unsafe { Box::from_raw(loaded.value.cast::<Content>()) });
    }

    fn bytes_of(&self, loaded: Loaded) -> u64 {
        // SAFETY: `load` made it, and it is not dropped yet.
        unsafe { (*loaded.value.cast::<Content>()).mapping.as_ref() }.map_or(0, |mapping| mapping.bytes)
    }
}
