//! Whether the proxy works. One that does not is left alone for a while: every peer would ask for it anew.

use std::time::Duration;

use crate::base::time::Time;

/// The pause after a failure; it doubles, up to the longest. Somebody may be watching.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub struct ProxyHealth {
    failures: u32,
    not_before: Time,
}

impl ProxyHealth {
    /// May it be tried now?
    pub fn may_try(&self, now: Time) -> bool {
        self.failures == 0 || now >= self.not_before
    }

    pub fn works(&mut self) {
        *self = Self::default();
    }

    /// It failed. True: it worked before, or was never tried. A failure of a try that began before the pause is none.
    pub fn failed(&mut self, now: Time) -> bool {
        if !self.may_try(now) {
            return false;
        }
        let pause = PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.not_before = now + pause;
        self.failures = self.failures.saturating_add(1);
        self.failures == 1
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
        assert!(health.may_try(at(0)) && health.failed(at(0)));
        assert!(!health.failed(at(1)), "many fail at the same time");
        let mut tries = 0;
        for ms in (1..60_000).step_by(10) {
            if health.may_try(at(ms)) {
                tries += 1;
                assert!(!health.failed(at(ms)), "it was told");
            }
        }
        assert!((12..=18).contains(&tries), "{tries}");
        health.works();
        assert!(health.may_try(at(60_000)) && health.failed(at(60_000)), "it worked meanwhile");
    }
}
