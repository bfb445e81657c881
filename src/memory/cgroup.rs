//! The limits of the control groups that this process is in: each counts for all groups below it, so every ancestor
//! is asked. Version 1, version 2, and machines that have a part of each.

use super::kernel::read_number;
use std::fs;
use std::path::{Path, PathBuf};

/// A limit of a group, and how far it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub limit: u64,
    pub used: u64,
    /// The file that holds the limit.
    pub file: PathBuf,
}

impl Bound {
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Version 1 writes "unlimited" as a number near this.
const UNLIMITED: u64 = 1 << 62;

/// The tightest limit on memory of this process, in bytes that are left. Past the `high` limit of version 2 the kernel
/// stalls a process for seconds, so that counts as well.
pub fn memory() -> Option<Bound> {
    let groups = Groups::of_this_process()?;
    let newer = groups.levels("").into_iter().flat_map(|folder| {
        ["memory.max", "memory.high"].map(|limit| memory_bound(&folder, limit, "memory.current", "inactive_file "))
    });
    let older = groups
        .levels("memory")
        .into_iter()
        .map(|folder| memory_bound(&folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "));
    newer.chain(older).flatten().min_by_key(Bound::left)
}

/// Pages of files that nobody writes to go before anybody is killed, so they do not count as used.
fn memory_bound(folder: &Path, limit: &str, usage: &str, inactive: &str) -> Option<Bound> {
    let file = folder.join(limit);
    let limit = read_number(file.to_str()?).filter(|limit| *limit < UNLIMITED)?;
    let usage = read_number(folder.join(usage).to_str()?)?;
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let inactive = stat.lines().find_map(|line| line.strip_prefix(inactive)?.trim().parse().ok()).unwrap_or(0);
    Some(Bound { limit, used: usage.saturating_sub(inactive), file })
}

/// The limit on huge pages of this size that leaves no room for `bytes` more, if one does: on pages in use, which
/// is enforced when they are touched, or on promised ones, which is enforced by mmap.
pub fn hugetlb_refusal(page_bytes: u64, bytes: u64) -> Option<Bound> {
    let groups = Groups::of_this_process()?;
    let size = size_name(page_bytes);
    let bounds = |folder: PathBuf, limit: &'static str, used: &'static str| {
        ["", "rsvd."].map(|kind| {
            let file = folder.join(format!("hugetlb.{size}.{kind}{limit}"));
            let limit = read_number(file.to_str()?).filter(|limit| *limit < UNLIMITED)?;
            let used = read_number(folder.join(format!("hugetlb.{size}.{kind}{used}")).to_str()?)?;
            Some(Bound { limit, used, file })
        })
    };
    let newer = groups.levels("").into_iter().flat_map(|folder| bounds(folder, "max", "current"));
    let older =
        groups.levels("hugetlb").into_iter().flat_map(|folder| bounds(folder, "limit_in_bytes", "usage_in_bytes"));
    newer.chain(older).flatten().find(|bound| bound.left() < bytes)
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

    #[test]
    fn the_bound_leaves_out_files_that_can_go() {
        let folder = std::env::temp_dir().join(format!("ostler-cgroup-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("memory.max"), "1000\n").unwrap();
        fs::write(folder.join("memory.high"), "max\n").unwrap();
        fs::write(folder.join("memory.current"), "900\n").unwrap();
        fs::write(folder.join("memory.stat"), "anon 5\ninactive_file 300\n").unwrap();
        let bound = memory_bound(&folder, "memory.max", "memory.current", "inactive_file ").unwrap();
        assert_eq!((bound.left(), bound.used), (400, 600));
        assert_eq!(memory_bound(&folder, "memory.high", "memory.current", "inactive_file "), None);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn sizes_are_named_as_the_kernel_names_them() {
        assert_eq!([1 << 16, 2 << 20, 1 << 30].map(size_name), ["64KB", "2MB", "1GB"]);
    }
}
