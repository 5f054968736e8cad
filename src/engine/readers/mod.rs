//! Readers at work: what they read, what they wait for and what wakes them; the deadlines beside them.

pub(crate) mod background;
pub mod block_window;
pub mod consumption;
pub mod explanation;
pub mod parts;
pub mod portions;
pub mod prebuffer;
pub mod pressure;
pub mod read;
pub mod reader;
pub mod retries;
pub mod source;
pub mod span;
pub mod status;
pub mod turn;
pub mod waste;
pub mod window;
use std::collections::btree_map::{BTreeMap, Values};

use self::pressure::Pressure;
use self::reader::{Reader, ReaderId, ReaderOptions};
use self::source::Source;
use self::span::Span;
use self::waste::Legacy;
use super::config::StorageKind;
use crate::base::error::{Error, Result, Status};
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

pub use self::source::ReadOutcome;

/// The readers of a torrent, and the deadlines beside them.
#[derive(Debug)]
pub(in crate::engine) struct Readers {
    map: BTreeMap<ReaderId, Reader>,
    deadlines: BTreeMap<u32, Time>,
    /// What the last reader of a file left.
    legacy: Option<Legacy>,
    /// Reads changed what is wanted, and nobody was asked for it yet.
    owes_follow_up: bool,
    pressure: Pressure,
}

impl Readers {
    pub(in crate::engine) fn new(now: Time) -> Self {
        Self {
            map: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            legacy: None,
            owes_follow_up: false,
            pressure: Pressure::new(now),
        }
    }

    pub(in crate::engine) fn map(&self) -> &BTreeMap<ReaderId, Reader> {
        &self.map
    }

    pub(in crate::engine) fn get(&self, id: ReaderId) -> Option<&Reader> {
        self.map.get(&id)
    }

    pub(in crate::engine) fn values(&self) -> Values<'_, ReaderId, Reader> {
        self.map.values()
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.map.len()
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Opens a reader of a file. The file's size.
    pub(in crate::engine) fn open(
        &mut self,
        now: Time,
        id: ReaderId,
        file: u32,
        options: ReaderOptions,
        source: &Source<'_>,
    ) -> Result<u64> {
        let Some(content) = source.content else { return Err(Error::no_metadata()) };
        let layout = content.layout();
        let Some(entry) = layout.file(file as usize) else { return Err(Error::no_metadata()) };
        let span = Span { begin: entry.offset, size: entry.size, piece_length: u64::from(layout.piece_length()) };
        let limit = source.pool.limit();
        if source.config.storage == StorageKind::Memory && source.piece_blocks() > limit && !options.unverified {
            return Err(Error::new(
                Status::OutOfMemory,
                format!(
                    "one piece ({} bytes) does not fit into memory_limit ({} bytes); raise it, or read unverified",
                    layout.piece_length(),
                    limit * u64::from(BLOCK_SIZE)
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
        self.insert(Reader::new(now, id, file, span, options));
        Ok(size)
    }

    /// A new reader accounts for what the last one of its file left.
    fn insert(&mut self, mut reader: Reader) {
        reader.waste.inherit(self.take_legacy(reader.file));
        self.map.insert(reader.id, reader);
    }

    /// False: there is no such reader.
    pub(in crate::engine) fn close(&mut self, id: ReaderId) -> bool {
        self.map.remove(&id).map(|reader| self.bequeath(reader)).is_some()
    }

    /// The torrent is removed.
    pub(in crate::engine) fn clear(&mut self) {
        self.map.clear();
    }

    /// Moves a reader. True: it finds itself in what was fetched ahead.
    pub(in crate::engine) fn seek(&mut self, now: Time, id: ReaderId, position: u64) -> Result<bool> {
        let reader = self.map.get_mut(&id).ok_or_else(gone)?;
        let there = reader.window.ahead.contains(&reader.span.piece_at(position)) && reader.holds(position);
        let near = there && position < reader.span.size;
        if !near {
            reader.waste.leave(reader.window.ahead.clone());
        }
        reader.seek(now, position);
        Ok(near)
    }

    /// Gives a reader other options, as if it had been opened with them where it stands.
    pub(in crate::engine) fn set_options(&mut self, now: Time, id: ReaderId, options: ReaderOptions) -> Result<()> {
        let reader = self.map.get_mut(&id).ok_or_else(gone)?;
        if reader.options.unverified != options.unverified {
            return Err(Error::invalid("a reader is unverified from its opening on or never"));
        }
        reader.set_options(now, options);
        Ok(())
    }

    /// Pieces that are needed by a time, reader or not.
    pub(in crate::engine) fn deadlines(&self) -> &BTreeMap<u32, Time> {
        &self.deadlines
    }

    pub(in crate::engine) fn set_deadline(&mut self, piece: u32, due: Time) {
        self.deadlines.insert(piece, due);
    }

    pub(in crate::engine) fn reset_deadline(&mut self, piece: u32) {
        self.deadlines.remove(&piece);
    }

    pub(in crate::engine) fn clear_deadlines(&mut self) {
        self.deadlines.clear();
    }
}

pub(in crate::engine) fn gone() -> Error {
    Error::new(Status::InvalidStorageIndex, "the torrent of this reader was removed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { begin: 0, size: 100 << 14, piece_length: 1 << 14 };

    #[test]
    fn a_seek_within_the_lookahead_is_near() {
        let (now, id) = (Time::BEGINNING, ReaderId(1));
        let mut readers = Readers::new(now);
        assert!(readers.seek(now, id, 0).is_err(), "there is no such reader");
        let mut reader = Reader::new(now, id, 0, SPAN, ReaderOptions::default());
        reader.window.ahead = 10..14;
        readers.insert(reader);
        for (position, near) in [(10 << 14, true), ((14 << 14) - 1, true), (14 << 14, false), (0, false)] {
            assert_eq!(readers.seek(now, id, position).expect("it is open"), near, "{position}");
            assert_eq!(readers.get(id).map(Reader::position), Some(position));
        }
    }

    #[test]
    fn options_change_but_for_unverified() {
        let (now, id) = (Time::BEGINNING, ReaderId(1));
        let mut readers = Readers::new(now);
        readers.insert(Reader::new(now, id, 0, SPAN, ReaderOptions::default()));
        let background = ReaderOptions { background: true, ..ReaderOptions::default() };
        readers.set_options(now, id, background.clone()).expect("it may");
        readers.set_options(now, id, ReaderOptions { unverified: true, ..background }).expect_err("it may not");
        let options = readers.get(id).expect("it is open").options();
        assert!(options.background && !options.unverified);
    }
}
