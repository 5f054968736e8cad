//! The DHT.
use std::net::SocketAddr;
pub trait Dht: Send + Sync + std::fmt::Debug {
    fn add_node(&self, node: SocketAddr);
    fn node_count(&self) -> usize;
    fn save_state(&self) -> Vec<u8>;
    fn shutdown(&self);
}
