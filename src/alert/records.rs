//! The fixed part of each alert's record. See `record.rs`.
//!
//! Written out one by one: the header's generator reads the source, not what macros make of it.
#![allow(non_camel_case_types)]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::record::{et_alert, et_alert_error, et_endpoint, et_info_hashes, et_text};
use super::types::{
    et_announce_event, et_blocked_reason, et_close_reason, et_direction, et_file_index, et_operation,
    et_performance_warning, et_piece_index, et_socket_type, et_torrent_state,
};

/// `ET_ALERT_ADD_TORRENT`: a torrent was added, or could not be. Every call of `et_session_add_torrent` on an open session has one;
/// where the torrent was there already, it is of the one that is there.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_add_torrent_alert {
    pub base: et_alert,
    /// None where what was given is no torrent.
    pub info_hashes: et_info_hashes,
    /// As far as it is known: a magnet's may be empty.
    pub name: et_text,
    /// `ET_OK` where it was added.
    pub error: et_alert_error,
}

/// `ET_ALERT_TORRENT_REMOVED`: a torrent is gone, and its storage index with it; its files are closed.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_torrent_removed_alert {
    pub base: et_alert,
    pub info_hashes: et_info_hashes,
}

/// `ET_ALERT_TORRENT_DELETED`: the files of a removed torrent are deleted. Follows its `ET_ALERT_TORRENT_REMOVED`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_torrent_deleted_alert {
    pub base: et_alert,
    pub info_hashes: et_info_hashes,
}

/// `ET_ALERT_TORRENT_DELETE_FAILED`: some files of a removed torrent are still there. Follows its `ET_ALERT_TORRENT_REMOVED`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_torrent_delete_failed_alert {
    pub base: et_alert,
    pub info_hashes: et_info_hashes,
    pub error: et_alert_error,
}

/// `ET_ALERT_STATE_CHANGED`: a torrent's state changed.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_state_changed_alert {
    pub base: et_alert,
    /// `ET_TORRENT_STATE_*`.
    pub state: et_torrent_state,
    /// `ET_TORRENT_STATE_*`.
    pub prev_state: et_torrent_state,
}

/// `ET_ALERT_TORRENT_PAUSED`: a torrent is paused.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_torrent_paused_alert {
    pub base: et_alert,
}

/// `ET_ALERT_TORRENT_RESUMED`: a torrent runs again.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_torrent_resumed_alert {
    pub base: et_alert,
}

/// `ET_ALERT_TORRENT_CHECKED`: what a torrent had on disk has been checked.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_torrent_checked_alert {
    pub base: et_alert,
}

/// `ET_ALERT_TORRENT_FINISHED`: every wanted piece is there. Comes again after evicted pieces were fetched again.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_torrent_finished_alert {
    pub base: et_alert,
}

/// `ET_ALERT_TORRENT_ERROR`: a torrent stopped with an error.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_torrent_error_alert {
    pub base: et_alert,
    pub error: et_alert_error,
    /// The file that it is about, or empty.
    pub filename: et_text,
}

/// `ET_ALERT_FILE_ERROR`: reading or writing a file failed. Its torrent stops: an `et_torrent_error_alert` follows.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_file_error_alert {
    pub base: et_alert,
    pub error: et_alert_error,
    /// The file, in the form of `path` in `et_file_info`; empty where it is about none of them.
    pub filename: et_text,
}

/// `ET_ALERT_METADATA_RECEIVED`: a magnet's metadata is here: files, pieces and readers can be had.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_metadata_received_alert {
    pub base: et_alert,
}

/// `ET_ALERT_METADATA_FAILED`: the metadata that peers sent was no good. If it was not what the info-hash stands
/// for, others are asked; if it was and cannot be used, the torrent stops: `ET_ALERT_TORRENT_ERROR`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_metadata_failed_alert {
    pub base: et_alert,
    pub error: et_alert_error,
}

/// `ET_ALERT_SOCKS5`: the proxy, of whichever `proxy_type`, does not work: it cannot be reached, refuses us, or is set without what it needs. It is tried again, after
/// half a second and then ever less often, up to each five seconds, and nothing goes out round it. Told once until it works again.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_socks5_alert {
    pub base: et_alert,
    pub error: et_alert_error,
}

/// `ET_ALERT_FILE_COMPLETED`: all pieces of a file are there.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_file_completed_alert {
    pub base: et_alert,
    pub file: et_file_index,
    pub reserved: u32,
}

/// `ET_ALERT_PIECE_FINISHED`: a piece is there and verified.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_piece_finished_alert {
    pub base: et_alert,
    pub piece: et_piece_index,
    pub reserved: u32,
}

/// `ET_ALERT_HASH_FAILED`: a piece came in wrong, and is fetched again.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_hash_failed_alert {
    pub base: et_alert,
    pub piece: et_piece_index,
    pub reserved: u32,
}

/// `ET_ALERT_PIECE_EVICTED`: a piece left memory for others. It is fetched again when it is wanted.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_piece_evicted_alert {
    pub base: et_alert,
    pub piece: et_piece_index,
    pub reserved: u32,
}

/// `ET_ALERT_PEER_CONNECT`: a peer's handshake is done.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_peer_connect_alert {
    pub base: et_alert,
    pub endpoint: et_endpoint,
    pub peer_id: [u8; 20],
    /// `ET_DIRECTION_IN`: it came to us, or `ET_DIRECTION_OUT`.
    pub direction: et_direction,
    /// `ET_SOCKET_*`.
    pub socket_type: et_socket_type,
    pub reserved: u32,
}

/// `ET_ALERT_PEER_DISCONNECTED`: a connection ended.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_peer_disconnected_alert {
    pub base: et_alert,
    pub endpoint: et_endpoint,
    /// Zeros where the handshake was never done.
    pub peer_id: [u8; 20],
    /// `ET_SOCKET_*`.
    pub socket_type: et_socket_type,
    /// What was being done: `ET_OPERATION_*`.
    pub operation: et_operation,
    /// `ET_CLOSE_*`.
    pub reason: et_close_reason,
    /// `ET_OK` where the end was not an error.
    pub error: et_alert_error,
}

/// `ET_ALERT_PEER_BAN`: a peer is banned from its torrent, for the bad data it sent or by a call.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_peer_ban_alert {
    pub base: et_alert,
    pub endpoint: et_endpoint,
    pub peer_id: [u8; 20],
    pub reserved: u32,
}

/// `ET_ALERT_PEER_SNUBBED`: a peer does not send what it was asked for.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_peer_snubbed_alert {
    pub base: et_alert,
    pub endpoint: et_endpoint,
    pub peer_id: [u8; 20],
    pub reserved: u32,
}

/// `ET_ALERT_PEER_UNSNUBBED`: a snubbed peer sends again.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_peer_unsnubbed_alert {
    pub base: et_alert,
    pub endpoint: et_endpoint,
    pub peer_id: [u8; 20],
    pub reserved: u32,
}

/// `ET_ALERT_PEER_BLOCKED`: a peer is not dialled, is disconnected, or is not let in, for what the settings or `et_session_set_port_filter` say.
/// Told of those that a tracker, the DHT, other peers or the program name, and of those that come. Not of each: ten a second and a hundred at once
/// at most of a session, and fifty of one answer. A banned peer has an `et_peer_ban_alert` instead.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_peer_blocked_alert {
    pub base: et_alert,
    pub endpoint: et_endpoint,
    /// `ET_BLOCKED_*`.
    pub reason: et_blocked_reason,
    pub reserved: u32,
}

/// `ET_ALERT_UDP_ERROR`: a UDP socket of the session's (uTP and UDP trackers) cannot send, or receive. Once a second and socket at most. That
/// nobody is at an address, or no route leads to it, is no such error.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_udp_error_alert {
    pub base: et_alert,
    /// To whom it was to be sent; the socket's own where receiving failed.
    pub endpoint: et_endpoint,
    /// Its operation is `ET_OPERATION_SOCK_WRITE` or `ET_OPERATION_SOCK_READ`.
    pub error: et_alert_error,
}

/// `ET_ALERT_TRACKER_ANNOUNCE`: a tracker is being told of us.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_tracker_announce_alert {
    pub base: et_alert,
    /// As `et_torrent_trackers` gives it. It may hold a passkey: keep it out of logs, as `et_alert_message` does.
    pub url: et_text,
    /// `ET_EVENT_*`.
    pub event: et_announce_event,
    pub reserved: u32,
}

/// `ET_ALERT_TRACKER_REPLY`: a tracker answered.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_tracker_reply_alert {
    pub base: et_alert,
    /// As `et_torrent_trackers` gives it. It may hold a passkey: keep it out of logs, as `et_alert_message` does.
    pub url: et_text,
    /// Peers in the answer.
    pub num_peers: u32,
    pub reserved: u32,
}

/// `ET_ALERT_TRACKER_WARNING`: a tracker answered, with a warning.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_tracker_warning_alert {
    pub base: et_alert,
    /// As `et_torrent_trackers` gives it. It may hold a passkey: keep it out of logs, as `et_alert_message` does.
    pub url: et_text,
    pub message: et_text,
}

/// `ET_ALERT_TRACKER_ERROR`: a tracker did not answer, or refused.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_tracker_error_alert {
    pub base: et_alert,
    /// As `et_torrent_trackers` gives it. It may hold a passkey: keep it out of logs, as `et_alert_message` does.
    pub url: et_text,
    /// Failures since it last answered.
    pub times_in_row: u32,
    pub reserved: u32,
    pub error: et_alert_error,
    /// What the tracker said, or empty.
    pub failure_reason: et_text,
}

/// `ET_ALERT_DHT_REPLY`: the DHT found peers.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_dht_reply_alert {
    pub base: et_alert,
    pub num_peers: u32,
    pub reserved: u32,
}

/// `ET_ALERT_DHT_BOOTSTRAP`: the DHT is joined.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_dht_bootstrap_alert {
    pub base: et_alert,
}

/// `ET_ALERT_LISTEN_SUCCEEDED`: a socket listens.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_listen_succeeded_alert {
    pub base: et_alert,
    /// With the port that was really taken.
    pub endpoint: et_endpoint,
    /// `ET_SOCKET_*`.
    pub socket_type: et_socket_type,
    pub reserved: u32,
}

/// `ET_ALERT_LISTEN_FAILED`: a socket could not listen.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_listen_failed_alert {
    pub base: et_alert,
    /// Family 0 where it did not come to an address.
    pub endpoint: et_endpoint,
    /// `ET_SOCKET_*`.
    pub socket_type: et_socket_type,
    pub reserved: u32,
    /// The entry of `listen_interfaces`.
    pub interface_name: et_text,
    pub error: et_alert_error,
}

/// `ET_ALERT_EXTERNAL_IP`: others see us at this address.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_external_ip_alert {
    pub base: et_alert,
    /// The port is 0.
    pub endpoint: et_endpoint,
}

/// `ET_ALERT_PERFORMANCE`: something slows the session down.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_performance_alert {
    pub base: et_alert,
    /// `ET_PERFORMANCE_*`.
    pub warning: et_performance_warning,
    pub reserved: u32,
}

/// `ET_ALERT_READER_READY`: a reader that had stalled reads on.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_reader_ready_alert {
    pub base: et_alert,
    /// `et_reader_id` of the reader.
    pub reader: u64,
    /// Its position in the file, bytes.
    pub offset: u64,
    pub file: et_file_index,
    pub reserved: u32,
}

/// `ET_ALERT_READER_STALLED`: a reader that was reading on waits for a piece. The first read's wait, and that of the first after
/// a seek, are no stalls.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_reader_stalled_alert {
    pub base: et_alert,
    /// `et_reader_id` of the reader.
    pub reader: u64,
    /// Its position in the file, bytes.
    pub offset: u64,
    pub file: et_file_index,
    /// The piece that it waits for.
    pub piece: et_piece_index,
}

/// `ET_ALERT_PREBUFFER_PROGRESS`: how far a reader's `et_reader_prebuffer` is.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_prebuffer_progress_alert {
    pub base: et_alert,
    /// `et_reader_id` of the reader.
    pub reader: u64,
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub file: et_file_index,
    pub reserved: u32,
}

/// `ET_ALERT_MEMORY_PRESSURE`: a read has waited for half a second or longer because memory is full: what is in it is worth as much,
/// in this torrent or another, or is in flight. Once in ten seconds a torrent at most.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_memory_pressure_alert {
    pub base: et_alert,
    pub limit_bytes: u64,
    /// In use.
    pub charged_bytes: u64,
    /// What is still to be asked for of the pieces that its reads wait for.
    pub needed_bytes: u64,
}

/// `ET_ALERT_ALERTS_DROPPED`: the queue was full. `et_dropped_count` entries follow the struct, one a type.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct et_alerts_dropped_alert {
    pub base: et_alert,
    /// Alerts dropped since the last record of this type.
    pub total: u64,
    /// Where the entries are, bytes from the record's start.
    pub counts_offset: u32,
    /// How many.
    pub counts_len: u32,
}
