//! Interludes in memory's line.
//!
//! Who needs half of memory or more for a piece keeps others from it for as long as the piece takes to come, on a slow swarm for many
//! seconds, and several of them in line would do so one after the other. So those who need less go on beside such a piece, if they
//! can, and have a while for themselves after it, before the next one of that size.

use std::collections::BTreeSet;
use std::time::Duration;

/// An interlude lasts half as long as those who need less got nothing, within these bounds: a reader of large pieces gets on, too.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// Times are microseconds of the session's clock.
#[derive(Debug, Default)]
pub struct Interlude {
    /// Those who have half of memory.
    holders: BTreeSet<u64>,
    /// Since when they keep others from it.
    held_since: Option<u64>,
    /// A moment ago they did not.
    kept_nobody: bool,
    until: Option<u64>,
}

impl Interlude {
    /// That one got half of memory, or more, for a piece.
    pub fn begins(&mut self, id: u64) {
        self.holders.insert(id);
    }

    /// And has it no more.
    pub fn gave_back(&mut self, id: u64) {
        self.holders.remove(&id);
    }

    /// Somebody who needs less has got it, or nobody waits.
    pub fn keeps_nobody(&mut self) {
        self.kept_nobody = true;
    }

    /// Seen now and then: who has how much.
    pub fn review(&mut self, now: u64) {
        let kept_nobody = std::mem::take(&mut self.kept_nobody);
        if !self.holders.is_empty() {
            let since = self.held_since.filter(|_| !kept_nobody).unwrap_or(now);
            (self.held_since, self.until) = (Some(since), None);
        } else if let Some(since) = self.held_since.take() {
            let waited = Duration::from_micros(now.saturating_sub(since));
            self.until = Some(now + (waited / 2).clamp(SHORTEST, LONGEST).as_micros() as u64);
        }
        self.until.take_if(|until| *until <= now);
    }

    /// May those who need less pass those who need half of memory?
    pub fn is_on(&self) -> bool {
        !self.holders.is_empty() || self.held_since.is_some() || self.until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn it_lasts_half_as_long_as_others_got_nothing_within_bounds() {
        for (had, lasts) in [(1, 1), (6, 3), (21, 10)] {
            let mut interlude = Interlude::default();
            interlude.review(99 * SECOND);
            assert!(!interlude.is_on());
            interlude.begins(7);
            assert!(interlude.is_on(), "beside it");
            (100..=100 + had).for_each(|second| interlude.review(second * SECOND));
            interlude.gave_back(7);
            interlude.review((100 + had) * SECOND);
            interlude.review((100 + had + lasts) * SECOND - 1);
            assert!(interlude.is_on());
            interlude.review((100 + had + lasts) * SECOND);
            assert!(!interlude.is_on(), "{had}");
        }
    }

    #[test]
    fn two_in_a_row_count_together() {
        let mut interlude = Interlude::default();
        interlude.begins(7);
        interlude.review(0);
        interlude.gave_back(7);
        interlude.begins(8);
        interlude.review(4 * SECOND);
        interlude.gave_back(8);
        interlude.review(8 * SECOND);
        interlude.review(11 * SECOND);
        assert!(interlude.is_on());
        interlude.review(12 * SECOND);
        assert!(!interlude.is_on());
    }

    #[test]
    fn who_gets_some_beside_it_needs_no_long_one_after_it() {
        let mut interlude = Interlude::default();
        interlude.begins(7);
        interlude.review(0);
        interlude.keeps_nobody();
        interlude.review(20 * SECOND);
        interlude.gave_back(7);
        interlude.review(21 * SECOND);
        interlude.review(22 * SECOND);
        assert!(!interlude.is_on());
    }
}
