//! What the torrents of a session share: runtime, memory, alerts, limits, sockets, trackers, DHT.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Notify, watch};

use super::alert_queue::AlertQueue;
use super::clock::Clock;
use super::deletions::Deletions;
use super::driver::Driver;
use super::hash_batch::HashBatch;
use super::listen_sockets::Listening;
use super::news_limit::NewsLimit;
use super::receive_buffers::ReceiveBuffers;
use super::registry::Registry;
use super::runtime::SignalsBlocked;
use super::session_dht::SessionDht;
use super::session_totals::SessionTotals;
use crate::alert::{Alert, BlockedReason};
use crate::base::error::{Error, Operation, Result, Status};
use crate::base::storage_index::StorageIndex;
use crate::base::time::Time;
use crate::discovery::tracker::announce_slots::AnnounceSlots;
use crate::discovery::tracker::{TrackerClient, TrackerOptions};
use crate::disk::file_pool::FilePool;
use crate::engine::Torrent;
use crate::engine::cache::share::Shares;
use crate::engine::swarm::external_ip::{ExternalIp, Voter};
use crate::engine::swarm::port_filter::PortFilter;
use crate::engine::swarm::turnover::{Need, Newcomer};
use crate::memory::pool::{BLOCK_SIZE, Pool};
use crate::net::connection_limit::{ConnectionLimit, Kind};
use crate::net::egress::options::SocketOptions;
use crate::net::egress::route::Route;
use crate::net::egress::{Egress, ProxyFailure};
use crate::net::half_open::HalfOpen;
use crate::net::rate_limit::RateLimiter;
use crate::net::udp_ports::UdpPorts;
use crate::net::utp::notices::{self, Notice};
use crate::settings::Settings;
use crate::wire::Handshake;

/// Between two connections that are ended to make room. To find one costs a look at all.
pub const ROOM_PAUSE: Duration = Duration::from_millis(100);
/// Announces over UDP at once. Each is a datagram now and then.
const MAX_UDP_ANNOUNCES: usize = 1000;

/// What came of an attempt to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freed {
    One,
    /// Nobody is of no use.
    None,
    /// Somebody looked only just now.
    NotYet,
}

/// All is tried anew by a proxy no more often.
const ANEW_AGAIN: Duration = Duration::from_secs(30);

/// A session's common ground.
pub struct Shared {
    pub clock: Clock,
    runtime: Handle,
    settings: RwLock<Arc<Settings>>,
    changing: Mutex<()>,
    /// Whom no torrent dials.
    pub port_filter: RwLock<Arc<PortFilter>>,
    blocked_news: NewsLimit,
    pub alerts: AlertQueue,
    pub pool: Arc<Pool>,
    pub shares: Arc<Shares>,
    pub files: Arc<FilePool>,
    pub torrents: Mutex<Registry<Arc<Driver>>>,
    pub download_limit: Arc<RateLimiter>,
    pub upload_limit: Arc<RateLimiter>,
    /// Places for announces over HTTP, and over UDP.
    pub announce_slots: Arc<AnnounceSlots>,
    pub udp_announce_slots: Arc<AnnounceSlots>,
    /// What counts beyond the torrents that are there.
    pub totals: Mutex<SessionTotals>,
    pub connections: Arc<ConnectionLimit>,
    /// Accepted connections that have not said whom they want.
    pub half_open: Arc<HalfOpen>,
    pub deletions: Arc<Deletions>,
    pub hash_batch: HashBatch,
    /// When a peer was last told to make room for another, in microseconds.
    freed_place: AtomicU64,
    egress: Mutex<Arc<Egress>>,
    trackers: Mutex<Arc<TrackerClient>>,
    pub dht: Mutex<SessionDht>,
    /// Seeds for the torrents. Not of the thread that adds one: nothing of ours is to be left behind in a caller's thread.
    pub seeds: Mutex<fastrand::Rng>,
    pub listening: Listening,
    pub udp_ports: Arc<UdpPorts>,
    pub receive_buffers: ReceiveBuffers,
    external_ip: Mutex<ExternalIp>,
    pub next_reader: AtomicU64,
    pub paused: AtomicBool,
    /// The torrents are about to be told that their shares changed.
    shares_stale: AtomicBool,
    /// They are about to be asked for memory.
    memory_asked: AtomicBool,
    closed: AtomicBool,
    closing: watch::Sender<bool>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("closed", &self.closed).finish_non_exhaustive()
    }
}

impl Shared {
    pub fn new(runtime: Handle, settings: Settings, rng: &mut fastrand::Rng) -> Result<Arc<Self>> {
        let rate = |limit: i64| RateLimiter::new(u32::try_from(limit).unwrap_or(0));
        let (egress, failures) = Egress::new(Route::of(&settings), SocketOptions::of(&settings));
        let egress = Arc::new(egress);
        let (noticed, notices) = notices::channel();
        let udp_ports = UdpPorts::new(rng.fork(), noticed);
        let trackers = {
            let _context = runtime.enter();
            TrackerClient::new(&tracker_options(&settings), egress.clone(), udp_ports.clone())?
        };
        let session = Arc::new(Self {
            clock: Clock::new(),
            runtime,
            alerts: AlertQueue::new(usize::try_from(settings.alert_queue_size).unwrap_or(1), alert_mask(&settings)),
            pool: Pool::new(u64::try_from(settings.memory_limit).unwrap_or(0)),
            shares: Arc::new(Shares::default()),
            files: FilePool::new(40),
            torrents: Mutex::new(Registry::new(rng.u64(..))),
            download_limit: rate(settings.download_rate_limit),
            upload_limit: rate(settings.upload_rate_limit),
            announce_slots: AnnounceSlots::new(announces(&settings)),
            udp_announce_slots: AnnounceSlots::new(MAX_UDP_ANNOUNCES),
            totals: Mutex::new(SessionTotals::default()),
            changing: Mutex::new(()),
            port_filter: RwLock::default(),
            blocked_news: NewsLimit::default(),
            connections: ConnectionLimit::new(connections(&settings)),
            half_open: Arc::default(),
            deletions: Arc::default(),
            hash_batch: HashBatch::default(),
            freed_place: AtomicU64::new(0),
            trackers: Mutex::new(Arc::new(trackers)),
            dht: Mutex::default(),
            seeds: Mutex::new(rng.fork()),
            listening: Listening::default(),
            udp_ports,
            receive_buffers: ReceiveBuffers::default(),
            external_ip: Mutex::new(ExternalIp::default()),
            next_reader: AtomicU64::new(1),
            paused: AtomicBool::new(false),
            shares_stale: AtomicBool::new(false),
            memory_asked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            closing: watch::channel(false).0,
            egress: Mutex::new(egress),
            settings: RwLock::new(Arc::new(settings)),
        });
        session.follow_proxy(&session.egress(), failures);
        session.hear_sockets(notices);
        Ok(session)
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// The way out, as the settings say now.
    pub fn egress(&self) -> Arc<Egress> {
        self.egress.lock().clone()
    }

    /// Posts what is said of the proxy, as long as that way out is the session's, and has somebody look when it works again.
    fn follow_proxy(self: &Arc<Self>, egress: &Arc<Egress>, mut failures: Receiver<ProxyFailure>) {
        if egress.route().proxy().is_none() {
            return;
        }
        egress.look_at_proxy();
        let (session, failed) = (Arc::downgrade(self), Arc::new(Notify::new()));
        self.spawn(Self::look_after_proxy(self.clone(), egress.clone(), failed.clone()));
        self.spawn(async move {
            while let Some(ProxyFailure { message, os_error, tell }) = failures.recv().await {
                failed.notify_one();
                let Some(session) = session.upgrade() else { return };
                if tell {
                    let error = Error { status: Status::Network, operation: Operation::Connect, os_error, message };
                    session.alerts.post(StorageIndex::INVALID, &Alert::Socks5 { error });
                }
            }
        });
    }

    /// Posts what UDP sockets tell, as long as there are any.
    fn hear_sockets(self: &Arc<Self>, mut notices: Receiver<Notice>) {
        let session = Arc::downgrade(self);
        self.spawn(async move {
            while let Some(notice) = notices.recv().await {
                let Some(session) = session.upgrade() else { return };
                match notice {
                    Notice::Failed { endpoint, error } => {
                        session.alerts.post(StorageIndex::INVALID, &Alert::UdpError { endpoint, error });
                    }
                    // Others let nobody in for other reasons: nobody listens by them.
                    Notice::Refused(from) if !session.settings().enable_incoming_utp => {
                        session.tell_blocked(from, BlockedReason::UtpDisabled);
                    }
                    Notice::Refused(_) => {}
                }
            }
        });
    }

    /// One that came, and is not let in.
    pub fn tell_blocked(&self, endpoint: SocketAddr, reason: BlockedReason) {
        let alert = Alert::PeerBlocked { endpoint, reason };
        if self.is_news(&alert) {
            self.alerts.post(StorageIndex::INVALID, &alert);
        }
    }

    /// Is it to be posted? Of some there may be any number.
    pub fn is_news(&self, alert: &Alert) -> bool {
        !matches!(alert, Alert::PeerBlocked { .. }) || self.blocked_news.allows(self.now())
    }

    /// When a proxy works again that failed, what failed by it is tried anew.
    async fn look_after_proxy(self: Arc<Self>, egress: Arc<Egress>, failed: Arc<Notify>) {
        let look = async {
            loop {
                failed.notified().await;
                if egress.until_proxy_works().await {
                    self.drivers().iter().for_each(|driver| driver.run(Torrent::reachable_anew));
                }
                // One that only seems to work is not put to the test by all torrents all the time.
                tokio::time::sleep(ANEW_AGAIN).await;
            }
        };
        tokio::select! {
            () = self.closing() => {}
            _ = egress.while_it_lasts(look) => {}
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Marks the session closed; true for the one call that did it.
    pub fn begin_close(&self) -> bool {
        let first = !self.closed.swap(true, Ordering::AcqRel);
        self.closing.send_replace(true);
        first
    }

    /// Resolves when the session closes.
    pub async fn closing(&self) {
        let mut closing = self.closing.subscribe();
        // The sender lives as long as this session does.
        let _ = closing.wait_for(|c| *c).await;
    }

    /// Makes the session's runtime that of the calling thread, for what needs one to be made.
    pub fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        self.runtime.spawn(task)
    }

    pub fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        // It may take a new thread.
        let _blocked = SignalsBlocked::here();
        self.runtime.spawn_blocking(work);
    }

    /// Held while settings are changed: of two changes at once neither is lost.
    pub fn lock_changes(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// Takes the settings in, and with them each limit that is kept beside them.
    pub fn put_settings(self: &Arc<Self>, settings: Settings) -> Result<()> {
        let new_way = Some(Route::of(&settings)).filter(|route| route != self.egress().route());
        let options = SocketOptions::of(&settings);
        let egress = new_way.map(|route| Egress::new(route, options));
        let egress = egress.map(|(egress, failures)| (Arc::new(egress), failures));
        let (asked, ask) = (tracker_options(&self.settings()), tracker_options(&settings));
        if let Some((egress, _)) = &egress {
            let _context = self.runtime.enter();
            let client = TrackerClient::new(&ask, egress.clone(), self.udp_ports.clone())?;
            *self.trackers.lock() = Arc::new(client);
        } else if asked != ask {
            let client = self.tracker_client().with_options(&ask)?;
            *self.trackers.lock() = Arc::new(client);
        }
        self.egress().set_options(options);
        if let Some((egress, failures)) = egress {
            std::mem::replace(&mut *self.egress.lock(), egress.clone()).end();
            self.follow_proxy(&egress, failures);
        }
        self.download_limit.set_rate(u32::try_from(settings.download_rate_limit).unwrap_or(0));
        self.upload_limit.set_rate(u32::try_from(settings.upload_rate_limit).unwrap_or(0));
        self.alerts.set_mask(alert_mask(&settings));
        self.alerts.set_limit(usize::try_from(settings.alert_queue_size).unwrap_or(1));
        self.connections.set(connections(&settings));
        self.announce_slots.set(announces(&settings));
        let memory = u64::try_from(settings.memory_limit).unwrap_or(0);
        if self.pool.is_beyond(memory / u64::from(BLOCK_SIZE)) {
            self.drivers().iter().for_each(|driver| driver.run(|core, now| core.spare(now, memory)));
        }
        self.pool.set_limit(memory);
        *self.settings.write() = Arc::new(settings);
        Ok(())
    }

    /// All places are taken: ends a connection that is of no use, of this torrent or of another. Not from within a core's lock.
    pub fn free_place(&self, driver: &Arc<Driver>, kind: Kind) -> Freed {
        let first = kind == Kind::DialledFirst;
        if !first && self.connections.is_promised() {
            return Freed::NotYet;
        }
        let now = self.now().micros();
        let due =
            |last: u64| (last == 0 || now.saturating_sub(last) >= ROOM_PAUSE.as_micros() as u64).then_some(now.max(1));
        if self.freed_place.fetch_update(Ordering::AcqRel, Ordering::Acquire, due).is_err() {
            return Freed::NotYet;
        }
        let incoming = kind == Kind::Incoming;
        let for_one_that_came = incoming && self.connections.is_full_of_incoming();
        let free = |driver: &Arc<Driver>, need| {
            let newcomer = Newcomer { incoming, for_one_that_came, need };
            driver.run(|core, now| core.free_place(now, newcomer))
        };
        let mut others = self.drivers();
        others.retain(|d| d.index != driver.index);
        let needs = || driver.look(|core, _| core.needs(first)).unwrap_or_default();
        let freed =
            free(driver, Need::Ours) || needs().into_iter().any(|need| others.iter().any(|other| free(other, need)));
        if freed { Freed::One } else { Freed::None }
    }

    pub fn tracker_client(&self) -> Arc<TrackerClient> {
        self.trackers.lock().clone()
    }

    pub fn drivers(&self) -> Vec<Arc<Driver>> {
        self.torrents.lock().all().into_iter().map(|(_, d)| d).collect()
    }

    /// The port that trackers and the DHT are told: `announce_port`, or the one we listen on. 0: none.
    pub fn told_port(&self) -> u16 {
        let set = u16::try_from(self.settings().announce_port).unwrap_or(0);
        if set == 0 { self.listening.port() } else { set }
    }

    /// Our side of a handshake for a torrent.
    pub fn handshake(&self, driver: &Driver) -> Handshake {
        let (hash, peer_id) = driver.introduction();
        Handshake::new(hash, peer_id, self.dht.lock().running().is_some())
    }

    /// Who we are to a torrent's peers: the fingerprint and chance, and in `anonymous_mode` nothing but chance. Private trackers look at it.
    pub fn new_peer_id(&self, private: bool) -> [u8; 20] {
        let settings = self.settings();
        let named = private || !settings.anonymous_mode;
        let fingerprint = if named { settings.peer_fingerprint.as_bytes() } else { &[] };
        let mut rng = self.seeds.lock();
        std::array::from_fn(|i| fingerprint.get(i).copied().unwrap_or_else(|| rng.alphanumeric() as u8))
    }

    /// Without torrents no buffer is needed: the memory goes back.
    pub fn rest(&self) {
        if self.torrents.lock().is_empty() {
            self.pool.release_idle();
            self.receive_buffers.release();
        }
    }

    /// Somebody sees us at `ip`.
    pub fn external_ip_vote(&self, voter: Voter, ip: IpAddr) {
        if self.external_ip.lock().vote(voter, ip) {
            self.alerts.post(StorageIndex::INVALID, &Alert::ExternalIp { address: ip });
            // Our id in the DHT is one of our address (BEP 42).
            if let Some(dht) = self.dht.lock().running() {
                dht.set_external_ip(ip);
            }
        }
    }

    /// Where the world sees us, of each address family at most one.
    pub fn external_ips(&self) -> Vec<IpAddr> {
        self.external_ip.lock().elected()
    }

    /// A peer told where its DHT node listens.
    pub fn add_dht_endpoint(&self, node: SocketAddr) {
        if let Some(dht) = self.dht.lock().running() {
            dht.add_node(&node.ip().to_string(), node.port());
        }
    }

    /// Somebody came to be the first who waits for memory: all give back what they can spare. Not from within their locks, and not again
    /// while that is being done. As long as anybody waits, they do it by themselves at each event; this is for those who rest.
    pub fn memory_wanted(self: &Arc<Self>) {
        if self.memory_asked.swap(true, Ordering::AcqRel) {
            return;
        }
        let session = self.clone();
        self.spawn(async move {
            session.memory_asked.store(false, Ordering::Release);
            for driver in session.drivers() {
                if !session.pool.anybody_waits() {
                    return;
                }
                driver.run(Torrent::yield_memory);
            }
        });
    }

    /// A torrent's weight changed, so all shares did. What changes before the news is out is told with it.
    pub fn shares_changed(self: &Arc<Self>) {
        if self.shares_stale.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.torrents.lock().len() < 2 {
            self.shares_stale.store(false, Ordering::Release);
            return;
        }
        let session = self.clone();
        self.spawn(async move {
            session.shares_stale.store(false, Ordering::Release);
            for driver in session.drivers() {
                driver.run(|core, now| core.shares_changed(now));
            }
        });
    }
}

fn alert_mask(settings: &Settings) -> u64 {
    // The whole mask is -1 in a setting of 32 bits.
    if settings.alert_mask < 0 { u64::MAX } else { u64::try_from(settings.alert_mask).unwrap_or(u64::MAX) }
}

pub fn connections(settings: &Settings) -> usize {
    usize::try_from(settings.connections_limit).unwrap_or(0)
}

fn announces(settings: &Settings) -> usize {
    usize::try_from(settings.max_concurrent_http_announces).unwrap_or(1)
}

fn tracker_options(settings: &Settings) -> TrackerOptions {
    TrackerOptions { validate_https: settings.validate_https_trackers, ssrf_mitigation: settings.ssrf_mitigation }
}

/// What a closed session answers.
pub fn check_open(session: &Shared) -> Result<()> {
    if session.is_closed() { Err(Error::closed()) } else { Ok(()) }
}
