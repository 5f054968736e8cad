//! What happens between a torrent and its swarm: who is named, dialled, called for, let in, turned away, parted with.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::config::TorrentFlags;
use super::content::pieces::PeerKey;
use super::peer::messages::wake;
use super::peer::{Identity, Peer};
use super::peer_events::violation;
use super::swarm::dial::DialFailure;
use super::swarm::duplicates::Duplicate;
use super::swarm::peer_list::{PeerSource, SwarmLimits};
use super::swarm::smart_ban::Departed;
use super::swarm::torrent_view::TorrentView;
use super::swarm::turnover::{Need, Newcomer, PeerRank, Why};
use super::swarm::urgency::Urgency;
use super::swarm::{Swarm, pex};
use super::torrent::Torrent;
use crate::alert::{Alert, BlockedReason, CloseReason, SocketType};
use crate::base::error::{Error, Operation};
use crate::base::time::Time;
use crate::memory::credits::Credits;
use crate::memory::pool::BLOCK_SIZE;
use crate::wire::Handshake;
use crate::wire::stream_kind::{Carrier, StreamKind};

/// A dial that found no place with the session is made again after this.
const DEFERRED: Duration = Duration::from_millis(200);

/// While a read waits, who found no place is dialled again after this: one may be made.
const SOON: Duration = Duration::from_secs(3);

/// What a connection runs over, as alerts have it.
pub(super) fn socket_type(kind: StreamKind) -> SocketType {
    match kind.carrier {
        Carrier::Tcp => SocketType::Tcp,
        Carrier::Socks => SocketType::Socks5,
        Carrier::Http => SocketType::Http,
        Carrier::Utp => SocketType::Utp,
    }
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
            peer.tell_dht_port(now, &self.config, self.content.as_ref());
        }
        if handshake.supports_extensions() {
            self.send_extended_handshake(now, key);
        }
        if self.requests.is_to_refill() {
            self.scheduler().fill_all(now);
        }
        Ok((key, credits))
    }

    /// Why a peer is not let in.
    fn refusal(&mut self, now: Time, address: SocketAddr, incoming: bool, peer_id: &[u8; 20]) -> Option<CloseReason> {
        if !self.is_active() {
            Some(CloseReason::TorrentRemoved)
        } else if self.swarm.list().is_banned(address) || !incoming && self.is_stranger(address) {
            Some(CloseReason::Blocked)
        } else if let Some(blocked) = self.blocked(address).filter(|_| !incoming) {
            // It was not when the dial began.
            Some(blocked.closes_with())
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
                self.swarm.list_mut().dial_deferred(now + rest, address, &limits);
            }
            _ => self.swarm.list_mut().dial_failed(now, address, &limits),
        }
    }

    /// The swarm, and what it is judged by.
    fn swarm(&mut self) -> (&mut Swarm, TorrentView<'_>) {
        let active = self.is_active();
        let view = TorrentView {
            config: &self.config,
            content: self.content.as_ref(),
            peers: &self.peers,
            readers: &self.readers,
            fetch: &self.fetch,
            active,
            rate: self.meters.down.per_second(),
            limited: self.requests.is_limited(),
        };
        (&mut self.swarm, view)
    }

    pub(super) fn torrent_view(&self) -> TorrentView<'_> {
        TorrentView {
            config: &self.config,
            content: self.content.as_ref(),
            peers: &self.peers,
            readers: &self.readers,
            fetch: &self.fetch,
            active: self.is_active(),
            rate: self.meters.down.per_second(),
            limited: self.requests.is_limited(),
        }
    }

    pub(super) fn swarm_limits(&self) -> SwarmLimits {
        SwarmLimits::of(&self.config.settings)
    }

    pub fn add_peers(&mut self, now: Time, source: PeerSource, addresses: &[SocketAddr]) -> u32 {
        let new = self.hear_of_peers(now, source, addresses);
        self.dial(now);
        new
    }

    /// Takes in who was named; how many are new candidates.
    fn hear_of_peers(&mut self, now: Time, source: PeerSource, addresses: &[SocketAddr]) -> u32 {
        let limits = self.swarm_limits();
        self.tell_blocked_of(addresses);
        self.swarm.list_mut().add_answer(now, addresses, source, &limits) as u32
    }

    /// A caller names a peer, and is told by an alert how the dial went. Of one that is here already nothing is told.
    pub fn connect_peer(&mut self, now: Time, address: SocketAddr) {
        self.hear_of_peers(now, PeerSource::MANUAL, &[address]);
        let (blocked, limits) = (self.blocked(address), self.swarm_limits());
        let list = self.swarm.list_mut();
        let allowed = blocked.is_none() && limits.allow(address) && !list.is_banned(address);
        if !allowed || !list.await_dial(now, address) {
            let refused = blocked.map_or(CloseReason::Blocked, BlockedReason::closes_with);
            let reason = if allowed { CloseReason::TooManyConnections } else { refused };
            self.tell_dial(address, DialFailure { reason, error: None });
        }
        self.dial(now);
    }

    pub fn dial_failed(&mut self, now: Time, address: SocketAddr, failure: DialFailure) {
        let limits = self.swarm_limits();
        self.tell_awaited(address, failure);
        self.swarm.list_mut().dial_failed(now, address, &limits);
        self.call_for_peers(now);
        self.dial(now);
    }

    /// Should a dial end that nobody has answered for a while? See [`DIAL_PATIENCE`](super::swarm::dial::DIAL_PATIENCE). `crowded`:
    /// the session has no place.
    pub fn dial_gives_way(&self, now: Time, crowded: bool) -> bool {
        self.swarm.dial_gives_way(now, crowded, &self.torrent_view())
    }

    /// The settings let nobody be dialled. The peer is dialled when they do; who asked for it need not wait for that.
    pub fn dial_forbidden(&mut self, now: Time, address: SocketAddr) {
        self.tell_awaited(address, DialFailure { reason: CloseReason::ProtocolBlocked, error: None });
        self.dial_deferred(now, address);
    }

    pub fn dial_deferred(&mut self, now: Time, address: SocketAddr) {
        let limits = self.swarm_limits();
        self.swarm.list_mut().dial_deferred(now + DEFERRED, address, &limits);
    }

    /// Dials what may be dialled.
    pub(super) fn dial(&mut self, now: Time) {
        let (swarm, view) = self.swarm();
        if !view.active {
            return;
        }
        if swarm.room(&view) == 0 && swarm.may_free_place_to_dial(now, &view) {
            self.free_place(now, Newcomer::DIALLED);
        }
        let (swarm, view) = self.swarm();
        let dials = swarm.next_dials(now, &view);
        let list = self.swarm.list();
        let dials = dials.into_iter().map(|address| list.dial(address));
        self.out.dial.extend(dials);
    }

    /// Tells the caller who asked for the dial, if one did and still waits for it. Before the list hears of it: it may forget the peer.
    pub(super) fn tell_awaited(&mut self, address: SocketAddr, failure: DialFailure) {
        if self.swarm.list_mut().take_awaited(address) {
            self.tell_dial(address, failure);
        }
    }

    pub(super) fn tell_dial(&mut self, endpoint: SocketAddr, DialFailure { reason, error }: DialFailure) {
        let operation = error.as_ref().map_or(Operation::Connect, |e: &Error| e.operation);
        let socket_type = SocketType::Tcp;
        self.alert(Alert::PeerDisconnected { endpoint, peer_id: [0; 20], socket_type, operation, reason, error });
    }

    pub fn ban(&mut self, now: Time, ip: IpAddr) {
        let awaited = self.swarm.list_mut().ban_ip(ip);
        self.tell_banned(awaited);
        let ip = ip.to_canonical();
        let of_it = self.peers.values().filter(|p| p.address().ip().to_canonical() == ip);
        let peers: Vec<_> = of_it.map(|p| (p.key(), p.address(), p.peer_id())).collect();
        for (key, endpoint, peer_id) in peers {
            self.alert(Alert::PeerBan { endpoint, peer_id });
            self.close(now, key, CloseReason::Blocked, None);
        }
    }

    /// Bans who sent what it should not.
    pub(super) fn ban_sender(&mut self, endpoint: SocketAddr, peer_id: [u8; 20]) {
        let awaited = self.swarm.list_mut().ban(endpoint);
        self.tell_banned(awaited);
        self.alert(Alert::PeerBan { endpoint, peer_id });
    }

    fn tell_banned(&mut self, awaited: Vec<SocketAddr>) {
        for address in awaited {
            self.tell_dial(address, DialFailure { reason: CloseReason::Blocked, error: None });
        }
    }

    pub fn is_banned(&self, address: SocketAddr) -> bool {
        self.swarm.list().is_banned(address)
    }

    /// Calls for peers, if somebody waits for them and the time has come.
    pub(super) fn call_for_peers(&mut self, now: Time) {
        let (swarm, view) = self.swarm();
        let Some(call) = swarm.call_for_peers(now, &view) else { return };
        if let Some((hurried, first)) = call.trackers {
            self.trackers.hurry(now, hurried, first);
            self.poll_trackers(now);
        }
        self.out.search_dht |= call.search_dht;
        self.dial(now);
    }

    pub fn urgency(&self) -> Urgency {
        self.torrent_view().urgency()
    }

    pub(super) fn a_read_waits(&self) -> bool {
        self.torrent_view().a_read_waits()
    }

    /// Does a read wait, or a download?
    pub(super) fn somebody_waits(&self) -> bool {
        self.torrent_view().somebody_waits()
    }

    /// What places of other torrents of the session are wanted for, the least first. `dialling`: for one that counts as being dialled.
    pub fn needs(&self, dialling: bool) -> Vec<Need> {
        self.swarm.needs(dialling, &self.torrent_view())
    }

    /// Of two connections with one peer one ends: that which crossed a newcomer's, and those of it that are mute. Is it here still?
    pub(super) fn is_duplicate(&mut self, now: Time, address: SocketAddr, peer_id: &[u8; 20]) -> bool {
        match self.torrent_view().duplicate(now, address, peer_id) {
            Duplicate::Stands { silent } => {
                for key in silent {
                    if let Some(peer) = self.peers.get_mut(&key)
                        && peer.outbox.ask_whether_there(now)
                    {
                        wake(&mut self.out.wake, peer);
                    }
                }
                true
            }
            Duplicate::Of(mute) => {
                self.close_each(now, &mute, CloseReason::DuplicatePeerId);
                false
            }
        }
    }

    /// Is there a place for a newcomer? Else one is made, where somebody holds one for nothing.
    pub(super) fn has_place(&mut self, now: Time, incoming: bool) -> bool {
        let full = self.torrent_view().is_full_for(incoming);
        full.is_none_or(|newcomer| self.free_place(now, newcomer))
    }

    /// Ends the connection that is of least use, if there is one of none.
    pub fn free_place(&mut self, now: Time, newcomer: Newcomer) -> bool {
        let (swarm, view) = self.swarm();
        let Some(leaver) = swarm.leaver(now, newcomer, &view) else { return false };
        if let Some(peer) = self.peers.get_mut(&leaver.key).filter(|_| leaver.why == Why::OfNoUseToARead) {
            peer.found_useless();
        }
        self.close(now, leaver.key, leaver.reason(), None);
        self.swarm.left(now, &leaver);
        true
    }

    /// All peers and what they are worth.
    pub fn peer_ranks(&self) -> Vec<(PeerRank, PeerKey)> {
        self.torrent_view().peer_ranks()
    }

    /// These are too many.
    pub fn part_with(&mut self, now: Time, keys: &[PeerKey]) {
        self.close_each(now, keys, CloseReason::TooManyConnections);
        // What they were asked for is asked of others.
        if self.requests.is_to_refill() {
            self.scheduler().fill_all(now);
        }
    }

    /// The torrent's limit may be lower than it was: the surplus goes, those of least worth first.
    pub(super) fn part_with_surplus(&mut self, now: Time) {
        let surplus = self.torrent_view().surplus();
        if !surplus.is_empty() {
            self.part_with(now, &surplus);
        }
    }

    /// What time brings about in the swarm.
    pub(super) fn review_swarm(&mut self, now: Time) {
        let (swarm, view) = self.swarm();
        swarm.note_starving(now, &view);
        let worst = swarm.turn_over(now, &view);
        self.close_each(now, &worst, CloseReason::PeerChurn);
        self.call_for_peers(now);
        self.dial(now);
    }

    pub(super) fn close_each(&mut self, now: Time, keys: &[PeerKey], reason: CloseReason) {
        for key in keys {
            self.close(now, *key, reason, None);
        }
    }

    pub(super) fn pex_enabled(&self) -> bool {
        self.config.settings.enable_pex && !self.is_private() && !self.config.flags.contains(TorrentFlags::DISABLE_PEX)
    }

    fn most_pex_peers(&self) -> usize {
        usize::try_from(self.config.settings.max_pex_peers).unwrap_or(0)
    }

    pub(super) fn pex_message(&mut self, now: Time, key: PeerKey, payload: &[u8]) -> Result<(), String> {
        let (most, enabled) = (self.most_pex_peers(), self.pex_enabled());
        let Some(peer) = self.peers.get_mut(&key).filter(|_| enabled) else { return Ok(()) };
        if let Some(told) = pex::received(now, peer, payload, most)? {
            self.hear_of_peers(now, PeerSource::PEX, &told.addresses);
            self.swarm.list_mut().hear_of_encryption(&told.encrypting);
            self.dial(now);
        }
        Ok(())
    }

    pub(super) fn send_pex(&mut self, now: Time) {
        if self.pex_enabled() {
            let most = self.most_pex_peers();
            pex::send(now, &mut self.peers, most, &mut self.out.wake);
        }
    }

    /// Where the torrent turns out to be private, those go who are known from elsewhere than a private torrent's peers may be.
    pub(super) fn part_with_strangers(&mut self, now: Time) {
        let strangers = self.peers.values().filter(|p| !p.is_incoming() && self.is_stranger(p.address()));
        let keys: Vec<PeerKey> = strangers.map(|p| p.key()).collect();
        self.close_each(now, &keys, CloseReason::Blocked);
        if self.is_private() {
            // Its search in the DHT ends before it announces anybody.
            self.out.search_dht = true;
            self.swarm.list_mut().keep_only(PeerSource::OF_PRIVATE);
        }
    }

    /// May a private torrent not know the peer?
    pub(super) fn is_stranger(&self, address: SocketAddr) -> bool {
        self.is_private() && !self.swarm.list().source(address).intersects(PeerSource::OF_PRIVATE)
    }

    /// Ends the connection of a peer that has long ceased to read.
    pub(super) fn close_deaf(&mut self, now: Time, key: PeerKey) {
        let pieces = self.num_pieces();
        if self.peers.get(&key).is_some_and(|p| p.outbox.is_deaf(pieces)) {
            self.close(now, key, CloseReason::NoMemory, Some(violation("it does not read what it is sent")));
        }
    }

    /// Ends the connections of those who do not read what waits for them, where somebody has use for the memory.
    pub(super) fn close_stalled(&mut self, now: Time) {
        if !self.uploads.anybody_waits() && !self.cache.pool().anybody_waits() {
            return;
        }
        for key in self.peers.stalled(now) {
            let what = "it does not read what it asked for, and others need the memory";
            self.close(now, key, CloseReason::NoMemory, Some(violation(what)));
        }
    }

    /// All goes out by another way from now on: connections end, and what failed by the old way is tried anew. Dials are told of by who made
    /// them.
    pub fn way_out_changed(&mut self, now: Time) {
        self.close_connections(now, CloseReason::None);
        self.reachable_anew(now);
    }

    /// A peer's connection has our end there.
    pub fn connected_by(&mut self, key: PeerKey, local: IpAddr) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.set_local(local);
        }
    }

    /// This host has these addresses no more: connections that have our end there bring nothing any more.
    pub fn addresses_gone(&mut self, now: Time, gone: &[IpAddr]) {
        let of_them = self.peers.values().filter(|peer| peer.local().is_some_and(|local| gone.contains(&local)));
        let keys: Vec<PeerKey> = of_them.map(Peer::key).collect();
        self.close_each(now, &keys, CloseReason::None);
    }

    pub fn peer_id(&self) -> [u8; 20] {
        self.config.peer_id
    }

    /// What peers know us by from now on.
    pub fn set_peer_id(&mut self, id: [u8; 20]) {
        self.config.peer_id = id;
    }

    /// There is a new way to others: what failed before may work by it.
    pub fn reachable_anew(&mut self, now: Time) {
        if self.is_active() {
            self.begin_anew(now);
            self.handle_timeout(now);
        }
    }

    pub(super) fn close_all(&mut self, now: Time, reason: CloseReason) {
        self.cache.leave_line();
        self.close_connections(now, reason);
    }

    fn close_connections(&mut self, now: Time, reason: CloseReason) {
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
