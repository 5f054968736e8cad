//! What is told of memory.

use std::collections::BTreeSet;

use super::Cache;
use crate::engine::content::Content;
use crate::engine::content::pieces::{Slot, Stage};
use crate::engine::peer::peers::Peers;
use crate::engine::readers::Readers;
use crate::engine::status::{LookbehindStats, StorageStats};
use crate::memory::pool::BLOCK_SIZE;

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
        let slot = |piece: &u32| -> Option<&Slot> { content.and_then(|c| c.store().slot(*piece)) };
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
            in_flight: bytes(peers.values().map(|p| p.requests.len() as u64).sum()),
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
