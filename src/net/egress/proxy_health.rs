//! Whether the proxy works. One that does not is left alone for a while: every peer would ask for it anew.

use std::time::Duration;

use crate::base::time::Time;

/// The pause after a failure; it doubles, up to the longest. Somebody may be watching.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// One that works now and then is not told of more often.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failed {
    /// It worked before, or was never tried.
    pub first: bool,
    /// The program is to hear of it.
    pub tell: bool,
}

#[derive(Debug, Default)]
pub struct ProxyHealth {
    failures: u32,
    not_before: Time,
    /// This time, and at all.
    is_told: bool,
    told: Option<Time>,
}

impl ProxyHealth {
    /// May it be tried now?
    pub fn may_try(&self, now: Time) -> bool {
        self.failures == 0 || now >= self.not_before
    }

    pub fn works(&mut self) {
        *self = Self { told: self.told, ..Self::default() };
    }

    /// It failed. A failure of a try that began before the pause is none.
    pub fn failed(&mut self, now: Time) -> Failed {
        if !self.may_try(now) {
            return Failed::default();
        }
        let pause = PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.not_before = now + pause;
        self.failures = self.failures.saturating_add(1);
        let tell = !self.is_told && self.told.is_none_or(|at| now.since(at) >= TOLD_AGAIN);
        if tell {
            (self.is_told, self.told) = (true, Some(now));
        }
        Failed { first: self.failures == 1, tell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::BEGINNING + Duration::from_millis(ms)
    }

    #[test]
    fn a_dead_proxy_is_tried_ever_less_often_and_told_of_once() {
        let mut health = ProxyHealth::default();
        assert!(health.may_try(at(0)) && health.failed(at(0)) == Failed { first: true, tell: true });
        assert!(!health.failed(at(1)).tell, "many fail at the same time");
        let mut tries = 0;
        for ms in (1..60_000).step_by(10) {
            if health.may_try(at(ms)) {
                tries += 1;
                assert!(!health.failed(at(ms)).tell, "it was told");
            }
        }
        assert!((12..=18).contains(&tries), "{tries}");
        health.works();
        assert!(health.may_try(at(60_000)) && health.failed(at(60_000)).tell, "it worked meanwhile");
        health.works();
        assert_eq!(health.failed(at(61_000)), Failed { first: true, tell: false }, "it was told just now");
        assert!(health.failed(at(71_000)).tell, "it does not work any more");
        assert!(!health.failed(at(191_000)).tell);
    }
}
