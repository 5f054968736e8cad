//! `et_torrent_status`, for one torrent and for all.

use super::constants::{ET_STORAGE_DISK, ET_STORAGE_MEMORY, et_storage_kind, et_torrent_flags};
use super::error::{ET_OK, et_error, et_status};
use super::guard::guard;
use super::session::{et_session, session_of};
use super::sized::{CStruct, OutStruct, write_array};
use super::torrent::torrent_of;
use crate::alert::record::{et_info_hashes, et_storage_index};
use crate::alert::types::{et_operation, et_torrent_state};
use crate::session::{StorageIndex, StorageKind, TorrentStatus};

/// A torrent at one moment; see `et_torrent_status`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_torrent_status_info {
    /// `sizeof(et_torrent_status_info)`.
    pub struct_size: usize,
    pub torrent: et_storage_index,
    /// `ET_TORRENT_FLAG_*` bits.
    pub flags: et_torrent_flags,
    /// `ET_TORRENT_STATE_*`.
    pub state: et_torrent_state,
    /// `ET_STORAGE_MEMORY` or `ET_STORAGE_DISK`.
    pub storage: et_storage_kind,
    /// What stopped it, `ET_OK` where nothing did; `et_torrent_error` tells more.
    pub error: et_status,
    pub error_os: i32,
    pub error_operation: et_operation,
    /// Of what is wanted, parts per million. In memory storage what is wanted moves with the readers, and this with it.
    pub progress_ppm: u32,
    /// The next seven are 1 or 0. Paused by itself or with its session.
    pub paused: u32,
    pub has_metadata: u32,
    /// Everything is there.
    pub is_seeding: u32,
    /// All that is wanted is there.
    pub is_finished: u32,
    pub announcing_to_trackers: u32,
    pub announcing_to_dht: u32,
    /// A peer has come to us by itself since the torrent was added: the port is reachable. It may be gone again.
    pub has_incoming: u32,
    pub num_readers: u32,
    pub info_hashes: et_info_hashes,
    /// Bytes of all files.
    pub total: u64,
    /// Bytes of verified pieces that are there now.
    pub total_done: u64,
    pub total_wanted: u64,
    pub total_wanted_done: u64,
    /// Bytes since it was added to this session, protocol and payload.
    pub total_download: u64,
    pub total_upload: u64,
    /// Bytes of pieces alone.
    pub total_payload_download: u64,
    pub total_payload_upload: u64,
    /// Bytes of pieces that came in wrong.
    pub total_failed_bytes: u64,
    /// Bytes that came in although they were there already.
    pub total_redundant_bytes: u64,
    /// Bytes of payload over all sessions that are known of. This version keeps nothing of a torrent from one session to the next: they
    /// are what `total_payload_download` and `total_payload_upload` are.
    pub all_time_download: u64,
    pub all_time_upload: u64,
    /// Bytes a second, as an average that forgets within seconds: a change, a new limit too, shows after one to three.
    pub download_rate: u32,
    pub upload_rate: u32,
    pub download_payload_rate: u32,
    pub upload_payload_rate: u32,
    /// Peers whose handshake is done; those of them that have everything.
    pub num_peers: u32,
    pub num_seeds: u32,
    /// Peers and dials under way.
    pub num_connections: u32,
    /// Peers that we upload to.
    pub num_uploads: u32,
    /// Peers that are known of, seeds among them, and those that may be dialled.
    pub list_peers: u32,
    pub list_seeds: u32,
    pub connect_candidates: u32,
    /// Seeds and others as the trackers count them, -1: unknown.
    pub num_complete: i32,
    pub num_incomplete: i32,
    /// Pieces that are there, and that there are.
    pub num_pieces: u32,
    pub pieces_total: u32,
    /// Bytes.
    pub piece_length: u32,
    pub block_size: u32,
    /// Bytes a second, 0: no limit of its own.
    pub download_limit: u32,
    pub upload_limit: u32,
    /// Its own limits of peers and of peers to upload to, 0: as the settings say.
    pub max_connections: u32,
    pub max_uploads: u32,
    /// 0.
    pub reserved: u32,
    /// Milliseconds until trackers are told again, -1: not planned.
    pub next_announce_ms: i64,
    /// Unix time in seconds, 0: never.
    pub added_time: i64,
    pub completed_time: i64,
    /// Seconds not paused; with all that is wanted; with everything.
    pub active_duration: u64,
    pub finished_duration: u64,
    pub seeding_duration: u64,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_torrent_status_info {}

impl et_torrent_status_info {
    fn of(torrent: StorageIndex, s: &TorrentStatus) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            torrent: torrent.0,
            flags: s.flags.bits(),
            state: s.state as et_torrent_state,
            storage: match s.storage {
                StorageKind::Memory => ET_STORAGE_MEMORY,
                StorageKind::Disk => ET_STORAGE_DISK,
            },
            error: s.error.as_ref().map_or(ET_OK, |e| e.status as et_status),
            error_os: s.error.as_ref().map_or(0, |e| e.os_error),
            error_operation: s.error.as_ref().map_or(0, |e| e.operation as et_operation),
            progress_ppm: s.progress_ppm,
            paused: s.paused.into(),
            has_metadata: s.has_metadata.into(),
            is_seeding: s.is_seeding.into(),
            is_finished: s.is_finished.into(),
            announcing_to_trackers: s.announcing_to_trackers.into(),
            announcing_to_dht: s.announcing_to_dht.into(),
            has_incoming: s.has_incoming.into(),
            num_readers: s.num_readers,
            info_hashes: (&s.info_hashes).into(),
            total: s.total,
            total_done: s.total_done,
            total_wanted: s.total_wanted,
            total_wanted_done: s.total_wanted_done,
            total_download: s.total_download,
            total_upload: s.total_upload,
            total_payload_download: s.total_payload_download,
            total_payload_upload: s.total_payload_upload,
            total_failed_bytes: s.total_failed_bytes,
            total_redundant_bytes: s.total_redundant_bytes,
            all_time_download: s.all_time_download,
            all_time_upload: s.all_time_upload,
            download_rate: s.download_rate,
            upload_rate: s.upload_rate,
            download_payload_rate: s.download_payload_rate,
            upload_payload_rate: s.upload_payload_rate,
            num_peers: s.num_peers,
            num_seeds: s.num_seeds,
            num_connections: s.num_connections,
            num_uploads: s.num_uploads,
            list_peers: s.list_peers,
            list_seeds: s.list_seeds,
            connect_candidates: s.connect_candidates,
            num_complete: s.num_complete,
            num_incomplete: s.num_incomplete,
            num_pieces: s.num_pieces,
            pieces_total: s.pieces_total,
            piece_length: s.piece_length,
            block_size: s.block_size,
            download_limit: s.download_limit,
            upload_limit: s.upload_limit,
            max_connections: s.max_connections,
            max_uploads: s.max_uploads,
            reserved: 0,
            next_announce_ms: s.next_announce_ms,
            added_time: s.added_time,
            completed_time: s.completed_time,
            active_duration: s.active_duration,
            finished_duration: s.finished_duration,
            seeding_duration: s.seeding_duration,
        }
    }
}

/// Gives a torrent's state, progress, rates and counts. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_status(
    session: *mut et_session,
    torrent: et_storage_index,
    out_status: *mut et_torrent_status_info,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_status, "out_status")?;
            let status = torrent_of(session, torrent)?.status()?;
            out.write(&et_torrent_status_info::of(StorageIndex(torrent), &status));
            Ok(())
        })
    }
}

/// Gives the status of all torrents in one call, in the order they were added.
///
/// items: an array of `cap` structs; item_size: `sizeof(et_torrent_status_info)`, which the library writes to each one's
/// `struct_size`. len: structs. Errors: `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_statuses(
    session: *mut et_session,
    items: *mut et_torrent_status_info,
    item_size: usize,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let statuses = session_of(session)?.statuses()?;
            let statuses: Vec<_> = statuses.iter().map(|(i, s)| et_torrent_status_info::of(*i, s)).collect();
            write_array(items, item_size, cap, len, &statuses)
        })
    }
}
