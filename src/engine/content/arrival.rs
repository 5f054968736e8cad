//! Blocks that arrive, and what becomes of their piece once it is hashed.

use super::pieces::{Arrival, PeerKey, Stage};
use crate::alert::Alert;
use crate::base::error::Error;
use crate::base::time::Time;
use crate::engine::config::StorageKind;
use crate::engine::output::DiskJob;
use crate::engine::peer::Peer;
use crate::engine::torrent::Torrent;
use crate::memory::pool::{BLOCK_SIZE, Block};

impl Torrent {
    /// A block came from the peer, already charged.
    pub(in crate::engine) fn block_arrived(
        &mut self,
        now: Time,
        key: PeerKey,
        piece: u32,
        begin: u32,
        data: Block,
    ) -> Result<(), String> {
        let length = data.len();
        self.meters.down.add(now, u64::from(length));
        self.check_length(key, piece, begin, length)?;
        let queue_time = self.queue_time(now);
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), self.content.as_mut()) else {
            return Ok(());
        };
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
            if peer.stray_came(now, length) {
                unsnub(peer, &mut self.out.alerts);
            }
            self.meters.counters.redundant_bytes += u64::from(length);
            peer.stray_arrived(now, length);
            self.requests.aggregate.path.stray(length);
            if in_grid {
                self.count_stray(piece, block, length);
            }
            return Ok(());
        };
        // It may have come in while it was taken back and asked again: the second charge is of no use then.
        if peer.took_back || peer.credits.count() as usize > peer.requests.len() {
            drop(peer.credits.take(piece, begin));
        }
        self.requests.aggregate.path.answered(now, length, request.sent, request.delivered_by_all);
        peer.block_arrived(now, length, request);
        self.requests.next_forgiveness = self.requests.next_forgiveness.min(peer.refusals.next());
        peer.last_useful = now;
        self.line.gave_way = None;
        peer.budget.block(u64::from(length));
        unsnub(peer, &mut self.out.alerts);
        self.requests
            .aggregate
            .count(now, self.peers.values().filter(|p| p.may_be_asked()).map(|p| p.part(queue_time)));
        match content.store.receive(now, piece, block, data, key) {
            Arrival::Stored { others } => {
                self.hashing.note(piece);
                for other in others {
                    self.send_cancel(now, other, piece, block);
                    self.release_request(other, piece, block);
                }
                if self.readers.values().any(|r| r.options().unverified && r.waits_for(piece, block)) {
                    self.readers_changed();
                }
            }
            Arrival::Redundant => {
                self.meters.counters.redundant_bytes += u64::from(length);
                self.count_stray(piece, block, length);
            }
        }
        Ok(())
    }

    /// A peer that answers with more or less than it was asked for will not bring the rest: it would be waited for in vain.
    fn check_length(&self, key: PeerKey, piece: u32, begin: u32, length: u32) -> Result<(), String> {
        let (Some(peer), Some(content)) = (self.peers.get(&key), &self.content) else { return Ok(()) };
        let block = begin / BLOCK_SIZE;
        let asked =
            begin.is_multiple_of(BLOCK_SIZE) && peer.requests.iter().any(|r| (r.piece, r.block) == (piece, block));
        if !asked {
            return Ok(());
        }
        match content.info.layout.block_size(piece, block) {
            expected if expected == length => Ok(()),
            expected => Err(format!("a block of {length} bytes for a request of {expected}, piece {piece} at {begin}")),
        }
    }

    /// A block came that no charge stood for (its request was taken back): nothing was kept of it.
    pub(in crate::engine) fn block_unpaid(
        &mut self,
        now: Time,
        key: PeerKey,
        piece: u32,
        begin: u32,
        length: u32,
    ) -> Result<(), String> {
        self.check_length(key, piece, begin, length)?;
        self.meters.counters.redundant_bytes += u64::from(length);
        let block = begin / BLOCK_SIZE;
        self.count_stray(piece, block, length);
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        peer.path.stray(length);
        if peer.stray_came(now, length) {
            unsnub(peer, &mut self.out.alerts);
        }
        self.requests.aggregate.path.stray(length);
        if begin.is_multiple_of(BLOCK_SIZE) && !peer.answers_cancelled(piece, block) {
            self.release_request(key, piece, block);
        }
        Ok(())
    }

    pub(in crate::engine) fn piece_passed(&mut self, now: Time, piece: u32) {
        // Verified first: what becomes of its senders then must not touch it.
        let Some(content) = &mut self.content else { return };
        if content.store.slot(piece).is_some_and(|s| s.passed() > 0) {
            // Not all of it is here any more, but it was good.
            self.acquit(now, piece);
            return;
        }
        match self.config.storage {
            StorageKind::Memory => {
                content.store.keep(piece);
                self.piece_had(now, piece);
            }
            StorageKind::Disk => {
                let blocks = content.store.begin_write(piece);
                self.out.disk.push(DiskJob::Write { generation: self.life.disk_generation, piece, blocks });
                self.requests.from = 0;
            }
        }
        self.acquit(now, piece);
        if self.requests.refill {
            self.fill_all(now);
        }
    }

    /// The disk took a piece, or failed to.
    pub fn piece_written(&mut self, now: Time, generation: u64, piece: u32, outcome: Result<(), (Error, String)>) {
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
            Err((error, filename)) => {
                self.requests.outdated = true;
                self.disk_failed(now, generation, error, filename);
                self.fill_all(now);
            }
        }
    }

    /// From now on a reader gets the piece.
    fn piece_had(&mut self, now: Time, piece: u32) {
        let Some(content) = &mut self.content else { return };
        if !content.set_had(piece, true) {
            return;
        }
        if content.evicted.get(piece) {
            self.meters.counters.refetched_pieces += 1;
        }
        self.readers.reset_deadline(piece);
        if let Some(at) = self.requests.demand.iter().position(|w| w.piece == piece) {
            self.requests.demand.remove(at);
            self.requests.from -= usize::from(at < self.requests.from);
        }
        self.out.alerts.push(Alert::PieceFinished { piece });
        for file in content.info.layout.piece_files(piece) {
            let complete = content.files_missing.get(file) == Some(&0);
            if complete && content.files_completed.set(file as u32) {
                self.out.alerts.push(Alert::FileCompleted { file: file as u32 });
            }
        }
        // Before those who showed it are forgotten as such, or lose our interest.
        self.announce_piece(now, piece);
        self.offer_changed(now, piece, true);
        self.update_state(now);
        self.prebuffer_progress();
        self.readers_changed();
    }
}

/// It brings something again.
fn unsnub(peer: &mut Peer, alerts: &mut Vec<Alert>) {
    if std::mem::take(&mut peer.snubbed) {
        alerts.push(Alert::PeerUnsnubbed { endpoint: peer.address, peer_id: peer.peer_id });
    }
}
