//! How the torrents of a session share its memory limit: to each what it needs at least, the rest by weight, one for each
//! active reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sums over all torrents of a session.
#[derive(Debug, Default)]
pub struct Shares {
    weight: AtomicU64,
    need: AtomicU64,
    protected: AtomicU64,
}

/// One torrent's part; given back when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    weight: u64,
    need: u64,
    protected: u64,
}

impl Shares {
    pub fn join(self: &Arc<Self>) -> Share {
        Share { shares: self.clone(), weight: 0, need: 0, protected: 0 }
    }
}

impl Share {
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// Weighs the torrent, and says how many blocks it cannot do without: those of a piece for each who reads. True if that changed:
    /// the other torrents' shares changed, too.
    pub fn claim(&mut self, weight: u64, need: u64) -> bool {
        let need = if weight == 0 { 0 } else { need };
        if (weight, need) == (self.weight, self.need) {
            return false;
        }
        replace(&self.shares.weight, &mut self.weight, weight);
        replace(&self.shares.need, &mut self.need, need);
        true
    }

    /// This torrent's part of `limit`: all of it while nobody else wants any. What a torrent protects is its own, the rest is shared.
    pub fn of(&self, limit: u64) -> u64 {
        let limit = self.unprotected(limit);
        let weight = self.shares.weight.load(Ordering::Acquire);
        if weight == 0 || self.weight == 0 {
            return self.protected + limit;
        }
        let part = |blocks: u64| blocks / weight.max(self.weight) * self.weight;
        self.protected
            + match limit.checked_sub(self.needed().max(self.need)) {
                Some(rest) => self.need + part(rest),
                None => part(limit),
            }
    }

    /// Blocks that all torrents together cannot do without.
    pub fn needed(&self) -> u64 {
        self.shares.need.load(Ordering::Acquire)
    }

    /// Is there less than all torrents together cannot do without? Then they take turns.
    pub fn is_crowded(&self, limit: u64) -> bool {
        self.needed() > self.unprotected(limit)
    }

    /// What of `limit` nobody protects.
    pub fn unprotected(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.shares.protected.load(Ordering::Acquire).max(self.protected))
    }

    /// Blocks that the service protects, here and in the session's other torrents. True if that changed: so did what is left for all.
    pub fn protect(&mut self, blocks: u64) -> bool {
        let changed = blocks != self.protected;
        replace(&self.shares.protected, &mut self.protected, blocks);
        changed
    }

    /// Blocks that other torrents protect.
    pub fn protected_elsewhere(&self) -> u64 {
        self.shares.protected.load(Ordering::Acquire).saturating_sub(self.protected)
    }
}

fn replace(sum: &AtomicU64, own: &mut u64, new: u64) {
    sum.fetch_add(new, Ordering::AcqRel);
    sum.fetch_sub(*own, Ordering::AcqRel);
    *own = new;
}

impl Drop for Share {
    fn drop(&mut self) {
        self.claim(0, 0);
        self.protect(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_divide_the_limit() {
        let shares = Arc::new(Shares::default());
        let (mut a, mut b) = (shares.join(), shares.join());
        assert_eq!(a.of(90), 90);
        assert!(a.claim(1, 0));
        assert!(!a.claim(1, 0));
        b.claim(2, 0);
        assert_eq!((a.of(90), b.of(90)), (30, 60));
        drop(b);
        assert_eq!(a.of(90), 90);
    }

    #[test]
    fn what_a_torrent_cannot_do_without_comes_before_the_weights() {
        let shares = Arc::new(Shares::default());
        let (mut large, mut small) = (shares.join(), shares.join());
        large.claim(1, 60);
        small.claim(3, 3);
        assert_eq!((large.of(103), small.of(103)), (70, 33));
        assert!(!large.is_crowded(63));
        assert!(large.is_crowded(62));
        assert_eq!((large.of(60), small.of(60)), (15, 45), "they take turns");
    }

    #[test]
    fn protection_is_counted_across_torrents() {
        let shares = Arc::new(Shares::default());
        let (mut a, mut b) = (shares.join(), shares.join());
        assert!(a.protect(5) && b.protect(7) && !b.protect(7));
        assert_eq!((a.protected_elsewhere(), b.protected_elsewhere()), (7, 5));
        // What is left is shared: by halves here, beside what each has for itself.
        a.claim(1, 4);
        b.claim(1, 4);
        assert_eq!((a.of(32), b.of(32)), (15, 17));
        assert!(!a.is_crowded(20) && a.is_crowded(19));
        drop(b);
        assert_eq!((a.protected_elsewhere(), a.of(32)), (0, 32));
    }
}
