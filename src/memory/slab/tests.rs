use super::super::inspection::Inspect;
use super::config::Upkeep;
use super::*;
use crate::base::callback;
use crate::base::clock::Deadline;
use crate::base::handles::Handled;
use crate::base::refusal::Refusal;
use crate::memory::pages::Options;
use crate::memory::policy::Pages;
use crate::memory::source::PageSource;
use crate::memory::testing;
use std::collections::HashSet;
use std::sync::atomic::AtomicU32;

/// Counts what is made and destroyed.
#[derive(Default)]
struct Made {
    created: AtomicU32,
    reset: AtomicU32,
    destroyed: AtomicU32,
    refuse: AtomicBool,
    refuse_reset: AtomicBool,
    panic_in_destroy: AtomicBool,
}

struct Counting(Arc<Made>, bool);

impl Upkeep for Counting {
    fn creates(&self) -> bool {
        self.1
    }

    fn create(&self, slot: *mut u8) -> Result<(), Refusal> {
        if self.0.refuse.load(SeqCst) {
            return Err(Refusal::IN_WORDS);
        }
        self.0.created.fetch_add(1, SeqCst);
        // SAFETY: the slot is ours until it is given out.
        unsafe { slot.cast::<u64>().write(77) };
        Ok(())
    }

    fn resets(&self) -> bool {
        self.1
    }

    fn reset(&self, _slot: *mut u8) -> Result<(), Refusal> {
        self.0.reset.fetch_add(1, SeqCst);
        if self.0.refuse_reset.load(SeqCst) { Err(Refusal::IN_WORDS) } else { Ok(()) }
    }

    fn destroys(&self) -> bool {
        self.1
    }

    fn destroy(&self, _slot: *mut u8) {
        assert!(!self.0.panic_in_destroy.load(SeqCst), "a callback that unwinds");
        self.0.destroyed.fetch_add(1, SeqCst);
    }
}

fn config(slot_bytes: u64, max_slots: u64) -> SlabConfig {
    let source = PageSource { pages: Pages::Base, ..PageSource::default() };
    SlabConfig { source, slot_bytes, max_slots, chunk_bytes: 64 << 10, ..SlabConfig::default() }
}

fn plain(config: SlabConfig) -> Arc<Slab> {
    Slab::new(Owner(1 << 63), config, Box::new(Counting(Arc::default(), false))).expect("a slab")
}

fn with_upkeep(config: SlabConfig) -> (Arc<Slab>, Arc<Made>) {
    let made = Arc::new(Made::default());
    (Slab::new(Owner(1 << 63), config, Box::new(Counting(made.clone(), true))).expect("a slab"), made)
}

fn record() -> Option<&'static ThreadRecord> {
    ThreadRecord::current()
}

#[test]
fn every_slot_is_got_once_and_never_more_than_the_bound() {
    let _quiet = testing::quiet();
    for (bytes, max, chunk) in
        [(64, 5000, 64 << 10), (4096, 100, 64 << 10), (24, 1000, 0), (100_000, 7, 0), (4160, 333, 0)]
    {
        let slab = plain(SlabConfig { chunk_bytes: chunk, ..config(bytes, max) });
        for _ in 0..2 {
            let mut got = HashSet::new();
            loop {
                match slab.get(record()) {
                    Ok(slot) => {
                        // SAFETY: the slot is ours, and has so many bytes.
                        unsafe { slot.write_bytes(0xa5, bytes as usize) };
                        assert!(got.insert(slot as usize), "two have one slot");
                    }
                    Err(SlabError::Exhausted { wanted: 1, max: told }) => break assert_eq!(told, max),
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(got.len() as u64, max);
            let mut sorted: Vec<_> = got.iter().copied().collect();
            sorted.sort_unstable();
            let stride = slab.config.slot_bytes as usize;
            assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] == stride), "slots are not side by side");
            let live: Vec<_> = slab.live().map(|live| live.slot as usize).collect();
            assert_eq!(live, sorted);
            assert_eq!(slab.stats().out, max);
            for slot in got {
                slab.put(record(), slot as *mut u8).unwrap();
            }
            assert_eq!((slab.stats().out, slab.live().count()), (0, 0));
        }
    }
}

#[test]
fn only_a_chunk_between_the_guards_is_called_guarded() {
    let _quiet = testing::quiet();
    let with_guard = |slots: u64| {
        let wanted = config(4096, slots);
        let source = PageSource { guard: true, ..wanted.source };
        plain(SlabConfig { source, initial_slots: slots, ..wanted })
    };
    for (slots, guarded) in [(16, true), (40, false)] {
        let slab = with_guard(slots);
        let stats = slab.stats();
        assert_eq!((stats.chunks, stats.step_downs), (slots.div_ceil(16), 0));
        for index in 0..stats.chunks {
            assert_eq!(slab.receipt(index).unwrap().got_options.has(Options::GUARDED), guarded);
        }
    }
}

#[test]
fn what_cannot_be_put_is_told_and_changes_nothing() {
    let _quiet = testing::quiet();
    for checked in [false, true] {
        let slab = plain(SlabConfig { checked, ..config(64, 1000) });
        let slot = slab.get(record()).unwrap();
        for stray in [slot.wrapping_add(1), slot.wrapping_sub(64), std::ptr::null_mut(), slot.wrapping_add(64 * 1000)] {
            assert!(matches!(slab.put(record(), stray), Err(SlabError::Foreign { .. })), "{stray:?}");
        }
        assert!(matches!(slab.put(record(), slot.wrapping_add(64 * 900)), Err(SlabError::NeverGot { .. })));
        slab.put(record(), slot).unwrap();
        assert!(matches!(slab.put(record(), slot), Err(SlabError::PutTwice { .. })));
        let stats = slab.stats();
        assert_eq!((stats.put_twice, stats.foreign, stats.out), (1, 5, 0));
        let all: HashSet<_> = (0..1000).map(|_| slab.get(record()).unwrap() as usize).collect();
        assert_eq!(all.len(), 1000);
    }
}

#[test]
fn slot_is_put_by_another_thread() {
    let _quiet = testing::quiet();
    let slab = plain(config(64, 300));
    for _ in 0..50 {
        let slots: Vec<usize> = (0..300).map(|_| slab.get(record()).unwrap() as usize).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| slots.iter().for_each(|slot| slab.put(record(), *slot as *mut u8).unwrap()));
        });
    }
    assert_eq!(slab.stats().out, 0);
}

#[test]
fn nothing_is_exhausted_while_another_thread_has_it_at_hand() {
    let _quiet = testing::quiet();
    let slab = plain(config(64, 64));
    // Before the other thread ends and leaves its record, with what it has at hand, to the next.
    record();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let slots: Vec<_> = (0..64).map(|_| slab.get(record()).unwrap()).collect();
            slots.into_iter().for_each(|slot| slab.put(record(), slot).unwrap());
        });
    });
    let slots: Vec<_> = (0..64).map(|_| slab.get(record()).expect("all are free")).collect();
    assert!(slab.stats().recalls > 0);
    assert!(matches!(slab.get(record()), Err(SlabError::Exhausted { .. })));
    slots.into_iter().for_each(|slot| slab.put(record(), slot).unwrap());
}

#[test]
fn what_is_made_in_a_slot_is_made_once_and_destroyed_once() {
    let _quiet = testing::quiet();
    let (slab, made) = with_upkeep(config(64, 100));
    for _ in 0..3 {
        let slots: Vec<_> = (0..40).map(|_| slab.get(record()).unwrap()).collect();
        for slot in slots {
            // SAFETY: the slot is ours, and `create` wrote to it.
            assert_eq!(unsafe { slot.cast::<u64>().read() }, 77);
            slab.put(record(), slot).unwrap();
        }
    }
    assert_eq!((made.created.load(SeqCst), made.reset.load(SeqCst)), (40, 120));
    made.refuse_reset.store(true, SeqCst);
    let slot = slab.get(record()).unwrap();
    slab.put(record(), slot).unwrap();
    assert_eq!(made.destroyed.load(SeqCst), 1);
    made.refuse.store(true, SeqCst);
    let slots: Vec<_> = std::iter::from_fn(|| slab.get(record()).ok()).collect();
    assert_eq!(slots.len(), 39);
    assert!(matches!(slab.get(record()), Err(SlabError::Callback(_))));
    made.refuse_reset.store(false, SeqCst);
    slots.into_iter().for_each(|slot| slab.put(record(), slot).unwrap());
    slab.begin_destroy();
    slab.finish_destroy();
    assert_eq!(made.destroyed.load(SeqCst), 40);
}

#[test]
fn empty_chunks_go_and_come_again() {
    let _quiet = testing::quiet();
    for bytes in [64, 4160, 40_000] {
        let (slab, made) = with_upkeep(config(bytes, (1 << 20) / bytes));
        let all: Vec<_> = std::iter::from_fn(|| slab.get(record()).ok()).collect();
        let full = slab.stats();
        assert_eq!(all.len() as u64, full.max_slots);
        assert!(full.chunks >= 15, "{full:?}");
        assert_eq!(slab.trim(u64::MAX), 0);
        // One in the middle stays.
        let kept = all[all.len() / 2];
        all.iter().filter(|slot| **slot != kept).for_each(|slot| slab.put(record(), *slot).unwrap());
        assert!(slab.reclaimable_bytes() > 0);
        let freed = slab.trim(u64::MAX);
        let left = slab.stats();
        assert_eq!(left.mapped_bytes, full.mapped_bytes - freed);
        assert!(left.chunks <= 3 && left.out == 1, "{left:?}");
        // SAFETY: the slot is still ours.
        assert_eq!(unsafe { kept.cast::<u64>().read() }, 77);
        assert!(slab.account.held() >= left.mapped_bytes);
        let again: Vec<_> = std::iter::from_fn(|| slab.get(record()).ok()).collect();
        assert_eq!(again.len(), all.len() - 1);
        again.into_iter().chain([kept]).for_each(|slot| slab.put(record(), slot).unwrap());
        slab.begin_destroy();
        slab.finish_destroy();
        assert_eq!(made.created.load(SeqCst), made.destroyed.load(SeqCst));
    }
}

#[test]
fn a_trim_that_unwinds_leaves_no_chunk_on_its_way() {
    let _quiet = testing::quiet();
    let (slab, made) = with_upkeep(config(4096, 64));
    let get_all = || std::iter::from_fn(|| slab.get(record()).ok()).collect::<Vec<_>>();
    get_all().into_iter().for_each(|slot| slab.put(record(), slot).unwrap());
    made.panic_in_destroy.store(true, SeqCst);
    let trimmed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| slab.trim(u64::MAX)));
    made.panic_in_destroy.store(false, SeqCst);
    assert!(trimmed.is_err() && !slab.chunks.lock().is_one_leaving());
    let (created, kept) = (made.created.load(SeqCst), slab.stats().chunks as u32 * 16);
    assert!(kept < 64);
    // What lay in them is gone, and made anew.
    assert_eq!((get_all().len(), made.created.load(SeqCst)), (64, created + 64 - kept));
}

/// A slab of which nothing is free, because its only chunk is on its way out.
fn leaving() -> Arc<Slab> {
    let slab = plain(config(4096, 16));
    slab.put(record(), slab.get(record()).unwrap()).unwrap();
    slab.alone(gate::Leave::AsItWas, || assert!(slab.depot.take_range(0..16)));
    slab.chunks.lock().begin_leaving(0);
    slab
}

#[test]
fn nobody_waits_for_the_chunk_of_a_slab_that_has_ended() {
    let _quiet = testing::quiet();
    let slab = leaving();
    slab.quarantined();
    assert!(slab.has_room_by_now(&SlabError::Chunk(ChunkError::Full(16))));
    assert!(matches!(slab.get(record()), Err(SlabError::Closed)));
}

#[test]
fn a_callback_waits_for_the_kernel_and_not_for_callbacks() {
    let _quiet = testing::quiet();
    let slab = leaving();
    let get_inside = |owner| callback::run(owner, || slab.get(record()).map(|slot| slot as usize));
    assert!(matches!(get_inside(slab.owner), Err(SlabError::Exhausted { .. })));
    (0..16).for_each(|slot| slab.states.make_raw(slot));
    let gone = slab.chunks.lock().end_leaving(0);
    // It may be told that the kernel did not take this one.
    assert!(matches!(get_inside(Owner::LOG), Err(SlabError::Exhausted { .. })));
    let recalls = slab.stats().recalls;
    std::thread::scope(|scope| {
        let getting = scope.spawn(|| get_inside(slab.owner));
        while slab.stats().recalls == recalls && !getting.is_finished() {
            std::thread::yield_now();
        }
        slab.give_back(gone);
        let slot = getting.join().unwrap().unwrap();
        slab.put(record(), slot as *mut u8).unwrap();
    });
}

#[test]
fn many_or_none() {
    let _quiet = testing::quiet();
    let slab = plain(config(64, 100));
    let mut slots = [std::ptr::null_mut(); 100];
    slab.get_n(record(), &mut slots[..60]).unwrap();
    let mut more = [std::ptr::null_mut(); 41];
    assert!(matches!(slab.get_n(record(), &mut more), Err(SlabError::Exhausted { wanted: 41, max: 100 })));
    assert!(more.iter().all(|slot| slot.is_null()));
    slab.get_n(record(), &mut slots[60..]).unwrap();
    let distinct: HashSet<_> = slots.iter().map(|slot| *slot as usize).collect();
    assert_eq!(distinct.len(), 100);
    let mut given = slots.to_vec();
    given[5] = std::ptr::null_mut();
    let (put, result) = slab.put_n(record(), &given);
    assert!(put == 99 && matches!(result, Err(SlabError::Foreign { .. })));
    assert_eq!(slab.stats().out, 1);
    slab.put(record(), slots[5]).unwrap();
}

#[test]
fn close_waits_for_what_is_out() {
    let _quiet = testing::quiet();
    let slab = plain(config(64, 10));
    let slot = slab.get(record()).unwrap() as usize;
    assert!(matches!(slab.close(Deadline::after(0), None), Err(SlabError::Wait(_))));
    assert_eq!(slab.left(), 1);
    assert!(matches!(slab.get(record()), Err(SlabError::Closed)));
    assert!(matches!(slab.open_magazine(), Err(SlabError::Closed)));
    std::thread::scope(|scope| {
        let closer = scope.spawn(|| slab.close(Deadline::NEVER, None));
        while slab.waiters.lock().is_empty() {
            std::thread::yield_now();
        }
        assert!(!closer.is_finished());
        slab.put(record(), slot as *mut u8).unwrap();
        closer.join().unwrap().unwrap();
    });
    assert_eq!(slab.left(), 0);
}

#[test]
fn slots_of_a_checked_slab_rest_before_they_are_used_again() {
    let _quiet = testing::quiet();
    let slab = plain(SlabConfig { checked: true, ..config(64, 500) });
    let mut seen = HashSet::new();
    for _ in 0..500 {
        let slot = slab.get(record()).unwrap();
        assert!(seen.insert(slot as usize), "it was used again at once");
        slab.put(record(), slot).unwrap();
    }
}

#[test]
fn threads_never_share_a_slot_and_never_go_short() {
    let _quiet = testing::quiet();
    const THREADS: usize = 4;
    const EACH: usize = 40;
    // As many as all hold at once, so each get must succeed, wherever the slots are.
    let slab = plain(SlabConfig { magazine_slots: 16, ..config(64, (THREADS * EACH) as u64) });
    let (slab, base) = (&slab, slab.geometry.base());
    let owners: Vec<AtomicU32> = (0..THREADS * EACH).map(|_| AtomicU32::new(0)).collect();
    let owners = &owners;
    std::thread::scope(|scope| {
        for me in 0..THREADS as u64 {
            scope.spawn(move || {
                let mut held = Vec::new();
                let mut random = me * 0x9e37 + 1;
                for _ in 0..30_000 {
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    if held.len() < EACH && (random >> 60) < 9 {
                        let slot = slab.get(record()).expect("there are enough for all");
                        let number = (slot as u64 - base) as usize / 64;
                        assert_eq!(owners[number].fetch_add(1, SeqCst), 0, "two have one slot");
                        held.push(slot);
                    } else if let Some(slot) = held.pop() {
                        owners[(slot as u64 - base) as usize / 64].fetch_sub(1, SeqCst);
                        slab.put(record(), slot).unwrap();
                    }
                    if random >> 53 == 0 {
                        slab.trim(u64::MAX);
                    }
                }
                held.into_iter().for_each(|slot| {
                    owners[(slot as u64 - base) as usize / 64].fetch_sub(1, SeqCst);
                    slab.put(record(), slot).unwrap();
                });
            });
        }
    });
    let stats = slab.stats();
    assert_eq!((stats.out, stats.exhausted, stats.put_twice), (0, 0, 0));
    assert_eq!(
        (0..THREADS * EACH).map(|_| slab.get(record()).unwrap() as usize).collect::<HashSet<_>>().len(),
        THREADS * EACH
    );
}

#[test]
fn bytes_charged_are_bytes_held() {
    if !testing::in_own_process() {
        return;
    }
    let before = super::super::governor::account::held();
    let slab = plain(config(64, 100_000));
    assert!(slab.account.held() >= slab.stats().mapped_bytes);
    drop(slab);
    assert_eq!(super::super::governor::account::held(), before);
}

#[test]
fn configurations_that_cannot_be_had_are_refused() {
    let refused = |config: SlabConfig| match config.checked() {
        Err(SourceError::Field(error)) => error.field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(SlabConfig::default()), "slot_bytes");
    assert_eq!(refused(SlabConfig { align_bytes: 3, ..config(64, 1) }), "align_bytes");
    assert_eq!(refused(SlabConfig { max_slots: 1 << 27, ..config(64, 1) }), "max_slots");
    assert_eq!(refused(config(1 << 30, 1 << 20)), "max_slots");
    assert_eq!(refused(SlabConfig { initial_slots: 2, ..config(64, 1) }), "initial_slots");
    assert_eq!(refused(SlabConfig { chunk_bytes: 1, ..config(64, 1) }), "chunk_bytes");
    assert_eq!(refused(SlabConfig { magazine_slots: 1, ..config(64, 1) }), "magazine_slots");
    assert_eq!(refused(SlabConfig { magazine_slots: 129, ..config(64, 1) }), "magazine_slots");
}

mod depots {
    use super::super::depot::*;

    #[test]
    fn slots_come_from_the_lowest_on_and_each_once() {
        let depot = Depot::new(10_000).unwrap();
        (0..10_000).rev().for_each(|slot| assert!(depot.give(slot)));
        assert!(!depot.give(77));
        assert_eq!(depot.count(), 10_000);
        let mut got = Vec::new();
        while depot.take(37, |slot| got.push(slot)) > 0 {}
        assert_eq!(got, (0..10_000).collect::<Vec<_>>());
        assert_eq!((depot.count(), depot.take(1, |_| {})), (0, 0));
    }

    #[test]
    fn a_range_goes_as_a_whole_or_not_at_all() {
        let depot = Depot::new(300).unwrap();
        (0..300).filter(|slot| *slot != 200).for_each(|slot| assert!(depot.give(slot)));
        assert!(!depot.take_range(100..201));
        assert!(depot.take_range(100..200));
        assert_eq!(depot.count(), 199);
        assert!(!depot.has(100) && depot.has(99) && depot.has(201));
    }

    fn drawn(depot: &Depot, claim: &Claim, most: u32) -> Vec<u32> {
        let mut got = Vec::new();
        assert_eq!(depot.draw(claim, most, |slot| got.push(slot)) as usize, got.len());
        got
    }

    #[test]
    fn those_who_draw_share_no_word_as_long_as_there_is_another() {
        let depot = Depot::new(4 * 64).unwrap();
        (0..4 * 64).for_each(|slot| assert!(depot.give(slot)));
        let (one, two, three) = (Claim::default(), Claim::default(), Claim::default());
        assert_eq!(drawn(&depot, &one, 33), (0..33).collect::<Vec<_>>());
        assert_eq!(drawn(&depot, &two, 33), (64..97).collect::<Vec<_>>());
        assert_eq!(drawn(&depot, &one, 31), (33..64).collect::<Vec<_>>());
        // A word that is used up is let go for the next one, and a batch may come from both.
        assert_eq!(drawn(&depot, &two, 40), (97..137).collect::<Vec<_>>());
        assert_eq!(drawn(&depot, &one, 64), (192..256).collect::<Vec<_>>());
        // What is left is claimed, and had all the same.
        assert_eq!(drawn(&depot, &three, 64), (137..192).collect::<Vec<_>>());
        assert_eq!((drawn(&depot, &one, 1), depot.count()), (vec![], 0));
        // Whoever is gone leaves its word to others.
        [70, 140].into_iter().for_each(|slot| assert!(depot.give(slot)));
        assert_eq!(drawn(&depot, &three, 1), [70]);
        assert!(depot.give(70));
        depot.let_go(&three);
        assert_eq!(drawn(&depot, &one, 1), [70]);
    }

    #[test]
    fn a_run_of_one_word_goes_in_one_step_and_tells_what_was_there() {
        let depot = Depot::new(300).unwrap();
        assert!(depot.give(130));
        let (mut run, mut again) = (Run::default(), Vec::new());
        for slot in [7, 5, 128, 130, 129, 129, 6] {
            if let Some(full) = run.add(slot) {
                depot.give_run(full, |slot| again.push(slot));
            }
        }
        depot.give_run(run, |slot| again.push(slot));
        assert_eq!((again, depot.count()), (vec![130, 129], 6));
    }

    #[test]
    fn what_was_given_last_is_taken_last_when_the_search_rotates() {
        for slots in [3, 64, 65, 130, 5000] {
            let depot = Depot::new(slots).unwrap();
            (0..slots).for_each(|slot| assert!(depot.give(slot)));
            for round in 0..3 {
                for wanted in 0..slots {
                    let mut got = None;
                    assert_eq!(depot.take(1, |slot| got = Some(slot)), 1, "round {round}");
                    assert_eq!(got, Some(wanted));
                    depot.rotate(wanted);
                    assert!(depot.give(wanted));
                }
            }
        }
    }
}

mod magazines {
    use super::super::geometry::Geometry;
    use super::super::magazine::*;

    fn magazine(capacity: u32) -> Magazine {
        let magazine = Magazine::default();
        let geometry = Geometry::new(4096 as *mut u8, 64, 1000);
        let setup = Setup { geometry, states: 0, capacity, inline_capacity: capacity };
        magazine.set_up(&setup);
        magazine
    }

    fn push(magazine: &Magazine, number: usize) -> bool {
        let fits = magazine.has_room(1);
        if fits {
            magazine.add(slot(number), number as u64);
        }
        fits
    }

    fn slot(number: usize) -> *mut u8 {
        (4096 + 64 * number) as *mut u8
    }

    #[test]
    fn it_is_a_stack_within_its_bounds() {
        let magazine = magazine(4);
        assert!(!push(&magazine, 0) && magazine.pop().is_none());
        magazine.settle(true);
        assert_eq!(magazine.pop(), None);
        assert!((0..4).all(|number| push(&magazine, number)));
        assert!(!push(&magazine, 4));
        assert_eq!(magazine.pop(), Some(slot(3)));
        let mut got = Vec::new();
        assert!(!magazine.pop_n(4, |slot| got.push(slot)) && magazine.pop_n(2, |slot| got.push(slot)));
        assert_eq!(got, [slot(1), slot(2)]);
        assert!(!magazine.has_room(4) && magazine.has_room(3));
        (0..3).for_each(|_| magazine.add(slot(7), 7));
        magazine.take_oldest(1, |oldest| assert_eq!(oldest, slot(0)));
        assert_eq!((magazine.count(), magazine.room()), (3, 1));
    }

    #[test]
    fn what_others_took_is_gone_and_what_came_late_is_kept() {
        let magazine = magazine(8);
        magazine.settle(true);
        (0..5).for_each(|number| assert!(push(&magazine, number)));
        magazine.shut();
        assert!(magazine.pop().is_none() && !push(&magazine, 9) && !magazine.pop_n(1, |_| {}));
        let mut taken = Vec::new();
        magazine.drain(|slot| taken.push(slot));
        assert_eq!(taken.len(), 5);
        // A put that had looked at the ceiling before.
        magazine.add(slot(9), 9);
        assert_eq!(magazine.count(), 1);
        magazine.settle(true);
        assert_eq!((magazine.pop(), magazine.pop()), (Some(slot(9)), None));
    }

    #[test]
    fn inline_code_is_let_in_only_where_calls_are() {
        let magazine = magazine(8);
        let (shut, open) = ((i64::MAX, 0), (0, 8));
        for (is_inline, inline) in [(true, open), (false, shut), (true, open)] {
            magazine.settle(is_inline);
            assert_eq!(magazine.bounds(), [inline, open]);
            assert_eq!(magazine.has_room_inline(), is_inline);
            assert_eq!(magazine.is_for_calls_alone(), !is_inline);
        }
        assert!(push(&magazine, 1));
        assert_eq!(magazine.pop_inline(), Some(slot(1)));
        magazine.shut();
        assert_eq!(magazine.bounds(), [shut, shut]);
        assert!(!magazine.has_room_inline() && magazine.pop_inline().is_none());
    }
}

#[test]
fn nobody_waits_for_the_slots_of_a_slab_in_quarantine() {
    let _quiet = testing::quiet();
    let slab = plain(config(64, 10));
    let slot = slab.get(record()).unwrap();
    slab.quarantined();
    assert!(matches!(slab.close(Deadline::NEVER, None), Err(SlabError::Destroyed)));
    slab.put(record(), slot).unwrap();
    assert_eq!(slab.left(), 0);
}
