//! The peers of a torrent, and what is counted over them.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, IntoValues, Keys, Values, ValuesMut};

use super::Peer;
use crate::engine::content::pieces::PeerKey;

/// The connected peers.
#[derive(Debug)]
pub(in crate::engine) struct Peers {
    map: BTreeMap<PeerKey, Peer>,
    next_key: u32,
    /// Peers to look at when we get a piece or lose one: all but those that are counted among the seeds, and were told of none of
    /// our pieces that may go again.
    partial: BTreeSet<PeerKey>,
    /// How many peers are on parole.
    on_parole: usize,
}

impl Default for Peers {
    fn default() -> Self {
        Self { map: BTreeMap::new(), next_key: 1, partial: BTreeSet::new(), on_parole: 0 }
    }
}

impl Peers {
    pub(in crate::engine) fn get(&self, key: &PeerKey) -> Option<&Peer> {
        self.map.get(key)
    }

    pub(in crate::engine) fn get_mut(&mut self, key: &PeerKey) -> Option<&mut Peer> {
        self.map.get_mut(key)
    }

    pub(in crate::engine) fn contains_key(&self, key: &PeerKey) -> bool {
        self.map.contains_key(key)
    }

    pub(in crate::engine) fn keys(&self) -> Keys<'_, PeerKey, Peer> {
        self.map.keys()
    }

    pub(in crate::engine) fn values(&self) -> Values<'_, PeerKey, Peer> {
        self.map.values()
    }

    pub(in crate::engine) fn values_mut(&mut self) -> ValuesMut<'_, PeerKey, Peer> {
        self.map.values_mut()
    }

    pub(in crate::engine) fn len(&self) -> usize {
        self.map.len()
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(in crate::engine) fn insert(&mut self, key: PeerKey, peer: Peer) {
        self.map.insert(key, peer);
    }

    pub(in crate::engine) fn remove(&mut self, key: &PeerKey) -> Option<Peer> {
        self.partial.remove(key);
        let peer = self.map.remove(key)?;
        self.on_parole -= usize::from(peer.parole);
        Some(peer)
    }

    /// A number for one that comes now. None is given twice.
    pub(in crate::engine) fn next_key(&mut self) -> PeerKey {
        let key = PeerKey(self.next_key);
        self.next_key += 1;
        key
    }

    /// How many are on parole.
    pub(in crate::engine) fn on_parole(&self) -> usize {
        self.on_parole
    }

    pub(in crate::engine) fn set_parole(&mut self, key: PeerKey, parole: bool) {
        let Some(peer) = self.map.get_mut(&key) else { return };
        let before = std::mem::replace(&mut peer.parole, parole);
        self.on_parole = (self.on_parole + usize::from(parole)).saturating_sub(usize::from(before));
    }

    /// A piece failed its hash to which it may have sent a part: it is on parole until it has shown that it sends what is right.
    pub(in crate::engine) fn failed_hash(&mut self, key: PeerKey) {
        if let Some(peer) = self.map.get_mut(&key) {
            peer.hash_fails += 1;
            peer.parole_passed = 0;
        }
        self.set_parole(key, true);
    }

    /// All of them, for good.
    pub(in crate::engine) fn take_all(&mut self) -> IntoValues<PeerKey, Peer> {
        self.on_parole = 0;
        self.partial.clear();
        std::mem::take(&mut self.map).into_values()
    }

    /// Those to look at when we get a piece or lose one.
    pub(in crate::engine) fn for_each_partial(&mut self, mut look: impl FnMut(&mut Peer)) {
        for key in &self.partial {
            if let Some(peer) = self.map.get_mut(key) {
                look(peer);
            }
        }
    }

    #[cfg(any(test, feature = "audit"))]
    pub(in crate::engine) fn is_partial(&self, key: PeerKey) -> bool {
        self.partial.contains(&key)
    }

    pub(in crate::engine) fn set_partial(&mut self, key: PeerKey, partial: bool) {
        if partial {
            self.partial.insert(key);
        } else {
            self.partial.remove(&key);
        }
    }
}
