//! How the torrents of a session share its memory limit: by weight, one for each active reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sum of all weights of a session.
#[derive(Debug, Default)]
pub struct Shares {
    total: AtomicU64,
}

/// One torrent's weight; given back when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    weight: u64,
}

impl Shares {
    pub fn join(self: &Arc<Self>) -> Share {
        Share { shares: self.clone(), weight: 0 }
    }
}

impl Share {
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// True if it changed: the other torrents' shares changed too.
    pub fn set_weight(&mut self, weight: u64) -> bool {
        if weight == self.weight {
            return false;
        }
        self.shares.total.fetch_add(weight, Ordering::AcqRel);
        self.shares.total.fetch_sub(self.weight, Ordering::AcqRel);
        self.weight = weight;
        true
    }

    /// This torrent's part of `limit`: all of it while nobody else wants any.
    pub fn of(&self, limit: u64) -> u64 {
        let total = self.shares.total.load(Ordering::Acquire);
        if total == 0 || self.weight == 0 { limit } else { limit / total.max(self.weight) * self.weight }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set_weight(0);
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
        assert!(a.set_weight(1));
        assert!(!a.set_weight(1));
        b.set_weight(2);
        assert_eq!((a.of(90), b.of(90)), (30, 60));
        drop(b);
        assert_eq!(a.of(90), 90);
    }
}
