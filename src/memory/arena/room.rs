//! Room: where lanes and cursors get spans from. A span is cut from the chunks there are; when none has enough, another chunk
//! is mapped; and when that cannot be had, a small rest or another node's memory is made do with.

use super::super::pages::{Mapping, NextChunk};
use super::super::policy::NodePolicy;
use super::super::system;
use super::chunk::{Home, Memory};
use super::chunks::{SPAN_ALIGN, Span, Want};
use super::region::{Block, Region};
use super::{Arena, ArenaError, Growth, RegionRef, State, Taker};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::thread::ThreadRecord;
use crate::base::{clock, tracing};
use crate::memory::round_up;
use parking_lot::MutexGuard;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering::*;

/// What a thread takes at once: this part of what is in use, so that little is taken that may not be wanted, within bounds.
const REGION_PART: u64 = 8;
const REGION_BYTES: RangeInclusive<u64> = 64 << 10..=1 << 20;
/// The least that is worth taking from the end of a chunk.
const SMALLEST_REGION_BYTES: u64 = 16 << 10;
/// A block larger than this gets a span of its own, and the thread keeps its region.
const LARGEST_IN_REGION: u64 = 16 << 10;

impl Arena {
    #[cold]
    pub(super) fn alloc_slowly(&self, block: Block, taker: &impl Taker) -> Result<*mut u8, ArenaError> {
        if is_alone(block) {
            return self.alloc_apart(block, |state, span| taker.took_alone(state, span));
        }
        let region = taker.region();
        let needed = span_bytes(block).ok_or_else(|| self.too_large(block))?;
        let refill = |state: &mut State, home: Home, worthwhile: u64| {
            // What is left of the region joins what follows it.
            if state.filled_last(region) && !taker.is_marked() {
                state.take_back_last();
                taker.empty();
            }
            let wanted = state.chunks.used_bytes() / REGION_PART;
            let at_most = wanted.clamp(*REGION_BYTES.start(), *REGION_BYTES.end()).max(needed) & !(SPAN_ALIGN - 1);
            let span = state.chunks.take(Want { home, needed, worthwhile, at_most })?;
            self.trace(state, &span);
            taker.fill(state, &span);
            self.last_used_ns.store(clock::now_ns(), Relaxed);
            state.counts.refills += 1;
            state.last_filled = Some(RegionRef(region));
            region.bump(block)
        };
        let worthwhile = SMALLEST_REGION_BYTES.max(needed);
        self.grow(worthwhile, |state, home| refill(state, home, worthwhile))
            .or_else(|error| self.make_do(error, |state, home| refill(state, home, needed)))
    }

    /// A span for one block alone.
    pub(super) fn alloc_apart(&self, block: Block, took: impl Fn(&mut State, &Span)) -> Result<*mut u8, ArenaError> {
        let needed = span_bytes(block).ok_or_else(|| self.too_large(block))?;
        let cut = |state: &mut State, home: Home| {
            let span = state.chunks.take(Want { home, needed, worthwhile: needed, at_most: needed })?;
            self.trace(state, &span);
            took(state, &span);
            let alone = Region::default();
            alone.fill(span.start, span.end);
            alone.bump(block)
        };
        self.grow(needed, cut).or_else(|error| self.make_do(error, cut))
    }

    /// Where the calling thread runs, as far as that matters to where its memory comes from.
    pub(super) fn home(&self) -> Home {
        let node = if self.is_local() { system::current_node() } else { None };
        node.map(Home::of_node).unwrap_or_default()
    }

    pub(super) fn is_local(&self) -> bool {
        self.config.source.nodes == NodePolicy::Local
    }

    /// Follows a span that was just cut, if the sample of tracing falls on it.
    fn trace(&self, state: &mut State, span: &Span) {
        let block = || tracing::Block {
            kind: tracing::Kind::Block,
            keeper: self.account.tracing_keeper(),
            bytes: span.bytes(),
        };
        let token = ThreadRecord::current()
            .map_or(tracing::Token::NONE, |record| tracing::track_sampled(record, span.bytes(), block));
        if !token.is_none() {
            state.chunks.follow(span, token);
        }
    }

    pub(super) fn too_large(&self, block: Block) -> ArenaError {
        OutOfMemory { bytes: block.bytes() }.into()
    }

    /// Takes something that needs `needed` bytes of a chunk, and maps another chunk when none has them.
    fn grow<R>(&self, needed: u64, take: impl Fn(&mut State, Home) -> Option<R>) -> Result<R, ArenaError> {
        let home = self.home();
        if let Some(taken) = take(&mut *self.state()?, home) {
            return Ok(taken);
        }
        let _growing = self.growth.lock();
        let mapped = {
            let mut state = self.state()?;
            if let Some(taken) = take(&mut state, home) {
                return Ok(taken);
            }
            if self.config.growth == Growth::None && state.chunks.count() > 0 {
                return Err(ArenaError::Full { wanted: needed });
            }
            state.chunks.mapped_bytes()
        };
        let mut state = self.add_chunk(home, needed, mapped)?;
        take(&mut state, home).ok_or(OutOfMemory { bytes: needed }.into())
    }

    /// Where nothing more can be mapped, a small rest of a chunk is better than nothing, and unless strict, so is one of
    /// another node.
    fn make_do<R>(&self, error: ArenaError, take: impl Fn(&mut State, Home) -> Option<R>) -> Result<R, ArenaError> {
        let own = self.home();
        let mut state = self.state()?;
        if let Some(taken) = take(&mut state, own) {
            return Ok(taken);
        }
        let others = Home::all().filter(|home| *home != own && !self.config.source.strict);
        let taken = others.filter_map(|home| take(&mut state, home)).next().ok_or(error)?;
        state.counts.strays += 1;
        Ok(taken)
    }

    /// Maps a chunk, without the lock, and adds it to the list.
    pub(super) fn add_chunk(&self, home: Home, needed: u64, mapped: u64) -> Result<MutexGuard<'_, State>, ArenaError> {
        let mapping = alloc::try_arc(self.map(needed, mapped)?)?;
        let mut state = self.state()?;
        state.counts.step_downs += u64::from(mapping.stepped_down());
        state.chunks.push(Memory::Mapped(mapping), home)?;
        Ok(state)
    }

    fn map(&self, needed: u64, mapped: u64) -> Result<Mapping, ArenaError> {
        let limit = self.limit_bytes();
        let next = NextChunk {
            needed,
            usual: self.config.next_chunk_bytes(mapped),
            left: limit.saturating_sub(mapped),
            source: self.config.source,
            account: &self.account,
            name: self.config.name.as_str(),
        };
        next.map(|wanted| ArenaError::Limit { wanted, limit, mapped })
    }

    pub(super) fn limit_bytes(&self) -> u64 {
        if self.config.limit_bytes == 0 { u64::MAX } else { self.config.limit_bytes }
    }
}

/// Whether a block gets a span of its own.
pub(super) fn is_alone(block: Block) -> bool {
    block.bytes() > LARGEST_IN_REGION || block.align() as u64 > LARGEST_IN_REGION
}

/// Bytes of a span that holds the block wherever the span begins.
pub(super) fn span_bytes(block: Block) -> Option<u64> {
    round_up(block.worst_case(SPAN_ALIGN as usize)?, SPAN_ALIGN)
}
