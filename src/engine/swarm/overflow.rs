//! New addresses that were named lately while the list was full: who is named again is worth more than who is named once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

/// Addresses remembered at most.
const PLACES: usize = 1 << 15;

/// A fingerprint of each, at a place that follows from it: the next one there takes its place. No memory is used before the first.
#[derive(Debug)]
pub(super) struct Overflow {
    fingerprints: Vec<u16>,
    seed: u64,
}

impl Overflow {
    pub(super) fn new(seed: u64) -> Self {
        Self { fingerprints: Vec::new(), seed }
    }

    /// Notes the address. Was it there already?
    pub(super) fn note(&mut self, address: SocketAddr) -> bool {
        let mut hasher = DefaultHasher::new();
        (self.seed, address).hash(&mut hasher);
        let hash = hasher.finish();
        self.fingerprints.resize(PLACES, 0);
        let fingerprint = ((hash >> 48) as u16).max(1);
        let place = self.fingerprints.get_mut(hash as usize % PLACES);
        place.is_some_and(|known| std::mem::replace(known, fingerprint) == fingerprint)
    }
}
