//! An arena, or a region of it, goes to another.

use super::*;

#[test]
fn an_arena_goes_to_another_owner_with_all_that_it_holds() {
    if !in_own_process() {
        return;
    }
    let before = held();
    let made = arena(base());
    let cursor = made.open_cursor().unwrap();
    let block = made.alloc(100, 0).unwrap();
    // SAFETY: just allocated.
    unsafe { block.write_bytes(9, 100) };
    let mark = made.mark().unwrap();
    let paid = held();
    let slot = handles::reserve(Kind::Arena).unwrap();
    assert!(matches!(made.hand_over(slot.owner()), Err(ArenaError::CursorsOpen { open: 1 })));
    close(cursor);
    let heir = made.hand_over(slot.owner()).unwrap();
    let heir = Made { handle: slot.publish(heir.clone()), arena: heir };
    assert!(matches!(made.alloc(1, 1), Err(ArenaError::Closed)));
    assert_eq!((made.stats().mapped_bytes, held(), heir.account.held()), (0, paid, paid - before));
    drop(made);
    assert!(matches!(heir.rewind(mark), Err(ArenaError::MarkOfAnother { .. })));
    // SAFETY: it was handed over, not freed.
    assert_eq!(unsafe { *block.add(99) }, 9);
    let next = heir.alloc(100, 0).unwrap();
    assert!(next as usize >= block as usize + 100 && (next as usize) < block as usize + (2 << 20));
    drop(heir);
    assert_eq!(held(), before);
}

#[test]
fn a_region_goes_into_another_arena_with_what_it_costs() {
    if !in_own_process() {
        return;
    }
    let before = held();
    let (from, into) = (arena(base()), arena(base()));
    let ours = from.alloc(100, 0).unwrap();
    let region = from.begin_region().unwrap();
    let cursor = from.open_cursor().unwrap();
    let theirs = [
        from.alloc(100, 0).unwrap(),
        from.alloc_through(slot_of(cursor), 100, 0).unwrap(),
        from.alloc(5 << 20, 0).unwrap(),
    ];
    for (value, block) in theirs.iter().enumerate() {
        // SAFETY: just allocated.
        unsafe { block.write_bytes(value as u8 + 1, 100) };
    }
    let (paid, paid_by_from) = (held(), from.account.held());
    let (used, moved) = (into.stats().used_bytes, from.stats().mapped_bytes - (2 << 20));
    from.hand_over_region(region, &into).unwrap();
    assert_eq!((held(), from.account.held()), (paid, paid_by_from - moved));
    assert_eq!((from.stats().mapped_bytes, from.stats().chunks), (2 << 20, 1));
    assert!(into.stats().used_bytes > used + (5 << 20));
    assert!(matches!(from.hand_over_region(region, &into), Err(ArenaError::StaleMark { .. })));
    // The giver goes on behind what it kept, and its reset does not touch what it gave.
    let next = from.alloc(100, 0).unwrap() as usize;
    assert!((ours as usize + 100..ours as usize + (2 << 20)).contains(&next), "{next:#x} {ours:?}");
    from.reset(Reset::Return).unwrap();
    for (value, block) in theirs.iter().enumerate() {
        // SAFETY: now of the other arena.
        assert_eq!(unsafe { *block.add(99) }, value as u8 + 1);
    }
    close(cursor);
    drop(from);
    let inside = into.alloc(100, 0).unwrap();
    assert!(!theirs.contains(&inside));
    into.reset(Reset::Return).unwrap();
    assert_eq!(held(), before);
}

#[test]
fn a_region_that_cannot_go_stays() {
    let _alone = alone();
    let (from, other) = (arena(base()), arena(base()));
    let into = arena(ArenaConfig { limit_bytes: 3 << 20, ..base() });
    let mark = from.mark().unwrap();
    let region = from.begin_region().unwrap();
    let block = from.alloc(3 << 20, 0).unwrap();
    let inner = from.mark().unwrap();
    let (stats, paid) = (from.stats(), from.account.held());
    assert!(matches!(from.hand_over_region(region, &from), Err(ArenaError::IntoItself)));
    assert!(matches!(from.hand_over_region(mark, &other), Err(ArenaError::NoRegion { .. })));
    assert!(matches!(other.hand_over_region(region, &from), Err(ArenaError::MarkOfAnother { .. })));
    assert!(matches!(from.hand_over_region(region, &into), Err(ArenaError::Limit { .. })));
    let _ = other.close(Deadline::after(0), None);
    assert!(matches!(from.hand_over_region(region, &other), Err(ArenaError::Closed)));
    assert_eq!((from.stats(), from.account.held()), (stats, paid));
    // SAFETY: it never went.
    unsafe { block.write_bytes(1, 3 << 20) };
    assert!(from.alloc(100, 0).unwrap() != block);
    from.rewind(inner).unwrap();
    from.rewind(region).unwrap();
    assert_eq!(from.alloc(3 << 20, 0).unwrap(), block);
    from.rewind(mark).unwrap();
    assert!(matches!(from.hand_over_region(region, &into), Err(ArenaError::StaleMark { .. })));
}

/// Regions in regions, handed over from the inside out, in any order with marks and resets: what is out stays whole.
#[test]
fn random_hand_overs_lose_and_double_nothing() {
    if !in_own_process() {
        return;
    }
    let before = held();
    for seed in 1..40u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let small = || arena(ArenaConfig { chunk_bytes: 64 << 10, ..base() });
        let (from, into) = (small(), small());
        // What lies in each arena: the marks of regions with what was there when they began.
        let (mut kept, mut given) = (Vec::<(*mut u8, u64, u8)>::new(), Vec::<(*mut u8, u64, u8)>::new());
        let mut regions: Vec<(Mark, usize)> = Vec::new();
        for step in 0..300u64 {
            match next(12) {
                0 => regions.push((from.begin_region().unwrap(), kept.len())),
                1 if !regions.is_empty() => {
                    let place = next(regions.len() as u64) as usize;
                    let (region, first) = regions[place];
                    from.hand_over_region(region, &into).unwrap();
                    regions.truncate(place);
                    given.extend(kept.drain(first..));
                }
                2 if !regions.is_empty() => {
                    let place = next(regions.len() as u64) as usize;
                    let (region, first) = regions[place];
                    from.rewind(region).unwrap();
                    regions.truncate(place + 1);
                    kept.truncate(first);
                }
                3 if next(4) == 0 => {
                    into.reset(if next(2) == 0 { Reset::Keep } else { Reset::Return }).unwrap();
                    given.clear();
                }
                _ => {
                    let bytes = if next(20) == 0 { next(200_000) } else { next(3000) } + 1;
                    let (arena, list) = if next(4) == 0 { (&into, &mut given) } else { (&from, &mut kept) };
                    let block = arena.alloc(bytes, 1).unwrap();
                    // SAFETY: just allocated.
                    unsafe { block.write_bytes(step as u8, bytes as usize) };
                    list.push((block, bytes, step as u8));
                }
            }
        }
        for (block, bytes, tag) in kept.iter().chain(&given) {
            // SAFETY: none of these was freed.
            let block = unsafe { std::slice::from_raw_parts(*block, *bytes as usize) };
            assert!(block.iter().all(|byte| byte == tag), "seed {seed}");
        }
        let mapped = from.stats().mapped_bytes + into.stats().mapped_bytes;
        assert_eq!((from.account.held() + into.account.held(), held()), (mapped, before + mapped));
    }
    assert_eq!(held(), before);
}
