//! The core: what to ask of whom, what to keep, what to say. Sans-IO: events and the time come in, actions go out.
//!
//! # How it is driven
//!
//! A shell calls a method of [`Torrent`] for each thing that happened, with the time. After that it carries out what
//! [`Torrent::take_output`] says, and writes to each peer what [`Torrent::take_chunk`] gives: to the peer whose event it was, and to
//! those in [`Output::wake`]. It calls [`Torrent::handle_timeout`] when [`Torrent::next_timeout`] has come. Nothing else moves a torrent.
//!
//! A block's way, from a peer that connects to the read that waited for it:
//!
//! ```
//! use std::sync::Arc;
//!
//! use elementum_torrent::engine::cache::share::Shares;
//! use elementum_torrent::engine::readers::ReadOutcome;
//! use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
//! use elementum_torrent::engine::{Time, Torrent, TorrentConfig};
//! use elementum_torrent::memory::pool::Pool;
//! use elementum_torrent::metainfo::Create;
//! use elementum_torrent::settings::Settings;
//! use elementum_torrent::wire::{Decoder, DecoderLimits, Handshake, Message, StreamKind, encode_piece_header};
//! use sha1::{Digest, Sha1};
//!
//! let film = vec![7; 10_000];
//! let info = Create::single("film", 10_000, 16_384).v1(Sha1::digest(&film).to_vec())?.info;
//! let (pool, shares, now) = (Pool::new(1 << 20), Arc::new(Shares::default()), Time::BEGINNING);
//! let mut torrent = Torrent::new(now, TorrentConfig::of(&info), Arc::new(Settings::default()), pool, &shares, 1);
//!
//! // Somebody reads, and nothing is there yet.
//! let reader = ReaderId(1);
//! torrent.open_reader(now, reader, 0, ReaderOptions::default())?;
//! assert!(matches!(torrent.read(now, reader, 4096)?, ReadOutcome::Wait));
//!
//! // A seed connects, says what it has, and lets us ask. What it sends is decoded before the torrent hears of it.
//! let handshake = Handshake::new(info.info_hashes.best(), *b"-XX0001-............", false);
//! let (address, kind) = ("10.0.0.2:6881".parse()?, StreamKind::default());
//! let (peer, credits) = torrent.peer_connected(now, address, false, kind, &handshake).expect("let in");
//! let mut decoder = Decoder::new(credits, DecoderLimits::default());
//! let mut hears = |torrent: &mut Torrent, bytes: &[u8]| {
//!     let mut received = Vec::new();
//!     decoder.push(bytes, &mut received).expect("it speaks the protocol");
//!     torrent.peer_received(now, peer, &mut received, bytes.len() as u64);
//! };
//! let mut bytes = Vec::new();
//! Message::HaveAll.encode(&mut bytes);
//! Message::Unchoke.encode(&mut bytes);
//! hears(&mut torrent, &bytes);
//!
//! // What goes out to it ends with the request that the read needs.
//! let mut sent = Vec::new();
//! while let Some(chunk) = torrent.take_chunk(now, peer) {
//!     sent.extend_from_slice(chunk.as_slice());
//! }
//! let request = [&[0, 0, 0, 13, 6][..], &[0; 8], &10_000u32.to_be_bytes()].concat();
//! assert!(sent.ends_with(&request));
//!
//! // The block comes, is hashed outside the torrent, and can be read.
//! let mut block = Vec::new();
//! encode_piece_header(0, 0, 10_000, &mut block);
//! block.extend_from_slice(&film);
//! hears(&mut torrent, &block);
//! for mut job in torrent.take_output().hashes {
//!     job.run();
//!     torrent.hash_done(now, job);
//! }
//! assert!(torrent.take_output().readers_changed);
//! assert!(matches!(torrent.read(now, reader, 4096)?, ReadOutcome::Memory(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(any(test, feature = "audit"))]
pub mod audit;
pub mod bandwidth;
mod blocked_peers;
pub mod cache;
pub mod config;
pub mod content;
mod diagnosis;
mod lifecycle;
pub mod metadata;
mod metadata_events;
pub mod output;
pub mod peer;
mod peer_events;
pub mod readers;
mod reads;
pub mod requests;
pub mod run_state;
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
