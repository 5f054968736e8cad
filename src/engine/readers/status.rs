//! What is told of a reader.

use std::ops::Range;
use std::time::Duration;

use super::open_readers::{Readers, gone};
use super::prebuffering;
use super::reader::{Reader, ReaderId};
use crate::base::error::Result;
use crate::base::storage_index::StorageIndex;
use crate::engine::content::Content;
use crate::memory::pool::BLOCK_SIZE;

/// A reader's state. Offsets and sizes in bytes of its file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReaderStatus {
    /// Filled in by the shell.
    pub torrent: StorageIndex,
    pub file: u32,
    pub position: u64,
    pub size: u64,
    /// Contiguous bytes that can be read from the position on; and right before it.
    pub buffered_ahead: u64,
    pub buffered_behind: u64,
    pub window_begin: u64,
    pub window_end: u64,
    pub lookahead: u64,
    pub lookbehind: u64,
    pub stalls: u64,
    pub stall_time_us: u64,
    /// -1: nothing was read yet.
    pub time_to_first_byte_us: i64,
    /// -1: no read followed a seek yet.
    pub last_seek_latency_us: i64,
    pub bytes_read: u64,
    pub seeks: u64,
    pub bitrate: u64,
    pub background: bool,
    pub waiting: bool,
    pub prebuffer_done: u64,
    pub prebuffer_total: u64,
    /// Payload that came though a seek of this reader had taken it back; payload of its window that came twice.
    pub wasted_bytes: u64,
    pub duplicate_bytes: u64,
}

impl Readers {
    pub(in crate::engine) fn status(&self, id: ReaderId, content: Option<&Content>) -> Result<ReaderStatus> {
        let (Some(r), Some(content)) = (self.get(id), content) else { return Err(gone()) };
        let (prebuffer_done, prebuffer_total) = prebuffering::bytes(content, r);
        let window = r.window_bytes();
        let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        Ok(ReaderStatus {
            torrent: StorageIndex::INVALID,
            file: r.file,
            position: r.position,
            size: r.span.size,
            buffered_ahead: r.buffered_ahead(content),
            buffered_behind: r.buffered_behind(content),
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
            wasted_bytes: r.waste.wasted(),
            duplicate_bytes: r.waste.duplicate(),
        })
    }
}

impl Reader {
    /// The position, and the bytes of the file, in the torrent.
    fn place(&self) -> (u64, Range<u64>) {
        let Self { span, position, .. } = self;
        (span.begin + position.min(&span.size), span.begin..span.begin + span.size)
    }

    /// Contiguous bytes of the file that can be read from the position on.
    fn buffered_ahead(&self, content: &Content) -> u64 {
        let (at, file) = self.place();
        let mut to = at;
        while to < file.end
            && let Some(there) = readable_at(content, to, self.options.unverified)
        {
            to = there.end;
        }
        to.min(file.end) - at
    }

    /// The same right before the position: of the byte before it. A reader that waits stands at the start of what is missing.
    fn buffered_behind(&self, content: &Content) -> u64 {
        let (at, file) = self.place();
        let mut to = at;
        while to > file.start
            && let Some(there) = readable_at(content, to - 1, self.options.unverified)
        {
            to = there.start;
        }
        at - to.max(file.start)
    }
}

/// The bytes of the torrent that can be read with the one at `offset`: its piece, or, before that is verified, its block.
fn readable_at(content: &Content, offset: u64, unverified: bool) -> Option<Range<u64>> {
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
