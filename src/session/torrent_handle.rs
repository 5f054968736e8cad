//! One torrent of a session, as callers see it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::driver::Driver;
use crate::base::error::{Error, Result, Status};
use crate::base::out_buffer::OutBuffer;
use crate::engine::cache::stats::{LookbehindStats, StorageStats};
use crate::engine::config::TorrentFlags;
use crate::engine::readers::ReadOutcome;
use crate::engine::status::{PartialPiece, PeerInfo, TorrentStatus};
use crate::engine::trackers::TrackerStatus;
use crate::metainfo::{Info, TorrentFile};

/// A handle to a torrent. Each call checks that the torrent is still there.
#[derive(Debug, Clone)]
pub struct TorrentHandle {
    driver: Arc<Driver>,
}

impl TorrentHandle {
    pub(super) fn new(driver: Arc<Driver>) -> Self {
        Self { driver }
    }

    pub fn status(&self) -> Result<TorrentStatus> {
        let mut status = self.driver.look(|core, now| core.status(now))?;
        status.save_path = self.driver.save_path.to_string_lossy().into_owned();
        status.download_limit = self.driver.download_limit.rate();
        status.upload_limit = self.driver.upload_limit.rate();
        Ok(status)
    }

    /// Waits until the metadata is there. None: as long as it takes. [`Status::TimedOut`] when the time is over; with the torrent's
    /// own error where one stops it.
    pub fn wait_metadata(&self, timeout: Option<Duration>) -> Result<()> {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        loop {
            let (there, error) = self.driver.look(|core, _| (core.info().is_some(), core.error().cloned()))?;
            if there {
                return Ok(());
            }
            if let Some(error) = error {
                return Err(error);
            }
            if timeout.is_some_and(|t| t.is_zero()) {
                return Err(Error::new(Status::WouldBlock, "the metadata is not here yet"));
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Err(Error::new(Status::TimedOut, "the metadata did not come in time"));
            }
            self.driver.wait_readable(deadline, |core| core.info().is_some() || core.error().is_some());
        }
    }

    pub fn info(&self) -> Result<Arc<Info>> {
        self.driver.look(|core, _| core.info().cloned())?.ok_or_else(no_metadata)
    }

    /// A torrent file of it: the info dictionary byte for byte, the trackers of now, and all else as it stood in the file
    /// that was given.
    pub fn metainfo(&self) -> Result<Vec<u8>> {
        let (info, trackers, web_seeds) =
            self.driver.look(|core, _| (core.info().cloned(), core.trackers().tiers(), core.web_seeds().to_vec()))?;
        let info = info.ok_or_else(no_metadata)?;
        let origin = self.driver.origin.lock().clone();
        let mut file = origin.map_or_else(|| TorrentFile::new(info.as_ref().clone()), |origin| origin.as_ref().clone());
        file.trackers = trackers;
        file.web_seeds = web_seeds;
        Ok(file.encode())
    }

    pub fn pause(&self) -> Result<()> {
        self.driver.command(|core, now| core.pause(now))
    }

    pub fn resume(&self) -> Result<()> {
        self.driver.command(|core, now| core.resume(now))
    }

    pub fn force_recheck(&self) -> Result<()> {
        self.driver.command(|core, now| core.force_recheck(now))?
    }

    pub fn force_reannounce(&self) -> Result<()> {
        self.driver.command(|core, now| {
            core.trackers_mut().force_reannounce(now, true);
            core.handle_timeout(now);
        })
    }

    pub fn force_dht_announce(&self) -> Result<()> {
        self.driver.check()?;
        self.driver.dht.stop();
        self.driver.look_at_time();
        Ok(())
    }

    pub fn set_flags(&self, flags: TorrentFlags) -> Result<()> {
        self.driver.command(|core, now| core.set_flags(now, flags, true))
    }

    pub fn unset_flags(&self, flags: TorrentFlags) -> Result<()> {
        self.driver.command(|core, now| core.set_flags(now, flags, false))
    }

    pub fn piece_priorities(&self) -> Result<Vec<u8>> {
        self.driver.look(|core, _| core.piece_priorities())?
    }

    pub fn prioritize_pieces(&self, priorities: &[u8]) -> Result<()> {
        self.driver.command(|core, now| core.prioritize_pieces(now, priorities))?
    }

    pub fn set_piece_priority(&self, piece: i64, priority: i64) -> Result<()> {
        self.driver.command(|core, now| core.set_piece_priority(now, piece, priority))?
    }

    pub fn file_priorities(&self) -> Result<Vec<u8>> {
        self.driver.look(|core, _| core.file_priorities())?
    }

    pub fn prioritize_files(&self, priorities: &[u8]) -> Result<()> {
        self.driver.command(|core, now| core.prioritize_files(now, priorities))?
    }

    pub fn set_file_priority(&self, file: i64, priority: i64) -> Result<()> {
        self.driver.command(|core, now| core.set_file_priority(now, file, priority))?
    }

    pub fn set_piece_deadline(&self, piece: i64, deadline_ms: i64) -> Result<()> {
        self.driver.command(|core, now| core.set_piece_deadline(now, piece, deadline_ms))?
    }

    pub fn reset_piece_deadline(&self, piece: i64) -> Result<()> {
        self.driver.command(|core, now| core.reset_piece_deadline(now, piece))?
    }

    pub fn clear_piece_deadlines(&self) -> Result<()> {
        self.driver.command(|core, now| core.clear_piece_deadlines(now))
    }

    /// How many pieces there are, and those that we have: bits, most significant first.
    pub fn pieces(&self) -> Result<(u32, Vec<u8>)> {
        self.driver.look(|core, _| core.pieces())?
    }

    pub fn piece_availability(&self) -> Result<Vec<u32>> {
        self.driver.look(|core, _| core.piece_availability())?
    }

    pub fn download_queue(&self) -> Result<Vec<PartialPiece>> {
        self.driver.look(|core, _| core.download_queue())?
    }

    pub fn file_progress(&self) -> Result<Vec<u64>> {
        self.driver.look(|core, _| core.file_progress())?
    }

    pub fn peers(&self) -> Result<Vec<PeerInfo>> {
        let mut peers = self.driver.look(|core, now| core.peers(now))?;
        for peer in &mut peers {
            peer.host = self.driver.named_peers.find(peer.endpoint).map_or_else(String::new, |(host, _)| host);
        }
        Ok(peers)
    }

    pub fn connect_peer(&self, address: SocketAddr) -> Result<()> {
        if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err(Error::invalid(format!("{address} is not the address of a peer")));
        }
        self.driver.command(|core, now| {
            core.connect_peer(now, address);
        })
    }

    pub fn ban_peer(&self, address: IpAddr) -> Result<()> {
        self.driver.command(|core, now| core.ban(now, address))
    }

    pub fn trackers(&self) -> Result<Vec<TrackerStatus>> {
        self.driver.look(|core, now| core.trackers().status(now))
    }

    pub fn add_tracker(&self, url: &str, tier: u32) -> Result<()> {
        check_tracker(url)?;
        self.driver.command(|core, now| {
            core.trackers_mut().add(url, tier)?;
            core.handle_timeout(now);
            Ok(())
        })?
    }

    pub fn replace_trackers(&self, tiers: Vec<Vec<String>>) -> Result<()> {
        tiers.iter().flatten().try_for_each(|url| check_tracker(url))?;
        self.driver.command(|core, now| core.replace_trackers(now, &tiers))
    }

    pub fn web_seeds(&self) -> Result<Vec<String>> {
        self.driver.look(|core, _| core.web_seeds().to_vec())
    }

    /// Bytes a second (0: unlimited), connections and unchoked peers (0: as the settings say). None: unchanged.
    pub fn set_limits(
        &self,
        download: Option<u32>,
        upload: Option<u32>,
        max_connections: Option<u32>,
        max_uploads: Option<u32>,
    ) -> Result<()> {
        self.driver.check()?;
        if let Some(rate) = download {
            self.driver.download_limit.set_rate(rate);
        }
        if let Some(rate) = upload {
            self.driver.upload_limit.set_rate(rate);
        }
        self.driver.command(|core, now| {
            self.driver.tell_limit(core);
            core.set_limits(now, max_connections, max_uploads);
        })
    }

    pub fn storage_stats(&self) -> Result<StorageStats> {
        self.driver.look(|core, _| core.storage_stats())
    }

    /// Protects these pieces, and no others, from eviction.
    pub fn set_lookbehind(&self, pieces: &[i64]) -> Result<()> {
        self.driver.command(|core, now| core.set_lookbehind(now, pieces))?
    }

    pub fn clear_lookbehind(&self) -> Result<()> {
        self.driver.command(|core, now| core.clear_lookbehind(now))
    }

    pub fn is_lookbehind_available(&self, piece: i64) -> Result<bool> {
        self.driver.command(|core, _| core.is_lookbehind_available(piece))?
    }

    pub fn lookbehind_stats(&self) -> Result<LookbehindStats> {
        self.driver.look(|core, _| core.lookbehind_stats())
    }

    /// Copies bytes of a verified piece, as many as are there, without waiting.
    pub fn read_piece(&self, piece: i64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.read_piece_into(piece, offset, buf)
    }

    /// The same, into memory that may never have been written.
    pub fn read_piece_into<B: OutBuffer + ?Sized>(&self, piece: i64, offset: u64, buf: &mut B) -> Result<usize> {
        let mut done = 0;
        loop {
            let rest = buf.len() - done;
            let at = offset.saturating_add(done as u64);
            let outcome = self.driver.look(|core, _| core.find_in_piece(piece, at, rest))??;
            let n = match outcome {
                ReadOutcome::Wait if done == 0 => {
                    return Err(Error::new(Status::WouldBlock, format!("piece {piece} is not here")));
                }
                ReadOutcome::Wait | ReadOutcome::EndOfFile => 0,
                found => super::reader::copy(&self.driver, found, buf, done, || Ok(()))?,
            };
            done += n;
            if n == 0 || done == buf.len() {
                return Ok(done);
            }
        }
    }
}

/// A tracker that a caller names must be one that can be announced to (a torrent file's others are kept, and not used).
pub(super) fn check_tracker(url: &str) -> Result<()> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    if ["http", "https", "udp"].contains(&scheme.as_str()) {
        return Ok(());
    }
    Err(Error::invalid("a tracker's URL begins with http://, https:// or udp://"))
}

fn no_metadata() -> Error {
    Error::new(Status::NoMetadata, "the metadata is not here yet")
}
