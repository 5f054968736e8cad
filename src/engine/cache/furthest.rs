//! Where pieces are read block by block, they go block by block.

use super::Cache;
use crate::engine::content::Content;
use crate::engine::content::piece::Stage;
use crate::engine::readers::Readers;
use crate::engine::readers::reader::Reader;

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
}
