//! What uploads hold of a session's memory.
//!
//! A block that waits to be written to a peer cannot be had back before the peer reads. So all uploads of a session together hold
//! an eighth of the limit at most, a block where that is less; and while somebody waits for memory they get nothing of what the
//! readers cannot do without. What counts are the blocks that are referred to: one byte keeps a whole block, and one that goes out
//! to two peers counts twice.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::pool::Pool;

/// Uploads hold one part in so many.
const PART: u64 = 8;

impl Pool {
    /// Blocks that uploads hold.
    pub fn outgoing(&self) -> u64 {
        self.outgoing.load(Ordering::Acquire)
    }

    /// The most that they may hold. Only a single request of more blocks goes beyond it, with nothing beside it.
    pub fn most_outgoing(&self) -> u64 {
        (self.limit() / PART).max(1)
    }
}

/// What is going out to one peer; given back when dropped.
#[derive(Debug)]
pub struct Outgoing {
    pool: Arc<Pool>,
    blocks: u64,
}

impl Outgoing {
    pub fn new(pool: Arc<Pool>) -> Self {
        Self { pool, blocks: 0 }
    }

    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Takes so many blocks more, if that may be. `needed`: what readers cannot do without.
    pub fn take(&mut self, blocks: u64, needed: u64) -> bool {
        let most = self.pool.most_outgoing();
        let left = if self.pool.anybody_waits() { self.pool.limit().saturating_sub(needed) } else { u64::MAX };
        let more = |held: u64| {
            let all = held.saturating_add(blocks);
            ((held == 0 || all <= most) && all <= left).then_some(all)
        };
        let taken = self.pool.outgoing.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok();
        self.blocks += if taken { blocks } else { 0 };
        taken
    }

    pub fn give_back(&mut self, blocks: u64) {
        let blocks = blocks.min(self.blocks);
        self.blocks -= blocks;
        self.pool.outgoing.fetch_sub(blocks, Ordering::AcqRel);
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.give_back(self.blocks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::pool::BLOCK_SIZE;
    use crate::memory::queue::{Rank, WaiterState};

    fn pool(blocks: u64) -> Arc<Pool> {
        Pool::new(blocks * u64::from(BLOCK_SIZE))
    }

    #[test]
    fn all_together_hold_an_eighth() {
        for blocks in [1, 7, 8, 64, 1000] {
            let pool = pool(blocks);
            let mut all: Vec<Outgoing> = (0..300).map(|_| Outgoing::new(pool.clone())).collect();
            let taken = all.iter_mut().filter_map(|l| l.take(1, 0).then_some(())).count() as u64;
            assert_eq!((taken, pool.outgoing()), ((blocks / 8).max(1), (blocks / 8).max(1)));
            all.truncate(1);
            assert_eq!(pool.outgoing(), 1);
            all.clear();
            assert_eq!(pool.outgoing(), 0);
        }
    }

    #[test]
    fn a_large_request_goes_alone() {
        let pool = pool(16);
        let (mut a, mut b) = (Outgoing::new(pool.clone()), Outgoing::new(pool.clone()));
        assert!(a.take(1, 0) && !b.take(8, 0));
        a.give_back(1);
        assert!(b.take(8, 0) && !a.take(1, 0));
    }

    /// While somebody waits readers keep what they need, and uploads get the rest.
    #[test]
    fn what_readers_need_is_not_lent_while_somebody_waits() {
        let pool = pool(64);
        let mut outgoing = Outgoing::new(pool.clone());
        assert!(outgoing.take(4, 64), "nobody waits");
        let all = pool.take(60, 0, true);
        let mut member = pool.join();
        member.wait(Rank { urgency: 1, since: 0 }, 8, WaiterState::Nothing);
        assert!(all.is_some() && !outgoing.take(1, 64) && outgoing.take(1, 59) && !outgoing.take(1, 59));
        pool.uncharge(60);
    }
}
