use super::*;

/// Uses the library when its thread's `thread_local!`s are destroyed, as a C++ `thread_local` that holds a lease does.
struct UsesItLate;

impl Drop for UsesItLate {
    fn drop(&mut self) {
        ThreadRecord::current().unwrap();
    }
}

thread_local! {
    static LATE: UsesItLate = const { UsesItLate };
}

#[test]
fn threads_that_end_with_a_late_call_leave_their_records() {
    let live_at_once = 64;
    for _ in 0..10 * live_at_once {
        let thread = std::thread::spawn(|| {
            LATE.with(|_| ());
            ThreadRecord::current().unwrap();
        });
        thread.join().unwrap();
    }
    // The tests beside this one have theirs.
    assert!(ThreadRecord::all().count() < 4 * live_at_once);
}

#[test]
fn next_thread_finds_nothing_of_the_last() {
    let threads = (0..20).map(|_| {
        std::thread::spawn(|| {
            let record = ThreadRecord::current().unwrap();
            let is_clean = record.error_message.borrow().as_str().is_empty() && record.guarded.get() == 0;
            record.error_message.replace(Text::from("of a thread that ended"));
            record.guarded.set(1);
            is_clean
        })
        .join()
        .unwrap()
    });
    assert!(threads.fold(true, |all, is_clean| all & is_clean));
}
