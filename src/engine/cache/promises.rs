//! Memory set aside for pieces that are begun.

use super::memory::Cache;
use crate::engine::content::Content;
use crate::engine::readers::Readers;
use crate::memory::queue::Rank;

impl Cache {
    /// Pieces that are read block by block, or no more, are paid so from now on.
    pub(in crate::engine) fn review_promises(&mut self, content: &mut Content, readers: &Readers) {
        let mut blockwise = Vec::new();
        let mut whole = Vec::new();
        for piece in content.store().open_pieces() {
            let Some(slot) = content.store().slot(piece) else { continue };
            match (readers.is_read_by_blocks(piece), slot.has_promise()) {
                (true, true) => blockwise.push(piece),
                (false, false) => whole.push((piece, u64::from(slot.free_blocks()))),
                _ => {}
            }
        }
        for piece in blockwise {
            content.store_mut().set_promise(piece, None);
        }
        for (piece, blocks) in whole {
            let rank = Rank { urgency: 0, since: 0 };
            if let Some(promise) = self.place.promise(rank, blocks) {
                content.store_mut().set_promise(piece, Some(promise));
            }
        }
    }
}
