//! How fast bytes flow: an estimate that follows a change within about two seconds.

use std::time::Duration;

use crate::base::time::Time;

/// The shortest span that makes a sample.
const SAMPLE: Duration = Duration::from_millis(200);
/// How long a sample weighs: an estimate forgets with this time constant.
const MEMORY_S: f64 = 1.5;

/// What only grows: bytes, of the protocol with its payload and of payload alone, and pieces that came in wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub download: u64,
    pub upload: u64,
    pub payload_download: u64,
    pub payload_upload: u64,
    pub redundant_bytes: u64,
    pub hash_failures: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, more: Self) {
        self.download += more.download;
        self.upload += more.upload;
        self.payload_download += more.payload_download;
        self.payload_upload += more.payload_upload;
        self.redundant_bytes += more.redundant_bytes;
        self.hash_failures += more.hash_failures;
    }
}

/// A running rate in bytes a second, and the total behind it.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    total: u64,
    pending: u64,
    since: Time,
    rate: f64,
    started: bool,
}

impl Rate {
    pub fn add(&mut self, now: Time, bytes: u64) {
        if !self.started {
            self.started = true;
            self.since = now;
        }
        self.total += bytes;
        self.pending += bytes;
        self.update(now);
    }

    /// Takes in the time that passed. Cheap; call it before a reading that matters.
    pub fn update(&mut self, now: Time) {
        let span = now.since(self.since);
        if !self.started || span < SAMPLE {
            return;
        }
        let seconds = span.as_secs_f64();
        let sample = self.pending as f64 / seconds;
        let keep = (-seconds / MEMORY_S).exp();
        self.rate = if self.rate == 0.0 { sample } else { self.rate * keep + sample * (1.0 - keep) };
        if self.rate < 1.0 {
            self.rate = 0.0;
        }
        self.pending = 0;
        self.since = now;
    }

    /// Bytes a second, as of the last update.
    pub fn per_second(&self) -> u32 {
        self.rate.min(f64::from(u32::MAX)) as u32
    }

    /// Bytes a second now, also where nobody updates any more: what stood still has come to rest.
    pub fn at(&self, now: Time) -> u32 {
        let mut rate = self.clone();
        rate.update(now);
        rate.per_second()
    }

    /// All bytes ever.
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_steady_flow_and_its_end() {
        let mut rate = Rate::default();
        for ms in (0..5000).step_by(10) {
            rate.add(Time::from_millis(ms), 10_000);
        }
        let r = f64::from(rate.per_second());
        assert!((r - 1e6).abs() < 1e5, "{r}");
        rate.update(Time::from_millis(8000));
        assert!(rate.per_second() < 200_000);
        assert_eq!(rate.at(Time::from_millis(8000)), rate.per_second());
        assert_eq!(rate.at(Time::from_millis(60_000)), 0, "though nobody updates it");
        rate.update(Time::from_millis(60_000));
        assert_eq!(rate.per_second(), 0);
        assert_eq!(rate.total(), 5_000_000);
    }
}
