//! What a torrent is made from.

use crate::settings::Settings;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::metainfo::{Info, InfoHashes};

bitflags::bitflags! {
    /// libtorrent's `torrent_flags_t`, those that mean something here.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct TorrentFlags: u64 {
        const UPLOAD_MODE = 1 << 1;
        const PAUSED = 1 << 4;
        const DUPLICATE_IS_ERROR = 1 << 6;
        const SEQUENTIAL_DOWNLOAD = 1 << 9;
        const DISABLE_DHT = 1 << 19;
        const DISABLE_PEX = 1 << 21;
        const DEFAULT_DONT_DOWNLOAD = 1 << 23;
    }
}

/// Where a torrent's pieces live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StorageKind {
    #[default]
    Memory,
    Disk,
}

/// What a torrent is made from.
#[derive(Debug)]
pub struct TorrentConfig {
    pub info_hashes: InfoHashes,
    /// A name to show until the metadata tells.
    pub name: String,
    pub info: Option<Arc<Info>>,
    pub trackers: Vec<Vec<String>>,
    pub web_seeds: Vec<String>,
    pub storage: StorageKind,
    pub flags: TorrentFlags,
    pub file_priorities: Vec<u8>,
    /// Where `file_priorities` is empty: the only files wanted, by index, as a magnet's `so` names them. Ranges until the
    /// metadata tells how many files there are, since a link may name any number. Empty: nothing was said.
    pub selected_files: Vec<RangeInclusive<u32>>,
    pub piece_priorities: Vec<u8>,
    /// Connections at most, 0: as the settings say.
    pub max_connections: u32,
    /// Peers unchoked at most, 0: as the settings say.
    pub max_uploads: u32,
    pub peer_id: [u8; 20],
    pub listen_port: u16,
    /// So many pieces at once are hashed in less time than one after the other; 1: it makes no difference.
    pub hash_lanes: usize,
    /// Unix seconds.
    pub added_time: i64,
}

impl TorrentConfig {
    /// A torrent kept in memory, and nothing more said of it.
    pub fn of(info: &Arc<Info>) -> Self {
        Self {
            info_hashes: info.info_hashes,
            name: String::new(),
            info: Some(info.clone()),
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            storage: StorageKind::Memory,
            flags: TorrentFlags::default(),
            file_priorities: Vec::new(),
            selected_files: Vec::new(),
            piece_priorities: Vec::new(),
            max_connections: 0,
            max_uploads: 0,
            peer_id: [0; 20],
            listen_port: 0,
            hash_lanes: 4,
            added_time: 0,
        }
    }
}

/// What a torrent was made from, as it stands now, and the settings.
#[derive(Debug)]
pub(in crate::engine) struct Config {
    pub(in crate::engine) settings: Arc<Settings>,
    pub(in crate::engine) info_hashes: InfoHashes,
    pub(in crate::engine) name: String,
    pub(in crate::engine) storage: StorageKind,
    pub(in crate::engine) flags: TorrentFlags,
    pub(in crate::engine) max_connections: u32,
    pub(in crate::engine) max_uploads: u32,
    pub(in crate::engine) peer_id: [u8; 20],
    pub(in crate::engine) listen_port: u16,
    pub(in crate::engine) added_time: i64,
    pub(in crate::engine) completed_time: i64,
    pub(in crate::engine) web_seeds: Vec<String>,
    /// What is wanted, until the metadata tells what there is.
    pub(in crate::engine) file_priorities: Vec<u8>,
    pub(in crate::engine) selected_files: Vec<RangeInclusive<u32>>,
    pub(in crate::engine) piece_priorities: Vec<u8>,
}

impl Config {
    /// Connections of the torrent at most.
    pub(in crate::engine) fn connection_limit(&self) -> usize {
        let own = self.max_connections;
        let limit = if own > 0 { i64::from(own) } else { self.settings.max_connections_per_torrent };
        usize::try_from(limit).unwrap_or(0)
    }

    /// Is a piece that we have ours for good?
    pub(in crate::engine) fn keeps_pieces(&self) -> bool {
        self.storage == StorageKind::Disk
    }

    /// The port that others are to dial: `announce_port`, or the one we listen on.
    pub(in crate::engine) fn told_port(&self) -> u16 {
        let announced = u16::try_from(self.settings.announce_port).ok().filter(|port| *port != 0);
        announced.unwrap_or(self.listen_port)
    }
}
