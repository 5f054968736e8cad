//! What goes when memory is needed: the piece worth least, or the block furthest from all who read.

use super::memory::Cache;
use super::rank::{EvictionRank, Keepers};
use crate::engine::content::Content;
use crate::engine::content::pieces::{PieceState, Stage};
use crate::engine::readers::Readers;
use crate::engine::readers::reader::Reader;

impl Keepers<'_> {
    /// The piece worth least of those that may go, if it is worth less than `below`.
    pub fn worst(
        &self,
        content: &Content,
        below: EvictionRank,
        may_go: impl Fn(u32, &PieceState) -> bool,
    ) -> Option<u32> {
        self.worst_of(content, |piece, worth, slot| worth < below && may_go(piece, slot))
    }

    /// The piece worth least of those whose memory was borrowed and that may go; what is on its way to disk stays.
    pub fn worst_borrowed(&self, content: &Content, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        self.worst_of(content, |piece, _, slot| slot.is_borrowed() && slot.stage() != Stage::Writing && may_go(piece))
    }

    fn worst_of(&self, content: &Content, may_go: impl Fn(u32, EvictionRank, &PieceState) -> bool) -> Option<u32> {
        let mut worst: Option<(EvictionRank, u64, u32)> = None;
        for piece in content.store().present().iter().copied() {
            let worth = self.eviction_rank(content, piece);
            let Some(slot) = content.store().slot(piece).filter(|slot| may_go(piece, worth, slot)) else { continue };
            // The oldest use goes first; of a lookahead the far end.
            let then = if worth == EvictionRank::FarAhead { u64::from(u32::MAX - piece) } else { slot.used() };
            let victim = (worth, then, piece);
            // Where somebody else holds all the blocks, to let go of them would free nothing.
            if worst.is_none_or(|worst| victim < worst) && !slot.would_free_nothing() {
                worst = Some(victim);
            }
        }
        worst.map(|(_, _, piece)| piece)
    }
}

impl Cache {
    /// The piece and the block of it that is furthest from all who read block by block, of what is had, too: it may go.
    pub(in crate::engine) fn furthest_block(&self, content: &Content, readers: &Readers) -> Option<(u32, u32)> {
        if !readers.reads_by_blocks() {
            return None;
        }
        let limit = self.limit();
        let mut furthest: Option<(u64, u32, u32)> = None;
        for piece in content.store().present().iter().copied().filter(|p| readers.is_read_by_blocks(*p)) {
            let whole = u64::from(content.layout().blocks_in_piece(piece)) <= limit;
            let kept = whole && (readers.deadlines().contains_key(&piece) || self.protects(piece));
            let Some(slot) = content.store().slot(piece).filter(|s| s.stage() != Stage::Writing && !kept) else {
                continue;
            };
            let by_pieces = |r: &&Reader| whole || r.window().block_window.is_some();
            if slot.stage() == Stage::Kept && slot.is_shared() {
                continue;
            }
            let ours = if slot.whole().is_some() { 2 } else { 1 };
            let held = (0u32..)
                .zip(slot.blocks())
                .filter(|(_, b)| b.data().is_some_and(|d| d.holders() == ours && !d.is_padding()));
            for (block, _) in held {
                let mut spared = readers.values().filter(by_pieces).map(|r| r.spares(piece, block));
                let distance = spared.try_fold(u64::MAX, |least, beyond| beyond.map(|b| least.min(b)));
                furthest = furthest.max(distance.map(|d| (d, piece, block)));
            }
        }
        furthest.map(|(_, piece, block)| (piece, block))
    }

    /// The piece that was used longest ago, wanted or not; what nobody holds at this moment comes first.
    pub(in crate::engine) fn longest_unused<'a>(
        &self,
        content: &'a Content,
        counts: impl Fn(&PieceState) -> bool,
    ) -> Option<(u32, &'a PieceState)> {
        let may_go = |s: &PieceState| s.stage() != Stage::Writing && counts(s);
        let slots = content.store().present().iter().filter(|p| !self.protects(**p));
        let slots = slots.filter_map(|p| Some((*p, content.store().slot(*p).filter(|s| may_go(s))?)));
        slots.min_by_key(|(_, s)| (s.is_shared(), s.used()))
    }

    /// Pieces that are larger than memory is now.
    pub(in crate::engine) fn too_large(&self, content: &Content, readers: &Readers) -> Vec<u32> {
        let too_large = |p: &u32| u64::from(content.layout().blocks_in_piece(*p)) > self.limit();
        let pieces =
            content.store().present().iter().copied().filter(|p| too_large(p) && !readers.is_read_by_blocks(*p));
        pieces.collect()
    }
}
