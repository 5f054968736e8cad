//! How long packets stand in queues on their way (RFC 6817, 4.3): their delay beyond the least that was seen lately.
//!
//! Delays are differences of two clocks: only their change means something.

use std::time::Duration;

use crate::base::time::Time;

/// The least delay is remembered for as many minutes. Fewer than RFC 6817 proposes: two clocks that part by 50 millionths are 12 ms apart after four
/// minutes.
const MINUTES: usize = 4;
const MINUTE: Duration = Duration::from_secs(60);
/// The least of the last samples counts: one that is late says nothing of the queue.
const LAST: usize = 3;

#[derive(Debug, Clone)]
pub struct DelayHistory {
    /// The least of each of the last minutes, the current one first. They wrap, so they are compared by their difference.
    least: [Option<u32>; MINUTES],
    minute: Time,
    last: [u32; LAST],
    samples: usize,
}

impl DelayHistory {
    pub fn new(now: Time) -> Self {
        Self { least: [None; MINUTES], minute: now, last: [0; LAST], samples: 0 }
    }

    pub fn sample(&mut self, now: Time, delay: u32) {
        if now.since(self.minute) >= MINUTE * MINUTES as u32 {
            (self.least, self.minute) = ([None; MINUTES], now);
        }
        while now.since(self.minute) >= MINUTE {
            self.least.rotate_right(1);
            if let Some(current) = self.least.first_mut() {
                *current = None;
            }
            self.minute = self.minute + MINUTE;
        }
        if let Some(current) = self.least.first_mut() {
            *current = Some(current.map_or(delay, |c| lesser(c, delay)));
        }
        if let Some(place) = self.last.get_mut(self.samples % LAST) {
            *place = delay;
        }
        self.samples += 1;
    }

    /// How long packets stand in queues now. None before there is a sample.
    pub fn queueing(&self) -> Option<Duration> {
        let base = self.least.iter().flatten().copied().reduce(lesser)?;
        let current = self.last.iter().take(self.samples).copied().reduce(lesser)?;
        Some(Duration::from_micros(u64::from(current.wrapping_sub(base).min(u32::MAX / 2))))
    }
}

fn lesser(a: u32, b: u32) -> u32 {
    if (b.wrapping_sub(a) as i32) < 0 { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Time {
        Time::from_millis(s * 1000)
    }

    #[test]
    fn the_queue_is_what_the_least_is_exceeded_by() {
        let mut delays = DelayHistory::new(at(0));
        assert_eq!(delays.queueing(), None);
        // Clocks that are far apart, and wrap.
        let base = u32::MAX - 10_000;
        for n in 0..10u32 {
            delays.sample(at(1), base.wrapping_add(n * 5000));
        }
        assert_eq!(delays.queueing(), Some(Duration::from_millis(35)));
    }

    #[test]
    fn one_late_packet_is_no_queue() {
        let mut delays = DelayHistory::new(at(0));
        [1000, 1000, 900_000].iter().for_each(|d| delays.sample(at(1), *d));
        assert_eq!(delays.queueing(), Some(Duration::ZERO));
    }

    #[test]
    fn a_longer_path_is_its_own_base_after_some_minutes() {
        let mut delays = DelayHistory::new(at(0));
        delays.sample(at(0), 1000);
        for s in 1..240 {
            delays.sample(at(s), 51_000);
            assert_eq!(delays.queueing().unwrap().as_millis(), if s < 3 { 0 } else { 50 }, "{s}");
        }
        (240..300).for_each(|s| delays.sample(at(s), 51_000));
        assert_eq!(delays.queueing(), Some(Duration::ZERO));
        // After a long silence as well.
        delays.sample(at(100_000), 90_000);
        assert_eq!(delays.least.iter().flatten().count(), 1);
    }
}
