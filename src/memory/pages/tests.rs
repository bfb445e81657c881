use super::super::kernel;
use super::super::policy::NodePolicy;
use super::super::residency::Method;
use super::super::testing::{ACCOUNT, alone, quiet};
use super::*;
use std::fs;

fn from(source: PageSource, bytes: u64) -> Request<'static> {
    Request { bytes, at_most: u64::MAX, source, account: &ACCOUNT, name: "pages" }
}

fn populated(pages: Pages) -> PageSource {
    PageSource { pages, prefault: true, ..PageSource::default() }
}

fn request(bytes: u64, pages: Pages) -> Request<'static> {
    from(populated(pages), bytes)
}

const MIB: u64 = 1 << 20;
const HUGE: u64 = 2 * MIB;

/// The machine's pool of 2 MiB pages with `pages` unpromised ones; as it was before, afterwards.
struct Pool {
    before: u64,
}

const POOL: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

impl Pool {
    fn with(pages: u64) -> Option<Self> {
        let pool = kernel::huge_pool(HUGE)?;
        let wanted = pool.total - pool.unpromised() + pages;
        let set = fs::write(POOL, wanted.to_string());
        let found = kernel::huge_pool(HUGE)?;
        if set.is_err() || found.unpromised() != pages {
            let _ = fs::write(POOL, pool.total.to_string());
            eprintln!("skipped: the pool of huge pages cannot be set to {pages} free pages here");
            return None;
        }
        Some(Self { before: pool.total })
    }

    fn unpromised() -> u64 {
        kernel::huge_pool(HUGE).map_or(0, kernel::HugePool::unpromised)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        fs::write(POOL, self.before.to_string()).expect("the pool goes back");
    }
}

#[test]
fn explicit_huge_pages_are_there_before_anybody_touches_them() {
    let _alone = alone();
    let Some(_pool) = Pool::with(6) else { return };
    for strict in [false, true] {
        for nodes in [NodePolicy::Any, NodePolicy::Local, NodePolicy::One(0), NodePolicy::Interleave, NodePolicy::Set] {
            let node_set = if nodes == NodePolicy::Set { NodeMask::from_iter([0]) } else { NodeMask::EMPTY };
            let asked =
                from(PageSource { strict, nodes, node_set, prefault: false, ..populated(Pages::Huge2M) }, 5 * MIB);
            let mapping = Mapping::new(&asked).expect("three huge pages");
            assert_eq!((mapping.pages, mapping.bytes, mapping.nodes), (Pages::Huge2M, 6 * MIB, nodes));
            assert!(mapping.steps.as_slice().is_empty() && !mapping.stepped_down());
            let found = residency::measure(&mapping);
            assert_eq!((found.resident_bytes, found.huge_bytes), (6 * MIB, 6 * MIB));
            assert_eq!(found.nodes.iter().map(|(_, bytes)| bytes).sum::<u64>(), 6 * MIB);
            assert_eq!(Pool::unpromised(), 3);
            drop(mapping);
            assert_eq!(Pool::unpromised(), 6);
        }
    }
}

/// One page short: never a signal, always a record; and no page stays taken.
#[test]
fn a_short_pool_steps_down_or_fails_but_never_kills() {
    let _alone = alone();
    let Some(_pool) = Pool::with(3) else { return };
    for _ in 0..50 {
        let mapping = Mapping::new(&request(4 * HUGE, Pages::Huge2M)).expect("other pages");
        assert_eq!(mapping.pages, Pages::Transparent);
        assert_eq!(
            mapping.steps.as_slice(),
            [Step { tried: Pages::Huge2M, limit: Limit::HugePagePool, errno: libc::ENOMEM }]
        );
        // SAFETY: the range was just mapped.
        unsafe { mapping.address().write_bytes(1, mapping.bytes as usize) };
        assert!(mapping.stepped_down());
    }
    let strict = from(PageSource { strict: true, ..populated(Pages::Huge2M) }, 4 * HUGE);
    let error = Mapping::new(&strict).expect_err("strict");
    assert!(matches!(error, PagesError::PagesUnavailable { asked: Pages::Huge2M, .. }));
    assert!(error.to_string().contains("nr_hugepages"), "{error}");
    assert_eq!(Pool::unpromised(), 3);
}

/// Threads race for the last pages: mmap may promise what populating then does not find.
#[test]
fn racing_for_the_last_huge_pages_kills_nobody() {
    let _alone = alone();
    let Some(_pool) = Pool::with(4) else { return };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mapping = Mapping::new(&request(2 * HUGE, Pages::Best)).expect("some pages");
                    // SAFETY: the range was just mapped.
                    unsafe { mapping.address().write_bytes(1, mapping.bytes as usize) };
                    assert!(mapping.pages == Pages::Huge2M || !mapping.steps.as_slice().is_empty());
                }
            });
        }
    });
    assert_eq!(Pool::unpromised(), 4);
}

#[test]
fn best_takes_the_largest_that_is_free_and_fits() {
    let _alone = alone();
    {
        let Some(_pool) = Pool::with(1) else { return };
        let mapping = Mapping::new(&request(HUGE, Pages::Best)).expect("a huge page");
        assert_eq!(mapping.pages, Pages::Huge2M);
        assert_eq!(mapping.steps.as_slice().len(), 1, "{}", mapping.steps);
        assert!(!mapping.stepped_down());
    }
    let small = Mapping::new(&request(64 << 10, Pages::Best)).expect("small pages");
    assert_eq!((small.pages, small.bytes), (Pages::Base, 64 << 10));
    assert!(small.steps.as_slice().iter().all(|step| step.limit != Limit::HugePagePool), "{}", small.steps);
}

#[test]
fn transparent_pages_are_aligned_and_huge() {
    let _quiet = quiet();
    if kernel::transparent_pages_off() {
        eprintln!("skipped: transparent huge pages are switched off here");
        return;
    }
    let page_bytes = kernel::transparent_page_bytes().expect("a size");
    // Guards keep it a mapping of its own.
    let source = PageSource { guard: true, ..populated(Pages::Transparent) };
    let mapping = Mapping::new(&from(source, 3 * page_bytes - 1)).expect("memory");
    assert_eq!((mapping.address() as u64 % page_bytes, mapping.bytes), (0, 3 * page_bytes));
    let found = residency::measure(&mapping);
    assert_eq!((found.resident_bytes, found.pages_by), (mapping.bytes, Method::PagemapScan));
    // The kernel was asked for huge pages, and when it has some they count.
    let flags = flags_of(&mapping);
    assert!(flags.iter().any(|flag| flag == "hg"), "{flags:?}");
    assert_eq!(found.huge_bytes % page_bytes, 0, "{found:?}");
    if found.huge_bytes == 0 {
        eprintln!("skipped in part: the kernel has no huge pages now");
    }
    let lazy = Mapping::new(&from(PageSource { prefault: false, ..populated(Pages::Transparent) }, page_bytes))
        .expect("memory");
    assert_eq!(residency::measure(&lazy).resident_bytes, 0);
}

#[test]
fn more_than_the_machine_has_is_an_error_not_a_kill() {
    let _quiet = quiet();
    let all = kernel::machine_memory().expect("/proc/meminfo").total;
    for bytes in [all - MIB, 1 << 46] {
        for asked in [request(bytes, Pages::Base), from(PageSource { strict: true, ..populated(Pages::Base) }, bytes)] {
            let error = Mapping::new(&asked).expect_err("not all of the machine");
            let PagesError::Refused(refused) = error else { panic!("{error}") };
            assert!(refused.wanted >= bytes && refused.limit <= all, "{refused}");
        }
    }
    let strict = from(PageSource { strict: true, ..populated(Pages::Base) }, u64::MAX);
    match Mapping::new(&strict) {
        Err(PagesError::PagesUnavailable { steps, .. } | PagesError::OutOfMemory { steps, .. }) => {
            assert!(steps.as_slice().iter().all(|step| step.limit == Limit::AddressSpace), "{steps}");
        }
        other => panic!("{other:?}"),
    }
}

/// Where a policy is refused, pages are placed by touching them first; what refuses that as well is noted, and no reason to
/// fail unless strict.
#[cfg(feature = "faults")]
#[test]
fn a_refused_policy_is_recorded() {
    use super::super::testing::in_own_process;
    use crate::base::faults::{Point, set};
    let _alone = alone();
    if !in_own_process() {
        return;
    }
    let policy = Step { tried: Pages::Base, limit: Limit::PolicyRefused, errno: libc::EPERM };
    let ways = [
        (None, PlacedBy::FirstTouch, None),
        (Some((Point::Affinity, libc::EPERM)), PlacedBy::Kernel, Some((Limit::ThreadRefused, libc::EPERM))),
        (Some((Point::Affinity, libc::EINVAL)), PlacedBy::Kernel, Some((Limit::NoCpu, libc::EINVAL))),
        (Some((Point::ThreadStart, libc::EAGAIN)), PlacedBy::Kernel, Some((Limit::ThreadRefused, libc::EAGAIN))),
    ];
    for (fault, placed_by, why_not) in ways {
        for (strict, prefault) in [(false, false), (false, true), (true, true)] {
            for nodes in [NodePolicy::One(0), NodePolicy::Interleave, NodePolicy::Local] {
                let faults = [Some((Point::Mbind, libc::EPERM)), fault];
                faults.into_iter().flatten().for_each(|(point, errno)| set(point as usize, 1, errno, true));
                let source = PageSource { strict, nodes, prefault, ..populated(Pages::Base) };
                let made = Mapping::new(&from(source, HUGE));
                faults.into_iter().flatten().for_each(|(point, _)| set(point as usize, 0, 0, false));
                let second = why_not.map(|(limit, errno)| Step { tried: Pages::Base, limit, errno });
                let steps: Vec<Step> = [Some(policy), second].into_iter().flatten().collect();
                match made {
                    Ok(mapping) => {
                        let is_placed = placed_by == PlacedBy::FirstTouch;
                        assert!(!strict || is_placed);
                        assert_eq!((mapping.steps.as_slice(), mapping.placed_by), (&steps[..], placed_by));
                        assert_eq!(mapping.nodes, if is_placed { nodes } else { NodePolicy::Any });
                        // Where the pages are is still known.
                        let there = if is_placed || prefault { Some(HUGE) } else { None };
                        let found = residency::measure(&mapping);
                        assert_eq!(found.nodes.first().map(|(_, bytes)| *bytes), there);
                        assert_eq!(mapping.options.has(Options::PREFAULTED), there.is_some());
                    }
                    Err(PagesError::NodeUnavailable { steps: told }) => {
                        assert!(strict && placed_by == PlacedBy::Kernel);
                        assert_eq!(told.as_slice(), steps);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// Strict believes nobody: where the kernel does not tell, or other nodes have part of it, it was not met.
#[test]
fn what_was_touched_first_is_checked_page_by_page() {
    use super::super::policy::NodeMask;
    use residency::Residency;
    let placement =
        |mode, nodes: &[u32]| Placement { raw: RawPolicy { mode, nodes: nodes.iter().copied().collect::<NodeMask>() } };
    let why = |placement: &Placement, nodes: &[(u32, u64)]| {
        let found = Residency { nodes: nodes.to_vec(), nodes_by: residency::Method::NumaMaps, ..Residency::default() };
        found.why_not_as(placement, 8 * MIB, HUGE)
    };
    let bound = placement(libc::MPOL_BIND, &[1, 2]);
    assert_eq!(why(&bound, &[(1, 8 * MIB)]), None);
    assert_eq!(why(&bound, &[(1, 2 * MIB), (2, 6 * MIB)]), None);
    assert_eq!(why(&bound, &[(1, 6 * MIB)]), Some(Limit::NotVerified));
    assert_eq!(why(&bound, &[(1, 6 * MIB), (3, 2 * MIB)]), Some(Limit::NodeMemory));
    assert_eq!(Residency::default().why_not_as(&bound, 0, HUGE), Some(Limit::NotVerified));
    let interleaved = placement(libc::MPOL_INTERLEAVE, &[0, 1, 3]);
    assert_eq!(why(&interleaved, &[(0, 4 * MIB), (1, 2 * MIB), (3, 2 * MIB)]), None);
    assert_eq!(why(&interleaved, &[(0, 6 * MIB), (1, 2 * MIB)]), Some(Limit::NodeMemory));
    assert_eq!(why(&interleaved, &[(0, 7 * MIB), (1, MIB / 2), (3, MIB / 2)]), Some(Limit::NodeMemory));
}

/// A pool that turns out empty only when it is touched: an error in the middle of populating.
#[cfg(feature = "faults")]
#[test]
fn a_failed_population_gives_every_page_back() {
    use super::super::testing::in_own_process;
    use crate::base::faults::{Point, set};
    let _alone = alone();
    if !in_own_process() {
        return;
    }
    let Some(_pool) = Pool::with(4) else { return };
    let before = super::super::governor::account::held();
    // The first advice is DONTFORK, the second populates.
    set(Point::Madvise as usize, 2, libc::EFAULT, false);
    let made = Mapping::new(&from(PageSource { strict: true, ..populated(Pages::Huge2M) }, 4 * HUGE));
    set(Point::Madvise as usize, 0, 0, false);
    let Err(PagesError::PagesUnavailable { steps, .. }) = made else { panic!("{made:?}") };
    assert_eq!(steps.as_slice()[0].errno, libc::EFAULT);
    assert_eq!((super::super::governor::account::held(), Pool::unpromised()), (before, 4));
}

fn line_of(mapping: &Mapping, file: &str) -> String {
    let text = fs::read_to_string(file).expect("the kernel's list");
    let start = format!("{:x}", mapping.address() as u64);
    text.lines().find(|line| line.starts_with(&start)).expect("the mapping").to_owned()
}

/// The flags in the smaps of a mapping, such as "lo" for a locked one.
fn flags_of(mapping: &Mapping) -> Vec<String> {
    let text = fs::read_to_string("/proc/self/smaps").expect("smaps");
    let start = format!("{:x}-", mapping.address() as u64);
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&start));
    let flags = lines.find_map(|line| line.strip_prefix("VmFlags:")).expect("flags");
    flags.split_ascii_whitespace().map(str::to_owned).collect()
}

#[test]
fn options_are_those_that_the_kernel_shows() {
    let _alone = alone();
    let pool = Pool::with(2);
    for pages in [Pages::Base, Pages::Transparent, Pages::Huge2M] {
        if pages == Pages::Huge2M && pool.is_none() {
            continue;
        }
        let all = PageSource { lock: true, guard: true, exclude_fork: true, exclude_dump: true, ..populated(pages) };
        for source in [all, populated(pages)] {
            // Strictly, transparent pages are huge, of which the kernel may have none.
            let strict = pages != Pages::Transparent;
            let mapping = Mapping::new(&from(PageSource { strict, ..source }, HUGE)).expect("memory");
            let flags = flags_of(&mapping);
            let has = |flag: &str| flags.iter().any(|found| found == flag);
            let explicit = pages == Pages::Huge2M;
            assert_eq!((has("lo"), has("dd")), (source.lock && !explicit, source.exclude_dump), "{flags:?}");
            assert_eq!(has("dc"), source.exclude_fork || explicit, "{flags:?}");
            assert!(mapping.options.has(Options::asked(&source)) && !mapping.stepped_down());
            assert_eq!(mapping.options.has(Options::NOT_FORKED), has("dc"));
            assert_eq!(
                mapping.options.has(Options::NAMED),
                line_of(&mapping, "/proc/self/maps").contains("ostler:pages:")
            );
            assert!(!explicit || mapping.options.has(Options::NAMED));
        }
    }
}

#[test]
fn more_than_may_be_locked_is_told_with_its_limit() {
    use super::super::testing::in_own_process;
    let _alone = alone();
    if !in_own_process() {
        return;
    }
    let few = libc::rlimit { rlim_cur: 64 << 10, rlim_max: 64 << 10 };
    // SAFETY: a live limit; a capability, which root of a container may have, would lift it, so it goes first.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const few), 0);
        assert_eq!(libc::setuid(65534), 0);
    }
    let before = super::super::governor::account::held();
    let lock = |strict| from(PageSource { lock: true, strict, ..populated(Pages::Base) }, MIB);
    let mapping = Mapping::new(&lock(false)).expect("memory");
    let refused = [Step { tried: Pages::Base, limit: Limit::LockedMemory, errno: libc::ENOMEM }];
    assert_eq!(mapping.steps.as_slice(), refused);
    assert!(mapping.stepped_down() && !mapping.options.has(Options::LOCKED));
    assert!(mapping.options.has(Options::PREFAULTED));
    drop(mapping);
    let error = Mapping::new(&lock(true)).expect_err("strict");
    assert_eq!(error, PagesError::LockRefused { bytes: MIB, limit: 64 << 10, errno: libc::ENOMEM });
    assert!(error.to_string().contains("RLIMIT_MEMLOCK is 65536"), "{error}");
    assert_eq!(super::super::governor::account::held(), before);
}
