//! What happens to blocks and pieces: asked for, received, verified, spoilt.

use std::collections::BTreeSet;

use super::bandwidth::path::QueueTime;
use super::content::Content;
use super::content::completion::AfterHash;
use super::content::hashing::Verified;
use super::content::pieces::{HashJob, PeerKey};
use super::output::DiskJob;
use super::peer::availability::tell_have;
use super::peer::received_block::{BlockOutcome, ReceivedBlock};
use super::requests::queues::Queues;
use super::requests::scheduler::Scheduler;
use super::torrent::Torrent;
use crate::alert::{Alert, CloseReason};
use crate::base::error::{Error, Result};
use crate::base::time::Time;
use crate::memory::pool::{BLOCK_SIZE, Block};

impl Torrent {
    /// What is touched when peers are asked for blocks, and when memory is taken or given back.
    pub(super) fn scheduler(&mut self) -> Scheduler<'_> {
        Scheduler {
            config: &self.config,
            run_state: &mut self.run_state,
            content: &mut self.content,
            peers: &mut self.peers,
            readers: &mut self.readers,
            requests: &mut self.requests,
            cache: &mut self.cache,
            hashing: &mut self.hashing,
            out: &mut self.out,
        }
    }

    /// What is touched when requests are taken back.
    pub(super) fn queues(&mut self) -> Queues<'_> {
        Queues {
            content: &mut self.content,
            peers: &mut self.peers,
            requests: &mut self.requests,
            woken: &mut self.out.wake,
        }
    }

    fn arriving(&mut self, key: PeerKey) -> Option<ReceivedBlock<'_>> {
        Some(ReceivedBlock {
            peer: self.peers.get_mut(&key)?,
            content: self.content.as_mut(),
            aggregate: self.requests.aggregate_mut(),
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
        let queue_time = self.requests.queue_time(now, &self.config.settings, &self.readers);
        let Some(mut arriving) = self.arriving(key) else { return Ok(()) };
        match arriving.block(now, piece, begin, data)? {
            BlockOutcome::Stray(block) => {
                if let Some(block) = block {
                    self.count_stray(piece, block, length);
                }
            }
            BlockOutcome::Redundant(block) => {
                self.request_answered(now, key, queue_time);
                self.count_stray(piece, block, length);
            }
            BlockOutcome::Stored { block, others } => {
                self.request_answered(now, key, queue_time);
                self.hashing.note(piece);
                for other in others {
                    self.queues().cancel(now, other, piece, block);
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
            self.requests.forgive_at(peer.source.refusals().next());
        }
        self.cache.block_came();
        let asked = self.peers.values().filter(|p| p.may_be_asked());
        self.requests.aggregate_mut().count(now, asked.map(|p| p.source.part(queue_time)));
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
            self.queues().release(key, piece, block);
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
            AfterHash::LetGo => return self.acquit(now, piece),
            AfterHash::Kept => self.piece_had(now, piece),
            AfterHash::ToWrite(blocks) => {
                self.out.disk.push(DiskJob::Write { generation: self.run_state.disk_generation, piece, blocks });
                self.requests.came_free();
            }
        }
        self.acquit(now, piece);
        if self.requests.is_to_refill() {
            self.scheduler().fill_all(now);
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
                self.requests.demand_changed();
                self.disk_failed(now, generation, error, filename);
            }
        }
        self.scheduler().fill_all(now);
    }

    /// From now on a reader gets the piece.
    fn piece_had(&mut self, now: Time, piece: u32) {
        let Some(had) = self.content.as_mut().and_then(|c| c.piece_had(piece)) else { return };
        self.meters.counters.refetched_pieces += u64::from(had.refetched);
        self.readers.reset_deadline(piece);
        self.requests.piece_had(piece);
        self.cache.piece_came();
        self.alert(Alert::PieceFinished { piece });
        for file in had.completed {
            self.alert(Alert::FileCompleted { file });
        }
        // Before those who showed it are forgotten as such, or lose our interest.
        self.announce_piece(now, piece);
        self.offers_changed(now, piece);
        self.update_state(now);
        self.prebuffer_progress();
        self.readers_changed();
    }

    /// Tells the peers that we have the piece.
    fn announce_piece(&mut self, now: Time, piece: u32) {
        let (audience, woken) = (self.audience(), &mut self.out.wake);
        self.peers.for_each_partial(|peer| tell_have(now, peer, piece, audience, woken));
    }

    /// We got the piece: those who have it have so much less for us.
    fn offers_changed(&mut self, now: Time, piece: u32) {
        let Some(content) = &self.content else { return };
        let offers = self.peers.offer_changed(content, piece, true);
        self.requests.linger(now, &offers.showed, &mut self.peers, content);
        for key in offers.changed {
            self.scheduler().update_interest(now, key);
        }
    }

    /// The check found pieces: peers that came before it was over hear of them, and have so much less for us.
    pub(super) fn pieces_found(&mut self, now: Time) {
        let Some(content) = &self.content else { return };
        let found: Vec<u32> = if self.peers.is_empty() { Vec::new() } else { content.have().iter().collect() };
        self.peers.for_each_partial(|peer| peer.haves.count_offers(content.have()));
        for piece in found {
            self.announce_piece(now, piece);
        }
        self.scheduler().update_interests(now);
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
            self.queues().forget(key, piece, block);
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
                self.queues().cancel_each(now, cancelled.unwrap_or_default());
            }
        }
        self.requests.demand_changed();
        self.scheduler().fill_all(now);
    }

    /// The piece came right: who sent other bytes for it before is banned, the rest are innocent.
    pub(super) fn acquit(&mut self, now: Time, piece: u32) {
        let Some(content) = &self.content else { return };
        let verdict = self.smart_ban.passed(piece, content, &mut self.peers);
        for key in verdict.innocent {
            self.peers.set_parole(key, false);
            self.queues().give_up_exclusive(key, true);
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
        self.requests.demand_changed();
        // It may have come back meanwhile.
        let again = |torrent: &Self| {
            let banned = torrent.peers.values().find(|p| torrent.swarm.list().is_banned(p.address()));
            banned.map(|p| p.key())
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
        self.content.as_ref().ok_or_else(Error::no_metadata)?.check_piece(piece)
    }

    /// A file number from a caller.
    pub(super) fn check_file(&self, file: i64) -> Result<u32> {
        self.content.as_ref().ok_or_else(Error::no_metadata)?.check_file(file)
    }

    /// It is this torrent's turn: there is as much as it waits for.
    pub fn memory_came(&mut self, now: Time) {
        self.cache.leave_line();
        self.requests.came_free();
        self.scheduler().fill_everybody(now);
    }

    /// At the end of an event: what others wait for is given back as soon as it is not needed, and a place in line that is of no use
    /// any more is left.
    pub fn settle_memory(&mut self, now: Time) {
        self.scheduler().enforce_limit(now);
        self.scheduler().give_up_what_is_called_in(now);
        self.cache.note_held(self.content.as_ref().map_or(0, Content::blocks_held));
        if self.requests.demand().is_outdated() && self.cache.pool().anybody_waits() {
            self.review_memory(now);
        }
        self.out.memory_wanted |= self.cache.pool().lacks_unasked();
    }

    /// Others wait for memory: gives the first of them what it lacks, as far as it can be spared.
    pub fn yield_memory(&mut self, now: Time) {
        self.scheduler().give_up_what_is_called_in(now);
        // Where nothing goes on, nobody asks again.
        let asked_lately = self.cache.was_asked_lately(now) && self.is_running();
        if !asked_lately && self.cache.others_lack().is_some() {
            // Who read a moment ago may be asleep by now.
            self.requests.demand_changed();
            self.review_memory(now);
        }
    }

    /// Nothing is fetched until it starts again: it waits for no memory, and who does may have what it holds.
    pub(super) fn rest_from_memory(&mut self, now: Time) {
        self.cache.leave_line();
        self.requests.demand_changed();
        self.scheduler().update_shares(now);
        self.yield_memory(now);
    }

    /// Wants it all anew, which leaves the line, takes its place again, and gives what it can spare.
    fn review_memory(&mut self, now: Time) {
        let waited = self.cache.is_in_line();
        let mut scheduler = self.scheduler();
        scheduler.refresh_wants(now);
        if waited {
            scheduler.fill_everybody(now);
        } else {
            scheduler.fill_all(now);
        }
        scheduler.give_back(now);
    }

    /// The session's limit is about to be so many bytes: what can be spared goes, here as in its other torrents, before any of them loses
    /// what it needs.
    pub fn spare(&mut self, now: Time, limit_bytes: u64) {
        self.scheduler().evict_down_to(now, limit_bytes / u64::from(BLOCK_SIZE));
    }

    /// The session's limit was set: the windows follow, and what is beyond it goes.
    pub fn enforce_limit(&mut self, now: Time) {
        self.requests.demand_changed();
        self.scheduler().refresh_wants(now);
        self.scheduler().enforce_limit(now);
        self.requests.demand_changed();
        // A read of a piece that does not fit any more fails.
        self.readers_changed();
        self.scheduler().fill_everybody(now);
    }

    /// Shares of the session changed: the windows follow.
    pub fn shares_changed(&mut self, now: Time) {
        self.requests.demand_changed();
        self.scheduler().fill_all(now);
    }

    /// Protects these pieces, and no others, from eviction. Refused beyond half the session's limit.
    pub fn set_lookbehind(&mut self, now: Time, pieces: &[i64]) -> Result<()> {
        let mut protected = BTreeSet::new();
        for piece in pieces {
            protected.insert(self.check_piece(*piece)?);
        }
        let content = self.content.as_ref().ok_or_else(Error::no_metadata)?;
        self.cache.protect(protected, content, self.config.storage)?;
        self.lookbehind_changed(now);
        Ok(())
    }

    pub fn clear_lookbehind(&mut self, now: Time) {
        self.cache.clear_protected();
        self.lookbehind_changed(now);
    }

    fn lookbehind_changed(&mut self, now: Time) {
        if let Some(content) = &self.content {
            self.out.shares_changed |= self.cache.keep_protected(content, self.config.storage);
        }
        self.requests.demand_changed();
        self.scheduler().fill_all(now);
    }

    /// Can the piece be read back now, without the network?
    pub fn is_lookbehind_available(&mut self, piece: i64) -> Result<bool> {
        let piece = self.check_piece(piece)?;
        let available = self.content.as_ref().is_some_and(|c| c.has(piece));
        self.cache.lookbehind_mut().asked(available);
        Ok(available)
    }
}
