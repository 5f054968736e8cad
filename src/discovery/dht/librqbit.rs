//! [`Dht`] over `librqbit-dht`.
//!
//! The crate has traps, which are dealt with here:
//!
//! * Its node ends, silently, when its bootstrap list is empty, when all of that fails for a day, on a socket error, or by a
//!   panic. A supervisor notices, and starts it again with what it knew, after a growing pause.
//! * It takes in no nodes while it runs: to add one is to start again with it in the table. Searches go on by themselves
//!   (`lookup.rs`).
//! * Its socket is bound with SO_REUSEADDR, with which Linux lets two nodes listen on one port, and each steal the other's
//!   packets: whether the port is free is found out before.
//! * It looks names up by itself, whatever way out there is to be: it is given addresses alone.
//! * Its default number is the same 64-bit prefix for everybody: it is always given ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use librqbit_dht::{DhtBuilder, DhtConfig, DhtState as CrateState, Id20};
use librqbit_dualstack_sockets::BindDevice;
use parking_lot::Mutex;
use rustix::io::Errno;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::state::{DhtState, MAX_NODES, NodeAddr};
use super::{Dht, DhtOptions, Wait, lookup, probe};
use crate::base::error::{Error, Operation, Result, Status};
use crate::metainfo::info_hash::Sha1Hash;
use crate::net::egress::Egress;
use crate::net::egress::interfaces::Source;
use crate::wire::compact;

/// Stands in for an empty bootstrap list: nobody answers there, and the node goes on asking, ever more rarely.
const NOBODY: &str = "127.0.0.1:1";
/// Of the nodes known from last time, so many are asked beside the bootstrap nodes, whose names may not resolve.
const RESTORED_BOOTSTRAP: usize = 8;
/// How long the bootstrap nodes' names are waited for; less where other nodes are known.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(5);
const LOOKUP_PATIENCE_KNOWING: Duration = Duration::from_secs(1);
/// How often the node is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// With no node in the table, the bootstrap nodes are probed after this long, and then ever more rarely.
const PROBE_AFTER: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(60);
/// Pauses before a dead node is started again.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A node that lived so long died of something new.
const BACKOFF_RESET: Duration = Duration::from_secs(600);
/// Between restarts for the sake of added nodes.
const RESTART_SPACING: Duration = Duration::from_secs(5);
/// How long an ended node's socket may take to close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);
/// Waiting to be added, or being asked, at most.
const MAX_ADDING: usize = 64;

/// A running node of the crate.
pub(super) struct Node {
    /// Never cloned: the count of its owners tells whether the node lives.
    pub(super) state: Arc<CrateState>,
    pub(super) searches: AtomicUsize,
    cancel: CancellationToken,
    since: Instant,
}

impl Node {
    /// The crate does not tell when its task ends. But the task owns a reference to the state, and each search two; with
    /// ours these are all. Searches are counted after they begin and before they end, so a doubt counts as life.
    fn is_alive(&self) -> bool {
        Arc::strong_count(&self.state) > 1 + 2 * self.searches.load(Ordering::SeqCst)
    }

    pub(super) fn count(&self) -> usize {
        self.state.with_routing_tables(|v4, v6| v4.iter().count() + v6.iter().count())
    }

    /// Has any node answered?
    fn has_good_nodes(&self) -> bool {
        let now = std::time::Instant::now();
        // The crate does not let its status type be named.
        self.state
            .with_routing_tables(|v4, v6| v4.iter().chain(v6.iter()).any(|n| format!("{:?}", n.status(now)) == "Good"))
    }

    /// The nodes of both tables, those that answered first.
    fn nodes(&self) -> Vec<NodeAddr> {
        let now = std::time::Instant::now();
        let mut nodes: Vec<(u8, NodeAddr)> = self.state.with_routing_tables(|v4, v6| {
            v4.iter()
                .chain(v6.iter())
                .filter_map(|n| {
                    let rank = match format!("{:?}", n.status(now)).as_str() {
                        "Good" => 0,
                        "Bad" => return None,
                        _ => 1,
                    };
                    Some((rank, NodeAddr { id: n.id().0, addr: n.addr() }))
                })
                .collect()
        });
        nodes.sort_by_key(|(rank, _)| *rank);
        nodes.into_iter().map(|(_, node)| node).filter(|n| compact::is_usable(&n.addr)).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// What the supervisor and the handle share.
struct Shared {
    id: [u8; 20],
    listen: Mutex<SocketAddr>,
    device: Option<String>,
    bootstrap_nodes: Vec<String>,
    announce_interval: watch::Sender<Duration>,
    /// The nodes of when no node ran.
    remembered: Mutex<Vec<NodeAddr>>,
    egress: Arc<Egress>,
}

impl Shared {
    fn source(&self) -> Source {
        Source { address: self.listen.lock().ip(), device: self.device.clone() }
    }
}

/// The DHT of a session.
pub struct LibrqbitDht {
    shared: Arc<Shared>,
    runtime: Handle,
    nodes: watch::Receiver<Option<Arc<Node>>>,
    bootstrapped: watch::Receiver<bool>,
    add: mpsc::Sender<String>,
    cancel: CancellationToken,
    ended: watch::Receiver<bool>,
}

impl LibrqbitDht {
    /// Binds the socket, which may fail, and begins. Inside a tokio runtime.
    pub async fn start(options: DhtOptions) -> Result<Self> {
        let DhtState { id, nodes } = DhtState::decode(&options.state).unwrap_or_else(DhtState::fresh);
        let shared = Arc::new(Shared {
            id,
            listen: Mutex::new(options.listen),
            device: options.device,
            bootstrap_nodes: options.bootstrap_nodes,
            announce_interval: watch::channel(options.announce_interval).0,
            remembered: Mutex::new(nodes),
            egress: options.egress,
        });
        let any_v6 = options.listen.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let first = match start_node(&shared).await {
            // No IPv6 here.
            Err(e) if any_v6 && e.os_error != Errno::ADDRINUSE.raw_os_error() => {
                *shared.listen.lock() = (Ipv4Addr::UNSPECIFIED, options.listen.port()).into();
                start_node(&shared).await?
            }
            other => other?,
        };
        // From now on this very port.
        *shared.listen.lock() = first.state.listen_addr();
        let (nodes_tx, nodes) = watch::channel(Some(first.clone()));
        let (bootstrapped_tx, bootstrapped) = watch::channel(false);
        let (ended_tx, ended) = watch::channel(false);
        let (add, to_add) = mpsc::channel(MAX_ADDING);
        let cancel = CancellationToken::new();
        let supervisor = Supervisor {
            shared: shared.clone(),
            nodes: nodes_tx,
            bootstrapped: bootstrapped_tx,
            to_add,
            cancel: cancel.clone(),
        };
        tokio::spawn(async move {
            supervisor.run(first).await;
            ended_tx.send_replace(true);
        });
        Ok(Self { shared, runtime: Handle::current(), nodes, bootstrapped, add, cancel, ended })
    }
}

impl Dht for LibrqbitDht {
    fn get_peers(&self, info_hash: Sha1Hash, announce_port: Option<u16>) -> mpsc::Receiver<Vec<SocketAddr>> {
        let (out, peers) = mpsc::channel(16);
        let interval = self.shared.announce_interval.subscribe();
        self.runtime.spawn(lookup::run(self.nodes.clone(), info_hash, announce_port, interval, out));
        peers
    }

    fn add_node(&self, host: &str, port: u16) {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.len() > 255 || port == 0 {
            return;
        }
        let host = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        // Beyond the bound they are forgotten: one good node is as good as many.
        let _ = self.add.try_send(host);
    }

    fn node_count(&self) -> usize {
        self.nodes.borrow().as_ref().map_or(0, |node| node.count())
    }

    fn listen_addr(&self) -> SocketAddr {
        *self.shared.listen.lock()
    }

    fn set_announce_interval(&self, interval: Duration) {
        self.shared.announce_interval.send_replace(interval);
    }

    fn save_state(&self) -> Vec<u8> {
        let node = self.nodes.borrow().clone();
        let nodes = match node {
            Some(node) => node.nodes(),
            None => self.shared.remembered.lock().clone(),
        };
        DhtState { id: self.shared.id, nodes }.encode()
    }

    fn wait_bootstrapped(&self) -> Wait<'_> {
        let mut bootstrapped = self.bootstrapped.clone();
        Box::pin(async move {
            if bootstrapped.wait_for(|b| *b).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }

    fn shutdown(&self) -> Wait<'_> {
        self.cancel.cancel();
        let mut ended = self.ended.clone();
        Box::pin(async move {
            let _ = timeout(CLOSE_PATIENCE * 2, ended.wait_for(|e| *e)).await;
        })
    }
}

impl Drop for LibrqbitDht {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Starts a node of the crate with all that we know.
async fn start_node(shared: &Shared) -> Result<Arc<Node>> {
    let wanted = *shared.listen.lock();
    let bind_error = |e: &std::io::Error| Error::io(Operation::SockBind, e, format_args!("DHT on {wanted}"));
    // Bound for a moment, alone; from here comes the port, too, where any will do.
    let listen = shared.egress.probe_udp(&shared.source(), wanted.port()).map_err(|e| bind_error(&e))?;
    let device = shared.device.as_deref().map(BindDevice::new_from_name).transpose();
    let device = device.map_err(|e| Error::new(Status::Network, format!("DHT on {wanted}: {e}")))?;
    let known = shared.remembered.lock().clone();
    let id = Id20::new(shared.id);
    let cancel = CancellationToken::new();
    let patience = if known.is_empty() { LOOKUP_PATIENCE } else { LOOKUP_PATIENCE_KNOWING };
    let mut bootstrap = look_up(shared, patience).await;
    bootstrap.extend(known.iter().take(RESTORED_BOOTSTRAP).map(|n| n.addr.to_string()));
    if bootstrap.is_empty() {
        bootstrap.push(NOBODY.to_owned());
    }
    let mut config = DhtConfig {
        peer_id: Some(id),
        bootstrap_addrs: Some(bootstrap),
        listen_addr: Some(listen),
        cancellation_token: Some(cancel.clone()),
        ..DhtConfig::default()
    };
    // The crate's tables cannot be named, but read: an empty one each, to be filled node by node.
    config.routing_table = serde_json::from_value(empty_table(&id)).ok();
    config.routing_table_v6 = serde_json::from_value(empty_table(&id)).ok();
    for node in known {
        let table = if node.addr.is_ipv4() { &mut config.routing_table } else { &mut config.routing_table_v6 };
        if let Some(table) = table {
            let _ = table.add_node(Id20::new(node.id), node.addr);
        }
    }
    // In a task of its own, as it panics on an environment variable that it does not like.
    let start = async move { DhtBuilder::with_config(DhtConfig { bind_device: device.as_ref(), ..config }).await };
    let state =
        tokio::spawn(start).await.map_err(|e| Error::new(Status::Network, format!("DHT: {e}")))?.map_err(|e| {
            Error::new(Status::Network, format!("DHT on {listen}: {e}")).with_operation(Operation::SockBind)
        })?;
    Ok(Arc::new(Node { state, searches: AtomicUsize::new(0), cancel, since: Instant::now() }))
}

/// The addresses of the bootstrap nodes, as far as they are known in time. The crate is given no names: it would ask for them by itself, and by
/// any way. Names that come later are asked for where the table stays empty.
async fn look_up(shared: &Shared, patience: Duration) -> Vec<String> {
    let mut lookups = JoinSet::new();
    for host in shared.bootstrap_nodes.iter().take(MAX_ADDING) {
        let (egress, host) = (shared.egress.clone(), host.clone());
        lookups.spawn(async move { probe::look_up(&egress, &host).await });
    }
    let mut found = Vec::new();
    let all = async {
        while let Some(addresses) = lookups.join_next().await {
            found.extend(addresses.into_iter().flatten().map(|address| address.to_string()));
        }
    };
    let _ = timeout(patience, all).await;
    found
}

/// The crate's form of a table without nodes.
fn empty_table(id: &Id20) -> serde_json::Value {
    let root = json!({
        "bits": 160,
        "start": Id20::new([0; 20]).as_string(),
        "end_inclusive": Id20::new([0xff; 20]).as_string(),
        "data": { "Leaf": { "nodes": [] } },
    });
    json!({ "id": id.as_string(), "size": 0, "buckets": { "data": [root], "size": 0, "max_size": MAX_NODES } })
}

/// Keeps a node running.
struct Supervisor {
    shared: Arc<Shared>,
    nodes: watch::Sender<Option<Arc<Node>>>,
    bootstrapped: watch::Sender<bool>,
    to_add: mpsc::Receiver<String>,
    cancel: CancellationToken,
}

/// Why a node is done with.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Shutdown,
    Died,
    /// To be started again with more nodes.
    Grown,
}

impl Supervisor {
    async fn run(mut self, first: Arc<Node>) {
        let mut next = Some(first);
        let mut backoff = BACKOFF_MIN;
        loop {
            let node = match next.take() {
                Some(node) => node,
                None => match start_node(&self.shared).await {
                    Ok(node) => node,
                    Err(_) => {
                        if !self.pause(backoff).await {
                            return;
                        }
                        backoff = (backoff * 2).min(BACKOFF_MAX);
                        continue;
                    }
                },
            };
            let since = node.since;
            self.nodes.send_replace(Some(node.clone()));
            let (end, added) = self.watch(&node).await;
            {
                let mut remembered = self.shared.remembered.lock();
                *remembered = added;
                remembered.extend(node.nodes());
            }
            self.nodes.send_replace(None);
            close(node).await;
            match end {
                End::Shutdown => return,
                End::Grown => {}
                End::Died => {
                    if since.elapsed() > BACKOFF_RESET {
                        backoff = BACKOFF_MIN;
                    }
                    if !self.pause(backoff).await {
                        return;
                    }
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// False: shut down meanwhile.
    async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.cancel.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }

    /// Stays with a node until it is to end, and returns the nodes to add to its table.
    async fn watch(&mut self, node: &Arc<Node>) -> (End, Vec<NodeAddr>) {
        let mut probes = JoinSet::new();
        let probe = |probes: &mut JoinSet<Vec<NodeAddr>>, host: String| {
            if probes.len() < MAX_ADDING {
                let (egress, local) = (self.shared.egress.clone(), self.shared.source());
                probes.spawn(async move { probe::probe_host(&egress, &host, &local).await });
            }
        };
        let mut look = tokio::time::interval(LOOK);
        let mut probe_after = PROBE_AFTER;
        let mut next_probe = node.since + probe_after;
        let mut added: Vec<NodeAddr> = Vec::new();
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return (End::Shutdown, added),
                Some(host) = self.to_add.recv() => probe(&mut probes, host),
                Some(Ok(nodes)) = probes.join_next() => {
                    let known = node.nodes();
                    added.extend(nodes.into_iter().filter(|n| n.id != self.shared.id && known.iter().all(|k| k.id != n.id)));
                    added.truncate(MAX_NODES);
                }
                _ = look.tick() => {
                    if !node.is_alive() {
                        return (End::Died, added);
                    }
                    let empty = node.count() == 0;
                    if !added.is_empty() && (empty || node.since.elapsed() > RESTART_SPACING) {
                        return (End::Grown, added);
                    }
                    if empty && Instant::now() >= next_probe {
                        for host in &self.shared.bootstrap_nodes {
                            probe(&mut probes, host.clone());
                        }
                        probe_after = (probe_after * 2).min(PROBE_MAX);
                        next_probe = Instant::now() + probe_after;
                    }
                    if !*self.bootstrapped.borrow() && node.has_good_nodes() {
                        self.bootstrapped.send_replace(true);
                    }
                }
            }
        }
    }
}

/// Ends a node, and waits until its task, and with that its socket, is gone: the port is wanted again.
async fn close(node: Arc<Node>) {
    node.cancel.cancel();
    let begin = Instant::now();
    while node.is_alive() && begin.elapsed() < CLOSE_PATIENCE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests;
