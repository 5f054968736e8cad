//! The numbers of the C ABI: libtorrent's where it has the thing, ours from 1000.

use crate::alert::record::et_storage_index;
use crate::alert::types::{
    et_alert_categories, et_alert_type, et_announce_event, et_blocked_reason, et_close_reason, et_direction,
    et_info_hash_versions, et_operation, et_performance_warning, et_socket_type, et_torrent_state,
};

/// No torrent. Never a torrent's storage index.
pub const ET_STORAGE_INDEX_INVALID: et_storage_index = 0;

/// The v1 info-hash is there.
pub const ET_INFO_HASH_V1: et_info_hash_versions = 1;
/// The v2 info-hash is there.
pub const ET_INFO_HASH_V2: et_info_hash_versions = 2;

pub const ET_OPERATION_UNKNOWN: et_operation = 0;
pub const ET_OPERATION_BITTORRENT: et_operation = 1;
pub const ET_OPERATION_FILE_WRITE: et_operation = 7;
pub const ET_OPERATION_FILE_READ: et_operation = 8;
pub const ET_OPERATION_FILE: et_operation = 9;
pub const ET_OPERATION_SOCK_WRITE: et_operation = 10;
pub const ET_OPERATION_SOCK_READ: et_operation = 11;
pub const ET_OPERATION_SOCK_OPEN: et_operation = 12;
pub const ET_OPERATION_SOCK_BIND: et_operation = 13;
pub const ET_OPERATION_ENCRYPTION: et_operation = 15;
pub const ET_OPERATION_CONNECT: et_operation = 16;
pub const ET_OPERATION_SSL_HANDSHAKE: et_operation = 17;
pub const ET_OPERATION_SOCK_LISTEN: et_operation = 19;
pub const ET_OPERATION_SOCK_ACCEPT: et_operation = 21;
pub const ET_OPERATION_PARSE_ADDRESS: et_operation = 22;
pub const ET_OPERATION_FILE_STAT: et_operation = 24;
pub const ET_OPERATION_FILE_FALLOCATE: et_operation = 26;
pub const ET_OPERATION_FILE_REMOVE: et_operation = 28;
pub const ET_OPERATION_FILE_RENAME: et_operation = 29;
pub const ET_OPERATION_FILE_OPEN: et_operation = 30;
pub const ET_OPERATION_MKDIR: et_operation = 31;
pub const ET_OPERATION_CHECK_RESUME: et_operation = 32;
pub const ET_OPERATION_EXCEPTION: et_operation = 33;
pub const ET_OPERATION_HOSTNAME_LOOKUP: et_operation = 38;
pub const ET_OPERATION_HANDSHAKE: et_operation = 40;
pub const ET_OPERATION_SOCK_OPTION: et_operation = 41;
pub const ET_OPERATION_FILE_TRUNCATE: et_operation = 46;

/// What is on disk is being checked.
pub const ET_TORRENT_STATE_CHECKING_FILES: et_torrent_state = 1;
/// A magnet: peers are asked for the metadata.
pub const ET_TORRENT_STATE_DOWNLOADING_METADATA: et_torrent_state = 2;
/// Something that is wanted is missing.
pub const ET_TORRENT_STATE_DOWNLOADING: et_torrent_state = 3;
/// All that is wanted is there, not all that the torrent has.
pub const ET_TORRENT_STATE_FINISHED: et_torrent_state = 4;
/// Everything is there.
pub const ET_TORRENT_STATE_SEEDING: et_torrent_state = 5;

pub const ET_SOCKET_TCP: et_socket_type = 0;
/// TCP by a SOCKS proxy, of whichever version.
pub const ET_SOCKET_SOCKS5: et_socket_type = 1;
/// TCP by an HTTP proxy.
pub const ET_SOCKET_HTTP: et_socket_type = 2;
/// uTP (BEP 29), by a SOCKS5 proxy or not.
pub const ET_SOCKET_UTP: et_socket_type = 3;

/// A peer came to us.
pub const ET_DIRECTION_IN: et_direction = 0;
/// We went to a peer.
pub const ET_DIRECTION_OUT: et_direction = 1;

/// A plain, regular announce.
pub const ET_EVENT_NONE: et_announce_event = 0;
pub const ET_EVENT_COMPLETED: et_announce_event = 1;
pub const ET_EVENT_STARTED: et_announce_event = 2;
pub const ET_EVENT_STOPPED: et_announce_event = 3;

/// Fewer than three pieces of a torrent in memory storage fit into the memory limit, or not one of a torrent on disk, which then
/// downloads nothing until the limit is raised: told when its metadata is there.
pub const ET_PERFORMANCE_MEMORY_LIMIT_TOO_LOW: et_performance_warning = 1000;

pub const ET_CLOSE_NONE: et_close_reason = 0;
pub const ET_CLOSE_DUPLICATE_PEER_ID: et_close_reason = 1;
pub const ET_CLOSE_TORRENT_REMOVED: et_close_reason = 2;
pub const ET_CLOSE_NO_MEMORY: et_close_reason = 3;
/// It is at a port that `et_session_set_port_filter` blocks.
pub const ET_CLOSE_PORT_BLOCKED: et_close_reason = 4;
pub const ET_CLOSE_BLOCKED: et_close_reason = 5;
pub const ET_CLOSE_UPLOAD_TO_UPLOAD: et_close_reason = 6;
pub const ET_CLOSE_NOT_INTERESTED_UPLOAD_ONLY: et_close_reason = 7;
pub const ET_CLOSE_TIMEOUT: et_close_reason = 8;
pub const ET_CLOSE_TIMED_OUT_INTEREST: et_close_reason = 9;
pub const ET_CLOSE_TIMED_OUT_ACTIVITY: et_close_reason = 10;
pub const ET_CLOSE_TIMED_OUT_HANDSHAKE: et_close_reason = 11;
pub const ET_CLOSE_TIMED_OUT_REQUEST: et_close_reason = 12;
/// The settings forbid it: `enable_outgoing_tcp` is off.
pub const ET_CLOSE_PROTOCOL_BLOCKED: et_close_reason = 13;
pub const ET_CLOSE_PEER_CHURN: et_close_reason = 14;
pub const ET_CLOSE_TOO_MANY_CONNECTIONS: et_close_reason = 15;
/// The encrypted handshake (MSE) failed: no common method, wrong bytes.
pub const ET_CLOSE_ENCRYPTION_ERROR: et_close_reason = 256;
pub const ET_CLOSE_INVALID_INFO_HASH: et_close_reason = 257;
pub const ET_CLOSE_SELF_CONNECTION: et_close_reason = 258;
pub const ET_CLOSE_INVALID_METADATA: et_close_reason = 259;
pub const ET_CLOSE_METADATA_TOO_BIG: et_close_reason = 260;
pub const ET_CLOSE_MESSAGE_TOO_BIG: et_close_reason = 261;
pub const ET_CLOSE_INVALID_MESSAGE: et_close_reason = 262;
/// The peer sent data that fails its hash.
pub const ET_CLOSE_CORRUPT_DATA: et_close_reason = 1000;

/// `et_session_set_port_filter` blocks its port.
pub const ET_BLOCKED_PORT_FILTER: et_blocked_reason = 1;
/// Its port is below 1024, and `no_connect_privileged_ports` is on.
pub const ET_BLOCKED_PRIVILEGED_PORTS: et_blocked_reason = 3;
/// It came by uTP, and `enable_incoming_utp` is off.
pub const ET_BLOCKED_UTP_DISABLED: et_blocked_reason = 4;
/// It came by TCP in the moment in which `enable_incoming_tcp` was switched off. After that nothing listens, and nobody comes.
pub const ET_BLOCKED_TCP_DISABLED: et_blocked_reason = 5;

/// What holds for ports: `ET_PORT_*` bits, in `et_port_rule`.
pub type et_port_access = u32;
/// Nobody is dialled there.
pub const ET_PORT_BLOCKED: et_port_access = 0x1;

/// A priority of a piece or a file: 0 to 7.
pub type et_priority = u8;
/// Not fetched, unless a reader or a deadline wants it.
pub const ET_PRIORITY_DONT_DOWNLOAD: et_priority = 0;
pub const ET_PRIORITY_LOW: et_priority = 1;
pub const ET_PRIORITY_DEFAULT: et_priority = 4;
pub const ET_PRIORITY_TOP: et_priority = 7;

/// How a torrent behaves: `ET_TORRENT_FLAG_*` bits.
pub type et_torrent_flags = u64;
/// Only upload.
pub const ET_TORRENT_FLAG_UPLOAD_MODE: et_torrent_flags = 0x2;
/// Paused.
pub const ET_TORRENT_FLAG_PAUSED: et_torrent_flags = 0x10;
/// Where the torrent is there already, nothing of this source is taken in: `ET_ERR_DUPLICATE_TORRENT`, and no more.
pub const ET_TORRENT_FLAG_DUPLICATE_IS_ERROR: et_torrent_flags = 0x40;
/// Fetch in order, not the rarest first.
pub const ET_TORRENT_FLAG_SEQUENTIAL_DOWNLOAD: et_torrent_flags = 0x200;
pub const ET_TORRENT_FLAG_DISABLE_DHT: et_torrent_flags = 0x8_0000;
pub const ET_TORRENT_FLAG_DISABLE_PEX: et_torrent_flags = 0x20_0000;
/// Files that `file_priorities` says nothing about have priority 0 on disk too, not 4.
pub const ET_TORRENT_FLAG_DEFAULT_DONT_DOWNLOAD: et_torrent_flags = 0x80_0000;

/// What goes with a removed torrent: `ET_REMOVE_*` bits.
pub type et_remove_flags = u32;
/// Its files.
pub const ET_REMOVE_DELETE_FILES: et_remove_flags = 1;
/// Accepted, and without effect: there are no part files. The edges of files that are not wanted lie in those files,
/// which `ET_REMOVE_DELETE_FILES` deletes.
pub const ET_REMOVE_DELETE_PARTFILE: et_remove_flags = 2;

/// Where a torrent's pieces live.
pub type et_storage_kind = i32;
/// As the session's `storage` setting says.
pub const ET_STORAGE_DEFAULT: et_storage_kind = 0;
/// In memory, within the session's limit: what does not fit is fetched again when it is wanted.
pub const ET_STORAGE_MEMORY: et_storage_kind = 1;
/// In files under the save path.
pub const ET_STORAGE_DISK: et_storage_kind = 2;

/// What a peer is doing: `ET_PEER_*` bits.
pub type et_peer_flags = u32;
/// We want what it has.
pub const ET_PEER_INTERESTING: et_peer_flags = 0x1;
/// We choke it.
pub const ET_PEER_CHOKED: et_peer_flags = 0x2;
/// It wants what we have.
pub const ET_PEER_REMOTE_INTERESTED: et_peer_flags = 0x4;
/// It chokes us.
pub const ET_PEER_REMOTE_CHOKED: et_peer_flags = 0x8;
pub const ET_PEER_SUPPORTS_EXTENSIONS: et_peer_flags = 0x10;
/// We dialled it.
pub const ET_PEER_OUTGOING: et_peer_flags = 0x20;
/// It took part in a piece that came in wrong, and has to prove itself.
pub const ET_PEER_ON_PAROLE: et_peer_flags = 0x200;
pub const ET_PEER_SEED: et_peer_flags = 0x400;
pub const ET_PEER_OPTIMISTIC_UNCHOKE: et_peer_flags = 0x800;
/// It does not send what it was asked for.
pub const ET_PEER_SNUBBED: et_peer_flags = 0x1000;
pub const ET_PEER_UPLOAD_ONLY: et_peer_flags = 0x2000;
/// By uTP (BEP 29), not TCP.
pub const ET_PEER_UTP_SOCKET: et_peer_flags = 0x20000;
/// What is sent is encrypted (MSE): this hides the protocol, not who talks to whom.
pub const ET_PEER_RC4_ENCRYPTED: et_peer_flags = 0x80000;
/// The handshake was encrypted (MSE), and nothing after it.
pub const ET_PEER_PLAINTEXT_ENCRYPTED: et_peer_flags = 0x100000;

/// How we know of a peer: `ET_PEER_SOURCE_*` bits.
pub type et_peer_source = u32;
pub const ET_PEER_SOURCE_TRACKER: et_peer_source = 0x1;
pub const ET_PEER_SOURCE_DHT: et_peer_source = 0x2;
pub const ET_PEER_SOURCE_PEX: et_peer_source = 0x4;
/// Local service discovery. Not set by this version, which has none.
pub const ET_PEER_SOURCE_LSD: et_peer_source = 0x8;
/// Not set by this version, which has no resume data.
pub const ET_PEER_SOURCE_RESUME_DATA: et_peer_source = 0x10;
/// It came to us.
pub const ET_PEER_SOURCE_INCOMING: et_peer_source = 0x20;
/// `et_torrent_connect_peer`, or the magnet.
pub const ET_PEER_SOURCE_MANUAL: et_peer_source = 0x400;

/// What a file is: `ET_FILE_*` bits.
pub type et_file_flags = u32;
/// Zeros that align the next file; it is neither fetched nor stored. A block of which it has a part only comes whole.
pub const ET_FILE_PAD: et_file_flags = 0x1;
pub const ET_FILE_HIDDEN: et_file_flags = 0x2;
pub const ET_FILE_EXECUTABLE: et_file_flags = 0x4;
pub const ET_FILE_SYMLINK: et_file_flags = 0x8;

/// What a block is, in `et_partial_piece_info`: `ET_BLOCK_*`.
pub type et_block_state = u8;
pub const ET_BLOCK_NONE: et_block_state = 0;
pub const ET_BLOCK_REQUESTED: et_block_state = 1;
pub const ET_BLOCK_WRITING: et_block_state = 2;
pub const ET_BLOCK_FINISHED: et_block_state = 3;

pub const ET_ALERT_CATEGORY_ERROR: et_alert_categories = 0x1;
pub const ET_ALERT_CATEGORY_PEER: et_alert_categories = 0x2;
pub const ET_ALERT_CATEGORY_PORT_MAPPING: et_alert_categories = 0x4;
pub const ET_ALERT_CATEGORY_STORAGE: et_alert_categories = 0x8;
pub const ET_ALERT_CATEGORY_TRACKER: et_alert_categories = 0x10;
pub const ET_ALERT_CATEGORY_CONNECT: et_alert_categories = 0x20;
pub const ET_ALERT_CATEGORY_STATUS: et_alert_categories = 0x40;
pub const ET_ALERT_CATEGORY_IP_BLOCK: et_alert_categories = 0x100;
pub const ET_ALERT_CATEGORY_PERFORMANCE_WARNING: et_alert_categories = 0x200;
pub const ET_ALERT_CATEGORY_DHT: et_alert_categories = 0x400;
pub const ET_ALERT_CATEGORY_FILE_PROGRESS: et_alert_categories = 0x20_0000;
pub const ET_ALERT_CATEGORY_PIECE_PROGRESS: et_alert_categories = 0x40_0000;
/// What becomes of readers.
pub const ET_ALERT_CATEGORY_READER: et_alert_categories = 0x1000_0000;
/// What the memory limit does.
pub const ET_ALERT_CATEGORY_MEMORY: et_alert_categories = 0x2000_0000;
/// Every category there is or will be.
pub const ET_ALERT_CATEGORY_ALL: et_alert_categories = 0xffff_ffff;

pub const ET_ALERT_TORRENT_REMOVED: et_alert_type = 4;
pub const ET_ALERT_FILE_COMPLETED: et_alert_type = 6;
pub const ET_ALERT_PERFORMANCE: et_alert_type = 9;
pub const ET_ALERT_STATE_CHANGED: et_alert_type = 10;
pub const ET_ALERT_TRACKER_ERROR: et_alert_type = 11;
pub const ET_ALERT_TRACKER_WARNING: et_alert_type = 12;
pub const ET_ALERT_TRACKER_REPLY: et_alert_type = 15;
pub const ET_ALERT_DHT_REPLY: et_alert_type = 16;
pub const ET_ALERT_TRACKER_ANNOUNCE: et_alert_type = 17;
pub const ET_ALERT_HASH_FAILED: et_alert_type = 18;
pub const ET_ALERT_PEER_BAN: et_alert_type = 19;
pub const ET_ALERT_PEER_UNSNUBBED: et_alert_type = 20;
pub const ET_ALERT_PEER_SNUBBED: et_alert_type = 21;
pub const ET_ALERT_PEER_CONNECT: et_alert_type = 23;
pub const ET_ALERT_PEER_DISCONNECTED: et_alert_type = 24;
pub const ET_ALERT_TORRENT_FINISHED: et_alert_type = 26;
pub const ET_ALERT_PIECE_FINISHED: et_alert_type = 27;
pub const ET_ALERT_TORRENT_DELETED: et_alert_type = 35;
pub const ET_ALERT_TORRENT_DELETE_FAILED: et_alert_type = 36;
pub const ET_ALERT_TORRENT_PAUSED: et_alert_type = 39;
pub const ET_ALERT_TORRENT_RESUMED: et_alert_type = 40;
pub const ET_ALERT_TORRENT_CHECKED: et_alert_type = 41;
pub const ET_ALERT_FILE_ERROR: et_alert_type = 43;
pub const ET_ALERT_METADATA_FAILED: et_alert_type = 44;
pub const ET_ALERT_METADATA_RECEIVED: et_alert_type = 45;
pub const ET_ALERT_UDP_ERROR: et_alert_type = 46;
pub const ET_ALERT_EXTERNAL_IP: et_alert_type = 47;
pub const ET_ALERT_LISTEN_FAILED: et_alert_type = 48;
pub const ET_ALERT_LISTEN_SUCCEEDED: et_alert_type = 49;
pub const ET_ALERT_PEER_BLOCKED: et_alert_type = 54;
pub const ET_ALERT_DHT_BOOTSTRAP: et_alert_type = 62;
pub const ET_ALERT_TORRENT_ERROR: et_alert_type = 64;
pub const ET_ALERT_ADD_TORRENT: et_alert_type = 67;
pub const ET_ALERT_ALERTS_DROPPED: et_alert_type = 95;
pub const ET_ALERT_SOCKS5: et_alert_type = 96;
pub const ET_ALERT_READER_READY: et_alert_type = 1000;
pub const ET_ALERT_READER_STALLED: et_alert_type = 1001;
pub const ET_ALERT_PREBUFFER_PROGRESS: et_alert_type = 1002;
pub const ET_ALERT_PIECE_EVICTED: et_alert_type = 1003;
pub const ET_ALERT_MEMORY_PRESSURE: et_alert_type = 1004;

/// Where `et_reader_seek` counts from: the values of C's `SEEK_SET`, `SEEK_CUR`, `SEEK_END`.
pub type et_whence = i32;
/// The start of the file.
pub const ET_SEEK_SET: et_whence = 0;
/// The reader's position.
pub const ET_SEEK_CUR: et_whence = 1;
/// The end of the file.
pub const ET_SEEK_END: et_whence = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::category;
    use crate::alert::kind;
    use crate::alert::{AnnounceEvent, BlockedReason, CloseReason, PerformanceWarning, SocketType, TorrentState};
    use crate::base::error::Operation;
    use crate::metainfo::FileFlags;
    use crate::session::{PeerFlags, PeerSource, RemoveFlags, TorrentFlags};

    /// The source of this file: the numbers are written out for the header's generator, and so can drift.
    const SOURCE: &str = include_str!("constants.rs");

    fn constant(name: &str) -> Option<u64> {
        let line = SOURCE.lines().find(|l| l.starts_with(&format!("pub const {name}:")))?;
        let value = line.split(" = ").nth(1)?.trim_end_matches(';').replace('_', "");
        value.strip_prefix("0x").map_or_else(|| value.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
    }

    #[test]
    fn alert_types_are_the_librarys() {
        for kind in kind::ALL {
            let name = format!("ET_ALERT_{}", kind.name.to_uppercase());
            assert_eq!(constant(&name), Some(u64::from(kind.id)), "{name}");
        }
        let count = SOURCE.lines().filter(|l| l.starts_with("pub const") && l.contains(": et_alert_type =")).count();
        assert_eq!(count, kind::ALL.len());
    }

    #[test]
    fn categories_are_the_librarys() {
        assert_eq!(
            [
                ET_ALERT_CATEGORY_ERROR,
                ET_ALERT_CATEGORY_PEER,
                ET_ALERT_CATEGORY_PORT_MAPPING,
                ET_ALERT_CATEGORY_STORAGE,
                ET_ALERT_CATEGORY_TRACKER,
                ET_ALERT_CATEGORY_CONNECT,
                ET_ALERT_CATEGORY_STATUS,
                ET_ALERT_CATEGORY_IP_BLOCK,
                ET_ALERT_CATEGORY_PERFORMANCE_WARNING,
                ET_ALERT_CATEGORY_DHT,
                ET_ALERT_CATEGORY_FILE_PROGRESS,
                ET_ALERT_CATEGORY_PIECE_PROGRESS,
                ET_ALERT_CATEGORY_READER,
                ET_ALERT_CATEGORY_MEMORY,
            ],
            [
                category::ERROR,
                category::PEER,
                category::PORT_MAPPING,
                category::STORAGE,
                category::TRACKER,
                category::CONNECT,
                category::STATUS,
                category::IP_BLOCK,
                category::PERFORMANCE_WARNING,
                category::DHT,
                category::FILE_PROGRESS,
                category::PIECE_PROGRESS,
                category::READER,
                category::MEMORY,
            ]
        );
        assert!(kind::ALL.iter().all(|k| k.category & !ET_ALERT_CATEGORY_ALL == 0));
    }

    /// Each flag of the library's sets has its constant, and the other way round.
    #[test]
    fn flags_are_the_librarys() {
        let sets: [(&str, Vec<(&str, u64)>); 5] = [
            ("TORRENT_FLAG", TorrentFlags::all().iter_names().map(|(n, f)| (n, f.bits())).collect()),
            ("REMOVE", RemoveFlags::all().iter_names().map(|(n, f)| (n, f.bits().into())).collect()),
            ("PEER", PeerFlags::all().iter_names().map(|(n, f)| (n, f.bits().into())).collect()),
            ("PEER_SOURCE", PeerSource::all().iter_names().map(|(n, f)| (n, f.bits().into())).collect()),
            ("FILE", FileFlags::all().iter_names().map(|(n, f)| (n, f.bits().into())).collect()),
        ];
        for (prefix, flags) in sets {
            for (name, bits) in flags {
                assert_eq!(constant(&format!("ET_{prefix}_{name}")), Some(bits), "{prefix} {name}");
            }
        }
        let count = |t: &str| SOURCE.lines().filter(|l| l.starts_with("pub const") && l.contains(t)).count();
        assert_eq!(count(": et_torrent_flags"), TorrentFlags::all().iter_names().count());
        assert_eq!(count(": et_peer_flags"), PeerFlags::all().iter_names().count());
        assert_eq!(count(": et_peer_source"), PeerSource::all().iter_names().count());
    }

    /// Pairs of the library's enums and their constants; the names follow from each other.
    #[test]
    fn enums_are_the_librarys() {
        use CloseReason as C;
        use Operation as O;
        type Variants<'a> = &'a [(&'a dyn std::fmt::Debug, i32)];
        let enums: &[(&str, Variants<'_>)] = &[
            (
                "OPERATION",
                &[
                    (&O::Unknown, O::Unknown as i32),
                    (&O::Bittorrent, O::Bittorrent as i32),
                    (&O::FileWrite, O::FileWrite as i32),
                    (&O::FileRead, O::FileRead as i32),
                    (&O::File, O::File as i32),
                    (&O::SockWrite, O::SockWrite as i32),
                    (&O::SockRead, O::SockRead as i32),
                    (&O::SockOpen, O::SockOpen as i32),
                    (&O::SockBind, O::SockBind as i32),
                    (&O::Encryption, O::Encryption as i32),
                    (&O::Connect, O::Connect as i32),
                    (&O::SslHandshake, O::SslHandshake as i32),
                    (&O::SockListen, O::SockListen as i32),
                    (&O::SockAccept, O::SockAccept as i32),
                    (&O::ParseAddress, O::ParseAddress as i32),
                    (&O::FileStat, O::FileStat as i32),
                    (&O::FileFallocate, O::FileFallocate as i32),
                    (&O::FileRemove, O::FileRemove as i32),
                    (&O::FileRename, O::FileRename as i32),
                    (&O::FileOpen, O::FileOpen as i32),
                    (&O::Mkdir, O::Mkdir as i32),
                    (&O::CheckResume, O::CheckResume as i32),
                    (&O::Exception, O::Exception as i32),
                    (&O::HostnameLookup, O::HostnameLookup as i32),
                    (&O::Handshake, O::Handshake as i32),
                    (&O::SockOption, O::SockOption as i32),
                    (&O::FileTruncate, O::FileTruncate as i32),
                ],
            ),
            (
                "CLOSE",
                &[
                    (&C::None, C::None as i32),
                    (&C::DuplicatePeerId, C::DuplicatePeerId as i32),
                    (&C::TorrentRemoved, C::TorrentRemoved as i32),
                    (&C::NoMemory, C::NoMemory as i32),
                    (&C::PortBlocked, C::PortBlocked as i32),
                    (&C::Blocked, C::Blocked as i32),
                    (&C::UploadToUpload, C::UploadToUpload as i32),
                    (&C::NotInterestedUploadOnly, C::NotInterestedUploadOnly as i32),
                    (&C::Timeout, C::Timeout as i32),
                    (&C::TimedOutInterest, C::TimedOutInterest as i32),
                    (&C::TimedOutActivity, C::TimedOutActivity as i32),
                    (&C::TimedOutHandshake, C::TimedOutHandshake as i32),
                    (&C::TimedOutRequest, C::TimedOutRequest as i32),
                    (&C::ProtocolBlocked, C::ProtocolBlocked as i32),
                    (&C::PeerChurn, C::PeerChurn as i32),
                    (&C::TooManyConnections, C::TooManyConnections as i32),
                    (&C::EncryptionError, C::EncryptionError as i32),
                    (&C::InvalidInfoHash, C::InvalidInfoHash as i32),
                    (&C::SelfConnection, C::SelfConnection as i32),
                    (&C::InvalidMetadata, C::InvalidMetadata as i32),
                    (&C::MetadataTooBig, C::MetadataTooBig as i32),
                    (&C::MessageTooBig, C::MessageTooBig as i32),
                    (&C::InvalidMessage, C::InvalidMessage as i32),
                    (&C::CorruptData, C::CorruptData as i32),
                ],
            ),
            (
                "TORRENT_STATE",
                &[
                    (&TorrentState::CheckingFiles, TorrentState::CheckingFiles as i32),
                    (&TorrentState::DownloadingMetadata, TorrentState::DownloadingMetadata as i32),
                    (&TorrentState::Downloading, TorrentState::Downloading as i32),
                    (&TorrentState::Finished, TorrentState::Finished as i32),
                    (&TorrentState::Seeding, TorrentState::Seeding as i32),
                ],
            ),
            (
                "SOCKET",
                &[
                    (&SocketType::Tcp, SocketType::Tcp as i32),
                    (&SocketType::Socks5, SocketType::Socks5 as i32),
                    (&SocketType::Http, SocketType::Http as i32),
                    (&SocketType::Utp, SocketType::Utp as i32),
                ],
            ),
            (
                "EVENT",
                &[
                    (&AnnounceEvent::None, AnnounceEvent::None as i32),
                    (&AnnounceEvent::Completed, AnnounceEvent::Completed as i32),
                    (&AnnounceEvent::Started, AnnounceEvent::Started as i32),
                    (&AnnounceEvent::Stopped, AnnounceEvent::Stopped as i32),
                ],
            ),
            (
                "BLOCKED",
                &[
                    (&BlockedReason::PortFilter, BlockedReason::PortFilter as i32),
                    (&BlockedReason::PrivilegedPorts, BlockedReason::PrivilegedPorts as i32),
                    (&BlockedReason::UtpDisabled, BlockedReason::UtpDisabled as i32),
                    (&BlockedReason::TcpDisabled, BlockedReason::TcpDisabled as i32),
                ],
            ),
            ("PERFORMANCE", &[(&PerformanceWarning::MemoryLimitTooLow, PerformanceWarning::MemoryLimitTooLow as i32)]),
        ];
        for (prefix, variants) in enums {
            for (variant, number) in *variants {
                let name = format!("ET_{prefix}_{}", snake(&format!("{variant:?}")));
                assert_eq!(constant(&name), u64::try_from(*number).ok(), "{name}");
            }
        }
    }

    fn snake(camel: &str) -> String {
        let mut snake = String::new();
        for c in camel.chars() {
            if c.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(c.to_uppercase());
        }
        snake
    }
}
