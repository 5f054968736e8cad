//! What a session counts.

use super::shared::{Shared, check_open};
use crate::base::error::Result;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// Counters of a whole session. Sizes in bytes, rates in bytes a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionStats {
    pub num_torrents: u32,
    pub num_peers: u32,
    pub num_readers: u32,
    /// Connections being made.
    pub half_open: u32,
    pub dht_nodes: u32,
    /// Since it opened, of the torrents that are gone too; so are the last two.
    pub total_download: u64,
    pub total_upload: u64,
    pub total_payload_download: u64,
    pub total_payload_upload: u64,
    pub download_rate: u32,
    pub upload_rate: u32,
    pub payload_download_rate: u32,
    pub payload_upload_rate: u32,
    pub memory_limit: u64,
    pub memory_charged: u64,
    pub memory_peak: u64,
    pub alerts_posted: u64,
    pub alerts_dropped: u64,
    pub uptime_ms: u64,
    /// Payload of this session, and of those whose state was handed on to it.
    pub all_time_download: u64,
    pub all_time_upload: u64,
    pub hash_failures: u64,
    pub redundant_bytes: u64,
}

impl SessionStats {
    /// Counts all of the session, as it is now.
    pub fn of(session: &Shared) -> Result<Self> {
        check_open(session)?;
        let pool = &session.pool;
        let bytes = |blocks: u64| blocks * u64::from(BLOCK_SIZE);
        let (memory_limit, memory_peak) = pool.limit_and_peak();
        let (alerts_posted, alerts_dropped) = session.alerts.totals();
        let mut stats = Self {
            memory_limit: bytes(memory_limit),
            memory_charged: bytes(pool.charged()),
            memory_peak: bytes(memory_peak),
            alerts_posted,
            alerts_dropped,
            uptime_ms: session.now().since(Time::BEGINNING).as_millis() as u64,
            dht_nodes: session.dht.lock().running().map_or(0, |dht| dht.node_count() as u32),
            ..Self::default()
        };
        let totals = session.totals.lock();
        let mut traffic = totals.left_behind();
        for driver in session.drivers() {
            let counted = driver.look(|core, now| (core.status(now), core.num_dialling(), core.traffic()));
            let Ok((s, half_open, its)) = counted else { continue };
            stats.num_torrents += 1;
            stats.num_peers += s.num_peers;
            stats.num_readers += s.num_readers;
            stats.half_open += half_open as u32;
            stats.download_rate = stats.download_rate.saturating_add(s.download_rate);
            stats.upload_rate = stats.upload_rate.saturating_add(s.upload_rate);
            stats.payload_download_rate = stats.payload_download_rate.saturating_add(s.download_payload_rate);
            stats.payload_upload_rate = stats.payload_upload_rate.saturating_add(s.upload_payload_rate);
            traffic += its;
        }
        // A session that closed meanwhile has lost torrents that nobody counted.
        check_open(session)?;
        stats.total_download = traffic.download;
        stats.total_upload = traffic.upload;
        stats.total_payload_download = traffic.payload_download;
        stats.total_payload_upload = traffic.payload_upload;
        stats.all_time_download = totals.before().download.saturating_add(traffic.payload_download);
        stats.all_time_upload = totals.before().upload.saturating_add(traffic.payload_upload);
        stats.hash_failures = traffic.hash_failures;
        stats.redundant_bytes = traffic.redundant_bytes;
        Ok(stats)
    }
}
