//! The readers of a torrent that are open, and the deadlines beside them.

use std::collections::btree_map::{BTreeMap, Values};

use super::explanation::Explanation;
use super::pressure::Pressure;
use super::reader::{Reader, ReaderId, ReaderOptions};
use super::span::Span;
use super::stored::Stored;
use super::waste::AbandonedWindow;
use crate::alert::Alert;
use crate::base::error::{Error, Result, Status};
use crate::base::time::Time;
use crate::engine::config::StorageKind;
use crate::memory::pool::BLOCK_SIZE;

/// The readers of a torrent, and the deadlines beside them.
#[derive(Debug)]
pub(in crate::engine) struct Readers {
    pub(super) map: BTreeMap<ReaderId, Reader>,
    pub(super) deadlines: BTreeMap<u32, Time>,
    /// What the last reader of a file left.
    abandoned: Option<AbandonedWindow>,
    /// Reads changed what is wanted, and nobody was asked for it yet.
    pub(super) owes_follow_up: bool,
    pressure: Pressure,
}

impl Readers {
    pub(in crate::engine) fn new(now: Time) -> Self {
        Self {
            map: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            abandoned: None,
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
        stored: &Stored<'_>,
    ) -> Result<u64> {
        let Some(content) = stored.content else { return Err(Error::no_metadata()) };
        let layout = content.layout();
        let Some(entry) = layout.file(file as usize) else { return Err(Error::no_metadata()) };
        let span = Span { begin: entry.offset, size: entry.size, piece_length: u64::from(layout.piece_length()) };
        let limit = stored.pool.limit();
        if stored.config.storage == StorageKind::Memory && stored.piece_blocks() > limit && !options.unverified {
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
    pub(super) fn insert(&mut self, mut reader: Reader) {
        let left = self.abandoned.take_if(|l| l.file() == reader.file).map(AbandonedWindow::into_left);
        reader.waste.inherit(left.unwrap_or_default());
        self.map.insert(reader.id, reader);
    }

    /// A reader closes: who reads the same file now, or will next, hears of what was asked for it.
    fn bequeath(&mut self, reader: Reader) {
        let Reader { file, window, mut waste, .. } = reader;
        waste.leave(window.ahead);
        let left = AbandonedWindow::of(file, waste);
        match self.map.values_mut().rfind(|r| r.file == file) {
            Some(heir) => heir.waste.inherit(left.into_left()),
            None => self.abandoned = Some(left),
        }
    }

    /// Bytes of a block came that nobody waits for (any more): counts them to the readers that they were for. `here`: it was here before.
    pub(in crate::engine) fn count_stray(&mut self, piece: u32, bytes: u32, here: bool) {
        for reader in self.map.values_mut() {
            let wanted = reader.window.contains(piece);
            reader.waste.count(piece, bytes, here, wanted);
        }
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

    /// Those that have waited for long enough, if it is time to look why.
    pub(in crate::engine) fn look_who_waits(&mut self, now: Time) -> Vec<ReaderId> {
        self.pressure.look_who_waits(now, self.map.values())
    }

    /// What there is to tell of them, if it is memory that one waits for.
    pub(in crate::engine) fn memory_pressure(&mut self, now: Time, told: &[Explanation]) -> Option<Alert> {
        self.pressure.alert(now, told)
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
