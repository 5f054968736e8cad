//! Uploads: what peers ask of us, what they get, and who may ask (the choker at work).

use std::collections::BTreeSet;
use std::time::Duration;

use super::Peer;
use super::messages::wake;
use crate::alert::CloseReason;
use crate::base::error::{Error, Operation, Status};
use crate::base::time::Time;
use crate::engine::config::StorageKind;
use crate::engine::content::Content;
use crate::engine::content::pieces::PeerKey;
use crate::engine::output::{DiskJob, UploadRead};
use crate::engine::swarm::choker;
use crate::engine::swarm::choker::Candidate;
use crate::engine::torrent::Torrent;
use crate::memory::pool::{BLOCK_SIZE, Block};
use crate::metainfo::FileLayout;
use crate::wire::{BlockRequest, Message};

/// The longest request that is served; 16 KiB is what everybody asks.
const MAX_REQUEST: u32 = 128 * 1024;
/// Requests read from disk for a peer in one go.
const READ_BATCH: usize = 16;
/// So often a peer that is choked gets the pieces that it may have all the same (BEP 6).
const FAST_TIMES: usize = 3;
/// Between two times that slots are given away which came free, however many they are.
const LEAST_FILL_INTERVAL: Duration = Duration::from_secs(1);

impl Torrent {
    pub(in crate::engine) fn upload_requested(
        &mut self,
        now: Time,
        key: PeerKey,
        request: BlockRequest,
    ) -> Result<(), String> {
        let most = usize::try_from(self.config.settings.max_allowed_in_request_queue).unwrap_or(0);
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), self.content.as_ref()) else { return Ok(()) };
        let layout = &content.info.layout;
        let end = u64::from(request.begin) + u64::from(request.length);
        if request.piece >= layout.num_pieces()
            || request.length == 0
            || request.length > MAX_REQUEST
            || end > u64::from(layout.piece_size(request.piece))
        {
            return Err(format!(
                "request of {} bytes at {} of piece {} is out of range",
                request.length, request.begin, request.piece
            ));
        }
        let fast =
            peer.allowed_to_peer.contains(&request.piece) && peer.fast_requests < most_fast_requests(peer, layout);
        let allowed = !peer.am_choking || fast;
        peer.fast_requests += usize::from(peer.am_choking && fast);
        if !allowed || !content.have.get(request.piece) || peer.uploads.len() >= most {
            if peer.fast {
                peer.answer(now, &Message::Reject(request));
                wake(&mut self.out.wake, peer);
            }
            return Ok(());
        }
        peer.uploads.push_back(request);
        self.serve(now, key);
        Ok(())
    }

    pub(in crate::engine) fn upload_cancelled(&mut self, now: Time, key: PeerKey, request: BlockRequest) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let before = peer.uploads.len();
        peer.uploads.retain(|r| *r != request);
        if peer.uploads.len() != before && peer.fast {
            peer.answer(now, &Message::Reject(request));
            wake(&mut self.out.wake, peer);
        }
    }

    /// Moves what a peer asked for into its outbox, as far as the send buffer and its part of the memory for uploads allow; from
    /// disk it takes the long way. Where there is no memory it waits in line.
    pub(in crate::engine) fn serve(&mut self, now: Time, key: PeerKey) {
        if self.peers.get(&key).is_some_and(|p| !p.uploads.is_empty()) {
            let others_wait = !self.choker.upload_line.is_empty();
            if (others_wait || !self.lend(now, key)) && !self.choker.upload_line.contains(&key) {
                self.choker.upload_line.push_back(key);
            }
        }
        if let Some(peer) = self.peers.get_mut(&key)
            && !peer.outbox.is_empty()
        {
            wake(&mut self.out.wake, peer);
        }
    }

    /// Serves those who wait in line, as far as there is something to lend.
    fn serve_line(&mut self, now: Time) {
        while let Some(key) = self.choker.upload_line.front().copied() {
            if !self.lend(now, key) {
                return;
            }
            self.choker.upload_line.pop_front();
            if let Some(peer) = self.peers.get_mut(&key).filter(|p| !p.outbox.is_empty()) {
                wake(&mut self.out.wake, peer);
            }
        }
    }

    /// False: there is nothing to lend now, and nothing is on its way to the peer.
    fn lend(&mut self, now: Time, key: PeerKey) -> bool {
        let watermark = usize::try_from(self.config.settings.send_buffer_watermark).unwrap_or(0);
        let most = (self.cache.pool.most_lent() / self.choker.unchoked.max(1) as u64).max(1);
        let needed = self.cache.share.needed();
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), self.content.as_mut()) else { return true };
        let mut reads = Vec::new();
        let mut lent = true;
        while let Some(request) = peer.uploads.front().copied() {
            if peer.outbox.bytes() + peer.reading + reads_bytes(&reads) >= watermark
                || peer.loans.blocks() >= most
                || reads.len() >= READ_BATCH
            {
                break;
            }
            if !content.have.get(request.piece) {
                peer.uploads.pop_front();
                if peer.fast {
                    peer.answer(now, &Message::Reject(request));
                }
                continue;
            }
            if !peer.loans.take(blocks_of(self.config.storage, request), needed) {
                lent = peer.loans.blocks() > 0;
                break;
            }
            peer.uploads.pop_front();
            if self.config.storage == StorageKind::Disk {
                reads.push(request);
            } else {
                let parts = parts_of(content, request);
                peer.push_piece(now, request, parts);
                content.store.touch(request.piece);
            }
        }
        if !reads.is_empty() {
            peer.reading += reads_bytes(&reads);
            let read = UploadRead { peer: key, requests: reads };
            self.out.disk.push(DiskJob::Read { generation: self.life.disk_generation, read });
        }
        lent
    }

    /// Serves the peers whose requests wait though nothing is on its way to them: there was no memory to read into, or nothing to lend.
    pub(in crate::engine) fn serve_waiting(&mut self, now: Time) {
        self.serve_line(now);
        let waits = |p: &&Peer| !p.uploads.is_empty() && p.loans.blocks() == 0;
        let keys: Vec<PeerKey> = self.peers.values().filter(waits).map(|p| p.key).collect();
        keys.into_iter().for_each(|key| self.serve(now, key));
    }

    /// Ends the connections of those who do not read what waits for them, where somebody has use for the memory.
    pub(in crate::engine) fn close_stalled(&mut self, now: Time) {
        if self.choker.upload_line.is_empty() && !self.cache.pool.anybody_waits() {
            return;
        }
        let stalled = self.peers.values().filter(|p| p.loans.is_stalled(now)).map(|p| p.key);
        for key in stalled.collect::<Vec<_>>() {
            let error = Error::new(Status::Network, "it does not read what it asked for, and others need the memory");
            self.close(now, key, CloseReason::NoMemory, Some(error.with_operation(Operation::Bittorrent)));
        }
    }

    /// The disk read for an upload, or there was no memory to read into (None): then the request waits on, at the front.
    pub fn upload_read(
        &mut self,
        now: Time,
        key: PeerKey,
        request: BlockRequest,
        data: Option<Vec<(Block, u32, u32)>>,
    ) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.reading = peer.reading.saturating_sub(request.length as usize);
        if data.is_none() {
            peer.loans.give_back(blocks_of(StorageKind::Disk, request));
        }
        match data {
            Some(parts) => peer.push_piece(now, request, parts),
            None if !peer.am_choking || peer.allowed_to_peer.contains(&request.piece) => {
                peer.uploads.push_front(request)
            }
            None if peer.fast => peer.answer(now, &Message::Reject(request)),
            None => {}
        }
        wake(&mut self.out.wake, peer);
    }

    /// The shell wrote `payload` and `protocol` bytes to the peer and has room for more.
    pub fn peer_sent(&mut self, now: Time, key: PeerKey, payload: u64, all: u64) {
        self.meters.up.add(now, payload);
        self.meters.protocol_up.add(now, all);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.up.add(now, payload);
            peer.protocol_up.add(now, all);
            peer.last_sent = now;
            peer.loans.wrote(payload);
        }
        self.serve_line(now);
        self.serve(now, key);
    }

    /// The peer's socket takes no more of what is to be written to it, or took all that it was offered.
    pub fn peer_blocked(&mut self, now: Time, key: PeerKey, blocked: bool) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.loans.set_blocked(now, blocked);
        }
    }

    /// The next stretch to write to a peer. None: nothing, until it is woken.
    pub fn take_chunk(&mut self, now: Time, key: PeerKey) -> Option<super::outbox::Chunk> {
        let chunk = self.peers.get_mut(&key)?.outbox.pop();
        if chunk.is_none() {
            self.serve(now, key);
            let peer = self.peers.get_mut(&key)?;
            let chunk = peer.outbox.pop();
            if chunk.is_none() {
                peer.woken = false;
            }
            self.out.wake.retain(|k| *k != key);
            return chunk;
        }
        chunk
    }

    /// Bytes waiting to be written to a peer.
    pub fn outgoing_bytes(&self, key: PeerKey) -> usize {
        self.peers.get(&key).map_or(0, |p| p.outbox.bytes())
    }

    /// A slot that comes free is given away with the next tick: each message costs no look at all the others.
    pub(in crate::engine) fn peer_interested(&mut self, now: Time, key: PeerKey, interested: bool) {
        let has_slot = self.choker.unchoked < self.upload_slots();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if std::mem::replace(&mut peer.peer_interested, interested) == interested {
            return;
        }
        if interested && has_slot {
            self.set_choking(now, key, false);
        } else if !interested && !peer.am_choking {
            self.set_choking(now, key, true);
            self.slot_freed();
        }
    }

    /// Slots came free: they are given away soon, and not all too often.
    pub(in crate::engine) fn slot_freed(&mut self) {
        self.choker.next_fill = self.choker.next_fill.min(self.choker.least_fill);
    }

    /// Free slots go to those who would be chosen next. Nobody loses one before the next round.
    pub(in crate::engine) fn fill_slots(&mut self, now: Time) {
        if now < self.choker.next_fill {
            return;
        }
        (self.choker.next_fill, self.choker.least_fill) = (Time::NEVER, now + LEAST_FILL_INTERVAL);
        let free = self.upload_slots().saturating_sub(self.choker.unchoked);
        let candidates = self.candidates(|p| p.am_choking);
        for key in choker::unchoke(candidates, free, None) {
            self.set_choking(now, key, false);
        }
    }

    /// Those who are interested, as far as `which` says.
    fn candidates(&self, which: impl Fn(&Peer) -> bool) -> Vec<Candidate<PeerKey>> {
        let seeding = self.content.as_ref().is_some_and(|c| c.have.is_full());
        let rate = |p: &Peer| if seeding { p.up.per_second() } else { p.down.per_second() };
        let interested = self.peers.values().filter(|p| p.peer_interested && which(p));
        interested.map(|p| Candidate { key: p.key, rate: rate(p), last_unchoked: p.last_unchoked }).collect()
    }

    fn upload_slots(&self) -> usize {
        let own = self.config.max_uploads;
        let slots = if own > 0 { i64::from(own) } else { self.config.settings.unchoke_slots_limit };
        if slots < 0 { usize::MAX } else { usize::try_from(slots).unwrap_or(0) }
    }

    fn set_choking(&mut self, now: Time, key: PeerKey, choking: bool) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.am_choking == choking {
            return;
        }
        peer.am_choking = choking;
        if choking {
            self.choker.unchoked = self.choker.unchoked.saturating_sub(1);
            peer.answer(now, &Message::Choke);
            let allowed = std::mem::take(&mut peer.allowed_to_peer);
            let dropped: Vec<BlockRequest> =
                peer.uploads.iter().filter(|r| !allowed.contains(&r.piece)).copied().collect();
            peer.uploads.retain(|r| allowed.contains(&r.piece));
            peer.allowed_to_peer = allowed;
            if peer.fast {
                for request in dropped {
                    peer.answer(now, &Message::Reject(request));
                }
            }
        } else {
            self.choker.unchoked += 1;
            peer.last_unchoked = now;
            peer.answer(now, &Message::Unchoke);
        }
        wake(&mut self.out.wake, peer);
    }

    /// Every `unchoke_interval`: the slots go to those who give most (or, while we seed, take fastest).
    pub(in crate::engine) fn choke_round(&mut self, now: Time) {
        if now < self.choker.next_choke {
            return;
        }
        let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(1).max(1));
        self.choker.next_choke = now + seconds(self.config.settings.unchoke_interval);
        self.choker.next_fill = Time::NEVER;
        let candidates = self.candidates(|_| true);
        let slots = self.upload_slots();
        if now >= self.choker.next_optimistic || !self.peers.contains_key(&self.choker.optimistic) {
            self.choker.next_optimistic = now + seconds(self.config.settings.optimistic_unchoke_interval);
            let regular = choker::unchoke(candidates.clone(), slots.saturating_sub(1), None);
            self.choker.optimistic = choker::optimistic(&candidates, &regular).unwrap_or(PeerKey::NOBODY);
        }
        let optimistic = (self.choker.optimistic != PeerKey::NOBODY).then_some(self.choker.optimistic);
        let chosen: BTreeSet<PeerKey> = choker::unchoke(candidates, slots, optimistic).into_iter().collect();
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.optimistic = Some(key) == optimistic;
            }
            self.set_choking(now, key, !chosen.contains(&key));
        }
    }
}

/// Whoever may have some pieces while it is choked may have them a few times, and not for ever.
fn most_fast_requests(peer: &Peer, layout: &FileLayout) -> usize {
    FAST_TIMES * peer.allowed_to_peer.len() * layout.piece_length().div_ceil(BLOCK_SIZE) as usize
}

fn reads_bytes(reads: &[BlockRequest]) -> usize {
    reads.iter().map(|r| r.length as usize).sum()
}

/// How many blocks of memory a request takes, or keeps.
fn blocks_of(storage: StorageKind, request: BlockRequest) -> u64 {
    let from = if storage == StorageKind::Disk { 0 } else { request.begin % BLOCK_SIZE };
    u64::from((from + request.length).div_ceil(BLOCK_SIZE))
}

/// The blocks that hold a request's bytes; the piece is in memory and the request inside it.
fn parts_of(content: &Content, request: BlockRequest) -> Vec<(Block, u32, u32)> {
    let mut parts = Vec::new();
    let mut at = request.begin;
    let end = request.begin + request.length;
    while at < end {
        let Some(block) = content.store.block(request.piece, at / BLOCK_SIZE, false) else { break };
        let offset = at % BLOCK_SIZE;
        let n = block.len().saturating_sub(offset).min(end - at);
        if n == 0 {
            break;
        }
        parts.push((block.clone(), offset, n));
        at += n;
    }
    parts
}
