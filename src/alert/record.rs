//! Alerts as they cross the C ABI: packed records.
//!
//! A record is a fixed part, one of the structs here, then its strings, then zeros up to a multiple of 8. The fixed part
//! begins with an [`et_alert`]; a string is named by an [`et_text`], its place counted from the record's start. The structs
//! have C's layout, no padding and only plain numbers, so that they are written and read as bytes, with no unsafe code.
//! They grow at the end only: a program built against an older header finds its fields, and the strings, where they were.
#![allow(non_camel_case_types)]

use super::types::{et_alert_categories, et_alert_type, et_info_hash_versions, et_operation, et_status};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A torrent's name in its session, from `et_session_add_torrent` on. Never handed out twice.
pub type et_storage_index = u64;

/// A string inside a record: `length` bytes of UTF-8 at `offset` bytes from the record's start. No NUL ends it.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_text {
    /// Bytes from the start of the record.
    pub offset: u32,
    /// Bytes; 0 where there is no such string.
    pub length: u32,
}

/// The start of every alert's record.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_alert {
    /// Bytes of the whole record with its strings, a multiple of 8: the next one begins there.
    pub size: u32,
    /// Which alert it is: `ET_ALERT_*`, and so which struct the record begins with.
    pub r#type: et_alert_type,
    /// What it is about: `ET_ALERT_CATEGORY_*` bits.
    pub category: et_alert_categories,
    /// Counts the session's alerts from 1. A gap is where alerts were dropped.
    pub sequence: u64,
    /// When it was posted: microseconds since 1970-01-01 UTC.
    pub timestamp_us: i64,
    /// The torrent that it is about, `ET_STORAGE_INDEX_INVALID` where it is about none.
    pub torrent: et_storage_index,
}

/// A torrent's info-hashes: v1 (SHA-1), v2 (SHA-256), or both.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_info_hashes {
    /// `ET_INFO_HASH_V1`, `ET_INFO_HASH_V2`: which of the two are there. The other is zeros.
    pub has: et_info_hash_versions,
    pub v1: [u8; 20],
    pub v2: [u8; 32],
}

/// An IP address and a port.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_endpoint {
    /// In network order; IPv4 takes the first 4 bytes, the rest is 0.
    pub address: [u8; 16],
    /// 4, 6, or 0 where there is no address: of a peer, where only its host's name is known (`et_peer_info`).
    pub family: u16,
    /// In the machine's order.
    pub port: u16,
    /// IPv6 scope, else 0.
    pub scope: u32,
}

/// An error inside a record.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_alert_error {
    /// `ET_OK` where there was none.
    pub status: et_status,
    /// The operating system's error number, or 0.
    pub os_error: i32,
    /// What was being done: `ET_OPERATION_*`.
    pub operation: et_operation,
    pub reserved: u32,
    pub message: et_text,
}

/// How many alerts of one type were dropped.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_dropped_count {
    pub r#type: et_alert_type,
    pub count: u32,
}
