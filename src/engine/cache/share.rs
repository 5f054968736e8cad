//! How the torrents of a session share its memory limit: to each what it needs at least, the rest by weight, so much for each
//! active reader. Where there is not enough for that, all readers weigh the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a reader weighs where there is enough for all. A torrent that is read in the background only weighs 1, with all its readers.
const IN_FRONT: u64 = 8;

/// Whether a torrent comes before others of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precedence {
    /// Nobody plays, and nobody reads in the background who could wait.
    #[default]
    Even,
    Plays,
    /// Only readers in the background read.
    Behind,
}

/// What a torrent asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claim {
    pub precedence: Precedence,
    /// Its active readers.
    pub weight: u64,
    /// Blocks that it cannot do without: those of a piece for each who reads.
    pub need: u64,
}

impl Claim {
    /// The weight in what is left when each has what it needs.
    fn of_the_rest(&self) -> u64 {
        match self.precedence {
            Precedence::Behind => self.weight.min(1),
            Precedence::Even | Precedence::Plays => self.weight.saturating_mul(IN_FRONT),
        }
    }
}

/// The sums over all torrents of a session.
#[derive(Debug, Default)]
pub struct Shares {
    weight: AtomicU64,
    of_the_rest: AtomicU64,
    need: AtomicU64,
    /// Torrents in which somebody plays.
    playing: AtomicU64,
    /// Of what they need, what they do not hold.
    lacking: AtomicU64,
    protected: AtomicU64,
}

/// One torrent's part; given back when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    claim: Claim,
    protected: u64,
    held: u64,
    lacks: u64,
}

impl Shares {
    pub fn join(self: &Arc<Self>) -> Share {
        Share { shares: self.clone(), claim: Claim::default(), protected: 0, held: 0, lacks: 0 }
    }

    fn somebody_plays(&self) -> bool {
        self.playing.load(Ordering::Acquire) > 0
    }
}

impl Share {
    pub fn weight(&self) -> u64 {
        self.claim.weight
    }

    /// Does somebody play in another torrent, and here only readers in the background read?
    pub fn gives_way(&self) -> bool {
        self.claim.precedence == Precedence::Behind && self.shares.somebody_plays()
    }

    /// Does somebody play in another torrent, and nobody here?
    pub fn is_behind_players(&self) -> bool {
        self.claim.precedence != Precedence::Plays && self.shares.somebody_plays()
    }

    /// Does somebody play in any torrent?
    pub fn somebody_plays(&self) -> bool {
        self.shares.somebody_plays()
    }

    /// Weighs the torrent. True if that changed: the other torrents' shares changed, too.
    pub fn claim(&mut self, mut claim: Claim) -> bool {
        if claim.weight == 0 {
            claim = Claim::default();
        }
        if claim == self.claim {
            return false;
        }
        let plays = |claim: &Claim| u64::from(claim.precedence == Precedence::Plays);
        let before = std::mem::replace(&mut self.claim, claim);
        replace(&self.shares.playing, plays(&before), plays(&claim));
        replace(&self.shares.weight, before.weight, claim.weight);
        replace(&self.shares.of_the_rest, before.of_the_rest(), claim.of_the_rest());
        replace(&self.shares.need, before.need, claim.need);
        self.count_lacking();
        true
    }

    /// The torrent holds so many blocks.
    pub fn holds(&mut self, blocks: u64) {
        if self.held != blocks {
            self.held = blocks;
            self.count_lacking();
        }
    }

    fn count_lacking(&mut self) {
        let plays = self.claim.precedence == Precedence::Plays;
        let lacks = if plays { self.claim.need.saturating_sub(self.held) } else { 0 };
        if lacks != self.lacks {
            replace(&self.shares.lacking, self.lacks, lacks);
            self.lacks = lacks;
        }
    }

    /// Blocks that those who play in other torrents need beside what they hold.
    pub fn needed_by_players(&self) -> u64 {
        self.shares.lacking.load(Ordering::Acquire).saturating_sub(self.lacks)
    }

    /// This torrent's part of `limit`: all of it while nobody else wants any. What a torrent protects is its own, the rest is shared.
    pub fn of(&self, limit: u64) -> u64 {
        let limit = self.unprotected(limit);
        if self.shares.weight.load(Ordering::Acquire) == 0 || self.claim.weight == 0 {
            return self.protected + limit;
        }
        let part = |blocks: u64, own: u64, all: &AtomicU64| {
            blocks.saturating_mul(own) / all.load(Ordering::Acquire).max(own).max(1)
        };
        self.protected
            + match limit.checked_sub(self.needed().max(self.claim.need)) {
                Some(rest) => self.claim.need + part(rest, self.claim.of_the_rest(), &self.shares.of_the_rest),
                None => part(limit, self.claim.weight, &self.shares.weight),
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
        replace(&self.shares.protected, self.protected, blocks);
        self.protected = blocks;
        changed
    }

    /// Blocks that other torrents protect.
    pub fn protected_elsewhere(&self) -> u64 {
        self.shares.protected.load(Ordering::Acquire).saturating_sub(self.protected)
    }
}

/// Of a sum, one part. Others see too much for a moment, not too little.
fn replace(sum: &AtomicU64, before: u64, new: u64) {
    sum.fetch_add(new, Ordering::AcqRel);
    sum.fetch_sub(before, Ordering::AcqRel);
}

impl Drop for Share {
    fn drop(&mut self) {
        self.claim(Claim::default());
        self.protect(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(weight: u64, need: u64) -> Claim {
        Claim { precedence: Precedence::Even, weight, need }
    }

    #[test]
    fn weights_divide_the_limit() {
        let shares = Arc::new(Shares::default());
        let (mut a, mut b) = (shares.join(), shares.join());
        assert_eq!(a.of(90), 90);
        assert!(a.claim(other(1, 0)));
        assert!(!a.claim(other(1, 0)));
        b.claim(other(2, 0));
        assert_eq!((a.of(90), b.of(90)), (30, 60));
        drop(b);
        assert_eq!(a.of(90), 90);
    }

    #[test]
    fn what_a_torrent_cannot_do_without_comes_before_the_weights() {
        let shares = Arc::new(Shares::default());
        let (mut large, mut small) = (shares.join(), shares.join());
        large.claim(other(1, 60));
        small.claim(other(3, 3));
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
        a.claim(other(1, 4));
        b.claim(other(1, 4));
        assert_eq!((a.of(32), b.of(32)), (15, 17));
        assert!(!a.is_crowded(20) && a.is_crowded(19));
        drop(b);
        assert_eq!((a.protected_elsewhere(), a.of(32)), (0, 32));
    }

    #[test]
    fn those_in_the_background_give_way_while_somebody_plays_elsewhere() {
        let shares = Arc::new(Shares::default());
        let (mut player, mut next) = (shares.join(), shares.join());
        next.claim(Claim { precedence: Precedence::Behind, weight: 5, need: 50 });
        assert!(!next.gives_way());
        assert!(player.claim(Claim { precedence: Precedence::Plays, weight: 1, need: 20 }));
        assert!(next.gives_way() && !player.gives_way());
        assert_eq!((player.of(79), next.of(79)), (20 + 8, 50 + 1), "what is left when each has what it needs");
        assert_eq!((player.of(60), next.of(60)), (10, 50), "they take turns");
        drop(player);
        assert!(!next.gives_way());
    }
}
