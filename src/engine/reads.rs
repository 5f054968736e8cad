//! What a torrent does for its readers: opens, reads, seeks, closes, explains; and what it takes back when they move.

use std::collections::BTreeSet;

use super::bandwidth::path::QueueTime;
use super::content::Content;
use super::content::pieces::{PeerKey, Stage};
use super::peer::Peer;
use super::readers::Readers;
use super::readers::diagnosis::Facts;
use super::readers::explanation::Explanation;
use super::readers::reader::{ReaderId, ReaderOptions};
use super::readers::source::{ReadOutcome, Source};
use super::requests::demand::Class;
use super::status::ReaderStatus;
use super::torrent::Torrent;
use crate::base::error::Result;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// A queue so many times as long as what keeps a way full was asked for when nobody played.
const MUCH_TOO_LONG: usize = 2;

impl Torrent {
    /// The readers, and where they find their bytes.
    pub(super) fn readers(&mut self) -> (&mut Readers, Source<'_>) {
        let content = self.content.as_ref();
        let source = Source { config: &self.config, life: &self.life, content, cache: &self.cache };
        (&mut self.readers, source)
    }

    pub(super) fn source(&self) -> Source<'_> {
        Source { config: &self.config, life: &self.life, content: self.content.as_ref(), cache: &self.cache }
    }

    pub fn open_reader(&mut self, now: Time, id: ReaderId, file: i64, options: ReaderOptions) -> Result<u64> {
        let file = self.check_file(file)?;
        let (readers, source) = self.readers();
        let size = readers.open(now, id, file, options, &source)?;
        self.requests.demand.changed();
        self.clear_the_way(now);
        self.review_interests(now);
        self.fill_all(now);
        Ok(size)
    }

    pub fn close_reader(&mut self, now: Time, id: ReaderId) {
        if self.readers.close(id) {
            self.requests.demand.changed();
            // Without its reader a window is wanted no more: what was asked for it is taken back.
            if self.content.as_ref().is_some_and(|c| !c.picker().has_wanted()) {
                self.cancel_unwanted(now);
            }
            self.review_interests(now);
            self.fill_all(now);
        }
    }

    /// Reads at the reader's position and moves it, or notes that it waits there. What follows for others is left to
    /// [`Torrent::follow_up`], so that who has his bytes need not wait for it.
    pub fn read(&mut self, now: Time, id: ReaderId, len: usize) -> Result<ReadOutcome> {
        let (readers, source) = self.readers();
        let read = readers.read(now, id, len, &source);
        self.out.alerts.extend(read.alert);
        if let (Some(piece), Some(content)) = (read.touched, &mut self.content) {
            content.store_mut().touch(piece);
        }
        if read.wants_changed {
            self.requests.demand.changed();
        }
        read.outcome
    }

    /// The same for a reader that goes on within a piece that is in memory: nothing but its position changes, nothing follows, and
    /// the time may be off by some milliseconds. `None`: it takes a [`Torrent::read`].
    pub fn read_on(&mut self, roughly: Time, id: ReaderId, len: usize) -> Option<ReadOutcome> {
        let (readers, source) = self.readers();
        let (piece, outcome) = readers.read_on(roughly, id, len, &source)?;
        self.content.as_mut()?.store_mut().touch(piece);
        Some(outcome)
    }

    /// The bytes could not be read from disk after all: the position goes back, for the caller to try again.
    pub fn read_failed(&mut self, id: ReaderId, n: u64) {
        self.readers.read_failed(id, n);
    }

    /// Did the reader's last read find nothing?
    pub fn is_waiting(&self, id: ReaderId) -> bool {
        self.readers.is_waiting(id)
    }

    /// Did reads leave something to do?
    pub fn owes_follow_up(&self) -> bool {
        self.readers.owes_follow_up()
    }

    /// Asks peers for what the readers want since they read.
    pub fn follow_up(&mut self, now: Time) {
        if self.readers.owes_follow_up() {
            self.call_for_peers(now);
            self.clear_the_way(now);
            self.fill_all(now);
        }
    }

    /// Reads anywhere in the reader's file without moving it; `Wait` makes the place wanted until `stop_probe`.
    pub fn read_at(&mut self, now: Time, id: ReaderId, offset: u64, len: usize, waiting: bool) -> Result<ReadOutcome> {
        let outcome = self.readers.find(id, offset, len, &self.source())?;
        if matches!(outcome, ReadOutcome::Wait) && !waiting {
            self.readers.begin_probe(now, id, offset);
            self.requests.demand.changed();
            self.call_for_peers(now);
            self.fill_all(now);
        }
        Ok(outcome)
    }

    pub fn stop_probe(&mut self, now: Time, id: ReaderId, offset: u64) {
        if self.readers.stop_probe(now, id, offset) {
            self.requests.demand.changed();
        }
    }

    /// The caller's wait ended without data.
    pub fn stop_waiting(&mut self, now: Time, id: ReaderId) {
        if self.readers.stop_waiting(now, id) {
            self.requests.demand.changed();
        }
    }

    /// Moves a reader. In the same event, requests outside all windows are taken back and the new first blocks go out.
    pub fn seek(&mut self, now: Time, id: ReaderId, position: u64) -> Result<()> {
        let near = self.readers.seek(now, id, position)?;
        self.requests.demand.changed();
        if !near {
            self.cancel_unwanted(now);
            self.cancel_beyond(now);
            self.clear_the_way(now);
        }
        self.fill_all(now);
        self.readers_changed();
        Ok(())
    }

    /// Gives a reader other options, as if it had been opened with them where it stands. What is not wanted any more is
    /// taken back, and what is wanted now goes out, in the same event.
    pub fn set_reader_options(&mut self, now: Time, id: ReaderId, options: ReaderOptions) -> Result<()> {
        self.readers.set_options(now, id, options)?;
        self.requests.demand.changed();
        self.cancel_unwanted(now);
        self.clear_the_way(now);
        self.fill_all(now);
        self.readers_changed();
        Ok(())
    }

    /// Is the reader's next read worth making? (Data, the end, or the error that stopped the torrent; or data that were there, and are
    /// fetched again only when it is made.)
    pub fn is_ready(&self, id: ReaderId) -> bool {
        self.readers.is_ready(id, &self.source())
    }

    /// Can a read at this offset return at once?
    pub fn is_readable_at(&self, id: ReaderId, offset: u64) -> bool {
        self.readers.is_readable_at(id, offset, &self.source())
    }

    pub fn prebuffer(&mut self, now: Time, id: ReaderId, head: u64, tail: u64) -> Result<()> {
        self.readers.prebuffer(id, head, tail)?;
        self.requests.demand.changed();
        // How much it is follows from the window, which is cut anew for it.
        self.refresh_wants(now);
        self.fill_all(now);
        self.prebuffer_progress();
        Ok(())
    }

    /// Tells how prebuffering readers get on.
    pub(super) fn prebuffer_progress(&mut self) {
        let Some(content) = &self.content else { return };
        self.out.alerts.extend(self.readers.prebuffer_progress(content));
    }

    /// Reads a piece without waiting and without a reader.
    pub fn find_in_piece(&self, piece: i64, offset: u64, len: usize) -> Result<ReadOutcome> {
        let piece = self.check_piece(piece)?;
        self.source().find_in_piece(piece, offset, len)
    }

    pub fn reader_status(&self, id: ReaderId) -> Result<ReaderStatus> {
        self.readers.status(id, self.content.as_ref())
    }

    pub fn num_readers(&self) -> u32 {
        self.readers.len() as u32
    }

    /// Is it read in the background alone, while somebody plays in another torrent?
    pub fn gives_way(&self) -> bool {
        self.cache.share.gives_way()
    }

    /// Bytes that this torrent has or has set aside.
    pub fn memory_held(&self) -> u64 {
        self.blocks_held() * u64::from(BLOCK_SIZE)
    }

    /// Why the byte at the reader's position is not here yet. Memory that others hold is `other_torrents`', whoever they are.
    pub fn explain(&self, now: Time, id: ReaderId) -> Result<Explanation> {
        let admits = |content: &Content, class: Class, piece: u32| self.admits(content, class, piece);
        let facts = Facts {
            source: self.source(),
            readers: &self.readers,
            peers: &self.peers,
            swarm: &self.swarm,
            queue: self.queue(now),
            bandwidth: self.requests.aggregate.path.bandwidth(),
            rate: self.meters.down.at(now),
            in_line: self.line.member.is_waiting(),
            admits: &admits,
        };
        facts.explain(now, id)
    }

    /// Tells, if it is so, that a read has waited because memory is full.
    pub(super) fn tell_pressure(&mut self, now: Time) {
        let waiting = self.readers.look_who_waits(now);
        let told: Vec<Explanation> = waiting.into_iter().filter_map(|id| self.explain(now, id).ok()).collect();
        self.out.alerts.extend(self.readers.memory_pressure(now, &told));
    }

    /// Bytes of a block came that nobody waits for (any more).
    pub(super) fn count_stray(&mut self, piece: u32, block: u32, bytes: u32) {
        let Some(content) = &self.content else { return };
        let stored = content.store().slot(piece).and_then(|s| s.blocks().get(block as usize));
        let here = content.has(piece) || stored.is_some_and(|b| b.data().is_some());
        self.readers.count_stray(piece, bytes, here);
    }

    /// Somebody begins to play: where peers were asked for far more than keeps the way full, as nobody did, all that is not for him is
    /// taken back. It would come before what he waits for. It is asked for again behind that.
    fn clear_the_way(&mut self, now: Time) {
        // Nearly always nothing is to be cleared: a look at all peers for each wait of a player would cost more than the rest of it.
        if !self.requests.were_asked_far_ahead() || !self.may_ask() {
            return;
        }
        self.refresh_wants(now);
        if !matches!(self.queue_time(now), QueueTime::Least { .. }) {
            return;
        }
        self.requests.way_is_clear();
        let queue = self.queue(now);
        let all_wait = queue.most().is_some_and(|most| self.outstanding() > most * MUCH_TOO_LONG as u64);
        let waits = |p: &&Peer| p.requests.len() > queue.target(p) * MUCH_TOO_LONG;
        let keys: Vec<PeerKey> = self.peers.values().filter(|p| all_wait || waits(p)).map(|p| p.key).collect();
        if keys.is_empty() {
            return;
        }
        let urgent: BTreeSet<u32> =
            self.requests.demand.wants().iter().take_while(|w| w.class < Class::Background).map(|w| w.piece).collect();
        keys.into_iter().for_each(|key| self.cancel_requests(now, key, |piece| !urgent.contains(&piece)));
    }

    /// After a seek: what was asked for of pieces that are read block by block, and lies outside what is wanted now, is taken back.
    fn cancel_beyond(&mut self, now: Time) {
        self.refresh_wants(now);
        for (key, piece, block) in self.readers.asked_beyond(self.requests.demand.wants(), &self.peers) {
            self.send_cancel(now, key, piece, block);
            self.release_request(key, piece, block);
        }
    }

    /// Lets go of the block that is furthest from all who read block by block. True if there was one.
    pub(super) fn let_one_go(&mut self, now: Time) -> bool {
        let Some(content) = &mut self.content else { return false };
        let Some((piece, block)) = self.readers.furthest_block(content, &self.cache) else { return false };
        let kept = content.store().slot(piece).is_some_and(|s| s.stage() == Stage::Kept);
        content.store_mut().break_up(piece);
        content.store_mut().let_go(piece, block);
        if kept {
            self.lose(now, piece);
            self.requests.demand.changed();
        }
        true
    }

    /// What was let go is to be had again, where it is wanted back.
    pub(super) fn take_back_passed(&mut self) {
        let Some(content) = &mut self.content else { return };
        let pieces = self.readers.wanted_back(content, self.requests.demand.wants());
        pieces.into_iter().for_each(|piece| content.store_mut().rewind(piece));
    }
}
