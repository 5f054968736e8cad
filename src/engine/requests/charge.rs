//! The charge for a block: from what was set aside for its piece, from memory that is free, or from what has to go for it.

use super::scheduler::Scheduler;
use crate::base::time::Time;
use crate::engine::cache::queue_place::urgency_of;
use crate::engine::content::want::{Class, Pick};
use crate::engine::readers::reader::PATIENT;
use crate::memory::idle::Recall;
use crate::memory::pool::{BLOCK_SIZE, Reservation};
use crate::memory::promise::Promise;
use crate::memory::queue::{Rank, WaiterState};

/// The charge for one block, and what is set aside for the rest of its piece if that is begun with it.
pub(in crate::engine) type Charge = (Reservation, Option<Promise>);

/// What one block needs: memory for it alone, or for the whole of its piece.
#[derive(Debug, Clone, Copy)]
struct Need {
    blocks: u64,
    /// They are those of a piece.
    whole: bool,
    /// The piece is begun.
    begun: bool,
    is_copy: bool,
    /// Blocks that stand idle beside what is borrowed; `None`: it may not be borrowed.
    beside: Option<u64>,
}

impl Scheduler<'_> {
    /// Charges the block. `None`: there is no memory for it now.
    pub(in crate::engine) fn charge(&mut self, now: Time, pick: Pick) -> Option<Charge> {
        let content = self.content.as_ref()?;
        let slot = content.store().slot(pick.piece);
        let is_copy = slot.is_some_and(|s| !s.is_free(pick.block));
        if !is_copy && slot.is_some_and(|s| s.promised() > 0) {
            return Some((self.redeem(now, pick)?, None));
        }
        let begun = slot.is_some();
        let whole = !begun && !self.readers.is_read_by_blocks(pick.piece);
        let blocks = if whole { content.layout().num_blocks_to_fetch(pick.piece, 0, u32::MAX).into() } else { 1 };
        let beside = if whole { self.may_borrow(now, pick, blocks) } else { None };
        let Some(mut promise) = self.set_aside(now, pick, Need { blocks, whole, begun, is_copy, beside }) else {
            return if is_copy { self.take_from_the_late(now, pick) } else { None };
        };
        Some((promise.redeem()?, whole.then_some(promise)))
    }

    /// From what was set aside for the piece. Where that was lent, it is called in.
    fn redeem(&mut self, now: Time, pick: Pick) -> Option<Reservation> {
        loop {
            if let Some(charge) = self.content.as_mut()?.store_mut().redeem(pick.piece) {
                return Some(charge);
            }
            // What nobody plays leaves to those who play what they need, for a while.
            let waits = pick.class > Class::Deadline && self.cache.somebody_plays() && !self.cache.lacks_for_long(now);
            let recall = if waits { Recall::ForSpare } else { Recall::ForAll };
            if !self.give_up_borrowed(now, recall, pick.piece) {
                self.cache.call_in(recall);
                return None;
            }
        }
    }

    /// A piece that nobody plays leaves so many blocks to those who play. For a while: they may never have all they need.
    fn left_to_players(&self, now: Time, class: Class, rank: Rank) -> u64 {
        let waited = now.since(Time::from_micros(rank.since));
        let is_urgent = class < Class::Background || rank.urgency <= urgency_of(Class::Pinned) || waited >= PATIENT;
        if is_urgent { 0 } else { self.cache.needed_by_players() }
    }

    fn set_aside(&mut self, now: Time, pick: Pick, need: Need) -> Option<Promise> {
        let Need { blocks, whole, begun, is_copy, beside } = need;
        let rank = self.cache.rank_in_line(now, pick, begun, blocks, self.requests.wants(), self.readers);
        // What made room for what comes before it is not begun again at once.
        if whole && self.cache.comes_after_one_who_lacks(now, rank) {
            return None;
        }
        // Nor is what was given to others while it came in, before they have it.
        if whole && pick.class != Class::Blocked && self.cache.gave_lately(now) {
            return None;
        }
        // What it begins beyond its share it would have to give to those who wait.
        let claims = self.has_claim_to(begun, pick.class, blocks);
        let place = if claims { rank } else { rank.after_all() };
        let for_players = if whole { self.left_to_players(now, pick.class, rank) } else { 0 };
        let is_left = |scheduler: &Self| for_players > 0 && scheduler.cache.pool().available() < blocks + for_players;
        let has = |scheduler: &mut Self| {
            let promise = if is_left(scheduler) { None } else { scheduler.cache.promise(place, blocks) };
            promise.or_else(|| scheduler.cache.borrow(blocks, beside?))
        };
        let mut promise = has(self);
        let mut made_room = false;
        while promise.is_none() && self.cache.pool().available() < blocks && self.evict_for_request(now, pick) {
            made_room = true;
            // What is lent comes free for those whose it is, not for this.
            promise = if beside.is_some() { has(self) } else { None };
        }
        if let Some(promise) = promise.or_else(|| has(self)) {
            self.cache.served();
            self.cache.lacks_no_more(rank);
            if !begun && !promise.is_borrowed() && !self.is_soon_here(blocks) {
                self.cache.stands_idle(blocks);
            }
            return Some(promise);
        }
        let would_do = for_players > 0 && self.cache.pool().available() >= blocks;
        if would_do || is_copy || pick.class == Class::Revealed || !claims {
            return None;
        }
        let meanwhile = match beside {
            Some(beside) => WaiterState::Borrows { idle: blocks + beside },
            None if for_players > 0 => WaiterState::LeavesToPlayers,
            None => WaiterState::Nothing,
        };
        self.cache.wait(rank, blocks, meanwhile);
        if made_room {
            self.cache.lacks(now, rank);
        }
        None
    }

    /// May others be asked to give memory back for it? For what a begun piece lacks always.
    fn has_claim_to(&self, begun: bool, class: Class, blocks: u64) -> bool {
        begun || self.content.as_ref().is_some_and(|content| self.admission().has_claim(content, class, blocks))
    }

    /// There is no memory for a copy of a block that is late: the request moves, with its charge.
    fn take_from_the_late(&mut self, now: Time, pick: Pick) -> Option<Charge> {
        let Pick { piece, block, class } = pick;
        let slot = self.content.as_ref()?.store().slot(piece)?;
        let late = slot.blocks().get(block as usize)?.askees().next().filter(|_| class <= Class::Deadline)?;
        self.queues().send_cancel(now, late, piece, block);
        let (peer, content) = (self.peers.get_mut(&late)?, self.content.as_mut()?);
        peer.source.take_request(piece, block)?;
        peer.taken_back.leave();
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
