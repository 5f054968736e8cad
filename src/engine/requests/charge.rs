//! The charge for a block: from what was set aside for its piece, from memory that is free, or from what has to go for it.

use super::asking::Asking;
use crate::base::time::Time;
use crate::engine::content::Content;
use crate::engine::content::want::{Class, Pick};
use crate::memory::pool::{BLOCK_SIZE, Reservation};
use crate::memory::turns::Promise;

/// The charge for one block, and what is set aside for the rest of its piece if that is begun with it.
pub(in crate::engine) type Charge = (Reservation, Option<Promise>);

impl Asking<'_> {
    /// Charges the block. `None`: there is no memory for it now.
    pub(in crate::engine) fn charge(&mut self, now: Time, pick: Pick) -> Option<Charge> {
        let content = self.content.as_mut()?;
        let is_copy = content.store().slot(pick.piece).is_some_and(|s| !s.is_free(pick.block));
        if !is_copy && let Some(charge) = content.store_mut().redeem(pick.piece) {
            return Some((charge, None));
        }
        let begun = content.store().slot(pick.piece).is_some();
        let blocks = content.layout().num_blocks_to_fetch(pick.piece, 0, u32::MAX);
        let whole = !begun && !self.readers.is_read_by_blocks(pick.piece);
        let Some(mut promise) = self.set_aside(now, pick, if whole { blocks.into() } else { 1 }, begun, is_copy) else {
            return if is_copy { self.take_from_the_late(now, pick) } else { None };
        };
        Some((promise.redeem()?, whole.then_some(promise)))
    }

    fn set_aside(&mut self, now: Time, pick: Pick, blocks: u64, begun: bool, is_copy: bool) -> Option<Promise> {
        let rank = self.cache.rank_in_line(now, pick, begun, blocks, self.requests.wants(), self.readers);
        let mut promise = self.cache.promise(rank, blocks);
        if promise.is_none() {
            while self.cache.pool().available() < blocks && self.make_room(now, pick) {}
            promise = self.cache.promise(rank, blocks);
        }
        if promise.is_some() {
            self.cache.served();
            return promise;
        }
        let has_claim = |content: &Content| self.admission().has_claim(content, pick.class, blocks);
        let waits = !is_copy && pick.class != Class::Shown;
        if waits && (begun || self.content.as_ref().is_some_and(has_claim)) {
            self.cache.wait(rank, blocks);
        }
        None
    }

    /// There is no memory for a copy of a block that is late: the request moves, with its charge.
    fn take_from_the_late(&mut self, now: Time, pick: Pick) -> Option<Charge> {
        let Pick { piece, block, class } = pick;
        let slot = self.content.as_ref()?.store().slot(piece)?;
        let late = slot.blocks().get(block as usize)?.askees().next().filter(|_| class <= Class::Deadline)?;
        self.queues().send_cancel(now, late, piece, block);
        let (peer, content) = (self.peers.get_mut(&late)?, self.content.as_mut()?);
        peer.source.take_request(piece, block)?;
        peer.note_taken_back();
        // Now that its queue is empty it would seem to be the quickest, and be asked again.
        peer.source.refusals_mut().note_late(now, piece);
        self.requests.forgive_at(peer.source.refusals().next());
        let charge = peer.source.credits().take(piece, block * BLOCK_SIZE);
        let mut promise = content.store_mut().unmark_asked(piece, block, late);
        // What is on its way keeps its charge; the piece's own memory serves then.
        let charge = charge.or_else(|| promise.as_mut()?.redeem()).or_else(|| content.store_mut().redeem(piece));
        self.requests.came_free();
        self.requests.note_open(peer);
        Some((charge?, promise))
    }
}
