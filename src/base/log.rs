//! Diagnostics go to the host's callback, and nowhere else. Silent by default.

use super::text::Text;
use super::{Owner, callback};
use parking_lot::RwLock;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::*};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
}

pub type Sink = Arc<dyn Fn(Level, &Text<LINE_BYTES>) + Send + Sync>;
pub const LINE_BYTES: usize = 512;

static MAX_LEVEL: AtomicU32 = AtomicU32::new(0);
static SINK: RwLock<Option<Sink>> = RwLock::new(None);

/// Sends lines up to `max_level` to `sink`. Returns when no line is on its way to the sink before, unless a sink
/// calls this itself.
pub fn set(max_level: u32, sink: Option<Sink>) {
    MAX_LEVEL.store(if sink.is_some() { max_level } else { 0 }, Release);
    let before = std::mem::replace(&mut *SINK.write(), sink);
    if let Some(before) = before
        && !callback::inside(Owner::LOG)
    {
        while Arc::strong_count(&before) > 1 {
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
    }
}

pub fn write(level: Level, line: fmt::Arguments<'_>) {
    if level as u32 > MAX_LEVEL.load(Acquire) || callback::inside(Owner::LOG) {
        return;
    }
    let Some(sink) = SINK.read().clone() else { return };
    let line = Text::format(line);
    callback::run(Owner::LOG, || sink(level, &line));
}

pub fn warn(line: fmt::Arguments<'_>) {
    write(Level::Warn, line);
}

pub fn info(line: fmt::Arguments<'_>) {
    write(Level::Info, line);
}
