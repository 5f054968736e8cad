//! `libelementum_torrent`: a BitTorrent streaming engine behind a C ABI.
//!
//! Three layers, one direction:
//!
//! * [`ffi`] is the C ABI: guard, check, one call down. The only unsafe code.
//! * [`session`] is the shell: a tokio runtime, sockets, timers, disk, DHT, trackers. It decides nothing.
//! * [`engine`] is the core: what to ask of whom, what to keep, what to say. No I/O, no clock, no threads.
//!
//! Under both lie the pure parts: [`wire`] (the peer protocol), [`metainfo`] (torrent files, magnets), [`piece_hash`],
//! [`storage`] (the block pool, which bounds all payload memory), [`alert`] and [`settings`].

pub mod alert;
pub mod engine;
pub mod error;
#[allow(unsafe_code)]
pub mod ffi;
pub mod metainfo;
pub mod out_buffer;
pub mod piece_hash;
pub mod session;
pub mod settings;
pub mod storage;
pub mod text;
pub mod wire;
