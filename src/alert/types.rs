//! The plain numbers of the C ABI that records and calls share.
#![allow(non_camel_case_types)]

/// The outcome of a call: `ET_OK`, or one of `ET_ERR_*`. Numbers are never reused.
pub type et_status = i32;

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

/// Why a peer is blocked: `ET_BLOCKED_*`.
pub type et_blocked_reason = i32;

/// What a tracker is told: `ET_EVENT_*`.
pub type et_announce_event = i32;

/// What slows the session down: `ET_PERFORMANCE_*`.
pub type et_performance_warning = i32;

/// Which alert it is: `ET_ALERT_*`. The struct of `ET_ALERT_X` is `et_x_alert`.
pub type et_alert_type = u32;

/// What alerts are about: `ET_ALERT_CATEGORY_*` bits; libtorrent's, and two of ours.
pub type et_alert_categories = u64;

/// Who dialled whom: `ET_DIRECTION_*`.
pub type et_direction = i32;

/// Which info-hashes: `ET_INFO_HASH_*` bits.
pub type et_info_hash_versions = u32;
