//! Blocks that arrive: stored, hashed while hot, verified; and who is to blame when a piece fails.
//!
//! Blame follows libtorrent's parole and smart ban. A piece that fails and came from one peer convicts it. If several sent
//! parts, what each sent is remembered by its hash, all of them go on parole (they get whole pieces to themselves), and when
//! the piece comes right, those whose blocks differ from the good ones are banned.

use sha1::{Digest, Sha1};

use super::Time;
use super::store::{Arrival, HashJob, Hashed, PeerKey, Stage};
use super::torrent::{DiskJob, StorageKind, Torrent};
use crate::alert::{Alert, CloseReason};
use crate::error::Error;
use crate::storage::pool::{BLOCK_SIZE, Block};
use std::net::SocketAddr;
use std::time::Duration;

/// Pieces with suspects remembered at once.
const MAX_SUSPECT_PIECES: usize = 64;

/// Who sent which block of a piece that failed.
#[derive(Debug, Clone)]
pub struct Suspicion {
    block: u32,
    digest: [u8; 20],
    peer: PeerKey,
    address: SocketAddr,
}

impl Torrent {
    /// A block came from the peer, already charged.
    pub(super) fn block_arrived(&mut self, now: Time, key: PeerKey, piece: u32, begin: u32, data: Block) {
        let length = data.len();
        self.down.add(now, u64::from(length));
        let queue_time = Duration::from_secs(u64::try_from(self.settings.request_queue_time).unwrap_or(1));
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), self.content.as_mut()) else { return };
        let block = begin / BLOCK_SIZE;
        let layout = &content.info.layout;
        let in_grid = piece < layout.num_pieces()
            && begin.is_multiple_of(BLOCK_SIZE)
            && block < layout.blocks_in_piece(piece)
            && layout.block_size(piece, block) == length;
        let request = if in_grid { peer.take_request(piece, block) } else { None };
        let Some(request) = request else {
            // Taken back while it came in.
            peer.answers_cancelled(piece, block);
            self.counters.redundant_bytes += u64::from(length);
            peer.down.add(now, u64::from(length));
            return;
        };
        // It came in while it was taken back and asked again: the second charge is of no use.
        drop(peer.credits.take(piece, begin));
        peer.block_arrived(now, length, request.sent, queue_time);
        peer.last_useful = now;
        if std::mem::take(&mut peer.snubbed) {
            let (endpoint, peer_id) = (peer.address, peer.peer_id);
            self.out.alerts.push(Alert::PeerUnsnubbed { endpoint, peer_id });
        }
        match content.store.receive(piece, block, data, key) {
            Arrival::Stored { others } => {
                self.touched.push(piece);
                for other in others {
                    self.send_cancel(now, other, piece, block);
                    self.release_request(other, piece, block);
                }
            }
            Arrival::Redundant => self.counters.redundant_bytes += u64::from(length),
        }
    }

    /// A block came that no charge stood for (its request was taken back): nothing was kept of it.
    pub(super) fn block_unpaid(&mut self, key: PeerKey, piece: u32, begin: u32, length: u32) {
        self.counters.redundant_bytes += u64::from(length);
        let block = begin / BLOCK_SIZE;
        if let Some(peer) = self.peers.get_mut(&key)
            && !peer.answers_cancelled(piece, block)
        {
            self.release_request(key, piece, block);
        }
    }

    /// Collects what can be hashed now.
    pub(super) fn collect_hashes(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        let Some(content) = &mut self.content else { return };
        for piece in touched.drain(..) {
            if let Some(job) = content.store.hash_job(piece) {
                self.out.hashes.push(job);
            }
        }
        self.touched = touched;
    }

    /// A stretch was hashed outside the lock.
    pub fn hash_done(&mut self, now: Time, job: HashJob) {
        let piece = job.piece;
        let Some(content) = &mut self.content else { return };
        match content.store.hash_done(job) {
            Hashed::Pending => {
                if let Some(next) = content.store.hash_job(piece) {
                    self.out.hashes.push(next);
                }
            }
            Hashed::Digest(digest) if content.info.piece_hash(piece).is_some_and(|h| h.0 == digest) => {
                self.piece_passed(now, piece);
            }
            Hashed::Digest(_) => self.piece_failed(now, piece),
        }
    }

    fn piece_passed(&mut self, now: Time, piece: u32) {
        self.acquit(now, piece);
        let Some(content) = &mut self.content else { return };
        let senders = content.store.slot(piece).map(|s| s.senders()).unwrap_or_default();
        for key in senders {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.parole = false;
            }
        }
        match self.storage {
            StorageKind::Memory => {
                content.store.keep(piece);
                self.piece_had(now, piece);
            }
            StorageKind::Disk => {
                let blocks = content.store.begin_write(piece);
                self.out.disk.push(DiskJob::Write { piece, blocks });
                self.wants_from = 0;
            }
        }
    }

    /// The disk took a piece, or failed to.
    pub fn piece_written(&mut self, now: Time, piece: u32, outcome: Result<(), (Error, String)>) {
        let Some(content) = &mut self.content else { return };
        if content.store.slot(piece).is_none_or(|s| s.stage != Stage::Writing) {
            return;
        }
        content.store.remove(piece);
        match outcome {
            Ok(()) => {
                self.piece_had(now, piece);
                self.fill_all(now);
            }
            Err((error, filename)) => self.fail(now, error, filename),
        }
    }

    /// From now on a reader gets the piece.
    fn piece_had(&mut self, now: Time, piece: u32) {
        let Some(content) = &mut self.content else { return };
        if !content.have.set(piece) {
            return;
        }
        content.picker.set_done(piece, true);
        if content.evicted.get(piece) {
            self.counters.refetched_pieces += 1;
        }
        self.deadlines.remove(&piece);
        if let Some(at) = self.wants.iter().position(|w| w.piece == piece) {
            self.wants.remove(at);
            self.wants_from -= usize::from(at < self.wants_from);
        }
        self.out.alerts.push(Alert::PieceFinished { piece });
        for file in content.info.layout.piece_files(piece) {
            let complete = content.info.layout.file_pieces(file).all(|p| content.have.get(p));
            if complete && content.files_completed.set(file as u32) {
                self.out.alerts.push(Alert::FileCompleted { file: file as u32 });
            }
        }
        let offering: Vec<PeerKey> = self.peers.values().filter(|p| p.have.get(piece)).map(|p| p.key).collect();
        for key in offering {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.offers = peer.offers.saturating_sub(1);
                if peer.offers == 0 {
                    self.update_interest(now, key);
                }
            }
        }
        self.announce_piece(now, piece);
        self.update_state(now);
        self.prebuffer_progress();
        self.readers_changed();
    }

    fn piece_failed(&mut self, now: Time, piece: u32) {
        self.counters.hash_failures += 1;
        self.alert(Alert::HashFailed { piece });
        let Some(content) = &mut self.content else { return };
        let bytes = u64::from(content.info.layout.piece_size(piece));
        self.counters.failed_bytes += bytes;
        let senders = content.store.slot(piece).map(|s| s.senders()).unwrap_or_default();
        if senders.len() > 1 && self.suspects.len() < MAX_SUSPECT_PIECES {
            let list = self.suspects.entry(piece).or_default();
            let blocks = content.store.slot(piece).map(|s| s.blocks.as_slice()).unwrap_or_default();
            for (i, b) in (0u32..).zip(blocks) {
                let (Some(data), Some(peer)) = (&b.data, self.peers.get(&b.from)) else { continue };
                let digest = Sha1::digest(data.as_slice()).into();
                list.push(Suspicion { block: i, digest, peer: b.from, address: peer.address });
            }
        }
        let asked = content.store.remove(piece);
        for (block, key) in asked {
            if let Some(peer) = self.peers.get_mut(&key)
                && peer.take_request(piece, block).is_some()
            {
                drop(peer.credits.take(piece, block * BLOCK_SIZE));
            }
        }
        for key in &senders {
            if let Some(peer) = self.peers.get_mut(key) {
                peer.hash_fails += 1;
                peer.parole = true;
            }
        }
        if let [only] = senders.as_slice() {
            self.convict(now, *only);
        }
        self.wants_dirty = true;
        self.fill_all(now);
    }

    /// The piece came right: who sent other bytes for it before is banned, the rest are innocent.
    fn acquit(&mut self, now: Time, piece: u32) {
        let Some(list) = self.suspects.remove(&piece) else { return };
        let Some(content) = &self.content else { return };
        let mut guilty = Vec::new();
        for suspicion in list {
            let good = content.store.block(piece, suspicion.block, true).map(|b| Sha1::digest(b.as_slice()).into());
            if good.is_some_and(|g: [u8; 20]| g != suspicion.digest) {
                guilty.push((suspicion.peer, suspicion.address));
            } else if let Some(peer) = self.peers.get_mut(&suspicion.peer) {
                peer.parole = false;
            }
        }
        for (key, address) in guilty {
            if self.peers.contains_key(&key) {
                self.convict(now, key);
            } else {
                self.swarm.ban(address);
            }
        }
    }

    /// The peer sent bad data: it goes, what it sent that is not verified goes, and it does not come back.
    fn convict(&mut self, now: Time, key: PeerKey) {
        let Some(peer) = self.peers.get(&key) else { return };
        let (endpoint, peer_id) = (peer.address, peer.peer_id);
        self.swarm.ban(endpoint);
        self.alert(Alert::PeerBan { endpoint, peer_id });
        if let Some(content) = &mut self.content {
            content.store.discard_from(key);
        }
        self.wants_dirty = true;
        self.close(now, key, CloseReason::CorruptData, None);
    }
}
