//! What goes to and fro, and what is counted beside it.

use super::bandwidth::rate::Rate;

/// Byte and event counts of a torrent's life.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counters {
    pub failed_bytes: u64,
    pub redundant_bytes: u64,
    pub cancelled_blocks: u64,
    pub hash_failures: u64,
    pub evicted_pieces: u64,
    pub refetched_pieces: u64,
    pub lookbehind_hits: u64,
    pub lookbehind_misses: u64,
}

/// What is counted of the bytes and pieces that come in.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::engine) struct Tally {
    pub(in crate::engine) failed_bytes: u64,
    pub(in crate::engine) redundant_bytes: u64,
    pub(in crate::engine) hash_failures: u64,
    pub(in crate::engine) refetched_pieces: u64,
}

/// Rates and totals of a torrent's life.
#[derive(Debug, Default)]
pub(in crate::engine) struct Meters {
    pub(in crate::engine) down: Rate,
    pub(in crate::engine) up: Rate,
    pub(in crate::engine) protocol_down: Rate,
    pub(in crate::engine) protocol_up: Rate,
    pub(in crate::engine) counters: Tally,
}
