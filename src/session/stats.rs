//! What a session counts.

use super::state::SavedCounters;
use super::{Session, check_open};
use crate::base::error::Result;
use crate::base::time::Time;
use crate::engine::bandwidth::rate::Traffic;
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

/// What counts beyond the torrents that are there: those that left, and the sessions before this one. Held while a torrent leaves
/// and while all are counted, so that no count ever falls. It is taken before any other lock.
#[derive(Debug, Default)]
pub struct Census {
    left: Traffic,
    before: SavedCounters,
}

impl Census {
    /// What the sessions before this one counted.
    pub fn begin(&mut self, before: SavedCounters) {
        self.before = before;
    }

    /// A torrent left the session.
    pub fn left(&mut self, traffic: Traffic) {
        self.left += traffic;
    }
}

impl Session {
    pub fn stats(&self) -> Result<SessionStats> {
        check_open(&self.shared)?;
        let pool = &self.shared.pool;
        let bytes = |blocks: u64| blocks * u64::from(BLOCK_SIZE);
        let (memory_limit, memory_peak) = pool.limit_and_peak();
        let (alerts_posted, alerts_dropped) = self.shared.alerts.totals();
        let mut stats = SessionStats {
            memory_limit: bytes(memory_limit),
            memory_charged: bytes(pool.charged()),
            memory_peak: bytes(memory_peak),
            alerts_posted,
            alerts_dropped,
            uptime_ms: self.shared.now().since(Time::BEGINNING).as_millis() as u64,
            dht_nodes: self.shared.dht.lock().as_ref().map_or(0, |d| d.node_count() as u32),
            ..SessionStats::default()
        };
        let census = self.shared.census.lock();
        let mut traffic = census.left;
        for driver in self.shared.drivers() {
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
        check_open(&self.shared)?;
        stats.total_download = traffic.download;
        stats.total_upload = traffic.upload;
        stats.total_payload_download = traffic.payload_download;
        stats.total_payload_upload = traffic.payload_upload;
        stats.all_time_download = census.before.download.saturating_add(traffic.payload_download);
        stats.all_time_upload = census.before.upload.saturating_add(traffic.payload_upload);
        stats.hash_failures = traffic.hash_failures;
        stats.redundant_bytes = traffic.redundant_bytes;
        Ok(stats)
    }
}
