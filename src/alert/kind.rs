//! What is known of a type of alert: its number, name, categories and urgency.

use std::ffi::CStr;

use super::{Alert, category};

/// How urgent: an alert of priority p may fill the queue up to `alert_queue_size * (1 + p)`, as in libtorrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    Normal = 0,
    High = 1,
    /// The answer to a call.
    Critical = 2,
    /// About the queue itself.
    Meta = 3,
}

/// A type of alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The number in records: libtorrent's, ours from 1000.
    pub id: u32,
    pub name: &'static str,
    /// The same for C.
    pub c_name: &'static CStr,
    pub category: u64,
    pub priority: Priority,
    /// Posted whatever the mask says.
    pub always: bool,
}

const fn text(name: &'static CStr) -> &'static str {
    match name.to_str() {
        Ok(name) => name,
        Err(_) => "",
    }
}

const fn normal(id: u32, c_name: &'static CStr, category: u64) -> Kind {
    Kind { id, name: text(c_name), c_name, category, priority: Priority::Normal, always: false }
}

const fn high(id: u32, c_name: &'static CStr, category: u64) -> Kind {
    Kind { id, name: text(c_name), c_name, category, priority: Priority::High, always: false }
}

const fn critical(id: u32, c_name: &'static CStr, category: u64) -> Kind {
    Kind { id, name: text(c_name), c_name, category, priority: Priority::Critical, always: true }
}

macro_rules! kinds {
    ($($constant:ident = $kind:expr;)+) => {
        $(pub const $constant: Kind = $kind;)+

        /// Every type of alert that this library posts, by number.
        pub const ALL: &[Kind] = &[$($constant),+];
    };
}

kinds! {
    TORRENT_REMOVED = critical(4, c"torrent_removed", category::STATUS);
    FILE_COMPLETED = normal(6, c"file_completed", category::FILE_PROGRESS);
    PERFORMANCE = normal(9, c"performance", category::PERFORMANCE_WARNING);
    STATE_CHANGED = high(10, c"state_changed", category::STATUS);
    TRACKER_ERROR = high(11, c"tracker_error", category::TRACKER | category::ERROR);
    TRACKER_WARNING = normal(12, c"tracker_warning", category::TRACKER | category::ERROR);
    TRACKER_REPLY = normal(15, c"tracker_reply", category::TRACKER);
    DHT_REPLY = normal(16, c"dht_reply", category::DHT | category::TRACKER);
    TRACKER_ANNOUNCE = normal(17, c"tracker_announce", category::TRACKER);
    HASH_FAILED = normal(18, c"hash_failed", category::STATUS);
    PEER_BAN = normal(19, c"peer_ban", category::PEER);
    PEER_UNSNUBBED = normal(20, c"peer_unsnubbed", category::PEER);
    PEER_SNUBBED = normal(21, c"peer_snubbed", category::PEER);
    PEER_CONNECT = normal(23, c"peer_connect", category::CONNECT);
    PEER_DISCONNECTED = normal(24, c"peer_disconnected", category::CONNECT);
    TORRENT_FINISHED = high(26, c"torrent_finished", category::STATUS);
    PIECE_FINISHED = normal(27, c"piece_finished", category::PIECE_PROGRESS);
    TORRENT_DELETED = critical(35, c"torrent_deleted", category::STORAGE);
    TORRENT_DELETE_FAILED = critical(36, c"torrent_delete_failed", category::STORAGE | category::ERROR);
    TORRENT_PAUSED = high(39, c"torrent_paused", category::STATUS);
    TORRENT_RESUMED = high(40, c"torrent_resumed", category::STATUS);
    TORRENT_CHECKED = high(41, c"torrent_checked", category::STATUS);
    FILE_ERROR = high(43, c"file_error", category::STATUS | category::ERROR | category::STORAGE);
    METADATA_FAILED = normal(44, c"metadata_failed", category::ERROR);
    METADATA_RECEIVED = normal(45, c"metadata_received", category::STATUS);
    UDP_ERROR = normal(46, c"udp_error", category::ERROR);
    EXTERNAL_IP = normal(47, c"external_ip", category::STATUS);
    LISTEN_FAILED = critical(48, c"listen_failed", category::STATUS | category::ERROR);
    LISTEN_SUCCEEDED = Kind { always: false, ..critical(49, c"listen_succeeded", category::STATUS) };
    PEER_BLOCKED = normal(54, c"peer_blocked", category::IP_BLOCK);
    DHT_BOOTSTRAP = normal(62, c"dht_bootstrap", category::DHT);
    TORRENT_ERROR = high(64, c"torrent_error", category::STATUS | category::ERROR);
    ADD_TORRENT = critical(67, c"add_torrent", category::STATUS);
    ALERTS_DROPPED = Kind { priority: Priority::Meta, ..critical(95, c"alerts_dropped", category::ERROR) };
    SOCKS5 = high(96, c"socks5", category::ERROR);
    READER_READY = high(1000, c"reader_ready", category::READER);
    READER_STALLED = high(1001, c"reader_stalled", category::READER);
    PREBUFFER_PROGRESS = normal(1002, c"prebuffer_progress", category::READER);
    PIECE_EVICTED = normal(1003, c"piece_evicted", category::MEMORY | category::PIECE_PROGRESS);
    MEMORY_PRESSURE = high(1004, c"memory_pressure", category::MEMORY | category::PERFORMANCE_WARNING);
}

/// Numbers of types in use are below this, or as far from [`FIRST_OWN`].
const RANGE: u32 = 128;
/// Our own types' numbers begin here.
const FIRST_OWN: u32 = 1000;

/// The types by number: every message looks its type up.
const BY_ID: [Option<&Kind>; 2 * RANGE as usize] = {
    let mut table = [None; 2 * RANGE as usize];
    let mut i = 0;
    while i < ALL.len() {
        table[place(ALL[i].id) as usize] = Some(&ALL[i]);
        i += 1;
    }
    table
};

/// Where a number has its place in the table; beyond it where it has none.
const fn place(id: u32) -> u32 {
    match id {
        0..RANGE => id,
        FIRST_OWN.. => (id - FIRST_OWN).saturating_add(RANGE),
        _ => u32::MAX,
    }
}

/// The type of that number.
pub fn by_id(id: u32) -> Option<&'static Kind> {
    BY_ID.get(place(id) as usize).copied().flatten()
}

impl Alert {
    pub fn kind(&self) -> &'static Kind {
        match self {
            Self::AddTorrent { .. } => &ADD_TORRENT,
            Self::TorrentRemoved { .. } => &TORRENT_REMOVED,
            Self::TorrentDeleted { .. } => &TORRENT_DELETED,
            Self::TorrentDeleteFailed { .. } => &TORRENT_DELETE_FAILED,
            Self::StateChanged { .. } => &STATE_CHANGED,
            Self::TorrentPaused => &TORRENT_PAUSED,
            Self::TorrentResumed => &TORRENT_RESUMED,
            Self::TorrentChecked => &TORRENT_CHECKED,
            Self::TorrentFinished => &TORRENT_FINISHED,
            Self::TorrentError { .. } => &TORRENT_ERROR,
            Self::FileError { .. } => &FILE_ERROR,
            Self::MetadataReceived => &METADATA_RECEIVED,
            Self::MetadataFailed { .. } => &METADATA_FAILED,
            Self::FileCompleted { .. } => &FILE_COMPLETED,
            Self::PieceFinished { .. } => &PIECE_FINISHED,
            Self::HashFailed { .. } => &HASH_FAILED,
            Self::PieceEvicted { .. } => &PIECE_EVICTED,
            Self::PeerConnect { .. } => &PEER_CONNECT,
            Self::PeerDisconnected { .. } => &PEER_DISCONNECTED,
            Self::PeerBan { .. } => &PEER_BAN,
            Self::PeerSnubbed { .. } => &PEER_SNUBBED,
            Self::PeerUnsnubbed { .. } => &PEER_UNSNUBBED,
            Self::PeerBlocked { .. } => &PEER_BLOCKED,
            Self::UdpError { .. } => &UDP_ERROR,
            Self::TrackerAnnounce { .. } => &TRACKER_ANNOUNCE,
            Self::TrackerReply { .. } => &TRACKER_REPLY,
            Self::TrackerWarning { .. } => &TRACKER_WARNING,
            Self::TrackerError { .. } => &TRACKER_ERROR,
            Self::DhtReply { .. } => &DHT_REPLY,
            Self::DhtBootstrap => &DHT_BOOTSTRAP,
            Self::Socks5 { .. } => &SOCKS5,
            Self::ListenSucceeded { .. } => &LISTEN_SUCCEEDED,
            Self::ListenFailed { .. } => &LISTEN_FAILED,
            Self::ExternalIp { .. } => &EXTERNAL_IP,
            Self::Performance { .. } => &PERFORMANCE,
            Self::ReaderReady { .. } => &READER_READY,
            Self::ReaderStalled { .. } => &READER_STALLED,
            Self::PrebufferProgress { .. } => &PREBUFFER_PROGRESS,
            Self::MemoryPressure { .. } => &MEMORY_PRESSURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_sorted_and_found() {
        assert!(ALL.is_sorted_by(|a, b| a.id < b.id));
        for kind in ALL {
            assert_eq!(by_id(kind.id), Some(kind));
            assert_ne!(kind.category, 0, "{}", kind.name);
        }
        assert_eq!((by_id(3), by_id(999), by_id(1127), by_id(1128), by_id(u32::MAX)), (None, None, None, None, None));
    }
}
