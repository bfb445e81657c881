use super::sizes::{SMALLEST_BYTES, bytes_of, class_of};
use super::*;
use crate::base::clock::Deadline;
use crate::base::handles::Handled;
use crate::memory::policy::Pages;
use crate::memory::source::PageSource;
use crate::memory::testing;
use std::collections::HashMap;
use std::sync::Barrier;
use std::thread::{Scope, ScopedJoinHandle};

fn call_ending(ending: Ending, _memory: *mut u8) {
    // SAFETY: the tests hand out a counter that outlives the set.
    unsafe { &*ending.user_data.cast::<AtomicU64>() }.fetch_add(1, SeqCst);
}

fn set(config: BuffersConfig) -> Arc<Buffers> {
    let source = PageSource { pages: Pages::Base, ..config.source };
    Buffers::new(Owner(9), BuffersConfig { source, ..config }, call_ending).expect("memory")
}

fn me() -> Option<&'static ThreadRecord> {
    ThreadRecord::current()
}

fn end(set: &Buffers) {
    set.begin_destroy();
    set.finish_destroy();
    assert_eq!(set.children(), 0);
    assert_eq!(set.account.held(), 0, "with nothing out nothing is mapped");
}

/// What a sequence of calls must have done: for each view its root, its place in it, and its references.
struct Model {
    set: Arc<Buffers>,
    views: HashMap<u64, (u64, *mut u8, u64, u64)>,
    /// For each root: how many views it has, its memory and its true size.
    roots: HashMap<u64, (u64, *mut u8, u64)>,
    stale: Vec<View>,
}

impl Model {
    fn pick(&self) -> Option<u64> {
        let nth = fastrand::usize(..self.views.len().max(1));
        self.views.keys().copied().nth(nth)
    }

    fn get(&mut self) {
        let bytes = if fastrand::u8(..10) == 0 { fastrand::u64(..1 << 20) } else { fastrand::u64(..9000) };
        let (view, data) = self.set.get(me(), bytes).expect("memory");
        assert_eq!(data as usize % 64, 0);
        assert!(bytes < 16384 || (data as usize).is_multiple_of(4096));
        // SAFETY: the buffer is this test's.
        unsafe { data.write_bytes(view.0 as u8, bytes as usize) };
        let end = data.wrapping_add(bytes_of(class_of(bytes)) as usize);
        let apart =
            |(_, other, size): &(u64, *mut u8, u64)| end <= *other || other.wrapping_add(*size as usize) <= data;
        assert!(self.roots.values().all(apart), "two buffers overlap");
        self.roots.insert(view.0, (1, data, bytes_of(class_of(bytes))));
        assert!(self.views.insert(view.0, (view.0, data, bytes, 1)).is_none());
    }

    fn slice(&mut self) {
        let Some(of) = self.pick() else { return };
        let (root, data, size, _) = self.views[&of];
        let (offset, bytes) = (fastrand::u64(..=size + 1), fastrand::u64(..=size + 1));
        match self.set.slice(me(), View(of), offset, bytes) {
            Ok(slice) => {
                assert!(offset + bytes <= size);
                self.roots.get_mut(&root).unwrap().0 += 1;
                self.views.insert(slice.0, (root, data.wrapping_add(offset as usize), bytes, 1));
            }
            Err(BuffersError::PastTheEnd { .. }) => assert!(offset + bytes > size),
            Err(error) => panic!("{error}"),
        }
    }

    fn truncate(&mut self) {
        let Some(of) = self.pick() else { return };
        let view = self.views.get_mut(&of).unwrap();
        let bytes = fastrand::u64(..=view.2 + 1);
        let shorter = self.set.truncate(me(), View(of), bytes);
        assert_eq!(shorter.is_ok(), bytes <= view.2);
        view.2 = view.2.min(bytes);
    }

    fn retain(&mut self) {
        let Some(of) = self.pick() else { return };
        self.set.retain(View(of)).unwrap();
        self.views.get_mut(&of).unwrap().3 += 1;
    }

    fn release(&mut self) {
        let Some(of) = self.pick() else { return };
        let view = self.views.get_mut(&of).unwrap();
        self.set.release(me(), View(of)).unwrap();
        view.3 -= 1;
        let (root, .., references) = *view;
        if references == 0 {
            self.views.remove(&of);
            self.stale.push(View(of));
            let views = self.roots.get_mut(&root).unwrap();
            views.0 -= 1;
            if views.0 == 0 {
                self.roots.remove(&root);
            }
        }
    }

    fn check(&self) {
        for (value, (_, data, bytes, _)) in &self.views {
            assert_eq!(self.set.extent(View(*value)).unwrap(), (*data, *bytes));
        }
        for view in self.stale.iter().rev().take(50) {
            assert!(matches!(self.set.extent(*view), Err(BuffersError::Stale(_))));
            assert!(matches!(self.set.release(me(), *view), Err(BuffersError::Stale(_))));
            assert!(matches!(self.set.retain(*view), Err(BuffersError::Stale(_))));
            assert!(matches!(self.set.slice(me(), *view, 0, 0), Err(BuffersError::Stale(_))));
        }
        let stats = self.set.stats();
        assert_eq!(stats.in_use, self.roots.len() as u64);
        assert_eq!(stats.in_use_bytes, self.roots.values().map(|(.., size)| size).sum::<u64>());
        assert_eq!(self.set.account.held(), stats.mapped_bytes);
        assert!(stats.in_use_bytes + stats.idle_bytes <= stats.mapped_bytes);
    }
}

#[test]
fn any_sequence_does_what_a_simple_model_does() {
    let _quiet = testing::quiet();
    for seed in 0..20 {
        fastrand::seed(seed);
        let mut model = Model {
            set: set(BuffersConfig { chunk_bytes: 256 << 10, ..BuffersConfig::default() }),
            views: HashMap::new(),
            roots: HashMap::new(),
            stale: Vec::new(),
        };
        for step in 0..2000 {
            match fastrand::u8(..20) {
                0..8 => model.get(),
                8..10 => model.slice(),
                10 => model.truncate(),
                11..13 => model.retain(),
                13..19 => model.release(),
                _ => {
                    model.set.trim(fastrand::u64(..2 << 20));
                }
            }
            if step % 100 == 0 {
                model.check();
            }
        }
        while !model.views.is_empty() {
            model.release();
        }
        model.check();
        assert_eq!(model.set.stats().waste_bytes, 0);
        end(&model.set);
    }
}

#[test]
fn a_name_is_of_one_set_and_one_use() {
    let _quiet = testing::quiet();
    let (ours, theirs) = (set(BuffersConfig::default()), set(BuffersConfig::default()));
    let (view, _) = ours.get(me(), 100).unwrap();
    let (other, _) = theirs.get(me(), 100).unwrap();
    for stray in [View(0), View(u64::MAX), View(view.0 ^ (1 << 32)), View(view.0 ^ 1), View(view.0 | 0xff_ffff), other]
    {
        assert!(matches!(ours.release(me(), stray), Err(BuffersError::Stale(_))), "{stray:?}");
        assert!(matches!(ours.extent(stray), Err(BuffersError::Stale(_))), "{stray:?}");
    }
    ours.release(me(), view).unwrap();
    let (again, _) = ours.get(me(), 100).unwrap();
    assert_ne!(view, again);
    assert!(matches!(ours.release(me(), view), Err(BuffersError::Stale(_))));
    ours.release(me(), again).unwrap();
    theirs.release(me(), other).unwrap();
    end(&ours);
    end(&theirs);
}

#[test]
fn references_are_bounded_and_a_full_count_harms_nobody() {
    let _quiet = testing::quiet();
    let set = set(BuffersConfig::default());
    let (view, _) = set.get(me(), 1).unwrap();
    for _ in 1..MOST_REFERENCES {
        set.retain(view).unwrap();
    }
    assert!(matches!(set.retain(view), Err(BuffersError::TooManyReferences(_))));
    assert!(matches!(set.truncate(me(), view, 0), Err(BuffersError::TooManyReferences(_))));
    for _ in 0..MOST_REFERENCES {
        set.release(me(), view).unwrap();
    }
    assert!(matches!(set.release(me(), view), Err(BuffersError::Stale(_))));
    end(&set);
}

#[test]
fn a_bound_is_never_passed_and_idle_memory_of_any_size_and_thread_counts_for_all() {
    let _quiet = testing::quiet();
    const LIMIT: u64 = 1 << 20;
    let set = set(BuffersConfig { chunk_bytes: LIMIT, limit_bytes: LIMIT, ..BuffersConfig::default() });
    let fill = |bytes| std::iter::from_fn(|| set.get(me(), bytes).ok()).map(|(view, _)| view).collect::<Vec<_>>();
    // All of it in one size, at hand of another thread, and then all of it in another size.
    for (bytes, least) in [(4096, 256), (SMALLEST_BYTES, 4096), (65536, 16), (LIMIT, 1), (40 << 10, 25)] {
        let views = std::thread::scope(|scope| scope.spawn(|| fill(bytes)).join().unwrap());
        assert_eq!(views.len(), least, "of {bytes} bytes");
        assert!(matches!(set.get(me(), bytes), Err(BuffersError::Limit { .. })));
        assert_eq!(set.stats().mapped_bytes, LIMIT);
        std::thread::scope(|scope| {
            scope.spawn(|| views.iter().for_each(|view| set.release(me(), *view).unwrap()));
        });
    }
    assert!(matches!(set.get(me(), LIMIT + 1), Err(BuffersError::Limit { .. })));
    end(&set);
}

#[test]
fn what_is_at_hand_is_bounded_and_goes_with_a_trim() {
    let _quiet = testing::quiet();
    let set = set(BuffersConfig::default());
    let views: Vec<View> = (0..500).map(|_| set.get(me(), 2000).unwrap().0).collect();
    views.iter().for_each(|view| set.release(me(), *view).unwrap());
    let class = class_of(2000) as u64;
    let stats = set.class_stats(class).unwrap();
    assert_eq!(stats.in_use, 0);
    assert!(stats.idle >= 500 && stats.at_hand <= u64::from(AT_HAND[class as usize]), "{stats:?}");
    assert_eq!(set.reclaim(u64::MAX), 2 << 20);
    assert_eq!((set.stats().mapped_bytes, set.stats().idle, set.account.held()), (0, 0, 0));
    // It is mapped again when it is needed.
    let (view, _) = set.get(me(), 2000).unwrap();
    assert_eq!(set.reclaim(u64::MAX), 0);
    set.release(me(), view).unwrap();
    end(&set);
}

#[test]
fn the_rounding_is_told_by_size() {
    let _quiet = testing::quiet();
    let set = set(BuffersConfig::default());
    let asked = [1u64, 256, 257, 1000, 5000, 1 << 20, (1 << 20) + 1];
    let views: Vec<View> = asked.iter().map(|bytes| set.get(me(), *bytes).unwrap().0).collect();
    let waste: u64 = asked.iter().map(|bytes| bytes_of(class_of(*bytes)) - bytes).sum();
    assert_eq!(set.stats().waste_bytes, waste);
    let by_class: u64 = (0..MOST_CLASSES as u64).map(|class| set.class_stats(class).unwrap().waste_bytes).sum();
    assert_eq!(by_class, waste);
    // Released by another thread, and by one that has no record.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            set.release(me(), views[0]).unwrap();
            set.release(None, views[1]).unwrap();
        });
    });
    assert_eq!(set.stats().waste_bytes, waste - 255);
    views[2..].iter().for_each(|view| set.release(me(), *view).unwrap());
    assert_eq!((set.stats().waste_bytes, set.stats().gets), (0, asked.len() as u64));
    end(&set);
}

#[test]
fn wrapped_memory_is_given_back_once_with_its_last_view() {
    let _quiet = testing::quiet();
    let set = set(BuffersConfig::default());
    let given_back = AtomicU64::new(0);
    let mut memory = [0u8; 100];
    let ending = Ending { callback: std::ptr::dangling(), user_data: (&raw const given_back).cast_mut().cast() };
    let view = set.wrap(me(), memory.as_mut_ptr(), 100, ending).unwrap();
    let slice = set.slice(me(), view, 10, 20).unwrap();
    let part = set.slice(me(), slice, 5, 5).unwrap();
    assert_eq!(set.extent(part).unwrap(), (memory.as_mut_ptr().wrapping_add(15), 5));
    set.release(me(), view).unwrap();
    set.release(me(), slice).unwrap();
    assert_eq!((given_back.load(SeqCst), set.stats().wrapped), (0, 1));
    set.begin_destroy();
    set.finish_destroy();
    assert_eq!(set.children(), 1);
    set.release(me(), part).unwrap();
    assert_eq!((given_back.load(SeqCst), set.children()), (1, 0));
}

#[test]
fn a_close_waits_for_the_last_view() {
    let _quiet = testing::quiet();
    let set = set(BuffersConfig::default());
    let (view, _) = set.get(me(), 64).unwrap();
    assert!(matches!(set.close(Deadline::after(1), None), Err(BuffersError::Wait(_))));
    assert!(matches!(set.get(me(), 64), Err(BuffersError::Closed)));
    assert_eq!(set.still_out(), 1);
    let slice = set.slice(me(), view, 0, 1).unwrap();
    std::thread::scope(|scope| {
        let closer = scope.spawn(|| set.close(Deadline::NEVER, None));
        set.release(me(), view).unwrap();
        std::thread::yield_now();
        assert!(!closer.is_finished());
        set.release(me(), slice).unwrap();
        closer.join().unwrap().unwrap();
    });
    end(&set);
}

type Closing<'scope> = ScopedJoinHandle<'scope, Result<(), BuffersError>>;

/// Another thread, which sleeps in a close of the set.
fn sleeping_closer<'scope>(
    scope: &'scope Scope<'scope, '_>,
    set: &'scope Buffers,
) -> (Closing<'scope>, &'static ThreadRecord) {
    const A_MINUTE_NS: u64 = 60_000_000_000;
    let (tell, told) = std::sync::mpsc::channel();
    let closer = scope.spawn(move || {
        tell.send(me().unwrap()).unwrap();
        set.close(Deadline::after(A_MINUTE_NS), None)
    });
    let record = told.recv().unwrap();
    while record.parker.sleep().is_none() {
        std::thread::yield_now();
    }
    (closer, record)
}

#[test]
fn a_release_in_a_window_wakes_nobody_before_the_window_is_over() {
    let _quiet = testing::quiet();
    let set = set(BuffersConfig::default());
    let (view, _) = set.get(me(), 64).unwrap();
    std::thread::scope(|scope| {
        let (closer, record) = sleeping_closer(scope, &set);
        let asleep = record.parker.sleep();
        assert_eq!(set.release_at_hand(me().unwrap(), view), Some(Released::ToBeTold));
        assert_eq!(record.parker.sleep(), asleep);
        set.tell_returned();
        closer.join().unwrap().unwrap();
    });
    end(&set);
}

#[test]
fn a_close_looks_again_when_what_moved_has_arrived() {
    let _quiet = testing::quiet();
    let set = set(BuffersConfig::default());
    std::thread::scope(|scope| {
        let (closer, _) = set.moving(|| sleeping_closer(scope, &set));
        closer.join().unwrap().unwrap();
    });
    end(&set);
}

/// Buffers travel between threads; every byte of each is its holder's alone, and nothing is lost.
#[test]
fn many_threads_pass_buffers_on() {
    let _quiet = testing::quiet();
    const THREADS: usize = 4;
    const ROUNDS: usize = 20_000;
    let set = set(BuffersConfig { limit_bytes: 4 << 20, chunk_bytes: 1 << 20, ..BuffersConfig::default() });
    let queue = crossbeam_queue::ArrayQueue::<(View, View, u8)>::new(64);
    let start = Barrier::new(THREADS + 1);
    let took_back = |(root, slice, mark): (View, View, u8)| {
        let (data, bytes) = set.extent(slice).unwrap();
        // SAFETY: the view was handed to this thread.
        let seen = unsafe { std::slice::from_raw_parts(data, bytes as usize) };
        assert!(seen.iter().all(|byte| *byte == mark), "somebody else wrote into a buffer in use");
        set.release(me(), root).unwrap();
        set.release(me(), slice).unwrap();
        assert!(set.release(me(), slice).is_err() && set.extent(root).is_err());
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (set, queue, start) = (&set, &queue, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    let bytes = fastrand::u64(1..3000);
                    let Ok((view, data)) = set.get(me(), bytes) else { continue };
                    let mark = (thread * 61 + round) as u8;
                    // SAFETY: the buffer is this thread's.
                    unsafe { data.write_bytes(mark, bytes as usize) };
                    let slice = set.slice(me(), view, bytes / 2, bytes - bytes / 2).unwrap();
                    if let Some(full) = queue.force_push((view, slice, mark)) {
                        took_back(full);
                    }
                    if round % 2 == 0
                        && let Some(taken) = queue.pop()
                    {
                        took_back(taken);
                    }
                }
            });
        }
        let (set, start) = (&set, &start);
        scope.spawn(move || {
            start.wait();
            for _ in 0..200 {
                set.trim(0);
                set.stats();
                std::thread::yield_now();
            }
        });
    });
    while let Some(left) = queue.pop() {
        took_back(left);
    }
    let stats = set.stats();
    assert_eq!((stats.in_use, stats.waste_bytes), (0, 0));
    end(&set);
}

/// The least that a leased buffer costs beside its memory: its record, and a share of its span and chunk.
#[test]
fn a_leased_buffer_costs_less_than_64_bytes_beside_its_memory() {
    assert_eq!(size_of::<Record>(), 32);
    const { assert!(Records::MOST > 16_000_000) };
}

#[cfg(feature = "faults")]
mod refused {
    use super::*;
    use crate::base::faults::{self, Point};

    #[test]
    fn what_is_refused_is_told_and_leaves_nothing_behind() {
        if !testing::in_own_process() {
            return;
        }
        for point in [Point::Allocation, Point::Mmap, Point::Madvise] {
            for nth in 1..200 {
                faults::set(point as usize, nth, libc::ENOMEM, false);
                let made = Buffers::new(Owner(9), BuffersConfig::default(), call_ending);
                if let Ok(set) = made {
                    let views: Vec<_> = (0..300).filter_map(|n| set.get(me(), n * 500).ok()).map(|(v, _)| v).collect();
                    let slices: Vec<_> = views.iter().filter_map(|v| set.slice(me(), *v, 0, 0).ok()).collect();
                    for view in views.iter().chain(&slices) {
                        set.release(me(), *view).unwrap();
                    }
                    faults::set(point as usize, 0, 0, false);
                    assert_eq!(set.stats().in_use, 0);
                    end(&set);
                }
                faults::set(point as usize, 0, 0, false);
            }
        }
    }
}

#[test]
fn nobody_waits_for_the_views_of_a_set_in_quarantine() {
    let _quiet = testing::quiet();
    let set = set(BuffersConfig::default());
    let (view, _) = set.get(me(), 64).unwrap();
    set.quarantined();
    assert!(matches!(set.close(Deadline::NEVER, None), Err(BuffersError::Closed)));
    set.release(me(), view).unwrap();
    end(&set);
}
