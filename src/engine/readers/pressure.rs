//! `memory_pressure`: players wait, and it is not the network that they wait for.
//!
//! It is found out as `explain` does, now and then, and only while somebody waits: what asks peers for blocks need not know of it.

use std::time::Duration;

use super::explanation::{Explanation, Reason};
use super::reader::{Reader, ReaderId};
use crate::alert::Alert;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// A read that waits for less is no news: memory comes free all the time.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks, and between two alerts of one torrent.
const LOOK: Duration = Duration::from_millis(500);
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Pressure {
    /// Before then nobody looks whether readers wait for memory.
    next_look: Time,
}

impl Pressure {
    pub(super) fn new(now: Time) -> Self {
        Self { next_look: now }
    }

    /// Those of the readers that have waited for long enough, if it is time to look why.
    pub(super) fn look_who_waits<'a>(&mut self, now: Time, readers: impl Iterator<Item = &'a Reader>) -> Vec<ReaderId> {
        if now < self.next_look {
            return Vec::new();
        }
        let waits = |reader: &Reader| reader.waits().any(|(_, since)| now.since(since) >= PATIENCE);
        let waiting: Vec<ReaderId> = readers.filter(|r| waits(r)).map(|r| r.id).collect();
        if !waiting.is_empty() {
            self.next_look = now + LOOK;
        }
        waiting
    }

    /// What there is to tell of them, if it is memory that one waits for.
    pub(super) fn alert(&mut self, now: Time, told: &[Explanation]) -> Option<Alert> {
        let full = || told.iter().filter(|told| told.reason == Reason::MemoryFull);
        let first = full().next()?;
        let missing = |told: &Explanation| told.blocks.total.saturating_sub(told.blocks.here + told.blocks.asked);
        self.next_look = now + SILENCE;
        Some(Alert::MemoryPressure {
            limit_bytes: first.memory.limit,
            charged_bytes: first.memory.charged,
            needed_bytes: full().map(|told| u64::from(missing(told)) * u64::from(BLOCK_SIZE)).sum(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::readers::Readers;
    use crate::engine::readers::explanation::{MemoryUse, PeerCounts, PieceBlocks};
    use crate::engine::readers::reader::ReaderOptions;
    use crate::engine::readers::span::Span;

    fn told(reason: Reason) -> Explanation {
        Explanation {
            reason,
            offset: 0,
            waited: None,
            piece: Some(0),
            block: None,
            blocks: PieceBlocks { total: 4, here: 1, asked: 1 },
            peers: PeerCounts::default(),
            asked_of: None,
            expected: None,
            overdue: Duration::ZERO,
            memory: MemoryUse::default(),
            torrent_limit: 0,
            session_limit: 0,
            download_rate: 0,
            error: None,
        }
    }

    #[test]
    fn it_is_told_now_and_then_of_reads_that_have_waited() {
        let at = |ms| Time::BEGINNING + Duration::from_millis(ms);
        let mut readers = Readers::new(at(0));
        let span = Span { begin: 0, size: 1 << 20, piece_length: 1 << 16 };
        let mut reader = Reader::new(at(0), ReaderId(1), 0, span, ReaderOptions::default());
        reader.begin_wait(at(0), 1);
        readers.insert(reader);
        assert_eq!(readers.look_who_waits(at(400)), [], "for a moment");
        assert_eq!(readers.look_who_waits(at(600)), [ReaderId(1)]);
        assert!(readers.memory_pressure(at(600), &[told(Reason::NoPeers)]).is_none(), "it is not memory");
        assert_eq!(readers.look_who_waits(at(1000)), [], "it was looked at");
        assert_eq!(readers.look_who_waits(at(1100)), [ReaderId(1)]);
        match readers.memory_pressure(at(1100), &[told(Reason::NoPeers), told(Reason::MemoryFull)]) {
            Some(Alert::MemoryPressure { needed_bytes, .. }) => assert_eq!(needed_bytes, 2 * u64::from(BLOCK_SIZE)),
            other => panic!("{other:?}"),
        }
        assert_eq!(readers.look_who_waits(at(11_000)), [], "it was told");
        assert_eq!(readers.look_who_waits(at(11_100)), [ReaderId(1)]);
    }
}
