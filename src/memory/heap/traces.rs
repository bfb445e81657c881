//! What tracing follows of a heap: a sample of its blocks, each from where it is given out to where it is given back. The
//! token of its entry stands in its tags, or in its slot when it is movable. A block that is given another size is counted
//! as a new one.

use super::bins::At;
use super::tags::{Extent, FEWEST_NUMBERED, Found, Tag};
use super::{Heap, Wanted};
use crate::base::thread::ThreadRecord;
use crate::base::tracing::{self, Block, Kind, Token};

impl Heap {
    /// Follows a block that is about to be given out, if the sample falls on it.
    pub(super) fn follow(&self, record: Option<&ThreadRecord>, bytes: u64) -> Token {
        let bytes = bytes.max(1);
        let block = || Block { kind: Kind::Block, keeper: self.account.tracing_keeper(), bytes };
        record.map_or(Token::NONE, |record| tracing::track_sampled(record, bytes, block))
    }
}

impl Wanted {
    /// With room for a number in the tags.
    pub(super) fn numbered(self) -> Self {
        Self { granules: self.granules.max(FEWEST_NUMBERED), ..self }
    }

    /// With room for the token in the tags, if there is one.
    pub(super) fn followed_by(self, token: Token) -> Self {
        if token.is_none() { self } else { self.numbered() }
    }
}

/// A block is in use from now on, and followed if there is a token.
pub fn mark_used(tag: Tag, extent: Extent, token: Token) {
    if token.is_none() { tag.set_used(extent) } else { tag.set_followed(extent, token) }
}

/// Blocks that are still out go with the heap.
impl Drop for Heap {
    fn drop(&mut self) {
        self.slots.tokens().for_each(tracing::untrack);
        let state = self.state.get_mut();
        if state.followed == 0 {
            return;
        }
        for chunk in state.space.grounds().map(|ground| ground.chunk) {
            let tokens = state.space.pieces(chunk).filter_map(|(at, _): (At, _)| match state.space.tag(at)?.find() {
                Found::Followed(_, token) => Some(token),
                _ => None,
            });
            tokens.for_each(tracing::untrack);
        }
    }
}
