//! Names for the frames of a call stack: function, file and line, as far as the module's file tells them. A module that
//! was unloaded meanwhile is read from its file all the same.

use super::modules::{Module, Place};
use addr2line::Loader;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Files that were opened, for as long as somebody asks.
#[derive(Default)]
pub struct Symbols {
    files: HashMap<String, Option<Loader>>,
}

/// A frame with its names.
#[derive(Clone, Debug)]
pub struct Frame {
    pub place: Place,
    pub module: Option<Arc<Module>>,
    pub function: Option<String>,
    /// File and line of the source.
    pub source: Option<(String, u32)>,
}

impl Symbols {
    pub fn find(&mut self, place: Place) -> Frame {
        let module = place.module();
        let (mut function, mut source) = (None, None);
        if let Some(module) = &module {
            let file = self.files.entry(module.path.clone()).or_insert_with(|| Loader::new(&module.path).ok());
            if let Some(file) = file {
                function = function_at(file, place.offset());
                source = source_at(file, place.offset());
            }
        }
        Frame { place, module, function, source }
    }
}

/// The innermost function, inlined ones included; else the symbol that the linker knows.
fn function_at(file: &Loader, offset: u64) -> Option<String> {
    let from_debug_information = || {
        let mut frames = file.find_frames(offset).ok()?;
        let function = frames.next().ok()??.function?;
        function.demangle().ok().map(|name| name.into_owned())
    };
    from_debug_information().or_else(|| {
        let symbol = file.find_symbol(offset)?;
        Some(addr2line::demangle_auto(symbol.into(), None).into_owned())
    })
}

fn source_at(file: &Loader, offset: u64) -> Option<(String, u32)> {
    let location = file.find_location(offset).ok()??;
    Some((location.file?.to_owned(), location.line?))
}

impl fmt::Display for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.place.offset();
        let name = self.function.as_deref().unwrap_or("?");
        match &self.module {
            None => write!(formatter, "{name} ({offset:#x})")?,
            Some(module) => write!(formatter, "{name} ({}+{offset:#x})", module.name())?,
        }
        match &self.source {
            Some((file, line)) => write!(formatter, " {file}:{line}"),
            None => Ok(()),
        }
    }
}
