//! What happens between a torrent and its peers: they come, say something, take what they asked for, go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::content::bitfield::Bitfield;
use super::content::pieces::PeerKey;
use super::peer::availability::{Audience, Have, tell_have};
use super::peer::budget::{self, Reading};
use super::peer::extensions::{LT_DONTHAVE, UT_METADATA, UT_PEX};
use super::peer::messages::wake;
use super::peer::outbox::Chunk;
use super::peer::peers::ReviewRules;
use super::peer::uploads::{Serving, Uploads};
use super::peer::{Identity, Peer};
use super::requests::super_seeds::end_lingering;
use super::swarm::choker::ChokerRules;
use super::swarm::dial::DialFailure;
use super::swarm::peer_list::PeerSource;
use super::swarm::smart_ban::Departed;
use super::torrent::Torrent;
use crate::alert::{Alert, CloseReason, SocketType};
use crate::base::error::{Error, Operation, Status};
use crate::base::time::Time;
use crate::memory::credits::Credits;
use crate::memory::pool::{BLOCK_SIZE, Block};
use crate::wire::stream_kind::StreamKind;
use crate::wire::{BlockRequest, Handshake, Message, Received, WireError, lt_donthave};

/// While a read waits, who found no place is dialled again after this: one may be made.
const SOON: Duration = Duration::from_secs(3);

/// What a connection runs over, as alerts have it.
pub(super) fn socket_type(kind: StreamKind) -> SocketType {
    if kind.utp { SocketType::Utp } else { SocketType::Tcp }
}

/// It broke the protocol, or a bound.
fn violation(what: impl Into<String>) -> Error {
    Error::new(Status::Network, what.into()).with_operation(Operation::Bittorrent)
}

impl Torrent {
    /// A handshake was exchanged with a peer: it is let in, or turned away with a reason.
    pub fn peer_connected(
        &mut self,
        now: Time,
        address: SocketAddr,
        incoming: bool,
        kind: StreamKind,
        handshake: &Handshake,
    ) -> Result<(PeerKey, Arc<Credits>), CloseReason> {
        if let Some(crossed) = self.torrent_view().crossing(now, incoming, &handshake.peer_id) {
            self.close(now, crossed, CloseReason::DuplicatePeerId, None);
        }
        if let Some(reason) = self.refusal(now, address, incoming, &handshake.peer_id) {
            self.turn_away(now, address, incoming, reason);
            return Err(reason);
        }
        let limits = self.swarm_limits();
        let key = self.peers.next_key();
        let credits = Credits::new(self.cache.pool().clone());
        let dialling = self.swarm.list().num_dialling().saturating_sub(usize::from(!incoming));
        let unknown = 1 + dialling + self.peers.values().filter(|p| p.source.is_unknown()).count();
        let identity = Identity::new(key, address, incoming, kind, handshake);
        let mut peer = Peer::new(now, identity, credits.clone(), unknown);
        if let Some(content) = &self.content {
            peer.know_pieces(content.layout().num_pieces());
        }
        self.swarm.list_mut().connected(now, address, incoming, &limits);
        if !incoming {
            self.swarm.list_mut().note_kind(address, kind);
        }
        self.swarm.let_in(address, incoming);
        self.peers.set_partial(key, true);
        self.peers.insert(key, peer);
        self.peers.set_parole(key, self.smart_ban.was_suspect(address));
        self.requests.rank_again();
        self.alert(Alert::PeerConnect {
            endpoint: address,
            peer_id: handshake.peer_id,
            outgoing: !incoming,
            socket_type: socket_type(kind),
        });
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.greet(now, &self.config, self.content.as_ref());
        }
        if handshake.supports_extensions() {
            self.send_extended_handshake(now, key);
        }
        if self.requests.is_to_refill() {
            self.asking().fill_all(now);
        }
        Ok((key, credits))
    }

    /// Why a peer is not let in.
    fn refusal(&mut self, now: Time, address: SocketAddr, incoming: bool, peer_id: &[u8; 20]) -> Option<CloseReason> {
        if !self.is_active() {
            Some(CloseReason::TorrentRemoved)
        } else if self.swarm.list().is_banned(address) || !incoming && self.is_stranger(address) {
            Some(CloseReason::Blocked)
        } else if *peer_id == self.config.peer_id {
            Some(CloseReason::SelfConnection)
        } else if self.is_duplicate(now, address, peer_id) {
            Some(CloseReason::DuplicatePeerId)
        } else if !self.has_place(now, incoming) {
            Some(CloseReason::TooManyConnections)
        } else {
            None
        }
    }

    fn turn_away(&mut self, now: Time, address: SocketAddr, incoming: bool, reason: CloseReason) {
        let limits = self.swarm_limits();
        if !incoming {
            self.tell_awaited(address, DialFailure { reason, error: None });
        }
        match reason {
            // Through no fault of its own.
            CloseReason::TorrentRemoved | CloseReason::TooManyConnections => {
                let rest = if self.a_read_waits() { SOON.min(limits.min_reconnect) } else { limits.min_reconnect };
                self.swarm.list_mut().dial_deferred(now + rest, address);
            }
            _ => self.swarm.list_mut().dial_failed(now, address, &limits),
        }
    }

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
                self.asking().fill_all(now);
                return;
            }
        }
        self.close_deaf(now, key);
        self.hashing.set_burst(key, burst && self.peers.contains_key(&key));
        self.collect_hashes(now);
        if let Some(content) = &self.content {
            self.requests.prune_late(content);
        }
        self.asking().fill(now, key);
        if self.requests.is_to_refill() {
            self.asking().fill_all(now)
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
            Have::RevealedAgain => self.asking().heard_of_pieces(now),
            Have::News => {
                if peer.is_seed() {
                    self.swarm.list_mut().set_seed(peer.address(), true);
                }
                self.asking().update_interest(now, key);
                self.asking().heard_of_pieces(now);
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
        self.asking().update_interest(now, key);
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
        self.asking().update_interest(now, key);
        self.asking().heard_of_pieces(now);
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
        self.asking().fill_all(now);
    }

    /// The connection ended under it.
    pub fn peer_closed(&mut self, now: Time, key: PeerKey, error: Option<Error>) {
        self.close(now, key, CloseReason::None, error);
        self.peer_paused(now, key);
        self.call_for_peers(now);
        self.asking().fill_all(now);
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
            self.asking().update_interest(now, key);
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
        self.asking().try_those_who_are_out(now);
    }

    fn num_pieces(&self) -> u32 {
        self.content.as_ref().map_or(0, |c| c.layout().num_pieces())
    }

    /// Ends the connection of a peer that has long ceased to read.
    fn close_deaf(&mut self, now: Time, key: PeerKey) {
        let pieces = self.num_pieces();
        if self.peers.get(&key).is_some_and(|p| p.outbox.is_deaf(pieces)) {
            self.close(now, key, CloseReason::NoMemory, Some(violation("it does not read what it is sent")));
        }
    }

    /// Ends the connections of those who do not read what waits for them, where somebody has use for the memory.
    fn close_stalled(&mut self, now: Time) {
        if !self.uploads.anybody_waits() && !self.cache.pool().anybody_waits() {
            return;
        }
        for key in self.peers.stalled(now) {
            let what = "it does not read what it asked for, and others need the memory";
            self.close(now, key, CloseReason::NoMemory, Some(violation(what)));
        }
    }

    pub(super) fn close_all(&mut self, now: Time, reason: CloseReason) {
        self.cache.leave_line();
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        self.close_each(now, &keys, reason);
    }

    /// Ends a connection: what was asked of it is free again, what it has no longer counts.
    pub(in crate::engine) fn close(&mut self, now: Time, key: PeerKey, reason: CloseReason, error: Option<Error>) {
        let Some(peer) = self.peers.remove(&key) else { return };
        self.requests.peer_gone(&peer);
        self.hashing.set_burst(key, false);
        self.choker.peer_gone(&peer);
        self.uploads.peer_gone(key);
        self.fetch.peer_gone(key);
        if let Some(content) = &mut self.content {
            peer.forget_pieces(content);
            for r in peer.source.requests() {
                let charge = peer.source.credits().take(r.piece, r.block * BLOCK_SIZE);
                content.store_mut().unmark_asked(r.piece, r.block, key);
                content.store_mut().take_in(r.piece, charge);
            }
        }
        self.queues().give_up_exclusive(key, !peer.parole.is_on());
        self.smart_ban.note_departed(Departed { key, address: peer.address(), peer_id: peer.peer_id() });
        if !peer.source.requests().is_empty() {
            self.requests.came_free();
        }
        peer.source.credits().clear();
        let (parting, limits) = (peer.parting(now, reason, self.somebody_waits()), self.swarm_limits());
        self.swarm.parted(now, &peer, reason, parting, &limits);
        let operation = error.as_ref().map_or(Operation::Bittorrent, |e| e.operation);
        self.alert(Alert::PeerDisconnected {
            endpoint: peer.address(),
            peer_id: peer.peer_id(),
            socket_type: socket_type(peer.kind()),
            operation,
            reason,
            error,
        });
        self.out.wake.retain(|k| *k != key);
        self.out.close.push((key, reason));
        self.requests.refill_all();
    }
}
