//! A stretch of blocks around a reader's position, kept and fetched instead of a window of pieces.

use std::ops::Range;

use super::span::Span;
use crate::memory::pool::BLOCK_SIZE;

/// Blocks fetched for a `read_at` that waits, where half of the share holds so many.
pub(super) const READ_AT_BLOCKS: u64 = 8;

/// Blocks, numbered through the torrent as if all pieces had as many as the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockWindow {
    pub keep: Range<u64>,
    /// The position's.
    pub at: u64,
    pub(super) per_piece: u64,
    /// Blocks fetched for a `read_at`.
    pub(super) read_at: u32,
}

impl BlockWindow {
    /// Of `blocks` blocks, with so many of them behind the position; `ahead` at most after it, and none after `until`, which is the
    /// position at least.
    pub(super) fn new(span: &Span, position: u64, until: u64, blocks: u64, behind: u64, ahead: u64) -> Self {
        let per_piece = span.piece_cost() / u64::from(BLOCK_SIZE);
        let number = |offset: u64| {
            let (piece, block) = span.block_at(offset);
            u64::from(piece) * per_piece + u64::from(block)
        };
        let (first, end) = (number(0), number(until.saturating_sub(1)) + 1);
        let read_at = READ_AT_BLOCKS.min((blocks / 2).max(1)) as u32;
        if position >= until {
            return Self { keep: end.saturating_sub(blocks).max(first)..end, at: end, per_piece, read_at };
        }
        let at = number(position);
        let until = (at + (blocks - behind).min(ahead).max(1)).min(end);
        Self { keep: at.saturating_sub(behind).max(first)..until, at, per_piece, read_at }
    }

    pub(super) fn number(&self, piece: u32, block: u32) -> u64 {
        u64::from(piece) * self.per_piece + u64::from(block)
    }

    /// The pieces that hold these blocks.
    fn pieces(&self, blocks: Range<u64>) -> Range<u32> {
        let end = blocks.end.div_ceil(self.per_piece) as u32;
        if blocks.is_empty() { end..end } else { (blocks.start / self.per_piece) as u32..end }
    }

    pub fn behind(&self) -> Range<u32> {
        let pieces = self.pieces(self.keep.start..self.at);
        pieces.start..self.ahead().start.max(pieces.start)
    }

    pub fn ahead(&self) -> Range<u32> {
        self.pieces(self.at..self.keep.end)
    }

    /// The blocks wanted, piece by piece, each with how far ahead they begin.
    pub fn wanted(&self) -> impl Iterator<Item = (u32, Range<u32>, u64)> + '_ {
        self.ahead().map(|piece| {
            let start = self.number(piece, 0);
            let from = self.at.max(start);
            let blocks = (from - start) as u32..(self.keep.end.min(start + self.per_piece) - start) as u32;
            (piece, blocks, from - self.at)
        })
    }

    /// How far the block lies outside.
    pub(super) fn beyond(&self, number: u64) -> u64 {
        if number < self.keep.start { self.keep.start - number } else { (number + 1).saturating_sub(self.keep.end) }
    }
}
