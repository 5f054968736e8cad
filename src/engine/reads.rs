//! What a torrent does for who wants its bytes: readers open, read, seek, close, hear why they wait; priorities and deadlines are set.

use std::time::Duration;

use super::cache::admission::Admission;
use super::content::Content;
use super::content::priorities::check_priorities;
use super::diagnosis::Facts;
use super::readers::Readers;
use super::readers::explanation::Explanation;
use super::readers::reader::{ReaderId, ReaderOptions};
use super::readers::status::ReaderStatus;
use super::readers::stored::{ReadOutcome, Stored};
use super::torrent::Torrent;
use crate::base::error::{Error, Result};
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

impl Torrent {
    /// The readers, and where they find their bytes.
    pub(super) fn readers(&mut self) -> (&mut Readers, Stored<'_>) {
        let content = self.content.as_ref();
        let stored = Stored { config: &self.config, run_state: &self.run_state, content, pool: self.cache.pool() };
        (&mut self.readers, stored)
    }

    pub(super) fn stored(&self) -> Stored<'_> {
        Stored {
            config: &self.config,
            run_state: &self.run_state,
            content: self.content.as_ref(),
            pool: self.cache.pool(),
        }
    }

    fn admission(&self) -> Admission<'_> {
        let (cache, readers, revealed) = (&self.cache, &self.readers, self.requests.revealed_picks().taken());
        Admission { config: &self.config, run_state: &self.run_state, cache, readers, revealed }
    }

    pub fn open_reader(&mut self, now: Time, id: ReaderId, file: i64, options: ReaderOptions) -> Result<u64> {
        let file = self.check_file(file)?;
        let (readers, stored) = self.readers();
        let size = readers.open(now, id, file, options, &stored)?;
        self.requests.demand_changed();
        self.scheduler().clear_the_way(now);
        self.scheduler().review_interests(now);
        self.scheduler().fill_all(now);
        Ok(size)
    }

    pub fn close_reader(&mut self, now: Time, id: ReaderId) {
        if self.readers.close(id) {
            self.requests.demand_changed();
            // Without its reader a window is wanted no more: what was asked for it is taken back.
            if self.content.as_ref().is_some_and(|c| !c.picker().has_wanted()) {
                self.scheduler().cancel_unwanted(now);
            }
            self.scheduler().review_interests(now);
            self.scheduler().fill_all(now);
        }
    }

    /// Reads at the reader's position and moves it, or notes that it waits there. What follows for others is left to
    /// [`Torrent::follow_up`], so that who has his bytes need not wait for it.
    pub fn read(&mut self, now: Time, id: ReaderId, len: usize) -> Result<ReadOutcome> {
        let (readers, stored) = self.readers();
        let read = readers.read(now, id, len, &stored);
        self.out.alerts.extend(read.alert);
        if let (Some(piece), Some(content)) = (read.touched, &mut self.content) {
            content.store_mut().touch(piece);
        }
        if read.wants_changed {
            self.requests.demand_changed();
        }
        read.outcome
    }

    /// The same for a reader that goes on within a piece that is in memory: nothing but its position changes, nothing follows, and
    /// the time may be off by some milliseconds. `None`: it takes a [`Torrent::read`].
    pub fn read_on(&mut self, roughly: Time, id: ReaderId, len: usize) -> Option<ReadOutcome> {
        let (readers, stored) = self.readers();
        let (piece, outcome) = readers.read_on(roughly, id, len, &stored)?;
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
            self.scheduler().clear_the_way(now);
            self.scheduler().fill_all(now);
        }
    }

    /// Reads anywhere in the reader's file without moving it; `Wait` makes the place wanted until `stop_probe`.
    pub fn read_at(&mut self, now: Time, id: ReaderId, offset: u64, len: usize, waiting: bool) -> Result<ReadOutcome> {
        let outcome = self.readers.find(id, offset, len, &self.stored())?;
        if matches!(outcome, ReadOutcome::Wait) && !waiting {
            self.readers.begin_probe(now, id, offset);
            self.requests.demand_changed();
            self.call_for_peers(now);
            self.scheduler().fill_all(now);
        }
        Ok(outcome)
    }

    pub fn stop_probe(&mut self, now: Time, id: ReaderId, offset: u64) {
        if self.readers.stop_probe(now, id, offset) {
            self.requests.demand_changed();
        }
    }

    /// The caller's wait ended without data.
    pub fn stop_waiting(&mut self, now: Time, id: ReaderId) {
        if self.readers.stop_waiting(now, id) {
            self.requests.demand_changed();
        }
    }

    /// Moves a reader. In the same event, requests outside all windows are taken back and the new first blocks go out.
    pub fn seek(&mut self, now: Time, id: ReaderId, position: u64) -> Result<()> {
        let near = self.readers.seek(now, id, position)?;
        self.requests.demand_changed();
        if !near {
            self.scheduler().cancel_unwanted(now);
            self.scheduler().cancel_beyond(now);
            self.scheduler().clear_the_way(now);
        }
        self.scheduler().fill_all(now);
        self.readers_changed();
        Ok(())
    }

    /// Gives a reader other options, as if it had been opened with them where it stands. What is not wanted any more is
    /// taken back, and what is wanted now goes out, in the same event.
    pub fn set_reader_options(&mut self, now: Time, id: ReaderId, options: ReaderOptions) -> Result<()> {
        self.readers.set_options(now, id, options)?;
        self.requests.demand_changed();
        self.scheduler().cancel_unwanted(now);
        self.scheduler().clear_the_way(now);
        self.scheduler().fill_all(now);
        self.readers_changed();
        Ok(())
    }

    /// Is the reader's next read worth making? (Data, the end, or the error that stopped the torrent; or data that were there, and are
    /// fetched again only when it is made.)
    pub fn is_ready(&self, id: ReaderId) -> bool {
        self.readers.is_ready(id, &self.stored())
    }

    /// Can a read at this offset return at once?
    pub fn is_readable_at(&self, id: ReaderId, offset: u64) -> bool {
        self.readers.is_readable_at(id, offset, &self.stored())
    }

    pub fn prebuffer(&mut self, now: Time, id: ReaderId, head: u64, tail: u64) -> Result<()> {
        self.readers.prebuffer(id, head, tail)?;
        self.requests.demand_changed();
        // How much it is follows from the window, which is cut anew for it.
        self.scheduler().refresh_wants(now);
        self.scheduler().fill_all(now);
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
        self.stored().find_in_piece(piece, offset, len)
    }

    pub fn reader_status(&self, id: ReaderId) -> Result<ReaderStatus> {
        self.readers.status(id, self.content.as_ref())
    }

    pub fn num_readers(&self) -> u32 {
        self.readers.len() as u32
    }

    /// Is it read in the background alone, while somebody plays in another torrent?
    pub fn gives_way(&self) -> bool {
        self.cache.gives_way()
    }

    /// Bytes that this torrent has or has set aside.
    pub fn memory_held(&self) -> u64 {
        self.content.as_ref().map_or(0, Content::blocks_held) * u64::from(BLOCK_SIZE)
    }

    /// Why the byte at the reader's position is not here yet. Memory that others hold is `other_torrents`', whoever they are.
    pub fn explain(&self, now: Time, id: ReaderId) -> Result<Explanation> {
        let facts = Facts {
            stored: self.stored(),
            cache: &self.cache,
            readers: &self.readers,
            peers: &self.peers,
            swarm: &self.swarm,
            queue: self.requests.queue(now, &self.config.settings, &self.readers),
            bandwidth: self.requests.aggregate().path.bandwidth(),
            rate: self.meters.down.at(now),
            admission: self.admission(),
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

    pub fn piece_priorities(&self) -> Result<Vec<u8>> {
        Ok(self.content.as_ref().ok_or_else(Error::no_metadata)?.piece_priorities())
    }

    /// Sets the priorities of all pieces, one each.
    pub fn prioritize_pieces(&mut self, now: Time, priorities: &[u8]) -> Result<()> {
        self.content.as_mut().ok_or_else(Error::no_metadata)?.prioritize_pieces(priorities)?;
        self.priorities_changed(now);
        Ok(())
    }

    pub fn set_piece_priority(&mut self, now: Time, piece: i64, priority: i64) -> Result<()> {
        let piece = self.content.as_mut().ok_or_else(Error::no_metadata)?.set_piece_priority(piece, priority)?;
        if priority == 0 {
            self.readers.reset_deadline(piece);
        }
        self.priorities_changed(now);
        Ok(())
    }

    pub fn file_priorities(&self) -> Result<Vec<u8>> {
        Ok(self.content.as_ref().ok_or_else(Error::no_metadata)?.file_priorities().to_vec())
    }

    /// Sets the priorities of all files, one each. Piece priorities follow.
    pub fn prioritize_files(&mut self, now: Time, priorities: &[u8]) -> Result<()> {
        check_priorities(priorities)?;
        self.content.as_mut().ok_or_else(Error::no_metadata)?.prioritize_files(priorities)?;
        self.priorities_changed(now);
        Ok(())
    }

    pub fn set_file_priority(&mut self, now: Time, file: i64, priority: i64) -> Result<()> {
        self.content.as_mut().ok_or_else(Error::no_metadata)?.set_file_priority(file, priority)?;
        self.priorities_changed(now);
        Ok(())
    }

    fn priorities_changed(&mut self, now: Time) {
        self.requests.demand_changed();
        // What was evicted and comes again is no news; what is wanted newly is.
        if self.content.as_ref().is_some_and(|c| c.picker().has_wanted()) {
            self.run_state.finished_told = false;
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
        self.requests.demand_changed();
        self.wants_changed(now);
    }

    fn wants_changed(&mut self, now: Time) {
        self.scheduler().review_interests(now);
        let mut scheduler = self.scheduler();
        scheduler.cancel_unpicked(now);
        scheduler.fill_all(now);
    }
}
