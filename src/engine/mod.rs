//! The core: what to ask of whom, what to keep, what to say. Sans-IO: events and the time come in, actions go out.

#[cfg(any(test, feature = "audit"))]
pub mod audit;
pub mod bandwidth;
pub mod cache;
pub mod config;
pub mod content;
pub mod lifecycle;
mod merge;
pub mod metadata;
pub mod output;
pub mod peer;
pub mod readers;
mod reads;
pub mod requests;
pub mod status;
pub mod swarm;
mod swarm_events;
pub mod torrent;
pub mod trackers;
pub mod traffic;
mod transfer;

pub use crate::base::time::Time;
pub use crate::engine::config::{StorageKind, TorrentConfig, TorrentFlags};
pub use crate::engine::output::Output;
pub use crate::engine::torrent::Torrent;
