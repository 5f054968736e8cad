//! A piece in memory, and its blocks.

use super::piece_hash::PieceHash;
use super::pieces::{MAX_COPIES, PeerKey};
use crate::base::time::Time;
use crate::memory::pool::{Block, Blocks, Pool};
use crate::memory::promise::Promise;

/// One block of a piece on its way.
#[derive(Debug, Clone, Default)]
pub struct BlockState {
    pub(super) data: Option<Block>,
    /// Who was asked for it and has not answered.
    pub(super) asked: [PeerKey; MAX_COPIES],
    /// Who sent it.
    pub(super) from: PeerKey,
    /// It was here and is in the hash; to be asked for again the piece must be begun anew.
    pub(super) passed: bool,
    /// When the first of those asked is expected to bring it.
    pub(super) expected: Time,
    /// From when on it is late.
    pub(super) due: Time,
    /// Somebody looks when it is late (`late`).
    pub(super) watched: bool,
}

impl BlockState {
    pub fn data(&self) -> Option<&Block> {
        self.data.as_ref()
    }

    /// Who sent it.
    pub fn from(&self) -> PeerKey {
        self.from
    }

    /// It was here, and was let go after it was hashed.
    pub fn passed(&self) -> bool {
        self.passed
    }

    /// When the first of those asked is expected to bring it.
    pub fn expected(&self) -> Time {
        self.expected
    }

    pub fn is_free(&self) -> bool {
        self.data.is_none() && self.copies() == 0 && !self.passed
    }

    pub fn copies(&self) -> usize {
        self.asked.iter().filter(|p| **p != PeerKey::NOBODY).count()
    }

    /// Who was asked and has not answered.
    pub fn askees(&self) -> impl Iterator<Item = PeerKey> + '_ {
        self.asked.iter().copied().filter(|p| *p != PeerKey::NOBODY)
    }

    /// Does it hold memory?
    pub fn is_received(&self) -> bool {
        self.data.as_ref().is_some_and(|data| !data.is_padding())
    }

    pub fn is_asked_of(&self, peer: PeerKey) -> bool {
        self.asked.contains(&peer)
    }
}

/// How far a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Blocks are missing, or the hash is not known yet.
    Partial,
    /// Verified, on its way to disk.
    Writing,
    /// Verified and kept in memory.
    Kept,
}

/// A piece in memory.
#[derive(Debug)]
pub struct PieceState {
    pub(super) blocks: Vec<BlockState>,
    pub(super) stage: Stage,
    /// Only this peer may be asked for it (parole).
    pub(super) exclusive: PeerKey,
    /// Order of last use; the smallest is evicted first.
    pub(super) used: u64,
    pub(super) received: u32,
    pub(super) asked: u32,
    pub(super) passed: u32,
    /// Blocks of nothing but padding: here from the start, and not received.
    pub(super) padding: u32,
    pub(super) free_hint: u32,
    /// There may be blocks that were asked for and that nobody watches.
    pub(super) unwatched: bool,
    /// No block asked for is expected later than this.
    pub(super) slowest: Time,
    /// And none sooner than this.
    pub(super) soonest: Time,
    pub(super) hash: Option<PieceHash>,
    pub(super) hashed: u32,
    pub(super) generation: u64,
    pub(super) whole: Option<Blocks>,
    pub(super) begun: Time,
    /// When the last block of it came; at first, when it was begun.
    pub(super) last: Time,
    /// Memory for the blocks to be asked for; none where the piece is read block by block.
    pub(super) promise: Option<Promise>,
    /// Its memory was borrowed when it was begun.
    pub(super) borrowed: bool,
}

impl PieceState {
    pub fn blocks(&self) -> &[BlockState] {
        &self.blocks
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Only this peer may be asked for it (parole).
    pub fn exclusive(&self) -> PeerKey {
        self.exclusive
    }

    /// Order of last use; the smallest is evicted first.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Are blocks of it still to come?
    pub fn is_coming_in(&self) -> bool {
        self.stage == Stage::Partial && !self.is_unverified_whole()
    }

    /// When memory was had for it.
    pub fn begun(&self) -> Time {
        self.begun
    }

    /// When the last block of it came; at first, when it was begun.
    pub fn last(&self) -> Time {
        self.last
    }

    pub fn is_free(&self, block: u32) -> bool {
        self.blocks.get(block as usize).is_some_and(BlockState::is_free)
    }

    pub(in crate::engine) fn has_promise(&self) -> bool {
        self.promise.is_some()
    }

    /// Its memory was borrowed of others when it was begun: they may call it in.
    pub(in crate::engine) fn is_borrowed(&self) -> bool {
        self.borrowed
    }

    /// Is memory set aside for blocks of it, and lent?
    pub(in crate::engine) fn lacks_its_own(&self, pool: &Pool) -> bool {
        self.promised() > 0 && !self.borrowed && !pool.may_redeem()
    }

    /// Blocks that memory is set aside for, and that were not asked for yet.
    pub fn promised(&self) -> u64 {
        self.promise.as_ref().map_or(0, Promise::blocks)
    }

    /// The blocks of a verified piece, in order, side by side.
    pub fn whole(&self) -> Option<&Blocks> {
        self.whole.as_ref()
    }

    pub(super) fn verified(&mut self, stage: Stage) {
        self.stage = stage;
        self.whole = Some(self.blocks.iter().filter_map(|b| b.data.clone()).collect());
    }

    pub fn received(&self) -> u32 {
        self.received
    }

    /// Blocks that are here: received, and those of padding, which take no memory.
    pub fn here(&self) -> u32 {
        self.received + self.padding
    }

    /// All of it came, and its hash is not known yet.
    pub fn is_unverified_whole(&self) -> bool {
        self.stage == Stage::Partial && self.here() as usize == self.blocks.len()
    }

    /// Blocks asked for and not here.
    pub fn asked(&self) -> u32 {
        self.asked
    }

    /// Blocks that were let go after they were hashed.
    pub fn passed(&self) -> u32 {
        self.passed
    }

    /// So many blocks, in order, are in the hash or on their way into it.
    pub fn hashed(&self) -> u32 {
        self.hashed
    }

    pub fn has_passed_within(&self, from: u32, until: u32) -> bool {
        self.passed > 0 && self.blocks.iter().take(until as usize).skip(from as usize).any(|b| b.passed)
    }

    /// Blocks of it that may be asked for.
    pub fn free_blocks(&self) -> u32 {
        if self.stage == Stage::Partial { self.blocks.len() as u32 - self.here() - self.asked - self.passed } else { 0 }
    }

    pub fn has_free_block(&self) -> bool {
        self.free_blocks() > 0
    }

    /// Of the blocks from `from` on and before `until` those that may be asked for.
    pub fn free_within(&self, from: u32, until: u32) -> u32 {
        if !self.has_free_block() || (from == 0 && until as usize >= self.blocks.len()) {
            return self.free_blocks();
        }
        self.free_after(from, until).count() as u32
    }

    pub fn has_free_within(&self, from: u32, until: u32) -> bool {
        self.has_free_block() && self.free_after(from, until).next().is_some()
    }

    pub(super) fn free_after(&self, from: u32, until: u32) -> impl Iterator<Item = u32> + '_ {
        let start = from.max(self.free_hint) as usize;
        let blocks = self.blocks.iter().enumerate().take(until as usize).skip(start);
        blocks.filter(|(_, b)| b.is_free()).map(|(i, _)| i as u32)
    }

    /// Does anybody else hold blocks of it: an upload, a hash job, a caller?
    pub fn is_shared(&self) -> bool {
        let by_piece = self.whole.as_ref().is_some_and(|w| w.holders() > 1);
        let ours = 1 + usize::from(self.whole.is_some());
        by_piece || self.blocks.iter().filter_map(|b| b.data.as_ref()).any(|b| b.holders() > ours)
    }

    /// Would no memory come free if it were let go of? An upload holds a block, a hash job or a caller all that it knows of.
    pub fn would_free_nothing(&self) -> bool {
        let ours = 1 + usize::from(self.whole.is_some());
        let by_piece = self.stage != Stage::Kept || self.whole.as_ref().is_some_and(|w| w.holders() > 1);
        let mut blocks = self.blocks.iter().filter(|b| b.is_received()).filter_map(|b| b.data.as_ref());
        self.is_shared() && (by_piece || blocks.all(|b| b.holders() > ours))
    }

    /// From here on it is hashed anew; a job under way will find that it is stale.
    pub(super) fn rewind(&mut self, generation: u64) {
        self.hashed = 0;
        self.hash = Some(PieceHash::default());
        self.generation = generation;
        for b in self.blocks.iter_mut().filter(|b| b.passed) {
            (b.passed, b.from) = (false, PeerKey::NOBODY);
        }
        if std::mem::take(&mut self.passed) > 0 {
            self.free_hint = 0;
        }
    }

    /// The peers that sent blocks of it, each once.
    pub fn senders(&self) -> Vec<PeerKey> {
        let mut senders: Vec<PeerKey> = self
            .blocks
            .iter()
            .filter(|b| b.data.is_some() || b.passed)
            .map(|b| b.from)
            .filter(|p| *p != PeerKey::NOBODY)
            .collect();
        senders.sort_unstable();
        senders.dedup();
        senders
    }
}
