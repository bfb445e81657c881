use super::super::thread::HAZARDS;
use super::*;
use std::sync::atomic::AtomicBool;

struct Object {
    alive: Arc<AtomicBool>,
    children: AtomicU64,
    has_lanes: AtomicBool,
    /// How often a lane was looked for.
    looks: AtomicU64,
}

impl Handled for Object {
    const KIND: Kind = Kind::Topology;
    const LANE: Option<LaneOf<Self>> = Self::ITS_LANE;
    fn begin_destroy(&self) {}
    fn finish_destroy(&self) {}
    fn children(&self) -> u64 {
        self.children.load(SeqCst)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.alive.store(false, SeqCst);
    }
}

impl Laned for Object {
    type Lane = AtomicBool;

    fn lane_of(&self, _: &'static ThreadRecord, _: Owner) -> Option<&AtomicBool> {
        self.looks.fetch_add(1, SeqCst);
        self.has_lanes.load(SeqCst).then_some(&self.alive)
    }
}

struct Other;

impl Handled for Other {
    const KIND: Kind = Kind::Cancel;
    fn begin_destroy(&self) {}
    fn finish_destroy(&self) {}
}

fn object() -> (u64, Arc<AtomicBool>) {
    object_with_lanes(true)
}

fn object_with_lanes(has_lanes: bool) -> (u64, Arc<AtomicBool>) {
    let alive = Arc::new(AtomicBool::new(true));
    let object = Object {
        alive: alive.clone(),
        children: AtomicU64::new(0),
        has_lanes: AtomicBool::new(has_lanes),
        looks: AtomicU64::new(0),
    };
    (reserve(Kind::Topology).unwrap().publish(Arc::new(object)), alive)
}

#[test]
fn every_wrong_handle_is_told_apart() {
    let (handle, _) = object();
    let other = reserve(Kind::Cancel).unwrap().publish(Arc::new(Other));
    let local = 0u64;
    assert!(pin::<Object>(handle).is_ok());
    assert!(matches!(pin::<Object>(0).err(), Some(HandleError::Null { .. })));
    assert!(matches!(pin::<Object>(&raw const local as u64).err(), Some(HandleError::Stray { .. })));
    assert!(matches!(pin::<Object>(u64::MAX).err(), Some(HandleError::Stray { .. })));
    assert!(matches!(pin::<Object>(other).err(), Some(HandleError::WrongKind { .. })));
    destroy::<Object>(handle).unwrap();
    assert!(matches!(pin::<Object>(handle).err(), Some(HandleError::Destroyed { .. })));
    assert!(matches!(destroy::<Object>(handle).err(), Some(HandleError::Destroyed { .. })));
    destroy::<Other>(other).unwrap();
}

#[test]
fn a_destroyed_handle_stays_wrong_when_its_slot_is_used_again() {
    let (first, _) = object();
    destroy::<Object>(first).unwrap();
    let later: Vec<u64> = (0..2000).map(|_| object().0).collect();
    assert!(later.iter().all(|handle| *handle != first));
    assert!(matches!(pin::<Object>(first).err(), Some(HandleError::Destroyed { .. })));
    for handle in later {
        destroy::<Object>(handle).unwrap();
    }
}

#[test]
fn the_last_child_takes_a_destroyed_object_with_it() {
    let (handle, alive) = object();
    pin::<Object>(handle).unwrap().children.store(1, SeqCst);
    destroy::<Object>(handle).unwrap();
    assert!(alive.load(SeqCst));
    assert!(matches!(pin::<Object>(handle).err(), Some(HandleError::Closing { .. })));
    with_child::<Object, _>(ThreadRecord::current(), handle, |object| object.children.store(0, SeqCst)).unwrap();
    assert!(!alive.load(SeqCst));
    assert!(matches!(pin::<Object>(handle).err(), Some(HandleError::Destroyed { .. })));
}

#[test]
fn quarantine_leaves_only_destroy() {
    let (handle, alive) = object();
    quarantine(Owner(handle));
    assert!(matches!(pin::<Object>(handle).err(), Some(HandleError::Quarantined { .. })));
    destroy::<Object>(handle).unwrap();
    assert!(!alive.load(SeqCst));
}

#[test]
fn panic_on_behalf_of_a_child_does_not_keep_a_destroyed_object() {
    let (handle, alive) = object();
    pin::<Object>(handle).unwrap().children.store(1, SeqCst);
    destroy::<Object>(handle).unwrap();
    quarantine(Owner(handle));
    with_child::<Object, _>(ThreadRecord::current(), handle, |object| object.children.store(0, SeqCst)).unwrap();
    assert!(!alive.load(SeqCst));
}

#[test]
fn quarantine_of_the_same_moment_does_not_stop_a_destroy() {
    for _ in 0..200 {
        let (handle, alive) = object();
        std::thread::scope(|scope| {
            scope.spawn(|| quarantine(Owner(handle)));
            destroy::<Object>(handle).unwrap();
        });
        assert!(!alive.load(SeqCst));
    }
}

#[test]
fn destroy_from_its_own_callback_is_refused() {
    let (handle, _) = object();
    let inside = callback::run(Owner(handle), || destroy::<Object>(handle));
    assert!(matches!(inside, Err(HandleError::InsideOwnCallback { .. })));
    destroy::<Object>(handle).unwrap();
}

#[test]
fn destroy_from_inside_a_call_on_the_object_is_refused() {
    let (handle, _) = object();
    let outer = pin::<Object>(handle).unwrap();
    assert!(matches!(destroy::<Object>(handle), Err(HandleError::InsideOwnCallback { .. })));
    drop(outer);
    destroy::<Object>(handle).unwrap();
}

#[test]
fn pins_nest_deeper_than_a_record_has_hazards() {
    let (handle, alive) = object();
    let pins: Vec<_> = (0..HAZARDS + 4).map(|_| pin::<Object>(handle).unwrap()).collect();
    assert!(alive.load(SeqCst));
    for pin in pins.into_iter().rev() {
        drop(pin);
    }
    destroy::<Object>(handle).unwrap();
    assert!(!alive.load(SeqCst));
}

/// Readers pin while another thread destroys: nobody may ever see a dead object.
#[test]
fn no_reader_meets_a_dead_object() {
    for _ in 0..200 {
        let (handle, _) = object();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(move || {
                    while let Ok(object) = pin::<Object>(handle) {
                        assert!(object.alive.load(SeqCst));
                    }
                });
            }
            scope.spawn(move || destroy::<Object>(handle).unwrap());
        });
    }
}

/// Those of the long way never sit down.
const IS_SEATED: bool = !cfg!(feature = "faults");

#[test]
fn a_seat_leads_to_its_object_until_that_is_destroyed() {
    let (handle, alive) = object();
    ThreadRecord::current().unwrap();
    assert!(Seated::<Object>::enter(handle).is_none());
    drop(pin::<Object>(handle).unwrap());
    let found = Seated::<Object>::enter(handle).map(|seated| seated.lane().as_ptr());
    assert_eq!(found, barrier::is_asymmetric().then_some(alive.as_ptr()).filter(|_| IS_SEATED));
    destroy::<Object>(handle).unwrap();
    assert!(Seated::<Object>::enter(handle).is_none());
    assert!(pin::<Object>(handle).is_err());
}

#[test]
fn a_thread_without_a_lane_looks_for_one_again_only_when_it_has_a_new_one() {
    let (handle, alive) = object_with_lanes(false);
    let record = ThreadRecord::current().unwrap();
    let looks = || pin::<Object>(handle).unwrap().looks.load(SeqCst);
    assert_eq!([looks(), looks(), looks()], [1; 3]);
    assert!(Seated::<Object>::enter(handle).is_none());
    pin::<Object>(handle).unwrap().has_lanes.store(true, SeqCst);
    record.has_a_new_lane();
    assert_eq!([looks(), looks()], [2; 2]);
    let found = Seated::<Object>::enter(handle).map(|seated| seated.lane().as_ptr());
    assert_eq!(found, barrier::is_asymmetric().then_some(alive.as_ptr()).filter(|_| IS_SEATED));
    record.has_a_new_lane();
    assert_eq!(looks(), 2);
    destroy::<Object>(handle).unwrap();
}

#[test]
fn a_quarantined_object_has_no_seats() {
    let (handle, _) = object();
    ThreadRecord::current().unwrap();
    drop(pin::<Object>(handle).unwrap());
    quarantine(Owner(handle));
    assert!(Seated::<Object>::enter(handle).is_none());
    destroy::<Object>(handle).unwrap();
}

/// More objects than a thread has seats: one leads to its own object or to none.
#[test]
fn a_seat_is_of_one_object_at_a_time() {
    let objects: Vec<_> = (0..40).map(|_| object()).collect();
    ThreadRecord::current().unwrap();
    for _ in 0..3 {
        for (handle, alive) in &objects {
            drop(pin::<Object>(*handle).unwrap());
            for (other, _) in &objects {
                if let Some(seated) = Seated::<Object>::enter(*other) {
                    assert!(std::ptr::eq(seated.lane(), alive.as_ref()) == (handle == other));
                }
            }
        }
    }
    objects.iter().for_each(|(handle, _)| destroy::<Object>(*handle).unwrap());
}

/// Threads go in and out by their seats while another destroys: nobody may ever see a dead object.
#[test]
fn nobody_sits_at_a_dead_object() {
    for _ in 0..200 {
        let (handle, _) = object();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(move || {
                    while pin::<Object>(handle).is_ok() {
                        while let Some(seated) = Seated::<Object>::enter(handle) {
                            assert!(seated.alive.load(SeqCst) && seated.lane().load(SeqCst));
                        }
                    }
                });
            }
            scope.spawn(move || destroy::<Object>(handle).unwrap());
        });
    }
}
