//! Connections of a torrent: what peers' messages mean, and who has to go.

use std::net::SocketAddr;
use std::time::Duration;

use super::Peer;
use super::budget;
use super::handshake::{LT_DONTHAVE, UT_METADATA, UT_PEX};
use super::outbox::Chunk;
use super::uploads::{Serving, Uploads};
use crate::alert::{Alert, CloseReason, SocketType};
use crate::base::error::{Error, Operation};
use crate::base::time::Time;
use crate::engine::config::{StorageKind, TorrentFlags};
use crate::engine::content::pieces::PeerKey;
use crate::engine::swarm::choker::ChokerRules;
use crate::engine::swarm::peer_list::Parting;
use crate::engine::swarm::smart_ban::Departed;
use crate::engine::torrent::Torrent;
use crate::memory::pool::BLOCK_SIZE;
use crate::memory::pool::Block;
use crate::wire::{BlockRequest, Message, Received, WireError, lt_donthave};

/// Pieces that a peer lets us ask for while it chokes us (BEP 6), at most.
const MAX_ALLOWED_TO_US: usize = 64;
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Bytes of messages that wait for a peer that does not read, and more for each piece, which it may be told of. One batch of requests that
/// are refused fits in.
const MOST_UNWRITTEN: usize = 1 << 20;
const UNWRITTEN_A_PIECE: usize = 16;
/// A peer whose connection did nothing for either side and was over within this time hung up on us: if something was wanted, that is
/// a failure.
const HUNG_UP: Duration = Duration::from_secs(10);

impl Torrent {
    /// What a peer sent, decoded. `bytes`: how much came from the socket for it. The batch is drained.
    pub fn peer_received(&mut self, now: Time, key: PeerKey, batch: &mut Vec<Received>, bytes: u64) {
        self.take_in(now, key, batch, bytes, false);
    }

    /// The same while more waits to be received: nobody's pieces may be hashed before it has come. So the caller owes another event of
    /// this peer, at once; [`Torrent::peer_paused`], if nothing came.
    pub fn peer_goes_on(&mut self, now: Time, key: PeerKey, batch: &mut Vec<Received>, bytes: u64) {
        self.take_in(now, key, batch, bytes, true);
    }

    fn take_in(&mut self, now: Time, key: PeerKey, batch: &mut Vec<Received>, bytes: u64, burst: bool) {
        self.meters.protocol_down.add(now, bytes);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.last_received = now;
            peer.protocol_down.add(now, bytes);
            peer.budget.charge_bytes(now, bytes);
        }
        for received in batch.drain(..) {
            let Some(peer) = self.peers.get_mut(&key) else { return };
            peer.budget.charge(now, budget::price(&received));
            let outcome = match received {
                Received::Block { piece, begin, data } => self.block_arrived(now, key, piece, begin, data),
                Received::Unpaid { piece, begin, length } => self.block_unpaid(now, key, piece, begin, length),
                Received::Message(message) => self.handle_message(now, key, message),
            };
            if let Err(what) = outcome {
                let error = Error::new(crate::base::error::Status::Network, what).with_operation(Operation::Bittorrent);
                self.close(now, key, CloseReason::InvalidMessage, Some(error));
                // What it was asked for is asked of others now.
                self.fill_all(now);
                return;
            }
        }
        self.close_deaf(now, key);
        self.hashing.set_burst(key, burst && self.peers.contains_key(&key));
        self.collect_hashes(now);
        self.prune_late();
        self.fill(now, key);
        if self.requests.refill {
            self.fill_all(now)
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            // Its own task looks at the outbox after this; only what comes later needs a wake.
            peer.woken = !peer.outbox.is_empty();
        }
        self.out.wake.retain(|k| *k != key);
    }

    /// Ends the connection of a peer that has long ceased to read.
    fn close_deaf(&mut self, now: Time, key: PeerKey) {
        let pieces = self.content.as_ref().map_or(0, |c| c.info.layout.num_pieces() as usize);
        let waiting = self.peers.get(&key).map_or(0, |p| p.outbox.message_bytes());
        if waiting > MOST_UNWRITTEN + UNWRITTEN_A_PIECE * pieces {
            let error = Error::new(crate::base::error::Status::Network, "it does not read what it is sent");
            self.close(now, key, CloseReason::NoMemory, Some(error.with_operation(Operation::Bittorrent)));
        }
    }

    /// How far the block is that comes in from the peer now.
    pub fn peer_receiving(&mut self, key: PeerKey, block: Option<(u32, u32, u32)>) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.receiving = block;
        }
    }

    /// The stream of a peer broke the protocol.
    pub fn peer_violated(&mut self, now: Time, key: PeerKey, error: &WireError) {
        let reason = error.close_reason();
        let error =
            Error::new(crate::base::error::Status::Network, error.to_string()).with_operation(Operation::Bittorrent);
        self.close(now, key, reason, Some(error));
        self.fill_all(now);
    }

    /// The connection ended under it.
    pub fn peer_closed(&mut self, now: Time, key: PeerKey, error: Option<Error>) {
        self.close(now, key, CloseReason::None, error);
        self.peer_paused(now, key);
        self.call_for_peers(now);
        self.fill_all(now);
        self.out.close.retain(|(k, _)| *k != key);
    }

    fn handle_message(&mut self, now: Time, key: PeerKey, message: Message) -> Result<(), String> {
        match message {
            Message::KeepAlive | Message::Suggest(_) | Message::Unknown(_) => {}
            Message::Choke => self.choked(now, key),
            Message::Unchoke => {
                if let Some(peer) = self.peers.get_mut(&key).filter(|p| p.peer_choking)
                    && peer.fickle.unchoked(now)
                {
                    peer.peer_choking = false;
                    self.requests.ranking.outdated();
                }
            }
            Message::Interested => self.peer_interested(now, key, true),
            Message::NotInterested => self.peer_interested(now, key, false),
            Message::Have(piece) => self.peer_has(now, key, piece)?,
            Message::Bitfield(bytes) => self.peer_bitfield(now, key, bytes)?,
            Message::HaveAll => self.peer_has_all(now, key)?,
            Message::HaveNone => {}
            Message::Request(request) => {
                let (uploads, mut rest) = self.serving();
                uploads.requested(now, key, request, &mut rest)?;
            }
            Message::Cancel(request) => {
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.upload_cancelled(now, request, &mut self.out.wake);
                }
            }
            Message::Reject(request) => self.rejected(now, key, request),
            Message::AllowedFast(piece) => {
                let pieces = self.content.as_ref().map(|c| c.info.layout.num_pieces());
                if let Some(peer) = self.peers.get_mut(&key)
                    && peer.allowed_to_us.len() < MAX_ALLOWED_TO_US
                    && pieces.is_none_or(|n| piece < n)
                    && !peer.allowed_to_us.contains(&piece)
                {
                    peer.allowed_to_us.push(piece);
                }
            }
            Message::Port(port) => {
                if let Some(peer) = self.peers.get_mut(&key)
                    && port != 0
                    && !std::mem::replace(&mut peer.told_dht_port, true)
                {
                    self.out.dht_nodes.push(SocketAddr::new(peer.address.ip(), port));
                }
            }
            Message::Extended { id: 0, payload } => self.extended_hello(now, key, &payload)?,
            Message::Extended { id: UT_METADATA, payload } => self.metadata_message(now, key, &payload)?,
            Message::Extended { id: UT_PEX, payload } => self.pex_message(now, key, &payload)?,
            Message::Extended { id: LT_DONTHAVE, payload } => {
                let piece = lt_donthave::parse(&payload).map_err(|e| e.to_string())?;
                self.peer_lost(now, key, piece)?;
            }
            Message::Extended { .. } => {}
        }
        Ok(())
    }

    /// Is a piece that we have ours for good?
    pub(in crate::engine) fn pieces_stay(&self) -> bool {
        self.config.storage == StorageKind::Disk
    }

    fn peer_interested(&mut self, now: Time, key: PeerKey, interested: bool) {
        let rules = self.choker_rules();
        if let Some(peer) = self.peers.get_mut(&key) {
            self.choker.interested(now, &rules, peer, interested, &mut self.out.wake);
        }
    }

    pub(in crate::engine) fn choker_rules(&self) -> ChokerRules {
        let (settings, own) = (&self.config.settings, self.config.max_uploads);
        let slots = if own > 0 { i64::from(own) } else { settings.unchoke_slots_limit };
        let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(1).max(1));
        ChokerRules {
            slots: if slots < 0 { usize::MAX } else { usize::try_from(slots).unwrap_or(0) },
            interval: seconds(settings.unchoke_interval),
            optimistic_interval: seconds(settings.optimistic_unchoke_interval),
            seeding: self.content.as_ref().is_some_and(|c| c.have.is_full()),
        }
    }

    pub(in crate::engine) fn serving(&mut self) -> (&mut Uploads, Serving<'_>) {
        let rest = Serving {
            config: &self.config,
            content: &mut self.content,
            peers: &mut self.peers,
            cache: &self.cache,
            unchoked: self.choker.unchoked(),
            disk_generation: self.life.disk_generation,
            out: &mut self.out,
        };
        (&mut self.uploads, rest)
    }

    /// The disk read for an upload, or there was no memory to read into (None): then the request waits on, at the front.
    pub fn upload_read(
        &mut self,
        now: Time,
        key: PeerKey,
        request: BlockRequest,
        data: Option<Vec<(Block, u32, u32)>>,
    ) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.upload_read(now, request, data);
            wake(&mut self.out.wake, peer);
        }
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
        let (uploads, mut rest) = self.serving();
        uploads.serve_line(now, &mut rest);
        uploads.serve(now, key, &mut rest);
    }

    /// The peer's socket takes no more of what is to be written to it, or took all that it was offered.
    pub fn peer_blocked(&mut self, now: Time, key: PeerKey, blocked: bool) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.loans.set_blocked(now, blocked);
        }
    }

    /// The next stretch to write to a peer. None: nothing, until it is woken.
    pub fn take_chunk(&mut self, now: Time, key: PeerKey) -> Option<Chunk> {
        let chunk = self.peers.get_mut(&key)?.outbox.pop();
        if chunk.is_some() {
            return chunk;
        }
        let (uploads, mut rest) = self.serving();
        uploads.serve(now, key, &mut rest);
        let peer = self.peers.get_mut(&key)?;
        let chunk = peer.outbox.pop();
        if chunk.is_none() {
            peer.woken = false;
        }
        self.out.wake.retain(|k| *k != key);
        chunk
    }

    /// Bytes waiting to be written to a peer.
    pub fn outgoing_bytes(&self, key: PeerKey) -> usize {
        self.peers.get(&key).map_or(0, |p| p.outbox.bytes())
    }

    fn choked(&mut self, now: Time, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.peer_choking = true;
        self.requests.ranking.outdated();
        // One with the fast extension rejects what it will not send, one by one.
        let fast = peer.fast;
        peer.fickle.choked(now, if fast { 0 } else { peer.requests.len() });
        self.suspect_stops(key);
        if fast {
            return;
        }
        let Some(peer) = self.peers.get(&key) else { return };
        let lost: Vec<(u32, u32)> = peer.requests.iter().map(|r| (r.piece, r.block)).collect();
        for (piece, block) in lost {
            self.release_request(key, piece, block);
            self.requests.refill = true;
        }
    }

    pub(in crate::engine) fn update_interests(&mut self, now: Time) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.update_interest(now, key);
        }
    }

    /// Interest follows from what the peer has and we lack, or may show next. On memory storage it is kept while anything is lacking at all:
    /// what is not wanted now will be after the next seek, and an unchoke takes longer to get than a block.
    pub(in crate::engine) fn update_interest(&mut self, now: Time, key: PeerKey) {
        let Some(peer) = self.peers.get(&key) else { return };
        let interested = self.is_interesting(peer);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if interested != peer.am_interested {
            peer.am_interested = interested;
            peer.send(now, if interested { &Message::Interested } else { &Message::NotInterested });
            wake(&mut self.out.wake, peer);
            if interested {
                self.note_open(key);
            }
        }
    }

    pub(in crate::engine) fn is_interesting(&self, peer: &Peer) -> bool {
        (peer.offers(self.content.as_ref()) > 0 || peer.shown.lingers.is_some()) && self.wants_any()
    }

    fn wants_any(&self) -> bool {
        !self.config.flags.contains(TorrentFlags::UPLOAD_MODE)
            && (self.config.storage == StorageKind::Memory
                || !self.readers.is_empty()
                || !self.readers.deadlines().is_empty()
                || self.content.as_ref().is_some_and(|c| c.picker.has_wanted()))
    }

    /// After anything that may have changed whether we want something at all.
    pub(in crate::engine) fn review_interests(&mut self, now: Time) {
        let wants_any = self.wants_any();
        if std::mem::replace(&mut self.requests.wanted_any, wants_any) != wants_any {
            self.update_interests(now);
        }
    }

    /// Timeouts of peers: the silent go, the snubbing are noted, keep-alives are sent.
    pub(in crate::engine) fn check_peers(&mut self, now: Time) {
        let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(0));
        let peer_timeout = seconds(self.config.settings.peer_timeout);
        let inactivity = seconds(self.config.settings.inactivity_timeout);
        let request_timeout = seconds(self.config.settings.request_timeout);
        let close_redundant =
            self.config.settings.close_redundant_connections && self.config.storage == StorageKind::Disk;
        let full = self.content.as_ref().is_some_and(|c| c.have.is_full());
        let crowded = self.peers.len() >= self.config.connection_limit();
        let deaf: Vec<PeerKey> =
            self.peers.values().filter(|p| p.outbox.message_bytes() > MOST_UNWRITTEN).map(|p| p.key).collect();
        deaf.into_iter().for_each(|key| self.close_deaf(now, key));
        self.close_stalled(now);
        self.end_lingering(now);
        let mut gone = Vec::new();
        let mut snubbed = Vec::new();
        let mut believed = Vec::new();
        let silent = self.peers.values().filter(|p| p.is_silent(now)).map(|p| p.requests.len() as u64);
        self.requests.aggregate.note_silent(silent.sum());
        for peer in self.peers.values_mut() {
            for rate in [&mut peer.down, &mut peer.up, &mut peer.protocol_down, &mut peer.protocol_up] {
                rate.update(now);
            }
            peer.fickle.forget_ghosts(now);
            peer.depth.raise(now);
            if peer.requests.is_empty() {
                peer.rhythm.rests();
            }
            if peer.fickle.is_believed_now(now) {
                peer.peer_choking = false;
                believed.push(peer.key);
            }
            if now.since(peer.last_received) > peer_timeout {
                gone.push((peer.key, CloseReason::TimedOutActivity));
            } else if close_redundant && full && (peer.is_seed() || peer.upload_only) {
                gone.push((peer.key, CloseReason::UploadToUpload));
            } else if crowded && peer.is_idle() && now.since(peer.last_useful.max(peer.connected_at)) > inactivity {
                gone.push((peer.key, CloseReason::TimedOutInterest));
            }
            if !peer.snubbed && peer.silent_for(now) > request_timeout {
                snubbed.push(peer.key);
            }
            if now.since(peer.last_sent) > KEEP_ALIVE {
                peer.send(now, &Message::KeepAlive);
                wake(&mut self.out.wake, peer);
            }
        }
        for key in snubbed {
            self.snub(now, key);
        }
        for key in believed {
            self.requests.ranking.outdated();
            self.note_open(key);
        }
        for (key, reason) in gone {
            self.close(now, key, reason, None);
        }
    }

    pub(in crate::engine) fn snub(&mut self, now: Time, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.snubbed = true;
        self.requests.in_vain.left_with(peer);
        self.requests.ranking.outdated();
        let (endpoint, peer_id) = (peer.address, peer.peer_id);
        self.alert(Alert::PeerSnubbed { endpoint, peer_id });
        self.suspect_stops(key);
        self.cancel_requests(now, key, |_| true);
    }

    pub(in crate::engine) fn close_all(&mut self, now: Time, reason: CloseReason) {
        self.line.member.leave();
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.close(now, key, reason, None);
        }
    }

    /// Ends the connections of those who do not read what waits for them, where somebody has use for the memory.
    fn close_stalled(&mut self, now: Time) {
        if !self.uploads.anybody_waits() && !self.cache.pool.anybody_waits() {
            return;
        }
        let stalled = self.peers.values().filter(|p| p.loans.is_stalled(now)).map(|p| p.key);
        for key in stalled.collect::<Vec<_>>() {
            let what = "it does not read what it asked for, and others need the memory";
            let error = Error::new(crate::base::error::Status::Network, what).with_operation(Operation::Bittorrent);
            self.close(now, key, CloseReason::NoMemory, Some(error));
        }
    }

    /// Ends a connection: what was asked of it is free again, what it has no longer counts.
    pub(in crate::engine) fn close(&mut self, now: Time, key: PeerKey, reason: CloseReason, error: Option<Error>) {
        let Some(peer) = self.peers.remove(&key) else { return };
        self.requests.open.remove(key);
        self.requests.limited.peer_gone(key);
        self.hashing.set_burst(key, false);
        self.choker.peer_gone(&peer);
        self.uploads.peer_gone(key);
        self.requests.ranking.outdated();
        self.fetch.peer_gone(key);
        self.requests.in_vain.left_with(&peer);
        let limits = self.swarm_limits();
        if let Some(content) = &mut self.content {
            if peer.counted_seed {
                content.picker.seed_left();
            } else {
                content.picker.pieces_left(&peer.have);
            }
            for r in &peer.requests {
                let charge = peer.credits.take(r.piece, r.block * BLOCK_SIZE);
                content.store.unmark_asked(r.piece, r.block, key);
                content.store.take_in(r.piece, charge);
            }
        }
        self.give_up_exclusive(key, !peer.parole);
        self.smart_ban.note_departed(Departed { key, address: peer.address, peer_id: peer.peer_id });
        if !peer.requests.is_empty() {
            self.requests.from = 0;
        }
        peer.credits.clear();
        let useless = peer.down.total() == 0 && peer.up.total() == 0;
        let hung_up = useless && now.since(peer.connected_at) < HUNG_UP;
        let parting = if reason.is_misconduct() || peer.of_no_use || (hung_up && self.somebody_waits()) {
            Parting::Failed
        } else if hung_up {
            Parting::Idle
        } else {
            Parting::Fair
        };
        if reason == CloseReason::UploadToUpload {
            // Or it would be dialled again, for the same end.
            self.swarm.list_mut().set_seed(peer.address, true);
        }
        let listens = peer.listen_port.filter(|_| peer.incoming).map(|port| SocketAddr::new(peer.address.ip(), port));
        if let Some(address) = listens.filter(|_| parting == Parting::Fair && peer.has_served) {
            self.swarm.list_mut().remember(address);
        }
        self.swarm.list_mut().disconnected(now, peer.address, parting, &limits);
        if let Some(address) = listens {
            self.swarm.list_mut().disconnected(now, address, parting, &limits);
        }
        let operation = error.as_ref().map_or(Operation::Bittorrent, |e| e.operation);
        self.alert(Alert::PeerDisconnected {
            endpoint: peer.address,
            peer_id: peer.peer_id,
            socket_type: SocketType::Tcp,
            operation,
            reason,
            error,
        });
        self.out.wake.retain(|k| *k != key);
        self.out.close.push((key, reason));
        self.requests.refill = true;
    }
}

/// Reports a peer as having something to write, once until the shell took it.
pub(in crate::engine) fn wake(list: &mut Vec<PeerKey>, peer: &mut Peer) {
    if !std::mem::replace(&mut peer.woken, true) {
        list.push(peer.key);
    }
}
