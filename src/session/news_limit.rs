//! How often a session tells of what may happen any number of times: somebody else decides how often.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::time::Time;

/// What waits to be used up after a rest.
const AT_ONCE: u64 = 100;
/// One comes free in that time.
const EACH: Duration = Duration::from_millis(100);

/// When all that were told are paid for, in microseconds. No lock: it is asked under a torrent's.
#[derive(Debug, Default)]
pub struct NewsLimit {
    paid: AtomicU64,
}

impl NewsLimit {
    /// May one be told now?
    pub fn allows(&self, now: Time) -> bool {
        let (now, each) = (now.micros(), EACH.as_micros() as u64);
        let tell = |paid: u64| Some(paid.max(now) + each).filter(|paid| *paid <= now + AT_ONCE * each);
        self.paid.fetch_update(Ordering::AcqRel, Ordering::Acquire, tell).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_at_once_and_then_ten_a_second() {
        let limit = NewsLimit::default();
        let told = |at: Duration| (0..1000).filter(|_| limit.allows(Time::BEGINNING + at)).count();
        assert_eq!((told(Duration::ZERO), told(Duration::ZERO)), (100, 0));
        assert_eq!(told(Duration::from_secs(1)), 10);
        assert_eq!(told(Duration::from_millis(1100)), 1);
        assert_eq!(told(Duration::from_secs(3600)), 100);
    }
}
