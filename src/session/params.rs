//! How a torrent is added and removed.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::storage_index::StorageIndex;
use crate::engine::config::{StorageKind, TorrentFlags};
use crate::metainfo::{InfoHashes, Magnet, TorrentFile};

/// What a torrent is added from.
#[derive(Debug, Clone)]
pub enum TorrentSource {
    File(TorrentFile),
    Magnet(Magnet),
}

impl TorrentSource {
    /// As far as it is known: a magnet's may be empty.
    pub fn name(&self) -> &str {
        match self {
            Self::File(file) => &file.info.name,
            Self::Magnet(magnet) => magnet.name.as_deref().unwrap_or_default(),
        }
    }

    pub fn info_hashes(&self) -> InfoHashes {
        match self {
            Self::File(file) => file.info.info_hashes,
            Self::Magnet(magnet) => magnet.info_hashes,
        }
    }
}

/// Everything that can be said about a torrent when it is added.
#[derive(Debug, Clone)]
pub struct AddTorrentParams {
    pub source: TorrentSource,
    /// None: as the session's `storage` setting says.
    pub storage: Option<StorageKind>,
    /// Directory of disk storage. None: the current one. Memory storage has none.
    pub save_path: Option<PathBuf>,
    pub flags: TorrentFlags,
    /// A file each, 0..=7; files beyond the list get the default.
    pub file_priorities: Vec<u8>,
    /// A piece each, 0..=7, over what the files' priorities say.
    pub piece_priorities: Vec<u8>,
    /// Besides those of the source, each a tier of its own.
    pub trackers: Vec<String>,
    pub peers: Vec<SocketAddr>,
    /// Bytes a second, 0: unlimited.
    pub download_limit: u32,
    pub upload_limit: u32,
    /// 0: as the settings say.
    pub max_connections: u32,
    pub max_uploads: u32,
}

impl AddTorrentParams {
    pub fn new(source: TorrentSource) -> Self {
        Self {
            source,
            storage: None,
            save_path: None,
            flags: TorrentFlags::empty(),
            file_priorities: Vec::new(),
            piece_priorities: Vec::new(),
            trackers: Vec::new(),
            peers: Vec::new(),
            download_limit: 0,
            upload_limit: 0,
            max_connections: 0,
            max_uploads: 0,
        }
    }
}

/// Why a torrent was not added; where it is there already, its index.
#[derive(Debug, Clone)]
pub struct AddTorrentError {
    pub error: Error,
    pub existing: Option<StorageIndex>,
}

impl From<Error> for AddTorrentError {
    fn from(error: Error) -> Self {
        Self { error, existing: None }
    }
}

bitflags::bitflags! {
    /// libtorrent's `remove_flags_t`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct RemoveFlags: u32 {
        /// Delete what disk storage wrote.
        const DELETE_FILES = 1;
        /// Accepted; there are no part files.
        const DELETE_PARTFILE = 2;
    }
}
