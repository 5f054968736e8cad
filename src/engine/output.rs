//! What a torrent's core wants its shell to do.

use std::net::{IpAddr, SocketAddr};

use super::content::pieces::{HashJob, PeerKey};
use super::swarm::dial::Dial;
use super::trackers::AnnounceJob;
use crate::alert::{Alert, CloseReason};
use crate::memory::pool::Block;
use crate::wire::BlockRequest;

/// A read that the shell carries out on disk storage, for an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRead {
    pub peer: PeerKey,
    pub requests: Vec<BlockRequest>,
}

/// Work for the disk. What comes of it is handed back with its generation.
#[derive(Debug)]
pub enum DiskJob {
    Write { generation: u64, piece: u32, blocks: Vec<Block> },
    Read { generation: u64, read: UploadRead },
}

/// What the shell is to do.
#[derive(Debug, Default)]
pub struct Output {
    pub alerts: Vec<Alert>,
    /// Peers that got something to write (other than the one whose event this was).
    pub wake: Vec<PeerKey>,
    pub close: Vec<(PeerKey, CloseReason)>,
    pub dial: Vec<Dial>,
    pub announces: Vec<AnnounceJob>,
    /// Others wait for their answers than before.
    pub urgency_changed: bool,
    pub hashes: Vec<HashJob>,
    pub disk: Vec<DiskJob>,
    pub dht_nodes: Vec<SocketAddr>,
    /// Who says so, and our address as it sees it.
    pub external_ips: Vec<(IpAddr, IpAddr)>,
    /// Data became readable, or a reader's wait ended otherwise.
    pub readers_changed: bool,
    /// Memory is wanted that other torrents hold: they are to be asked for it, with [`super::Torrent::yield_memory`].
    pub memory_wanted: bool,
    /// Shares changed: other torrents should look at theirs.
    pub shares_changed: bool,
    /// Start the check of what is on disk, of this generation.
    pub check: Option<u64>,
    /// The search in the DHT ends, and begins anew where it may.
    pub search_dht: bool,
}

impl Output {
    /// Appends what came out later. Its alerts were posted by then.
    pub fn append(&mut self, more: Self) {
        self.wake.extend(more.wake);
        self.close.extend(more.close);
        self.dial.extend(more.dial);
        self.announces.extend(more.announces);
        self.urgency_changed |= more.urgency_changed;
        self.hashes.extend(more.hashes);
        self.disk.extend(more.disk);
        self.dht_nodes.extend(more.dht_nodes);
        self.external_ips.extend(more.external_ips);
        self.readers_changed |= more.readers_changed;
        self.memory_wanted |= more.memory_wanted;
        self.shares_changed |= more.shares_changed;
        self.check = more.check.or(self.check);
        self.search_dht |= more.search_dht;
    }
}
