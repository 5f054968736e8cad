//! What happens to blocks and pieces: asked for, received, verified, spoilt.

use std::time::Duration;

use super::bandwidth::path::QueueTime;
use super::cache::eviction::no_metadata;
use super::content::arrival::{Arriving, Landed, Passed};
use super::content::availability::{tell_have, withdraw};
use super::content::hashing::Verified;
use super::content::parole::Cancelled;
use super::content::pieces::{HashJob, PeerKey};
use super::content::priorities::check_priorities;
use super::output::DiskJob;
use super::torrent::Torrent;
use crate::alert::{Alert, CloseReason};
use crate::base::error::{Error, Result};
use crate::base::time::Time;
use crate::memory::pool::{BLOCK_SIZE, Block};

impl Torrent {
    fn arriving(&mut self, key: PeerKey) -> Option<Arriving<'_>> {
        Some(Arriving {
            peer: self.peers.get_mut(&key)?,
            content: self.content.as_mut(),
            aggregate: &mut self.requests.aggregate,
            counters: &mut self.meters.counters,
            alerts: &mut self.out.alerts,
        })
    }

    /// A block came from the peer, already charged.
    pub(super) fn block_arrived(
        &mut self,
        now: Time,
        key: PeerKey,
        piece: u32,
        begin: u32,
        data: Block,
    ) -> Result<(), String> {
        let length = data.len();
        self.meters.down.add(now, u64::from(length));
        let queue_time = self.queue_time(now);
        let Some(mut arriving) = self.arriving(key) else { return Ok(()) };
        match arriving.block(now, piece, begin, data)? {
            Landed::Stray(block) => {
                if let Some(block) = block {
                    self.count_stray(piece, block, length);
                }
            }
            Landed::Redundant(block) => {
                self.request_answered(now, key, queue_time);
                self.count_stray(piece, block, length);
            }
            Landed::Stored { block, others } => {
                self.request_answered(now, key, queue_time);
                self.hashing.note(piece);
                for other in others {
                    self.send_cancel(now, other, piece, block);
                    self.release_request(other, piece, block);
                }
                if self.readers.values().any(|r| r.options().unverified && r.waits_for(piece, block)) {
                    self.readers_changed();
                }
            }
        }
        Ok(())
    }

    /// The peer brought what it was asked for.
    fn request_answered(&mut self, now: Time, key: PeerKey, queue_time: QueueTime) {
        if let Some(peer) = self.peers.get(&key) {
            self.requests.forgive_at(peer.refusals.next());
        }
        self.line.gave_way = None;
        let asked = self.peers.values().filter(|p| p.may_be_asked());
        self.requests.aggregate.count(now, asked.map(|p| p.part(queue_time)));
    }

    /// A block came that no charge stood for (its request was taken back): nothing was kept of it.
    pub(super) fn block_unpaid(
        &mut self,
        now: Time,
        key: PeerKey,
        piece: u32,
        begin: u32,
        length: u32,
    ) -> Result<(), String> {
        let Some(mut arriving) = self.arriving(key) else { return Ok(()) };
        let answers = arriving.block_unpaid(now, piece, begin, length)?;
        let block = begin / BLOCK_SIZE;
        self.count_stray(piece, block, length);
        if answers {
            self.release_request(key, piece, block);
        }
        Ok(())
    }

    /// The peer whose burst it was has nothing more to be received for now.
    pub fn peer_paused(&mut self, now: Time, key: PeerKey) {
        self.hashing.set_burst(key, false);
        self.collect_hashes(now);
    }

    /// Collects what is to be hashed now.
    pub(super) fn collect_hashes(&mut self, now: Time) {
        if !self.hashing.has_work() {
            return;
        }
        let by_blocks = self.readers.reads_by_blocks();
        if let Some(content) = &mut self.content {
            self.out.hashes.extend(self.hashing.collect(now, content, by_blocks));
        }
    }

    /// When what waits to be hashed with others has waited long enough.
    pub(super) fn hashes_due(&self) -> Option<Time> {
        let content = self.content.as_ref().filter(|_| self.hashing.has_work() && self.is_running())?;
        self.hashing.due(content, self.readers.reads_by_blocks())
    }

    /// A stretch was hashed outside the lock.
    pub fn hash_done(&mut self, now: Time, job: HashJob) {
        let (piece, by_blocks) = (job.piece, self.readers.reads_by_blocks());
        let Some(content) = &mut self.content else { return };
        match self.hashing.done(now, job, content, by_blocks) {
            Verified::NotYet(jobs) => self.out.hashes.extend(jobs),
            Verified::Passed => self.piece_passed(now, piece),
            Verified::Failed => self.piece_failed(now, piece),
        }
    }

    fn piece_passed(&mut self, now: Time, piece: u32) {
        // Verified first: what becomes of its senders then must not touch it.
        let Some(content) = &mut self.content else { return };
        match content.passed(piece, self.config.storage) {
            Passed::LetGo => return self.acquit(now, piece),
            Passed::Kept => self.piece_had(now, piece),
            Passed::ToWrite(blocks) => {
                self.out.disk.push(DiskJob::Write { generation: self.life.disk_generation, piece, blocks });
                self.requests.demand.came_free();
            }
        }
        self.acquit(now, piece);
        if self.requests.is_to_refill() {
            self.fill_all(now);
        }
    }

    /// The disk took a piece, or failed to.
    pub fn piece_written(&mut self, now: Time, generation: u64, piece: u32, outcome: Result<(), (Error, String)>) {
        if !self.content.as_mut().is_some_and(|c| c.write_ended(piece)) {
            return;
        }
        match outcome {
            Ok(()) => self.piece_had(now, piece),
            Err((error, filename)) => {
                self.requests.demand.changed();
                self.disk_failed(now, generation, error, filename);
            }
        }
        self.fill_all(now);
    }

    /// From now on a reader gets the piece.
    fn piece_had(&mut self, now: Time, piece: u32) {
        let Some(had) = self.content.as_mut().and_then(|c| c.piece_had(piece)) else { return };
        self.meters.counters.refetched_pieces += u64::from(had.refetched);
        self.readers.reset_deadline(piece);
        self.requests.demand.remove(piece);
        self.alert(Alert::PieceFinished { piece });
        for file in had.completed {
            self.alert(Alert::FileCompleted { file });
        }
        // Before those who showed it are forgotten as such, or lose our interest.
        self.announce_piece(now, piece);
        self.offer_changed(now, piece, true);
        self.update_state(now);
        self.prebuffer_progress();
        self.readers_changed();
    }

    /// Tells the peers that we have the piece.
    fn announce_piece(&mut self, now: Time, piece: u32) {
        let (audience, woken) = (self.audience(), &mut self.out.wake);
        self.peers.for_each_partial(|peer| tell_have(now, peer, piece, audience, woken));
    }

    /// A piece that we had is had no more.
    pub(super) fn lose(&mut self, now: Time, piece: u32) {
        let Some(content) = &mut self.content else { return };
        content.piece_lost(piece);
        self.offer_changed(now, piece, false);
        let tells = self.config.settings.send_dont_have;
        withdraw(now, tells, &mut self.peers, piece, &mut self.out.wake);
        self.update_state(now);
        self.meters.counters.evicted_pieces += 1;
        self.alert(Alert::PieceEvicted { piece });
    }

    /// We got the piece, or lost it: what those have for us who have it.
    fn offer_changed(&mut self, now: Time, piece: u32, had: bool) {
        let Some(content) = &self.content else { return };
        let offers = content.offer_changed(&mut self.peers, piece, had);
        self.linger(now, &offers.showed);
        for key in offers.changed {
            self.update_interest(now, key);
        }
    }

    /// The check found pieces: peers that came before it was over hear of them, and have so much less for us.
    pub(super) fn pieces_found(&mut self, now: Time) {
        let Some(content) = &self.content else { return };
        let found: Vec<u32> = if self.peers.is_empty() { Vec::new() } else { content.have().iter().collect() };
        self.peers.for_each_partial(|peer| peer.count_offers(content.have()));
        for piece in found {
            self.announce_piece(now, piece);
        }
        self.update_interests(now);
    }

    fn piece_failed(&mut self, now: Time, piece: u32) {
        self.meters.counters.hash_failures += 1;
        self.alert(Alert::HashFailed { piece });
        let Some(content) = &mut self.content else { return };
        self.meters.counters.failed_bytes += u64::from(content.failed(piece));
        let senders = content.store().slot(piece).map(|s| s.senders()).unwrap_or_default();
        let single = if let [only] = senders[..] { Some(only) } else { None };
        let suspects = self.smart_ban.failed(piece, senders, content, &self.peers);
        let asked = content.store_mut().remove(piece);
        for (block, key) in asked {
            self.drop_request(key, piece, block);
        }
        for key in &suspects {
            self.peers.failed_hash(*key);
        }
        match single {
            Some(only) => self.convict(now, only),
            None => {
                let peers = &self.peers;
                let content = self.content.as_mut();
                let cancelled = content.map(|c| c.store_mut().separate(&suspects, |k| peers.contains_key(k)));
                self.cancel_each(now, cancelled.unwrap_or_default());
            }
        }
        self.requests.demand.changed();
        self.fill_all(now);
    }

    fn cancel_each(&mut self, now: Time, cancelled: Cancelled) {
        for (key, piece) in cancelled {
            self.cancel_requests(now, key, |p| p == piece);
        }
    }

    /// A piece that only a suspect may bring is late: the rest of the swarm takes it over, from the start.
    pub(super) fn take_over(&mut self, now: Time, piece: u32) {
        let Some(owner) = self.content.as_mut().and_then(|c| c.store_mut().take_over(piece)) else { return };
        self.cancel_requests(now, owner, |p| p == piece);
        self.requests.demand.came_free();
    }

    /// A suspect begins to bring a piece that others left.
    pub(super) fn claim_for_suspect(&mut self, now: Time, key: PeerKey, piece: u32) {
        if !self.peers.get(&key).is_some_and(|p| p.parole) {
            return;
        }
        let Some(content) = &mut self.content else { return };
        let cancelled = content.store_mut().claim_alone(key, piece);
        self.cancel_each(now, cancelled);
    }

    /// The pieces that only this peer may bring are open to all again; what it sent of them counts if it is `trusted`.
    pub(super) fn give_up_exclusive(&mut self, key: PeerKey, trusted: bool) {
        if self.content.as_mut().is_some_and(|c| c.store_mut().give_up_exclusive(key, trusted)) {
            self.requests.demand.came_free();
            self.requests.refill_all();
        }
    }

    /// A suspect that will not go on with its pieces now (it chokes us, or refuses) must not keep others from them.
    pub(super) fn suspect_stops(&mut self, key: PeerKey) {
        if self.peers.get(&key).is_some_and(|p| p.parole) {
            self.give_up_exclusive(key, false);
        }
    }

    /// The piece came right: who sent other bytes for it before is banned, the rest are innocent.
    pub(super) fn acquit(&mut self, now: Time, piece: u32) {
        let Some(content) = &self.content else { return };
        let verdict = self.smart_ban.passed(piece, content, &mut self.peers);
        for key in verdict.innocent {
            self.peers.set_parole(key, false);
            self.give_up_exclusive(key, true);
        }
        for key in verdict.guilty {
            self.convict(now, key);
        }
    }

    /// The peer sent bad data: it goes, what it sent that is not verified goes, and it does not come back.
    fn convict(&mut self, now: Time, key: PeerKey) {
        let Some(who) = self.smart_ban.who(key, &self.peers) else { return };
        if !self.swarm.list().is_banned(who.address) {
            self.ban_sender(who.address, who.peer_id);
        }
        self.requests.demand.changed();
        // It may have come back meanwhile.
        let again = |torrent: &Self| {
            let banned = torrent.peers.values().find(|p| torrent.swarm.list().is_banned(p.address));
            banned.map(|p| p.key)
        };
        let mut goes = Some(key);
        while let Some(key) = goes {
            if let Some(content) = &mut self.content {
                content.store_mut().discard_from(key);
            }
            self.close(now, key, CloseReason::CorruptData, None);
            goes = again(self);
        }
    }

    /// A piece number from a caller.
    pub(super) fn check_piece(&self, piece: i64) -> Result<u32> {
        self.content.as_ref().ok_or_else(no_metadata)?.check_piece(piece)
    }

    /// A file number from a caller.
    pub(super) fn check_file(&self, file: i64) -> Result<u32> {
        self.content.as_ref().ok_or_else(no_metadata)?.check_file(file)
    }

    pub fn piece_priorities(&self) -> Result<Vec<u8>> {
        Ok(self.content.as_ref().ok_or_else(no_metadata)?.piece_priorities())
    }

    /// Sets the priorities of all pieces, one each.
    pub fn prioritize_pieces(&mut self, now: Time, priorities: &[u8]) -> Result<()> {
        self.content.as_mut().ok_or_else(no_metadata)?.prioritize_pieces(priorities)?;
        self.priorities_changed(now);
        Ok(())
    }

    pub fn set_piece_priority(&mut self, now: Time, piece: i64, priority: i64) -> Result<()> {
        let piece = self.content.as_mut().ok_or_else(no_metadata)?.set_piece_priority(piece, priority)?;
        if priority == 0 {
            self.readers.reset_deadline(piece);
        }
        self.priorities_changed(now);
        Ok(())
    }

    pub fn file_priorities(&self) -> Result<Vec<u8>> {
        Ok(self.content.as_ref().ok_or_else(no_metadata)?.file_priorities().to_vec())
    }

    /// Sets the priorities of all files, one each. Piece priorities follow.
    pub fn prioritize_files(&mut self, now: Time, priorities: &[u8]) -> Result<()> {
        check_priorities(priorities)?;
        self.content.as_mut().ok_or_else(no_metadata)?.prioritize_files(priorities)?;
        self.priorities_changed(now);
        Ok(())
    }

    pub fn set_file_priority(&mut self, now: Time, file: i64, priority: i64) -> Result<()> {
        self.content.as_mut().ok_or_else(no_metadata)?.set_file_priority(file, priority)?;
        self.priorities_changed(now);
        Ok(())
    }

    fn priorities_changed(&mut self, now: Time) {
        self.requests.demand.changed();
        // What was evicted and comes again is no news; what is wanted newly is.
        if self.content.as_ref().is_some_and(|c| c.picker().has_wanted()) {
            self.life.finished_told = false;
        }
        self.update_state(now);
        self.wants_changed(now);
    }

    /// The piece is needed in `deadline_ms`; negative is overdue already. Setting it again moves it.
    pub fn set_piece_deadline(&mut self, now: Time, piece: i64, deadline_ms: i64) -> Result<()> {
        let piece = self.check_piece(piece)?;
        if self.content.as_ref().is_some_and(|c| c.has(piece)) {
            return Ok(());
        }
        // Overdue pieces keep their order among themselves.
        let offset = Duration::from_millis(deadline_ms.unsigned_abs());
        let due = if deadline_ms >= 0 { now + offset } else { now - offset };
        self.readers.set_deadline(piece, due);
        self.deadlines_changed(now);
        Ok(())
    }

    pub fn reset_piece_deadline(&mut self, now: Time, piece: i64) -> Result<()> {
        let piece = self.check_piece(piece)?;
        self.readers.reset_deadline(piece);
        self.deadlines_changed(now);
        Ok(())
    }

    /// Takes all deadlines away. Pieces keep the priorities that they have by themselves.
    pub fn clear_piece_deadlines(&mut self, now: Time) {
        self.readers.clear_deadlines();
        self.deadlines_changed(now);
    }

    fn deadlines_changed(&mut self, now: Time) {
        self.requests.demand.changed();
        self.wants_changed(now);
    }

    fn wants_changed(&mut self, now: Time) {
        self.review_interests(now);
        self.cancel_unpicked(now);
        self.fill_all(now);
    }

    /// Takes back requests for pieces that nobody wants any more.
    fn cancel_unpicked(&mut self, now: Time) {
        self.refresh_wants(now);
        let Some(content) = &self.content else { return };
        let unwanted = content.unpicked(&self.requests.demand.wants().iter().map(|w| w.piece).collect());
        let keys: Vec<_> = self.peers.values().filter(|p| !p.requests.is_empty()).map(|p| p.key).collect();
        for key in keys {
            self.cancel_requests(now, key, |p| unwanted.contains(&p));
        }
    }
}
