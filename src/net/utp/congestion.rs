//! How much may be under way: a window that yields to other traffic, by the delay that it adds (LEDBAT, RFC 6817).
//!
//! Beside RFC 6817: what stands in queues beyond the target is given back within a round trip, not a packet a round trip (as LEDBAT++ does); the
//! first, steep growth ends at the rate that was reached, with the queue that the target allows.

use std::time::Duration;

use super::rtt::RoundTrip;
use crate::base::time::Time;

/// So long may our packets stand in queues: RFC 6817 allows 100 ms. Less yields where queues are short, and where TCP leaves them half full.
pub const TARGET: Duration = Duration::from_millis(25);
/// The first growth ends at this part of the target: what is under way then still comes.
const SLOW_START_ENDS: f64 = 0.75;
/// Packets that begin (RFC 6928), and that are always allowed.
const FIRST_PACKETS: usize = 10;
const LEAST_PACKETS: usize = 2;
/// Packets by which the window grows in a round trip with empty queues.
const GAIN: f64 = 1.0;
/// After a loss others may be there, who grow by a packet a round trip: for so long we do no more.
const CAREFUL: Duration = Duration::from_secs(10);
/// The part of itself by which it grows at least while queues are nearly empty, as they are on a path that is not full.
const SPEED_UP: f64 = 0.06;
const NEARLY_EMPTY: f64 = 0.25;
/// What a loss leaves of the window.
const AFTER_LOSS: f64 = 0.5;
/// The most that is ever under way.
const MOST_BYTES: f64 = 4.0 * 1024.0 * 1024.0;

#[derive(Debug, Clone)]
pub struct Congestion {
    /// In bytes.
    window: f64,
    /// Of a packet, in bytes.
    packet: f64,
    slow_start_until: f64,
    /// Losses of what was sent before that belong to one event.
    reduced_at: Option<Time>,
    /// The window was last lowered for a delay.
    drained_at: Time,
    round: Round,
}

/// The least queue of a round trip: a packet's own burst stands before it, but not before the first of them.
#[derive(Debug, Clone)]
struct Round {
    since: Time,
    samples: u32,
    least: Duration,
}

impl Round {
    /// So many packets of a round tell.
    const ENOUGH: u32 = 8;

    fn queueing(&mut self, now: Time, queueing: Duration, rtt: &RoundTrip) -> Option<Duration> {
        if now.since(self.since) >= rtt.latest() {
            (self.since, self.samples, self.least) = (now, 0, queueing);
        }
        self.samples += 1;
        self.least = self.least.min(queueing);
        (self.samples >= Self::ENOUGH).then_some(self.least)
    }
}

impl Congestion {
    pub fn new(packet: usize) -> Self {
        Self {
            window: (FIRST_PACKETS * packet) as f64,
            packet: packet as f64,
            slow_start_until: f64::MAX,
            reduced_at: None,
            drained_at: Time::ZERO,
            round: Round { since: Time::ZERO, samples: 0, least: Duration::ZERO },
        }
    }

    /// In bytes.
    pub fn window(&self) -> usize {
        self.window as usize
    }

    pub fn set_packet(&mut self, bytes: usize) {
        self.packet = bytes as f64;
    }

    fn is_slow_start(&self) -> bool {
        self.window < self.slow_start_until
    }

    /// So many bytes arrived; `full`: the window was used, more could have been under way.
    pub fn acked(&mut self, now: Time, bytes: usize, full: bool, queueing: Duration, rtt: &RoundTrip) {
        let off = queueing.as_secs_f64() / TARGET.as_secs_f64();
        if self.is_slow_start() {
            let least = self.round.queueing(now, queueing, rtt).unwrap_or_default();
            if least > TARGET.mul_f64(SLOW_START_ENDS) {
                self.end_slow_start(now, rtt);
            } else if full && off < SLOW_START_ENDS {
                self.window += bytes as f64;
            }
        } else if off > 1.0 {
            self.drain(now, off, rtt);
        } else if full {
            let careful = self.reduced_at.is_some_and(|at| now.since(at) < CAREFUL);
            let speed_up = if off < NEARLY_EMPTY && !careful { SPEED_UP * self.window } else { 0.0 };
            self.window += (GAIN * (1.0 - off) * self.packet).max(speed_up) * bytes as f64 / self.window;
        }
        self.window = self.window.clamp(LEAST_PACKETS as f64 * self.packet, MOST_BYTES);
    }

    /// The rate that was reached, with a queue of what the target allows.
    fn end_slow_start(&mut self, now: Time, rtt: &RoundTrip) {
        self.slow_start_until = 0.0;
        self.drained_at = now;
        self.window = self.window_at_target(rtt);
    }

    /// Once a round trip: what was given back shows in the delay only then.
    fn drain(&mut self, now: Time, off: f64, rtt: &RoundTrip) {
        if now.since(self.drained_at) < rtt.latest() {
            return;
        }
        self.drained_at = now;
        let least = self.window / 2.0;
        // What stands in queues is no part of the empty path's window.
        let standing = (off - 1.0) * TARGET.as_secs_f64() / rtt.latest().as_secs_f64().max(0.001);
        self.window = (self.window * (1.0 - standing)).max(least);
    }

    /// What fills the path and the queue that is allowed, at the rate of now.
    fn window_at_target(&self, rtt: &RoundTrip) -> f64 {
        let wanted = (rtt.least() + TARGET).as_secs_f64();
        self.window * (wanted / rtt.latest().as_secs_f64().max(0.001)).min(1.0)
    }

    /// A packet that was sent then is lost.
    pub fn lost(&mut self, now: Time, sent: Time) {
        if self.reduced_at.is_some_and(|at| sent <= at) {
            return;
        }
        self.reduced_at = Some(now);
        self.window = (self.window * AFTER_LOSS).max(LEAST_PACKETS as f64 * self.packet);
        self.slow_start_until = self.slow_start_until.min(self.window);
    }

    /// Nothing was heard for the whole timeout.
    pub fn timed_out(&mut self, now: Time) {
        self.reduced_at = Some(now);
        self.slow_start_until = (self.window / 2.0).max(LEAST_PACKETS as f64 * self.packet);
        self.window = self.packet;
    }

    /// Nothing was under way for a while: what the path bears is not known any more.
    pub fn idle(&mut self) {
        let first = FIRST_PACKETS as f64 * self.packet;
        if self.window > first {
            self.slow_start_until = self.slow_start_until.max(self.window);
            self.window = first.max(self.window / 2.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1400;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn round_trip(latest: Duration) -> RoundTrip {
        let mut rtt = RoundTrip::default();
        rtt.sample(ms(30));
        rtt.sample(latest);
        rtt
    }

    #[test]
    fn the_window_doubles_in_a_round_trip_until_a_queue_is_seen() {
        let mut c = Congestion::new(PACKET);
        let before = c.window();
        c.acked(Time::ZERO, before, true, ms(0), &round_trip(ms(30)));
        assert_eq!(c.window(), 2 * before);
        // Half of what is under way stands in a queue of 50 ms.
        (0..8).for_each(|_| c.acked(Time::from_millis(100), PACKET, false, ms(50), &round_trip(ms(80))));
        assert!(c.window() <= 2 * before && c.window() > before, "{}", c.window());
        let now = c.window();
        c.acked(Time::from_millis(101), now, true, ms(0), &round_trip(ms(30)));
        assert!(c.window() <= now * 11 / 10, "it is not steep any more");
    }

    #[test]
    fn who_has_nothing_to_send_does_not_grow() {
        let mut c = Congestion::new(PACKET);
        let before = c.window();
        c.acked(Time::ZERO, before, false, ms(0), &round_trip(ms(30)));
        assert_eq!(c.window(), before);
    }

    #[test]
    fn what_stands_beyond_the_target_is_given_back() {
        let mut c = Congestion::new(PACKET);
        for _ in 0..7 {
            c.acked(Time::ZERO, c.window(), true, ms(0), &round_trip(ms(30)));
        }
        (0..8).for_each(|_| c.acked(Time::from_millis(100), PACKET, false, ms(60), &round_trip(ms(90))));
        let before = c.window();
        c.acked(Time::from_millis(300), PACKET, true, ms(120), &round_trip(ms(150)));
        assert!(c.window() < before * 2 / 3 && c.window() >= before / 2);
        let after = c.window();
        c.acked(Time::from_millis(310), PACKET, true, ms(120), &round_trip(ms(150)));
        assert_eq!(c.window(), after, "once a round trip");
    }

    #[test]
    fn losses_of_one_round_trip_are_one_event() {
        let mut c = Congestion::new(PACKET);
        let before = c.window();
        c.lost(Time::from_millis(50), Time::from_millis(10));
        c.lost(Time::from_millis(60), Time::from_millis(20));
        assert_eq!(c.window(), before / 2);
        c.lost(Time::from_millis(90), Time::from_millis(55));
        assert_eq!(c.window(), before / 4);
        (1..100).for_each(|n| c.lost(Time::from_millis(100 * n), Time::from_millis(100 * n - 1)));
        assert_eq!(c.window(), LEAST_PACKETS * PACKET);
    }

    #[test]
    fn a_timeout_begins_anew_up_to_half() {
        let mut c = Congestion::new(PACKET);
        let before = c.window();
        c.timed_out(Time::from_millis(50));
        assert_eq!(c.window(), PACKET);
        for _ in 0..20 {
            c.acked(Time::ZERO, PACKET, true, ms(0), &round_trip(ms(30)));
        }
        assert!(c.window() >= before / 2 && c.window() < before);
    }
}
