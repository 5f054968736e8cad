//! How pieces go through their hash, and what becomes of their blocks.

use super::{HashJob, Hashed, PeerKey, Stage, Store};
use crate::memory::pool::Block;

impl Store {
    /// Are all its blocks here, and no job is out for it?
    pub fn can_be_hashed_whole(&self, piece: u32) -> bool {
        self.slot(piece).is_some_and(|s| s.is_unverified_whole() && s.hash.is_some())
    }

    /// The stretch of the piece that can be hashed now, at most so many blocks, if no other job is out for it.
    pub fn hash_job(&mut self, piece: u32, most: u32) -> Option<HashJob> {
        let slot = self.slot_mut(piece).filter(|s| s.stage == Stage::Partial)?;
        let start = slot.hashed as usize;
        slot.blocks.get(start).and_then(|b| b.data.as_ref())?;
        let hash = slot.hash.take()?;
        let stretch = slot.blocks.iter().skip(start).take(most as usize);
        let blocks: Vec<Block> = stretch.map_while(|b| b.data.clone()).collect();
        slot.hashed += blocks.len() as u32;
        Some(HashJob { piece, generation: slot.generation, hash, blocks })
    }

    /// Takes a finished job back.
    pub fn hash_done(&mut self, job: HashJob) -> Hashed {
        let Some(slot) = self.slot_mut(job.piece).filter(|s| s.generation == job.generation) else {
            return Hashed::Pending;
        };
        if slot.hashed as usize == slot.blocks.len() {
            return Hashed::Digest(job.hash.finish());
        }
        slot.hash = Some(job.hash);
        Hashed::Pending
    }

    /// The piece passed its hash: it stays in memory.
    pub fn keep(&mut self, piece: u32) {
        self.touch(piece);
        let Some(slot) = self.slot_mut(piece).filter(|s| s.stage != Stage::Kept) else { return };
        slot.verified(Stage::Kept);
        slot.exclusive = PeerKey::NOBODY;
        let blocks = u64::from(slot.received);
        self.kept_blocks += blocks;
        self.partial_blocks -= blocks;
        self.kept_pieces += 1;
    }

    /// The piece passed its hash: it waits for the disk. Its blocks, to be written.
    pub fn begin_write(&mut self, piece: u32) -> Vec<Block> {
        let Some(slot) = self.slot_mut(piece) else { return Vec::new() };
        slot.verified(Stage::Writing);
        slot.blocks.iter().filter_map(|b| b.data.clone()).collect()
    }

    /// Gives up a block of a piece that is not verified. One that was hashed is passed, any other one may be asked for again.
    pub fn let_go(&mut self, piece: u32, block: u32) {
        let outcome = self.edit(piece, |slot| {
            let hashed = block < slot.hashed;
            let b = slot.blocks.get_mut(block as usize).filter(|b| slot.stage == Stage::Partial && b.is_received())?;
            b.data = None;
            slot.received -= 1;
            if hashed {
                b.passed = true;
                slot.passed += 1;
            } else {
                b.from = PeerKey::NOBODY;
                slot.free_hint = slot.free_hint.min(block);
            }
            Some(slot.received == 0 && slot.asked == 0)
        });
        let Some(empty) = outcome.flatten() else { return };
        self.partial_blocks -= 1;
        if empty {
            self.remove(piece);
        }
    }

    /// The piece is had no more, but its blocks are here still, to be let go one by one.
    pub fn break_up(&mut self, piece: u32) {
        let Some(slot) = self.slot_mut(piece).filter(|s| s.stage == Stage::Kept) else { return };
        slot.stage = Stage::Partial;
        slot.whole = None;
        let blocks = u64::from(slot.received);
        self.kept_blocks -= blocks;
        self.partial_blocks += blocks;
        self.kept_pieces -= 1;
    }

    /// What was passed of the piece may be asked for again; it is hashed from its start.
    pub fn rewind(&mut self, piece: u32) {
        self.clock += 1;
        let clock = self.clock;
        self.edit(piece, |slot| slot.rewind(clock));
    }
}
