//! Reading block by block, where memory does not hold a few whole pieces.
//!
//! An unverified reader then keeps and fetches a stretch of blocks around its position instead of a window of pieces. What lies
//! outside all stretches is let go block by block, the furthest first. A block that is in the piece's hash already counts as passed:
//! the hash goes on without it and judges the senders at the piece's end, although the piece is never had. One that is not can be
//! fetched again, like one that never came.

use std::ops::Range;

use super::block_window::{BlockWindow, READ_AT_BLOCKS};
use super::open_readers::Readers;
use super::reader::Reader;
use crate::memory::pool::BLOCK_SIZE;

/// Pieces that must fit into a reader's share for a window of pieces: behind, at the position, ahead.
const LEAST_PIECES: u64 = 3;

impl Reader {
    fn reads_by_blocks(&self, share: u64) -> bool {
        self.options.unverified && share / self.span.piece_cost() < LEAST_PIECES
    }

    /// The blocks to keep and fetch in `share` bytes of memory, if that is too little for a window of pieces.
    pub(in crate::engine) fn compute_block_window(&self, share: u64, lookbehind_percent: u64) -> Option<BlockWindow> {
        if !self.reads_by_blocks(share) || self.span.size == 0 {
            return None;
        }
        let block = u64::from(BLOCK_SIZE);
        let blocks = (share / block).max(1);
        let behind = self.options.lookbehind.map_or((blocks * lookbehind_percent / 100).max(1), |b| b.div_ceil(block));
        let ahead = self.options.lookahead.map_or(blocks, |bytes| bytes.div_ceil(block) + 1);
        Some(BlockWindow::new(&self.span, self.position, self.until(), blocks, behind.min(blocks / 2), ahead))
    }

    /// Memory for what is read elsewhere, beside the window.
    pub(in crate::engine) fn probes_cost(&self, share: u64) -> u64 {
        if self.reads_by_blocks(share) {
            let (reads_at, block) = (self.reads_at.len() as u64, u64::from(BLOCK_SIZE));
            return reads_at * block * READ_AT_BLOCKS.min((share / block / 2 / reads_at.max(1)).max(1));
        }
        let pieces: std::collections::BTreeSet<u32> =
            self.reads_at.iter().map(|p| self.span.piece_at(p.offset)).collect();
        self.span.piece_cost() * pieces.len() as u64
    }

    /// The blocks that a waiting `read_at` needs of its piece.
    pub(in crate::engine) fn read_at_blocks(&self, offset: u64) -> (u32, Range<u32>) {
        let (piece, block) = self.span.block_at(offset);
        (piece, block..block + self.window.block_window.as_ref().map_or(READ_AT_BLOCKS as u32, |s| s.read_at))
    }

    /// What the reader keeps and fetches around its position, in the file.
    pub(in crate::engine) fn window_bytes(&self) -> Range<u64> {
        let (span, window) = (&self.span, &self.window);
        let clip = |at: u64| at.saturating_sub(span.begin).min(span.size);
        if let Some(stretch) = &window.block_window {
            let start = |number: u64| {
                let (piece, block) = (number / stretch.per_piece, number % stretch.per_piece);
                piece * span.piece_length + (block * u64::from(BLOCK_SIZE)).min(span.piece_length)
            };
            return clip(start(stretch.keep.start))..clip(start(stretch.keep.end));
        }
        let piece = |piece: u32| clip(u64::from(piece) * span.piece_length);
        let (behind, ahead) = (&window.behind, &window.ahead);
        let start = if behind.is_empty() { ahead.start } else { behind.start };
        piece(start)..piece(if ahead.is_empty() { behind.end } else { ahead.end })
    }

    /// Is the reader's position in another block than the one that its stretch was cut for?
    pub(in crate::engine) fn left_its_block(&self) -> bool {
        self.window.block_window.as_ref().is_some_and(|s| {
            let (piece, block) = self.span.block_at(self.position);
            self.position >= self.span.size || s.number(piece, block) != s.at
        })
    }

    /// Does the stretch hold the place?
    pub(in crate::engine) fn holds(&self, offset: u64) -> bool {
        let (piece, block) = self.span.block_at(offset);
        self.window.block_window.as_ref().is_none_or(|s| s.beyond(s.number(piece, block)) == 0)
    }

    /// How far the block lies outside all that the reader needs; `None`: it needs it, or the whole piece.
    pub(in crate::engine) fn spares(&self, piece: u32, block: u32) -> Option<u64> {
        let read_at = self.reads_at.iter().map(|p| self.read_at_blocks(p.offset)).filter(|(p, _)| *p == piece);
        match &self.window.block_window {
            Some(stretch) => {
                let beyond = stretch.beyond(stretch.number(piece, block));
                (beyond > 0 && !read_at.into_iter().any(|(_, blocks)| blocks.contains(&block))).then_some(beyond)
            }
            None => (!self.window.contains(piece) && read_at.count() == 0).then_some(u64::MAX),
        }
    }
}

impl Readers {
    /// Does anybody read block by block?
    pub(in crate::engine) fn reads_by_blocks(&self) -> bool {
        self.map.values().any(|r| r.window.block_window.is_some())
    }

    /// Is the piece read block by block?
    pub(in crate::engine) fn is_read_by_blocks(&self, piece: u32) -> bool {
        let read_at = |r: &Reader| r.reads_at.iter().any(|p| r.span.piece_at(p.offset) == piece);
        self.map.values().any(|r| r.window.block_window.is_some() && (r.window.contains(piece) || read_at(r)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Time;
    use crate::engine::readers::reader::{ReaderId, ReaderOptions};
    use crate::engine::readers::span::Span;

    const MIB: u64 = 1 << 20;

    #[test]
    fn pieces_are_read_by_blocks_in_the_stretch_and_where_a_read_at_waits() {
        let now = Time::BEGINNING;
        let mut readers = Readers::new(now);
        let span = Span { begin: 0, size: 64 * MIB, piece_length: 4 * MIB };
        for (id, unverified) in [(1, false), (2, true)] {
            assert!(!readers.reads_by_blocks());
            let options = ReaderOptions { offset: 20 * MIB, unverified, ..ReaderOptions::default() };
            let mut reader = Reader::new(now, ReaderId(id), 0, span, options);
            reader.begin_probe(now, 40 * MIB);
            reader.window = reader.compute_window(Some(MIB), 15);
            readers.insert(reader);
        }
        let by_blocks: Vec<u32> = (0..16).filter(|piece| readers.is_read_by_blocks(*piece)).collect();
        assert!(readers.reads_by_blocks());
        assert_eq!(by_blocks, [4, 5, 10]);
    }

    #[test]
    fn what_is_far_from_the_stretch_is_spared() {
        let options = ReaderOptions { offset: 20 * MIB, unverified: true, ..ReaderOptions::default() };
        let span = Span { begin: 0, size: 64 * MIB, piece_length: 4 * MIB };
        let mut reader = Reader::new(Time::BEGINNING, ReaderId(1), 0, span, options);
        reader.window = reader.compute_window(Some(MIB), 0);
        // 64 blocks, one of them behind: up to the 63rd of the piece.
        assert_eq!([(4, 255), (5, 0), (5, 62)].map(|(piece, block)| reader.spares(piece, block)), [None; 3]);
        assert_eq!((reader.spares(4, 254), reader.spares(5, 63), reader.spares(6, 0)), (Some(1), Some(1), Some(194)));
        reader.begin_probe(Time::BEGINNING, 24 * MIB);
        assert_eq!((reader.spares(6, 0), reader.spares(6, 8)), (None, Some(202)));
    }
}
