//! Payload that came for a reader and was of no use to it.
//!
//! What a seek takes back may be on its way already. It is known again by the windows that the reader left, not block by block: a
//! seek is to cost little.

use std::collections::VecDeque;
use std::ops::Range;

use super::torrent::Torrent;

/// So many windows are remembered: a viewer who drags along the file leaves several within one round trip.
const MAX_LEFT: usize = 4;

/// What came for one reader for nothing.
#[derive(Debug, Default)]
pub struct Waste {
    /// The lookaheads that seeks left, the last one at the end.
    left: VecDeque<Range<u32>>,
    /// Bytes that a seek had taken back before they came.
    pub wasted: u64,
    /// Bytes that came twice.
    pub duplicate: u64,
}

impl Waste {
    /// A seek leaves the lookahead: what was asked for it is taken back.
    pub fn leave(&mut self, ahead: Range<u32>) {
        if self.left.len() >= MAX_LEFT {
            self.left.pop_front();
        }
        self.left.push_back(ahead);
    }

    fn has_left(&self, piece: u32) -> bool {
        self.left.iter().any(|ahead| ahead.contains(&piece))
    }
}

impl Torrent {
    /// Bytes of a block came that nobody waits for (any more): counts them to the readers that they were for.
    pub(super) fn count_stray(&mut self, piece: u32, block: u32, bytes: u32) {
        let Some(content) = &self.content else { return };
        let stored = content.store.slot(piece).and_then(|s| s.blocks.get(block as usize));
        let here = content.have.get(piece) || stored.is_some_and(|b| b.data.is_some());
        for reader in self.readers.values_mut() {
            let left = reader.waste.has_left(piece);
            if here && (left || reader.window.contains(piece)) {
                reader.waste.duplicate += u64::from(bytes);
            } else if !here && left {
                reader.waste.wasted += u64::from(bytes);
            }
        }
    }
}
