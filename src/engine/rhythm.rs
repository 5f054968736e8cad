//! The intervals at which a peer brings blocks. By them it is told whether one is late: a peer may bring whole blocks now and then and nothing
//! in between, and all of that counts as long as it goes on.

use std::time::Duration;

use super::Time;
use super::pipe::Lately;

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
pub struct Rhythm {
    last: [Option<Duration>; LAST],
    next: usize,
    longest: Lately<Duration>,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { last: [None; LAST], next: 0, longest: Lately::new(WINDOW, Duration::max) }
    }
}

impl Rhythm {
    /// It brought a block, so long after the one before, or after it was asked.
    pub fn brought(&mut self, now: Time, after: Duration) {
        self.last[self.next % LAST] = Some(after);
        self.next = (self.next + 1) % LAST;
        self.longest.add(now, after);
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

    #[test]
    fn a_standstill_is_allowed_again_and_is_not_usual() {
        let (mut rhythm, second) = (Rhythm::default(), Duration::from_secs(1));
        assert_eq!((rhythm.usual(), rhythm.allowed()), (Duration::ZERO, Duration::ZERO));
        let mut now = Time::ZERO;
        let mut bring = |rhythm: &mut Rhythm, after| {
            now = now + after;
            rhythm.brought(now, after);
        };
        bring(&mut rhythm, 8 * second);
        assert_eq!((rhythm.usual(), rhythm.allowed()), (8 * second, 16 * second));
        bring(&mut rhythm, second / 10);
        assert_eq!((rhythm.usual(), rhythm.allowed()), (Duration::ZERO, 16 * second));
        (0..LAST).for_each(|_| bring(&mut rhythm, 9 * second));
        assert_eq!((rhythm.usual(), rhythm.allowed()), (9 * second, 18 * second));
        (0..1500).for_each(|_| bring(&mut rhythm, second / 10));
        assert_eq!(rhythm.allowed(), second / 5, "that was long ago");
        bring(&mut rhythm, 100 * second);
        assert_eq!(rhythm.allowed(), MOST_ALLOWED);
    }
}
