//! Stretches of pieces on their way through the hash.

use sha1::{Digest, Sha1};

use crate::storage::pool::Block;

/// Hashing to be done outside the torrent's lock: `run`, then hand back with [`Store::hash_done`](super::store::Store::hash_done).
#[derive(Debug)]
pub struct HashJob {
    pub piece: u32,
    pub(super) generation: u64,
    pub(super) hasher: Sha1,
    pub(super) blocks: Vec<Block>,
}

impl HashJob {
    pub fn run(&mut self) {
        for block in self.blocks.drain(..) {
            self.hasher.update(block.as_slice());
        }
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
