//! A read, and what follows from it.

use super::open_readers::{Readers, gone};
use super::reader::{Reader, ReaderId};
use super::stored::{ReadOutcome, Stored};
use crate::alert::Alert;
use crate::base::error::Result;
use crate::base::time::Time;

/// What a read comes to.
#[derive(Debug)]
pub(in crate::engine) struct Read {
    pub outcome: Result<ReadOutcome>,
    pub alert: Option<Alert>,
    /// The piece that was read in.
    pub touched: Option<u32>,
    /// What is wanted is something else now.
    pub wants_changed: bool,
}

impl Read {
    fn of(outcome: Result<ReadOutcome>) -> Self {
        Self { outcome, alert: None, touched: None, wants_changed: false }
    }
}

impl Readers {
    /// Reads at the reader's position and moves it, or notes that it waits there.
    pub(in crate::engine) fn read(&mut self, now: Time, id: ReaderId, len: usize, stored: &Stored<'_>) -> Read {
        let Some(reader) = self.map.get_mut(&id) else { return Read::of(Err(gone())) };
        let outcome = stored.find(&reader.span, reader.position, len, reader.options.unverified);
        match &outcome {
            ReadOutcome::Wait => {
                if let Some(error) = stored.why_not_wait(reader, reader.position) {
                    reader.stop_waiting(now);
                    return Read { wants_changed: true, ..Read::of(Err(error)) };
                }
                let first = reader.waiting().is_none();
                let stalled = reader.begin_wait(now, len as u64);
                let (file, offset, piece) = (reader.file, reader.position, reader.span.piece_at(reader.position));
                self.owes_follow_up |= first;
                Read {
                    alert: stalled.then_some(Alert::ReaderStalled { reader: id.0, file, offset, piece }),
                    wants_changed: first,
                    ..Read::of(Ok(outcome))
                }
            }
            ReadOutcome::Memory(_) | ReadOutcome::Disk { .. } => {
                let touched = reader.current_piece();
                let (file, offset) = (reader.file, reader.position);
                let was_waiting = reader.pending().is_some_and(|w| w.told);
                let changed = reader.moves_on(now, outcome.len() as u64) || was_waiting;
                self.owes_follow_up |= changed;
                Read {
                    alert: was_waiting.then_some(Alert::ReaderReady { reader: id.0, file, offset }),
                    touched,
                    wants_changed: changed,
                    ..Read::of(Ok(outcome))
                }
            }
            ReadOutcome::EndOfFile => Read::of(Ok(outcome)),
        }
    }

    /// The same for a reader that goes on within a piece that is in memory: the piece, and what was found in it.
    pub(in crate::engine) fn read_on(
        &mut self,
        roughly: Time,
        id: ReaderId,
        len: usize,
        stored: &Stored<'_>,
    ) -> Option<(u32, ReadOutcome)> {
        let reader = self.map.get_mut(&id).filter(|r| r.flows())?;
        let piece = reader.current_piece()?;
        let outcome = stored.find(&reader.span, reader.position, len, reader.options.unverified);
        let n = outcome.len() as u64;
        let end = reader.position + n;
        if !matches!(outcome, ReadOutcome::Memory(_)) || end == reader.span.size || reader.span.piece_at(end) != piece {
            return None;
        }
        reader.advanced(roughly, n);
        Some((piece, outcome))
    }

    /// Reads anywhere in the reader's file without moving it.
    pub(in crate::engine) fn find(
        &self,
        id: ReaderId,
        offset: u64,
        len: usize,
        stored: &Stored<'_>,
    ) -> Result<ReadOutcome> {
        let reader = self.get(id).ok_or_else(gone)?;
        let outcome = stored.find(&reader.span, offset, len, reader.options.unverified);
        let why_not = if matches!(outcome, ReadOutcome::Wait) { stored.why_not_wait(reader, offset) } else { None };
        why_not.map_or(Ok(outcome), Err)
    }

    /// The bytes could not be read from disk after all: the position goes back, for the caller to try again.
    pub(in crate::engine) fn read_failed(&mut self, id: ReaderId, n: u64) {
        if let Some(reader) = self.map.get_mut(&id) {
            reader.position = reader.position.saturating_sub(n);
        }
    }

    /// A `read_at` waits for what lies there.
    pub(in crate::engine) fn begin_probe(&mut self, now: Time, id: ReaderId, offset: u64) {
        if let Some(reader) = self.map.get_mut(&id) {
            reader.begin_probe(now, offset);
        }
    }

    /// Its caller got it, or gave up. False: there is none.
    pub(in crate::engine) fn stop_probe(&mut self, now: Time, id: ReaderId, offset: u64) -> bool {
        self.map.get_mut(&id).is_some_and(|reader| reader.stop_probe(now, offset))
    }

    /// The caller's wait ended without data. False: there is no such reader.
    pub(in crate::engine) fn stop_waiting(&mut self, now: Time, id: ReaderId) -> bool {
        let reader = self.map.get_mut(&id);
        reader.map(|reader| reader.stop_waiting(now)).is_some()
    }

    /// Reads whose bytes are there wait no more.
    pub(in crate::engine) fn answer_reads(&mut self, now: Time, stored: &Stored<'_>) {
        let waiting = self.map.values_mut().filter(|r| r.waiting().is_some());
        waiting.filter(|r| stored.has_bytes_for(r)).for_each(|r| r.answer(now));
    }

    /// Did the reader's last read find nothing?
    pub(in crate::engine) fn is_waiting(&self, id: ReaderId) -> bool {
        self.get(id).is_some_and(|r| r.pending().is_some())
    }

    /// Is the reader's next read worth making? (Data, the end, or the error that stopped the torrent; or data that were there, and are
    /// fetched again only when it is made.)
    pub(in crate::engine) fn is_ready(&self, id: ReaderId, stored: &Stored<'_>) -> bool {
        let was_answered = |r: &Reader| r.pending().is_some() && r.waiting().is_none();
        let is_ready = |r: &Reader| stored.has_bytes_for(r) || stored.never_fits(r, r.position) || was_answered(r);
        stored.run_state.error.is_some() || self.get(id).is_none_or(is_ready)
    }

    /// Can a read at this offset return at once?
    pub(in crate::engine) fn is_readable_at(&self, id: ReaderId, offset: u64, stored: &Stored<'_>) -> bool {
        let returns = |r: &Reader| stored.has_bytes_at(r, offset) || stored.never_fits(r, offset);
        stored.run_state.error.is_some() || self.get(id).is_none_or(returns)
    }

    /// Did reads leave something to do: is something wanted for which nobody was asked yet?
    pub(in crate::engine) fn owes_follow_up(&self) -> bool {
        self.owes_follow_up
    }

    /// Peers were asked for what is wanted.
    pub(in crate::engine) fn followed_up(&mut self) {
        self.owes_follow_up = false;
    }
}

impl Reader {
    /// So many bytes at the position went to the caller. Is something else wanted from there on?
    fn moves_on(&mut self, now: Time, n: u64) -> bool {
        let before = (self.current_piece(), self.lookahead_unlocked);
        self.advanced(now, n);
        (self.current_piece(), self.lookahead_unlocked) != before || self.left_its_block()
    }
}
