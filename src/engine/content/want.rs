//! What is wanted: pieces, each for something, and the next block of one.

use super::Content;
use super::piece::PieceState;
use crate::base::time::Time;
use crate::metainfo::FileLayout;

/// What a piece is wanted for. Smaller is more urgent; a more urgent want may evict what a less urgent one keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Blocked,
    Deadline,
    Pinned,
    Background,
    Priority,
    /// Not wanted: taken so that a peer shows the next piece.
    Revealed,
}

/// One piece wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Want {
    pub class: Class,
    /// When it is needed; only the order counts where no bitrate is known. Of a read that waits: since when.
    pub due: Time,
    pub piece: u32,
    /// Of its blocks those from here on, and before `until`.
    pub from: u32,
    pub until: u32,
}

impl Want {
    /// All blocks of a piece.
    pub(in crate::engine) fn whole(class: Class, due: Time, piece: u32) -> Self {
        Self { class, due, piece, from: 0, until: u32::MAX }
    }

    pub(in crate::engine) fn covers(&self, other: &Self) -> bool {
        self.piece == other.piece && self.from <= other.from && self.until >= other.until
    }

    /// Does it fit into so many blocks of memory?
    pub(in crate::engine) fn fits(&self, content: &Content, limit: u64) -> bool {
        let blocks = content.layout().blocks_in_piece(self.piece).min(self.until);
        u64::from(blocks.saturating_sub(self.from)) <= limit
    }

    /// Blocks of it that may be asked for; `slot`: of the piece, if it is begun.
    pub fn free_blocks(&self, slot: Option<&PieceState>, layout: &FileLayout) -> u32 {
        slot.map_or_else(
            || layout.num_blocks_to_fetch(self.piece, self.from, self.until),
            |s| s.free_within(self.from, self.until),
        )
    }
}

/// A block to ask for.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Pick {
    pub piece: u32,
    pub block: u32,
    pub class: Class,
}
