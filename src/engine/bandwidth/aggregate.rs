//! What all peers of a torrent bring together.
//!
//! Where they share a way (our own line, mostly) each shows now and then what the way carries when the others pause. Were each
//! asked for as much, the way would be full of what stands in line. So then all of them together are asked for what keeps it
//! full, and no more.

use std::time::Duration;

use super::path::PeerPath;
use crate::base::time::Time;

/// Peers that have less than this of their bandwidths while the others have theirs share a way.
const SHARED: f64 = 0.9;
/// How long a count holds.
const COUNT: Duration = Duration::from_millis(50);
/// The first queue of all together: beyond it each round must bring more.
const FIRST_QUEUE: usize = 64;

/// What one peer is to all.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    pub bandwidth: f64,
    /// How many blocks keep its way full if it has that for itself.
    pub queue: f64,
    /// Is anything asked of it now?
    pub asked: bool,
}

#[derive(Debug)]
pub struct Aggregate {
    pub path: PeerPath,
    share: Option<f64>,
    /// Where they share a way: how many blocks keep it full.
    full: Option<f64>,
    counted: Time,
    /// Blocks that were asked of peers which have fallen silent: they keep no way full.
    silent: u64,
}

impl Default for Aggregate {
    fn default() -> Self {
        Self { path: PeerPath::new(FIRST_QUEUE), share: None, full: None, counted: Time::ZERO, silent: 0 }
    }
}

impl Aggregate {
    /// Which part of its own bandwidth a peer has while the others have theirs.
    pub fn share(&self) -> f64 {
        self.share.unwrap_or(1.0)
    }

    /// How many blocks all of them together should be asked for at most, where they share a way.
    pub fn most(&self) -> Option<u64> {
        self.full.map(|blocks| blocks as u64 + 2 + self.silent)
    }

    /// Now and then: so many blocks were asked of peers which are silent.
    pub fn note_silent(&mut self, blocks: u64) {
        self.silent = blocks;
    }

    /// Counts what the peers bring, if it was not done just now.
    pub fn count(&mut self, now: Time, peers: impl Iterator<Item = Part>) {
        if self.share.is_some() && now.since(self.counted) < COUNT {
            return;
        }
        let (mut asked, mut sum, mut queue) = (0.0, 0.0, 0.0);
        for part in peers {
            sum += part.bandwidth;
            queue += part.queue;
            asked += if part.asked { part.bandwidth } else { 0.0 };
        }
        let all = self.path.bandwidth();
        let of = |sum: f64| if sum > all && all > 0.0 { all / sum } else { 1.0 };
        self.share = Some(of(asked));
        self.full = (of(sum) < SHARED && !self.path.is_starting()).then_some(queue * of(sum) + self.path.slack());
        self.counted = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_a_way_is_asked_for_his_part() {
        let part = |bandwidth| Part { bandwidth, queue: bandwidth / 1e5, asked: true };
        let mut aggregate = Aggregate { path: PeerPath::default(), ..Aggregate::default() };
        assert!(aggregate.share() >= 1.0);
        aggregate.path.answered(Time::from_millis(100), 800_000, Time::ZERO, 0);
        let peers = [8e6, 8e6, 4e6, 0.0].map(part);
        aggregate.count(Time::from_millis(100), peers.into_iter());
        assert!((aggregate.share() - 0.4).abs() < 1e-9, "{}", aggregate.share());
        assert_eq!(aggregate.most(), Some(80 + 2), "80 of 200 blocks");
        aggregate.count(Time::from_millis(120), [part(1e6)].into_iter());
        assert!((aggregate.share() - 0.4).abs() < 1e-9, "it was counted just now");
        let idle = [part(1e6), Part { asked: false, ..part(15e6) }];
        aggregate.count(Time::from_millis(160), idle.into_iter());
        assert!(aggregate.share() >= 1.0, "nobody is in the way");
        assert_eq!(aggregate.most(), Some(80 + 2), "who is idle may be asked any time");
        aggregate.count(Time::from_millis(220), [part(1e6)].into_iter());
        assert_eq!(aggregate.most(), None, "the way is never full");
    }
}
