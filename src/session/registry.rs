//! The torrents of a session. A [`StorageIndex`] is good for one torrent only.
//!
//! An index is a slot and a generation. Generations start at a random number in each session and only grow, so an index of
//! a removed torrent, of another session, or an invented one is refused, and none is handed out twice.

use std::collections::HashMap;

use crate::base::error::{Error, Status};
use crate::base::storage_index::{GENERATION_MASK, MAX_SLOTS, SLOT_BITS, StorageIndex};
use crate::metainfo::{InfoHashes, Sha1Hash, Sha256Hash};
use crate::wire::mse::skey_hash;

/// The torrents of a session by index, and by info-hash.
#[derive(Debug)]
pub struct Registry<T> {
    slots: Vec<Option<(StorageIndex, T)>>,
    free: Vec<usize>,
    generation: u64,
    by_v1: HashMap<Sha1Hash, StorageIndex>,
    by_v2: HashMap<Sha256Hash, StorageIndex>,
    by_wire: HashMap<Sha1Hash, StorageIndex>,
    /// The wire hashes by what an encrypted handshake names of them.
    by_skey: HashMap<[u8; 20], Sha1Hash>,
}

impl<T: Clone> Registry<T> {
    /// `seed`: where generations start.
    pub fn new(seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            generation: (seed & (GENERATION_MASK >> 1)).max(1),
            by_v1: HashMap::new(),
            by_v2: HashMap::new(),
            by_wire: HashMap::new(),
            by_skey: HashMap::new(),
        }
    }

    /// Adds a torrent made by `make`, which is told its index.
    pub fn insert(&mut self, hashes: &InfoHashes, make: impl FnOnce(StorageIndex) -> T) -> Result<StorageIndex, Error> {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot >= MAX_SLOTS || self.generation >= GENERATION_MASK {
            return Err(Error::new(
                Status::OutOfMemory,
                format!("no more than {MAX_SLOTS} torrents fit into a session"),
            ));
        }
        let index = StorageIndex::new(slot, self.generation);
        self.generation += 1;
        let entry = Some((index, make(index)));
        match self.slots.get_mut(slot) {
            Some(place) => *place = entry,
            None => self.slots.push(entry),
        }
        self.name(index, hashes);
        Ok(index)
    }

    /// Makes the torrent known by these hashes too (a magnet learns the rest with its metadata). One that was removed meanwhile is
    /// not: its name would stay, and keep the next torrent of that hash from being found.
    pub fn name(&mut self, index: StorageIndex, hashes: &InfoHashes) {
        if self.get(index).is_none() {
            return;
        }
        if let Some(v1) = hashes.v1 {
            self.by_v1.entry(v1).or_insert(index);
        }
        if let Some(v2) = hashes.v2 {
            self.by_v2.entry(v2).or_insert(index);
        }
        self.by_wire.entry(hashes.best()).or_insert(index);
        self.by_skey.insert(skey_hash(&hashes.best()), hashes.best());
    }

    pub fn get(&self, index: StorageIndex) -> Option<&T> {
        self.slots.get(index.slot())?.as_ref().filter(|(i, _)| *i == index).map(|(_, t)| t)
    }

    pub fn remove(&mut self, index: StorageIndex) -> Option<T> {
        let place = self.slots.get_mut(index.slot())?;
        if place.as_ref().is_none_or(|(i, _)| *i != index) {
            return None;
        }
        let (_, torrent) = place.take()?;
        self.free.push(index.slot());
        self.by_v1.retain(|_, i| *i != index);
        self.by_v2.retain(|_, i| *i != index);
        self.by_wire.retain(|_, i| *i != index);
        self.by_skey.retain(|_, hash| self.by_wire.contains_key(hash));
        Some(torrent)
    }

    pub fn find(&self, hashes: &InfoHashes) -> Option<StorageIndex> {
        let v1 = hashes.v1.and_then(|h| self.by_v1.get(&h));
        v1.or_else(|| hashes.v2.and_then(|h| self.by_v2.get(&h))).copied()
    }

    /// By the 20 bytes of a handshake.
    pub fn find_wire(&self, hash: &Sha1Hash) -> Option<&T> {
        self.by_wire.get(hash).and_then(|i| self.get(*i))
    }

    /// The 20 bytes of a handshake, by the hash of them that an encrypted one names.
    pub fn find_skey(&self, hash: &[u8; 20]) -> Option<Sha1Hash> {
        self.by_skey.get(hash).copied()
    }

    /// All torrents, in the order in which they were added.
    pub fn all(&self) -> Vec<(StorageIndex, T)> {
        let mut all: Vec<_> = self.slots.iter().flatten().cloned().collect();
        all.sort_unstable_by_key(|(i, _)| i.0 >> SLOT_BITS);
        all
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(n: u8) -> InfoHashes {
        InfoHashes::v1(Sha1Hash([n; 20]))
    }

    #[test]
    fn an_index_is_good_for_one_torrent_only() {
        let mut registry = Registry::new(7);
        let a = registry.insert(&hashes(1), |_| "a").expect("room");
        assert_eq!(registry.find(&hashes(1)), Some(a));
        assert_eq!(registry.remove(a), Some("a"));
        assert_eq!(registry.remove(a), None);
        let b = registry.insert(&hashes(1), |_| "b").expect("room");
        assert_ne!(a, b);
        assert_eq!(a.slot(), b.slot(), "the slot is used again");
        assert_eq!((registry.get(a), registry.get(b)), (None, Some(&"b")));
        for invented in [0, 1, u64::MAX, b.0 + 1, b.0 + (1 << SLOT_BITS), 1 << 63 | b.0] {
            assert_eq!(registry.get(StorageIndex(invented)), None);
        }
        assert!(b.0 < 1 << 63);
    }

    /// The metadata of a torrent comes while it is removed.
    #[test]
    fn what_is_gone_gets_no_name() {
        let mut registry = Registry::new(7);
        let a = registry.insert(&hashes(1), |_| "a").expect("room");
        registry.remove(a);
        registry.name(a, &hashes(1));
        registry.name(a, &hashes(2));
        assert_eq!((registry.find(&hashes(1)), registry.find(&hashes(2))), (None, None));
        let b = registry.insert(&hashes(1), |_| "b").expect("room");
        assert_eq!((registry.find(&hashes(1)), registry.find_wire(&Sha1Hash([1; 20]))), (Some(b), Some(&"b")));
        registry.name(b, &hashes(2));
        assert_eq!(registry.find(&hashes(2)), Some(b));
    }

    #[test]
    fn an_encrypted_handshake_names_what_is_there() {
        let mut registry = Registry::new(7);
        let skey = |n| skey_hash(&Sha1Hash([n; 20]));
        let a = registry.insert(&hashes(1), |_| "a").expect("room");
        registry.insert(&hashes(2), |_| "b").expect("room");
        assert_eq!(registry.find_skey(&skey(1)), Some(Sha1Hash([1; 20])));
        assert_eq!(registry.find_skey(&skey(3)), None);
        registry.remove(a);
        assert_eq!((registry.find_skey(&skey(1)), registry.find_skey(&skey(2))), (None, Some(Sha1Hash([2; 20]))));
    }

    #[test]
    fn sessions_do_not_share_indexes() {
        let (mut one, mut two) = (Registry::new(11), Registry::new(0xdead_beef));
        let a = one.insert(&hashes(1), |_| ()).expect("room");
        two.insert(&hashes(1), |_| ()).expect("room");
        assert!(two.get(a).is_none());
    }

    #[test]
    fn all_is_in_order_of_addition() {
        let mut registry = Registry::new(1);
        let [a, b, c] = [1, 2, 3].map(|n| registry.insert(&hashes(n), |_| n).expect("room"));
        registry.remove(a);
        let d = registry.insert(&hashes(4), |_| 4).expect("room");
        assert_eq!(registry.all().iter().map(|(i, _)| *i).collect::<Vec<_>>(), [b, c, d]);
        assert_eq!(registry.len(), 3);
    }
}
