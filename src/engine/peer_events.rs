//! What happens between a torrent and its peers: they come, say something, take what they asked for, go.

use std::net::SocketAddr;

use super::content::bitfield::Bitfield;
use super::content::pieces::PeerKey;
use super::peer::Peer;
use super::peer::availability::{Audience, Have, tell_have};
use super::peer::budget::{self, Reading};
use super::peer::extensions::{LT_DONTHAVE, UT_METADATA, UT_PEX};
use super::peer::messages::wake;
use super::peer::outbox::Chunk;
use super::peer::peers::ReviewRules;
use super::peer::uploads::{Serving, Uploads};
use super::requests::super_seeds::end_lingering;
use super::swarm::choker::ChokerRules;
use super::swarm::peer_list::PeerSource;
use super::torrent::Torrent;
use crate::alert::CloseReason;
use crate::base::address::is_of_name;
use crate::base::error::{Error, Operation, Status};
use crate::base::time::Time;
use crate::memory::pool::Block;
use crate::wire::{BlockRequest, Message, Received, WireError, lt_donthave};

/// It broke the protocol, or a bound.
pub(super) fn violation(what: impl Into<String>) -> Error {
    Error::new(Status::Network, what.into()).with_operation(Operation::Bittorrent)
}

impl Torrent {
    pub(super) fn send_extended_handshake(&mut self, now: Time, key: PeerKey) {
        let pex = self.pex_enabled();
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.send_extended_handshake(now, &self.config, self.content.as_ref(), pex);
            wake(&mut self.out.wake, peer);
        }
    }

    /// The port that others are to dial: `announce_port`, or the one we listen on.
    pub fn told_port(&self) -> u16 {
        self.config.told_port()
    }

    fn extended_hello(&mut self, now: Time, key: PeerKey, payload: &[u8]) -> Result<(), String> {
        let limits = self.swarm_limits();
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let (seen_by, heard) = (peer.address().ip(), peer.extended_handshake(payload)?);
        if let Some(address) = heard.listens {
            // The same peer by the address that it listens on: not to be dialled while it is here.
            let list = self.swarm.list_mut();
            list.add(now, address, PeerSource::INCOMING, &limits);
            if !list.source(address).is_empty() {
                list.connected(now, address, true, &limits);
            }
        }
        if let Some(size) = heard.metadata_size {
            self.metadata_offered(now, key, size);
        } else if self.content.is_none() {
            // It may have it, and not say how large it is.
            self.ask_metadata(now, key);
        }
        self.out.external_ips.extend(heard.our_ip.map(|ip| (seen_by, ip)));
        if heard.learned_donthave {
            self.tell_resident(now, key);
        }
        Ok(())
    }

    /// After the extended handshake: a peer that knows lt_donthave may hear of pieces that will not stay.
    fn tell_resident(&mut self, now: Time, key: PeerKey) {
        let audience = self.audience();
        if audience == Audience::All {
            return;
        }
        let Some(content) = &self.content else { return };
        let Some(peer) = self.peers.get_mut(&key) else { return };
        for piece in content.have().iter() {
            tell_have(now, peer, piece, audience, &mut self.out.wake);
        }
    }

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
            peer.received(now, bytes);
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
                self.close(now, key, CloseReason::InvalidMessage, Some(violation(what)));
                // What it was asked for is asked of others now.
                self.scheduler().fill_all(now);
                return;
            }
        }
        self.close_deaf(now, key);
        self.hashing.set_burst(key, burst && self.peers.contains_key(&key));
        self.collect_hashes(now);
        if let Some(content) = &self.content {
            self.requests.prune_late(content);
        }
        self.scheduler().fill(now, key);
        if self.requests.is_to_refill() {
            self.scheduler().fill_all(now)
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            // Its own task looks at the outbox after this; only what comes later needs a wake.
            peer.outbox.expect_look();
        }
        self.out.wake.retain(|k| *k != key);
    }

    fn handle_message(&mut self, now: Time, key: PeerKey, message: Message) -> Result<(), String> {
        match message {
            Message::KeepAlive | Message::Suggest(_) | Message::Unknown(_) | Message::HaveNone => {}
            Message::Choke => self.choked(now, key),
            Message::Unchoke => {
                if self.peers.get_mut(&key).is_some_and(|p| p.choking.unchoked(now)) {
                    self.requests.rank_again();
                }
            }
            Message::Interested => self.peer_interested(now, key, true),
            Message::NotInterested => self.peer_interested(now, key, false),
            Message::Have(piece) => self.peer_has(now, key, piece)?,
            Message::Bitfield(bytes) => self.peer_bitfield(now, key, bytes)?,
            Message::HaveAll => self.peer_has_all(now, key)?,
            Message::Request(request) => {
                let (uploads, mut rest) = self.serving();
                uploads.requested(now, key, request, &mut rest)?;
            }
            Message::Cancel(request) => {
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.upload_cancelled(now, request, &mut self.out.wake);
                }
            }
            Message::Reject(request) => {
                if self.queues().rejected(now, key, request) {
                    // It cannot fail where the peer has the piece.
                    let _ = self.peer_lost(now, key, request.piece);
                }
            }
            Message::AllowedFast(piece) => {
                let pieces = self.content.as_ref().map(|c| c.layout().num_pieces());
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.allowed_fast(piece, pieces);
                }
            }
            Message::Port(port) => {
                if let Some(peer) = self.peers.get_mut(&key)
                    && peer.extensions.hear_dht_port(port)
                    && !is_of_name(peer.address().ip())
                {
                    self.out.dht_nodes.push(SocketAddr::new(peer.address().ip(), port));
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

    pub(super) fn peer_has(&mut self, now: Time, key: PeerKey, piece: u32) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let Some(content) = &mut self.content else { return peer.has_early(piece) };
        match peer.has_piece(content, piece)? {
            Have::Known => {}
            Have::RevealedAgain => self.scheduler().heard_of_pieces(now),
            Have::News => {
                if peer.is_seed() {
                    self.swarm.list_mut().set_seed(peer.address(), true);
                }
                self.scheduler().update_interest(now, key);
                self.scheduler().heard_of_pieces(now);
            }
        }
        Ok(())
    }

    pub(super) fn peer_lost(&mut self, now: Time, key: PeerKey, piece: u32) -> Result<(), String> {
        let audience = self.audience();
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let Some(content) = &mut self.content else { return peer.haves.early_mut().lost(piece) };
        let Some(lost) = peer.lost_piece(content, piece) else { return Ok(()) };
        if lost.was.seed {
            self.swarm.list_mut().set_seed(peer.address(), false);
        }
        if content.has(piece) {
            // It was not told while it had it itself.
            tell_have(now, peer, piece, audience, &mut self.out.wake);
        }
        if lost.was.counted_seed {
            self.peers.set_partial(key, true);
        }
        for block in lost.asked {
            self.queues().release(key, piece, block);
            self.requests.refill_all();
        }
        self.queues().suspect_stops(key);
        self.scheduler().update_interest(now, key);
        Ok(())
    }

    pub(super) fn peer_bitfield(&mut self, now: Time, key: PeerKey, bytes: Vec<u8>) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let Some(content) = &self.content else {
            peer.haves.early_mut().state(bytes);
            return Ok(());
        };
        let field = Bitfield::from_message(bytes, content.layout().num_pieces())?;
        self.replace_have(now, key, field)
    }

    pub(super) fn peer_has_all(&mut self, now: Time, key: PeerKey) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        if !peer.supports_fast() {
            return Err("HAVE_ALL without the fast extension".into());
        }
        let Some(content) = &self.content else {
            peer.haves.early_mut().state_all();
            return Ok(());
        };
        let field = Bitfield::full(content.layout().num_pieces());
        self.replace_have(now, key, field)
    }

    fn replace_have(&mut self, now: Time, key: PeerKey, field: Bitfield) -> Result<(), String> {
        let stays = self.audience() == Audience::All;
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), &mut self.content) else { return Ok(()) };
        peer.states(content, field)?;
        let needs_look = peer.haves.needs_look(stays);
        self.swarm.list_mut().set_seed(peer.address(), peer.is_seed());
        self.peers.set_partial(key, needs_look);
        self.scheduler().update_interest(now, key);
        self.scheduler().heard_of_pieces(now);
        Ok(())
    }

    /// The metadata is here: what the peer said before can be understood now. Nonsense ends the connection.
    pub(super) fn adopt_early_haves(&mut self, now: Time, key: PeerKey) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), &self.content) else { return };
        match peer.adopt_early_haves(content.layout().num_pieces()) {
            Ok(early) => {
                // The first: it is taken.
                let _ = self.replace_have(now, key, early.field);
                if let Some(peer) = self.peers.get_mut(&key) {
                    early.revealed.into_iter().for_each(|piece| peer.revealed.note(piece));
                }
            }
            Err(what) => {
                self.close(now, key, CloseReason::InvalidMessage, Some(Error::new(Status::Network, what)));
            }
        }
    }

    /// Who hears of the pieces that we have.
    pub(super) fn audience(&self) -> Audience {
        Audience::of(&self.config)
    }

    fn choked(&mut self, now: Time, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let lost = peer.choked(now);
        self.requests.rank_again();
        self.queues().suspect_stops(key);
        for (piece, block) in lost {
            self.queues().release(key, piece, block);
            self.requests.refill_all();
        }
    }

    /// How far the block is that comes in from the peer now.
    pub fn peer_receiving(&mut self, key: PeerKey, block: Option<(u32, u32, u32)>) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.set_receiving(block);
        }
    }

    /// What the peer sent waits to be read, since a download limit holds it back; or no more.
    pub fn peer_held(&mut self, now: Time, key: PeerKey, held: bool) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.source.hold(now, held);
        self.requests.peer_held(key, held);
    }

    /// The shell reads so many bytes a second from all peers at most, 0: any number. The limit of a session may be shared with other
    /// torrents.
    pub fn set_download_limit(&mut self, rate: u32) {
        self.requests.set_download_limit(rate);
    }

    /// Whether the shell may read on from a peer; to be asked after each event that brought something of it.
    pub fn reading(&self, now: Time, key: PeerKey) -> Reading {
        self.peers.get(&key).map_or(Reading::Now, |peer| peer.reading(now))
    }

    /// Bytes held for what peers said and were answered: outboxes without payload, and lists that they fill.
    #[doc(hidden)]
    pub fn held_for_peers(&self) -> usize {
        self.peers.values().map(Peer::held_for_it).sum::<usize>() + self.swarm.list().len() * 64
    }

    /// The stream of a peer broke the protocol.
    pub fn peer_violated(&mut self, now: Time, key: PeerKey, error: &WireError) {
        self.close(now, key, error.close_reason(), Some(violation(error.to_string())));
        self.scheduler().fill_all(now);
    }

    /// The connection ended under it.
    pub fn peer_closed(&mut self, now: Time, key: PeerKey, error: Option<Error>) {
        self.close(now, key, CloseReason::None, error);
        self.peer_paused(now, key);
        self.call_for_peers(now);
        self.scheduler().fill_all(now);
        self.out.close.retain(|(k, _)| *k != key);
    }

    fn peer_interested(&mut self, now: Time, key: PeerKey, interested: bool) {
        let rules = self.choker_rules();
        if let Some(peer) = self.peers.get_mut(&key) {
            self.choker.interested(now, &rules, peer, interested, &mut self.out.wake);
        }
    }

    pub(super) fn choker_rules(&self) -> ChokerRules {
        ChokerRules::of(&self.config, self.has_all())
    }

    pub(super) fn serving(&mut self) -> (&mut Uploads, Serving<'_>) {
        let rest = Serving {
            config: &self.config,
            content: &mut self.content,
            peers: &mut self.peers,
            pool: self.cache.pool(),
            needed: self.cache.needed(),
            unchoked: self.choker.unchoked(),
            disk_generation: self.run_state.disk_generation,
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
            peer.sent(now, payload, all);
        }
        let (uploads, mut rest) = self.serving();
        uploads.serve_line(now, &mut rest);
        uploads.serve(now, key, &mut rest);
    }

    /// The peer's socket takes no more of what is to be written to it, or took all that it was offered.
    pub fn peer_blocked(&mut self, now: Time, key: PeerKey, blocked: bool) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.upload.outgoing_mut().set_blocked(now, blocked);
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
        let chunk = self.peers.get_mut(&key)?.outbox.pop();
        self.out.wake.retain(|k| *k != key);
        chunk
    }

    /// Bytes waiting to be written to a peer.
    pub fn outgoing_bytes(&self, key: PeerKey) -> usize {
        self.peers.get(&key).map_or(0, |p| p.outbox.bytes())
    }

    /// Timeouts of peers: the silent go, the snubbing are noted, keep-alives are sent.
    pub(super) fn check_peers(&mut self, now: Time) {
        let rules = ReviewRules::of(&self.config, self.has_all(), self.peers.len());
        for key in self.peers.deaf(self.num_pieces()) {
            self.close_deaf(now, key);
        }
        self.close_stalled(now);
        for key in end_lingering(now, &mut self.peers) {
            self.scheduler().update_interest(now, key);
        }
        self.requests.aggregate_mut().note_silent(self.peers.silent_requests(now));
        let review = self.peers.review(now, &rules, &mut self.out.wake);
        for key in review.snubbed {
            let told = self.queues().snub(now, key);
            self.out.alerts.extend(told);
        }
        for key in review.believed {
            self.requests.rank_again();
            if let Some(peer) = self.peers.get(&key) {
                self.requests.note_open(peer);
            }
        }
        for (key, reason) in review.gone {
            self.close(now, key, reason, None);
        }
    }

    /// Asks again for what peers have dropped, and for less of it at a time.
    pub(super) fn ask_again_for_dropped(&mut self, now: Time) {
        if self.requests.is_limited() {
            return;
        }
        for (key, blocks) in self.peers.find_dropped(now) {
            for (piece, block) in blocks {
                self.queues().cancel(now, key, piece, block);
            }
            self.requests.refill_all();
        }
        self.scheduler().try_those_who_are_out(now);
    }

    pub(super) fn num_pieces(&self) -> u32 {
        self.content.as_ref().map_or(0, |c| c.layout().num_pieces())
    }
}
