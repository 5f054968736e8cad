//! Readers at work: open, read, seek, prebuffer; what they wait for and what wakes them.

pub(crate) mod background;
pub mod block_window;
pub mod consumption;
pub mod diagnosis;
pub mod explanation;
pub mod parts;
pub mod pressure;
pub mod reader;
pub mod retries;
pub mod span;
pub mod turn;
pub mod waste;
pub mod window;
use std::collections::btree_map::{BTreeMap, Values, ValuesMut};

use self::parts::{Part, memory_parts};
use self::reader::{Reader, ReaderId, ReaderOptions};
use self::span::Span;
use self::waste::Legacy;
use super::config::StorageKind;
use super::content::Content;
use super::status::ReaderStatus;
use super::torrent::Torrent;
use crate::alert::Alert;
use crate::base::error::{Error, Result, Status};
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// What a read finds.
#[derive(Debug)]
pub enum ReadOutcome {
    /// Copy these, in order.
    Memory(Vec<Part>),
    /// Verified and on disk: read it there. If that fails, [`Torrent::disk_failed`] wants the generation.
    Disk {
        generation: u64,
        piece: u32,
        offset: u32,
        len: u32,
    },
    /// Nothing is there yet.
    Wait,
    EndOfFile,
}

impl ReadOutcome {
    /// Bytes found.
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(parts) => parts.iter().map(Part::len).sum(),
            Self::Disk { len, .. } => *len as usize,
            Self::Wait | Self::EndOfFile => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The readers of a torrent, and the deadlines beside them.
#[derive(Debug)]
pub(in crate::engine) struct Readers {
    map: BTreeMap<ReaderId, Reader>,
    pub(in crate::engine) deadlines: BTreeMap<u32, Time>,
    /// What the last reader of a file left.
    pub(in crate::engine) legacy: Option<Legacy>,
    /// Reads changed what is wanted, and nobody was asked for it yet.
    pub(in crate::engine) owes_follow_up: bool,
    /// Before then nobody looks whether readers wait for memory.
    pub(in crate::engine) next_pressure_look: Time,
}

impl Readers {
    pub(in crate::engine) fn new(now: Time) -> Self {
        Self {
            map: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            legacy: None,
            owes_follow_up: false,
            next_pressure_look: now,
        }
    }

    pub(in crate::engine) fn map(&self) -> &BTreeMap<ReaderId, Reader> {
        &self.map
    }

    pub(in crate::engine) fn get(&self, id: &ReaderId) -> Option<&Reader> {
        self.map.get(id)
    }

    pub(in crate::engine) fn get_mut(&mut self, id: &ReaderId) -> Option<&mut Reader> {
        self.map.get_mut(id)
    }

    pub(in crate::engine) fn values(&self) -> Values<'_, ReaderId, Reader> {
        self.map.values()
    }

    pub(in crate::engine) fn values_mut(&mut self) -> ValuesMut<'_, ReaderId, Reader> {
        self.map.values_mut()
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.map.len()
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(in crate::engine) fn insert(&mut self, id: ReaderId, reader: Reader) {
        self.map.insert(id, reader);
    }

    pub(in crate::engine) fn remove(&mut self, id: &ReaderId) -> Option<Reader> {
        self.map.remove(id)
    }

    pub(in crate::engine) fn clear(&mut self) {
        self.map.clear();
    }
}

impl Torrent {
    pub fn open_reader(&mut self, now: Time, id: ReaderId, file: i64, options: ReaderOptions) -> Result<u64> {
        let file = self.check_file(file)?;
        let Some(content) = &self.content else { return Err(super::cache::eviction::no_metadata()) };
        let layout = content.layout();
        let Some(entry) = layout.file(file as usize) else { return Err(super::cache::eviction::no_metadata()) };
        let span = Span { begin: entry.offset, size: entry.size, piece_length: u64::from(layout.piece_length()) };
        let blocks = self.piece_blocks();
        if self.config.storage == StorageKind::Memory && blocks > self.cache.pool.limit() && !options.unverified {
            return Err(Error::new(
                Status::OutOfMemory,
                format!(
                    "one piece ({} bytes) does not fit into memory_limit ({} bytes); raise it, or read unverified",
                    layout.piece_length(),
                    self.cache.pool.limit() * u64::from(BLOCK_SIZE)
                ),
            ));
        }
        let size = entry.size;
        let end = options.end.unwrap_or(u64::MAX);
        if options.offset > size || options.offset >= end {
            return Err(Error::invalid(format!(
                "options->offset is {}, allowed is 0 to {size}, and less than options->end",
                options.offset
            )));
        }
        let mut reader = Reader::new(now, id, file, span, options);
        reader.waste.inherit(self.take_legacy(file));
        self.readers.insert(id, reader);
        self.requests.outdated = true;
        self.clear_the_way(now);
        self.review_interests(now);
        self.fill_all(now);
        Ok(size)
    }

    pub fn close_reader(&mut self, now: Time, id: ReaderId) {
        if let Some(reader) = self.readers.remove(&id) {
            self.bequeath(reader);
            self.requests.outdated = true;
            self.cancel_unwanted_memory(now);
            self.review_interests(now);
            self.fill_all(now);
        }
    }

    /// Reads at the reader's position and moves it, or notes that it waits there. What follows for others is left to
    /// [`Torrent::follow_up`], so that who has his bytes need not wait for it.
    pub fn read(&mut self, now: Time, id: ReaderId, len: usize) -> Result<ReadOutcome> {
        let Some(reader) = self.readers.get(&id) else { return Err(gone()) };
        let (span, position, unverified) = (reader.span, reader.position, reader.options.unverified);
        let outcome = self.find(&span, position, len, unverified);
        let never_fits = matches!(outcome, ReadOutcome::Wait) && self.never_fits(id, position);
        let Some(reader) = self.readers.get_mut(&id) else { return Err(gone()) };
        match &outcome {
            // Nobody brings it until the torrent is resumed, or the limit raised.
            ReadOutcome::Wait if self.life.error.is_some() || never_fits => {
                reader.stop_waiting(now);
                self.requests.outdated = true;
                return Err(self.life.error.clone().unwrap_or_else(|| self.too_large(span.piece_at(position))));
            }
            ReadOutcome::Wait => {
                let first = reader.waiting().is_none();
                let stalled = reader.begin_wait(now, len as u64);
                let (file, offset, piece) = (reader.file, position, span.piece_at(position));
                if stalled {
                    self.alert(Alert::ReaderStalled { reader: id.0, file, offset, piece });
                }
                if first {
                    self.requests.outdated = true;
                    self.readers.owes_follow_up = true;
                }
            }
            ReadOutcome::Memory(_) | ReadOutcome::Disk { .. } => self.moved_on(now, id, outcome.len() as u64),
            ReadOutcome::EndOfFile => {}
        }
        Ok(outcome)
    }

    /// The same for a reader that goes on within a piece that is in memory: nothing but its position changes, nothing follows, and
    /// the time may be off by some milliseconds. `None`: it takes a [`Torrent::read`].
    pub fn read_on(&mut self, roughly: Time, id: ReaderId, len: usize) -> Option<ReadOutcome> {
        let reader = self.readers.get(&id).filter(|r| r.flows())?;
        let piece = reader.current_piece()?;
        let outcome = self.find(&reader.span, reader.position, len, reader.options.unverified);
        let n = outcome.len() as u64;
        let end = reader.position + n;
        if !matches!(outcome, ReadOutcome::Memory(_)) || end == reader.span.size || reader.span.piece_at(end) != piece {
            return None;
        }
        self.readers.get_mut(&id)?.advanced(roughly, n);
        self.content.as_mut()?.store_mut().touch(piece);
        Some(outcome)
    }

    /// The bytes could not be read from disk after all: the position goes back, for the caller to try again.
    pub fn read_failed(&mut self, id: ReaderId, n: u64) {
        if let Some(reader) = self.readers.get_mut(&id) {
            reader.position = reader.position.saturating_sub(n);
        }
    }

    fn moved_on(&mut self, now: Time, id: ReaderId, n: u64) {
        let Some(reader) = self.readers.get_mut(&id) else { return };
        let before = reader.current_piece();
        let was_waiting = reader.pending().is_some_and(|w| w.told);
        let proven = reader.proven;
        let (file, offset) = (reader.file, reader.position);
        reader.advanced(now, n);
        let moved = reader.current_piece() != before || reader.proven != proven || reader.left_its_block();
        let touched = before;
        if was_waiting {
            self.alert(Alert::ReaderReady { reader: id.0, file, offset });
        }
        if let (Some(piece), Some(content)) = (touched, &mut self.content) {
            content.store_mut().touch(piece);
        }
        if moved || was_waiting {
            self.requests.outdated = true;
            self.readers.owes_follow_up = true;
        }
    }

    /// Did the reader's last read find nothing?
    pub fn is_waiting(&self, id: ReaderId) -> bool {
        self.readers.get(&id).is_some_and(|r| r.pending().is_some())
    }

    /// Did reads leave something to do?
    pub fn owes_follow_up(&self) -> bool {
        self.readers.owes_follow_up
    }

    /// Asks peers for what the readers want since they read.
    pub fn follow_up(&mut self, now: Time) {
        if self.readers.owes_follow_up {
            self.call_for_peers(now);
            self.clear_the_way(now);
            self.fill_all(now);
        }
    }

    /// Reads anywhere in the reader's file without moving it; `Wait` makes the place wanted until `stop_probe`.
    pub fn read_at(&mut self, now: Time, id: ReaderId, offset: u64, len: usize, waiting: bool) -> Result<ReadOutcome> {
        let Some(reader) = self.readers.get(&id) else { return Err(gone()) };
        let (span, unverified) = (reader.span, reader.options.unverified);
        let outcome = self.find(&span, offset, len, unverified);
        if matches!(outcome, ReadOutcome::Wait) && (self.life.error.is_some() || self.never_fits(id, offset)) {
            return Err(self.life.error.clone().unwrap_or_else(|| self.too_large(span.piece_at(offset))));
        }
        if let (ReadOutcome::Wait, false, Some(reader)) = (&outcome, waiting, self.readers.get_mut(&id)) {
            reader.begin_probe(now, offset);
            self.requests.outdated = true;
            self.call_for_peers(now);
            self.fill_all(now);
        }
        Ok(outcome)
    }

    pub fn stop_probe(&mut self, now: Time, id: ReaderId, offset: u64) {
        self.requests.outdated |= self.readers.get_mut(&id).is_some_and(|reader| reader.stop_probe(now, offset));
    }

    /// The caller's wait ended without data.
    pub fn stop_waiting(&mut self, now: Time, id: ReaderId) {
        if let Some(reader) = self.readers.get_mut(&id) {
            reader.stop_waiting(now);
            self.requests.outdated = true;
        }
    }

    /// Moves a reader. In the same event, requests outside all windows are taken back and the new first blocks go out.
    pub fn seek(&mut self, now: Time, id: ReaderId, position: u64) -> Result<()> {
        let Some(reader) = self.readers.get_mut(&id) else { return Err(gone()) };
        let there = reader.window.ahead.contains(&reader.span.piece_at(position)) && reader.holds(position);
        let near = there && position < reader.span.size;
        if !near {
            reader.waste.leave(reader.window.ahead.clone());
        }
        reader.seek(now, position);
        self.requests.outdated = true;
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
        let Some(reader) = self.readers.get_mut(&id) else { return Err(gone()) };
        if reader.options.unverified != options.unverified {
            return Err(Error::invalid("a reader is unverified from its opening on or never"));
        }
        reader.set_options(now, options);
        self.requests.outdated = true;
        self.cancel_unwanted(now);
        self.clear_the_way(now);
        self.fill_all(now);
        self.readers_changed();
        Ok(())
    }

    /// Without its reader a window is wanted no more: what was asked for it is taken back.
    fn cancel_unwanted_memory(&mut self, now: Time) {
        if self.content.as_ref().is_some_and(|c| !c.picker().has_wanted()) {
            self.cancel_unwanted(now);
        }
    }

    /// Is the reader's next read worth making? (Data, the end, or the error that stopped the torrent; or data that were there, and are
    /// fetched again only when it is made.)
    pub fn is_ready(&self, id: ReaderId) -> bool {
        let was_answered = |r: &Reader| r.pending().is_some() && r.waiting().is_none();
        self.life.error.is_some()
            || self.has_bytes_for(id)
            || self.readers.get(&id).is_some_and(|r| self.never_fits(id, r.position) || was_answered(r))
    }

    /// Does the reader need all of a piece there that is larger than memory?
    fn never_fits(&self, id: ReaderId, offset: u64) -> bool {
        let reader = self.readers.get(&id).filter(|r| offset < r.span.size);
        reader.is_some_and(|r| self.is_too_large(r, r.span.piece_at(offset)))
    }

    fn too_large(&self, piece: u32) -> Error {
        let layout = self.content.as_ref().map(|c| c.layout());
        let (size, limit) =
            (layout.map_or(0, |l| l.piece_size(piece)), self.cache.pool.limit() * u64::from(BLOCK_SIZE));
        Error::new(Status::OutOfMemory, format!("piece {piece} has {size} bytes, and memory_limit is {limit} bytes"))
    }

    /// Does the reader's next read find something?
    pub(super) fn has_bytes_for(&self, id: ReaderId) -> bool {
        let Some(reader) = self.readers.get(&id) else { return true };
        !matches!(self.find(&reader.span, reader.position, 1, reader.options.unverified), ReadOutcome::Wait)
    }

    /// Can a read at this offset return at once?
    pub fn is_readable_at(&self, id: ReaderId, offset: u64) -> bool {
        let Some(reader) = self.readers.get(&id).filter(|_| self.life.error.is_none()) else { return true };
        !matches!(self.find(&reader.span, offset, 1, reader.options.unverified), ReadOutcome::Wait)
            || self.never_fits(id, offset)
    }

    pub fn prebuffer(&mut self, now: Time, id: ReaderId, head: u64, tail: u64) -> Result<()> {
        let Some(reader) = self.readers.get_mut(&id) else { return Err(gone()) };
        reader.prebuffer(head, tail);
        self.requests.outdated = true;
        // How much it is follows from the window, which is cut anew for it.
        self.refresh_wants(now);
        self.fill_all(now);
        self.prebuffer_progress();
        Ok(())
    }

    /// Tells how prebuffering readers get on: with each piece, until all is there.
    pub(super) fn prebuffer_progress(&mut self) {
        let Some(content) = &self.content else { return };
        for reader in self.readers.values_mut() {
            let Some(prebuffer) = &reader.prebuffer else { continue };
            let (done, total) = prebuffer_bytes(content, reader);
            // The window may still be without what was asked for.
            let unknown = total == 0 && !(prebuffer.head.is_empty() && prebuffer.tail.is_empty());
            if unknown || prebuffer.told == Some(done) || prebuffer.told == Some(total) {
                continue;
            }
            self.out.alerts.push(Alert::PrebufferProgress {
                reader: reader.id.0,
                file: reader.file,
                bytes_done: done,
                bytes_total: total,
            });
            if let Some(prebuffer) = &mut reader.prebuffer {
                prebuffer.told = Some(done);
            }
        }
    }

    /// What lies at an offset of a file and can be read now.
    fn find(&self, span: &Span, offset: u64, len: usize, unverified: bool) -> ReadOutcome {
        if offset >= span.size {
            return ReadOutcome::EndOfFile;
        }
        let Some(content) = &self.content else { return ReadOutcome::Wait };
        let len = (len as u64).min(span.size - offset);
        let at = span.begin + offset;
        if self.config.storage == StorageKind::Disk {
            let piece = (at / span.piece_length) as u32;
            if content.has(piece) {
                let inside = at % span.piece_length;
                let left = u64::from(content.layout().piece_size(piece)) - inside;
                return self.on_disk(piece, inside, left.min(len));
            }
        }
        let parts = memory_parts(content, at, len, unverified);
        if parts.is_empty() { ReadOutcome::Wait } else { ReadOutcome::Memory(parts) }
    }

    fn on_disk(&self, piece: u32, offset: u64, len: u64) -> ReadOutcome {
        let (offset, len) = (offset as u32, len.min(1 << 20) as u32);
        ReadOutcome::Disk { generation: self.life.disk_generation, piece, offset, len }
    }

    /// Reads a piece without waiting and without a reader.
    pub fn find_in_piece(&self, piece: i64, offset: u64, len: usize) -> Result<ReadOutcome> {
        let piece = self.check_piece(piece)?;
        let Some(content) = &self.content else { return Err(super::cache::eviction::no_metadata()) };
        let size = u64::from(content.layout().piece_size(piece));
        if offset > size {
            return Err(Error::invalid(format!("offset {offset} is out of range: piece {piece} has {size} bytes")));
        }
        let len = (len as u64).min(size - offset);
        if len == 0 {
            return Ok(ReadOutcome::Memory(Vec::new()));
        }
        if self.config.storage == StorageKind::Disk && content.has(piece) {
            return Ok(self.on_disk(piece, offset, len));
        }
        let parts = memory_parts(content, content.layout().piece_offset(piece) + offset, len, false);
        Ok(if parts.is_empty() { ReadOutcome::Wait } else { ReadOutcome::Memory(parts) })
    }

    pub fn reader_status(&self, id: ReaderId) -> Result<ReaderStatus> {
        let (Some(r), Some(content)) = (self.readers.get(&id), &self.content) else { return Err(gone()) };
        let (prebuffer_done, prebuffer_total) = prebuffer_bytes(content, r);
        let window = r.window_bytes();
        let micros = |d: std::time::Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        Ok(ReaderStatus {
            torrent: crate::base::storage_index::StorageIndex::INVALID,
            file: r.file,
            position: r.position,
            size: r.span.size,
            buffered_ahead: self.buffered(content, r, true),
            buffered_behind: self.buffered(content, r, false),
            window_begin: window.start,
            window_end: window.end,
            lookahead: window.end.saturating_sub(r.position),
            lookbehind: r.position.saturating_sub(window.start),
            stalls: r.counters.stalls,
            stall_time_us: r.counters.stall_time.as_micros() as u64,
            time_to_first_byte_us: r.counters.time_to_first_byte.map_or(-1, micros),
            last_seek_latency_us: r.counters.last_seek_latency.map_or(-1, micros),
            bytes_read: r.counters.bytes_read,
            seeks: r.counters.seeks,
            bitrate: r.bitrate(),
            background: r.options.background,
            waiting: r.waiting().is_some(),
            prebuffer_done,
            prebuffer_total,
            wasted_bytes: r.waste.wasted,
            duplicate_bytes: r.waste.duplicate,
        })
    }

    /// Contiguous bytes of the file that can be read from the position on, or right before it.
    fn buffered(&self, content: &Content, r: &Reader, ahead: bool) -> u64 {
        let (begin, end) = (r.span.begin, r.span.begin + r.span.size);
        let at = begin + r.position.min(r.span.size);
        let mut to = at;
        if ahead {
            while to < end
                && let Some(there) = readable_at(content, to, r.options.unverified)
            {
                to = there.end;
            }
            to.min(end) - at
        } else {
            // Of the byte before the position: a reader that waits stands at the start of what is missing.
            while to > begin
                && let Some(there) = readable_at(content, to - 1, r.options.unverified)
            {
                to = there.start;
            }
            at - to.max(begin)
        }
    }

    pub fn num_readers(&self) -> u32 {
        self.readers.len() as u32
    }
}

/// The bytes of the torrent that can be read with the one at `offset`: its piece, or, before that is verified, its block.
fn readable_at(content: &Content, offset: u64, unverified: bool) -> Option<std::ops::Range<u64>> {
    let layout = content.layout();
    let piece = (offset / content.piece_length()) as u32;
    let start = layout.piece_offset(piece);
    if content.has(piece) {
        return Some(start..start + u64::from(layout.piece_size(piece)));
    }
    let block = ((offset - start) / u64::from(BLOCK_SIZE)) as u32;
    let data = content.store().block(piece, block, unverified)?;
    let start = start + u64::from(block) * u64::from(BLOCK_SIZE);
    Some(start..start + u64::from(data.len()))
}

/// How much of a prebuffer is here, in bytes, and how much it is.
fn prebuffer_bytes(content: &Content, reader: &Reader) -> (u64, u64) {
    let Some(prebuffer) = &reader.prebuffer else { return (0, 0) };
    let layout = content.layout();
    let inside = |p: &u32| reader.window.contains(*p) || content.has(*p);
    let pieces: std::collections::BTreeSet<u32> =
        prebuffer.head.clone().chain(prebuffer.tail.clone()).filter(inside).collect();
    let total = pieces.iter().map(|p| u64::from(layout.piece_size(*p))).sum();
    let done = pieces.iter().filter(|p| content.has(**p)).map(|p| u64::from(layout.piece_size(*p))).sum();
    (done, total)
}

pub(super) fn gone() -> Error {
    Error::new(Status::InvalidStorageIndex, "the torrent of this reader was removed")
}
