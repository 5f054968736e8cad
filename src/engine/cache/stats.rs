//! What is told of memory.

use std::collections::BTreeSet;

use super::memory::Cache;
use crate::engine::content::Content;
use crate::engine::content::pieces::{PieceState, Stage};
use crate::engine::peer::peers::Peers;
use crate::engine::readers::Readers;
use crate::memory::pool::BLOCK_SIZE;

/// Memory, in bytes: of the whole session and of one torrent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StorageStats {
    pub session_limit: u64,
    pub session_charged: u64,
    pub session_peak: u64,
    /// Verified pieces in memory.
    pub resident: u64,
    /// Blocks of pieces that are not whole, not verified, or not written to disk yet.
    pub partial: u64,
    /// Reserved for requests under way.
    pub in_flight: u64,
    /// Of it: heads and tails that readers pin; protected lookbehind.
    pub pinned: u64,
    pub protected_bytes: u64,
    pub resident_pieces: u32,
    pub protected_pieces: u32,
    pub evicted_pieces: u64,
    /// Pieces that were evicted and fetched again.
    pub refetched_pieces: u64,
    /// What of the session's limit is this torrent's now.
    pub share: u64,
}

/// The explicitly protected pieces of a torrent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LookbehindStats {
    pub protected_pieces: u32,
    /// Of them, those that can be read now.
    pub available_pieces: u32,
    pub protected_bytes: u64,
    /// The most that can be protected.
    pub limit_bytes: u64,
    /// Answers of `is_lookbehind_available`.
    pub hits: u64,
    pub misses: u64,
}

fn bytes(blocks: u64) -> u64 {
    blocks * u64::from(BLOCK_SIZE)
}

impl Cache {
    pub(in crate::engine) fn lookbehind_stats(&self, content: Option<&Content>) -> LookbehindStats {
        let protected = self.lookbehind.protected();
        let (hits, misses) = self.lookbehind.hits_and_misses();
        LookbehindStats {
            protected_pieces: protected.len() as u32,
            available_pieces: protected.iter().filter(|p| content.is_some_and(|c| c.has(**p))).count() as u32,
            protected_bytes: bytes(content.map_or(0, |c| self.lookbehind.kept_blocks(c.layout()))),
            limit_bytes: bytes(self.limit()) / 2,
            hits,
            misses,
        }
    }

    /// What is held now. Pieces that were fetched again are counted elsewhere.
    pub(in crate::engine) fn storage_stats(
        &self,
        content: Option<&Content>,
        peers: &Peers,
        readers: &Readers,
    ) -> StorageStats {
        let (limit, peak) = self.pool.limit_and_peak();
        let slot = |piece: &u32| -> Option<&PieceState> { content.and_then(|c| c.store().slot(*piece)) };
        let held = |pieces: &BTreeSet<u32>| pieces.iter().filter_map(slot).map(|s| bytes(s.received().into())).sum();
        let pinned: BTreeSet<u32> =
            readers.values().flat_map(|r| r.window().head.clone().chain(r.window().tail.clone())).collect();
        let is_kept = |piece: &&u32| slot(piece).is_some_and(|s| s.stage() == Stage::Kept);
        StorageStats {
            session_limit: bytes(limit),
            session_charged: bytes(self.pool.charged()),
            session_peak: bytes(peak),
            resident: bytes(content.map_or(0, |c| c.store().kept_blocks())),
            partial: bytes(content.map_or(0, |c| c.store().partial_blocks())),
            in_flight: bytes(peers.values().map(|p| p.source.requests().len() as u64).sum()),
            pinned: held(&pinned),
            protected_bytes: held(self.lookbehind.kept()),
            resident_pieces: content.map_or(0, |c| c.store().kept_pieces()),
            protected_pieces: self.lookbehind.kept().iter().filter(is_kept).count() as u32,
            evicted_pieces: self.evicted_pieces,
            refetched_pieces: 0,
            share: bytes(self.share_blocks()),
        }
    }
}
