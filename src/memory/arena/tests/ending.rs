//! Closing and destroying an arena, with cursors open.

use super::*;

#[test]
fn a_destroyed_arena_keeps_its_memory_for_open_cursors() {
    if !in_own_process() {
        return;
    }
    let before = held();
    let made = arena(base());
    let cursor = made.open_cursor().unwrap();
    let memory = made.alloc_through(slot_of(cursor), 100, 0).unwrap();
    let handle = made.handle;
    drop(made);
    assert!(handles::pin::<Arena>(handle).is_err());
    // SAFETY: promised until the last cursor is closed.
    unsafe { memory.write_bytes(7, 100) };
    let (slot, arena) = Slot::find(cursor).unwrap();
    assert_eq!(arena, handle);
    let closed = for_cursor(handle, |arena| arena.alloc_through(slot, 1, 1));
    assert!(matches!(closed, Err(ArenaError::Closed)));
    assert!(held() > before);
    close(cursor);
    assert_eq!(held(), before);
    assert!(Slot::find(cursor).is_err());
}

#[test]
fn close_waits_for_cursors_and_refuses_new_work() {
    let _quiet = quiet();
    let arena = arena(base());
    let cursor = arena.open_cursor().unwrap() as usize;
    arena.alloc(1, 1).unwrap();
    arena.alloc_through(slot_of(cursor as *mut Cursor), 1, 1).unwrap();
    assert!(matches!(arena.close(Deadline::after(0), None), Err(ArenaError::Wait(WaitEnd::TimedOut))));
    let cancel = Cancel::new().unwrap();
    cancel.signal();
    assert!(matches!(arena.close(Deadline::NEVER, Some(&cancel)), Err(ArenaError::Wait(WaitEnd::Cancelled))));
    assert!(matches!(arena.alloc(1, 1), Err(ArenaError::Closed)));
    assert!(matches!(arena.open_cursor(), Err(ArenaError::Closed)));
    // What the cursor has, it may use up.
    assert!(arena.alloc_through(slot_of(cursor as *mut Cursor), 1, 1).is_ok());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| arena.close(Deadline::NEVER, None));
        while arena.state.lock().waiters.is_empty() {
            std::thread::yield_now();
        }
        assert!(!waiting.is_finished());
        close(cursor as *mut Cursor);
        assert!(waiting.join().unwrap().is_ok());
    });
    assert!(arena.close(Deadline::after(0), None).is_ok());
    assert!(arena.state.lock().waiters.is_empty());
}

#[test]
fn a_destroy_ends_a_close() {
    let _quiet = quiet();
    let made = arena(base());
    let cursor = made.open_cursor().unwrap();
    let handle = made.handle;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let arena = handles::pin::<Arena>(handle).unwrap();
            arena.close(Deadline::NEVER, None)
        });
        while !made.state.lock().closing {
            std::thread::yield_now();
        }
        drop(made);
        assert!(matches!(waiting.join().unwrap(), Err(ArenaError::Closed)));
    });
    close(cursor);
}

#[test]
fn many_cursors_open_and_close_in_any_order() {
    let _quiet = quiet();
    let arena = arena(base());
    let mut cursors: Vec<_> = (0..500).map(|_| arena.open_cursor().unwrap()).collect();
    for step in 0..500 {
        let cursor = cursors.swap_remove(step * 7 % cursors.len());
        close(cursor);
        assert!(Slot::find(cursor).is_err());
    }
    assert_eq!((arena.stats().cursors_open, arena.state.lock().cursors.len()), (0, 0));
}
