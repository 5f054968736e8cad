//! Requests: sent, answered, refused, taken back. A block's memory is charged before its request goes out.

pub mod demand;
pub mod in_vain;
pub mod late;
pub mod open_slots;
pub mod ranking;
pub mod scheduler;
pub mod selector;
pub mod shows;
use self::demand::Demand;
use self::in_vain::InVain;
use self::late::LateHeap;
use self::open_slots::OpenSlots;
use self::ranking::Ranking;
use self::shows::Shows;
use super::bandwidth::aggregate::Aggregate;
use super::bandwidth::limited::Limited;
use super::bandwidth::path::QueueTime;
use std::time::Duration;

use self::demand::Class;
use self::selector::Pick;
use super::content::pieces::PeerKey;
use super::peer::Request;
use super::peer::messages::wake;
use super::torrent::Torrent;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;
use crate::wire::{BlockRequest, Message};

/// When a block is expected from one that is not relied on: later than from anybody else.
const NOT_RELIED_ON: Duration = Duration::from_secs(60);

/// What is wanted, and of whom it is asked.
#[derive(Debug)]
pub(in crate::engine) struct Requests {
    pub(in crate::engine) demand: Demand,
    /// What all peers bring together, and who of them is fast.
    pub(in crate::engine) aggregate: Aggregate,
    pub(in crate::engine) in_vain: InVain,
    pub(in crate::engine) ranking: Ranking,
    /// When urgent blocks are late.
    pub(in crate::engine) late: LateHeap,
    /// When peers may be asked again for what they refused.
    next_forgiveness: Time,
    /// Peers that have room in their queues.
    pub(in crate::engine) open: OpenSlots,
    /// Requests came free: every peer is to be looked at again.
    refill: bool,
    /// Peers may have been asked as far ahead as where nobody plays.
    asked_far_ahead: bool,
    pub(in crate::engine) limited: Limited,
    pub(in crate::engine) shows: Shows,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            demand: Demand::default(),
            aggregate: Aggregate::default(),
            in_vain: InVain::default(),
            ranking: Ranking::default(),
            late: LateHeap::default(),
            next_forgiveness: Time::NEVER,
            open: OpenSlots::default(),
            refill: false,
            asked_far_ahead: false,
            limited: Limited::default(),
            shows: Shows::default(),
        }
    }
}

impl Requests {
    /// Peers refuse something until then.
    pub(in crate::engine) fn forgive_at(&mut self, time: Time) {
        self.next_forgiveness = self.next_forgiveness.min(time);
    }

    /// When peers may be asked again for what they refused, if they refuse anything.
    pub(in crate::engine) fn next_forgiveness(&self) -> Option<Time> {
        Some(self.next_forgiveness).filter(|at| *at < Time::NEVER)
    }

    /// Requests came free: every peer is to be looked at again.
    pub(in crate::engine) fn refill_all(&mut self) {
        self.refill = true;
    }

    pub(in crate::engine) fn is_to_refill(&self) -> bool {
        self.refill
    }

    fn take_refill(&mut self) {
        self.refill = false;
    }

    fn note_asked(&mut self, time: QueueTime) {
        self.asked_far_ahead |= matches!(time, QueueTime::Plus(_));
    }

    /// Peers may have been asked as far ahead as where nobody plays.
    pub(in crate::engine) fn were_asked_far_ahead(&self) -> bool {
        self.asked_far_ahead
    }

    /// What was asked too far ahead is taken back.
    pub(in crate::engine) fn way_is_clear(&mut self) {
        self.asked_far_ahead = false;
    }

    /// Nothing is asked of anybody any more; the download limit stays.
    pub(in crate::engine) fn start_over(&mut self) {
        self.limited.peers_gone();
        *self = Self { limited: std::mem::take(&mut self.limited), ..Self::default() };
    }
}

impl Torrent {
    /// Charges the block and sends the request. False: there is no memory for it.
    pub(super) fn request(&mut self, now: Time, key: PeerKey, pick: Pick) -> bool {
        let Some((reservation, promise)) = self.charge(now, pick) else { return false };
        self.claim_for_suspect(now, key, pick.piece);
        if pick.class == Class::Shown {
            self.note_taken(pick.piece);
        }
        let least_urgent = self.least_urgent();
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), self.content.as_mut()) else { return false };
        let layout = content.layout();
        let begin = pick.block * BLOCK_SIZE;
        let length = layout.block_size(pick.piece, pick.block);
        // A suspect took it over from others, and what was set aside for it is gone with what they had brought.
        if promise.is_none() && content.store().slot(pick.piece).is_none() {
            self.requests.demand.changed();
        }
        if content.begin(now, pick.piece, promise, &self.cache.pool) {
            // Who does not wait for the whole of it may read on.
            self.out.readers_changed = true;
        }
        if peer.parole {
            content.store_mut().set_exclusive(pick.piece, key);
        }
        let expected = peer.expected_arrival(now, self.requests.aggregate.share());
        let due = expected + peer.path.patience();
        // It is silent, or it is a stranger and another one left with the block. It is not relied on: who has room is asked for it, too.
        let in_vain = peer.is_unknown() && self.requests.in_vain.has(pick.piece, pick.block);
        let relied_on = !peer.is_out() && !in_vain;
        let expected = if relied_on { expected } else { now + NOT_RELIED_ON };
        content.store_mut().mark_asked(pick.piece, pick.block, key, expected, due);
        if pick.class <= least_urgent {
            content.store_mut().watch(pick.piece, pick.block, pick.block + 1, |due, block| {
                self.requests.late.push(due, pick.piece, block)
            });
        }
        peer.credits.put(pick.piece, begin, length, reservation);
        peer.note_asked(now);
        if peer.requests.is_empty() {
            peer.last_block = now;
        }
        peer.last_request = now;
        peer.requests.push_back(Request {
            piece: pick.piece,
            block: pick.block,
            sent: now,
            expected,
            delivered: peer.path.delivered(),
            delivered_by_all: self.requests.aggregate.path.delivered(),
        });
        peer.send(now, &Message::Request(BlockRequest { piece: pick.piece, begin, length }));
        wake(&mut self.out.wake, peer);
        true
    }

    /// The request will not be answered: the block is free again, its charge comes back.
    pub(super) fn release_request(&mut self, key: PeerKey, piece: u32, block: u32) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.take_request(piece, block).is_some() {
            peer.note_taken_back();
            let charge = peer.credits.take(piece, block * BLOCK_SIZE);
            if let Some(content) = &mut self.content {
                content.store_mut().unmark_asked(piece, block, key);
                content.store_mut().take_in(piece, charge);
            }
            self.requests.demand.came_free();
            self.note_open(key);
        }
    }

    /// The same where the store has forgotten the block already.
    pub(super) fn drop_request(&mut self, key: PeerKey, piece: u32, block: u32) {
        if let Some(peer) = self.peers.get_mut(&key)
            && peer.take_request(piece, block).is_some()
        {
            peer.note_taken_back();
            drop(peer.credits.take(piece, block * BLOCK_SIZE));
            self.note_open(key);
        }
    }

    /// Takes back what was asked of a peer, as far as `which` says; tells it.
    pub(super) fn cancel_requests(&mut self, now: Time, key: PeerKey, which: impl Fn(u32) -> bool) {
        let Some(peer) = self.peers.get(&key) else { return };
        let cancelled: Vec<(u32, u32)> =
            peer.requests.iter().filter(|r| which(r.piece)).map(|r| (r.piece, r.block)).collect();
        for (piece, block) in cancelled {
            self.send_cancel(now, key, piece, block);
            self.release_request(key, piece, block);
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.ran_dry();
        }
    }

    pub(super) fn send_cancel(&mut self, now: Time, key: PeerKey, piece: u32, block: u32) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), &self.content) else { return };
        let length = content.layout().block_size(piece, block);
        peer.send(now, &Message::Cancel(BlockRequest { piece, begin: block * BLOCK_SIZE, length }));
        peer.note_cancelled(piece, block);
        self.meters.counters.cancelled_blocks += 1;
        wake(&mut self.out.wake, peer);
    }

    /// Nothing is to be downloaded any more.
    pub(super) fn cancel_all(&mut self, now: Time) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.cancel_requests(now, key, |_| true);
        }
    }

    /// After a seek: what stands before the new window in the peers' queues is taken back.
    pub(super) fn cancel_unwanted(&mut self, now: Time) {
        self.refresh_wants(now);
        let wanted: std::collections::HashSet<u32> = self.requests.demand.wants().iter().map(|w| w.piece).collect();
        let keys: Vec<PeerKey> = self.peers.values().filter(|p| !p.requests.is_empty()).map(|p| p.key).collect();
        for key in keys {
            self.cancel_requests(now, key, |piece| !wanted.contains(&piece));
        }
    }

    /// The peer will not serve the block (BEP 6).
    pub(super) fn rejected(&mut self, now: Time, key: PeerKey, request: BlockRequest) {
        let block = request.begin / BLOCK_SIZE;
        let Some(peer) = self.peers.get_mut(&key) else { return };
        // The answer to a cancel is no answer to a request made after it.
        if peer.answers_cancelled(request.piece, block) {
            return;
        }
        let Some(held) = peer.requests.iter().position(|r| r.piece == request.piece && r.block == block) else {
            return;
        };
        if peer.peer_choking {
            peer.allowed_to_us.retain(|p| *p != request.piece);
            peer.fickle.rejected();
        } else {
            peer.refusals.note(now, request.piece);
            self.requests.forgive_at(peer.refusals.next());
            peer.note_depth(now, held);
        }
        let gone = !peer.peer_choking && peer.shown.again && !peer.shown.shows(request.piece);
        self.release_request(key, request.piece, block);
        self.suspect_stops(key);
        self.requests.refill_all();
        if gone {
            // It cannot fail where the peer has the piece.
            let _ = self.peer_lost(now, key, request.piece);
        }
    }
    /// Asks again for what was refused, of those for whom the wait is over. Was there anything?
    pub(super) fn forgive_refusals(&mut self, now: Time) -> bool {
        if now < self.requests.next_forgiveness {
            return false;
        }
        let share = self.requests.aggregate.share();
        let refusing = self.peers.values_mut().filter(|p| !p.refusals.are_none());
        let next = refusing.map(|peer| {
            self.requests.open.insert(peer.key, peer.least_wait(share));
            peer.refusals.forgive(now);
            peer.refusals.next()
        });
        self.requests.next_forgiveness = next.min().unwrap_or(Time::NEVER);
        self.fill_all(now);
        true
    }
}
