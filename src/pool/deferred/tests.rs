use super::*;
use crate::base::thread::ThreadRecord;
use std::sync::Mutex;

const SET: Owner = Owner(1);
const DONE: Settled = Settled { end: End::Completed, value: std::ptr::null_mut() };

#[derive(Default)]
struct Heard(Mutex<Vec<(Key, End)>>);

impl Recipient for Arc<Heard> {
    fn complete(&self, _completion: Completion, _user_data: *mut c_void, cell: Key, settled: Settled) {
        self.0.lock().unwrap().push((cell, settled.end));
    }

    fn discard(&self, _value: *mut c_void) {}
}

/// A set of so many cells, and what its completions hear.
fn set_of(capacity: u32) -> (Arc<Deferred>, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    (Deferred::new(SET, capacity, Box::new(heard.clone())).unwrap(), heard)
}

/// Between a window and a call that may call the completion the set may be quarantined, which would leave a cell that is
/// done and a completion that nobody calls.
#[test]
fn cell_with_a_completion_is_not_ended_where_nobody_can_call_it() {
    let (set, heard) = set_of(4);
    let pocket = ThreadRecord::current().unwrap().pocket(SET);
    let mut told = Vec::new();
    for is_alone in [true, false] {
        if !is_alone {
            std::thread::scope(|scope| scope.spawn(|| set.poll(Key(0)).unwrap_err()).join().unwrap());
        }
        let (cell, plain) = (set.acquire().unwrap(), set.acquire().unwrap());
        set.on_complete(cell, Completion(std::ptr::null()), std::ptr::null_mut()).unwrap();
        assert_eq!(set.users.is_alone(pocket), is_alone);
        assert_eq!(set.complete_in_window(cell, DONE, pocket), None);
        assert_eq!(set.stats().pending, 2, "it has ended, and nobody was told");
        assert_eq!(set.complete_in_window(plain, DONE, pocket), Some(()));
        set.complete(cell, DONE).unwrap();
        told.push((cell, End::Completed));
        assert_eq!(*heard.0.lock().unwrap(), told);
        assert_eq!(set.poll(plain), Ok(DONE));
        assert_eq!(set.stats().in_use, 0);
    }
}

/// A call that was on its way when the set was quarantined may still come to what admits its thread or its desk.
#[test]
fn quarantined_set_never_becomes_everybodys_again() {
    let (set, _) = set_of(4);
    let desk = OpenDesk::find(set.open_desk().unwrap()).unwrap();
    let cell = set.acquire().unwrap();
    set.quarantined();
    let polls: [&(dyn Fn() -> Option<DeferredError> + Sync); 2] =
        [&|| set.poll(cell).err(), &|| set.poll_at(desk, cell).err()];
    for poll in polls {
        let polled = std::thread::scope(|scope| scope.spawn(poll).join().unwrap());
        assert_eq!(polled, Some(DeferredError::NotReady));
        assert!(!set.users.is_admitted());
    }
    set.release(cell).unwrap();
    set.close_desk(desk).unwrap();
}
