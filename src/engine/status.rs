//! What a torrent tells of itself: snapshots, every number true at the moment they are taken.

use std::net::SocketAddr;

use super::cache::stats::{LookbehindStats, StorageStats};
use super::config::{StorageKind, TorrentFlags};
use super::content::pieces::{PeerKey, Stage};
use super::swarm::peer_list::PeerSource;
use super::swarm_events::socket_type;
use super::torrent::Torrent;
use super::traffic::{Counters, Tally};
use crate::alert::{SocketType, TorrentState};
use crate::base::error::{Error, Result};
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;
use crate::metainfo::InfoHashes;
use crate::wire::stream_kind::Encryption;

bitflags::bitflags! {
    /// libtorrent's `peer_flags_t`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct PeerFlags: u32 {
        const INTERESTING = 1;
        const CHOKED = 1 << 1;
        const REMOTE_INTERESTED = 1 << 2;
        const REMOTE_CHOKED = 1 << 3;
        const SUPPORTS_EXTENSIONS = 1 << 4;
        const OUTGOING = 1 << 5;
        const ON_PAROLE = 1 << 9;
        const SEED = 1 << 10;
        const OPTIMISTIC_UNCHOKE = 1 << 11;
        const SNUBBED = 1 << 12;
        const UPLOAD_ONLY = 1 << 13;
        const UTP_SOCKET = 1 << 17;
        const RC4_ENCRYPTED = 1 << 19;
        const PLAINTEXT_ENCRYPTED = 1 << 20;
    }
}

/// A torrent's state and counters. Sizes in bytes, rates in bytes a second.
#[derive(Debug, Clone)]
pub struct TorrentStatus {
    pub state: TorrentState,
    pub flags: TorrentFlags,
    pub paused: bool,
    pub info_hashes: InfoHashes,
    pub has_metadata: bool,
    pub name: String,
    /// Directory of disk storage; empty on memory storage. Filled in by the shell.
    pub save_path: String,
    pub error: Option<Error>,
    pub storage: StorageKind,
    /// Of wanted bytes; of the check, or of the metadata, while that is the state. Parts per million.
    pub progress_ppm: u32,
    pub total: u64,
    pub total_done: u64,
    pub total_wanted: u64,
    pub total_wanted_done: u64,
    pub total_download: u64,
    pub total_upload: u64,
    pub total_payload_download: u64,
    pub total_payload_upload: u64,
    /// Payload over all sessions that the torrent was in.
    pub all_time_download: u64,
    pub all_time_upload: u64,
    pub total_failed_bytes: u64,
    pub total_redundant_bytes: u64,
    pub download_rate: u32,
    pub upload_rate: u32,
    pub download_payload_rate: u32,
    pub upload_payload_rate: u32,
    pub num_peers: u32,
    pub num_seeds: u32,
    /// Connections, and dials under way.
    pub num_connections: u32,
    /// Peers that we let download.
    pub num_uploads: u32,
    pub list_peers: u32,
    pub list_seeds: u32,
    pub connect_candidates: u32,
    /// Seeds and downloaders as a tracker counts them, -1: unknown.
    pub num_complete: i32,
    pub num_incomplete: i32,
    /// Pieces that we have, and that there are.
    pub num_pieces: u32,
    pub pieces_total: u32,
    pub piece_length: u32,
    pub block_size: u32,
    /// Filled in by the shell: bytes a second, 0: unlimited.
    pub download_limit: u32,
    pub upload_limit: u32,
    /// Its own limits, 0: as the settings say.
    pub max_connections: u32,
    pub max_uploads: u32,
    /// Milliseconds until the next tracker announce, -1: none planned.
    pub next_announce_ms: i64,
    pub current_tracker: String,
    pub announcing_to_trackers: bool,
    pub announcing_to_dht: bool,
    pub has_incoming: bool,
    pub is_seeding: bool,
    pub is_finished: bool,
    /// Unix seconds, 0: never.
    pub added_time: i64,
    pub completed_time: i64,
    /// Seconds.
    pub active_duration: u64,
    pub finished_duration: u64,
    pub seeding_duration: u64,
    pub num_readers: u32,
}

/// A connected peer.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    pub endpoint: SocketAddr,
    /// The name by which it is dialled, empty where it has an address: then nothing is at `endpoint`. The torrent knows no names.
    pub host: String,
    /// What the connection runs over.
    pub socket_type: SocketType,
    pub peer_id: [u8; 20],
    pub client: String,
    pub flags: PeerFlags,
    pub source: PeerSource,
    pub down_speed: u32,
    pub up_speed: u32,
    pub payload_down_speed: u32,
    pub payload_up_speed: u32,
    pub total_download: u64,
    pub total_upload: u64,
    /// Pieces that it has.
    pub num_pieces: u32,
    pub progress_ppm: u32,
    /// Blocks asked of it, and how many it should be.
    pub download_queue_length: u32,
    pub target_dl_queue_length: u32,
    /// Requests of it that wait for us.
    pub upload_queue_length: u32,
    /// Bytes asked of it and not here.
    pub queue_bytes: u32,
    /// Bytes waiting to be written to it.
    pub send_buffer_bytes: u32,
    pub rtt_ms: u32,
    pub num_hashfails: u32,
    /// Milliseconds since it sent anything, and since it sent a block that we used.
    pub last_active_ms: u64,
    pub last_useful_ms: u64,
    /// Since it was last asked for a block.
    pub last_request_ms: u64,
    /// The piece and block that comes in now, -1: none.
    pub downloading_piece: i32,
    pub downloading_block: i32,
    /// Bytes of that block that are here, and that it has.
    pub downloading_progress: u32,
    pub downloading_total: u32,
}

/// A piece on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialPiece {
    pub piece: u32,
    pub blocks_in_piece: u32,
    pub finished: u32,
    pub writing: u32,
    pub requested: u32,
    /// A block each: none 0, requested 1, writing 2, finished 3 (libtorrent's `block_state_t`).
    pub blocks: Vec<u8>,
}

impl Torrent {
    pub fn status(&self, now: Time) -> TorrentStatus {
        let mut wanted = (0u64, 0u64);
        let mut done = 0u64;
        if let Some(content) = &self.content {
            for piece in 0..content.picker().num_pieces() {
                let size = u64::from(content.layout().piece_size(piece));
                let had = content.has(piece);
                done += if had { size } else { 0 };
                if content.picker().priority(piece) > 0 {
                    wanted.0 += size;
                    wanted.1 += if had { size } else { 0 };
                }
            }
        }
        let pieces_total = self.content.as_ref().map_or(0, |c| c.layout().num_pieces());
        let ppm =
            |part: u64, all: u64| u32::try_from(u128::from(part) * 1_000_000 / u128::from(all.max(1))).unwrap_or(0);
        let full = self.content.as_ref().is_some_and(|c| c.has_all());
        let progress_ppm = match self.run_state.state {
            TorrentState::CheckingFiles => ppm(u64::from(self.run_state.check_progress), u64::from(pieces_total)),
            TorrentState::DownloadingMetadata => self.fetch.progress(),
            // Nothing is wanted: memory storage at rest, or no file at all.
            _ if wanted.0 == 0 => {
                if full {
                    1_000_000
                } else {
                    0
                }
            }
            _ => ppm(wanted.1, wanted.0),
        };
        let trackers = self.trackers.status(now);
        let next_announce = trackers.iter().map(|t| t.next_announce_ms).filter(|ms| *ms >= 0).min();
        let (complete, incomplete) = self.trackers.swarm_size();
        let count = |n: Option<u32>| n.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX));
        TorrentStatus {
            state: self.run_state.state,
            flags: self.config.flags,
            paused: self.config.flags.contains(TorrentFlags::PAUSED) || self.run_state.session_paused,
            info_hashes: self.config.info_hashes,
            has_metadata: self.content.is_some(),
            name: self.config.name.clone(),
            save_path: String::new(),
            error: self.run_state.error.clone(),
            storage: self.config.storage,
            progress_ppm,
            total: self.content.as_ref().map_or(0, |c| c.layout().total_size()),
            total_done: done,
            total_wanted: wanted.0,
            total_wanted_done: wanted.1,
            total_download: self.meters.protocol_down.total(),
            total_upload: self.meters.protocol_up.total(),
            total_payload_download: self.meters.down.total(),
            total_payload_upload: self.meters.up.total(),
            all_time_download: self.meters.down.total(),
            all_time_upload: self.meters.up.total(),
            total_failed_bytes: self.meters.counters.failed_bytes,
            total_redundant_bytes: self.meters.counters.redundant_bytes,
            download_rate: self.meters.protocol_down.at(now),
            upload_rate: self.meters.protocol_up.at(now),
            download_payload_rate: self.meters.down.at(now),
            upload_payload_rate: self.meters.up.at(now),
            num_peers: self.peers.len() as u32,
            num_seeds: self.peers.values().filter(|p| p.is_seed()).count() as u32,
            num_connections: (self.peers.len() + self.swarm.list().num_dialling()) as u32,
            num_uploads: self.peers.values().filter(|p| !p.choking.am_choking()).count() as u32,
            list_peers: self.swarm.list().len() as u32,
            list_seeds: self.swarm.list().num_seeds() as u32,
            connect_candidates: self.swarm.list().num_candidates() as u32,
            num_complete: count(complete),
            num_incomplete: count(incomplete),
            num_pieces: self.content.as_ref().map_or(0, |c| c.have().count()),
            pieces_total,
            piece_length: self.content.as_ref().map_or(0, |c| c.layout().piece_length()),
            block_size: BLOCK_SIZE,
            download_limit: 0,
            upload_limit: 0,
            max_connections: self.config.max_connections,
            max_uploads: self.config.max_uploads,
            next_announce_ms: next_announce.unwrap_or(-1),
            current_tracker: self.trackers.current().unwrap_or_default().to_owned(),
            announcing_to_trackers: self.is_running() && !self.trackers.is_empty(),
            announcing_to_dht: self.wants_dht() && self.config.settings.enable_dht,
            has_incoming: self.swarm.had_incoming(),
            is_seeding: full && !self.run_state.checking,
            is_finished: matches!(self.run_state.state, TorrentState::Finished | TorrentState::Seeding),
            added_time: self.config.added_time,
            completed_time: self.config.completed_time,
            active_duration: self.run_state.active.as_secs(),
            finished_duration: self.run_state.finished_for.as_secs(),
            seeding_duration: self.run_state.seeding_for.as_secs(),
            num_readers: self.num_readers(),
        }
    }

    pub fn peers(&self, now: Time) -> Vec<PeerInfo> {
        let queue = self.requests.queue(now, &self.config.settings, &self.readers);
        let millis = |since: Time| now.since(since).as_millis() as u64;
        self.peers
            .values()
            .map(|p| {
                let mut flags = PeerFlags::empty();
                flags.set(PeerFlags::INTERESTING, p.choking.am_interested());
                flags.set(PeerFlags::CHOKED, p.choking.am_choking());
                flags.set(PeerFlags::REMOTE_INTERESTED, p.choking.peer_interested());
                flags.set(PeerFlags::REMOTE_CHOKED, p.choking.peer_choking());
                flags.set(PeerFlags::SUPPORTS_EXTENSIONS, p.supports_extensions());
                flags.set(PeerFlags::OUTGOING, !p.is_incoming());
                flags.set(PeerFlags::ON_PAROLE, p.parole.is_on());
                flags.set(PeerFlags::SEED, p.is_seed());
                flags.set(PeerFlags::OPTIMISTIC_UNCHOKE, p.choking.is_optimistic());
                flags.set(PeerFlags::SNUBBED, p.source.is_snubbed());
                flags.set(PeerFlags::UPLOAD_ONLY, p.extensions.upload_only());
                flags.set(PeerFlags::UTP_SOCKET, p.kind().is_utp());
                flags.set(PeerFlags::RC4_ENCRYPTED, p.kind().encryption == Encryption::Rc4);
                flags.set(PeerFlags::PLAINTEXT_ENCRYPTED, p.kind().encryption == Encryption::Plaintext);
                let number = |n: u32| i32::try_from(n).unwrap_or(-1);
                let size = |piece, block| self.content.as_ref().map_or(0, |c| c.layout().block_size(piece, block));
                let receiving = p.activity().receiving().map(|(piece, begin, got)| (piece, begin / BLOCK_SIZE, got));
                PeerInfo {
                    endpoint: p.address(),
                    host: String::new(),
                    socket_type: socket_type(p.kind()),
                    peer_id: p.peer_id(),
                    client: p.extensions.client().to_owned(),
                    flags,
                    source: self.swarm.list().source(p.address())
                        | if p.is_incoming() { PeerSource::INCOMING } else { PeerSource::empty() },
                    down_speed: p.activity().protocol().at(now),
                    up_speed: p.upload.protocol().at(now),
                    payload_down_speed: p.activity().payload().at(now),
                    payload_up_speed: p.upload.payload().at(now),
                    total_download: p.activity().payload().total(),
                    total_upload: p.upload.payload().total(),
                    num_pieces: p.haves.pieces().count(),
                    progress_ppm: p.haves.progress_ppm(),
                    download_queue_length: p.source.requests().len() as u32,
                    target_dl_queue_length: queue.target(p) as u32,
                    upload_queue_length: p.upload.len() as u32,
                    queue_bytes: p.source.requests().iter().map(|r| size(r.piece, r.block)).sum(),
                    send_buffer_bytes: u32::try_from(p.outbox.bytes()).unwrap_or(u32::MAX),
                    rtt_ms: p.source.path().rtt().as_millis().min(u128::from(u32::MAX)) as u32,
                    num_hashfails: p.parole.hash_fails(),
                    last_active_ms: millis(p.activity().last_received()),
                    last_useful_ms: millis(p.activity().last_useful()),
                    last_request_ms: millis(p.activity().last_request()),
                    downloading_piece: receiving.map_or(-1, |(piece, ..)| number(piece)),
                    downloading_block: receiving.map_or(-1, |(_, block, _)| number(block)),
                    downloading_progress: receiving.map_or(0, |(.., got)| got),
                    downloading_total: receiving.map_or(0, |(piece, block, _)| size(piece, block)),
                }
            })
            .collect()
    }

    pub fn num_peers(&self) -> usize {
        self.peers.len()
    }

    pub fn num_dialling(&self) -> usize {
        self.swarm.list().num_dialling()
    }

    /// How many pieces there are, and which we have: bits, most significant first.
    pub fn pieces(&self) -> Result<(u32, Vec<u8>)> {
        let Some(content) = &self.content else { return Err(Error::no_metadata()) };
        Ok((content.have().len(), content.have().as_bytes().to_vec()))
    }

    pub fn piece_availability(&self) -> Result<Vec<u32>> {
        let Some(content) = &self.content else { return Err(Error::no_metadata()) };
        Ok((0..content.picker().num_pieces()).map(|p| content.picker().availability(p)).collect())
    }

    pub fn download_queue(&self) -> Result<Vec<PartialPiece>> {
        let Some(content) = &self.content else { return Err(Error::no_metadata()) };
        let mut queue: Vec<PartialPiece> = content
            .store()
            .present()
            .iter()
            .filter_map(|piece| {
                let slot = content.store().slot(*piece).filter(|s| s.stage() != Stage::Kept)?;
                let writing = slot.stage() == Stage::Writing;
                let blocks: Vec<u8> = slot
                    .blocks()
                    .iter()
                    .map(|b| match (b.data(), b.copies()) {
                        (Some(_), _) if writing => 2,
                        (Some(_), _) => 3,
                        (None, 0) => 0,
                        (None, _) => 1,
                    })
                    .collect();
                let count = |state: u8| blocks.iter().filter(|b| **b == state).count() as u32;
                Some(PartialPiece {
                    piece: *piece,
                    blocks_in_piece: blocks.len() as u32,
                    finished: count(3),
                    writing: count(2),
                    requested: count(1),
                    blocks,
                })
            })
            .collect();
        queue.sort_unstable_by_key(|p| p.piece);
        Ok(queue)
    }

    /// Bytes of each file that we have, in whole pieces.
    pub fn file_progress(&self) -> Result<Vec<u64>> {
        let Some(content) = &self.content else { return Err(Error::no_metadata()) };
        let layout = content.layout();
        Ok(layout
            .files()
            .iter()
            .enumerate()
            .map(|(i, file)| {
                let pieces = layout.file_pieces(i).filter(|p| content.has(*p));
                pieces
                    .map(|p| {
                        let start = layout.piece_offset(p).max(file.offset);
                        let end =
                            (layout.piece_offset(p) + u64::from(layout.piece_size(p))).min(file.offset + file.size);
                        end.saturating_sub(start)
                    })
                    .sum()
            })
            .collect())
    }

    pub fn counters(&self) -> Counters {
        let (lookbehind_hits, lookbehind_misses) = self.cache.lookbehind().hits_and_misses();
        let Tally { failed_bytes, redundant_bytes, hash_failures, refetched_pieces } = self.meters.counters;
        Counters {
            failed_bytes,
            redundant_bytes,
            cancelled_blocks: self.requests.cancelled_blocks(),
            hash_failures,
            evicted_pieces: self.cache.evicted_pieces(),
            refetched_pieces,
            lookbehind_hits,
            lookbehind_misses,
        }
    }

    pub fn storage_stats(&self) -> StorageStats {
        let refetched_pieces = self.meters.counters.refetched_pieces;
        let held = self.cache.storage_stats(self.content.as_ref(), &self.peers, &self.readers);
        StorageStats { refetched_pieces, ..held }
    }

    pub fn lookbehind_stats(&self) -> LookbehindStats {
        self.cache.lookbehind_stats(self.content.as_ref())
    }

    /// Is this connection still there?
    pub fn has_peer(&self, key: PeerKey) -> bool {
        self.peers.contains_key(&key)
    }
}
