//! The turn of a reader where memory has less than a piece for each: it reads on until it waits again, or has had its share of the time.

use std::time::Duration;

use crate::base::time::Time;

/// How long a turn lasts at least, and at most.
const TURN: Duration = Duration::from_secs(3);
const LONGEST_TURN: Duration = Duration::from_secs(10);
/// Where torrents take turns, who has not read for so long is passed over.
pub(super) const TURN_IS_OVER: Duration = Duration::from_secs(2);

/// It goes on from the first byte after a wait to the next wait.
#[derive(Debug, Default)]
pub struct Turn {
    /// Since when, and what was read before, of all bytes.
    began: Option<(Time, u64)>,
    last: Duration,
}

impl Turn {
    /// Bytes go to the caller, who had so many before.
    pub fn goes_on(&mut self, now: Time, read: u64) {
        self.began.get_or_insert((now, read));
    }

    /// The reader waits, and used memory last at that time.
    pub fn ends(&mut self, last_used: Time) {
        if let Some((since, _)) = self.began.take() {
            self.last = last_used.since(since);
        }
    }

    /// How long the last one took that has ended.
    pub fn last(&self) -> Duration {
        self.last
    }

    /// Has it had its share of the time? Who will be through with his piece soon may go on to its end, or it would be fetched again for
    /// little: so many bytes of it are left, and so many were read in all.
    pub fn is_over(&self, now: Time, read: u64, left: u64) -> bool {
        let Some((since, before)) = self.began else { return false };
        let (took, read) = (now.since(since), u128::from(read - before));
        let ends_in_time =
            || u128::from(left) * took.as_micros() <= read * LONGEST_TURN.saturating_sub(took).as_micros();
        took >= TURN && !ends_in_time()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_by_time_unless_its_piece_ends_before() {
        let at = Time::from_millis;
        let mut turn = Turn::default();
        assert!(!turn.is_over(at(60_000), 0, 1), "it has not begun");
        turn.goes_on(at(1000), 500);
        turn.goes_on(at(2000), 600);
        assert!(!turn.is_over(at(3999), 501, 1 << 20));
        assert!(turn.is_over(at(4000), 501, 1 << 20), "it takes a byte now and then");
        // 100 bytes a second: 700 more by the tenth.
        assert!(!turn.is_over(at(4000), 800, 700));
        assert!(turn.is_over(at(4000), 800, 701));
        assert!(turn.is_over(at(11_001), 1500, 1));
        turn.ends(at(9000));
        assert_eq!((turn.last(), turn.is_over(at(60_000), 1500, 1)), (Duration::from_secs(8), false));
        turn.ends(at(20_000));
        assert_eq!(turn.last(), Duration::from_secs(8), "it had ended");
    }
}
