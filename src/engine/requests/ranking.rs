//! The peers that let us ask, the one that would bring a block soonest in front. Counted now and then only: a count looks at
//! every peer, a choice at the first few.

use std::time::Duration;

use crate::base::time::Time;
use crate::engine::content::pieces::PeerKey;

/// How long a count holds while nobody comes, goes, chokes or unchokes: at least so long, and so long for each peer counted, or
/// a large swarm would do little else.
const HOLDS: Duration = Duration::from_millis(100);
const HOLDS_PER_PEER: Duration = Duration::from_millis(1);
/// So many of the first are looked at to find out who else would bring a piece.
const QUICK: usize = 8;

/// Who is fast.
#[derive(Debug, Default)]
pub struct Ranking {
    order: Vec<PeerKey>,
    /// How long a block takes that is asked of the first, behind a full queue.
    best: Duration,
    counted: Time,
    fresh: bool,
}

impl Ranking {
    /// Somebody came, went, choked or unchoked us.
    pub fn outdated(&mut self) {
        self.fresh = false;
    }

    pub fn is_due(&self, now: Time) -> bool {
        !self.fresh || now.since(self.counted) >= HOLDS.max(HOLDS_PER_PEER * self.order.len() as u32)
    }

    /// Takes the peers in with the wait for a block of each.
    pub fn count(&mut self, now: Time, peers: impl Iterator<Item = (Duration, PeerKey)>) {
        let mut waits: Vec<(Duration, PeerKey)> = peers.collect();
        waits.sort_unstable();
        self.best = waits.first().map_or(Duration::ZERO, |(wait, _)| *wait);
        self.order.clear();
        self.order.extend(waits.into_iter().map(|(_, key)| key));
        (self.counted, self.fresh) = (now, true);
    }

    pub fn order(&self) -> &[PeerKey] {
        &self.order
    }

    /// The first few.
    pub fn quick(&self) -> &[PeerKey] {
        self.order.get(..QUICK).unwrap_or(&self.order)
    }

    /// By how much a peer with this wait is slower than the first; zero where that is little.
    pub fn behind(&self, wait: Duration) -> Duration {
        let alike = self.best + self.best / 2 + Duration::from_millis(20);
        if self.order.is_empty() || wait <= alike { Duration::ZERO } else { wait - self.best }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_soonest_is_first_and_the_slow_are_told_apart() {
        let mut ranking = Ranking::default();
        assert!(ranking.is_due(Time::ZERO));
        assert_eq!(ranking.behind(900 * MS), Duration::ZERO, "nobody to compare with");
        ranking.count(Time::ZERO, [(300 * MS, PeerKey(1)), (40 * MS, PeerKey(2)), (60 * MS, PeerKey(3))].into_iter());
        assert_eq!(ranking.order(), [PeerKey(2), PeerKey(3), PeerKey(1)]);
        assert_eq!(ranking.behind(60 * MS), Duration::ZERO);
        assert_eq!(ranking.behind(300 * MS), 260 * MS);
        assert!(!ranking.is_due(Time::from_millis(50)));
        assert!(ranking.is_due(Time::from_millis(100)));
        ranking.outdated();
        assert!(ranking.is_due(Time::from_millis(50)));
    }
}
