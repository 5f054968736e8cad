//! `et_session_stats`.

use super::error::{et_error, et_status};
use super::guard::guard;
use super::session::{et_session, session_of};
use super::sized::{CStruct, OutStruct};
use crate::session::SessionStats;

/// Counters of a session; see `et_session_stats`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_session_stats_info {
    /// `sizeof(et_session_stats_info)`.
    pub struct_size: usize,
    pub num_torrents: u32,
    /// Peers whose handshake is done.
    pub num_peers: u32,
    pub num_readers: u32,
    /// Dials under way.
    pub half_open: u32,
    pub dht_nodes: u32,
    /// 0.
    pub reserved: u32,
    /// Bytes since the session opened, protocol and payload; torrents that were removed count too. They never fall.
    pub total_download: u64,
    pub total_upload: u64,
    /// Bytes of pieces alone.
    pub total_payload_download: u64,
    pub total_payload_upload: u64,
    /// Bytes a second, as an average that forgets within seconds: a change, a new limit too, shows after one to three.
    pub download_rate: u32,
    pub upload_rate: u32,
    pub payload_download_rate: u32,
    pub payload_upload_rate: u32,
    /// Bytes of payload that may be in memory, that are, and the most that were since the limit was set, that moment included:
    /// more than may be only where the limit was lowered below what was there.
    pub memory_limit: u64,
    pub memory_charged: u64,
    pub memory_peak: u64,
    pub alerts_posted: u64,
    /// Alerts that a full queue had no room for.
    pub alerts_dropped: u64,
    pub uptime_ms: u64,
    /// Pieces that came in wrong since the session opened.
    pub hash_failures: u64,
    /// Bytes that came in although they were there already, since the session opened.
    pub redundant_bytes: u64,
    /// Bytes of payload since the session opened, and before in the sessions whose state (`et_session_save_state`) led to it.
    pub all_time_download: u64,
    pub all_time_upload: u64,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_session_stats_info {}

impl From<SessionStats> for et_session_stats_info {
    fn from(s: SessionStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            num_torrents: s.num_torrents,
            num_peers: s.num_peers,
            num_readers: s.num_readers,
            half_open: s.half_open,
            dht_nodes: s.dht_nodes,
            reserved: 0,
            total_download: s.total_download,
            total_upload: s.total_upload,
            total_payload_download: s.total_payload_download,
            total_payload_upload: s.total_payload_upload,
            download_rate: s.download_rate,
            upload_rate: s.upload_rate,
            payload_download_rate: s.payload_download_rate,
            payload_upload_rate: s.payload_upload_rate,
            memory_limit: s.memory_limit,
            memory_charged: s.memory_charged,
            memory_peak: s.memory_peak,
            alerts_posted: s.alerts_posted,
            alerts_dropped: s.alerts_dropped,
            uptime_ms: s.uptime_ms,
            hash_failures: s.hash_failures,
            redundant_bytes: s.redundant_bytes,
            all_time_download: s.all_time_download,
            all_time_upload: s.all_time_upload,
        }
    }
}

/// Gives the session's counters. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_stats(
    session: *mut et_session,
    out_stats: *mut et_session_stats_info,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_stats, "out_stats")?;
            out.write(&session_of(session)?.stats()?.into());
            Ok(())
        })
    }
}
