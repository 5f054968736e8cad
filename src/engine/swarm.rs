//! The peers that a torrent knows of: where from, how often they failed, who may be dialled next, who is banned.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Time;

bitflags::bitflags! {
    /// libtorrent's `peer_source_flags_t`, with `MANUAL` (a caller named it) of our own.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct PeerSource: u32 {
        const TRACKER = 1;
        const DHT = 1 << 1;
        const PEX = 1 << 2;
        const LSD = 1 << 3;
        const RESUME_DATA = 1 << 4;
        const INCOMING = 1 << 5;
        const MANUAL = 1 << 10;
    }
}

/// The first wait before a peer that the caller named is dialled again.
const MANUAL_RETRY: Duration = Duration::from_secs(1);
/// Banned addresses remembered a torrent.
const MAX_BANNED: usize = 10_000;

#[derive(Debug, Clone)]
struct KnownPeer {
    source: PeerSource,
    fails: u32,
    not_before: Time,
    connected: bool,
    dialling: bool,
    seed: bool,
}

impl KnownPeer {
    /// How long to wait before the next dial. One that the caller named may just be starting: it is tried again soon.
    fn pause(&self, limits: &SwarmLimits) -> Duration {
        let manual = self.source.contains(PeerSource::MANUAL);
        let patience = if manual { MANUAL_RETRY.min(limits.min_reconnect) } else { limits.min_reconnect };
        patience * self.fails.max(1)
    }
}

/// The limits that the list keeps.
#[derive(Debug, Clone, Copy)]
pub struct SwarmLimits {
    pub max_peers: usize,
    pub max_failcount: u32,
    pub min_reconnect: Duration,
    pub no_privileged_ports: bool,
}

/// A torrent's peer list.
#[derive(Debug, Default)]
pub struct Swarm {
    peers: HashMap<SocketAddr, KnownPeer>,
    /// Port 0 stands for the whole address.
    banned: HashSet<SocketAddr>,
    dialling: usize,
    connected: usize,
}

impl Swarm {
    /// Takes in an address; true if it is a new candidate. A full list drops its worst idle peer for it, or refuses.
    pub fn add(&mut self, address: SocketAddr, source: PeerSource, limits: &SwarmLimits) -> bool {
        let address = canonical(address);
        if !is_dialable(address, limits) || self.is_banned(address) {
            return false;
        }
        if let Some(known) = self.peers.get_mut(&address) {
            known.source |= source;
            if source.contains(PeerSource::MANUAL) {
                known.fails = 0;
                known.not_before = Time::ZERO;
            }
            return false;
        }
        if self.peers.len() >= limits.max_peers && !self.drop_worst(source) {
            return false;
        }
        let known =
            KnownPeer { source, fails: 0, not_before: Time::ZERO, connected: false, dialling: false, seed: false };
        self.peers.insert(address, known);
        true
    }

    /// What peers tell of others gives way to what anybody else tells: a few that lie could fill the list.
    fn drop_worst(&mut self, newcomer: PeerSource) -> bool {
        let idle = self.peers.iter().filter(|(_, p)| !p.connected && !p.dialling);
        let gossip = |p: &KnownPeer| p.source == PeerSource::PEX;
        let worst = idle
            .filter(|(_, p)| p.fails > 0 || gossip(p) && newcomer != PeerSource::PEX)
            .max_by_key(|(a, p)| (p.fails, gossip(p), **a));
        let Some(address) = worst.map(|(a, _)| *a) else { return false };
        self.peers.remove(&address).is_some()
    }

    /// The next peers to dial, at most `n`, marked as being dialled: never failed first, seeds last while we seed.
    pub fn next_dials(&mut self, now: Time, n: usize, we_are_seed: bool, limits: &SwarmLimits) -> Vec<SocketAddr> {
        if n == 0 {
            return Vec::new();
        }
        let ready = |p: &KnownPeer| {
            !p.connected
                && !p.dialling
                && p.fails <= limits.max_failcount
                && p.not_before <= now
                && !(we_are_seed && p.seed)
        };
        let mut candidates: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, p)| ready(p))
            .map(|(a, p)| (p.fails, !p.source.contains(PeerSource::MANUAL), p.not_before, *a))
            .collect();
        candidates.sort_unstable();
        candidates.truncate(n);
        for (_, _, _, address) in &candidates {
            if let Some(p) = self.peers.get_mut(address) {
                p.dialling = true;
                self.dialling += 1;
            }
        }
        candidates.into_iter().map(|(_, _, _, a)| a).collect()
    }

    /// When a peer that is only waiting for its time may be dialled.
    pub fn next_dial_time(&self, limits: &SwarmLimits) -> Option<Time> {
        let waiting = self.peers.values().filter(|p| !p.connected && !p.dialling && p.fails <= limits.max_failcount);
        waiting.map(|p| p.not_before).min()
    }

    /// A dial ended without a connection.
    pub fn dial_failed(&mut self, now: Time, address: SocketAddr, limits: &SwarmLimits) {
        if let Some(p) = self.peers.get_mut(&canonical(address))
            && std::mem::take(&mut p.dialling)
        {
            self.dialling -= 1;
            p.fails += 1;
            p.not_before = now + p.pause(limits);
        }
    }

    /// A dial was put off by the shell, through no fault of the peer.
    pub fn dial_deferred(&mut self, until: Time, address: SocketAddr) {
        if let Some(p) = self.peers.get_mut(&canonical(address))
            && std::mem::take(&mut p.dialling)
        {
            self.dialling -= 1;
            p.not_before = until;
        }
    }

    /// A connection stands. An incoming one makes the peer known (its port is not one to dial), if the list has room for it.
    pub fn connected(&mut self, address: SocketAddr, incoming: bool, limits: &SwarmLimits) {
        let address = canonical(address);
        let is_full = self.peers.len() >= limits.max_peers && !self.peers.contains_key(&address);
        if is_full && !self.drop_worst(PeerSource::INCOMING) {
            return;
        }
        let entry = self.peers.entry(address).or_insert(KnownPeer {
            source: PeerSource::default(),
            fails: 0,
            not_before: Time::ZERO,
            connected: false,
            dialling: false,
            seed: false,
        });
        if incoming {
            entry.source |= PeerSource::INCOMING;
        }
        if std::mem::take(&mut entry.dialling) {
            self.dialling -= 1;
        }
        if !std::mem::replace(&mut entry.connected, true) {
            self.connected += 1;
        }
    }

    /// A connection ended. `failed`: it gave nothing, or misbehaved. Incoming-only peers are forgotten.
    pub fn disconnected(&mut self, now: Time, address: SocketAddr, failed: bool, limits: &SwarmLimits) {
        let address = canonical(address);
        let Some(p) = self.peers.get_mut(&address) else { return };
        if std::mem::take(&mut p.connected) {
            self.connected -= 1;
        }
        if p.source == PeerSource::INCOMING {
            self.peers.remove(&address);
            return;
        }
        p.fails = if failed { p.fails + 1 } else { 0 };
        p.not_before = now + p.pause(limits);
    }

    /// Nobody is connected or being dialled any more.
    pub fn forget_connections(&mut self) {
        self.peers.retain(|_, p| p.source != PeerSource::INCOMING && !p.source.is_empty());
        self.peers.values_mut().for_each(|p| (p.connected, p.dialling) = (false, false));
        (self.connected, self.dialling) = (0, 0);
    }

    pub fn set_seed(&mut self, address: SocketAddr, seed: bool) {
        if let Some(p) = self.peers.get_mut(&canonical(address)) {
            p.seed = seed;
        }
    }

    /// Bans whoever is at this address. Behind a loopback address sit many: there only the port is banned.
    pub fn ban(&mut self, address: SocketAddr) {
        let ip = address.ip().to_canonical();
        self.ban_exactly(SocketAddr::new(ip, if ip.is_loopback() { address.port() } else { 0 }));
    }

    /// Bans every port of the address.
    pub fn ban_ip(&mut self, ip: IpAddr) {
        self.ban_exactly(SocketAddr::new(ip.to_canonical(), 0));
    }

    fn ban_exactly(&mut self, banned: SocketAddr) {
        if self.banned.len() < MAX_BANNED {
            self.banned.insert(banned);
        }
        let hit = |a: &SocketAddr| a.ip() == banned.ip() && (banned.port() == 0 || a.port() == banned.port());
        self.peers.retain(|a, p| !hit(a) || p.connected || p.dialling);
    }

    pub fn is_banned(&self, address: SocketAddr) -> bool {
        let address = canonical(address);
        self.banned.contains(&address) || self.banned.contains(&SocketAddr::new(address.ip(), 0))
    }

    pub fn source(&self, address: SocketAddr) -> PeerSource {
        self.peers.get(&canonical(address)).map_or(PeerSource::default(), |p| p.source)
    }

    pub fn len(&self) -> usize {
        self.peers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub fn num_seeds(&self) -> usize {
        self.peers.values().filter(|p| p.seed).count()
    }

    pub fn num_dialling(&self) -> usize {
        self.dialling
    }

    /// Peers that could be dialled, now or later.
    pub fn num_candidates(&self, limits: &SwarmLimits) -> usize {
        self.peers.values().filter(|p| !p.connected && !p.dialling && p.fails <= limits.max_failcount).count()
    }
}

/// An IPv4 peer is one peer, whether it came over an IPv4 or a dual-stack socket.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn is_dialable(address: SocketAddr, limits: &SwarmLimits) -> bool {
    let ip = address.ip();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    let least_port = if limits.no_privileged_ports { 1024 } else { 1 };
    address.port() >= least_port && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SwarmLimits = SwarmLimits {
        max_peers: 3,
        max_failcount: 2,
        min_reconnect: Duration::from_secs(60),
        no_privileged_ports: false,
    };

    fn addr(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 6881))
    }

    #[test]
    fn fresh_peers_are_dialled_first_and_failures_wait() {
        let mut swarm = Swarm::default();
        assert!(swarm.add(addr(1), PeerSource::TRACKER, &LIMITS));
        assert!(!swarm.add(addr(1), PeerSource::PEX, &LIMITS));
        assert_eq!(swarm.source(addr(1)), PeerSource::TRACKER | PeerSource::PEX);
        assert_eq!(swarm.next_dials(Time::ZERO, 9, false, &LIMITS), [addr(1)]);
        assert!(swarm.next_dials(Time::ZERO, 9, false, &LIMITS).is_empty());
        swarm.dial_failed(Time::ZERO, addr(1), &LIMITS);
        assert_eq!(swarm.next_dial_time(&LIMITS), Some(Time::from_millis(60_000)));
        assert!(swarm.next_dials(Time::from_millis(59_000), 9, false, &LIMITS).is_empty());
        swarm.add(addr(2), PeerSource::DHT, &LIMITS);
        assert_eq!(swarm.next_dials(Time::from_millis(61_000), 9, false, &LIMITS), [addr(2), addr(1)]);
        assert_eq!(swarm.num_dialling(), 2);
    }

    #[test]
    fn gives_up_after_max_failcount() {
        let mut swarm = Swarm::default();
        swarm.add(addr(1), PeerSource::TRACKER, &LIMITS);
        for i in 0..3u64 {
            let now = Time::from_millis(i * 1_000_000);
            assert_eq!(swarm.next_dials(now, 1, false, &LIMITS).len(), 1);
            swarm.dial_failed(now, addr(1), &LIMITS);
        }
        assert!(swarm.next_dials(Time::NEVER, 1, false, &LIMITS).is_empty());
        swarm.add(addr(1), PeerSource::MANUAL, &LIMITS);
        assert_eq!(swarm.next_dials(Time::ZERO, 1, false, &LIMITS), [addr(1)]);
        swarm.dial_failed(Time::ZERO, addr(1), &LIMITS);
        assert_eq!(swarm.next_dial_time(&LIMITS), Some(Time::from_millis(1000)));
    }

    #[test]
    fn the_list_is_bounded_and_bans_hold() {
        let mut swarm = Swarm::default();
        for n in 1..=3 {
            assert!(swarm.add(addr(n), PeerSource::PEX, &LIMITS));
        }
        assert!(!swarm.add(addr(4), PeerSource::PEX, &LIMITS), "nobody failed: no room");
        assert_eq!(swarm.next_dials(Time::ZERO, 1, false, &LIMITS).len(), 1);
        let dialled = addr(1);
        swarm.dial_failed(Time::ZERO, dialled, &LIMITS);
        assert!(swarm.add(addr(4), PeerSource::PEX, &LIMITS));
        swarm.ban(addr(4));
        assert!(!swarm.add(addr(4), PeerSource::MANUAL, &LIMITS));
        assert!(swarm.is_banned("[::ffff:10.0.0.4]:99".parse().expect("an address")));
        swarm.ban("127.0.0.1:5".parse().expect("an address"));
        assert!(!swarm.is_banned("127.0.0.1:6".parse().expect("an address")));
    }

    #[test]
    fn who_connects_does_not_make_the_list_longer_than_its_limit() {
        let mut swarm = Swarm::default();
        for n in 1..=9 {
            swarm.connected(addr(n), true, &LIMITS);
        }
        assert_eq!(swarm.len(), 3);
        (1..=9).for_each(|n| swarm.disconnected(Time::ZERO, addr(n), false, &LIMITS));
        assert!(swarm.is_empty());
    }

    #[test]
    fn gossip_gives_way_to_what_others_tell() {
        let mut swarm = Swarm::default();
        (1..=3).for_each(|n| assert!(swarm.add(addr(n), PeerSource::PEX, &LIMITS)));
        assert!(!swarm.add(addr(4), PeerSource::PEX, &LIMITS));
        (5..=7).for_each(|n| assert!(swarm.add(addr(n), PeerSource::TRACKER, &LIMITS)));
        assert!(!swarm.add(addr(8), PeerSource::DHT, &LIMITS), "nobody failed");
    }

    #[test]
    fn hostile_addresses_are_refused() {
        let mut swarm = Swarm::default();
        for bad in ["0.0.0.0:1", "10.0.0.1:0", "224.0.0.1:5", "255.255.255.255:5", "[::]:1", "[ff02::1]:1"] {
            assert!(!swarm.add(bad.parse().expect("an address"), PeerSource::PEX, &LIMITS), "{bad}");
        }
    }

    #[test]
    fn incoming_peers_are_forgotten_when_they_leave() {
        let mut swarm = Swarm::default();
        swarm.connected(addr(9), true, &LIMITS);
        assert_eq!(swarm.len(), 1);
        swarm.disconnected(Time::ZERO, addr(9), false, &LIMITS);
        assert!(swarm.is_empty());
    }
}
