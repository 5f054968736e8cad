//! A [`Node`] at work: by the session's UDP sockets, which it shares with uTP and UDP trackers, and on the clock.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::node::{Announcement, Event, Node, Output, SearchId, To};
use super::state::DhtState;
use super::{Dht, DhtOptions, Wait};
use crate::base::address::canonical;
use crate::base::time::Time;
use crate::engine::swarm::external_ip::Voter;
use crate::metainfo::info_hash::Sha1Hash;
use crate::net::egress::Egress;
use crate::net::egress::proxy::Destination;
use crate::net::egress::route::Traffic;
use crate::net::udp_port::Datagram;
use crate::net::udp_ports::{Hears, UdpPorts};
use crate::net::utp::socket::UtpSocket;
use crate::settings::parse_host_ports;

/// A name that takes longer to look up is as good as unknown.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(10);
/// Of one host name.
const MAX_ADDRESSES: usize = 8;
/// Names that are looked up at once, at most, for whoever names them.
const MAX_NAMES: usize = 64;
/// A torrent is looked for again so soon after the first time, and then each announce interval: the first answers come of a table that is being
/// filled.
const FIRST_PAUSES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(40)];
/// Batches of peers that a search may have in store.
const MAX_BATCHES: usize = 64;
/// With no way out packets are dropped, and it is tried again so late.
const NO_WAY: Duration = Duration::from_secs(1);

/// Who is told where the world sees us.
pub type TellOurIp = Box<dyn Fn(Voter, IpAddr) + Send + Sync>;

/// The DHT of a session. It ends with this, or when it is stopped.
pub struct DhtService(Arc<Inner>);

struct Inner {
    node: Mutex<Node>,
    epoch: Instant,
    egress: Arc<Egress>,
    ports: Arc<UdpPorts>,
    runtime: Handle,
    /// There is something to be sent or told.
    wake: Notify,
    searches: Mutex<HashMap<SearchId, mpsc::Sender<Vec<SocketAddr>>>>,
    routers: Mutex<Vec<String>>,
    looking_up_routers: AtomicBool,
    names: Arc<tokio::sync::Semaphore>,
    announce_interval: watch::Sender<Duration>,
    bootstrapped: watch::Sender<bool>,
    tell_our_ip: TellOurIp,
    stop: CancellationToken,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Hears for Inner {
    fn hear(&self, by: &UtpSocket, datagram: Datagram<'_>) {
        if self.stop.is_cancelled() || self.egress.is_ended() {
            return;
        }
        let answer = self.with(|node, now| node.hear(now, datagram.from, datagram.bytes));
        if let Some(answer) = answer {
            // Whoever does not get it asks again.
            let _ = by.answer_other(&datagram, &answer);
        }
    }
}

impl DhtService {
    /// Begins with what is known of another time. Inside a tokio runtime.
    pub fn start(
        options: &DhtOptions,
        state: &[u8],
        egress: Arc<Egress>,
        ports: Arc<UdpPorts>,
        tell_our_ip: TellOurIp,
        mut rng: fastrand::Rng,
    ) -> Self {
        let state = DhtState::decode(state).unwrap_or_else(|| DhtState::fresh(&mut rng));
        let mut key = [0; 20];
        if getrandom::fill(&mut key).is_err() {
            rng.fill(&mut key);
        }
        let node = Node::new(Time::BEGINNING, options.node.clone(), &state, key, rng);
        let inner = Arc::new(Inner {
            node: Mutex::new(node),
            epoch: Instant::now(),
            egress,
            ports,
            runtime: Handle::current(),
            wake: Notify::new(),
            searches: Mutex::default(),
            routers: Mutex::default(),
            looking_up_routers: AtomicBool::new(false),
            names: Arc::new(tokio::sync::Semaphore::new(MAX_NAMES)),
            announce_interval: watch::channel(options.announce_interval).0,
            bootstrapped: watch::channel(false).0,
            tell_our_ip,
            stop: CancellationToken::new(),
        });
        let hears: Arc<dyn Hears> = inner.clone();
        inner.ports.tell_dht(Arc::downgrade(&hears));
        tokio::spawn(inner.clone().run());
        let service = Self(inner);
        service.apply(options);
        service
    }
}

impl Dht for DhtService {
    fn get_peers(&self, info_hash: Sha1Hash, announcement: Option<Announcement>) -> mpsc::Receiver<Vec<SocketAddr>> {
        let (out, peers) = mpsc::channel(16);
        self.0.runtime.spawn(search(self.0.clone(), info_hash, announcement, out));
        peers
    }

    fn add_node(&self, host: &str, port: u16) {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = host.parse() {
            self.0.with(|node, now| node.add_node(now, canonical(SocketAddr::new(ip, port))));
        } else if self.0.egress.route().resolves(Traffic::Dht) {
            // Beyond the bound they are forgotten: one good node is as good as many.
            let Ok(place) = self.0.names.clone().try_acquire_owned() else { return };
            let (inner, host) = (self.0.clone(), host.to_owned());
            self.0.runtime.spawn(async move {
                let found = inner.look_up(&host, port).await;
                inner.with(|node, now| found.into_iter().for_each(|addr| node.add_node(now, addr)));
                drop(place);
            });
        } else {
            self.0.with(|node, now| node.add_named_node(now, host.to_owned(), port));
        }
    }

    fn node_count(&self) -> usize {
        self.0.node.lock().node_count()
    }

    fn set_external_ip(&self, ip: IpAddr) {
        self.0.with(|node, now| node.set_external_ip(now, ip));
    }

    fn apply(&self, options: &DhtOptions) {
        let inner = &self.0;
        inner.announce_interval.send_replace(options.announce_interval);
        inner.with(|node, now| {
            node.set_config(options.node.clone());
            let (v4, v6) = options.families;
            node.set_families(now, v4, v6);
            options.external_ips.iter().for_each(|ip| node.set_external_ip(now, *ip));
        });
        let mut routers = inner.routers.lock();
        if *routers != options.bootstrap_nodes {
            routers.clone_from(&options.bootstrap_nodes);
            drop(routers);
            inner.look_up_routers();
        }
    }

    fn save_state(&self) -> Vec<u8> {
        self.0.node.lock().state().encode()
    }

    fn wait_bootstrapped(&self) -> Wait<'_> {
        let mut bootstrapped = self.0.bootstrapped.subscribe();
        Box::pin(async move {
            if bootstrapped.wait_for(|b| *b).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }

    fn stop(&self) {
        self.0.stop.cancel();
    }
}

impl Drop for DhtService {
    fn drop(&mut self) {
        self.0.stop.cancel();
    }
}

impl Inner {
    fn now(&self) -> Time {
        Time::BEGINNING + self.epoch.elapsed()
    }

    /// Has the node do something. What comes of it is sent and told by its task.
    fn with<T>(&self, act: impl FnOnce(&mut Node, Time) -> T) -> T {
        let mut node = self.node.lock();
        let result = act(&mut node, self.now());
        if node.has_output() {
            self.wake.notify_one();
        }
        result
    }

    async fn run(self: Arc<Self>) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            _ = self.egress.while_it_lasts(self.work()) => {}
        }
        self.stop.cancel();
        // Whoever waits for peers hears that there come none.
        self.searches.lock().clear();
    }

    async fn work(self: &Arc<Self>) {
        loop {
            let (Output { packets, events }, due) = {
                let mut node = self.node.lock();
                let now = self.now();
                if now >= node.due(now) {
                    node.keep_time(now);
                }
                (node.take_output(), node.due(now))
            };
            events.into_iter().for_each(|event| self.tell(event));
            self.send(packets).await;
            let due = self.epoch + due.since(Time::BEGINNING);
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep_until(due) => {}
            }
        }
    }

    async fn send(&self, packets: Vec<(To, Vec<u8>)>) {
        for (to, packet) in packets {
            let (address, destination) = match &to {
                To::Address(address) => (Some(*address), Destination::Address(*address)),
                To::Name(name, port) => (None, Destination::Name(name, *port)),
            };
            match self.ports.to_node(&self.egress, address).await {
                // What is lost is as what is lost on the way.
                Ok(socket) => drop(socket.send_other(destination, &packet)),
                Err(_) if self.egress.route().is_direct(Traffic::Dht) => {}
                // All of it would fare alike.
                Err(_) => return tokio::time::sleep(NO_WAY).await,
            }
        }
    }

    fn tell(self: &Arc<Self>, event: Event) {
        match event {
            Event::Peers { search, peers } => {
                if let Some(listener) = self.searches.lock().get(&search) {
                    // Who lags behind misses some: they will be found again.
                    let _ = listener.try_send(peers);
                }
            }
            // It hears all that was found before.
            Event::SearchOver { search } => drop(self.searches.lock().remove(&search)),
            Event::Bootstrapped => drop(self.bootstrapped.send_replace(true)),
            Event::Lost => self.look_up_routers(),
            Event::OurIp { by, ip } => (self.tell_our_ip)(Voter::Peer(by), ip),
        }
    }

    /// Looks the nodes up to begin by. Each counts as soon as it is known.
    fn look_up_routers(self: &Arc<Self>) {
        if self.looking_up_routers.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = self.clone();
        self.runtime.spawn(async move {
            let mut lookups = JoinSet::new();
            let (mut found, mut names) = (Vec::new(), Vec::new());
            let hosts = inner.routers.lock().clone();
            let resolves = inner.egress.route().resolves(Traffic::Dht);
            for host in &hosts {
                let Some((name, port)) = parse_host_ports(host).ok().and_then(|mut hosts| hosts.pop()) else {
                    continue;
                };
                if !resolves && name.parse::<IpAddr>().is_err() {
                    names.push((name, port));
                    continue;
                }
                let inner = inner.clone();
                lookups.spawn(async move { inner.look_up(&name, port).await });
            }
            let take_in = |found: &[SocketAddr]| {
                inner.with(|node, now| node.set_routers(now, found.to_vec(), names.clone()));
            };
            take_in(&found);
            loop {
                tokio::select! {
                    () = inner.stop.cancelled() => return,
                    addresses = lookups.join_next() => match addresses {
                        None => break,
                        Some(addresses) => found.extend(addresses.unwrap_or_default()),
                    },
                }
                take_in(&found);
            }
            inner.looking_up_routers.store(false, Ordering::Release);
            // They were changed meanwhile.
            if *inner.routers.lock() != hosts {
                inner.look_up_routers();
            }
        });
    }

    /// The addresses of a node, not too many; none where they are not told in time.
    async fn look_up(&self, name: &str, port: u16) -> Vec<SocketAddr> {
        let lookup = self.egress.resolve(Traffic::Dht, name, port);
        let found = timeout(LOOKUP_PATIENCE, lookup).await;
        found.ok().and_then(Result::ok).unwrap_or_default().into_iter().take(MAX_ADDRESSES).map(canonical).collect()
    }
}

/// A search that is under way, which ends with this.
struct Searching {
    inner: Arc<Inner>,
    id: SearchId,
}

impl Searching {
    fn begin(
        inner: &Arc<Inner>,
        info_hash: Sha1Hash,
        announcement: Option<Announcement>,
    ) -> (Self, mpsc::Receiver<Vec<SocketAddr>>) {
        let (tell, found) = mpsc::channel(MAX_BATCHES);
        // Before anybody is told of it.
        let mut searches = inner.searches.lock();
        let id = inner.with(|node, now| node.search(now, info_hash, announcement));
        searches.insert(id, tell);
        (Self { inner: inner.clone(), id }, found)
    }
}

impl Drop for Searching {
    fn drop(&mut self) {
        self.inner.searches.lock().remove(&self.id);
        self.inner.with(|node, now| node.stop_search(now, self.id));
    }
}

/// Looks for a torrent's peers again and again, until nobody listens or the DHT ends.
async fn search(
    inner: Arc<Inner>,
    info_hash: Sha1Hash,
    announcement: Option<Announcement>,
    out: mpsc::Sender<Vec<SocketAddr>>,
) {
    let mut interval = inner.announce_interval.subscribe();
    let mut pauses = FIRST_PAUSES.into_iter();
    loop {
        let (searching, mut found) = Searching::begin(&inner, info_hash, announcement);
        // Where no node is known it goes on as long as it takes.
        loop {
            tokio::select! {
                biased;
                () = out.closed() => return,
                () = inner.stop.cancelled() => return,
                what = found.recv() => match what {
                    Some(peers) => drop(out.try_send(peers)),
                    None => break,
                },
            }
        }
        drop(searching);
        tokio::select! {
            () = out.closed() => return,
            () = inner.stop.cancelled() => return,
            () = rest_of_pause(Instant::now(), pauses.next(), &mut interval) => {}
        }
    }
}

/// Waits until the pause that began then is over, by the interval of now.
async fn rest_of_pause(begun: Instant, first: Option<Duration>, interval: &mut watch::Receiver<Duration>) {
    loop {
        let interval_now = *interval.borrow_and_update();
        let again = begun + first.map_or(interval_now, |first| first.min(interval_now));
        tokio::select! {
            // No change can come where the DHT is gone.
            Ok(()) = interval.changed() => {}
            () = sleep_until(again) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `dht_announce_interval` counts for searches that rest already, shortened and lengthened.
    #[tokio::test(start_paused = true)]
    async fn an_interval_changed_meanwhile_counts() {
        let (sender, mut interval) = watch::channel(Duration::from_secs(900));
        let begun = Instant::now();
        let change = async {
            for (at, to) in [(200, 400), (300, 600), (500, 300)] {
                sleep_until(begun + Duration::from_secs(at)).await;
                sender.send_replace(Duration::from_secs(to));
            }
        };
        let ((), ()) = tokio::join!(rest_of_pause(begun, None, &mut interval), change);
        assert_eq!(begun.elapsed(), Duration::from_secs(500), "300 s were over when they were set");
        drop(sender);
        rest_of_pause(begun + Duration::from_secs(500), None, &mut interval).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(800), "the last word of a DHT that is gone");
        rest_of_pause(begun + Duration::from_secs(800), Some(Duration::from_secs(20)), &mut interval).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(820));
    }
}
