//! The storage map of a torrent: which blocks of which pieces are in memory, asked for, hashed, kept.
//!
//! A piece begins as a slot with no data, fills block by block from any number of peers, is hashed on the way
//! (the SHA-1 advances over the blocks that lie in order), and is kept, written to disk, or thrown away. The slot owns its
//! blocks, so a piece that leaves the map gives its memory back in one move.

mod hashes;
mod promises;

use std::collections::BTreeSet;

pub use super::hash_job::{HashJob, Hashed};
pub use super::piece::{BlockState, PieceState, Stage};
use super::piece_hash::PieceHash;
use crate::base::time::Time;
use crate::memory::pool::Block;
use crate::memory::promise::Promise;

/// A connection of a torrent. Numbers are not used twice in a torrent's life; 0 is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PeerKey(pub u32);

impl PeerKey {
    pub const NOBODY: Self = Self(0);
}

/// Most copies of one block asked for at once.
pub const MAX_COPIES: usize = 3;
/// One that brings a block in so small a part of the time has it in place of one that was asked.
pub const FAR: u32 = 8;
/// When a peer would bring a block.
#[derive(Debug, Clone, Copy)]
pub struct Eta {
    pub at: Time,
    /// It has brought some.
    pub is_known: bool,
}

/// What is expected within this is not slow.
const SLOW: std::time::Duration = std::time::Duration::from_millis(300);

/// What became of a block that arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Stored. Who else was asked for it and may be told to stop.
    Stored { others: Vec<PeerKey> },
    /// We had it already, or do not want it.
    Redundant,
}

/// All pieces of a torrent that have anything in memory.
#[derive(Debug)]
pub struct Store {
    num_pieces: usize,
    /// Empty until the first piece is begun, and `place` too: most torrents of a session wait for their turn.
    slots: Vec<Option<Box<PieceState>>>,
    /// The pieces that have a slot, in no order; each slot's place in it is found through `place`.
    present: Vec<u32>,
    place: Vec<u32>,
    /// The pieces with blocks to ask for, and how many blocks that are.
    open: BTreeSet<u32>,
    free_blocks: u64,
    asked_blocks: u64,
    passed_blocks: u64,
    promised_blocks: u64,
    /// Pieces that got or lost their slot since somebody asked.
    begun_or_gone: Vec<u32>,
    clock: u64,
    kept_blocks: u64,
    partial_blocks: u64,
    kept_pieces: u32,
}

impl Store {
    /// Nothing of it is kept, and what was begun for it will not be taken for something of the new one.
    pub fn start_over(&self) -> Self {
        Self { clock: self.clock.saturating_add(1), ..Self::new(u32::try_from(self.num_pieces).unwrap_or(0)) }
    }

    pub fn new(num_pieces: u32) -> Self {
        Self {
            num_pieces: num_pieces as usize,
            slots: Vec::new(),
            present: Vec::new(),
            place: Vec::new(),
            open: BTreeSet::new(),
            free_blocks: 0,
            asked_blocks: 0,
            passed_blocks: 0,
            promised_blocks: 0,
            begun_or_gone: Vec::new(),
            clock: 0,
            kept_blocks: 0,
            partial_blocks: 0,
            kept_pieces: 0,
        }
    }

    pub fn slot(&self, piece: u32) -> Option<&PieceState> {
        self.slots.get(piece as usize).and_then(|s| s.as_deref())
    }

    pub(super) fn slot_mut(&mut self, piece: u32) -> Option<&mut PieceState> {
        self.slots.get_mut(piece as usize).and_then(|s| s.as_deref_mut())
    }

    /// Only this peer may be asked for the piece from now on.
    pub fn set_exclusive(&mut self, piece: u32, peer: PeerKey) {
        if let Some(slot) = self.slot_mut(piece) {
            slot.exclusive = peer;
        }
    }

    /// Pieces with a slot, in no particular order.
    pub fn present(&self) -> &[u32] {
        &self.present
    }

    /// Pieces begun that have blocks to ask for, ascending.
    pub fn open_pieces(&self) -> impl Iterator<Item = u32> + '_ {
        self.open.iter().copied()
    }

    /// The blocks of all of them that are to be asked for.
    pub fn free_blocks(&self) -> u64 {
        self.free_blocks
    }

    /// Blocks asked for and not here.
    pub fn asked_blocks(&self) -> u64 {
        self.asked_blocks
    }

    /// Blocks let go after they were hashed, of pieces that are still here.
    pub fn passed_blocks(&self) -> u64 {
        self.passed_blocks
    }

    /// The pieces that got or lost their slot since the last call.
    pub fn take_begun_or_gone(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.begun_or_gone)
    }

    /// Changes a slot, and keeps count of the blocks that are to be asked for.
    fn edit<R>(&mut self, piece: u32, change: impl FnOnce(&mut PieceState) -> R) -> Option<R> {
        let slot = self.slots.get_mut(piece as usize)?.as_deref_mut()?;
        let (free, asked, passed) = (slot.free_blocks(), slot.asked, slot.passed);
        let result = change(slot);
        let (free_after, asked_after, passed_after) = (slot.free_blocks(), slot.asked, slot.passed);
        self.asked_blocks = self.asked_blocks + u64::from(asked_after) - u64::from(asked);
        self.passed_blocks = self.passed_blocks + u64::from(passed_after) - u64::from(passed);
        self.recount(piece, free, free_after);
        Some(result)
    }

    fn recount(&mut self, piece: u32, before: u32, after: u32) {
        self.free_blocks = self.free_blocks + u64::from(after) - u64::from(before);
        match (before > 0, after > 0) {
            (false, true) => drop(self.open.insert(piece)),
            (true, false) => drop(self.open.remove(&piece)),
            _ => {}
        }
    }

    /// Blocks of kept pieces.
    pub fn kept_blocks(&self) -> u64 {
        self.kept_blocks
    }

    /// Blocks of pieces that are not verified, or not written yet.
    pub fn partial_blocks(&self) -> u64 {
        self.partial_blocks
    }

    pub fn kept_pieces(&self) -> u32 {
        self.kept_pieces
    }

    /// Blocks in memory in all.
    pub fn blocks(&self) -> u64 {
        self.kept_blocks + self.partial_blocks
    }

    /// The block of a kept piece, or, with `unverified`, of any.
    pub fn block(&self, piece: u32, block: u32, unverified: bool) -> Option<&Block> {
        let slot = self.slot(piece)?;
        (slot.stage != Stage::Partial || unverified)
            .then(|| slot.blocks.get(block as usize).and_then(|b| b.data.as_ref()))
            .flatten()
    }

    pub fn touch(&mut self, piece: u32) {
        self.clock += 1;
        let clock = self.clock;
        if let Some(slot) = self.slot_mut(piece) {
            slot.used = clock;
        }
    }

    /// Gives the piece a slot of `blocks` blocks, if it has none, with memory set aside for them unless it is read block by block.
    pub fn open(&mut self, now: Time, piece: u32, blocks: u32, promise: Option<Promise>) {
        if self.slot(piece).is_some() {
            return;
        }
        self.clock += 1;
        let slot = PieceState {
            blocks: vec![BlockState::default(); blocks as usize],
            stage: Stage::Partial,
            exclusive: PeerKey::NOBODY,
            used: self.clock,
            received: 0,
            asked: 0,
            passed: 0,
            padding: 0,
            free_hint: 0,
            unwatched: false,
            slowest: Time::ZERO,
            soonest: Time::NEVER,
            hash: Some(PieceHash::default()),
            hashed: 0,
            generation: self.clock,
            whole: None,
            begun: now,
            last: now,
            borrowed: promise.as_ref().is_some_and(Promise::is_borrowed),
            promise,
        };
        if self.slots.is_empty() {
            self.slots.resize_with(self.num_pieces, || None);
            self.place.resize(self.num_pieces, 0);
        }
        if let (Some(entry), Some(place)) = (self.slots.get_mut(piece as usize), self.place.get_mut(piece as usize)) {
            self.promised_blocks += slot.promised();
            *entry = Some(Box::new(slot));
            *place = self.present.len() as u32;
            self.present.push(piece);
            self.begun_or_gone.push(piece);
            self.recount(piece, 0, blocks);
        }
    }

    /// A block of the piece, just begun, is padding.
    pub fn pad(&mut self, piece: u32, block: u32, data: Block) {
        self.edit(piece, |slot| {
            if let Some(b) = slot.blocks.get_mut(block as usize).filter(|b| b.is_free()) {
                b.data = Some(data);
                slot.padding += 1;
            }
        });
    }

    /// The first block of the piece, of those from `from` on and before `until`, that nobody was asked for; with `skip`, one so
    /// many behind it.
    pub fn free_block(&mut self, piece: u32, from: u32, until: u32, skip: u32) -> Option<u32> {
        let slot = self.slot_mut(piece)?;
        if !slot.has_free_block() {
            return None;
        }
        let mut free = slot.free_after(from, until);
        let first = free.next();
        let found = if skip == 0 { first } else { free.nth(skip as usize - 1) };
        drop(free);
        if from <= slot.free_hint {
            slot.free_hint = first.unwrap_or_else(|| until.min(slot.blocks.len() as u32)).max(slot.free_hint);
        }
        found
    }

    /// A block of the piece that those who were asked will bring much later than `peer`, which would bring it at `eta`, and later than it
    /// is needed. Where as many were asked as may be, later by far: one of them is to give it up.
    /// Of one that has brought nothing yet nobody knows when it would: it is asked for what one other is expected to bring late.
    pub fn slow_block(&mut self, piece: u32, now: Time, peer: PeerKey, eta: Eta, needed: Time) -> Option<u32> {
        let Eta { at: eta, is_known } = eta;
        let slot = self.slot_mut(piece).filter(|s| s.stage == Stage::Partial && s.asked > 0)?;
        let takes = eta.since(now);
        let least = (now + SLOW).max(now + takes * 2).max(needed);
        // Who lets us wait is taken to do so for as long again.
        let comes = |expected: Time| if expected > now { expected } else { now + now.since(expected) };
        if slot.slowest <= least && comes(slot.soonest) <= least {
            return None;
        }
        let waiting = || slot.blocks.iter().enumerate().filter(|(_, b)| b.data.is_none() && b.copies() > 0);
        let far = least.max(now + takes * FAR);
        let late = |b: &BlockState| match b.copies() {
            MAX_COPIES.. => is_known && comes(b.expected) > far,
            copies => {
                if is_known {
                    comes(b.expected) > least
                } else {
                    copies == 1 && b.expected > least
                }
            }
        };
        let found = waiting().filter(|(_, b)| late(b) && !b.is_asked_of(peer)).max_by_key(|(_, b)| comes(b.expected));
        let found = found.map(|(i, _)| i as u32);
        let expected = || waiting().map(|(_, b)| b.expected);
        let (slowest, soonest) = (expected().max(), expected().min());
        (slot.slowest, slot.soonest) = (slowest.unwrap_or(Time::ZERO), soonest.unwrap_or(Time::NEVER));
        found
    }

    /// A block of the piece that one peer was asked for, and not this one: the one expected last.
    pub fn single_block(&self, piece: u32, peer: PeerKey) -> Option<u32> {
        let slot = self.slot(piece).filter(|s| s.stage == Stage::Partial && s.asked > 0)?;
        let single = |b: &BlockState| b.data.is_none() && b.copies() == 1 && !b.is_asked_of(peer);
        let singles = slot.blocks.iter().enumerate().filter(|(_, b)| single(b));
        singles.max_by_key(|(_, b)| b.expected).map(|(i, _)| i as u32)
    }

    /// Is the block waited for, and late from that moment on?
    pub fn is_due(&self, piece: u32, block: u32, at: Time) -> bool {
        let slot = self.slot(piece).filter(|s| s.stage == Stage::Partial);
        let block = slot.and_then(|s| s.blocks.get(block as usize));
        block.is_some_and(|b| b.due == at && b.data.is_none() && b.copies() > 0)
    }

    pub fn set_due(&mut self, piece: u32, block: u32, due: Time) {
        if let Some(b) = self.slot_mut(piece).and_then(|s| s.blocks.get_mut(block as usize)) {
            b.due = due;
        }
    }

    /// Names the blocks of these, asked for and not watched, with the moments at which they are late: they are watched from now on.
    pub fn watch(&mut self, piece: u32, from: u32, until: u32, mut tell: impl FnMut(Time, u32)) {
        let Some(slot) = self.slot_mut(piece).filter(|s| s.unwatched && s.stage == Stage::Partial) else { return };
        slot.unwatched = from > 0 || (until as usize) < slot.blocks.len();
        for (i, b) in (0u32..).zip(&mut slot.blocks).take(until as usize).skip(from as usize) {
            if b.data.is_none() && b.copies() > 0 && !std::mem::replace(&mut b.watched, true) {
                tell(b.due, i);
            }
        }
    }

    /// Nobody looks any more whether the block is late.
    pub fn unwatch(&mut self, piece: u32, block: u32) {
        let Some(slot) = self.slot_mut(piece) else { return };
        if let Some(b) = slot.blocks.get_mut(block as usize) {
            b.watched = false;
            slot.unwatched = true;
        }
    }

    pub fn mark_asked(&mut self, now: Time, piece: u32, block: u32, peer: PeerKey, expected: Time, due: Time) {
        self.edit(piece, |slot| {
            let Some(b) = slot.blocks.get_mut(block as usize) else { return };
            let first = b.copies() == 0;
            if let Some(place) = b.asked.iter_mut().find(|p| **p == PeerKey::NOBODY) {
                *place = peer;
                // The first of those asked counts, of those that are in time.
                let sooner = |before: Time, new: Time| if first || before <= now { new } else { before.min(new) };
                (b.expected, b.due, b.watched) = (sooner(b.expected, expected), sooner(b.due, due), false);
                slot.unwatched = true;
                slot.slowest = slot.slowest.max(expected);
                slot.soonest = slot.soonest.min(expected);
                if first && b.data.is_none() {
                    slot.asked += 1;
                }
            }
        });
    }

    /// The peer will not bring the block. A slot in which nothing is left is closed; what was set aside for it comes back.
    pub fn unmark_asked(&mut self, piece: u32, block: u32, peer: PeerKey) -> Option<Promise> {
        let empty = self.edit(piece, |slot| {
            let Some(b) = slot.blocks.get_mut(block as usize) else { return false };
            let Some(place) = b.asked.iter_mut().find(|p| **p == peer) else { return false };
            *place = PeerKey::NOBODY;
            if b.data.is_none() && b.copies() == 0 {
                slot.asked -= 1;
                slot.free_hint = slot.free_hint.min(block);
            }
            slot.stage == Stage::Partial && slot.received == 0 && slot.asked == 0
        });
        if empty != Some(true) {
            return None;
        }
        let promise = self.edit_promise(piece, |slot| slot.promise.take()).flatten();
        self.remove(piece);
        promise
    }

    /// A block arrived.
    pub fn receive(&mut self, now: Time, piece: u32, block: u32, data: Block, from: PeerKey) -> Arrival {
        let arrival = self.edit(piece, |slot| {
            let Some(b) = slot.blocks.get_mut(block as usize) else { return Arrival::Redundant };
            if slot.stage != Stage::Partial || b.data.is_some() {
                b.asked.iter_mut().filter(|p| **p == from).for_each(|p| *p = PeerKey::NOBODY);
                return Arrival::Redundant;
            }
            let was_asked = b.copies() > 0;
            let others = b.asked.iter().copied().filter(|p| *p != PeerKey::NOBODY && *p != from).collect();
            b.asked = [PeerKey::NOBODY; MAX_COPIES];
            b.data = Some(data);
            b.from = from;
            slot.received += 1;
            slot.asked -= u32::from(was_asked);
            slot.last = now;
            Arrival::Stored { others }
        });
        self.partial_blocks += u64::from(matches!(arrival, Some(Arrival::Stored { .. })));
        arrival.unwrap_or(Arrival::Redundant)
    }

    /// Takes the piece out, with all its blocks. Who is still asked for blocks of it.
    pub fn remove(&mut self, piece: u32) -> Vec<(u32, PeerKey)> {
        let Some(slot) = self.slots.get_mut(piece as usize).and_then(Option::take) else { return Vec::new() };
        let at = self.place.get(piece as usize).map_or(0, |p| *p as usize);
        if at < self.present.len() {
            self.present.swap_remove(at);
        }
        if let Some(moved) = self.present.get(at).copied()
            && let Some(place) = self.place.get_mut(moved as usize)
        {
            *place = at as u32;
        }
        self.begun_or_gone.push(piece);
        self.recount(piece, slot.free_blocks(), 0);
        self.asked_blocks -= u64::from(slot.asked);
        self.promised_blocks -= slot.promised();
        self.passed_blocks -= u64::from(slot.passed);
        let blocks = u64::from(slot.received);
        if slot.stage == Stage::Kept {
            self.kept_blocks -= blocks;
            self.kept_pieces -= 1;
        } else {
            self.partial_blocks -= blocks;
        }
        let asked = |(i, b): (usize, &BlockState)| {
            b.asked.iter().filter(|p| **p != PeerKey::NOBODY).map(|p| (i as u32, *p)).collect::<Vec<_>>()
        };
        slot.blocks.iter().enumerate().flat_map(asked).collect()
    }

    /// Throws away what `peer` sent of pieces that are not verified yet. The pieces that it touched.
    pub fn discard_from(&mut self, peer: PeerKey) -> Vec<u32> {
        self.present.clone().into_iter().filter(|piece| self.discard(*piece, |from| from == peer)).collect()
    }

    /// Throws away the blocks of a piece, not verified yet, whose sender is `bad`. True if there were any.
    pub fn discard(&mut self, piece: u32, bad: impl Fn(PeerKey) -> bool) -> bool {
        self.clock += 1;
        let clock = self.clock;
        let outcome = self.edit(piece, |slot| {
            if slot.stage != Stage::Partial {
                return (0, false, false);
            }
            let (mut dropped, mut spoilt) = (0, false);
            for (i, b) in (0u32..).zip(&mut slot.blocks) {
                spoilt |= b.passed && bad(b.from);
                if b.is_received() && bad(b.from) {
                    b.data = None;
                    b.from = PeerKey::NOBODY;
                    dropped += 1;
                    slot.free_hint = slot.free_hint.min(i);
                }
            }
            slot.received -= dropped;
            if dropped > 0 || spoilt {
                slot.rewind(clock);
            }
            (dropped, dropped > 0 || spoilt, slot.received == 0 && slot.asked == 0)
        });
        let Some((dropped, true, empty)) = outcome else { return false };
        self.partial_blocks -= u64::from(dropped);
        if empty {
            self.remove(piece);
        }
        self.top_up(piece);
        true
    }
}

#[cfg(test)]
mod tests;
