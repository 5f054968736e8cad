//! Links: how long bytes take. A node shares its uplink and downlink between all of its connections.

use std::time::Duration;

use elementum_torrent::base::time::Time;

/// A node's access line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Bytes a second.
    pub up: u64,
    pub down: u64,
    pub latency: Duration,
    /// Chance, in thousands, that a packet is lost and comes again after a retransmission timeout.
    pub loss: u64,
    /// A packet takes up to so much longer, by chance; those of one connection keep their order.
    pub jitter: Duration,
    up_free: Time,
    down_free: Time,
}

impl Line {
    pub fn new(up: u64, down: u64, latency_ms: u64) -> Self {
        let latency = Duration::from_millis(latency_ms);
        Self { up, down, latency, loss: 0, jitter: Duration::ZERO, up_free: Time::ZERO, down_free: Time::ZERO }
    }

    /// `bytes` go out: when the last of them has left.
    pub fn send(&mut self, now: Time, bytes: usize) -> Time {
        self.up_free = self.up_free.max(now) + transfer(bytes, self.up);
        self.up_free
    }

    /// `bytes` arrive at the downlink: when the last of them is in.
    pub fn receive(&mut self, at: Time, bytes: usize) -> Time {
        self.down_free = self.down_free.max(at) + transfer(bytes, self.down);
        self.down_free
    }
}

fn transfer(bytes: usize, rate: u64) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / rate.max(1))
}
