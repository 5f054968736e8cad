//! The window of a reader: the pieces that it may count on. `behind` is kept, `ahead` is fetched.

use std::ops::Range;

use super::block_window::BlockWindow;

/// The pieces that a reader wants and keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    pub behind: Range<u32>,
    pub ahead: Range<u32>,
    pub head: Range<u32>,
    pub tail: Range<u32>,
    /// Of these pieces only some blocks, where memory holds no more.
    pub block_window: Option<BlockWindow>,
    /// There is no room for it beside what a `read_at` waits for.
    pub tight: bool,
    /// Those in front leave no room for it now: what it waits for is not asked for.
    pub put_off: bool,
    /// Nobody reads here now: others need not wait for its memory.
    pub asleep: bool,
}

impl Window {
    pub fn contains(&self, piece: u32) -> bool {
        self.behind.contains(&piece) || self.ahead.contains(&piece) || self.is_pinned(piece)
    }

    /// What stays of it while its reader sleeps.
    pub fn pins_only(self) -> Self {
        Self { behind: 0..0, ahead: 0..0, block_window: None, ..self }
    }

    /// Pieces in it, each counted once for each part of it that it is in.
    pub fn len(&self) -> u64 {
        [&self.behind, &self.ahead, &self.head, &self.tail].into_iter().map(pieces).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_pinned(&self, piece: u32) -> bool {
        self.head.contains(&piece) || self.tail.contains(&piece)
    }
}

/// How many there are.
pub(super) fn pieces(range: &Range<u32>) -> u64 {
    u64::from(range.end.saturating_sub(range.start))
}
