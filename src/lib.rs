//! `libelementum_torrent`: a BitTorrent streaming engine behind a C ABI.
//!
//! Layers, in one direction:
//!
//! * [`ffi`] is the C ABI: guard, check, one call down.
//! * [`session`] is the shell: a tokio runtime, timers, the I/O of peers. It decides nothing.
//! * [`engine`] is the core: what to ask of whom, what to keep, what to say. No I/O, no clock, no threads. [`discovery`] finds peers,
//!   [`net`] opens sockets, [`disk`] keeps files.
//! * [`wire`] is the peer protocol, [`memory`] the block pool that bounds all payload memory, [`metainfo`] torrent files and magnets;
//!   [`alert`] and [`settings`] what is told and set.
//! * [`base`] is what all of them rest on, [`sys`] the operating system and the processor. Beside `ffi` the only unsafe code.

pub mod alert;
pub mod base;
pub mod discovery;
pub mod disk;
pub mod engine;
#[allow(unsafe_code)]
pub mod ffi;
pub mod memory;
pub mod metainfo;
pub mod net;
pub mod session;
pub mod settings;
#[allow(unsafe_code)]
pub mod sys;
pub mod wire;
