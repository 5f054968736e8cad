//! The engine's clock: an argument, never asked for.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment, in microseconds. Monotonic: a session, or a simulation, begins at [`Time::BEGINNING`].
// One more than that is kept, so that it is never zero and `None` has a value, too: an `Option<Time>` takes no more room, and has no part that
// is never written, which memory checkers complain of where the compiler compares it before it looks whether there is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(NonZeroU64);

impl Time {
    pub const ZERO: Self = Self::from_micros(0);
    /// An hour after zero: what is zero was long ago at any moment, and what lies a while before a moment is a moment, too.
    pub const BEGINNING: Self = Self::from_micros(3_600_000_000);
    /// Later than every real moment.
    pub const NEVER: Self = Self(NonZeroU64::MAX);

    pub const fn from_millis(ms: u64) -> Self {
        Self::from_micros(ms * 1000)
    }

    pub const fn from_micros(micros: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(micros))
    }

    pub const fn micros(self) -> u64 {
        self.0.get() - 1
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Time {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Time").field(&self.micros()).finish()
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, d: Duration) -> Self {
        Self::from_micros(self.micros().saturating_sub(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_or_none_is_no_larger_than_a_moment() {
        assert_eq!(size_of::<Option<Time>>(), size_of::<Time>());
    }

    #[test]
    fn moments_end_at_zero_and_at_never() {
        let (zero, second) = (Time::ZERO, Duration::from_secs(1));
        assert_eq!((zero - second, zero.micros(), Time::default()), (zero, 0, zero));
        assert_eq!((Time::NEVER + second, Time::from_micros(u64::MAX)), (Time::NEVER, Time::NEVER));
        assert_eq!(
            (zero + second, (zero + second).since(zero), zero.since(zero + second)),
            (Time::from_millis(1000), second, Duration::ZERO)
        );
        assert!(Time::from_micros(u64::MAX - 1) <= Time::NEVER && zero < Time::BEGINNING);
        assert_eq!(format!("{:?}", Time::from_millis(2)), "Time(2000)");
    }
}
