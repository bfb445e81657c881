//! The limits of the control groups that this process is in: each counts for all groups below it, so every ancestor
//! is asked. Version 1, version 2, and machines that have a part of each.

use super::kernel::{Reread, read_number};
use parking_lot::Mutex;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

/// A limit of a group, and how far it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    pub limit: u64,
    pub used: u64,
}

impl Bound {
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Version 1 writes "unlimited" as a number near this.
const UNLIMITED: u64 = 1 << 62;

/// The limits on memory that a group can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// memory.max: past it the kernel kills.
    Max,
    /// memory.high: past it the kernel stalls a process for seconds, so that counts as well.
    High,
    /// memory.limit_in_bytes of version 1: past it the kernel kills.
    Older,
}

impl MemoryLimit {
    pub fn file(self) -> &'static str {
        match self {
            MemoryLimit::Max => "memory.max",
            MemoryLimit::High => "memory.high",
            MemoryLimit::Older => "memory.limit_in_bytes",
        }
    }
}

/// The limits on memory of a group and of every group above it. Their files stay open, because they are asked again
/// and again: a limit may change at any time.
pub struct MemoryGroups {
    /// The group to ask instead of this process's own.
    folder: Option<PathBuf>,
    membership: Reread,
    /// What the membership was when the groups were looked for.
    seen: Option<String>,
    groups: Vec<MemoryGroup>,
    /// Goes on whenever the groups are others.
    generation: u64,
    /// Looks since the groups were looked for. A group that counts no memory may come to do so.
    looks: u32,
}

/// Looks after which the groups are looked for again, though this process is where it was.
const LOOKS: u32 = 64;

struct MemoryGroup {
    folder: PathBuf,
    limits: Vec<(MemoryLimit, Reread)>,
    usage: Reread,
    stat: Reread,
    /// The line of the statistics that tells of files which can go.
    inactive: &'static str,
}

impl MemoryGroup {
    fn newer(folder: &Path) -> Self {
        let limits = [MemoryLimit::Max, MemoryLimit::High];
        Self {
            folder: folder.into(),
            limits: limits.map(|limit| (limit, Reread::new(folder.join(limit.file())))).into(),
            usage: Reread::new(folder.join("memory.current")),
            stat: Reread::new(folder.join("memory.stat")),
            inactive: "inactive_file ",
        }
    }

    fn older(folder: &Path) -> Self {
        let limit = MemoryLimit::Older;
        Self {
            folder: folder.into(),
            limits: vec![(limit, Reread::new(folder.join(limit.file())))],
            usage: Reread::new(folder.join("memory.usage_in_bytes")),
            stat: Reread::new(folder.join("memory.stat")),
            inactive: "total_inactive_file ",
        }
    }

    fn bounds(&mut self, each: &mut impl FnMut(MemoryLimit, Bound)) {
        let mut used = None;
        for (kind, file) in &mut self.limits {
            let Some(limit) = file.number().filter(|limit| *limit < UNLIMITED) else { continue };
            if used.is_none() {
                used = self.usage.number().map(|usage| in_earnest(usage, limit, &mut self.stat, self.inactive));
            }
            if let Some(used) = used {
                each(*kind, Bound { limit, used });
            }
        }
    }
}

/// Pages of files that nobody writes to go before anybody is killed, so they do not count as used. The kernel takes long
/// to add them up, so it is asked only once it matters.
fn in_earnest(usage: u64, limit: u64, stat: &mut Reread, inactive: &str) -> u64 {
    if usage < limit / 2 {
        return usage;
    }
    let mut buffer = [0; 8192];
    let text = stat.read(&mut buffer).unwrap_or_default();
    let inactive = text.lines().find_map(|line| line.strip_prefix(inactive)?.trim().parse().ok());
    usage.saturating_sub(inactive.unwrap_or(0))
}

impl Default for MemoryGroups {
    fn default() -> Self {
        let membership = Reread::new("/proc/self/cgroup");
        Self { folder: None, membership, seen: None, groups: Vec::new(), generation: 0, looks: 0 }
    }
}

impl MemoryGroups {
    /// From now on asks this group and those above it, as far as there are any; `None`: those of this process.
    pub fn ask_instead(&mut self, folder: Option<PathBuf>) {
        self.folder = folder;
        self.seen = None;
    }

    /// Tells every limit there is, the process's own group, 0, first. As long as the generation is the same, so are the
    /// groups.
    pub fn bounds(&mut self, each: impl FnMut(usize, MemoryLimit, Bound)) -> u64 {
        self.look_for_groups();
        self.bounds_of_known(each)
    }

    /// The same of the groups that were found last.
    pub fn bounds_of_known(&mut self, mut each: impl FnMut(usize, MemoryLimit, Bound)) -> u64 {
        for (level, group) in self.groups.iter_mut().enumerate() {
            group.bounds(&mut |kind, bound| each(level, kind, bound));
        }
        self.generation
    }

    /// Looks whether this process is in the groups that were found last.
    pub fn look_for_groups(&mut self) {
        let mut buffer = [0; 4096];
        let membership = match &self.folder {
            Some(_) => "",
            None => self.membership.read(&mut buffer).unwrap_or_default(),
        };
        self.looks += 1;
        if self.looks < LOOKS && self.seen.as_deref() == Some(membership) {
            return;
        }
        self.looks = 0;
        self.seen = Some(membership.to_owned());
        let found = match &self.folder {
            Some(folder) => groups_above(folder),
            None => groups_of_this_process(),
        };
        if !found.iter().map(|group| &group.folder).eq(self.groups.iter().map(|group| &group.folder)) {
            self.generation += 1;
            self.groups = found;
        }
    }
}

fn groups_of_this_process() -> Vec<MemoryGroup> {
    let Some(groups) = Groups::of_this_process() else { return Vec::new() };
    let newer = groups.levels("").into_iter().filter(|folder| is_newer(folder));
    let newer = newer.map(|folder| MemoryGroup::newer(&folder));
    let older = groups.levels("memory").into_iter().map(|folder| MemoryGroup::older(&folder));
    newer.chain(older).collect()
}

fn groups_above(folder: &Path) -> Vec<MemoryGroup> {
    let group = |folder: &Path| if is_newer(folder) { MemoryGroup::newer(folder) } else { MemoryGroup::older(folder) };
    folder.ancestors().take_while(|folder| is_memory_group(folder)).map(group).collect()
}

/// The pressure stall information of a group, or of this process's own; version 1 has none.
pub fn pressure_file(folder: Option<&Path>) -> Option<PathBuf> {
    let own = || Groups::of_this_process()?.levels("").into_iter().next();
    let file = folder.map(Path::to_path_buf).or_else(own)?.join("memory.pressure");
    file.exists().then_some(file)
}

fn is_newer(folder: &Path) -> bool {
    folder.join("memory.current").exists()
}

/// Whether the folder is one of a group that counts memory.
pub fn is_memory_group(folder: &Path) -> bool {
    is_newer(folder) || folder.join("memory.usage_in_bytes").exists()
}

/// Who asks shares the files that are open.
pub static MEMORY: LazyLock<Mutex<MemoryGroups>> = LazyLock::new(Mutex::default);

/// The tightest limit on memory of this process, in bytes that are left.
pub fn memory() -> Option<Bound> {
    let mut tightest: Option<Bound> = None;
    MEMORY.lock().bounds(|_, _, bound| {
        if tightest.is_none_or(|tightest| bound.left() < tightest.left()) {
            tightest = Some(bound);
        }
    });
    tightest
}

/// The same, with the file that sets it.
pub fn memory_file() -> Option<(PathBuf, Bound)> {
    let groups = Groups::of_this_process()?;
    let newer = groups.levels("").into_iter().map(|folder| (MemoryGroup::newer(&folder), folder));
    let older = groups.levels("memory").into_iter().map(|folder| (MemoryGroup::older(&folder), folder));
    let mut found = Vec::new();
    for (mut group, folder) in newer.chain(older) {
        group.bounds(&mut |kind, bound| found.push((folder.join(kind.file()), bound)));
    }
    found.into_iter().min_by_key(|(_, bound)| bound.left())
}

/// The tightest limit on huge pages of this size, with its file: on pages in use, which is enforced when they are
/// touched, or on promised ones, which is enforced by mmap.
pub fn hugetlb(page_bytes: u64) -> Option<(PathBuf, Bound)> {
    let groups = Groups::of_this_process()?;
    let size = size_name(page_bytes);
    let bounds = |folder: PathBuf, limit: &'static str, used: &'static str| {
        ["", "rsvd."].map(|kind| {
            let number = |name| read_number(folder.join(format!("hugetlb.{size}.{kind}{name}")).to_str()?);
            let file = folder.join(format!("hugetlb.{size}.{kind}{limit}"));
            let limit = number(limit).filter(|limit| *limit < UNLIMITED)?;
            Some((file, Bound { limit, used: number(used)? }))
        })
    };
    let newer = groups.levels("").into_iter().flat_map(|folder| bounds(folder, "max", "current"));
    let older =
        groups.levels("hugetlb").into_iter().flat_map(|folder| bounds(folder, "limit_in_bytes", "usage_in_bytes"));
    newer.chain(older).flatten().min_by_key(|(_, bound)| bound.left())
}

/// Whether control groups count explicit huge pages as memory (Linux 6.6). An option of the mount, which does not change
/// while a machine runs.
pub fn counts_huge_pages() -> bool {
    static COUNTS: OnceLock<bool> = OnceLock::new();
    *COUNTS.get_or_init(|| {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        mounts.lines().any(|line| line.contains(" - cgroup2 ") && line.contains("memory_hugetlb_accounting"))
    })
}

/// The size as names of files have it: 64KB, 2MB, 1GB.
fn size_name(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 30 => format!("{}GB", bytes >> 30),
        bytes if bytes >= 1 << 20 => format!("{}MB", bytes >> 20),
        bytes => format!("{}KB", bytes >> 10),
    }
}

/// Where this process stands in each hierarchy, and where the hierarchies are mounted.
struct Groups {
    /// /proc/self/cgroup.
    membership: String,
    /// /proc/self/mountinfo.
    mounts: String,
}

impl Groups {
    fn of_this_process() -> Option<Self> {
        Some(Self {
            membership: fs::read_to_string("/proc/self/cgroup").ok()?,
            mounts: fs::read_to_string("/proc/self/mountinfo").ok()?,
        })
    }

    /// The folders of this process's group and of all its ancestors, in the hierarchy of a controller of version 1,
    /// or with an empty name in that of version 2.
    fn levels(&self, controller: &str) -> Vec<PathBuf> {
        let Some((mount, folder)) = self.folder(controller) else { return Vec::new() };
        folder.ancestors().take_while(|level| level.starts_with(&mount)).map(Path::to_path_buf).collect()
    }

    fn folder(&self, controller: &str) -> Option<(PathBuf, PathBuf)> {
        let path = self.membership.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            controllers.split(',').any(|name| name == controller).then_some(path)
        })?;
        let (root, mount) = self.mounts.lines().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let mut place = place.split(' ').skip(3);
            let (root, mount) = (place.next()?, place.next()?);
            let mut kind = kind.split(' ');
            let (filesystem, options) = (kind.next()?, kind.nth(1)?);
            let wanted = match controller {
                "" => filesystem == "cgroup2",
                name => filesystem == "cgroup" && options.split(',').any(|option| option == name),
            };
            wanted.then_some((root, mount))
        })?;
        let mount = PathBuf::from(mount);
        // In a container the mount may show only a part of the hierarchy; a group outside of that part has no folder.
        let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
        let outside = inside.as_os_str().is_empty() || path.starts_with("/..");
        let folder = if outside { mount.clone() } else { mount.join(inside) };
        Some((mount, folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(membership: &str, mounts: &str, controller: &str) -> Vec<String> {
        let groups = Groups { membership: membership.into(), mounts: mounts.into() };
        groups.levels(controller).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn every_ancestor_is_asked_up_to_the_mount() {
        let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(
            levels("4:memory:/a/b\n0::/\n", mounts, "memory"),
            ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"]
        );
        assert_eq!(levels("4:memory:/a/b\n0::/\n", mounts, ""), ["/sys/fs/cgroup/unified"]);
        assert!(levels("0::/\n", mounts, "hugetlb").is_empty());
    }

    #[test]
    fn a_container_sees_its_own_part_of_the_hierarchy() {
        let mounts = "35 31 0:32 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n";
        assert_eq!(levels("0::/docker/x/job\n", mounts, ""), ["/sys/fs/cgroup/job", "/sys/fs/cgroup"]);
        assert_eq!(levels("0::/../elsewhere\n", mounts, ""), ["/sys/fs/cgroup"]);
    }

    /// A folder with the files of a group, which goes with it.
    struct Fake(PathBuf);

    impl Fake {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("ostler-{name}-{}", std::process::id()));
            fs::create_dir_all(folder.join("inner")).unwrap();
            Self(folder)
        }

        fn write(&self, file: &str, text: &str) {
            fs::write(self.0.join(file), text).unwrap();
        }

        fn bounds(&self, groups: &mut MemoryGroups) -> (u64, Vec<(MemoryLimit, u64, u64)>) {
            let mut found = Vec::new();
            let generation = groups.bounds(|_, kind, bound| found.push((kind, bound.limit, bound.used)));
            (generation, found)
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn limits_of_every_level_are_read_anew_and_leave_out_files_that_can_go() {
        let fake = Fake::new("cgroup");
        for (file, text) in [
            ("memory.max", "1000\n"),
            ("memory.high", "max\n"),
            ("memory.current", "900\n"),
            ("memory.stat", "anon 5\ninactive_file 300\n"),
            ("inner/memory.max", "max\n"),
            ("inner/memory.high", "800\n"),
            ("inner/memory.current", "100\n"),
        ] {
            fake.write(file, text);
        }
        let mut groups = MemoryGroups::default();
        groups.ask_instead(Some(fake.0.join("inner")));
        let (first, found) = fake.bounds(&mut groups);
        assert_eq!(found, [(MemoryLimit::High, 800, 100), (MemoryLimit::Max, 1000, 600)]);
        fake.write("inner/memory.high", "700\n");
        fake.write("memory.max", "max\n");
        let (second, found) = fake.bounds(&mut groups);
        assert_eq!((second, found), (first, vec![(MemoryLimit::High, 700, 100)]));
    }

    #[test]
    fn limits_of_version_1_are_read_and_no_limit_is_none() {
        let fake = Fake::new("cgroup-1");
        fake.write("memory.limit_in_bytes", "4096\n");
        fake.write("memory.usage_in_bytes", "3000\n");
        fake.write("memory.stat", "total_cache 5\ntotal_inactive_file 1000\n");
        let mut groups = MemoryGroups::default();
        groups.ask_instead(Some(fake.0.clone()));
        assert_eq!(fake.bounds(&mut groups).1, [(MemoryLimit::Older, 4096, 2000)]);
        fake.write("memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(fake.bounds(&mut groups).1, []);
    }

    #[test]
    fn sizes_are_named_as_the_kernel_names_them() {
        assert_eq!([1 << 16, 2 << 20, 1 << 30].map(size_name), ["64KB", "2MB", "1GB"]);
    }
}
