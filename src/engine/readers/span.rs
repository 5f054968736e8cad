//! Where the file that somebody reads lies in its torrent.

use std::ops::Range;

use crate::memory::pool::BLOCK_SIZE;

/// Where a reader's file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The file's first byte in the torrent.
    pub begin: u64,
    pub size: u64,
    pub piece_length: u64,
}

impl Span {
    /// Memory that a piece takes: whole blocks.
    pub fn piece_cost(&self) -> u64 {
        self.piece_length.next_multiple_of(u64::from(BLOCK_SIZE))
    }

    pub fn piece_at(&self, offset: u64) -> u32 {
        ((self.begin + offset.min(self.size.saturating_sub(1))) / self.piece_length) as u32
    }

    /// The piece and the block of it.
    pub fn block_at(&self, offset: u64) -> (u32, u32) {
        let inside = (self.begin + offset) % self.piece_length;
        (self.piece_at(offset), (inside / u64::from(BLOCK_SIZE)) as u32)
    }

    /// The pieces of the file.
    pub fn pieces(&self) -> Range<u32> {
        if self.size == 0 { 0..0 } else { self.piece_at(0)..self.piece_at(self.size - 1) + 1 }
    }

    /// The pieces that hold `len` bytes from `offset` on.
    pub fn pieces_of(&self, offset: u64, len: u64) -> Range<u32> {
        let end = offset.saturating_add(len).min(self.size);
        if offset >= end { 0..0 } else { self.piece_at(offset)..self.piece_at(end - 1) + 1 }
    }
}
