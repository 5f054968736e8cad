//! The peers that have room in their queues, the one that would bring a block first in front.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use crate::engine::content::pieces::PeerKey;

/// A peer's place in the order: how long a block takes that is asked of it, as of when that last changed.
pub type Place = (Duration, PeerKey);

/// In the order of their waits. A place is as old as the last event of its peer, or the last tick: it may be a little late, or early.
#[derive(Debug, Default)]
pub struct OpenSlots {
    order: BTreeSet<Place>,
    waits: BTreeMap<PeerKey, Duration>,
}

impl OpenSlots {
    /// Takes the peer in, or gives it its new place.
    pub fn insert(&mut self, key: PeerKey, wait: Duration) {
        match self.waits.insert(key, wait) {
            Some(before) if before == wait => return,
            Some(before) => drop(self.order.remove(&(before, key))),
            None => {}
        }
        self.order.insert((wait, key));
    }

    pub fn remove(&mut self, key: PeerKey) {
        if let Some(wait) = self.waits.remove(&key) {
            self.order.remove(&(wait, key));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The next one behind that place; the first without one.
    pub fn next(&self, after: Option<Place>) -> Option<Place> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.order.range((from, Bound::Unbounded)).next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn all(slots: &OpenSlots) -> Vec<u32> {
        let first = slots.next(None);
        std::iter::successors(first, |place| slots.next(Some(*place))).map(|(_, key)| key.0).collect()
    }

    #[test]
    fn the_soonest_is_first_and_has_one_place_only() {
        let mut slots = OpenSlots::default();
        assert!(slots.is_empty() && slots.next(None).is_none());
        for (key, wait) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            slots.insert(PeerKey(key), MS * wait);
        }
        assert_eq!(all(&slots), [2, 4, 3, 1]);
        slots.insert(PeerKey(2), MS * 40);
        slots.insert(PeerKey(3), MS * 20);
        assert_eq!(all(&slots), [4, 3, 1, 2]);
        slots.remove(PeerKey(3));
        slots.remove(PeerKey(3));
        assert_eq!(all(&slots), [4, 1, 2]);
    }
}
