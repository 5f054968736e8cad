//! The distributed hash table (BEP 5, BEP 32): finding peers without trackers.
//!
//! [`Dht`] is what the session knows of it, so that the crate behind can be replaced; [`librqbit::LibrqbitDht`] is what there is.

pub mod librqbit;
mod lookup;
mod probe;
pub mod state;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::metainfo::info_hash::Sha1Hash;
use crate::net::egress::Egress;

/// A node of the table, with its number.
pub use super::dht::state::{DhtState, NodeAddr};

/// What a trait's method gives to be awaited.
pub type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A session's DHT node. Its methods may be called from any thread.
pub trait Dht: Send + Sync {
    /// Looks for a torrent's peers until the receiver is dropped: at once, again for a while, then at the announce
    /// interval. Batches may repeat peers. With a port, peers that look for the torrent are told of us too. It goes on when
    /// the node is restarted, and ends when it is shut down.
    fn get_peers(&self, info_hash: Sha1Hash, announce_port: Option<u16>) -> mpsc::Receiver<Vec<SocketAddr>>;

    /// Makes a node known. It is looked up and asked for its number in the background; silent ones are forgotten.
    fn add_node(&self, host: &str, port: u16);

    /// Nodes in both tables.
    fn node_count(&self) -> usize;

    /// The UDP address we are reached at.
    fn listen_addr(&self) -> SocketAddr;

    /// Changes [`DhtOptions::announce_interval`], for searches under way too.
    fn set_announce_interval(&self, interval: Duration);

    /// Number and nodes, for [`DhtOptions::state`] of another time.
    fn save_state(&self) -> Vec<u8>;

    /// Waits until some node has answered. For ever, where none does.
    fn wait_bootstrapped(&self) -> Wait<'_>;

    /// Ends it, and waits until its socket is closed (at most a few seconds).
    fn shutdown(&self) -> Wait<'_>;
}

/// How a DHT node is started.
#[derive(Debug, Clone)]
pub struct DhtOptions {
    /// Where to listen; `[::]` serves IPv4 too (and where there is no IPv6, IPv4 only). Port 0: any.
    pub listen: SocketAddr,
    /// The device that its packets leave by, if by one alone.
    pub device: Option<String>,
    /// `host:port` of nodes to begin with.
    pub bootstrap_nodes: Vec<String>,
    /// Of [`Dht::save_state`]; empty or damaged: a new number and no nodes.
    pub state: Vec<u8>,
    /// Between lookups of one torrent, after the first ones (`dht_announce_interval`).
    pub announce_interval: Duration,
    pub egress: Arc<Egress>,
}

impl DhtOptions {
    pub fn new(listen: SocketAddr, egress: Arc<Egress>) -> Self {
        let announce_interval = Duration::from_secs(900);
        Self { listen, device: None, bootstrap_nodes: Vec::new(), state: Vec::new(), announce_interval, egress }
    }
}
