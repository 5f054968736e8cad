//! `memory_pressure`: players wait, and it is not the network that they wait for.
//!
//! It is found out as `explain` does, now and then, and only while somebody waits: what asks peers for blocks need not know of it.

use std::time::Duration;

use super::Readers;
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
}

impl Readers {
    /// Those that have waited for long enough, if it is time to look why.
    pub(in crate::engine) fn look_who_waits(&mut self, now: Time) -> Vec<ReaderId> {
        if now < self.pressure.next_look {
            return Vec::new();
        }
        let waits = |reader: &Reader| reader.waits().any(|(_, since)| now.since(since) >= PATIENCE);
        let waiting: Vec<ReaderId> = self.map.values().filter(|r| waits(r)).map(|r| r.id).collect();
        if !waiting.is_empty() {
            self.pressure.next_look = now + LOOK;
        }
        waiting
    }

    /// What there is to tell of them, if it is memory that one waits for.
    pub(in crate::engine) fn memory_pressure(&mut self, now: Time, told: &[Explanation]) -> Option<Alert> {
        let full = || told.iter().filter(|told| told.reason == Reason::MemoryFull);
        let first = full().next()?;
        let missing = |told: &Explanation| told.blocks.total.saturating_sub(told.blocks.here + told.blocks.asked);
        self.pressure.next_look = now + SILENCE;
        Some(Alert::MemoryPressure {
            limit_bytes: first.memory.limit,
            charged_bytes: first.memory.charged,
            needed_bytes: full().map(|told| u64::from(missing(told)) * u64::from(BLOCK_SIZE)).sum(),
        })
    }
}
