//! When bytes are through, at a rate. No clock: times come in as they go out.

use std::time::Duration;

/// A rate, and until when it is taken.
#[derive(Debug)]
pub struct Pace {
    seconds_per_byte: f64,
    free_at: Duration,
}

impl Pace {
    /// `rate`: bytes a second, at least 1.
    pub fn new(rate: u64) -> Self {
        Self { seconds_per_byte: 1.0 / rate.max(1) as f64, free_at: Duration::ZERO }
    }

    /// Takes the next stretch, of so many bytes. Its end.
    pub fn book(&mut self, now: Duration, bytes: usize) -> Duration {
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(bytes as f64 * self.seconds_per_byte);
        self.free_at
    }

    pub fn backlog(&self, now: Duration) -> Duration {
        self.free_at.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_at_once_goes_one_after_the_other() {
        let mut pace = Pace::new(1_000_000);
        let now = Duration::from_secs(5);
        assert_eq!(pace.book(now, 1000), now + Duration::from_millis(1));
        assert_eq!(pace.book(now, 2000), now + Duration::from_millis(3));
        assert_eq!(pace.backlog(now + Duration::from_millis(1)), Duration::from_millis(2));
        // A pause is not made up for.
        let later = Duration::from_secs(9);
        assert_eq!(pace.book(later, 1000), later + Duration::from_millis(1));
        assert_eq!(pace.backlog(Duration::from_secs(10)), Duration::ZERO);
    }

    #[test]
    fn the_rate_holds_over_many_bookings() {
        let mut pace = Pace::new(8_000_000);
        let end = (0..10_000).map(|_| pace.book(Duration::ZERO, 4096)).last().unwrap_or_default();
        let exact = 4096.0 * 10_000.0 / 8e6;
        assert!((end.as_secs_f64() / exact - 1.0).abs() < 1e-4, "{end:?} of {exact}");
    }
}
