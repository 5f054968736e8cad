//! A session's time.

use std::time::{Duration, Instant};

use crate::base::time::Time;
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::sys::clock::monotonic_coarse;

/// Counts from the session's start.
#[derive(Debug)]
pub struct Clock {
    epoch: Instant,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    rough_epoch: Duration,
}

impl Clock {
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            rough_epoch: monotonic_coarse(),
        }
    }

    pub fn now(&self) -> Time {
        Time::BEGINNING + self.epoch.elapsed()
    }

    /// The time to some milliseconds, later or earlier. It costs a twentieth.
    pub fn roughly(&self) -> Time {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return Time::BEGINNING + monotonic_coarse().saturating_sub(self.rough_epoch);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        self.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roughly_is_about_now() {
        let clock = Clock::new();
        std::thread::sleep(Duration::from_millis(30));
        let (before, roughly, after) = (clock.now(), clock.roughly(), clock.now());
        // A tick is 10 ms at most.
        let slack = Duration::from_millis(11);
        assert!(roughly + slack >= before && roughly <= after + slack, "{before:?} {roughly:?} {after:?}");
    }
}
