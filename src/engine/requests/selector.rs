//! The next block for a peer: what readers and deadlines want, in the order of `demand`, then the picker's order, then what it shows
//! (`revealed_picks`).

use std::time::Duration;

use super::dispatch::max_requests;
use super::scheduler::Scheduler;
use crate::base::time::Time;
use crate::engine::config::{StorageKind, TorrentFlags};
use crate::engine::content::Content;
use crate::engine::content::piece::PieceState;
use crate::engine::content::pieces::{PeerKey, Stage};
use crate::engine::content::want::{Class, Pick, Want};
use crate::engine::peer::Peer;
use crate::memory::pool::BLOCK_SIZE;

/// Pieces of the picker's order looked at for one request.
const PICKER_SCAN: usize = 2048;

/// What comes next is not asked of a silent peer, where others have it.
const LEFT_BY_SILENT: u32 = 16;

impl Scheduler<'_> {
    pub(super) fn pick(&mut self, now: Time, key: PeerKey) -> Option<Pick> {
        self.pass_full_wants();
        self.pick_wanted(now, key, usize::MAX)
            .or_else(|| self.pick_by_priority(key))
            .or_else(|| self.pick_revealed(key))
    }

    /// Steps over the first wants, as far as all their blocks are asked for.
    pub(super) fn pass_full_wants(&mut self) {
        let Some(content) = &*self.content else { return };
        self.requests.demand.pass(|want| {
            let is_full = |s: &PieceState| !s.has_free_within(want.from, want.until);
            !content.is_missing(want.piece) || content.store().slot(want.piece).is_some_and(is_full)
        });
    }

    /// May the peer be asked for blocks of the piece? One on parole only for pieces of its own, and what nobody free of
    /// suspicion brings.
    pub(super) fn usable(&self, peer: &Peer, piece: u32) -> bool {
        match self.content.as_ref().and_then(|c| c.store().slot(piece)) {
            None => true,
            Some(slot) if slot.stage() != Stage::Partial => false,
            Some(slot) if slot.exclusive() != PeerKey::NOBODY => slot.exclusive() == peer.key(),
            Some(_) => !peer.parole.is_on() || !self.has_trusted(piece),
        }
    }

    /// Does anybody free of suspicion bring the piece?
    fn has_trusted(&self, piece: u32) -> bool {
        self.peers.values().any(|p| !p.parole.is_on() && !p.source.is_snubbed() && p.serves(piece))
    }

    /// Blocks at the front of what is wanted that others bring by the time at which this peer would bring one.
    pub(super) fn left_to_faster(&self, now: Time, peer: &Peer) -> u32 {
        // It is our limit that makes it slow: nobody brings anything sooner.
        if self.requests.limit.slows(&peer.source) {
            return 0;
        }
        let most = max_requests(&self.config.settings);
        let wait = peer.standing_wait(now, self.queue_time(now), self.requests.aggregate.share(), most);
        let behind = self.requests.ranking.behind(wait);
        if behind == Duration::ZERO {
            return 0;
        }
        let blocks = |bandwidth: f64| (behind.as_secs_f64() * bandwidth / f64::from(BLOCK_SIZE)) as u32;
        let bandwidth = self.requests.aggregate.path.bandwidth();
        if peer.source.is_unresponsive() {
            // What others bring without it: else it would leave all there is to them, for what it brought before.
            return blocks(self.brought_beside(peer).min(bandwidth)).max(LEFT_BY_SILENT);
        }
        blocks(bandwidth)
    }

    /// What the fastest of the others bring, bytes a second.
    fn brought_beside(&self, peer: &Peer) -> f64 {
        let quick = self.requests.ranking.quick().iter().filter_map(|key| self.peers.get(key));
        quick
            .filter(|p| p.key() != peer.key() && !p.source.is_unresponsive())
            .map(|p| p.source.path().bandwidth())
            .sum()
    }

    /// Of the first so many wants.
    pub(super) fn pick_wanted(&mut self, now: Time, key: PeerKey, first: usize) -> Option<Pick> {
        let (peer, content) = (self.peers.get(&key)?, self.content.as_ref()?);
        let mut leave = if self.requests.demand.has_open() { self.left_to_faster(now, peer) } else { 0 };
        // One that has nothing to do, and is not asked for it, cannot be relied on.
        let quick = || {
            let others = self.requests.ranking.quick().iter().filter(|k| **k != key).filter_map(|k| self.peers.get(k));
            others.filter(|p| !p.source.requests().is_empty() && !p.source.is_snubbed() && !p.parole.is_on())
        };
        let mut admitted = None;
        let mut found = None;
        for want in self.requests.demand.open(first) {
            if !peer.serves(want.piece) || !content.is_missing(want.piece) || !self.usable(peer, want.piece) {
                continue;
            }
            let slot = content.store().slot(want.piece);
            // A suspect proves itself on a piece of its own; not on one for which a read waits, if it need not.
            if peer.parole.is_on() && slot.is_none() && want.class == Class::Blocked && self.has_trusted(want.piece) {
                continue;
            }
            let free = want.free_blocks(slot, content.layout());
            if free == 0 {
                continue;
            }
            let mut skip = 0;
            if leave > 0 && slot.is_none_or(|s| s.exclusive() != key) && quick().any(|p| p.serves(want.piece)) {
                if leave >= free {
                    leave -= free;
                    continue;
                }
                skip = std::mem::take(&mut leave);
            }
            // Windows on memory storage fit by construction; everything else must leave room for what is begun.
            let windowed = self.config.storage == StorageKind::Memory
                && (want.class != Class::Deadline || self.readers.values().any(|r| r.window().contains(want.piece)));
            let fits = slot.is_some()
                || windowed
                || *admitted.get_or_insert_with(|| self.admission().admits(content, want.class, want.piece));
            if fits {
                found = Some((*want, slot.is_none(), skip));
                break;
            }
        }
        let (Want { piece, class, from, until, .. }, fresh, skip) = found?;
        let content = self.content.as_mut()?;
        let block = if fresh {
            content.layout().blocks_to_fetch(piece, from, until).nth(skip as usize)?
        } else {
            content.store_mut().free_block(piece, from, until, skip)?
        };
        Some(Pick { piece, block, class })
    }

    /// Pieces begun come first: a whole piece is worth more than two halves, and memory is freed sooner.
    fn pick_by_priority(&mut self, key: PeerKey) -> Option<Pick> {
        self.content.as_mut()?.note_begun();
        let (peer, content) = (self.peers.get(&key)?, self.content.as_ref()?);
        if !content.picker().has_wanted() {
            return None;
        }
        let class = Class::Priority;
        let goes_on = |p: &u32| {
            content.picker().priority(*p) > 0
                && peer.serves(*p)
                && content.store().slot(*p).is_some_and(|s| s.has_free_block())
                && !self.readers.is_read_by_blocks(*p)
                && self.usable(peer, *p)
        };
        // The one at which this peer is, before all others.
        let current = peer.source.requests().back().map(|r| r.piece).filter(goes_on);
        if let Some(piece) = current.or_else(|| first_of_highest(content, goes_on)) {
            let block = self.content.as_mut()?.store_mut().free_block(piece, 0, u32::MAX, 0)?;
            return Some(Pick { piece, block, class });
        }
        if !content.picker().has_fresh() {
            return self.pick_for_endgame(key);
        }
        // Where memory has no room for any piece, none need be looked for: all are as long as the first, or as the last.
        let last = content.picker().num_pieces().saturating_sub(1);
        let room = [0, last].into_iter().any(|piece| self.admission().admits(content, class, piece));
        if !room && peer.serves_all() {
            return None;
        }
        let Some(piece) = self.fresh_piece(key) else { return self.pick_for_endgame(key) };
        let content = self.content.as_ref()?;
        let block = content.layout().blocks_to_fetch(piece, 0, u32::MAX).next()?;
        self.admission().admits(content, class, piece).then_some(Pick { piece, block, class })
    }

    /// A piece that nobody was asked for.
    fn fresh_piece(&mut self, key: PeerKey) -> Option<u32> {
        let (peer, content) = (self.peers.get(&key)?, self.content.as_mut()?);
        let serves = |p: &u32| peer.serves(*p);
        if self.config.flags.contains(TorrentFlags::SEQUENTIAL_DOWNLOAD) {
            return content.in_file_order().take(PICKER_SCAN).find(serves);
        }
        // Among the rarest, one by chance: peers that all take the same piece have nothing to trade.
        let mut rarest = content.picker().in_order().take(PICKER_SCAN).filter(serves).take(8);
        let Some(first) = rarest.next() else {
            // One that has little, and nothing of what is rare.
            let from = self.requests.rng.u32(..content.picker().num_pieces().max(1));
            return peer
                .haves
                .pieces()
                .iter_from(from)
                .take(PICKER_SCAN)
                .find(|p| content.picker().is_fresh(*p) && serves(p));
        };
        let alike = (content.picker().priority(first), content.picker().availability(first));
        let mut pool: Vec<u32> = vec![first];
        pool.extend(rarest.filter(|p| (content.picker().priority(*p), content.picker().availability(*p)) == alike));
        pool.get(self.requests.rng.usize(0..pool.len())).copied()
    }

    /// Everything wanted is asked for: a copy of what another peer was asked for.
    fn pick_for_endgame(&self, key: PeerKey) -> Option<Pick> {
        let (peer, content) = (self.peers.get(&key)?, self.content.as_ref()?);
        if peer.source.requests().len() >= 2 && self.config.settings.strict_end_game_mode {
            return None;
        }
        // While our limit lets anybody wait, a copy brings nothing sooner.
        if self.requests.limit.is_limited() && self.requests.limit.holds_back() {
            return None;
        }
        let wanted = |p: &u32| peer.serves(*p) && content.picker().priority(*p) > 0 && self.usable(peer, *p);
        content.store().present().iter().copied().filter(wanted).find_map(|piece| {
            let block = content.store().single_block(piece, key)?;
            Some(Pick { piece, block, class: Class::Priority })
        })
    }
}

/// Of the pieces begun that will do, the first one of the highest priority.
fn first_of_highest(content: &Content, will_do: impl Fn(&u32) -> bool) -> Option<u32> {
    let (top, mut best) = (content.picker().top_priority(), None);
    for piece in content.store().open_pieces().filter(will_do) {
        let priority = content.picker().priority(piece);
        if best.is_none_or(|(_, highest)| priority > highest) {
            best = Some((piece, priority));
        }
        if priority >= top {
            break;
        }
    }
    best.map(|(piece, _)| piece)
}
