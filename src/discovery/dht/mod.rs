//! The distributed hash table (BEP 5, 32, 33, 42, 43): finding peers without trackers.
//!
//! [`node::Node`] is a node without sockets and clock; [`service::DhtService`] gives it both. [`Dht`] is what the session knows of it.

mod chance;
mod flood_guard;
mod krpc;
pub mod lookup;
pub mod node;
pub mod node_id;
pub mod peer_store;
mod routing_table;
pub mod service;
#[cfg(test)]
mod simulation;
pub mod state;
mod tokens;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;

use self::node::{Announcement, NodeConfig};
use crate::metainfo::info_hash::Sha1Hash;

/// What a trait's method gives to be awaited.
pub type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A session's DHT. Its methods may be called from any thread.
pub trait Dht: Send + Sync {
    /// Looks for a torrent's peers until the receiver is dropped: at once, three times again within about a minute, then at the announce interval. Batches
    /// may repeat peers of earlier ones. With an announcement those who look for the torrent are told of us, too. It ends when the DHT does.
    fn get_peers(&self, info_hash: Sha1Hash, announcement: Option<Announcement>) -> mpsc::Receiver<Vec<SocketAddr>>;

    /// Makes a node known. It is looked up and asked for its id in the background; silent ones are forgotten.
    fn add_node(&self, host: &str, port: u16);

    /// Nodes in both tables.
    fn node_count(&self) -> usize;

    /// The world sees us there.
    fn set_external_ip(&self, ip: IpAddr);

    /// Goes on as these say.
    fn apply(&self, options: &DhtOptions);

    /// Ids and nodes, for another time.
    fn save_state(&self) -> Vec<u8>;

    /// Waits until some node has answered. For ever, where none does.
    fn wait_bootstrapped(&self) -> Wait<'_>;

    fn stop(&self);
}

/// What the session's settings and sockets say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhtOptions {
    pub node: NodeConfig,
    /// Is there a way out by IPv4, and by IPv6?
    pub families: (bool, bool),
    /// Where the world sees us, as far as that is known.
    pub external_ips: Vec<IpAddr>,
    /// `host:port` of nodes to begin by.
    pub bootstrap_nodes: Vec<String>,
    /// Between lookups of one torrent, after the first ones (`dht_announce_interval`).
    pub announce_interval: Duration,
}
