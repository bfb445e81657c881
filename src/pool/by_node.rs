//! A shelf for each node of the machine: what was used on a node is leased there again, and elsewhere only when nothing is
//! idle there. No caller goes without while one lies on any shelf.

use super::idle::Popped;
use super::shelf::{Order, Shelf};
use super::stack::Links;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::sync::{AtomicU32, AtomicU64, Ordering::*};
use crate::memory::nodes::Nodes;
use std::sync::Arc;

/// One in so many pops from the own shelf looks at all others, to tell how many are left.
const LOOKED_AT: u32 = 16;

pub struct ByNode {
    nodes: Arc<Nodes>,
    shelves: Vec<NodeShelf>,
    /// By number: the node that used it last.
    homes: Vec<AtomicU32>,
    is_counted: bool,
    is_by_tag: bool,
}

#[repr(align(128))]
struct NodeShelf {
    shelf: Shelf,
    /// What was taken for somebody on this node, from here and from elsewhere.
    hits: AtomicU64,
    misses: AtomicU64,
}

impl ByNode {
    pub fn new(
        order: Order,
        nodes: Arc<Nodes>,
        is_counted: bool,
        slots: u32,
        links: &Arc<Links>,
    ) -> Result<Self, OutOfMemory> {
        let mut shelves = alloc::try_vec(nodes.count() as usize)?;
        for _ in 0..nodes.count() {
            let shelf = Shelf::one_of_several(order, slots, links)?;
            shelves.push(NodeShelf { shelf, hits: AtomicU64::new(0), misses: AtomicU64::new(0) });
        }
        let mut homes = alloc::try_vec(slots as usize)?;
        homes.resize_with(slots as usize, || AtomicU32::new(0));
        Ok(Self { nodes, shelves, homes, is_counted, is_by_tag: order == Order::ByTag })
    }

    #[inline]
    pub fn here(&self) -> u32 {
        self.nodes.here()
    }

    #[inline]
    pub fn note_use(&self, slot: u32) {
        if let Some(home) = self.homes.get(slot as usize) {
            home.store(self.here(), Relaxed);
        }
    }

    #[inline]
    pub fn push(&self, slot: u32, tag: u64) {
        let home = self.homes.get(slot as usize).map_or(0, |home| home.load(Relaxed));
        if let Some(place) = self.shelves.get(home as usize) {
            place.shelf.push(slot, tag);
        }
    }

    /// From the shelf of this node first, and all from the same one.
    pub fn pop_all(&self, count: usize, mut each: impl FnMut(usize, u32)) -> Option<u32> {
        let here = self.here();
        let from = self.near(here).find(|(_, place)| place.shelf.pop_all(count, &mut each).is_some())?;
        self.note_taken(here, from.0, count as u64);
        Some(self.depth())
    }

    #[inline]
    pub fn pop_for(&self, tag: u64, node: u32) -> Option<Popped> {
        if !self.is_by_tag
            && let Some(own) = self.shelves.get(node as usize)
            && let Some((slot, left)) = own.shelf.pop(0)
        {
            // A look at the other shelves costs more than this pop.
            let is_looked_at = self.is_counted || left == 0 || own.shelf.pushes().is_multiple_of(LOOKED_AT);
            return Some(Popped { slot, left: is_looked_at.then(|| self.depth()), from: node });
        }
        let (slot, from) = self.pop_near(tag, node)?;
        Some(Popped { slot, left: Some(self.depth()), from })
    }

    pub fn pop(&self) -> Option<u32> {
        self.pop_near(0, 0).map(|(slot, _)| slot)
    }

    /// The next number, and from which node it was. Nothing only when there was a moment at which all shelves were empty.
    #[cold]
    fn pop_near(&self, tag: u64, node: u32) -> Option<(u32, u32)> {
        loop {
            let before = self.pushes();
            let tagged =
                |tag: u64| self.near(node).find_map(|(from, place)| Some((place.shelf.pop_tagged(tag)?, from)));
            let any = || self.near(node).find_map(|(from, place)| Some((place.shelf.pop(tag)?.0, from)));
            let popped = if self.is_by_tag { tagged(tag).or_else(|| tagged(0)) } else { None };
            let popped = popped.or_else(any);
            // One may have gone to a shelf that was looked at before, and the last from one that was looked at after that.
            if popped.is_some() || self.pushes() == before {
                return popped;
            }
        }
    }

    /// The shelves, from that node's own on to the farthest.
    fn near(&self, node: u32) -> impl Iterator<Item = (u32, &NodeShelf)> {
        let nodes = self.nodes.nearest_to(node).iter();
        nodes.filter_map(|near| Some((*near, self.shelves.get(*near as usize)?)))
    }

    /// Changes with each push to any shelf.
    fn pushes(&self) -> u32 {
        self.shelves.iter().fold(0, |sum, place| sum.wrapping_add(place.shelf.pushes()))
    }

    pub fn depth(&self) -> u32 {
        self.shelves.iter().map(|place| place.shelf.depth()).sum()
    }

    pub fn note_taken(&self, node: u32, from: u32, count: u64) {
        if let Some(own) = self.shelves.get(node as usize) {
            let counter = if from == node { &own.hits } else { &own.misses };
            counter.fetch_add(count, Relaxed);
        }
    }

    pub fn hits(&self) -> (u64, u64) {
        let sum = |(hits, misses): (u64, u64), place: &NodeShelf| {
            (hits + place.hits.load(Relaxed), misses + place.misses.load(Relaxed))
        };
        self.shelves.iter().fold((0, 0), sum)
    }
}
