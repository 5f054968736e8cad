//! Payload that came for a reader and was of no use to it.
//!
//! What a seek takes back may be on its way already. It is known again by the windows that the reader left, not block by block: a
//! seek is to cost little.

use std::collections::VecDeque;
use std::ops::Range;

use super::reader::Reader;
use crate::engine::torrent::Torrent;

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

    /// A player over HTTP seeks by a new request, that is by a new reader: what the old one left is the new one's to account for.
    pub fn inherit(&mut self, left: impl IntoIterator<Item = Range<u32>>) {
        left.into_iter().for_each(|ahead| self.leave(ahead));
    }

    fn has_left(&self, piece: u32) -> bool {
        self.left.iter().any(|ahead| ahead.contains(&piece))
    }
}

/// What a reader that was closed left in its file, until somebody reads that file again.
#[derive(Debug)]
pub struct Legacy {
    file: u32,
    left: VecDeque<Range<u32>>,
}

impl Torrent {
    /// A reader closes: who reads the same file now, or will next, hears of what was asked for it.
    pub(in crate::engine) fn bequeath(&mut self, reader: Reader) {
        let Reader { file, window, mut waste, .. } = reader;
        waste.leave(window.ahead);
        match self.readers.values_mut().rfind(|r| r.file == file) {
            Some(heir) => heir.waste.inherit(waste.left),
            None => self.readers.legacy = Some(Legacy { file, left: waste.left }),
        }
    }

    /// What the file's last reader left.
    pub(in crate::engine) fn take_legacy(&mut self, file: u32) -> VecDeque<Range<u32>> {
        self.readers.legacy.take_if(|l| l.file == file).map(|l| l.left).unwrap_or_default()
    }

    /// Bytes of a block came that nobody waits for (any more): counts them to the readers that they were for.
    pub(in crate::engine) fn count_stray(&mut self, piece: u32, block: u32, bytes: u32) {
        let Some(content) = &self.content else { return };
        let stored = content.store().slot(piece).and_then(|s| s.blocks().get(block as usize));
        let here = content.has(piece) || stored.is_some_and(|b| b.data().is_some());
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
