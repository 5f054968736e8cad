//! Stretches of pieces on their way through the hash.

use super::piece_hash;
use super::piece_hash::PieceHash;
use crate::memory::pool::Block;

/// Hashing to be done outside the torrent's lock: `run`, then hand back with [`Store::hash_done`](super::pieces::Store::hash_done).
#[derive(Debug)]
pub struct HashJob {
    pub piece: u32,
    pub(super) generation: u64,
    pub(super) hash: PieceHash,
    pub(super) blocks: Vec<Block>,
}

impl HashJob {
    pub fn run(&mut self) {
        Self::run_together(std::slice::from_mut(self));
    }

    /// Jobs of different pieces in step, which takes less time than one after the other.
    pub fn run_together(jobs: &mut [Self]) {
        let messages = jobs.iter_mut().map(|job| (&mut job.hash, job.blocks.iter().map(Block::as_slice)));
        piece_hash::update_together(messages);
        jobs.iter_mut().for_each(|job| job.blocks.clear());
    }

    /// What is still to be hashed.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

/// What a hashed stretch led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Hashed {
    /// The piece changed meanwhile, or blocks are missing still.
    Pending,
    /// All blocks are in: the piece's SHA-1.
    Digest([u8; 20]),
}
