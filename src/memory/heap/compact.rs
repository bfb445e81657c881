//! Compaction: movable blocks that nobody pins slide together towards the begin of their chunk, those of the emptiest
//! chunks move into others, and what then is free in whole pages or chunks goes back to the system. A block that is
//! pinned, or was given out by its address, stays where it is.
//!
//! The lock is held for one chunk at a time.

use super::bins::At;
use super::blocks::Claim;
use super::classes::GRANULE;
use super::guards::Guarded;
use super::space::{Chunk, Memory, Piece, Space};
use super::tags::Extent;
use super::{Heap, HeapError, State, Wanted};
use crate::base::alloc;
use std::time::Duration;

/// Longer than it takes to be refused a chunk, as happens again and again while memory is short.
const PATIENCE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    pub moved_blocks: u64,
    pub moved_bytes: u64,
    pub returned_bytes: u64,
    pub returned_chunks: u64,
    /// Of the free memory, how many millionths lie outside the largest gap of their chunk.
    pub fragmentation_before: u32,
    pub fragmentation_after: u32,
}

impl Compaction {
    fn note_move(&mut self, extent: Extent) {
        self.moved_blocks += 1;
        self.moved_bytes += extent.bytes();
    }
}

/// What one run of it may still move, and what it did.
struct Run {
    most_bytes: u64,
    /// Given back before, and free again now.
    brought_back: u64,
    done: Compaction,
}

impl Run {
    fn allows(&self, extent: Extent) -> bool {
        self.done.moved_bytes.saturating_add(extent.bytes()) <= self.most_bytes
    }
}

impl Heap {
    /// Moves at most so many bytes; 0: as many as it takes.
    pub fn compact(&self, most_bytes: u64) -> Result<Compaction, HeapError> {
        let most_bytes = if most_bytes == 0 { u64::MAX } else { most_bytes };
        let mut run = Run { most_bytes, brought_back: 0, done: Compaction::default() };
        let chunks = {
            let mut state = self.state()?;
            self.recall(&mut state);
            run.done.fragmentation_before = fragmentation(&state.space);
            chunks_by_use(&state.space)?
        };
        self.return_chunks(&mut run.done)?;
        for chunk in &chunks {
            run.brought_back += self.bring_back_before_movable(*chunk)?;
            self.slide(&mut *self.state()?, *chunk, &mut run);
        }
        for chunk in &chunks {
            run.brought_back += self.bring_back_beside(*chunk)?;
            self.evacuate(&mut *self.state()?, *chunk, &mut run);
        }
        // What was moved may lie behind pages that were given back earlier, and what had to stay behind gaps.
        for chunk in &chunks {
            run.brought_back += self.bring_back_before_movable(*chunk)?;
            self.slide(&mut *self.state()?, *chunk, &mut run);
        }
        self.return_chunks(&mut run.done)?;
        for chunk in &chunks {
            let Some(returned) = self.return_pages(*chunk, PATIENCE)? else { break };
            run.done.returned_bytes += returned;
        }
        run.done.returned_bytes = run.done.returned_bytes.saturating_sub(run.brought_back);
        run.done.fragmentation_after = fragmentation(&self.state()?.space);
        Ok(run.done)
    }

    fn return_chunks(&self, done: &mut Compaction) -> Result<(), HeapError> {
        let before = self.state()?.space.chunks().count() as u64;
        done.returned_bytes += self.trim(0)?;
        let after = self.state()?.space.chunks().count() as u64;
        done.returned_chunks += before.saturating_sub(after);
        Ok(())
    }

    /// Slides the blocks of one chunk together.
    fn slide(&self, state: &mut State, chunk: u32, run: &mut Run) {
        if !state.space.detach(chunk) {
            return;
        }
        let mut at = At { chunk, granule: 0 };
        // The free memory that ends where `at` begins.
        let mut gap: Option<At> = None;
        while let Some(piece) = state.space.piece(at) {
            let behind = at.further(piece.granules());
            gap = match piece {
                Piece::Free(_) => gap.or(Some(at)),
                Piece::Movable(extent, number) => gap.and_then(|gap| {
                    let claim = self.slots.claim(number).filter(|_| run.allows(extent))?;
                    let to = self.destination(&state.space, gap, &claim);
                    if to.granule >= at.granule || !self.is_sound(&claim, extent) {
                        return None;
                    }
                    if let Some(tag) = state.space.tag(at) {
                        tag.clear();
                    }
                    if to != gap
                        && let Some(tag) = state.space.tag(gap)
                    {
                        tag.set_free(to.granule - gap.granule);
                    }
                    self.carry(&state.space, &claim, extent, number, to);
                    run.done.note_move(extent);
                    let freed = to.further(extent.granules);
                    state.space.tag(freed)?.set_free(at.granule - to.granule);
                    Some(freed)
                }),
                Piece::Used(_) | Piece::Cached(_) | Piece::Returned(_) => None,
            };
            at = behind;
        }
        state.space.attach(chunk);
    }

    /// Moves what lies in one chunk into others, if all of it can be moved and they have room.
    fn evacuate(&self, state: &mut State, chunk: u32, run: &mut Run) {
        if state.evacuation_lacks(chunk) != Some(0) || !state.space.detach(chunk) {
            return;
        }
        let mut at = At { chunk, granule: 0 };
        while let Some(piece) = state.space.piece(at) {
            if let Piece::Movable(extent, number) = piece {
                let Some(claim) = self.slots.claim(number) else { break };
                let (align, ahead) = (claim.align(), self.front_granules());
                let wanted = Wanted { asked: extent.asked, granules: extent.granules, align, ahead };
                if !run.allows(extent) || !self.is_sound(&claim, extent) {
                    break;
                }
                let Some((to, _)) = state.take(&wanted) else { break };
                self.carry(&state.space, &claim, extent, number, to);
                run.done.note_move(extent);
                state.space.release(at, extent.granules);
            }
            at = at.further(piece.granules());
        }
        state.space.attach(chunk);
    }

    /// The first place from `gap` on that has the alignment of the block.
    fn destination(&self, space: &Space, gap: At, claim: &Claim<'_>) -> At {
        let first = space.address(gap.further(self.front_granules())) as u64;
        gap.further(((first.next_multiple_of(claim.align().max(GRANULE)) - first) / GRANULE) as u32)
    }

    /// A block of a checked heap that was overrun stays as it is, to be looked at.
    fn is_sound(&self, claim: &Claim<'_>, extent: Extent) -> bool {
        !self.config.checked || Guarded { start: claim.start(), extent }.verify().is_ok()
    }

    /// Copies a block to free memory, which may be part of where it lies, and marks it there.
    fn carry(&self, space: &Space, claim: &Claim<'_>, extent: Extent, number: u64, to: At) {
        let (from, start) = (claim.start(), space.address(to));
        // SAFETY: nobody else uses either place: the block is claimed, and the lock is held.
        unsafe { start.copy_from(from, extent.bytes() as usize) };
        if let Some(tag) = space.tag(to) {
            tag.set_movable(extent, number);
        }
        if self.config.checked {
            let moved = Guarded { start, extent };
            moved.write(moved.site());
        }
        claim.move_to(start);
    }
}

impl State {
    /// How many granules are missing in other chunks for what lies in one. `None`: not all of it can be moved.
    pub(super) fn evacuation_lacks(&self, chunk: u32) -> Option<u64> {
        let is_movable =
            |(_, piece): (At, Piece)| matches!(piece, Piece::Free(_) | Piece::Returned(_) | Piece::Movable(..));
        let from =
            self.space.chunk(chunk).filter(|from| matches!(from.memory, Memory::Mapped(_)) && !from.is_empty())?;
        let others = self.space.chunks().filter(|other| other.ground.chunk != chunk && !other.is_empty());
        let room: u64 = others.map(|other| u64::from(other.free_granules)).sum();
        self.space.pieces(chunk).all(is_movable).then(|| used_granules(from).saturating_sub(room))
    }
}

fn used_granules(chunk: &Chunk) -> u64 {
    u64::from(chunk.ground.granules - chunk.free_granules - chunk.returned_granules)
}

/// The emptiest first.
fn chunks_by_use(space: &Space) -> Result<Vec<u32>, HeapError> {
    let mut chunks = alloc::try_vec(space.chunks().count())?;
    chunks.extend(space.chunks().map(|chunk| (used_granules(chunk), chunk.ground.chunk)));
    chunks.sort_unstable();
    Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
}

fn fragmentation(space: &Space) -> u32 {
    let (mut free, mut scattered) = (0, 0);
    for ground in space.grounds() {
        let (mut sum, mut gap, mut largest) = (0, 0, 0);
        for (_, piece) in space.pieces(ground.chunk) {
            gap = match piece {
                Piece::Free(granules) | Piece::Returned(granules) => gap + u64::from(granules),
                _ => 0,
            };
            largest = gap.max(largest);
            sum += if gap > 0 { u64::from(piece.granules()) } else { 0 };
        }
        free += sum;
        scattered += sum - largest;
    }
    (scattered * 1_000_000).checked_div(free).unwrap_or(0) as u32
}
