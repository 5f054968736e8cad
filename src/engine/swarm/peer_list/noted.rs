//! Addresses that were noted lately and are in no list: a set of bounded size that forgets.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

/// Addresses remembered at most.
const PLACES: usize = 1 << 15;

/// A fingerprint of each, at a place that follows from it: the next one there takes its place. No memory is used before the first.
#[derive(Debug)]
pub(super) struct Noted {
    fingerprints: Vec<u16>,
    seed: u64,
}

impl Noted {
    pub(super) fn new(seed: u64) -> Self {
        Self { fingerprints: Vec::new(), seed }
    }

    /// Notes the address. Was it there already?
    pub(super) fn note(&mut self, address: SocketAddr) -> bool {
        let (place, fingerprint) = self.place(address);
        self.fingerprints.resize(PLACES, 0);
        self.fingerprints.get_mut(place).is_some_and(|known| std::mem::replace(known, fingerprint) == fingerprint)
    }

    pub(super) fn has(&self, address: SocketAddr) -> bool {
        let (place, fingerprint) = self.place(address);
        self.fingerprints.get(place) == Some(&fingerprint)
    }

    fn place(&self, address: SocketAddr) -> (usize, u16) {
        let mut hasher = DefaultHasher::new();
        (self.seed, address).hash(&mut hasher);
        let hash = hasher.finish();
        (hash as usize % PLACES, ((hash >> 48) as u16).max(1))
    }
}
