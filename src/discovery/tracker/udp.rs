//! UDP trackers (BEP 15).
//!
//! Packets go by the session's UDP sockets, those of uTP; each answer is handed to the announce that waits for its transaction.
//! Transaction numbers are not to be guessed, and an answer counts only from the address that was asked.
//!
//! An announce goes out over IPv4 and IPv6 at once where the tracker has both: each tells us, and its peers, another half
//! of the swarm. The second half is waited for briefly.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::announce::{AnnounceFailure, AnnounceLimits, AnnounceRequest, MAX_PEERS};
use super::announce_slots::AnnounceSlots;
use super::udp_packet::{Answer, encode_announce, encode_connect, parse, transaction_of};
use crate::base::address::canonical;
use crate::base::error::Operation;
use crate::engine::trackers::AnnounceReply;
use crate::net::egress::Egress;
use crate::net::egress::proxy::Destination;
use crate::net::egress::route::Traffic;
use crate::net::udp_port::Datagram;
use crate::net::udp_ports::{Hears, UdpPorts};
use crate::net::utp::socket::UtpSocket;

/// A connection id is good for a minute after it came.
const CONNECTION_LIFE: Duration = Duration::from_secs(60);
/// Most connection ids remembered, and most announces under way.
const MAX_CONNECTIONS: usize = 1024;
const MAX_PENDING: usize = 1024;
/// Most names looked up at once. Each holds a thread that the disk may want.
const MAX_LOOKUPS: usize = 4;
/// Most addresses of a tracker's name that are tried, an address family.
const MAX_ADDRESSES: usize = 4;
/// How long the other address family is waited for once one has answered.
const OTHER_FAMILY_GRACE: Duration = Duration::from_millis(1500);
/// Of a tracker whose URL names none, as in libtorrent; BEP 15 has no port of its own.
const DEFAULT_PORT: u16 = 443;
/// BEP 15: eight repetitions at most.
const MAX_REPETITIONS: u32 = 8;

/// Announces over UDP.
#[derive(Debug)]
pub struct UdpClient {
    egress: Arc<Egress>,
    ports: Arc<UdpPorts>,
    waiting: Arc<Waiting>,
    /// Where transaction numbers come from: a keyed hash of a counter.
    keys: RandomState,
    counter: AtomicU64,
    connections: Mutex<HashMap<At, Connection>>,
    lookups: Arc<AnnounceSlots>,
}

/// Where a tracker is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum At {
    Address(SocketAddr),
    /// A name and a port, for the proxy.
    Name(String, u16),
}

#[derive(Debug, Clone, Copy)]
struct Connection {
    id: u64,
    since: Instant,
}

/// The announces that wait for an answer, by their transactions.
#[derive(Debug, Default)]
struct Waiting(Mutex<HashMap<u32, Pending>>);

#[derive(Debug)]
struct Pending {
    at: At,
    /// What it was sent is a connect, and no announce.
    connecting: bool,
    answer: oneshot::Sender<Answer>,
}

impl Pending {
    /// The answer in a packet, if it is one to what was asked.
    fn answer_in(&self, packet: &[u8], from: SocketAddr) -> Option<Answer> {
        // Of a name the proxy alone knows the address.
        if matches!(self.at, At::Address(at) if at != from) {
            return None;
        }
        let answer = parse(packet, from.is_ipv6())?;
        match &answer {
            Answer::Connect { .. } if self.connecting => Some(answer),
            Answer::Announce(_) if !self.connecting => Some(answer),
            Answer::Error { .. } => Some(answer),
            _ => None,
        }
    }
}

impl Hears for Waiting {
    /// Hands an answer to whoever waits for it; what nobody asked for is dropped.
    fn hear(&self, _: &UtpSocket, datagram: Datagram<'_>) {
        let Datagram { from, bytes, .. } = datagram;
        let Some(tid) = transaction_of(bytes) else { return };
        let answered = {
            let mut pending = self.0.lock();
            // What is too short, or answers something else, ends nobody's wait: the answer may be behind it.
            let answer = pending.get(&tid).and_then(|p| p.answer_in(bytes, from));
            answer.and_then(|answer| Some((pending.remove(&tid)?, answer)))
        };
        if let Some((pending, answer)) = answered {
            let _ = pending.answer.send(answer);
        }
    }
}

/// A place in the table of those who wait, given up however the wait ends.
struct Place<'a> {
    waiting: &'a Waiting,
    tid: u32,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.0.lock().remove(&self.tid);
    }
}

/// What a UDP tracker's URL says.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    /// Path and query, for BEP 41.
    url_data: String,
}

fn target_of(url: &str) -> Result<Target, AnnounceFailure> {
    let failed = |why: String| AnnounceFailure::new(Operation::ParseAddress, format!("invalid tracker URL: {why}"));
    let url = url::Url::parse(url).map_err(|e| failed(e.to_string()))?;
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(failed("no host".to_owned()));
    }
    let port = url.port().unwrap_or(DEFAULT_PORT);
    if port == 0 {
        return Err(failed("port 0".to_owned()));
    }
    let mut url_data = url.path().to_owned();
    if let Some(query) = url.query() {
        url_data = format!("{url_data}?{query}");
    }
    if url_data == "/" {
        url_data.clear();
    }
    Ok(Target { host: host.to_owned(), port, url_data })
}

impl UdpClient {
    /// What comes by those sockets is for this one from now on.
    pub fn new(egress: Arc<Egress>, ports: Arc<UdpPorts>) -> Self {
        let waiting: Arc<Waiting> = Arc::default();
        let hears: Arc<dyn Hears> = waiting.clone();
        ports.tell_trackers(Arc::downgrade(&hears));
        Self {
            egress,
            ports,
            waiting,
            keys: RandomState::new(),
            counter: AtomicU64::new(0),
            connections: Mutex::new(HashMap::new()),
            lookups: AnnounceSlots::new(MAX_LOOKUPS),
        }
    }

    pub(super) async fn announce(
        &self,
        request: &AnnounceRequest,
        limits: &AnnounceLimits,
    ) -> Result<AnnounceReply, AnnounceFailure> {
        let target = target_of(&request.url)?;
        if !self.egress.route().carries_udp(Traffic::Trackers) {
            let why = "the proxy carries no UDP: SOCKS5 would be needed";
            return Err(AnnounceFailure::new(Operation::SockOpen, why));
        }
        let found = self.look_up(&target, request).await?.into_iter();
        let (mut v6, mut v4): (Vec<_>, Vec<_>) = found.partition(|at| matches!(at, At::Address(SocketAddr::V6(_))));
        v4.truncate(MAX_ADDRESSES);
        v6.truncate(MAX_ADDRESSES);
        let ask = async |addrs: &[At]| -> Result<AnnounceReply, AnnounceFailure> {
            self.exchange(addrs, request, &target.url_data, limits.udp_retry).await
        };
        match (v4.is_empty(), v6.is_empty()) {
            (true, true) => Err(AnnounceFailure::new(Operation::HostnameLookup, "the tracker's name has no address")),
            (false, true) => ask(&v4).await,
            (true, false) => ask(&v6).await,
            (false, false) => both(ask(&v4), ask(&v6)).await,
        }
    }

    /// The addresses of a tracker. Names wait for each other.
    async fn look_up(&self, target: &Target, request: &AnnounceRequest) -> Result<Vec<At>, AnnounceFailure> {
        let is_name = target.host.parse::<IpAddr>().is_err();
        if is_name && !self.egress.route().resolves(Traffic::Trackers) {
            return Ok(vec![At::Name(target.host.clone(), target.port)]);
        }
        let _turn = if is_name { self.lookups.take(request.turn.clone()).await } else { None };
        let found = self.egress.resolve(Traffic::Trackers, &target.host, target.port).await;
        let found = found.map_err(|e| AnnounceFailure::io(Operation::HostnameLookup, &e))?;
        Ok(found.into_iter().map(|address| At::Address(canonical(address))).collect())
    }

    /// Asks the addresses of one family in turn, each time with twice the patience.
    async fn exchange(
        &self,
        addrs: &[At],
        request: &AnnounceRequest,
        url_data: &str,
        retry: Duration,
    ) -> Result<AnnounceReply, AnnounceFailure> {
        let mut patience = retry;
        let mut failed = 0;
        let begin = Instant::now();
        for (addr, repetition) in addrs.iter().cycle().zip(0..=MAX_REPETITIONS) {
            match tokio::time::timeout(patience, self.ask(addr, request, url_data)).await {
                Ok(Ok(reply)) => return Ok(reply),
                // It was reached, or there is no other address to try.
                Ok(Err(failure)) if failure.failure_reason.is_some() || failed + 1 >= addrs.len() => {
                    return Err(failure);
                }
                Ok(Err(_)) => failed += 1,
                Err(_) => {
                    // It may have forgotten our connection: the next try asks for a new one.
                    self.connections.lock().remove(addr);
                    if repetition == MAX_REPETITIONS {
                        break;
                    }
                    failed = 0;
                    patience = patience.saturating_mul(2);
                }
            }
        }
        Err(AnnounceFailure::timed_out(Operation::SockRead, begin.elapsed()))
    }

    /// Connects, if need be, and announces, once.
    async fn ask(&self, at: &At, request: &AnnounceRequest, url_data: &str) -> Result<AnnounceReply, AnnounceFailure> {
        let unexpected = || AnnounceFailure::new(Operation::Bittorrent, "the tracker's answer makes no sense");
        loop {
            let (connection, remembered) = match self.connection(at) {
                Some(connection) => (connection, true),
                None => match self.call(at, true, |tid| encode_connect(tid).to_vec()).await? {
                    Answer::Connect { connection } => self.remember(at, connection),
                    Answer::Error { message } => return Err(AnnounceFailure::refused(message, None)),
                    Answer::Announce(_) => return Err(unexpected()),
                },
            };
            match self.call(at, false, |tid| encode_announce(connection, tid, request, url_data)).await? {
                Answer::Announce(reply) => return Ok(reply),
                // Perhaps it was restarted and does not know the connection: once more with a new one.
                Answer::Error { .. } if remembered => {
                    self.connections.lock().remove(at);
                }
                Answer::Error { message } => return Err(AnnounceFailure::refused(message, None)),
                Answer::Connect { .. } => return Err(unexpected()),
            }
        }
    }

    fn connection(&self, at: &At) -> Option<u64> {
        let connections = self.connections.lock();
        connections.get(at).filter(|c| c.since.elapsed() < CONNECTION_LIFE).map(|c| c.id)
    }

    fn remember(&self, at: &At, id: u64) -> (u64, bool) {
        let mut connections = self.connections.lock();
        if connections.len() >= MAX_CONNECTIONS {
            connections.retain(|_, c| c.since.elapsed() < CONNECTION_LIFE);
        }
        if connections.len() < MAX_CONNECTIONS {
            connections.insert(at.clone(), Connection { id, since: Instant::now() });
        }
        (id, false)
    }

    /// Sends a packet and waits for its answer, for as long as it is polled.
    async fn call(
        &self,
        at: &At,
        connecting: bool,
        packet: impl FnOnce(u32) -> Vec<u8>,
    ) -> Result<Answer, AnnounceFailure> {
        let (answer, answered) = oneshot::channel();
        let place = {
            let mut pending = self.waiting.0.lock();
            if pending.len() >= MAX_PENDING {
                return Err(AnnounceFailure::new(Operation::SockWrite, "too many announces to UDP trackers at once"));
            }
            let mut tid = self.transaction();
            while pending.contains_key(&tid) {
                tid = self.transaction();
            }
            pending.insert(tid, Pending { at: at.clone(), connecting, answer });
            Place { waiting: &self.waiting, tid }
        };
        let (socket, to) = match at {
            At::Address(address) => {
                (self.ports.to(&self.egress, Traffic::Trackers, *address).await, Destination::Address(*address))
            }
            At::Name(name, port) => {
                (self.ports.relayed(&self.egress, Traffic::Trackers).await, Destination::Name(name, *port))
            }
        };
        let socket = socket.map_err(|e| AnnounceFailure::io(Operation::SockBind, &e))?;
        let sent = socket.send_other(to, &packet(place.tid));
        // It may have to close meanwhile.
        drop(socket);
        sent.map_err(|e| AnnounceFailure::io(Operation::SockWrite, &e))?;
        answered.await.map_err(|_| AnnounceFailure::new(Operation::SockRead, "the session is closed"))
    }

    fn transaction(&self) -> u32 {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        // The low half of the hash.
        self.keys.hash_one(n) as u32
    }
}

/// Two announces at once: both replies as one where both come in time, else the one that comes.
async fn both(
    a: impl Future<Output = Result<AnnounceReply, AnnounceFailure>>,
    b: impl Future<Output = Result<AnnounceReply, AnnounceFailure>>,
) -> Result<AnnounceReply, AnnounceFailure> {
    tokio::pin!(a, b);
    let (first, a_was_first) = tokio::select! {
        r = &mut a => (r, true),
        r = &mut b => (r, false),
    };
    let other = async { if a_was_first { b.await } else { a.await } };
    match first {
        Ok(reply) => match tokio::time::timeout(OTHER_FAMILY_GRACE, other).await {
            Ok(Ok(other)) => Ok(merge(reply, other)),
            _ => Ok(reply),
        },
        // The one that went on longer says more about the tracker, as an address family that we lack fails at once.
        Err(_) => other.await,
    }
}

/// The tracker may count both of our announces: the larger numbers are the swarm's.
fn merge(a: AnnounceReply, b: AnnounceReply) -> AnnounceReply {
    let mut peers = a.peers;
    peers.extend(b.peers);
    peers.truncate(MAX_PEERS);
    AnnounceReply {
        interval_s: a.interval_s.max(b.interval_s),
        min_interval_s: a.min_interval_s.max(b.min_interval_s),
        peers,
        complete: a.complete.max(b.complete),
        incomplete: a.incomplete.max(b.incomplete),
        ..AnnounceReply::default()
    }
}

#[cfg(test)]
mod tests;
