//! A torrent's peers.

use std::ffi::{c_char, c_void};
use std::net::IpAddr;

use zerocopy::{Immutable, IntoBytes};

use super::bytes::text_in;
use super::constants::{et_peer_flags, et_peer_source};
use super::endpoint;
use super::error::{et_error, et_status};
use super::guard::guard;
use super::record::Records;
use super::session::et_session;
use super::torrent::torrent_of;
use crate::alert::record::{et_endpoint, et_storage_index, et_text};
use crate::alert::types::{et_piece_index, et_socket_type};
use crate::base::error::{Error, Result};
use crate::session::PeerInfo;

/// A connection of a torrent: a record of `et_torrent_peers`.
#[repr(C)]
#[derive(Debug, Clone, Copy, IntoBytes, Immutable)]
pub struct et_peer_info {
    /// Bytes of the whole record.
    pub size: u32,
    /// `ET_PEER_*` bits.
    pub flags: et_peer_flags,
    /// `ET_PEER_SOURCE_*` bits.
    pub source: et_peer_source,
    /// Of all pieces, parts per million that it has.
    pub progress_ppm: u32,
    pub endpoint: et_endpoint,
    pub peer_id: [u8; 20],
    /// Pieces that it has.
    pub num_pieces: u32,
    /// Bytes a second, protocol and payload, as an average that forgets within seconds.
    pub down_speed: u32,
    pub up_speed: u32,
    /// Bytes a second of pieces alone.
    pub payload_down_speed: u32,
    pub payload_up_speed: u32,
    /// Bytes of payload since it connected.
    pub total_download: u64,
    pub total_upload: u64,
    /// Requests of ours that it has not answered, and how many there should be.
    pub download_queue_length: u32,
    pub target_dl_queue_length: u32,
    /// Requests of its that wait for their turn: not those whose block is being read for it or on its way.
    pub upload_queue_length: u32,
    /// Bytes that our unanswered requests will bring.
    pub queue_bytes: u32,
    /// Milliseconds from a request to its block, 0: unknown.
    pub rtt_ms: u32,
    /// Pieces that came in wrong and that it had a part in.
    pub num_hashfails: u32,
    /// Milliseconds since it last sent anything, and since we last asked it for something.
    pub last_active_ms: u64,
    pub last_request_ms: u64,
    /// The piece and the block of it that is coming in now, -1: none.
    pub downloading_piece: et_piece_index,
    pub downloading_block: i32,
    /// Bytes of that block that are in, and that it has.
    pub downloading_progress: u32,
    pub downloading_total: u32,
    /// Its name and version for itself.
    pub client: et_text,
    /// What the connection runs over, a proxy among that: `ET_SOCKET_*`.
    pub socket_type: et_socket_type,
    pub reserved: u32,
    /// The host's name by which it is dialled, at the proxy; empty where it is known by its address. `endpoint` has no address then.
    pub host: et_text,
}

/// Gives a torrent's connections as records: `et_peer_info`, walked with `et_record_next`, in no order.
///
/// buf: aligned to 8 bytes. cap, len: bytes; there may be more by the next call. Errors: `ET_ERR_BUFFER_TOO_SMALL`.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_peers(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || peers(&torrent_of(session, torrent)?.peers()?).give(buf, cap, len)) }
}

fn peers(peers: &[PeerInfo]) -> Records {
    let mut records = Records::default();
    for p in peers {
        records.push(|s| et_peer_info {
            size: 0,
            flags: p.flags.bits(),
            source: p.source.bits(),
            progress_ppm: p.progress_ppm,
            endpoint: (&p.endpoint).into(),
            peer_id: p.peer_id,
            num_pieces: p.num_pieces,
            down_speed: p.down_speed,
            up_speed: p.up_speed,
            payload_down_speed: p.payload_down_speed,
            payload_up_speed: p.payload_up_speed,
            total_download: p.total_download,
            total_upload: p.total_upload,
            download_queue_length: p.download_queue_length,
            target_dl_queue_length: p.target_dl_queue_length,
            upload_queue_length: p.upload_queue_length,
            queue_bytes: p.queue_bytes,
            rtt_ms: p.rtt_ms,
            num_hashfails: p.num_hashfails,
            last_active_ms: p.last_active_ms,
            last_request_ms: p.last_request_ms,
            downloading_piece: p.downloading_piece,
            downloading_block: p.downloading_block,
            downloading_progress: p.downloading_progress,
            downloading_total: p.downloading_total,
            client: s.text(&p.client),
            socket_type: p.socket_type as i32,
            reserved: 0,
            host: s.text(&p.host),
        });
    }
    records
}

/// Dials a peer: "192.0.2.1:6881", "[2001:db8::1]:6881". It goes before all others that are known, the one named last first.
///
/// What becomes of it is told: by `et_peer_connect_alert`, or, where the dial failed or is not allowed, the peer was refused, banned
/// meanwhile or answered for another torrent, by `et_peer_disconnected_alert` with the reason and the error, and `peer_id` all zero.
/// Nothing is told of a peer that is connected already. A paused torrent dials when it is resumed. A dial that failed is tried again by
/// itself, without a word.
/// Errors: `ET_ERR_INVALID_ARGUMENT` for what is no address with a port. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_connect_peer(
    session: *mut et_session,
    torrent: et_storage_index,
    address: *const c_char,
    address_len: usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let torrent = torrent_of(session, torrent)?;
            torrent.connect_peer(endpoint::parse(text_in(address, address_len, "address")?, "address")?)
        })
    }
}

/// Bans an address from a torrent: its connections end, and no new ones are made or let in. "192.0.2.1", "2001:db8::1".
///
/// Errors: `ET_ERR_INVALID_ARGUMENT` for what is no address. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_ban_peer(
    session: *mut et_session,
    torrent: et_storage_index,
    address: *const c_char,
    address_len: usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let torrent = torrent_of(session, torrent)?;
            torrent.ban_peer(ip(text_in(address, address_len, "address")?)?)
        })
    }
}

fn ip(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| Error::invalid(format!("address is {text:?}, allowed is an IPv4 or IPv6 address")))
}
