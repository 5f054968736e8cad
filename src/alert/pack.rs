//! Alerts into records.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use zerocopy::{Immutable, IntoBytes};

use super::Alert;
use super::kind;
use super::kind::Kind;
use super::record::{et_alert, et_alert_error, et_dropped_count, et_endpoint, et_info_hashes, et_text};
use super::records::*;
use crate::base::address::is_of_name;
use crate::base::error::Error;
use crate::base::text::cut;
use crate::metainfo::info_hash::InfoHashes;

/// Bytes of a string in a record, at most. What is longer is cut.
pub const MAX_TEXT: usize = 4096;

/// Bits of `et_info_hashes::has`.
pub const HAS_V1: u32 = 1;
pub const HAS_V2: u32 = 2;

/// `et_peer_connect_alert::direction`.
const DIRECTION_IN: i32 = 0;
const DIRECTION_OUT: i32 = 1;

/// What every record says beside its alert.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub sequence: u64,
    pub timestamp_us: i64,
    pub torrent: u64,
}

/// Puts strings behind the fixed part of the record that begins at `start`.
pub struct Strings<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl Strings<'_> {
    /// Adds a string, cut to [`MAX_TEXT`].
    pub fn text(&mut self, text: &str) -> et_text {
        self.bytes(cut(text, MAX_TEXT).as_bytes())
    }

    /// Adds bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> et_text {
        if bytes.is_empty() {
            return et_text::default();
        }
        let offset = self.offset();
        self.out.extend_from_slice(bytes);
        et_text { offset, length: u32::try_from(bytes.len()).unwrap_or(0) }
    }

    fn error(&mut self, error: &Error) -> et_alert_error {
        et_alert_error {
            status: error.status as i32,
            os_error: error.os_error,
            operation: error.operation as i32,
            reserved: 0,
            message: self.text(&error.message),
        }
    }

    fn optional_error(&mut self, error: Option<&Error>) -> et_alert_error {
        error.map_or_else(et_alert_error::default, |e| self.error(e))
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.out.len() - self.start).unwrap_or(0)
    }
}

fn record<T>(out: &mut Vec<u8>, stamp: Stamp, kind: &Kind, fixed: impl FnOnce(et_alert, &mut Strings<'_>) -> T)
where
    T: IntoBytes + Immutable,
{
    let base = et_alert {
        size: 0,
        r#type: kind.id,
        category: kind.category,
        sequence: stamp.sequence,
        timestamp_us: stamp.timestamp_us,
        torrent: stamp.torrent,
    };
    put_record(out, |strings| fixed(base, strings));
}

/// Appends a record: its fixed part, its strings, zeros up to a multiple of 8. Its first field, a `u32`, becomes its size.
pub fn put_record<T: IntoBytes + Immutable>(out: &mut Vec<u8>, fixed: impl FnOnce(&mut Strings<'_>) -> T) {
    let start = out.len();
    let strings = start + size_of::<T>();
    out.resize(strings, 0);
    let fixed = fixed(&mut Strings { out, start });
    out.resize(start + (out.len() - start).next_multiple_of(8), 0);
    let size = u32::try_from(out.len() - start).unwrap_or(0);
    if let Some(place) = out.get_mut(start..strings) {
        place.copy_from_slice(fixed.as_bytes());
    }
    if let Some(place) = out.get_mut(start..start + size_of::<u32>()) {
        place.copy_from_slice(&size.to_ne_bytes());
    }
}

/// Appends the alert's record to `out`, whose length is a multiple of 8 before and after.
pub fn pack(out: &mut Vec<u8>, stamp: Stamp, alert: &Alert) {
    let kind = alert.kind();
    match alert {
        Alert::AddTorrent { info_hashes, name, error } => record(out, stamp, kind, |base, s| et_add_torrent_alert {
            base,
            info_hashes: info_hashes.into(),
            name: s.text(name),
            error: s.optional_error(error.as_ref()),
        }),
        Alert::TorrentRemoved { info_hashes } => {
            record(out, stamp, kind, |base, _| et_torrent_removed_alert { base, info_hashes: info_hashes.into() });
        }
        Alert::TorrentDeleted { info_hashes } => {
            record(out, stamp, kind, |base, _| et_torrent_deleted_alert { base, info_hashes: info_hashes.into() });
        }
        Alert::TorrentDeleteFailed { info_hashes, error } => {
            record(out, stamp, kind, |base, s| et_torrent_delete_failed_alert {
                base,
                info_hashes: info_hashes.into(),
                error: s.error(error),
            });
        }
        Alert::StateChanged { state, prev_state } => record(out, stamp, kind, |base, _| et_state_changed_alert {
            base,
            state: *state as i32,
            prev_state: *prev_state as i32,
        }),
        // These are their base and nothing else; the structs have their own names for the reader's sake.
        Alert::TorrentPaused
        | Alert::TorrentResumed
        | Alert::TorrentChecked
        | Alert::TorrentFinished
        | Alert::MetadataReceived
        | Alert::DhtBootstrap => record(out, stamp, kind, |base, _| base),
        Alert::TorrentError { error, filename } => record(out, stamp, kind, |base, s| et_torrent_error_alert {
            base,
            error: s.error(error),
            filename: s.text(filename),
        }),
        Alert::FileError { error, filename } => record(out, stamp, kind, |base, s| et_file_error_alert {
            base,
            error: s.error(error),
            filename: s.text(filename),
        }),
        Alert::Socks5 { error } => record(out, stamp, kind, |base, s| et_socks5_alert { base, error: s.error(error) }),
        Alert::MetadataFailed { error } => {
            record(out, stamp, kind, |base, s| et_metadata_failed_alert { base, error: s.error(error) });
        }
        Alert::FileCompleted { file } => {
            record(out, stamp, kind, |base, _| et_file_completed_alert { base, file: index(*file), reserved: 0 });
        }
        Alert::PieceFinished { piece } => {
            record(out, stamp, kind, |base, _| et_piece_finished_alert { base, piece: index(*piece), reserved: 0 });
        }
        Alert::HashFailed { piece } => {
            record(out, stamp, kind, |base, _| et_hash_failed_alert { base, piece: index(*piece), reserved: 0 });
        }
        Alert::PieceEvicted { piece } => {
            record(out, stamp, kind, |base, _| et_piece_evicted_alert { base, piece: index(*piece), reserved: 0 });
        }
        Alert::PeerConnect { .. } | Alert::PeerDisconnected { .. } => pack_connection(out, stamp, kind, alert),
        Alert::PeerBan { endpoint, peer_id } => record(out, stamp, kind, |base, _| et_peer_ban_alert {
            base,
            endpoint: endpoint.into(),
            peer_id: *peer_id,
            reserved: 0,
        }),
        Alert::PeerSnubbed { endpoint, peer_id } => record(out, stamp, kind, |base, _| et_peer_snubbed_alert {
            base,
            endpoint: endpoint.into(),
            peer_id: *peer_id,
            reserved: 0,
        }),
        Alert::PeerUnsnubbed { endpoint, peer_id } => record(out, stamp, kind, |base, _| et_peer_unsnubbed_alert {
            base,
            endpoint: endpoint.into(),
            peer_id: *peer_id,
            reserved: 0,
        }),
        Alert::PeerBlocked { endpoint, reason } => record(out, stamp, kind, |base, _| et_peer_blocked_alert {
            base,
            endpoint: endpoint.into(),
            reason: *reason as i32,
            reserved: 0,
        }),
        Alert::UdpError { endpoint, error } => record(out, stamp, kind, |base, s| et_udp_error_alert {
            base,
            endpoint: endpoint.into(),
            error: s.error(error),
        }),
        Alert::TrackerAnnounce { .. }
        | Alert::TrackerReply { .. }
        | Alert::TrackerWarning { .. }
        | Alert::TrackerError { .. } => pack_tracker(out, stamp, kind, alert),
        Alert::DhtReply { num_peers } => {
            record(out, stamp, kind, |base, _| et_dht_reply_alert { base, num_peers: *num_peers, reserved: 0 });
        }
        Alert::ListenSucceeded { .. } | Alert::ListenFailed { .. } => pack_listen(out, stamp, kind, alert),
        Alert::ExternalIp { address } => record(out, stamp, kind, |base, _| et_external_ip_alert {
            base,
            endpoint: (&SocketAddr::new(*address, 0)).into(),
        }),
        Alert::Performance { warning } => {
            record(out, stamp, kind, |base, _| et_performance_alert { base, warning: *warning as i32, reserved: 0 });
        }
        Alert::ReaderReady { .. } | Alert::ReaderStalled { .. } | Alert::PrebufferProgress { .. } => {
            pack_reader(out, stamp, kind, alert);
        }
        Alert::MemoryPressure { limit_bytes, charged_bytes, needed_bytes } => {
            record(out, stamp, kind, |base, _| et_memory_pressure_alert {
                base,
                limit_bytes: *limit_bytes,
                charged_bytes: *charged_bytes,
                needed_bytes: *needed_bytes,
            });
        }
    }
}

fn pack_connection(out: &mut Vec<u8>, stamp: Stamp, kind: &Kind, alert: &Alert) {
    match alert {
        Alert::PeerConnect { endpoint, peer_id, outgoing, socket_type } => {
            record(out, stamp, kind, |base, _| et_peer_connect_alert {
                base,
                endpoint: endpoint.into(),
                peer_id: *peer_id,
                direction: if *outgoing { DIRECTION_OUT } else { DIRECTION_IN },
                socket_type: *socket_type as i32,
                reserved: 0,
            });
        }
        Alert::PeerDisconnected { endpoint, peer_id, socket_type, operation, reason, error } => {
            record(out, stamp, kind, |base, s| et_peer_disconnected_alert {
                base,
                endpoint: endpoint.into(),
                peer_id: *peer_id,
                socket_type: *socket_type as i32,
                operation: *operation as i32,
                reason: *reason as i32,
                error: s.optional_error(error.as_ref()),
            });
        }
        _ => {}
    }
}

fn pack_tracker(out: &mut Vec<u8>, stamp: Stamp, kind: &Kind, alert: &Alert) {
    match alert {
        Alert::TrackerAnnounce { url, event } => record(out, stamp, kind, |base, s| et_tracker_announce_alert {
            base,
            url: s.text(url),
            event: *event as i32,
            reserved: 0,
        }),
        Alert::TrackerReply { url, num_peers } => record(out, stamp, kind, |base, s| et_tracker_reply_alert {
            base,
            url: s.text(url),
            num_peers: *num_peers,
            reserved: 0,
        }),
        Alert::TrackerWarning { url, message } => record(out, stamp, kind, |base, s| et_tracker_warning_alert {
            base,
            url: s.text(url),
            message: s.text(message),
        }),
        Alert::TrackerError { url, times_in_row, error, failure_reason } => {
            record(out, stamp, kind, |base, s| et_tracker_error_alert {
                base,
                url: s.text(url),
                times_in_row: *times_in_row,
                reserved: 0,
                error: s.error(error),
                failure_reason: s.text(failure_reason),
            });
        }
        _ => {}
    }
}

fn pack_listen(out: &mut Vec<u8>, stamp: Stamp, kind: &Kind, alert: &Alert) {
    match alert {
        Alert::ListenSucceeded { address, port, socket_type } => {
            record(out, stamp, kind, |base, _| et_listen_succeeded_alert {
                base,
                endpoint: (&SocketAddr::new(*address, *port)).into(),
                socket_type: *socket_type as i32,
                reserved: 0,
            });
        }
        Alert::ListenFailed { interface, address, port, socket_type, error } => {
            let nowhere = et_endpoint { port: *port, ..et_endpoint::default() };
            record(out, stamp, kind, |base, s| et_listen_failed_alert {
                base,
                endpoint: address.map_or(nowhere, |a| (&SocketAddr::new(a, *port)).into()),
                socket_type: *socket_type as i32,
                reserved: 0,
                interface_name: s.text(interface),
                error: s.error(error),
            });
        }
        _ => {}
    }
}

fn pack_reader(out: &mut Vec<u8>, stamp: Stamp, kind: &Kind, alert: &Alert) {
    match *alert {
        Alert::ReaderReady { reader, file, offset } => record(out, stamp, kind, |base, _| et_reader_ready_alert {
            base,
            reader,
            offset,
            file: index(file),
            reserved: 0,
        }),
        Alert::ReaderStalled { reader, file, offset, piece } => {
            record(out, stamp, kind, |base, _| et_reader_stalled_alert {
                base,
                reader,
                offset,
                file: index(file),
                piece: index(piece),
            });
        }
        Alert::PrebufferProgress { reader, file, bytes_done, bytes_total } => {
            record(out, stamp, kind, |base, _| et_prebuffer_progress_alert {
                base,
                reader,
                bytes_done,
                bytes_total,
                file: index(file),
                reserved: 0,
            });
        }
        _ => {}
    }
}

/// Appends the record that tells what was dropped: counts by type.
pub fn pack_dropped(out: &mut Vec<u8>, stamp: Stamp, counts: &[(u32, u32)]) {
    record(out, stamp, &kind::ALERTS_DROPPED, |base, s| {
        let counts_offset = s.offset();
        for &(r#type, count) in counts {
            s.out.extend_from_slice(et_dropped_count { r#type, count }.as_bytes());
        }
        et_alerts_dropped_alert {
            base,
            total: counts.iter().map(|c| u64::from(c.1)).sum(),
            counts_offset,
            counts_len: u32::try_from(counts.len()).unwrap_or(0),
        }
    });
}

fn index(i: u32) -> i32 {
    i32::try_from(i).unwrap_or(-1)
}

impl From<&InfoHashes> for et_info_hashes {
    fn from(hashes: &InfoHashes) -> Self {
        Self {
            has: if hashes.v1.is_some() { HAS_V1 } else { 0 } | if hashes.v2.is_some() { HAS_V2 } else { 0 },
            v1: hashes.v1.map_or([0; 20], |h| h.0),
            v2: hashes.v2.map_or([0; 32], |h| h.0),
        }
    }
}

impl From<&SocketAddr> for et_endpoint {
    fn from(addr: &SocketAddr) -> Self {
        let mut address = [0; 16];
        if is_of_name(addr.ip()) {
            return Self { address, family: 0, port: addr.port(), scope: 0 };
        }
        let (family, scope) = match addr {
            SocketAddr::V4(v4) => {
                address[..4].copy_from_slice(&v4.ip().octets());
                (4, 0)
            }
            SocketAddr::V6(v6) => {
                address = v6.ip().octets();
                (6, v6.scope_id())
            }
        };
        Self { address, family, port: addr.port(), scope }
    }
}

impl et_endpoint {
    /// The address, where there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        let [a, b, c, d, ..] = self.address;
        match self.family {
            4 => Some(SocketAddr::new(IpAddr::from([a, b, c, d]), self.port)),
            6 => Some(SocketAddrV6::new(Ipv6Addr::from(self.address), self.port, 0, self.scope).into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromBytes;

    use super::*;
    use crate::alert::{CloseReason, SocketType};
    use crate::base::error::{Operation, Status};
    use crate::metainfo::info_hash::Sha1Hash;

    const STAMP: Stamp = Stamp { sequence: 7, timestamp_us: 1234, torrent: 99 };

    fn text(record: &[u8], text: et_text) -> &str {
        let start = text.offset as usize;
        std::str::from_utf8(&record[start..start + text.length as usize]).expect("UTF-8")
    }

    #[test]
    fn fixed_part_then_strings_then_zeros() {
        let mut out = Vec::new();
        let alert = Alert::AddTorrent {
            info_hashes: InfoHashes::v1(Sha1Hash([3; 20])),
            name: "näme".into(),
            error: Some(Error::new(Status::Io, "gone").with_operation(Operation::FileOpen)),
        };
        pack(&mut out, STAMP, &alert);
        let (fixed, rest) = et_add_torrent_alert::read_from_prefix(&out).expect("long enough");
        assert_eq!((fixed.base.size as usize, fixed.base.r#type), (out.len(), 67));
        assert_eq!((fixed.base.sequence, fixed.base.timestamp_us, fixed.base.torrent), (7, 1234, 99));
        assert_eq!((fixed.info_hashes.has, fixed.info_hashes.v1), (HAS_V1, [3; 20]));
        assert_eq!((text(&out, fixed.name), text(&out, fixed.error.message)), ("näme", "gone"));
        assert_eq!((fixed.error.status, fixed.error.operation), (50, 30));
        assert_eq!(out.len() % 8, 0);
        assert_eq!(rest[9..], [0; 7]);
    }

    #[test]
    fn records_follow_each_other() {
        let mut out = Vec::new();
        let peer: SocketAddr = "[fe80::1%3]:6881".parse().expect("an address");
        pack(&mut out, STAMP, &Alert::TorrentPaused);
        let first = out.len();
        pack(
            &mut out,
            STAMP,
            &Alert::PeerDisconnected {
                endpoint: peer,
                peer_id: [1; 20],
                socket_type: SocketType::Tcp,
                operation: Operation::SockRead,
                reason: CloseReason::Timeout,
                error: None,
            },
        );
        assert_eq!(first, size_of::<et_alert>());
        let (record, _) = et_peer_disconnected_alert::read_from_prefix(&out[first..]).expect("long enough");
        assert_eq!(record.endpoint.address(), Some(peer));
        assert_eq!((record.reason, record.error), (8, et_alert_error::default()));
        assert_eq!(record.base.size as usize, out.len() - first);
    }

    #[test]
    fn long_strings_are_cut_between_characters() {
        let mut out = Vec::new();
        let url = "é".repeat(MAX_TEXT) + "x";
        pack(&mut out, STAMP, &Alert::TrackerReply { url, num_peers: 1 });
        let (record, _) = et_tracker_reply_alert::read_from_prefix(&out).expect("long enough");
        assert_eq!(record.url.length as usize, MAX_TEXT);
        assert!(text(&out, record.url).ends_with('é'));
    }

    #[test]
    fn what_was_dropped() {
        let mut out = Vec::new();
        pack_dropped(&mut out, STAMP, &[(27, 3), (30, 1)]);
        let (record, rest) = et_alerts_dropped_alert::read_from_prefix(&out).expect("long enough");
        assert_eq!((record.total, record.counts_len, record.counts_offset), (4, 2, 56));
        let (first, _) = et_dropped_count::read_from_prefix(rest).expect("long enough");
        assert_eq!((first.r#type, first.count), (27, 3));
    }
}
