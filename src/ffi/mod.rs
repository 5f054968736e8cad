//! The C ABI: every extern function guards, checks and makes one call down. Beside `sys` the only unsafe code of the library.
//!
//! Types bear their C names. The generated header is `include/elementum_torrent.h`: each `///` here is written for a C
//! reader and shows there.
// The header's contract is the safety contract of every extern function.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod bytes;
mod guard;
mod handle;
mod sized;

pub mod add_torrent;
pub mod alert;
pub mod constants;
pub mod download_queue;
pub mod endpoint;
pub mod error;
pub mod explanation;
pub mod files;
pub mod info_hash;
pub mod peers;
pub mod pieces;
pub mod port_filter;
pub mod priorities;
pub mod reader;
pub mod reader_status;
pub mod record;
pub mod session;
pub mod session_stats;
pub mod settings;
pub mod storage;
pub mod torrent;
pub mod torrent_status;
pub mod trackers;
pub mod version;

pub use crate::ffi::bytes::{ET_NUL_TERMINATED, et_str};
