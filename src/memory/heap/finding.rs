//! Which block an address is that somebody gives back, or what lies there instead.

use super::bins::At;
use super::guards::Guarded;
use super::space::Piece;
use super::tags::{Extent, Found, Tag};
use super::{Heap, HeapError, State};
use crate::base::tracing::Token;

/// A block in use.
#[derive(Clone, Copy)]
pub struct Held {
    pub at: At,
    pub tag: Tag,
    pub extent: Extent,
    /// By which tracing follows it.
    pub token: Token,
}

impl Heap {
    /// The block in use at an address; or what is there instead.
    pub(super) fn find_held(&self, state: &State, block: *mut u8) -> Result<Held, HeapError> {
        let front = self.front_bytes();
        let start = block.wrapping_sub(front);
        let place = self.directory.find(start).ok_or(HeapError::Foreign { address: block as usize })?;
        let at = At { chunk: place.chunk, granule: place.granule };
        let found = place.tag.find();
        match found {
            Found::Used(extent) | Found::Followed(extent, _) if !place.is_off => {
                if self.config.checked {
                    Guarded { start, extent }.verify()?;
                }
                let token = if let Found::Followed(_, token) = found { token } else { Token::NONE };
                Ok(Held { at, tag: place.tag, extent, token })
            }
            Found::Movable(..) if !place.is_off => Err(HeapError::OfHandle { address: block as usize }),
            _ => Err(self.explain(state, at, block as usize, front)),
        }
    }

    /// What lies at an address where no block in use begins.
    #[cold]
    fn explain(&self, state: &State, at: At, address: usize, front: usize) -> HeapError {
        let holds = |(start, piece): &(At, Piece)| start.granule + piece.granules() > at.granule;
        let Some((start, piece)) = state.space.pieces(at.chunk).find(holds) else {
            return HeapError::Foreign { address };
        };
        let block = state.space.address(start) as usize + front;
        match piece {
            Piece::Free(_) | Piece::Returned(_) => HeapError::InFreeMemory { address },
            Piece::Cached(extent) if block == address => HeapError::Freed { address, bytes: extent.bytes() },
            Piece::Cached(_) => HeapError::InFreeMemory { address },
            Piece::Used(extent) | Piece::Movable(extent, _) => {
                let bytes = self.seen_bytes(extent);
                HeapError::Inside { address, block, bytes, offset: address.wrapping_sub(block) }
            }
        }
    }
}
