//! How long an answer takes (RFC 6298), and when to wait no longer.

use std::time::Duration;

/// BEP 29: no timeout is shorter.
const LEAST_TIMEOUT: Duration = Duration::from_millis(500);
const MOST_TIMEOUT: Duration = Duration::from_secs(30);
/// Before there is a measure.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// Others may wait so long before they acknowledge.
const ACK_DELAY: Duration = Duration::from_millis(100);
/// Samples that the least one is taken of: it follows a path that became longer.
const LEAST_OF: u32 = 10_000;

#[derive(Debug, Clone, Default)]
pub struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    latest: Duration,
    least: Duration,
    /// The least of the samples since the last change of generation, and how many those are.
    least_now: Duration,
    samples: u32,
}

impl RoundTrip {
    pub fn sample(&mut self, rtt: Duration) {
        let rtt = rtt.max(Duration::from_micros(1));
        match self.smoothed {
            None => {
                (self.smoothed, self.variation) = (Some(rtt), rtt / 2);
                (self.least, self.least_now) = (rtt, rtt);
            }
            Some(smoothed) => {
                self.variation = self.variation * 3 / 4 + smoothed.abs_diff(rtt) / 4;
                self.smoothed = Some(smoothed * 7 / 8 + rtt / 8);
            }
        }
        self.latest = rtt;
        self.least_now = self.least_now.min(rtt);
        self.least = self.least.min(rtt);
        self.samples += 1;
        if self.samples >= LEAST_OF {
            (self.least, self.least_now, self.samples) = (self.least_now, rtt, 0);
        }
    }

    pub fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// That of the last sample. Zero before there is one.
    pub fn latest(&self) -> Duration {
        self.latest
    }

    /// That of the empty path, as far as it was seen. Zero before there is a sample.
    pub fn least(&self) -> Duration {
        self.least
    }

    /// What was sent so long ago, and nothing was heard since, is lost; each time in a row twice as long.
    pub fn timeout(&self, in_a_row: u32) -> Duration {
        let once = self.smoothed.map_or(FIRST_TIMEOUT, |s| s + self.variation * 4).max(LEAST_TIMEOUT);
        once.saturating_mul(1 << in_a_row.min(8)).min(MOST_TIMEOUT)
    }

    /// What was sent last is sent once more after this long, for the case that it is lost: nothing comes behind it that would tell.
    pub fn probe_timeout(&self) -> Duration {
        self.smoothed.map_or(FIRST_TIMEOUT, |s| s + (self.variation * 4).max(s / 2) + ACK_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_steady_path_is_waited_for_as_long_as_the_floor() {
        let mut rtt = RoundTrip::default();
        assert_eq!((rtt.timeout(0), rtt.timeout(2)), (ms(1000), ms(4000)));
        (0..100).for_each(|_| rtt.sample(ms(30)));
        assert_eq!(rtt.timeout(0), ms(500));
        assert!(rtt.smoothed().unwrap().abs_diff(ms(30)) < ms(1));
        assert!(rtt.probe_timeout() > ms(130) && rtt.probe_timeout() < ms(200));
        assert_eq!(rtt.timeout(60), ms(30_000));
    }

    #[test]
    fn an_unsteady_path_is_waited_for_longer() {
        let mut rtt = RoundTrip::default();
        (0..100).for_each(|n| rtt.sample(ms(if n % 2 == 0 { 30 } else { 1000 })));
        assert!(rtt.timeout(0) > ms(1500));
        assert_eq!(rtt.least(), ms(30));
    }

    #[test]
    fn the_least_follows_a_path_that_became_longer() {
        let mut rtt = RoundTrip::default();
        rtt.sample(ms(10));
        (0..2 * LEAST_OF).for_each(|_| rtt.sample(ms(80)));
        assert_eq!(rtt.least(), ms(80));
    }
}
