//! Where peers are learnt from: trackers, the DHT.

pub mod dht;
pub mod tracker;
