//! Where reads find their bytes: in memory, or on disk.

use super::parts::{Part, memory_parts};
use super::reader::Reader;
use super::span::Span;
use crate::base::error::{Error, Result, Status};
use crate::engine::config::{Config, StorageKind};
use crate::engine::content::Content;
use crate::engine::run_state::RunState;
use crate::memory::pool::{BLOCK_SIZE, Pool};

/// Most bytes that are read from disk at once.
const MAX_DISK_READ: u64 = 1 << 20;

/// What a read finds.
#[derive(Debug)]
pub enum ReadOutcome {
    /// Copy these, in order.
    Memory(Vec<Part>),
    /// Verified and on disk: read it there. If that fails, the torrent's `disk_failed` wants the generation.
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

/// The rest of the torrent, as far as it matters to what a read finds.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Stored<'a> {
    pub config: &'a Config,
    pub run_state: &'a RunState,
    pub content: Option<&'a Content>,
    pub pool: &'a Pool,
}

impl Stored<'_> {
    /// Blocks of a piece, but for the last one.
    pub fn piece_blocks(&self) -> u64 {
        self.content.map_or(1, |c| u64::from(c.layout().blocks_in_piece(0)))
    }

    /// What lies at an offset of a file and can be read now.
    pub fn find(&self, span: &Span, offset: u64, len: usize, unverified: bool) -> ReadOutcome {
        if offset >= span.size {
            return ReadOutcome::EndOfFile;
        }
        let Some(content) = self.content else { return ReadOutcome::Wait };
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

    /// Reads a piece without waiting and without a reader.
    pub fn find_in_piece(&self, piece: u32, offset: u64, len: usize) -> Result<ReadOutcome> {
        let Some(content) = self.content else { return Err(Error::no_metadata()) };
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

    fn on_disk(&self, piece: u32, offset: u64, len: u64) -> ReadOutcome {
        let (offset, len) = (offset as u32, len.min(MAX_DISK_READ) as u32);
        ReadOutcome::Disk { generation: self.run_state.disk_generation, piece, offset, len }
    }

    /// Can a read of the reader at this offset return at once?
    pub fn has_bytes_at(&self, reader: &Reader, offset: u64) -> bool {
        !matches!(self.find(&reader.span, offset, 1, reader.options.unverified), ReadOutcome::Wait)
    }

    /// Does the reader's next read find something?
    pub fn has_bytes_for(&self, reader: &Reader) -> bool {
        self.has_bytes_at(reader, reader.position)
    }

    /// Is the piece, of which the reader needs all, larger than memory? All of one that goes to disk is in memory once, too.
    pub fn is_too_large(&self, reader: &Reader, piece: u32) -> bool {
        let blocks = self.content.map_or(0, |c| c.layout().blocks_in_piece(piece));
        let needs_all = match self.config.storage {
            StorageKind::Memory => !reader.options.unverified,
            StorageKind::Disk => self.content.is_some_and(|c| c.is_missing(piece)),
        };
        needs_all && u64::from(blocks) > self.pool.limit()
    }

    /// Does the reader need all of a piece there that is larger than memory?
    pub fn never_fits(&self, reader: &Reader, offset: u64) -> bool {
        offset < reader.span.size && self.is_too_large(reader, reader.span.piece_at(offset))
    }

    /// Why a read that finds nothing need not wait: nobody brings it until the torrent is resumed, or the limit raised.
    pub fn why_not_wait(&self, reader: &Reader, offset: u64) -> Option<Error> {
        if self.run_state.error.is_none() && !self.never_fits(reader, offset) {
            return None;
        }
        Some(self.run_state.error.clone().unwrap_or_else(|| self.too_large(reader.span.piece_at(offset))))
    }

    fn too_large(&self, piece: u32) -> Error {
        let layout = self.content.map(|c| c.layout());
        let (size, limit) = (layout.map_or(0, |l| l.piece_size(piece)), self.pool.limit() * u64::from(BLOCK_SIZE));
        Error::new(Status::OutOfMemory, format!("piece {piece} has {size} bytes, and memory_limit is {limit} bytes"))
    }
}
