//! The core: what to ask of whom, what to keep, what to say. Sans-IO: events and the time come in, actions go out.

pub mod audit;
pub mod bitfield;
pub mod blame;
pub mod blocks;
pub mod choker;
pub mod connections;
pub mod dialling;
pub mod external_ip;
pub mod haves;
pub mod lifecycle;
pub mod memory;
pub mod metadata;
pub mod outbox;
pub mod parts;
pub mod peer;
pub mod pex;
pub mod picker;
pub mod pipe;
pub mod priorities;
pub mod rate;
pub mod reader;
pub mod reading;
pub mod requests;
pub mod share;
pub mod status;
pub mod store;
pub mod swarm;
pub mod time;
pub mod torrent;
pub mod trackers;
pub mod uploads;
pub mod wants;

pub use time::Time;
pub use torrent::{Output, StorageKind, Torrent, TorrentConfig, TorrentFlags};
