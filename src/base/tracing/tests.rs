use super::super::Name;
use super::super::testing::in_own_process;
use super::super::thread::ThreadRecord;
use super::*;

/// Tracing is one for the process; tests that switch it take turns.
pub static TURN: Mutex<()> = Mutex::new(());

const BARN: Keeper = Keeper { holder: "arena", name: Name::new(), account: 7_000_001 };
const STABLE: Keeper = Keeper { holder: "heap", name: Name::new(), account: 7_000_002 };

/// What tests in other files follow meanwhile is none of ours.
fn groups_of(keeper: Keeper) -> Vec<report::Group> {
    report::groups(report::By::Object).unwrap().into_iter().filter(|group| group.keeper == keeper).collect()
}

fn block(keeper: Keeper, bytes: u64) -> Block {
    Block { kind: blocks::Kind::Block, keeper, bytes }
}

#[inline(never)]
fn ask() -> CallSite {
    std::hint::black_box(CallSite::here())
}

#[inline(never)]
fn ask_elsewhere() -> CallSite {
    // Not the same code as `ask`, which a linker could make one function of.
    std::hint::black_box(2);
    std::hint::black_box(CallSite::here())
}

#[test]
fn a_call_site_is_the_same_for_the_same_calls_and_none_when_off() {
    let _turn = TURN.lock();
    stop();
    assert_eq!(ask(), CallSite::NONE);
    start(Config::default()).unwrap();
    let sites: Vec<CallSite> = (0..std::hint::black_box(3)).map(|_| ask()).collect();
    let elsewhere = ask_elsewhere();
    stop();
    assert_eq!(ask(), CallSite::NONE);
    assert!(sites.iter().all(|site| *site == sites[0] && *site != CallSite::NONE && *site != elsewhere));
    let words = sites[0].to_string();
    assert!(words.contains("tracing::tests::ask") && words.contains(" < "), "{words}");
    assert!(elsewhere.to_string().contains("ask_elsewhere"));
    assert!(sites[0].frames().count() <= DEFAULT_FRAMES as usize);
    assert_eq!(CallSite::from_number(elsewhere.number()), elsewhere);
}

#[test]
fn no_more_frames_than_asked() {
    let _turn = TURN.lock();
    start(Config { max_frames: 2, ..Config::default() }).unwrap();
    let site = ask();
    stop();
    assert_eq!(site.frames().count(), 2);
    let refused = start(Config { max_frames: 65, ..Config::default() }).unwrap_err();
    assert_eq!(refused.to_string(), "max_frames is 65, but must be at most 64");
}

#[test]
fn a_sample_stands_for_all() {
    // Each thread draws in a way of its own, by the order in which they came.
    if !in_own_process() {
        return;
    }
    start(Config { sample_bytes: 4096, seed: 11, ..Config::default() }).unwrap();
    let record = ThreadRecord::current().unwrap();
    let (mut taken, mut count, mut tokens) = (0, 0, Vec::new());
    for index in 0..60_000u64 {
        // Sizes from 16 bytes to three times the distance, the small ones most often.
        let bytes = 16 << (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).leading_zeros().saturating_sub(56).min(9);
        let token = track_sampled(record, bytes, || block(STABLE, bytes));
        (taken, count) = (taken + bytes, count + 1);
        if !token.is_none() {
            tokens.push(token);
        }
    }
    stop();
    let groups = groups_of(STABLE);
    let sum = |each: fn(&report::Group) -> u64| groups.iter().map(each).sum::<u64>() as f64;
    let (bytes, blocks) = (sum(|group| group.bytes), sum(|group| group.blocks));
    assert_eq!(sum(|group| group.followed), tokens.len() as f64);
    assert!(tokens.len() < count / 10, "{} of {count}", tokens.len());
    assert!((bytes / taken as f64 - 1.0).abs() < 0.1, "{bytes} instead of {taken}");
    assert!((blocks / count as f64 - 1.0).abs() < 0.25, "{blocks} instead of {count}");
    tokens.into_iter().for_each(untrack);
    assert!(groups_of(STABLE).is_empty());
}

#[test]
fn the_same_seed_finds_the_same_blocks() {
    // By the first thread that draws, which here no other test can be.
    if !in_own_process() {
        return;
    }
    let found = |seed| {
        start(Config { sample_bytes: 1000, seed, ..Config::default() }).unwrap();
        let record = ThreadRecord::current().unwrap();
        let found: Vec<bool> = (0..500).map(|index| sampler::falls_on(record, 10 + index % 50).is_some()).collect();
        stop();
        found
    };
    let first = found(1);
    assert!(first.iter().any(|found| *found) && first.iter().any(|found| !*found));
    assert_eq!(found(1), first);
    assert_ne!(found(2), first);
}

#[test]
fn each_block_is_followed_where_all_are_asked_for() {
    let _turn = TURN.lock();
    start(Config { sample_bytes: 1, ..Config::default() }).unwrap();
    let record = ThreadRecord::current().unwrap();
    let tokens: Vec<Token> = (0..100).map(|_| track_sampled(record, 1, || block(STABLE, 1))).collect();
    stop();
    assert!(track_sampled(record, 1 << 30, || block(STABLE, 1)).is_none());
    let groups = groups_of(STABLE);
    let sum = |each: fn(&report::Group) -> u64| groups.iter().map(each).sum::<u64>();
    assert_eq!((sum(|group| group.bytes), sum(|group| group.blocks), sum(|group| group.followed)), (100, 100, 100));
    tokens.into_iter().for_each(untrack);
}

#[test]
fn a_block_that_is_handed_over_changes_its_keeper_alone() {
    let _turn = TURN.lock();
    start(Config::default()).unwrap();
    let token = track(|| block(BARN, 64));
    let before = groups_of(BARN)[0];
    hand_over(token, STABLE);
    stop();
    assert!(groups_of(BARN).is_empty());
    let after = groups_of(STABLE)[0];
    assert_eq!((after.bytes, after.site), (before.bytes, before.site));
    untrack(token);
    hand_over(token, BARN);
    assert!(groups_of(BARN).is_empty() && groups_of(STABLE).is_empty());
}

#[test]
fn threads_enter_and_strike_out_and_nobody_reads_a_mixture() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = if cfg!(debug_assertions) { 500 } else { 5000 };
    let _turn = TURN.lock();
    start(Config::default()).unwrap();
    let keeper = |number| Keeper { account: 8_000_000 + number, ..BARN };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let number = thread * ROUNDS + round;
                        // Bytes tell the keeper, so that a mixture is seen.
                        let first = track(|| block(keeper(number), number));
                        let second = track(|| block(keeper(number), number));
                        assert!(first != second && !first.is_none() && !second.is_none());
                        untrack(first);
                        untrack(second);
                    }
                })
            })
            .collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            for traced in blocks::all().filter(|traced| traced.block.keeper.account >= 8_000_000) {
                assert_eq!(traced.block.keeper.account - 8_000_000, traced.block.bytes);
            }
        }
    });
    stop();
    assert!(blocks::all().all(|traced| traced.block.keeper.account < 8_000_000));
}
