//! A file whose contents are in memory to be read: mapped, so that its pages are the kernel's own cache of it, or copied
//! onto pages of one's choice. A mapped file that somebody cuts answers a read beyond its new end with SIGBUS; a copy
//! does not care.

use super::governor::account::Backing;
use super::governor::{Account, Charge, Holder, Refused};
use super::pages::{Mapping, PagesError, Request};
use super::source::{PageSource, SourceError};
use super::system::{self, Errno};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::faults::{self, Point};
use crate::base::handles::{Handled, Kind};
use crate::base::{InvalidField, Name};
use memmap2::{Advice, Mmap, MmapOptions};
use std::fs::File as SystemFile;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a file comes into memory. The numbers are those of OSTLER_FILE_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Way {
    #[default]
    Map = 0,
    Copy = 1,
}

/// What a mapped file reads ahead. The numbers are those of OSTLER_READAHEAD_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Readahead {
    /// All of it, in the background.
    #[default]
    All = 0,
    /// What follows a read.
    Sequential = 1,
    /// Nothing but the page that is read.
    None = 2,
}

impl Readahead {
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::All, Self::Sequential, Self::None].into_iter().find(|readahead| *readahead as u32 == number)
    }

    fn advice(self) -> Advice {
        match self {
            Readahead::All => Advice::WillNeed,
            Readahead::Sequential => Advice::Sequential,
            Readahead::None => Advice::Random,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct FileConfig {
    pub way: Way,
    pub readahead: Readahead,
    /// All of it is in memory before the file is opened.
    pub prefault: bool,
    /// It stays in memory.
    pub lock: bool,
    pub offset_bytes: u64,
    /// 0: to the end.
    pub length_bytes: u64,
    /// The pages of a copy.
    pub source: PageSource,
    pub name: Name,
}

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{call} of \"{}\" failed [errno {errno}]", path.display())]
    System { call: &'static str, path: PathBuf, errno: Errno },
    #[error("\"{}\" is not a file with contents of its own", path.display())]
    NotAFile { path: PathBuf },
    #[error("\"{}\" has {size} bytes, but offset_bytes and length_bytes need {needed}", path.display())]
    TooShort { path: PathBuf, size: u64, needed: u64 },
    #[error("\"{}\" was cut while it was read: {got} of {wanted} bytes", path.display())]
    Shrank { path: PathBuf, got: u64, wanted: u64 },
    #[error("{bytes} bytes may not be locked [errno {errno}]: RLIMIT_MEMLOCK is {limit} bytes")]
    LockRefused { bytes: u64, limit: u64, errno: Errno },
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// How a file is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileInfo {
    pub bytes: u64,
    pub resident_bytes: u64,
    /// The whole file, as it is now.
    pub file_bytes: u64,
    /// Part of what was opened is no longer in the file.
    pub is_cut: bool,
    /// The file was written to, or cut, since it was opened.
    pub is_changed: bool,
}

#[derive(Debug)]
pub struct File {
    file: SystemFile,
    view: View,
    /// Of the contents in the view.
    bytes: u64,
    end: u64,
    opened: Stamp,
}

#[derive(Debug)]
enum View {
    /// The map ends before the charge for it.
    Mapped {
        map: Mmap,
        _charge: Charge,
    },
    Copied(Box<Mapping>),
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(file: &SystemFile) -> Result<Self, Errno> {
        seam(Point::Open)?;
        let found = file.metadata().map_err(|error| errno(&error))?;
        Ok(Self { size: found.len(), modified: (found.mtime(), found.mtime_nsec()) })
    }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// What is no file must not hold the call up, as a pipe without a writer would.
fn open(path: &Path) -> io::Result<SystemFile> {
    SystemFile::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

fn seam(point: Point) -> Result<(), Errno> {
    faults::hit(point).map_or(Ok(()), Err)
}

impl File {
    pub fn open(path: &Path, config: &FileConfig) -> Result<Arc<Self>, FileError> {
        let failed = |call, errno| FileError::System { call, path: path.to_owned(), errno };
        let source = config.source.checked()?;
        let opened = seam(Point::Open).and_then(|()| open(path).map_err(|error| errno(&error)));
        let file = opened.map_err(|errno| failed("open", errno))?;
        let stamp = Stamp::of(&file).map_err(|errno| failed("fstat", errno))?;
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Err(FileError::NotAFile { path: path.to_owned() });
        }
        let bytes = match config.length_bytes {
            0 => stamp.size.saturating_sub(config.offset_bytes).max(1),
            length => length,
        };
        let end = config.offset_bytes.saturating_add(bytes);
        if end > stamp.size {
            return Err(FileError::TooShort { path: path.to_owned(), size: stamp.size, needed: end });
        }
        let account = Account::open(Holder::File, config.name)?;
        let view = match config.way {
            Way::Map => map(path, &file, config, bytes, &account)?,
            Way::Copy => View::Copied(alloc::try_box(copy(path, &file, config, source, bytes, &account)?)?),
        };
        Ok(alloc::try_arc(Self { file, view, bytes, end, opened: stamp })?)
    }

    pub fn address(&self) -> *const u8 {
        match &self.view {
            View::Mapped { map, .. } => map.as_ptr(),
            View::Copied(mapping) => mapping.address(),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The pages of a copy; a mapped file has the kernel's.
    pub fn mapping(&self) -> Option<&Mapping> {
        match &self.view {
            View::Mapped { .. } => None,
            View::Copied(mapping) => Some(mapping),
        }
    }

    /// Asks the kernel.
    pub fn info(&self) -> Result<FileInfo, Errno> {
        let now = Stamp::of(&self.file)?;
        let resident_bytes = match &self.view {
            View::Mapped { map, .. } => system::resident_bytes(map.as_ptr(), self.bytes)?,
            View::Copied(mapping) => super::residency::measure(mapping).resident_bytes.min(self.bytes),
        };
        Ok(FileInfo {
            bytes: self.bytes,
            resident_bytes,
            file_bytes: now.size,
            is_cut: now.size < self.end,
            is_changed: now != self.opened,
        })
    }
}

fn map(
    path: &Path,
    file: &SystemFile,
    config: &FileConfig,
    bytes: u64,
    account: &Arc<Account>,
) -> Result<View, FileError> {
    let failed = |call, errno| FileError::System { call, path: path.to_owned(), errno };
    let charge = account.charge_backed(bytes, Backing::Memory)?;
    let map = seam(Point::Mmap).and_then(|()| {
        // SAFETY: the map is only ever handed out as an address to read from, and the host is told what happens when
        // others change or cut the file.
        unsafe { MmapOptions::new().offset(config.offset_bytes).len(bytes as usize).map(file) }
            .map_err(|error| errno(&error))
    });
    let map = map.map_err(|errno| failed("mmap", errno))?;
    // Only a wish.
    let _ = seam(Point::Madvise).and_then(|()| map.advise(config.readahead.advice()).map_err(|error| errno(&error)));
    if config.lock {
        let locked = seam(Point::Mlock).and_then(|()| map.lock().map_err(|error| errno(&error)));
        locked.map_err(|errno| FileError::LockRefused { bytes, limit: system::locked_memory_limit(), errno })?;
    }
    if config.prefault {
        let read = seam(Point::Madvise).and_then(|()| map.advise(Advice::PopulateRead).map_err(|error| errno(&error)));
        match read {
            // Before Linux 5.14: the cache is filled by reading, which cannot end in a signal.
            Err(libc::EINVAL) => {
                let mut buffer = alloc::try_vec(READ_BYTES)?;
                buffer.resize(READ_BYTES, 0);
                let mut done = 0;
                while done < bytes {
                    let part = (bytes - done).min(READ_BYTES as u64);
                    read_exactly(path, file, &mut buffer[..part as usize], config.offset_bytes + done)?;
                    done += part;
                }
            }
            Err(libc::EFAULT) => {
                let got = Stamp::of(file).map_or(0, |now| now.size.saturating_sub(config.offset_bytes));
                return Err(FileError::Shrank { path: path.to_owned(), got, wanted: bytes });
            }
            other => other.map_err(|errno| failed("madvise", errno))?,
        }
    }
    Ok(View::Mapped { map, _charge: charge })
}

/// Read at once.
const READ_BYTES: usize = 1 << 20;

fn copy(
    path: &Path,
    file: &SystemFile,
    config: &FileConfig,
    source: PageSource,
    bytes: u64,
    account: &Arc<Account>,
) -> Result<Mapping, FileError> {
    // What is about to be written to is best brought in beforehand, where a shortage is an error and no kill.
    let source = PageSource { prefault: true, lock: source.lock || config.lock, ..source };
    let name = config.name;
    let request = Request { bytes, at_most: u64::MAX, source, account, name: name.as_str() };
    let mapping = Mapping::new(&request)?;
    // SAFETY: `bytes` of a mapping that nobody else knows yet.
    let contents = unsafe { std::slice::from_raw_parts_mut(mapping.address(), bytes as usize) };
    read_exactly(path, file, contents, config.offset_bytes)?;
    let sealed = mapping.seal();
    sealed.map_err(|errno| FileError::System { call: "mprotect", path: path.to_owned(), errno })?;
    Ok(mapping)
}

fn read_exactly(path: &Path, file: &SystemFile, buffer: &mut [u8], offset: u64) -> Result<(), FileError> {
    let mut done = 0;
    while done < buffer.len() {
        let rest = &mut buffer[done..];
        let read = seam(Point::Open).and_then(|()| file.read_at(rest, offset + done as u64).map_err(|e| errno(&e)));
        match read {
            Ok(0) => {
                let (got, wanted) = (done as u64, buffer.len() as u64);
                return Err(FileError::Shrank { path: path.to_owned(), got, wanted });
            }
            Ok(bytes) => done += bytes,
            Err(libc::EINTR) => {}
            Err(errno) => return Err(FileError::System { call: "read", path: path.to_owned(), errno }),
        }
    }
    Ok(())
}

impl Handled for File {
    const KIND: Kind = Kind::File;
    fn begin_destroy(&self) {}
    fn finish_destroy(&self) {}
}

#[cfg(test)]
mod tests {
    use super::super::governor::account;
    use super::super::testing::{alone, in_own_process};
    use super::*;
    use std::fs;

    /// A file of its own, which goes with it.
    struct Model(PathBuf);

    impl Model {
        fn new(name: &str, bytes: usize) -> Self {
            let path = std::env::temp_dir().join(format!("ostler-{name}-{}", std::process::id()));
            let contents: Vec<u8> = (0..bytes).map(|at| (at / 7) as u8).collect();
            fs::write(&path, contents).unwrap();
            Self(path)
        }
    }

    impl Drop for Model {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn contents(file: &File) -> Vec<u8> {
        // SAFETY: as long as the file is open, and nobody cuts it.
        unsafe { std::slice::from_raw_parts(file.address(), file.bytes() as usize).to_vec() }
    }

    #[test]
    fn each_way_shows_the_same_contents_and_is_charged() {
        if !in_own_process() {
            return;
        }
        let model = Model::new("ways", 3_000_001);
        let wanted = fs::read(&model.0).unwrap();
        let before = account::held();
        for way in [Way::Map, Way::Copy] {
            for (offset, length) in [(0, 0), (5, 0), (4096, 10_000), (123_457, 2_000_000), (3_000_000, 1)] {
                let config = FileConfig {
                    way,
                    prefault: true,
                    offset_bytes: offset,
                    length_bytes: length,
                    ..FileConfig::default()
                };
                let file = File::open(&model.0, &config).unwrap();
                let end = if length == 0 { wanted.len() } else { (offset + length) as usize };
                assert!(contents(&file) == wanted[offset as usize..end], "{way:?} {offset} {length}");
                assert!(account::held() >= before + file.bytes());
                let info = file.info().unwrap();
                assert_eq!((info.bytes, info.resident_bytes, info.file_bytes), (file.bytes(), file.bytes(), 3_000_001));
                assert!(!info.is_cut && !info.is_changed);
            }
        }
        assert_eq!(account::held(), before);
    }

    #[test]
    fn a_file_that_is_cut_is_told_and_a_copy_does_not_care() {
        let _alone = alone();
        let model = Model::new("cut", 1 << 20);
        let wanted = fs::read(&model.0).unwrap();
        let mapped = File::open(&model.0, &FileConfig::default()).unwrap();
        let copied = File::open(&model.0, &FileConfig { way: Way::Copy, ..FileConfig::default() }).unwrap();
        SystemFile::options().write(true).open(&model.0).unwrap().set_len(5000).unwrap();
        for file in [&mapped, &copied] {
            let info = file.info().unwrap();
            assert!(info.is_cut && info.is_changed && info.file_bytes == 5000);
        }
        assert!(contents(&copied) == wanted);
        let error = File::open(&model.0, &FileConfig { length_bytes: 5001, ..FileConfig::default() }).unwrap_err();
        assert!(matches!(error, FileError::TooShort { size: 5000, needed: 5001, .. }), "{error}");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let none = Path::new("/nowhere/at/all");
        let error = File::open(none, &FileConfig::default()).unwrap_err();
        assert!(matches!(error, FileError::System { call: "open", errno: libc::ENOENT, .. }), "{error}");
        for path in ["/proc", "/dev/zero"] {
            let error = File::open(Path::new(path), &FileConfig::default()).unwrap_err();
            assert!(matches!(error, FileError::NotAFile { .. }), "{error}");
        }
        let model = Model::new("empty", 0);
        let error = File::open(&model.0, &FileConfig::default()).unwrap_err();
        assert!(matches!(error, FileError::TooShort { size: 0, needed: 1, .. }), "{error}");
        let far = FileConfig { offset_bytes: u64::MAX, ..FileConfig::default() };
        assert!(matches!(File::open(&model.0, &far), Err(FileError::TooShort { .. })));
    }
}
