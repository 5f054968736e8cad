//! Eviction: one transaction, and what is chosen for it.
//!
//! A piece leaves memory storage all at once: its blocks, the have-map, the picker, the peers' view of us. Nobody is to
//! blame for it and it can be wanted again at once.

use super::scheduler::Scheduler;
use crate::alert::Alert;
use crate::base::time::Time;
use crate::engine::cache::rank::{EvictionRank, evictable_by};
use crate::engine::config::StorageKind;
use crate::engine::content::pieces::{PieceState, Stage};
use crate::engine::content::want::{Class, Pick};
use crate::engine::peer::availability::withdraw;

impl Scheduler<'_> {
    /// Evicts the piece worth least, if it is worth less than the request. What a read waits for may also push out what was begun for
    /// wants behind it, or a memory full of beginnings would never end. False: there is nothing that may go.
    pub(super) fn evict_for_request(&mut self, now: Time, pick: Pick) -> bool {
        let bound = evictable_by(pick.class);
        // Where somebody reads block by block, what nobody holds goes before what is in a window.
        if self.readers.reads_by_blocks()
            && pick.class != Class::Revealed
            && (self.evict_one(now, bound.min(EvictionRank::Wanted), pick.piece) || self.drop_block(now))
        {
            return true;
        }
        if self.evict_one(now, bound, pick.piece) {
            return true;
        }
        let rank = |piece: u32| self.requests.wants().iter().position(|w| w.piece == piece).unwrap_or(usize::MAX);
        let mine = rank(pick.piece);
        let Some(content) = self.content.as_ref().filter(|_| mine == 0 || pick.class == Class::Blocked) else {
            return false;
        };
        let may_go = |s: &PieceState| s.is_coming_in() && !s.is_shared();
        let behind = content.store().present().iter().copied();
        let behind = behind.filter(|p| content.store().slot(*p).is_some_and(may_go) && rank(*p) > mine);
        let Some(piece) = behind.max_by_key(|p| (rank(*p), *p)) else { return false };
        self.evict(now, piece);
        true
    }

    fn evict_one(&mut self, now: Time, below: EvictionRank, except: u32) -> bool {
        self.evict_worst(now, below, false, |_, piece, _| piece != except).is_some()
    }

    /// The same for another torrent of the session. What was borrowed stays: it would come free for those who lent it.
    pub(super) fn evict_for_others(&mut self, now: Time, below: EvictionRank) -> bool {
        let evicted = self.evict_worst(now, below, true, |scheduler, _, slot| scheduler.is_own(slot));
        if evicted == Some(Stage::Partial) {
            self.cache.gave(now);
        }
        evicted.is_some()
    }

    /// Evicts the piece worth least of those that may go, and tells how far it was.
    fn evict_worst(
        &mut self,
        now: Time,
        below: EvictionRank,
        for_others: bool,
        may_go: impl Fn(&Self, u32, &PieceState) -> bool,
    ) -> Option<Stage> {
        let keepers = self.admission().keepers(now, for_others);
        let content = self.content.as_ref()?;
        let worst = keepers.worst(content, below, |piece, slot| may_go(self, piece, slot))?;
        let stage = content.store().slot(worst)?.stage();
        self.evict(now, worst);
        Some(stage)
    }

    /// Is memory that is promised to nobody else held by it?
    fn is_own(&self, slot: &PieceState) -> bool {
        !slot.is_borrowed() || self.cache.pool().owed() == 0
    }

    /// The transaction. Whoever was asked for blocks of the piece is told to stop.
    pub(super) fn evict(&mut self, now: Time, piece: u32) {
        let Some(content) = &mut *self.content else { return };
        let kept = content.store().slot(piece).is_some_and(|s| s.stage() == Stage::Kept);
        let asked = content.store_mut().remove(piece);
        let mut queues = self.queues();
        for (block, key) in asked {
            queues.send_cancel(now, key, piece, block);
            queues.forget(key, piece, block);
        }
        if kept {
            self.lose(now, piece);
        }
        self.requests.demand_changed();
    }

    /// Lets go of the block that is furthest from all who read block by block. True if there was one.
    pub(super) fn drop_block(&mut self, now: Time) -> bool {
        let Some(content) = &mut *self.content else { return false };
        let Some((piece, block)) = self.cache.furthest_block(content, self.readers) else { return false };
        let kept = content.store().slot(piece).is_some_and(|s| s.stage() == Stage::Kept);
        content.store_mut().break_up(piece);
        content.store_mut().let_go(piece, block);
        if kept {
            self.lose(now, piece);
            self.requests.demand_changed();
        }
        true
    }

    /// A piece that we had is had no more.
    fn lose(&mut self, now: Time, piece: u32) {
        let Some(content) = &mut *self.content else { return };
        content.piece_lost(piece);
        // Those who have it have something for us since.
        let offers = self.peers.offer_changed(content, piece, false);
        for key in offers.changed {
            self.update_interest(now, key);
        }
        withdraw(now, self.config.settings.send_dont_have, self.peers, piece, &mut self.out.wake);
        if !self.run_state.checking {
            self.review_interests(now);
            if let Some(content) = &*self.content {
                self.run_state.review(content, self.config.storage, &mut self.out.alerts);
            }
        }
        self.cache.note_evicted();
        self.out.alerts.push(Alert::PieceEvicted { piece });
    }

    /// Gives back what can be spared until no more than so many blocks are charged in the session.
    pub(in crate::engine) fn evict_down_to(&mut self, now: Time, blocks: u64) {
        while self.cache.pool().is_beyond(blocks) && (self.drop_block(now) || self.evict_for(now, blocks)) {}
    }

    /// Does it count where so many blocks are allowed? What was borrowed does only while more than that is charged: let go, it is promised to
    /// others again.
    fn counts(&self, slot: &PieceState, blocks: u64) -> bool {
        self.cache.pool().charged() > blocks || self.is_own(slot)
    }

    /// Evicts the piece worth least of those that count where so many blocks are allowed.
    fn evict_for(&mut self, now: Time, blocks: u64) -> bool {
        self.evict_worst(now, EvictionRank::Kept, false, |scheduler, _, slot| scheduler.counts(slot, blocks)).is_some()
    }

    /// More is charged than the limit, which was lowered, allows: what is worth least goes, then what was used longest ago, wanted or not.
    pub(in crate::engine) fn enforce_limit(&mut self, now: Time) {
        if !self.cache.pool().is_overdrawn() {
            return;
        }
        self.drop_too_large(now);
        self.evict_down_to(now, self.cache.limit());
        // What somebody holds at this moment is free when he lets go of it.
        let mut coming = 0;
        while self.cache.pool().is_beyond(self.cache.limit() + coming) {
            let Some(content) = &*self.content else { return };
            let counts = |slot: &PieceState| self.counts(slot, self.cache.limit());
            let Some((piece, slot)) = self.cache.longest_unused(content, counts) else { return };
            coming += if slot.is_shared() { u64::from(slot.received()) } else { 0 };
            self.evict(now, piece);
        }
    }

    /// Pieces that are larger than memory is now will never be whole, and those that are do not fit.
    fn drop_too_large(&mut self, now: Time) {
        let Some(content) = self.content.as_ref().filter(|_| self.config.storage == StorageKind::Memory) else {
            return;
        };
        self.cache.too_large(content, self.readers).into_iter().for_each(|piece| self.evict(now, piece));
    }
}
