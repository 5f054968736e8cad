//! The alerts: what a session has to say, typed. Numbers and names are libtorrent's where it has the thing; ours begin at
//! 1000.

pub mod category;
pub mod kind;
pub mod message;
pub mod pack;
pub mod record;
pub mod records;
pub mod types;

use std::net::{IpAddr, SocketAddr};

use crate::base::error::{Error, Operation};
use crate::base::storage_index::StorageIndex;
use crate::metainfo::info_hash::InfoHashes;

/// One alert as the engine and the shell hand it to the queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Alert {
    // torrent life cycle
    AddTorrent {
        info_hashes: InfoHashes,
        name: String,
        error: Option<Error>,
    },
    TorrentRemoved {
        info_hashes: InfoHashes,
    },
    TorrentDeleted {
        info_hashes: InfoHashes,
    },
    TorrentDeleteFailed {
        info_hashes: InfoHashes,
        error: Error,
    },
    StateChanged {
        state: TorrentState,
        prev_state: TorrentState,
    },
    TorrentPaused,
    TorrentResumed,
    TorrentChecked,
    TorrentFinished,
    TorrentError {
        error: Error,
        filename: String,
    },
    FileError {
        error: Error,
        filename: String,
    },
    MetadataReceived,
    MetadataFailed {
        error: Error,
    },
    FileCompleted {
        file: u32,
    },
    // pieces
    PieceFinished {
        piece: u32,
    },
    HashFailed {
        piece: u32,
    },
    PieceEvicted {
        piece: u32,
    },
    // peers
    PeerConnect {
        endpoint: SocketAddr,
        peer_id: [u8; 20],
        outgoing: bool,
        socket_type: SocketType,
    },
    PeerDisconnected {
        endpoint: SocketAddr,
        peer_id: [u8; 20],
        socket_type: SocketType,
        operation: Operation,
        reason: CloseReason,
        error: Option<Error>,
    },
    PeerBan {
        endpoint: SocketAddr,
        peer_id: [u8; 20],
    },
    PeerSnubbed {
        endpoint: SocketAddr,
        peer_id: [u8; 20],
    },
    PeerUnsnubbed {
        endpoint: SocketAddr,
        peer_id: [u8; 20],
    },
    /// A peer is not dialled, or not let in, for what the settings say.
    PeerBlocked {
        endpoint: SocketAddr,
        reason: BlockedReason,
    },
    // trackers and DHT
    TrackerAnnounce {
        url: String,
        event: AnnounceEvent,
    },
    TrackerReply {
        url: String,
        num_peers: u32,
    },
    TrackerWarning {
        url: String,
        message: String,
    },
    TrackerError {
        url: String,
        times_in_row: u32,
        error: Error,
        failure_reason: String,
    },
    DhtReply {
        num_peers: u32,
    },
    DhtBootstrap,
    /// The proxy does not work.
    Socks5 {
        error: Error,
    },
    // session
    /// A UDP socket cannot send, or receive.
    UdpError {
        endpoint: SocketAddr,
        error: Error,
    },
    ListenSucceeded {
        address: IpAddr,
        port: u16,
        socket_type: SocketType,
    },
    ListenFailed {
        interface: String,
        address: Option<IpAddr>,
        port: u16,
        socket_type: SocketType,
        error: Error,
    },
    ExternalIp {
        address: IpAddr,
    },
    Performance {
        warning: PerformanceWarning,
    },
    // readers
    ReaderReady {
        reader: u64,
        file: u32,
        offset: u64,
    },
    ReaderStalled {
        reader: u64,
        file: u32,
        offset: u64,
        piece: u32,
    },
    PrebufferProgress {
        reader: u64,
        file: u32,
        bytes_done: u64,
        bytes_total: u64,
    },
    MemoryPressure {
        limit_bytes: u64,
        charged_bytes: u64,
        needed_bytes: u64,
    },
}

/// An alert on its way to the queue, with the torrent that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct TorrentAlert {
    pub torrent: StorageIndex,
    pub alert: Alert,
}

/// libtorrent's `torrent_status::state_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(i32)]
pub enum TorrentState {
    CheckingFiles = 1,
    #[default]
    DownloadingMetadata = 2,
    Downloading = 3,
    Finished = 4,
    Seeding = 5,
}

/// libtorrent's `socket_type_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum SocketType {
    Tcp = 0,
    Socks5 = 1,
    Http = 2,
    Utp = 3,
}

/// libtorrent's `event_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum AnnounceEvent {
    None = 0,
    Completed = 1,
    Started = 2,
    Stopped = 3,
}

/// libtorrent's `performance_alert::performance_warning_t`, ours from 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum PerformanceWarning {
    /// Fewer than three pieces of a torrent in memory storage fit into the memory limit: told when its metadata is there.
    MemoryLimitTooLow = 1000,
}

/// libtorrent's `peer_blocked_alert::reason_t`, those that there are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum BlockedReason {
    PortFilter = 1,
    PrivilegedPorts = 3,
    UtpDisabled = 4,
    TcpDisabled = 5,
}

/// libtorrent's `close_reason_t`: why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(i32)]
pub enum CloseReason {
    #[default]
    None = 0,
    DuplicatePeerId = 1,
    TorrentRemoved = 2,
    NoMemory = 3,
    PortBlocked = 4,
    Blocked = 5,
    UploadToUpload = 6,
    NotInterestedUploadOnly = 7,
    Timeout = 8,
    TimedOutInterest = 9,
    TimedOutActivity = 10,
    TimedOutHandshake = 11,
    TimedOutRequest = 12,
    ProtocolBlocked = 13,
    PeerChurn = 14,
    TooManyConnections = 15,
    EncryptionError = 256,
    InvalidInfoHash = 257,
    SelfConnection = 258,
    InvalidMetadata = 259,
    MetadataTooBig = 260,
    MessageTooBig = 261,
    InvalidMessage = 262,
    /// Ours: it sent data that fails its hash.
    CorruptData = 1000,
}

impl CloseReason {
    /// Did the peer do what it should not?
    pub fn is_misconduct(self) -> bool {
        matches!(
            self,
            Self::InvalidInfoHash
                | Self::SelfConnection
                | Self::InvalidMetadata
                | Self::MetadataTooBig
                | Self::MessageTooBig
                | Self::InvalidMessage
                | Self::CorruptData
        )
    }
}
