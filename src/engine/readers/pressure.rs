//! `memory_pressure`: players wait, and it is not the network that they wait for.
//!
//! It is found out as `explain` does, now and then, and only while somebody waits: what asks peers for blocks need not know of it.

use std::time::Duration;

use super::explanation::{Explanation, Reason};
use super::reader::{Reader, ReaderId};
use crate::alert::Alert;
use crate::base::time::Time;
use crate::engine::torrent::Torrent;
use crate::memory::pool::BLOCK_SIZE;

/// A read that waits for less is no news: memory comes free all the time.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks, and between two alerts of one torrent.
const LOOK: Duration = Duration::from_millis(500);
const SILENCE: Duration = Duration::from_secs(10);

impl Torrent {
    /// Tells, if it is so, that a read has waited because memory is full.
    pub(in crate::engine) fn tell_pressure(&mut self, now: Time) {
        if now < self.readers.next_pressure_look {
            return;
        }
        let waits = |reader: &Reader| reader.waits().any(|(_, since)| now.since(since) >= PATIENCE);
        let waiting: Vec<ReaderId> = self.readers.values().filter(|r| waits(r)).map(|r| r.id).collect();
        if waiting.is_empty() {
            return;
        }
        self.readers.next_pressure_look = now + LOOK;
        let told = waiting.into_iter().filter_map(|id| self.explain(now, id).ok());
        let full: Vec<_> = told.filter(|told| told.reason == Reason::MemoryFull).collect();
        let Some(first) = full.first() else { return };
        let missing = |told: &Explanation| told.blocks.total.saturating_sub(told.blocks.here + told.blocks.asked);
        let alert = Alert::MemoryPressure {
            limit_bytes: first.memory.limit,
            charged_bytes: first.memory.charged,
            needed_bytes: full.iter().map(|told| u64::from(missing(told)) * u64::from(BLOCK_SIZE)).sum(),
        };
        self.alert(alert);
        self.readers.next_pressure_look = now + SILENCE;
    }
}
