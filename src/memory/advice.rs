//! Advice: what a request for pages would get now, and which setting with which value would give it more. Nothing is
//! mapped; what is free may be gone by the time it is asked for.

use super::crew::Refusal;
use super::governor::account::Backing;
use super::governor::level::Reason;
use super::governor::limit::Source;
use super::governor::{Refused, look, root};
use super::placement::Placement;
use super::placing::{PlacedBy, Placing};
use super::planning::{ABSURD, Plan, Rung, Wish};
use super::policy::{NodeMask, NodePolicy, Pages};
use super::source::PageSource;
use super::steps::Limit;
use super::system::{self, Errno};
use super::{cgroup, headroom, kernel, this_machine};
use std::fmt;

/// What somebody would have to set, and to what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// A file, a resource limit, a capability, or a field of the request; empty: nothing that could be set is known.
    pub name: String,
    pub value: String,
    /// The field of a Kubernetes pod that does the same; empty: none.
    pub pod_field: &'static str,
}

/// Something that stands in the way of what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub tried: Pages,
    pub limit: Limit,
    /// What the kernel said when it was asked; 0 where it is arithmetic.
    pub errno: Errno,
    pub wanted_bytes: u64,
    pub left_bytes: u64,
    pub setting: Setting,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The pages that would be got; `None`: the request would fail.
    pub holds: Option<Rung>,
    pub nodes: NodePolicy,
    pub node_set: NodeMask,
    pub placed_by: PlacedBy,
    pub obstacles: Vec<Obstacle>,
}

impl Advice {
    pub fn on(source: &PageSource, bytes: u64) -> Self {
        let placement = Placement::of(source);
        let node_set = placement.map_or(NodeMask::EMPTY, |placement| *placement.nodes());
        let (placed_by, refused) = how_placed(source, placement);
        let machine = this_machine::now();
        let wish = Wish {
            bytes: bytes.min(ABSURD),
            pages: source.pages,
            policy: source.nodes,
            nodes: &node_set,
            strict: source.strict,
            // What is touched first is brought in.
            prefault: source.prefault || placed_by == PlacedBy::FirstTouch,
        };
        let plan = machine.plan(&wish);
        let mut obstacles = obstacles(&plan, &node_set);
        obstacles.extend(refused.iter().map(|(limit, errno)| refused_policy(source.pages, *limit, *errno)));
        let is_placed = placed_by != PlacedBy::Kernel || source.nodes == NodePolicy::Any;
        let charged = refused_charge(&plan);
        let locked = source.lock.then(|| refused_lock(&plan)).flatten();
        let fails = charged.is_some() || (source.strict && (!is_placed || locked.is_some()));
        obstacles.extend(locked.into_iter().chain(charged.flatten()));
        let holds = plan.holds().copied().filter(|rung| !fails && (!source.strict || is_asked(rung, source.pages)));
        let (nodes, node_set) = if is_placed { (source.nodes, node_set) } else { (NodePolicy::Any, NodeMask::EMPTY) };
        Self { holds, nodes, node_set, placed_by, obstacles }
    }
}

/// What would place the pages, and what is refused on the way to that.
fn how_placed(source: &PageSource, placement: Option<Placement>) -> (PlacedBy, Vec<(Limit, Errno)>) {
    let Some(placement) = placement else {
        let is_unknown = source.nodes != NodePolicy::Any;
        return (PlacedBy::Kernel, if is_unknown { vec![(Limit::NodeUnknown, 0)] } else { Vec::new() });
    };
    let Err(errno) = placement.during(|| ()).1 else { return (PlacedBy::Policy, Vec::new()) };
    let mut refused = vec![(Limit::PolicyRefused, errno)];
    let instead = Placing::instead_of_policy(placement, errno).map_err(|limit| (limit, 0));
    let mustered = instead.and_then(|placing| match placing.crew.muster() {
        Err(Refusal::Absent(limit, errno)) => Err((limit, errno)),
        _ => Ok(placing.by),
    });
    let placed_by = mustered.unwrap_or_else(|reason| {
        refused.push(reason);
        PlacedBy::Kernel
    });
    (placed_by, refused)
}

fn is_asked(rung: &Rung, asked: Pages) -> bool {
    asked == Pages::Best || rung.pages == asked
}

fn obstacles(plan: &Plan, nodes: &NodeMask) -> Vec<Obstacle> {
    let short = plan.rungs.iter().filter(|rung| rung.limit != Limit::None);
    short
        .map(|rung| Obstacle {
            tried: rung.pages,
            limit: rung.limit,
            errno: 0,
            wanted_bytes: rung.wanted_bytes,
            left_bytes: rung.left_bytes,
            setting: remedy(rung, nodes),
        })
        .collect()
}

/// What would let the rung hold.
fn remedy(rung: &Rung, nodes: &NodeMask) -> Setting {
    let setting = |name: String, value: String, pod_field| Setting { name, value, pod_field };
    let missing = rung.wanted_bytes.saturating_sub(rung.left_bytes);
    let huge_field = match rung.pages {
        Pages::Huge2M => "resources.limits.hugepages-2Mi",
        _ => "resources.limits.hugepages-1Gi",
    };
    match rung.limit {
        Limit::HugePagePool => {
            let node = nodes.first().filter(|_| rung.short_on_nodes);
            let pool = match node {
                Some(node) => kernel::huge_pool_of_node(node, rung.page_bytes),
                None => kernel::huge_pool(rung.page_bytes),
            };
            let pages = pool.unwrap_or_default().total + missing.div_ceil(rung.page_bytes.max(1));
            setting(kernel::pool_file(node, rung.page_bytes), pages.to_string(), "")
        }
        Limit::PageSizeUnknown if rung.pages == Pages::Huge1G => {
            let pages = rung.wanted_bytes.div_ceil(1 << 30);
            setting("kernel command line".into(), format!("hugepagesz=1G hugepages={pages}"), "")
        }
        Limit::HugetlbCgroup => match cgroup::hugetlb(rung.page_bytes) {
            Some((file, bound)) => {
                let value = bound.used.saturating_add(rung.wanted_bytes).to_string();
                setting(file.display().to_string(), value, huge_field)
            }
            None => Setting::default(),
        },
        Limit::MemoryCgroup => match cgroup::memory_file() {
            Some((file, bound)) => {
                let value = bound.used.saturating_add(rung.wanted_bytes).saturating_add(headroom::GROUP_MARGIN);
                setting(file.display().to_string(), value.to_string(), "resources.limits.memory")
            }
            None => Setting::default(),
        },
        Limit::AddressSpace if rung.wanted_bytes < ABSURD => address_space(rung.wanted_bytes, rung.page_bytes),
        Limit::ThpDisabled if system::transparent_pages_switched_off() => {
            setting("prctl PR_SET_THP_DISABLE".into(), "0".into(), "")
        }
        Limit::ThpDisabled => setting(kernel::TRANSPARENT_PAGES.into(), "madvise".into(), ""),
        Limit::ChunkTooSmall => setting("bytes".into(), rung.page_bytes.to_string(), ""),
        _ => Setting::default(),
    }
}

fn refused_policy(tried: Pages, limit: Limit, errno: Errno) -> Obstacle {
    let setting = |name: &str, value: &str, pod_field| Setting { name: name.into(), value: value.into(), pod_field };
    let setting = match (limit, errno) {
        (Limit::NoCpu, _) => setting("cpuset.cpus", "with CPUs of the node", ""),
        (Limit::ThreadRefused, libc::EAGAIN) => setting("pids.max or RLIMIT_NPROC", "more threads", ""),
        (Limit::ThreadRefused, _) => setting("a seccomp profile that allows sched_setaffinity", "allowed", ""),
        (_, libc::EPERM) => setting(
            "CAP_SYS_NICE, or a seccomp profile that allows mbind and set_mempolicy",
            "allowed",
            "securityContext.capabilities.add: SYS_NICE",
        ),
        (_, libc::ENOSYS) => setting("a kernel with memory policies (CONFIG_NUMA)", "", ""),
        _ => setting("cpuset.mems", "with the node", ""),
    };
    Obstacle { tried, limit, errno, wanted_bytes: 0, left_bytes: 0, setting }
}

/// The limit that lets so much more be mapped, aligned to its pages and with guards.
fn address_space(bytes: u64, page_bytes: u64) -> Setting {
    let room = bytes + page_bytes + 4 * system::base_page_bytes();
    let value = kernel::mapped_bytes().saturating_add(room).to_string();
    Setting { name: "RLIMIT_AS".into(), value, pod_field: "" }
}

/// The governor is asked before the kernel, for each rung that is tried, and where it refuses nothing smaller is tried. An
/// obstacle only where the plan does not name the limit already.
fn refused_charge(plan: &Plan) -> Option<Option<Obstacle>> {
    let is_tried = |rung: &&Rung| {
        rung.wanted_bytes < ABSURD
            && !matches!(rung.limit, Limit::PageSizeUnknown | Limit::ChunkTooSmall | Limit::ThpDisabled)
    };
    plan.rungs.iter().filter(is_tried).find_map(|rung| {
        let is_explicit = matches!(rung.pages, Pages::Huge2M | Pages::Huge1G);
        let backing = if is_explicit { Backing::HugePool } else { Backing::Memory };
        let refused = root::foresee(rung.wanted_bytes, backing).err()?;
        let (limit, setting) = remedy_of_governor(&refused, rung);
        Some((rung.limit != limit).then(|| Obstacle {
            tried: rung.pages,
            limit,
            errno: 0,
            wanted_bytes: refused.wanted,
            left_bytes: refused.limit.saturating_sub(refused.held).saturating_sub(refused.beside),
            setting,
        }))
    })
}

/// What stands behind a refusal of the governor's, and what would have it grant so much.
fn remedy_of_governor(refused: &Refused, rung: &Rung) -> (Limit, Setting) {
    let setting =
        |name: &str, value: u64, pod_field| Setting { name: name.into(), value: value.to_string(), pod_field };
    let needed = refused.held.saturating_add(refused.beside).saturating_add(refused.wanted);
    match (refused.critical, refused.source) {
        (Reason::None, Source::GroupMax | Source::GroupHigh | Source::GroupOlder) => {
            let file = cgroup::memory_file().map_or_else(String::new, |(file, _)| file.display().to_string());
            let value = needed.saturating_add(headroom::GROUP_MARGIN);
            (Limit::MemoryCgroup, setting(&file, value, "resources.limits.memory"))
        }
        (Reason::None, Source::AddressSpace) => {
            (Limit::AddressSpace, address_space(rung.wanted_bytes, rung.page_bytes))
        }
        (Reason::None, Source::Machine) => (Limit::NodeMemory, Setting::default()),
        (Reason::None | Reason::Limit, _) => (Limit::Governor, larger_limit(needed, refused.limit)),
        // Critically short by what no setting of the governor's changes.
        _ => (Limit::Governor, Setting::default()),
    }
}

/// The setting of the governor's that allows so much to be held, without its being critically short then.
fn larger_limit(needed: u64, limit: u64) -> Setting {
    let (configured, thresholds) = look::settings();
    let below_critical = u64::from(thresholds.critical - thresholds.hysteresis).max(1);
    let needed = needed.saturating_mul(100) / below_critical + 1;
    let is_share = configured.percent > 0 && (configured.bytes == 0 || limit < configured.bytes);
    let (field, value) = match is_share {
        false => ("limit_bytes", needed),
        true => match needed.saturating_mul(u64::from(configured.percent)).div_ceil(limit.max(1)) {
            // More than all there is: no share at all.
            101.. => ("limit_percent", 0),
            percent => ("limit_percent", percent),
        },
    };
    Setting { name: format!("ostler_governor_config.{field}"), value: value.to_string(), pod_field: "" }
}

/// Explicit huge pages need no lock.
fn refused_lock(plan: &Plan) -> Option<Obstacle> {
    let rung = plan.holds()?;
    let limit = system::locked_memory_limit();
    let fits = kernel::locked_bytes().saturating_add(rung.wanted_bytes) <= limit;
    if fits || matches!(rung.pages, Pages::Huge2M | Pages::Huge1G) || kernel::may_lock_without_limit() {
        return None;
    }
    let value = kernel::locked_bytes().saturating_add(rung.wanted_bytes).to_string();
    let setting =
        Setting { name: "RLIMIT_MEMLOCK".into(), value, pod_field: "securityContext.capabilities.add: IPC_LOCK" };
    Some(Obstacle {
        tried: rung.pages,
        limit: Limit::LockedMemory,
        errno: 0,
        wanted_bytes: rung.wanted_bytes,
        left_bytes: limit.saturating_sub(kernel::locked_bytes()),
        setting,
    })
}

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::base::text::Size;
        match &self.holds {
            Some(rung) => write!(formatter, "would get {} of {} pages", Size(rung.wanted_bytes), rung.pages)?,
            None => write!(formatter, "would fail")?,
        }
        match self.node_set.is_empty() {
            true => write!(formatter, " on any node")?,
            false => write!(formatter, " on {} {}", self.nodes.name(), self.node_set)?,
        }
        match self.placed_by {
            PlacedBy::FirstTouch => writeln!(formatter, " by {}", self.placed_by.name())?,
            _ => writeln!(formatter)?,
        }
        for obstacle in &self.obstacles {
            write!(formatter, "  not {}: {}", obstacle.tried, obstacle.limit.words())?;
            if obstacle.left_bytes < obstacle.wanted_bytes {
                write!(formatter, ", {} of {}", Size(obstacle.left_bytes), Size(obstacle.wanted_bytes))?;
            }
            if obstacle.errno != 0 {
                write!(formatter, " [errno {}]", obstacle.errno)?;
            }
            writeln!(formatter)?;
            let Setting { name, value, pod_field } = &obstacle.setting;
            if !name.is_empty() {
                writeln!(formatter, "      set {name} to {value}")?;
            }
            if !pod_field.is_empty() {
                writeln!(formatter, "      in a pod: {pod_field}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(pages: Pages, bytes: u64) -> Advice {
        Advice::on(&PageSource { pages, prefault: true, ..PageSource::default() }, bytes)
    }

    #[test]
    fn a_short_pool_is_told_with_the_number_that_would_do() {
        let _quiet = super::super::testing::quiet();
        let Some(pool) = kernel::huge_pool(2 << 20) else { return };
        let pages = pool.unpromised() + 5;
        let advice = on(Pages::Huge2M, pages << 21);
        let obstacle = &advice.obstacles[0];
        if obstacle.limit == Limit::HugePagePool {
            assert_eq!(obstacle.setting.name, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
            assert_eq!(obstacle.setting.value, (pool.total + 5).to_string());
        }
        assert!(advice.holds.is_some_and(|rung| rung.pages != Pages::Huge2M), "{advice}");
        let strict = PageSource { pages: Pages::Huge2M, strict: true, ..PageSource::default() };
        let advice = Advice::on(&strict, pages << 21);
        assert_eq!((advice.holds, advice.obstacles.len()), (None, 1));
        assert!(advice.to_string().starts_with("would fail on any node\n  not 2 MiB: "), "{advice}");
    }

    #[test]
    fn a_small_chunk_is_told_how_large_it_would_have_to_be() {
        let advice = on(Pages::Best, 65536);
        assert!(advice.holds.is_some_and(|rung| rung.pages == Pages::Base && rung.wanted_bytes == 65536), "{advice}");
        assert!(advice.obstacles.iter().any(|one| one.setting.name == "bytes" && one.setting.value == "2097152"));
    }

    #[test]
    fn more_than_there_is_would_fail() {
        let _quiet = super::super::testing::quiet();
        let advice = on(Pages::Base, 1 << 50);
        assert_eq!(advice.holds, None);
        assert!(matches!(advice.obstacles[0].limit, Limit::NodeMemory | Limit::MemoryCgroup), "{advice}");
        assert_eq!(on(Pages::Base, u64::MAX).obstacles[0].limit, Limit::AddressSpace);
    }

    #[test]
    fn a_node_that_is_not_there_is_asked_of_the_kernel() {
        let _quiet = super::super::testing::quiet();
        let source = PageSource { nodes: NodePolicy::One(900), pages: Pages::Base, ..PageSource::default() };
        let advice = Advice::on(&source, 1 << 20);
        assert_eq!((advice.nodes, advice.obstacles[0].limit), (NodePolicy::Any, Limit::PolicyRefused));
        assert_eq!(advice.obstacles[0].errno, libc::EINVAL);
    }
}
