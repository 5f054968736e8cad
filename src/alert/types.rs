//! The plain numbers of the C ABI that records and calls share.
#![allow(non_camel_case_types)]

/// The number of a piece in its torrent, from 0.
pub type et_piece_index = i32;

/// The number of a file in its torrent, from 0.
pub type et_file_index = i32;

/// What a torrent is doing: `ET_TORRENT_STATE_*`.
pub type et_torrent_state = i32;

/// What a connection runs over: `ET_SOCKET_*`.
pub type et_socket_type = i32;

/// What was being done when an error came up: `ET_OPERATION_*`.
pub type et_operation = i32;

/// Why a connection ended: `ET_CLOSE_*`.
pub type et_close_reason = i32;

/// What a tracker is told: `ET_EVENT_*`.
pub type et_announce_event = i32;

/// What slows the session down: `ET_PERFORMANCE_*`.
pub type et_performance_warning = i32;
