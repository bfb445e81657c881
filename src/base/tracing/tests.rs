use super::*;

/// Tracing is one for the process; tests that switch it take turns.
static TURN: Mutex<()> = Mutex::new(());

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
    start(Config { max_frames: 2 }).unwrap();
    let site = ask();
    stop();
    assert_eq!(site.frames().count(), 2);
    let refused = start(Config { max_frames: 65 }).unwrap_err();
    assert_eq!(refused.to_string(), "max_frames is 65, but must be at most 64");
}
