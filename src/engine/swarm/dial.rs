//! Whom a torrent dials, and how many at once.

use std::net::SocketAddr;
use std::time::Duration;

use super::peer_list::{PeerSource, SwarmLimits};
use crate::alert::{Alert, CloseReason, SocketType};
use crate::base::error::{Error, Operation};
use crate::base::time::Time;
use crate::engine::torrent::Torrent;

/// Why a dial ended without a peer.
#[derive(Debug, Clone, Default)]
pub struct DialFailure {
    pub reason: CloseReason,
    pub error: Option<Error>,
}

/// A dial that is as old as this and has brought no answer gives way, asked again each second: by then a lost packet was sent again twice.
pub const DIAL_PATIENCE: Duration = Duration::from_secs(4);
pub const DIAL_ASKED_AGAIN: Duration = Duration::from_secs(1);

impl Torrent {
    pub fn add_peers(&mut self, now: Time, source: PeerSource, addresses: &[SocketAddr]) -> u32 {
        let limits = self.swarm_limits();
        let new = self.swarm.list.add_answer(now, addresses, source, &limits);
        self.dial(now);
        new as u32
    }

    /// A caller names a peer, and is told by an alert how the dial went. Of one that is here already nothing is told.
    pub fn connect_peer(&mut self, now: Time, address: SocketAddr) {
        let limits = self.swarm_limits();
        let allowed = limits.allow(address) && !self.swarm.list.is_banned(address);
        self.swarm.list.add(now, address, PeerSource::MANUAL, &limits);
        if !allowed || !self.swarm.list.await_dial(now, address) {
            let reason = if allowed { CloseReason::TooManyConnections } else { CloseReason::Blocked };
            self.tell_dial(address, DialFailure { reason, error: None });
        }
        self.dial(now);
    }

    pub fn dial_failed(&mut self, now: Time, address: SocketAddr, failure: DialFailure) {
        let limits = self.swarm_limits();
        self.tell_awaited(address, failure);
        self.swarm.list.dial_failed(now, address, &limits);
        self.call_for_peers(now);
        self.dial(now);
    }

    /// Should a dial end that nobody has answered for a while? Where somebody waits, another address could be dialled, and it takes the place for
    /// that. `crowded`: the session has none.
    pub fn dial_gives_way(&self, now: Time, crowded: bool) -> bool {
        let full = crowded || self.peers.len() + self.swarm.list.num_dialling() >= self.connection_limit();
        let others = || self.swarm.list.next_dial_time(self.has_all()).is_some_and(|at| at <= now + DIAL_ASKED_AGAIN);
        full && (self.content.is_none() || self.a_read_waits()) && others()
    }

    /// The settings let nobody be dialled. The peer is dialled when they do; who asked for it need not wait for that.
    pub fn dial_forbidden(&mut self, now: Time, address: SocketAddr) {
        self.tell_awaited(address, DialFailure { reason: CloseReason::ProtocolBlocked, error: None });
        self.dial_deferred(now, address);
    }

    /// Tells the caller who asked for the dial, if one did and still waits for it. Before the list hears of it: it may forget the peer.
    pub(in crate::engine) fn tell_awaited(&mut self, address: SocketAddr, failure: DialFailure) {
        if self.swarm.list.take_awaited(address) {
            self.tell_dial(address, failure);
        }
    }

    fn tell_dial(&mut self, endpoint: SocketAddr, DialFailure { reason, error }: DialFailure) {
        let operation = error.as_ref().map_or(Operation::Connect, |e| e.operation);
        let socket_type = SocketType::Tcp;
        self.alert(Alert::PeerDisconnected { endpoint, peer_id: [0; 20], socket_type, operation, reason, error });
    }

    pub fn dial_deferred(&mut self, now: Time, address: SocketAddr) {
        self.swarm.list.dial_deferred(now + Duration::from_millis(200), address);
    }

    pub fn ban(&mut self, now: Time, ip: std::net::IpAddr) {
        let awaited = self.swarm.list.ban_ip(ip);
        self.tell_banned(awaited);
        let ip = ip.to_canonical();
        let of_it = self.peers.values().filter(|p| p.address.ip().to_canonical() == ip);
        let peers: Vec<_> = of_it.map(|p| (p.key, p.address, p.peer_id)).collect();
        for (key, endpoint, peer_id) in peers {
            self.alert(Alert::PeerBan { endpoint, peer_id });
            self.close(now, key, CloseReason::Blocked, None);
        }
    }

    /// Bans who sent what it should not.
    pub(in crate::engine) fn ban_sender(&mut self, endpoint: SocketAddr, peer_id: [u8; 20]) {
        let awaited = self.swarm.list.ban(endpoint);
        self.tell_banned(awaited);
        self.alert(Alert::PeerBan { endpoint, peer_id });
    }

    fn tell_banned(&mut self, awaited: Vec<SocketAddr>) {
        for address in awaited {
            self.tell_dial(address, DialFailure { reason: CloseReason::Blocked, error: None });
        }
    }

    pub fn is_banned(&self, address: SocketAddr) -> bool {
        self.swarm.list.is_banned(address)
    }

    pub(in crate::engine) fn swarm_limits(&self) -> SwarmLimits {
        let s = &self.config.settings;
        SwarmLimits {
            max_peers: usize::try_from(s.max_peerlist_size).unwrap_or(0).max(1),
            max_failcount: u32::try_from(s.max_failcount).unwrap_or(u32::MAX),
            // Who hangs up at once would be dialled a hundred times a second.
            min_reconnect: Duration::from_secs(u64::try_from(s.min_reconnect_time).unwrap_or(0).max(1)),
            no_privileged_ports: s.no_connect_privileged_ports,
        }
    }

    pub(in crate::engine) fn connection_limit(&self) -> usize {
        let own = self.config.max_connections;
        let limit = if own > 0 { i64::from(own) } else { self.config.settings.max_connections_per_torrent };
        usize::try_from(limit).unwrap_or(0)
    }

    pub(in crate::engine) fn has_all(&self) -> bool {
        self.content.as_ref().is_some_and(|c| c.have.is_full())
    }

    /// Dials what may be dialled: a burst at the start (`torrent_connect_boost`), then `connection_speed` a second.
    pub(in crate::engine) fn dial(&mut self, now: Time) {
        if !self.is_running() || self.life.checking {
            return;
        }
        let taken = |torrent: &Self| torrent.peers.len() + torrent.swarm.list.num_dialling();
        let mut room = self.connection_limit().saturating_sub(taken(self));
        if room == 0 && self.free_place_to_dial(now) {
            room = self.connection_limit().saturating_sub(taken(self));
        }
        let speed = self.config.settings.connection_speed.max(0) as f64;
        self.swarm.dial_tokens =
            (self.swarm.dial_tokens + now.since(self.swarm.last_dial).as_secs_f64() * speed).min(speed.max(1.0));
        self.swarm.last_dial = now;
        let boost = u32::try_from(self.config.settings.torrent_connect_boost)
            .unwrap_or(0)
            .saturating_sub(self.swarm.dials_since_start);
        let allowed = (self.swarm.dial_tokens as usize).max(boost as usize);
        let dials = self.swarm.list.next_dials(now, room.min(allowed), self.has_all());
        self.swarm.dial_tokens = (self.swarm.dial_tokens - dials.len() as f64).max(0.0);
        self.swarm.dials_since_start = self.swarm.dials_since_start.saturating_add(dials.len() as u32);
        self.out.dial.extend(dials);
    }
}
