//! Payload that came for a reader and was of no use to it.
//!
//! What a seek takes back may be on its way already. It is known again by the windows that the reader left, not block by block: a
//! seek is to cost little.

use std::collections::VecDeque;
use std::ops::Range;

/// So many windows are remembered: a viewer who drags along the file leaves several within one round trip.
const MAX_LEFT: usize = 4;

/// What came for one reader for nothing.
#[derive(Debug, Default)]
pub struct Waste {
    /// The lookaheads that seeks left, the last one at the end.
    left: VecDeque<Range<u32>>,
    /// Bytes that a seek had taken back before they came.
    wasted: u64,
    /// Bytes that came twice.
    duplicate: u64,
}

impl Waste {
    pub fn wasted(&self) -> u64 {
        self.wasted
    }

    pub fn duplicate(&self) -> u64 {
        self.duplicate
    }

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

    /// Bytes of a block came that nobody waits for (any more). `here`: it was here before; `wanted`: it is in the reader's window.
    pub(super) fn count(&mut self, piece: u32, bytes: u32, here: bool, wanted: bool) {
        let left = self.has_left(piece);
        if here && (left || wanted) {
            self.duplicate += u64::from(bytes);
        } else if !here && left {
            self.wasted += u64::from(bytes);
        }
    }

    fn has_left(&self, piece: u32) -> bool {
        self.left.iter().any(|ahead| ahead.contains(&piece))
    }
}

/// What a reader that was closed left in its file, until somebody reads that file again.
#[derive(Debug)]
pub struct AbandonedWindow {
    file: u32,
    left: VecDeque<Range<u32>>,
}

impl AbandonedWindow {
    /// What this reader of the file leaves.
    pub(super) fn of(file: u32, waste: Waste) -> Self {
        Self { file, left: waste.left }
    }

    pub(super) fn file(&self) -> u32 {
        self.file
    }

    /// The windows that it left, the last one at the end.
    pub(super) fn into_left(self) -> VecDeque<Range<u32>> {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Time;
    use crate::engine::readers::Readers;
    use crate::engine::readers::reader::{Reader, ReaderId, ReaderOptions};
    use crate::engine::readers::span::Span;

    const SPAN: Span = Span { begin: 0, size: 100 << 14, piece_length: 1 << 14 };

    fn open(readers: &mut Readers, id: u64, file: u32, ahead: Range<u32>) {
        let mut reader = Reader::new(Time::ZERO, ReaderId(id), file, SPAN, ReaderOptions::default());
        reader.window.ahead = ahead;
        readers.insert(reader);
    }

    fn told(readers: &Readers, id: u64) -> (u64, u64) {
        let waste = &readers.get(ReaderId(id)).expect("it is open").waste;
        (waste.wasted(), waste.duplicate())
    }

    #[test]
    fn strays_count_where_they_were_asked_for() {
        let mut readers = Readers::new(Time::ZERO);
        open(&mut readers, 1, 0, 10..14);
        readers.count_stray(12, 100, false);
        assert_eq!(told(&readers, 1), (0, 0), "it is wanted still");
        readers.count_stray(12, 100, true);
        assert_eq!(told(&readers, 1), (0, 100), "it came twice");
        readers.seek(Time::ZERO, ReaderId(1), 50 << 14).expect("it is open");
        readers.count_stray(12, 7, false);
        readers.count_stray(20, 7, false);
        assert_eq!(told(&readers, 1), (7, 100), "it was taken back");
    }

    #[test]
    fn who_reads_a_file_next_accounts_for_what_the_last_one_left() {
        let mut readers = Readers::new(Time::ZERO);
        open(&mut readers, 1, 0, 10..14);
        assert!(readers.close(ReaderId(1)) && !readers.close(ReaderId(1)));
        open(&mut readers, 2, 7, 0..0);
        open(&mut readers, 3, 0, 0..0);
        open(&mut readers, 4, 0, 0..0);
        readers.count_stray(12, 5, false);
        assert_eq!([2, 3, 4].map(|id| told(&readers, id)), [(0, 0), (5, 0), (0, 0)]);
        readers.close(ReaderId(3));
        readers.count_stray(12, 5, false);
        assert_eq!(told(&readers, 4), (5, 0), "it is the heir now");
    }
}
