//! How fast a reader consumes: its bitrate, learned from what it reads while nothing keeps it from reading.
//!
//! A player takes bursts and pauses, so a sample spans some seconds. Time spent waiting for bytes does not count, and where that
//! is most of the time, nothing is learned: then the swarm sets the rate, not the player.

use std::time::Duration;

use crate::base::time::Time;

/// The least that a sample spans.
const SPAN: Duration = Duration::from_secs(4);
/// Without a read for so long the player was paused.
const PAUSE: Duration = Duration::from_secs(3);

/// What is learned of a reader's consumption.
#[derive(Debug, Clone, Default)]
pub struct ConsumptionRate {
    began: Option<Time>,
    last: Time,
    bytes: u64,
    waited: Duration,
    bitrate: u64,
}

impl ConsumptionRate {
    /// Bytes a second, 0: not known yet.
    pub fn bitrate(&self) -> u64 {
        self.bitrate
    }

    /// The flow broke: a seek.
    pub fn pause(&mut self) {
        self.began = None;
    }

    /// The read that comes next had to wait so long.
    pub fn waited(&mut self, time: Duration) {
        self.waited += time;
    }

    pub fn read(&mut self, now: Time, bytes: u64) {
        let waited = self.waited;
        if now.since(self.last) > PAUSE + waited {
            self.began = None;
        }
        self.last = now;
        let Some(began) = self.began else {
            // What is read first fills the player's buffer, and says nothing of its rate.
            (self.began, self.bytes, self.waited) = (Some(now), 0, Duration::ZERO);
            return;
        };
        self.bytes += bytes;
        let span = now.since(began);
        if span < SPAN {
            return;
        }
        let free = span.saturating_sub(waited);
        if free * 2 > span {
            let sample = (self.bytes as f64 / free.as_secs_f64()) as u64;
            self.bitrate = if self.bitrate == 0 { sample } else { (self.bitrate + sample) / 2 };
        }
        (self.began, self.bytes, self.waited) = (Some(now), 0, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` every `ms`, from a moment on.
    fn play(rate: &mut ConsumptionRate, from: u64, ms: u64, bytes: u64, times: u64) -> u64 {
        (1..=times).for_each(|i| rate.read(Time::from_millis(from + i * ms), bytes));
        from + ms * times
    }

    #[test]
    fn it_learns_what_a_player_takes() {
        let mut rate = ConsumptionRate::default();
        let at = play(&mut rate, 0, 100, 100_000, 30);
        assert_eq!(rate.bitrate(), 0, "too early to tell");
        let at = play(&mut rate, at, 100, 100_000, 100);
        assert!((900_000..1_100_000).contains(&rate.bitrate()), "{}", rate.bitrate());
        rate.pause();
        play(&mut rate, at + 60_000, 100, 200_000, 300);
        assert!((1_700_000..2_100_000).contains(&rate.bitrate()), "{}", rate.bitrate());
    }

    #[test]
    fn a_swarm_that_is_too_slow_teaches_nothing() {
        let mut rate = ConsumptionRate::default();
        for i in 0..100 {
            rate.waited(Duration::from_millis(90));
            rate.read(Time::from_millis(i * 100), 10_000);
        }
        assert_eq!(rate.bitrate(), 0);
    }
}
