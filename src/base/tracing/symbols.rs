//! Names for the frames of a call stack: function, file and line, as far as the module's file tells them. A module that
//! was unloaded meanwhile is read from its file all the same.

use super::CallSite;
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
    pub source: Option<Source>,
}

impl Symbols {
    /// The frames of a call stack. A call that the compiler made one with its caller has a frame of its own.
    pub fn of(&mut self, site: CallSite) -> Vec<Frame> {
        site.frames().flat_map(|place| self.at(place)).collect()
    }

    fn at(&mut self, place: Place) -> Vec<Frame> {
        let module = place.module();
        let named = |function, source| Frame { place, module: module.clone(), function, source };
        let file = module.as_ref().and_then(|module| {
            self.files.entry(module.path.clone()).or_insert_with(|| Loader::new(&module.path).ok()).as_ref()
        });
        let Some(file) = file else { return vec![named(None, None)] };
        let mut frames: Vec<Frame> = from_debug_information(file, place.offset())
            .into_iter()
            .map(|(function, source)| named(function, source))
            .collect();
        // The outermost is the function that the linker knows.
        match frames.last_mut() {
            Some(outermost) => {
                outermost.function = outermost.function.take().or_else(|| symbol_at(file, place.offset()))
            }
            None => frames.push(named(symbol_at(file, place.offset()), None)),
        }
        frames
    }
}

type Source = (String, u32);

/// Function and source of each call at this place, innermost first.
fn from_debug_information(file: &Loader, offset: u64) -> Vec<(Option<String>, Option<Source>)> {
    let Ok(mut found) = file.find_frames(offset) else { return Vec::new() };
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = found.next() {
        let function = frame.function.and_then(|function| Some(function.demangle().ok()?.into_owned()));
        let source = frame.location.and_then(|location| Some((location.file?.to_owned(), location.line?)));
        frames.push((function, source));
    }
    frames
}

fn symbol_at(file: &Loader, offset: u64) -> Option<String> {
    Some(addr2line::demangle_auto(file.find_symbol(offset)?.into(), None).into_owned())
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
