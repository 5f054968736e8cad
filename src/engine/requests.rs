//! Requests: which block is asked of which peer, and when one is taken back.
//!
//! A peer is given work when something changed for it: it unchoked us, brought a block, a reader moved, a block got late.
//! The order is that of `wants`, then the picker's. A block's memory is charged before its request goes out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Time;
use super::connections::wake;
use super::memory::Keepers;
use super::peer::{Peer, Request};
use super::pipe::QueueTime;
use super::reader::Reader;
use super::store::{PeerKey, Stage};
use super::torrent::{StorageKind, Torrent, TorrentFlags};
use super::wants::{self, Class};
use crate::storage::pool::BLOCK_SIZE;
use crate::wire::{BlockRequest, Message};

/// How many of the most urgent pieces are looked at for late blocks.
const LATE_PIECES: usize = 4;
/// Copies of late blocks asked of one peer in one go.
const LATE_AT_ONCE: usize = 8;
/// The first pieces wanted, which slow peers leave to fast ones.
const URGENT_PIECES: usize = 2;
/// Pieces of the picker's order looked at for one request.
const PICKER_SCAN: usize = 2048;

/// A block to ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick {
    pub piece: u32,
    pub block: u32,
    pub class: Class,
}

/// Will another peer, a much faster one, serve the piece?
fn faster_serves(peers: &BTreeMap<PeerKey, Peer>, now: Time, slow: &Peer, piece: u32) -> bool {
    let mine = slow.expected_arrival(now).since(now);
    peers.values().any(|p| {
        p.key != slow.key
            && p.am_interested
            && !p.snubbed
            && !p.parole
            && p.serves(piece)
            && is_much_slower(mine, p.expected_arrival(now).since(now))
    })
}

fn is_much_slower(mine: Duration, best: Duration) -> bool {
    mine > best * 4 + Duration::from_millis(250)
}

impl Torrent {
    /// Gives every peer that has room something to do, the fastest first.
    pub(super) fn fill_all(&mut self, now: Time) {
        self.refill = false;
        self.owes_follow_up = false;
        if self.content.is_none() || self.checking || !self.is_running() {
            return;
        }
        let mut keys: Vec<(Time, PeerKey)> = self
            .peers
            .values()
            .filter(|p| p.am_interested && (!p.peer_choking || !p.allowed_to_us.is_empty()))
            .map(|p| (p.expected_arrival(now), p.key))
            .collect();
        keys.sort_unstable();
        for (_, key) in keys {
            self.fill(now, key);
        }
    }

    /// Asks a peer for blocks until its queue is full.
    pub(super) fn fill(&mut self, now: Time, key: PeerKey) {
        if self.checking || !self.is_running() || self.flags.contains(TorrentFlags::UPLOAD_MODE) {
            return;
        }
        self.refresh_wants(now);
        let max = usize::try_from(self.settings.max_out_request_queue).unwrap_or(1);
        let Some(peer) = self.peers.get(&key) else { return };
        if !peer.am_interested || (peer.peer_choking && peer.allowed_to_us.is_empty()) {
            return;
        }
        let time = self.queue_time(now);
        let target = peer.target_queue(time, self.inflow.share(), max);
        // A queue that is nearly full is left alone, so that requests go out in batches; a player's, which is short, in small ones.
        let batch = match time {
            QueueTime::Least => (target / 8).max(2),
            QueueTime::Plus(_) => target / 4,
        };
        if peer.requests.len() >= target || (peer.requests.len() > 8 && peer.requests.len() + batch > target) {
            return;
        }
        let slow = self.is_slow(now, key);
        self.ask_late(now, key, slow, max);
        loop {
            let Some(peer) = self.peers.get(&key) else { return };
            if peer.requests.len() >= target {
                break;
            }
            let Some(pick) = self.pick(now, key, slow) else { break };
            if !self.request(now, key, pick) {
                break;
            }
        }
        if let Some(peer) = self.peers.get_mut(&key)
            && !peer.outbox.is_empty()
        {
            wake(&mut self.out.wake, peer);
        }
    }

    /// How far ahead peers are asked: no further than it takes while somebody plays, so that a seek finds the way free.
    pub(super) fn queue_time(&self, now: Time) -> QueueTime {
        let plays = |r: &Reader| !r.options.background && r.is_active(now);
        if !self.deadlines.is_empty() || self.readers.values().any(plays) {
            return QueueTime::Least;
        }
        QueueTime::Plus(Duration::from_secs(u64::try_from(self.settings.request_queue_time).unwrap_or(1)))
    }

    /// Would another peer bring a block much sooner? Such a peer is kept away from the most urgent pieces.
    fn is_slow(&self, now: Time, key: PeerKey) -> bool {
        if self.peers.len() < 2 {
            return false;
        }
        let best = self.peers.values().filter(|p| !p.peer_choking && !p.snubbed).map(|p| p.expected_arrival(now)).min();
        let mine = self.peers.get(&key).map(|p| p.expected_arrival(now));
        matches!((best, mine), (Some(b), Some(m)) if is_much_slower(m.since(now), b.since(now)))
    }

    pub(super) fn refresh_wants(&mut self, now: Time) {
        if !std::mem::take(&mut self.wants_dirty) {
            return;
        }
        self.update_windows(now);
        let Some(content) = &self.content else { return };
        self.wants = wants::order(now, &self.readers, &self.deadlines, |p| content.is_missing(p));
        self.wants_from = 0;
    }

    /// Asks for further copies of urgent blocks that are late.
    fn ask_late(&mut self, now: Time, key: PeerKey, slow: bool, max: usize) {
        if slow || self.peers.len() < 2 {
            return;
        }
        for _ in 0..LATE_AT_ONCE {
            let (Some(peer), Some(content)) = (self.peers.get(&key), &self.content) else { return };
            if peer.parole || peer.snubbed || peer.requests.len() >= max {
                return;
            }
            let eta = peer.expected_arrival(now);
            let late = self.wants.iter().take(LATE_PIECES).filter(|w| peer.serves(w.piece)).find_map(|w| {
                let block = content.store.late_block(w.piece, now, key, eta, false)?;
                Some(Pick { piece: w.piece, block, class: w.class })
            });
            let owner = late.and_then(|l| content.store.slot(l.piece)).map_or(PeerKey::NOBODY, |s| s.exclusive);
            match late {
                Some(pick) if owner != PeerKey::NOBODY => return self.take_over(now, pick.piece),
                Some(pick) if self.request(now, key, pick) => {}
                _ => return,
            }
        }
    }

    /// The next block for this peer.
    fn pick(&mut self, now: Time, key: PeerKey, slow: bool) -> Option<Pick> {
        let peer = self.peers.get(&key)?;
        let content = self.content.as_mut()?;
        let keepers = Keepers { readers: &self.readers, deadlines: &self.deadlines, protected: &self.kept_lookbehind };
        let parole = peer.parole;
        let peers = &self.peers;
        // What it may take of a piece: a peer on parole only pieces of its own, and what nobody free of suspicion brings.
        let usable = |store: &super::store::Store, piece: u32| match store.slot(piece) {
            None => true,
            Some(s) if s.stage != Stage::Partial => false,
            Some(s) if s.exclusive == key => true,
            Some(s) if s.exclusive != PeerKey::NOBODY => false,
            Some(_) => !parole || !peers.values().any(|p| !p.parole && !p.snubbed && p.serves(piece)),
        };
        while let Some(want) = self.wants.get(self.wants_from) {
            let full =
                !content.is_missing(want.piece) || content.store.slot(want.piece).is_some_and(|s| !s.has_free_block());
            if !full {
                break;
            }
            self.wants_from += 1;
        }
        let mut admitted = None;
        for (rank, want) in self.wants.iter().enumerate().skip(self.wants_from) {
            if !peer.serves(want.piece) || !content.is_missing(want.piece) || !usable(&content.store, want.piece) {
                continue;
            }
            if slow && rank < self.wants_from + URGENT_PIECES && faster_serves(&self.peers, now, peer, want.piece) {
                continue;
            }
            if content.store.slot(want.piece).is_none() {
                // Windows on memory storage fit by construction; everything else must leave room for what is begun.
                let windowed = self.storage == StorageKind::Memory
                    && (want.class != Class::Deadline || self.readers.values().any(|r| r.window.contains(want.piece)));
                let fits = windowed
                    || *admitted.get_or_insert_with(|| keepers.admits(content, &self.pool, want.class, want.piece));
                if fits {
                    return Some(Pick { piece: want.piece, block: 0, class: want.class });
                }
            } else if let Some(block) = content.store.free_block(want.piece) {
                return Some(Pick { piece: want.piece, block, class: want.class });
            }
        }
        if !content.picker.has_wanted() {
            return None;
        }
        // Pieces begun come first: a whole piece is worth more than two halves, and memory is freed sooner. The one at which
        // this peer is, before all others, for the search is long where many are begun.
        let current = peer.requests.back().map(|r| r.piece).filter(|p| {
            content.picker.priority(*p) > 0
                && peer.serves(*p)
                && content.store.slot(*p).is_some_and(|s| s.has_free_block())
                && usable(&content.store, *p)
        });
        if let Some(piece) = current
            && let Some(block) = content.store.free_block(piece)
        {
            return Some(Pick { piece, block, class: Class::Priority });
        }
        let begun = content.store.present().iter().copied().filter(|p| {
            content.picker.priority(*p) > 0
                && peer.serves(*p)
                && usable(&content.store, *p)
                && content.store.slot(*p).is_some_and(|s| s.has_free_block())
        });
        if let Some(piece) = begun.max_by_key(|p| (content.picker.priority(*p), std::cmp::Reverse(*p))) {
            let block = content.store.free_block(piece)?;
            return Some(Pick { piece, block, class: Class::Priority });
        }
        let fresh = |p: &u32| peer.serves(*p) && content.store.slot(*p).is_none();
        let next = if self.flags.contains(TorrentFlags::SEQUENTIAL_DOWNLOAD) {
            content.picker.in_file_order().take(PICKER_SCAN.max(content.store.present().len() * 2)).find(fresh)
        } else {
            // Among the rarest, one by chance: peers that all take the same piece have nothing to trade.
            let mut rarest = content.picker.in_order().take(PICKER_SCAN).filter(fresh).take(8);
            let first = rarest.next();
            first.map(|first| {
                let alike = (content.picker.priority(first), content.picker.availability(first));
                let mut pool: Vec<u32> = vec![first];
                pool.extend(rarest.filter(|p| (content.picker.priority(*p), content.picker.availability(*p)) == alike));
                pool.get(self.rng.usize(0..pool.len())).copied().unwrap_or(first)
            })
        };
        if let Some(piece) = next {
            return keepers.admits(content, &self.pool, Class::Priority, piece).then_some(Pick {
                piece,
                block: 0,
                class: Class::Priority,
            });
        }
        // End game: everything wanted is asked for; copies of what is slow.
        let eta = peer.expected_arrival(now);
        if peer.requests.len() >= 2 && self.settings.strict_end_game_mode {
            return None;
        }
        content
            .store
            .present()
            .iter()
            .copied()
            .filter(|p| peer.serves(*p) && usable(&content.store, *p) && content.picker.priority(*p) > 0)
            .find_map(|piece| {
                let block = content.store.late_block(piece, now, key, eta, true)?;
                Some(Pick { piece, block, class: Class::Priority })
            })
    }

    /// Charges the block and sends the request. False: there is no memory for it.
    fn request(&mut self, now: Time, key: PeerKey, pick: Pick) -> bool {
        let Some(reservation) = self.pool.reserve().or_else(|| {
            self.make_room(now, pick);
            self.pool.reserve()
        }) else {
            self.starved = true;
            self.out.memory_wanted = true;
            return false;
        };
        self.claim_for_suspect(now, key, pick.piece);
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), self.content.as_mut()) else { return false };
        let layout = &content.info.layout;
        let begin = pick.block * BLOCK_SIZE;
        let length = layout.block_size(pick.piece, pick.block);
        content.store.open(now, pick.piece, layout.blocks_in_piece(pick.piece));
        if peer.parole
            && let Some(slot) = content.store.slot_mut(pick.piece)
        {
            slot.exclusive = key;
        }
        let expected = peer.expected_arrival(now).since(now);
        let due = now + expected + expected / 2 + Duration::from_millis(200);
        content.store.mark_asked(pick.piece, pick.block, key, now + expected, due);
        peer.credits.put(pick.piece, begin, length, reservation);
        if peer.requests.is_empty() {
            peer.last_block = now;
        }
        peer.last_request = now;
        peer.requests.push_back(Request {
            piece: pick.piece,
            block: pick.block,
            sent: now,
            delivered: peer.pipe.delivered(),
            delivered_by_all: self.inflow.pipe.delivered(),
        });
        peer.send(now, &Message::Request(BlockRequest { piece: pick.piece, begin, length }));
        true
    }

    /// The request will not be answered: the block is free again, its charge comes back.
    pub(super) fn release_request(&mut self, key: PeerKey, piece: u32, block: u32) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.take_request(piece, block).is_some() {
            drop(peer.credits.take(piece, block * BLOCK_SIZE));
            if let Some(content) = &mut self.content {
                content.store.unmark_asked(piece, block, key);
            }
            self.wants_from = 0;
        }
    }

    /// The same where the store has forgotten the block already.
    pub(super) fn drop_request(&mut self, key: PeerKey, piece: u32, block: u32) {
        if let Some(peer) = self.peers.get_mut(&key)
            && peer.take_request(piece, block).is_some()
        {
            drop(peer.credits.take(piece, block * BLOCK_SIZE));
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
    }

    pub(super) fn send_cancel(&mut self, now: Time, key: PeerKey, piece: u32, block: u32) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), &self.content) else { return };
        let length = content.info.layout.block_size(piece, block);
        peer.send(now, &Message::Cancel(BlockRequest { piece, begin: block * BLOCK_SIZE, length }));
        peer.note_cancelled(piece, block);
        self.counters.cancelled_blocks += 1;
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
        let wanted: std::collections::HashSet<u32> = self.wants.iter().map(|w| w.piece).collect();
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
        if !peer.requests.iter().any(|r| r.piece == request.piece && r.block == block) {
            return;
        }
        if peer.peer_choking {
            peer.allowed_to_us.retain(|p| *p != request.piece);
        } else {
            peer.note_refused(now, request.piece);
        }
        self.release_request(key, request.piece, block);
        self.suspect_stops(key);
        self.refill = true;
    }
}
