//! How many requests a peer takes at a time. Some that say nothing of it, or the wrong thing (`reqq`), reject what is beyond it, or drop
//! it without a word. What was dropped is found out by what came since, or by the silence after it.
//!
//! A reject is answered at once: what was asked for before, and is not answered yet, the peer has taken. So many tell the bound, and
//! from then on nothing within it is rejected. Whoever goes on with that rejects for reasons of his own, or at random, and has no bound.
//!
//! A bound may be of the moment: it is raised now and then.

use std::time::Duration;

use crate::base::time::Time;

/// A bound grows by a quarter, and one, in such intervals.
const RAISED_EVERY: Duration = Duration::from_secs(10);
/// Where rejects tell it a try costs next to nothing: after one that succeeded the next follows so soon, after others twice as late each time.
const RAISED_SOON: Duration = Duration::from_secs(1);
/// How often within that time a bound may prove lower than it seemed. With the next time it is none, for as long.
const MOST_CORRECTED: u32 = 3;
/// What is asked for is not taken for dropped before so long.
pub(super) const LEAST_WAIT: Duration = Duration::from_secs(1);
/// One that brings nothing at all for so long has dropped what it was asked for; twice as long each time until it brings something.
const SILENCE: Duration = Duration::from_secs(3);
const MOST_DOUBLED: u32 = 4;

#[derive(Debug, Clone, Copy)]
pub struct Depth {
    most: usize,
    /// What was found out last. What is asked for beyond it since is a try.
    found: usize,
    raised: Time,
    lowered: Time,
    /// When it is raised next, counted from the last time.
    pause: Duration,
    /// Did rejects tell it?
    by_rejects: bool,
    /// Times in a row that something within the bound was rejected, and the last of them.
    corrected: u32,
    corrected_at: Time,
    /// Rejects tell nothing until then.
    random_until: Time,
    /// Silences in a row.
    silences: u32,
    /// Since when it has brought nothing, though asked again and again: what was taken back from it then counts against it still.
    silent_since: Option<Time>,
    /// When that was found, and it was asked again.
    found_silent: Time,
    /// The bound, and what was found, before that silence.
    before: (usize, usize),
}

impl Default for Depth {
    fn default() -> Self {
        Self {
            most: usize::MAX,
            found: usize::MAX,
            raised: Time::ZERO,
            lowered: Time::ZERO,
            pause: RAISED_EVERY,
            by_rejects: false,
            corrected: 0,
            corrected_at: Time::ZERO,
            random_until: Time::ZERO,
            silences: 0,
            silent_since: None,
            found_silent: Time::ZERO,
            before: (usize::MAX, usize::MAX),
        }
    }
}

impl Depth {
    pub fn most(&self) -> usize {
        self.most
    }

    /// It took so many, and no more.
    pub fn took(&mut self, now: Time, requests: usize) {
        self.found = requests.max(1);
        (self.most, self.raised, self.lowered) = (self.found, now, now);
        (self.pause, self.by_rejects) = (RAISED_EVERY, false);
    }

    /// It rejected what was asked for at `sent`, and holds so many that were asked for before.
    pub fn rejected(&mut self, now: Time, sent: Time, held: usize) {
        // What was asked for before the bound was lowered says nothing of the bound.
        if sent < self.lowered || now < self.random_until {
            return;
        }
        if held < self.found {
            self.corrected = if now.since(self.corrected_at) < RAISED_EVERY { self.corrected + 1 } else { 1 };
            self.corrected_at = now;
            if self.corrected > MOST_CORRECTED {
                *self = Self {
                    random_until: now + RAISED_EVERY,
                    silences: self.silences,
                    silent_since: self.silent_since,
                    found_silent: self.found_silent,
                    before: (usize::MAX, usize::MAX),
                    ..Self::default()
                };
                return;
            }
        }
        if held > 0 {
            let pause = if self.by_rejects { (self.pause * 2).min(RAISED_EVERY) } else { RAISED_SOON };
            self.took(now, held);
            (self.pause, self.by_rejects) = (pause, true);
        } else {
            // The one that it was to answer next: that is no bound.
            self.lowered = now;
        }
    }

    /// It brought a block. `soon`: how long an answer may take. One that had dropped what was beyond its bound answers so soon when it is asked
    /// again; one that does not was away. Was it?
    pub fn brought_a_block(&mut self, now: Time, soon: Duration) -> bool {
        let was_away = self.silent_since.take().is_some() && now.since(self.found_silent) > soon;
        if was_away {
            (self.most, self.found) = self.before;
        }
        self.silences = 0;
        was_away
    }

    /// It brings nothing, since `last_block`. Was it silent already? One that drops what is beyond its bound answers the next request. One that
    /// does not answer that either was away, or its way was cut: that tells nothing of a bound.
    pub(super) fn fell_silent(&mut self, now: Time, last_block: Time) -> bool {
        self.silences += 1;
        let again = self.silent_since.is_some();
        if again {
            (self.most, self.found) = self.before;
        } else {
            (self.before, self.silent_since) = ((self.most, self.found), Some(last_block));
            self.found_silent = now;
        }
        again
    }

    /// When the bound was lowered last: what was asked for before says nothing of it.
    pub(super) fn lowered(&self) -> Time {
        self.lowered
    }

    pub fn silent_since(&self) -> Option<Time> {
        self.silent_since
    }

    /// Now and then.
    pub fn raise(&mut self, now: Time) {
        if self.most == usize::MAX || now.since(self.raised) < self.pause {
            return;
        }
        // It was raised before, and that held.
        if self.by_rejects && self.most > self.found {
            self.pause = RAISED_SOON;
        }
        (self.most, self.raised) = (self.most.saturating_add(self.most / 4 + 1), now);
    }

    pub(super) fn patience(&self) -> Duration {
        SILENCE * (1 << self.silences.min(MOST_DOUBLED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_tells_a_bound_only_if_the_next_request_is_answered() {
        let second = |n: u64| Time::from_millis(n * 1000);
        let soon = Duration::from_secs(1);
        let mut depth = Depth::default();
        assert!(!depth.fell_silent(second(4), second(1)));
        depth.took(second(4), 30);
        assert!(!depth.brought_a_block(second(5), soon));
        assert_eq!(depth.most(), 30, "it dropped the others");
        assert!(!depth.fell_silent(second(10), second(7)), "a silence of its own");
        depth.took(second(10), 15);
        assert!(depth.brought_a_block(second(12), soon));
        assert_eq!(depth.most(), 30, "it was away");
        depth.fell_silent(second(20), second(17));
        depth.took(second(20), 15);
        assert!(depth.fell_silent(second(26), second(17)) && depth.fell_silent(second(38), second(17)));
        assert_eq!((depth.most(), depth.silent_since()), (30, Some(second(17))), "it does not answer again");
    }

    #[test]
    fn a_bound_grows_again() {
        let mut depth = Depth::default();
        depth.raise(Time::from_millis(60_000));
        assert_eq!(depth.most(), usize::MAX);
        depth.took(Time::from_millis(60_000), 0);
        for (second, most) in [(69, 1), (70, 2), (79, 2), (80, 3), (90, 4), (100, 6), (110, 8)] {
            depth.raise(Time::from_millis(second * 1000));
            assert_eq!(depth.most(), most, "{second}");
        }
    }

    #[test]
    fn a_bound_that_rejects_tell_is_tried_seldom_while_it_holds_and_grows_soon_when_it_does_not() {
        let (mut depth, mut now) = (Depth::default(), Time::BEGINNING);
        let second = |now: Time, bound: usize, depth: &mut Depth| {
            depth.raise(now);
            (bound..depth.most().min(300)).for_each(|_| depth.rejected(now, now, bound));
            now + Duration::from_secs(1)
        };
        let mut tries = 0;
        for _ in 0..100 {
            let before = depth.raised;
            now = second(now, 5, &mut depth);
            tries += u32::from(depth.raised != before);
            assert_eq!(depth.most(), 5);
        }
        assert!((10..16).contains(&tries), "{tries}");
        (0..30).for_each(|_| now = second(now, 200, &mut depth));
        assert_eq!(depth.most(), 200);
    }

    /// A peer that takes `bound` requests at a time, and of those rejects some at random. A round of 300 requests each 100 ms, all of
    /// which are answered. How many it is asked for in the end.
    fn learn(depth: &mut Depth, from: Time, rounds: u64, bound: usize, mut by_chance: impl FnMut() -> bool) -> usize {
        for round in 0..rounds {
            let sent = from + Duration::from_millis(round * 100);
            let mut held = 0;
            for _ in 0..depth.most().min(300) {
                if held >= bound || by_chance() {
                    depth.rejected(sent + Duration::from_millis(50), sent, held);
                } else {
                    held += 1;
                }
            }
        }
        depth.most().min(300)
    }

    #[test]
    fn what_is_rejected_beyond_the_first_ones_tells_a_bound_and_what_is_rejected_at_random_does_not() {
        for bound in [1, 5, 20, 250] {
            let mut depth = Depth::default();
            assert_eq!(learn(&mut depth, Time::BEGINNING, 50, bound, || false), bound);
            // It changes.
            let later = Time::BEGINNING + RAISED_EVERY;
            assert_eq!(learn(&mut depth, later, 50, 3, || false), bound.min(3));
        }
        let mut rng = fastrand::Rng::with_seed(5);
        for percent in [10, 50, 90] {
            let mut depth = Depth::default();
            assert_eq!(learn(&mut depth, Time::BEGINNING, 50, 1000, || rng.u8(..100) < percent), 300, "{percent}");
            let later = Time::BEGINNING + RAISED_EVERY * 2;
            assert_eq!(learn(&mut depth, later, 50, 20, || false), 20, "now it has a bound");
        }
    }

    #[test]
    fn who_rejects_all_for_a_while_has_no_bound() {
        let mut depth = Depth::default();
        for n in 0..100 {
            let at = Time::BEGINNING + Duration::from_millis(n * 100);
            (0..40).for_each(|_| depth.rejected(at, at, 0));
            assert_eq!(depth.most(), usize::MAX);
        }
    }
}
