//! The intervals at which a peer brings blocks. By them it is told whether one is late: a peer may bring whole blocks now and then and nothing
//! in between, and all of that counts as long as it goes on.

use std::time::Duration;

use crate::base::time::Time;
use crate::engine::bandwidth::path::Lately;

/// What is usual is the least of so many: one standstill is no pace.
const LAST: usize = 4;
/// Whose interval is shorter is told late by the round trip: that is sooner, and asking others costs little beside what he brings.
const SLOW: Duration = Duration::from_secs(4);
/// For how long the longest one counts, once or twice.
const WINDOW: Duration = Duration::from_secs(60);
/// So many of the longest interval may pass, and no longer than this.
const ALLOWED: u32 = 2;
const MOST_ALLOWED: Duration = Duration::from_secs(75);

#[derive(Debug)]
pub struct BlockIntervals {
    /// When it brought the last one, or was asked after a rest; and before that rest.
    since: Time,
    before: Time,
    rests: bool,
    last: [Option<Duration>; LAST],
    next: usize,
    longest: Lately<Duration>,
}

impl BlockIntervals {
    pub fn new(now: Time) -> Self {
        let longest = Lately::new(WINDOW, Duration::max);
        Self { since: now, before: now, rests: true, last: [None; LAST], next: 0, longest }
    }

    /// Now and then while nothing is asked of it. What is taken back, and something else asked for at once, is no rest.
    pub fn rests(&mut self) {
        self.rests = true;
    }

    pub fn asked(&mut self, now: Time) {
        if std::mem::take(&mut self.rests) {
            (self.since, self.before) = (now, self.since);
        }
    }

    /// What it sent waited for a download limit.
    pub fn was_held(&mut self, now: Time, time: Duration) {
        self.since = now.min(self.since + time);
    }

    /// `stray`: it had been taken back, so what seemed a rest was none.
    pub fn brought_a_block(&mut self, now: Time, stray: bool) {
        let after = now.since(if stray { self.before } else { self.since });
        (self.since, self.before, self.rests) = (now, now, false);
        self.last[self.next % LAST] = Some(after);
        self.next = (self.next + 1) % LAST;
        self.longest.add(now, after);
    }

    /// It has brought nothing yet.
    pub fn is_unknown(&self) -> bool {
        self.last[0].is_none()
    }

    /// Of one that is slow: the next block should be here after this. Else zero.
    pub fn usual(&self) -> Duration {
        self.last.iter().flatten().min().copied().filter(|usual| *usual >= SLOW).unwrap_or_default()
    }

    /// After this it has given up.
    pub fn allowed(&self) -> Duration {
        (self.longest.best().unwrap_or_default() * ALLOWED).min(MOST_ALLOWED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_standstill_is_allowed_again_and_is_not_usual() {
        let mut intervals = BlockIntervals::new(Time::ZERO);
        intervals.asked(Time::ZERO);
        assert_eq!((intervals.usual(), intervals.allowed()), (Duration::ZERO, Duration::ZERO));
        let mut now = Time::ZERO;
        let mut bring = |intervals: &mut BlockIntervals, after| {
            now = now + after;
            intervals.brought_a_block(now, false);
        };
        bring(&mut intervals, 8 * SECOND);
        assert_eq!((intervals.usual(), intervals.allowed()), (8 * SECOND, 16 * SECOND));
        bring(&mut intervals, SECOND / 10);
        assert_eq!((intervals.usual(), intervals.allowed()), (Duration::ZERO, 16 * SECOND));
        (0..LAST).for_each(|_| bring(&mut intervals, 9 * SECOND));
        assert_eq!((intervals.usual(), intervals.allowed()), (9 * SECOND, 18 * SECOND));
        (0..1500).for_each(|_| bring(&mut intervals, SECOND / 10));
        assert_eq!(intervals.allowed(), SECOND / 5, "that was long ago");
        bring(&mut intervals, 100 * SECOND);
        assert_eq!(intervals.allowed(), MOST_ALLOWED);
    }

    #[test]
    fn a_rest_does_not_count_unless_it_was_none() {
        let at = |seconds: u64| Time::from_millis(seconds * 1000);
        for (stray, after) in [(false, 3), (true, 20)] {
            let mut intervals = BlockIntervals::new(Time::ZERO);
            intervals.asked(at(1));
            intervals.brought_a_block(at(5), false);
            intervals.rests();
            intervals.asked(at(22));
            intervals.asked(at(24));
            intervals.brought_a_block(at(25), stray);
            assert_eq!(intervals.allowed(), SECOND * 2 * after.max(4));
        }
        let mut intervals = BlockIntervals::new(Time::ZERO);
        intervals.asked(at(10));
        intervals.was_held(at(25), 10 * SECOND);
        intervals.brought_a_block(at(26), false);
        assert_eq!(intervals.allowed(), 12 * SECOND, "it was at work for six seconds");
    }
}
