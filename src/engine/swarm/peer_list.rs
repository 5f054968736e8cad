//! The peers that a torrent knows of: where from, how they fared, who may be dialled next, who is banned.
//!
//! Nobody is given up. What a failure costs is time: `fails` counts those in a row, `not_before` says until when the peer is left
//! alone, and only this file writes either. A pause grows with the failures to some minutes and no further, with some chance in
//! it, so that those that failed together do not come back together. It is cut short, or forgiven, when
//!
//! * a source names the peer again (`named_again`): a tracker soon, others no sooner than after a first failure;
//! * somebody answers after nobody was there: what failed meanwhile failed with the network (`network_is_back`);
//! * the torrent is resumed (`forgive_all`);
//! * somebody waits and there is nobody to ask (`call`, and `call_beside` for those whose connection may be dead).
//!
//! That a connection ended is no failure in itself. It is one if the peer misbehaved, or hung up on us as soon as it was there though
//! something was wanted of it. Where nothing was, it just has no use for connections that idle: it is called less and less often
//! (`idle_ends`), and at once when somebody waits.
//!
//! Answers that name peers are of any length, and most of what they name may be dead. They take turns, as many of each at a time as an
//! ordinary one has, and of a longer one at random: in that order they are kept and dialled. Who is named again comes before them.

mod blocked;
mod noted;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use self::noted::Noted;
use super::dial::Dial;
use super::port_filter::PortFilter;
use crate::base::address::{canonical, is_of_name};
use crate::base::time::Time;
use crate::wire::stream_kind::StreamKind;

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

impl PeerSource {
    /// Whom a private torrent may know (BEP 27): those of its trackers, those whom a caller names, and who comes by himself.
    pub const OF_PRIVATE: Self = Self::TRACKER.union(Self::MANUAL).union(Self::INCOMING);
}

/// The first wait before a peer that the caller named is dialled again.
const MANUAL_RETRY: Duration = Duration::from_secs(1);
/// No pause is longer, unless `min_reconnect_time` is.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// A tracker that names a peer again may have it dialled so soon after the last try: it says so once an announce. The DHT and
/// PEX say the same thing many times over.
const NAMED_RETRY: Duration = Duration::from_secs(5);
/// While somebody waits and there is nobody to ask, a peer is left alone for so long after a try.
const CALLED_RETRY: Duration = Duration::from_secs(3);
/// The same of one whose last connection ended without a failure: between two calls.
const CALLED_AGAIN: Duration = Duration::from_secs(1);
/// Who answered when it was dialled beside a connection that said nothing, and says nothing again, is not dialled so for so long: it lives.
const BESIDE_AGAIN: Duration = Duration::from_secs(120);
/// What failed with the network is forgiven once in this time: one peer that comes and goes must not have all others dialled.
const FORGIVING: Duration = Duration::from_secs(60);
/// Over so long those who are forgiven together are dialled again.
const FORGIVEN_WITHIN: Duration = Duration::from_secs(3);
/// Of one answer so many have the same turn: all of an ordinary one.
const ONE_TURN: usize = 200;
/// Of a full list so many make room for one answer, and as many for those of it that are named again. To find each costs a look at all.
const MOST_DROPPED: usize = 300;
/// Peers remembered that came to us by themselves.
const MAX_REMEMBERED: usize = 50;
/// Banned addresses remembered a torrent.
const MAX_BANNED: usize = 10_000;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    Fair,
    /// Soon, and before anything was wanted of the peer.
    Idle,
    /// The peer misbehaved, or was of no use.
    Failed,
}

#[derive(Debug, Clone, Default)]
struct KnownPeer {
    source: PeerSource,
    /// Failures in a row.
    fails: u32,
    /// Connections in a row that ended idle.
    idle_ends: u32,
    /// Of those who were never tried the first turn is first. 0: it was named again, or tried; the last: it was tried, and others come first.
    turn: usize,
    /// It is not dialled before this.
    not_before: Time,
    /// When the last try ended: a dial that failed, or a connection.
    tried: Time,
    /// When it was last called.
    called: Option<Time>,
    connected: bool,
    dialling: bool,
    /// The connection with it may be dead: it may be dialled beside that.
    beside: bool,
    /// That brought a connection: it is not done again before this.
    beside_again: Time,
    /// There was a connection once: who was there before is called first.
    met: bool,
    /// It came to us, told that it listens here, and brought a block: it stays known when it goes.
    remembered: bool,
    seed: bool,
    /// A caller waits to be told how the dial goes, and named it then.
    awaited: Option<Time>,
    /// Whether the last connection that we made was encrypted. Before there was one: others say that it wants that.
    encrypted: Option<bool>,
    /// The last connection that we made was one of uTP.
    utp: bool,
}

impl KnownPeer {
    fn is_idle(&self) -> bool {
        !self.connected && !self.dialling
    }

    fn may_be_dialled(&self) -> bool {
        !self.dialling && (!self.connected || self.beside)
    }

    /// Is there anything to dial it for? Of two seeds neither has what the other wants, but a caller may want them to meet.
    fn is_of_use(&self, we_are_seed: bool) -> bool {
        !(we_are_seed && self.seed) || self.awaited.is_some()
    }

    /// Nobody else knows it, and it did nothing by which to remember it.
    fn is_passing(&self) -> bool {
        self.source == PeerSource::INCOMING && !self.remembered
    }

    /// How long to wait before the next dial. One that the caller named may just be starting: it is tried again soon.
    fn pause(&self, limits: &SwarmLimits) -> Duration {
        let fails = self.fails.saturating_add(self.idle_ends).max(1);
        if self.source.contains(PeerSource::MANUAL) {
            return (MANUAL_RETRY * (1 << (fails - 1).min(10))).min(limits.min_reconnect);
        }
        let longest = LONGEST_PAUSE.max(limits.min_reconnect);
        if fails > limits.max_failcount { longest } else { limits.min_reconnect.saturating_mul(fails).min(longest) }
    }

    /// A source names a peer that is known. It counts for one failure.
    fn named_again(&mut self, now: Time, source: PeerSource, limits: &SwarmLimits) {
        self.source |= source;
        self.turn = 0;
        if source.contains(PeerSource::MANUAL) {
            (self.fails, self.idle_ends) = (0, 0);
            self.not_before = Time::ZERO;
            return;
        }
        self.fails = self.fails.saturating_sub(1);
        let soon = source.intersects(PeerSource::TRACKER | PeerSource::LSD);
        let retry = if soon { NAMED_RETRY.min(limits.min_reconnect) } else { limits.min_reconnect };
        self.not_before = self.not_before.min(now.max(self.tried + retry));
    }
}

/// The limits that the list keeps.
#[derive(Debug, Clone, Copy)]
pub struct SwarmLimits {
    pub max_peers: usize,
    /// Failures in a row, up to which the pause grows by `min_reconnect` with each; after that it is the longest at once.
    pub max_failcount: u32,
    pub min_reconnect: Duration,
    pub no_privileged_ports: bool,
}

impl SwarmLimits {
    /// Is it an address that may be dialled?
    pub fn allow(&self, address: SocketAddr) -> bool {
        let ip = address.ip();
        let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
        let port = address.port();
        port != 0 && !self.blocks_port(port) && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
    }
}

/// A torrent's peer list.
#[derive(Debug)]
pub struct PeerList {
    peers: HashMap<SocketAddr, KnownPeer>,
    /// Port 0 stands for the whole address.
    banned: HashSet<SocketAddr>,
    /// Nobody is dialled at these.
    ports: Arc<PortFilter>,
    dialling: usize,
    connected: usize,
    /// Since when nobody is connected, and when that was last forgiven.
    alone_since: Time,
    forgave: Option<Time>,
    /// New ones that were named while the list was full: who is named again is worth more than who is named once.
    overflow: Noted,
    /// Those that failed and made room for others: they come back behind those that were never tried.
    dropped: Noted,
    /// The last one that was dialled a caller had named.
    dialled_manual: bool,
    rng: fastrand::Rng,
}

impl PeerList {
    pub fn new(now: Time, seed: u64) -> Self {
        Self {
            peers: HashMap::new(),
            banned: HashSet::new(),
            ports: Arc::default(),
            dialling: 0,
            connected: 0,
            alone_since: now,
            forgave: None,
            overflow: Noted::new(seed),
            dropped: Noted::new(seed),
            dialled_manual: false,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// The duration, or up to a quarter more.
    pub fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(1.0 + self.rng.f64() / 4.0)
    }

    /// Takes in an address; true if it is a new candidate. A full list drops its worst idle peer for it, or refuses.
    pub fn add(&mut self, now: Time, address: SocketAddr, source: PeerSource, limits: &SwarmLimits) -> bool {
        self.add_answer(now, &[address], source, limits) > 0
    }

    /// Takes in what was named together; how many are new candidates.
    pub fn add_answer(
        &mut self,
        now: Time,
        addresses: &[SocketAddr],
        source: PeerSource,
        limits: &SwarmLimits,
    ) -> usize {
        let mut addresses: Vec<SocketAddr> = addresses.iter().map(|a| canonical(*a)).collect();
        if addresses.len() > ONE_TURN {
            self.rng.shuffle(&mut addresses);
            addresses.sort_by_cached_key(|a| self.dropped.has(*a));
        }
        let mut new = 0;
        let (mut room, mut room_again) = (MOST_DROPPED, MOST_DROPPED);
        for (at, address) in addresses.into_iter().enumerate() {
            let foreign = is_of_name(address.ip()) && !source.contains(PeerSource::MANUAL);
            if foreign || !self.admits(address, limits) {
                continue;
            }
            if let Some(known) = self.peers.get_mut(&address) {
                known.named_again(now, source, limits);
                continue;
            }
            let mut turn = 1 + at / ONE_TURN;
            if self.peers.len() >= limits.max_peers {
                let again = self.overflow.note(address) && !self.dropped.has(address);
                turn = if again { 0 } else { turn };
                let left = if again { &mut room_again } else { &mut room };
                // Where there is none for one of them, there is none for later ones.
                if *left == 0 || !self.drop_worst(source, turn) {
                    *left = 0;
                    continue;
                }
                *left -= 1;
            }
            self.peers.insert(address, KnownPeer { source, turn, ..KnownPeer::default() });
            new += 1;
        }
        new
    }

    /// For a newcomer whose turn that is. Who was here goes last, whatever failed since. What peers tell of others gives way to what
    /// anybody else tells: a few that lie could fill the list.
    fn drop_worst(&mut self, newcomer: PeerSource, turn: usize) -> bool {
        let idle = self.peers.iter().filter(|(_, p)| p.is_idle());
        let gossip = |p: &KnownPeer| p.source == PeerSource::PEX;
        let all_met = idle.clone().all(|(_, p)| p.met);
        let worst = idle
            .filter(|(_, p)| p.met == all_met)
            .filter(|(_, p)| p.fails > 0 || p.turn > turn || gossip(p) && newcomer != PeerSource::PEX)
            .max_by_key(|(a, p)| (p.fails, gossip(p), p.turn, **a));
        let Some((address, failed)) = worst.map(|(a, p)| (*a, p.fails > 0)) else { return false };
        if failed {
            self.dropped.note(address);
        }
        self.peers.remove(&address).is_some()
    }

    /// A caller wants to be told how the next dial goes. False if the peer is not in the list.
    pub fn await_dial(&mut self, now: Time, address: SocketAddr) -> bool {
        let Some(p) = self.peers.get_mut(&canonical(address)) else { return false };
        p.awaited = (!p.connected).then_some(now);
        true
    }

    /// Does a caller wait to be told of it? It is told once.
    pub fn take_awaited(&mut self, address: SocketAddr) -> bool {
        self.peers.get_mut(&canonical(address)).is_some_and(|p| p.awaited.take().is_some())
    }

    /// The next peers to dial, at most `n`, marked as being dialled: never failed first, seeds not while we seed. Of those
    /// whom a caller waits to meet the one that it named last comes first: those before had their time. Others that a caller named and
    /// those of other sources take turns: either may be many and dead.
    pub fn next_dials(&mut self, now: Time, n: usize, we_are_seed: bool) -> Vec<SocketAddr> {
        if n == 0 {
            return Vec::new();
        }
        let ready = |p: &KnownPeer| p.may_be_dialled() && p.not_before <= now && p.is_of_use(we_are_seed);
        let mut candidates: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, p)| ready(p))
            .map(|(a, p)| {
                ((p.fails, Reverse(p.awaited)), p.turn, p.not_before, *a, p.source.contains(PeerSource::MANUAL))
            })
            .collect();
        candidates.sort_unstable();
        let (manual, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|(.., manual)| *manual);
        let (mut manual, mut others) = (manual.into_iter().peekable(), others.into_iter().peekable());
        let mut dials = Vec::new();
        while dials.len() < n {
            let manual_first = match (manual.peek(), others.peek()) {
                (Some(a), Some(b)) if a.0 == b.0 => !self.dialled_manual,
                (Some(a), Some(b)) => a.0 < b.0,
                (a, _) => a.is_some(),
            };
            let next = if manual_first { manual.next() } else { others.next() };
            let Some((.., address, _)) = next else { break };
            self.dialled_manual = manual_first;
            dials.push(address);
        }
        for address in &dials {
            if let Some(p) = self.peers.get_mut(address) {
                p.dialling = true;
                self.dialling += 1;
            }
        }
        dials
    }

    /// When a peer that is only waiting for its time may be dialled.
    pub fn next_dial_time(&self, we_are_seed: bool) -> Option<Time> {
        let waiting = self.peers.values().filter(|p| p.may_be_dialled() && p.is_of_use(we_are_seed));
        waiting.map(|p| p.not_before).min()
    }

    /// A dial ended without a connection.
    pub fn dial_failed(&mut self, now: Time, address: SocketAddr, limits: &SwarmLimits) {
        let address = canonical(address);
        let Some(p) = self.peers.get_mut(&address) else { return };
        if std::mem::take(&mut p.dialling) {
            self.dialling -= 1;
            if p.connected {
                (p.tried, p.beside) = (now, false);
            } else {
                self.rest(now, address, Parting::Failed, limits);
            }
        }
    }

    /// A dial was put off, through no fault of the peer.
    pub fn dial_deferred(&mut self, until: Time, address: SocketAddr, limits: &SwarmLimits) {
        if let Some(p) = self.peers.get_mut(&canonical(address))
            && std::mem::take(&mut p.dialling)
        {
            self.dialling -= 1;
            p.not_before = until;
            self.drop_unwanted(address, limits);
        }
    }

    /// A try ended: the peer is left alone for a while, or, if it was banned or blocked meanwhile, for good.
    fn rest(&mut self, now: Time, address: SocketAddr, parting: Parting, limits: &SwarmLimits) {
        if self.drop_unwanted(address, limits) {
            return;
        }
        let Some(p) = self.peers.get_mut(&address) else { return };
        (p.fails, p.idle_ends) = match parting {
            Parting::Fair => (0, 0),
            Parting::Idle => (0, p.idle_ends.saturating_add(1)),
            Parting::Failed => (p.fails.saturating_add(1), p.idle_ends),
        };
        (p.tried, p.turn) = (now, 0);
        let pause = p.pause(limits);
        let until = now + self.about(pause);
        if let Some(p) = self.peers.get_mut(&address) {
            p.not_before = until;
        }
    }

    /// A connection stands. An incoming one makes the peer known (its port is not one to dial), if the list has room for it.
    pub fn connected(&mut self, now: Time, address: SocketAddr, incoming: bool, limits: &SwarmLimits) {
        let address = canonical(address);
        let is_full = self.peers.len() >= limits.max_peers && !self.peers.contains_key(&address);
        if is_full && !self.drop_worst(PeerSource::INCOMING, 0) {
            return;
        }
        let entry = self.peers.entry(address).or_default();
        if incoming {
            entry.source |= PeerSource::INCOMING;
        }
        entry.met = true;
        if std::mem::take(&mut entry.beside) {
            entry.beside_again = now + BESIDE_AGAIN;
        }
        if std::mem::take(&mut entry.dialling) {
            self.dialling -= 1;
        }
        if std::mem::replace(&mut entry.connected, true) {
            return;
        }
        self.connected += 1;
        if self.connected == 1 && self.forgave.is_none_or(|at| now.since(at) >= FORGIVING) {
            self.network_is_back(now);
        }
    }

    /// The connection that we made was of this kind: so it is dialled the next time.
    pub fn note_kind(&mut self, address: SocketAddr, kind: StreamKind) {
        if let Some(p) = self.peers.get_mut(&canonical(address)) {
            (p.encrypted, p.utp) = (Some(kind.is_encrypted()), kind.is_utp());
        }
    }

    /// Others say that these want encryption. What is known of them counts for more.
    pub fn hear_of_encryption(&mut self, addresses: &[SocketAddr]) {
        for address in addresses {
            if let Some(p) = self.peers.get_mut(&canonical(*address)).filter(|p| !p.met) {
                p.encrypted = Some(true);
            }
        }
    }

    /// How it is to be dialled.
    pub fn dial(&self, address: SocketAddr) -> Dial {
        let known = self.peers.get(&canonical(address));
        let (encrypted, utp) = known.map_or((None, false), |p| (p.encrypted, p.utp));
        Dial { address, encrypted, utp }
    }

    /// Somebody answers, and nobody did: what failed meanwhile may have failed through no fault of its own.
    fn network_is_back(&mut self, now: Time) {
        let (since, within) = (self.alone_since, FORGIVEN_WITHIN.as_micros() as u64);
        let failed = self.peers.iter_mut().filter(|(_, p)| p.is_idle() && p.fails > 0 && p.tried > since);
        let mut failed: Vec<_> = failed.collect();
        // In one order, that the same seed gives the same times.
        failed.sort_unstable_by_key(|(address, _)| **address);
        if !failed.is_empty() {
            self.forgave = Some(now);
        }
        for (_, p) in failed {
            p.fails = 0;
            p.not_before = p.not_before.min(now + Duration::from_micros(self.rng.u64(0..within)));
        }
    }

    /// The torrent begins anew.
    pub fn forgive_all(&mut self) {
        for p in self.peers.values_mut() {
            (p.fails, p.idle_ends) = (0, 0);
            p.not_before = Time::ZERO;
        }
    }

    /// Somebody waits, and there is nobody to ask: up to `n` of those who rest may be dialled at once, first those who were here
    /// before, and of them who was left alone for longest. Their failures still count.
    pub fn call(&mut self, now: Time, n: usize) {
        let may = |p: &KnownPeer| match p.called {
            _ if !p.met || p.fails > 0 => now.since(p.tried) >= CALLED_RETRY,
            Some(called) => now.since(called) >= CALLED_AGAIN,
            None => true,
        };
        let rests = |p: &KnownPeer| p.is_idle() && p.not_before > now && may(p);
        let mut resting: Vec<_> =
            self.peers.iter().filter(|(_, p)| rests(p)).map(|(a, p)| (!p.met, p.tried, *a)).collect();
        resting.sort_unstable();
        for (.., address) in resting.into_iter().take(n) {
            if let Some(p) = self.peers.get_mut(&address) {
                (p.not_before, p.called) = (now, Some(now));
            }
        }
    }

    /// Somebody waits, and the connection with this one says nothing: it may be dead without a word (a NAT or a VPN began anew), and the
    /// peer may be dialled beside it. If it answers, the old connection ends (`duplicates`).
    pub fn call_beside(&mut self, now: Time, address: SocketAddr) {
        let Some(p) = self.peers.get_mut(&canonical(address)) else { return };
        if p.connected && !p.dialling && p.beside_again <= now && now.since(p.tried) >= CALLED_RETRY {
            (p.beside, p.not_before) = (true, now);
        }
    }

    /// Who came to us listens at this address, and brought a block: it is known when it goes, and dialled as others are. Of one IP
    /// that is one port (behind a loopback address sit many), and of all so many: who failed most, then who was tried first, goes.
    pub fn remember(&mut self, address: SocketAddr) {
        let address = canonical(address);
        match self.peers.get_mut(&address) {
            Some(p) if p.source == PeerSource::INCOMING => p.remembered = true,
            _ => return,
        }
        let ip = address.ip();
        let outdated = |a: &SocketAddr, p: &KnownPeer| {
            p.is_idle() && p.remembered && p.source == PeerSource::INCOMING && a.ip() == ip && *a != address
        };
        self.peers.retain(|a, p| ip.is_loopback() || !outdated(a, p));
        let remembered = self.peers.iter().filter(|(_, p)| p.remembered);
        if remembered.clone().count() > MAX_REMEMBERED
            && let Some(worst) = remembered
                .filter(|(a, p)| p.is_idle() && p.source == PeerSource::INCOMING && **a != address)
                .min_by_key(|(a, p)| (Reverse(p.fails), p.tried, **a))
                .map(|(a, _)| *a)
        {
            self.peers.remove(&worst);
        }
    }

    /// Forgets all who are not known from one of these sources, and dials that are under way.
    pub fn keep_only(&mut self, sources: PeerSource) {
        self.peers.retain(|_, p| p.source.intersects(sources));
        self.dialling = self.peers.values().filter(|p| p.dialling).count();
        self.connected = self.peers.values().filter(|p| p.connected).count();
    }

    /// A connection ended. Incoming-only peers are forgotten, if they are not remembered for something.
    pub fn disconnected(&mut self, now: Time, address: SocketAddr, parting: Parting, limits: &SwarmLimits) {
        let address = canonical(address);
        let Some(p) = self.peers.get_mut(&address) else { return };
        if std::mem::take(&mut p.connected) {
            self.connected -= 1;
            if self.connected == 0 {
                self.alone_since = now;
            }
        }
        if p.is_passing() && p.is_idle() {
            self.peers.remove(&address);
            return;
        }
        self.rest(now, address, parting, limits);
    }

    /// Nobody is connected or being dialled any more.
    pub fn forget_connections(&mut self) {
        let ports = &self.ports;
        self.peers.retain(|a, p| !p.is_passing() && !p.source.is_empty() && !ports.blocks(a.port()));
        self.peers.values_mut().for_each(|p| (p.connected, p.dialling, p.beside) = (false, false, false));
        (self.connected, self.dialling) = (0, 0);
    }

    pub fn set_seed(&mut self, address: SocketAddr, seed: bool) {
        if let Some(p) = self.peers.get_mut(&canonical(address)) {
            p.seed = seed;
        }
    }

    /// Bans whoever is at this address. Behind a loopback address sit many: there only the port is banned. Whom a caller waits to be
    /// told of, and who is not dialled any more for it, is given.
    #[must_use]
    pub fn ban(&mut self, address: SocketAddr) -> Vec<SocketAddr> {
        let ip = address.ip().to_canonical();
        self.ban_exactly(SocketAddr::new(ip, if ip.is_loopback() { address.port() } else { 0 }))
    }

    /// Bans every port of the address; gives what [`PeerList::ban`] does.
    #[must_use]
    pub fn ban_ip(&mut self, ip: IpAddr) -> Vec<SocketAddr> {
        self.ban_exactly(SocketAddr::new(ip.to_canonical(), 0))
    }

    fn ban_exactly(&mut self, banned: SocketAddr) -> Vec<SocketAddr> {
        if self.banned.len() < MAX_BANNED {
            self.banned.insert(banned);
        }
        let hit = |a: &SocketAddr| a.ip() == banned.ip() && (banned.port() == 0 || a.port() == banned.port());
        let gone = self.peers.extract_if(|a, p| hit(a) && p.is_idle());
        let mut awaited: Vec<SocketAddr> = gone.filter(|(_, p)| p.awaited.is_some()).map(|(a, _)| a).collect();
        awaited.sort_unstable();
        awaited
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

    /// Peers that could be dialled now.
    pub fn num_ready(&self, now: Time) -> usize {
        self.peers.values().filter(|p| p.is_idle() && p.not_before <= now).count()
    }

    /// Is there one that was never tried, and may be dialled, or is being dialled?
    pub fn has_untried(&self, now: Time) -> bool {
        self.peers.values().any(|p| !p.connected && !p.met && p.tried == Time::ZERO && p.not_before <= now)
    }

    /// Has a caller named one since then, and waits for it still?
    pub fn has_named_since(&self, since: Time) -> bool {
        self.peers.values().any(|p| p.awaited.is_some_and(|at| at >= since))
    }

    /// It made room for others: it is dialled no sooner than that, and behind those that were never tried.
    pub fn put_off(&mut self, address: SocketAddr, until: Time) {
        if let Some(p) = self.peers.get_mut(&canonical(address)) {
            (p.not_before, p.turn) = (until, usize::MAX);
        }
    }

    /// Peers that could be dialled, now or later.
    pub fn num_candidates(&self) -> usize {
        self.peers.values().filter(|p| p.is_idle()).count()
    }
}

#[cfg(test)]
mod tests;
