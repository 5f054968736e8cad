//! What a session has counted that no torrent of it counts.

use super::state::SavedCounters;
use crate::engine::bandwidth::rate::Traffic;

/// What counts beyond the torrents that are there: those that left, and the sessions before this one. Held while a torrent leaves
/// and while all are counted, so that no count ever falls. It is taken before any other lock.
#[derive(Debug, Default)]
pub struct SessionTotals {
    left: Traffic,
    before: SavedCounters,
}

impl SessionTotals {
    /// What the sessions before this one counted.
    pub fn begin(&mut self, before: SavedCounters) {
        self.before = before;
    }

    pub fn before(&self) -> SavedCounters {
        self.before
    }

    /// What the torrents that left had counted.
    pub fn left_behind(&self) -> Traffic {
        self.left
    }

    /// A torrent left the session.
    pub fn left(&mut self, traffic: Traffic) {
        self.left += traffic;
    }
}
