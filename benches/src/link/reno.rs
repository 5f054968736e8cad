//! What a TCP sender has under way over a road whose queue it fills: Reno (RFC 5681), with a packet acknowledged each, and a loss
//! noticed a round trip later. No clock: times come in.

use std::collections::VecDeque;
use std::time::Duration;

/// RFC 6928.
const FIRST_PACKETS: f64 = 10.0;
const LEAST_PACKETS: f64 = 2.0;

/// The window, in packets, and what is under way in the order of its sending.
#[derive(Debug)]
pub struct Reno {
    window: f64,
    threshold: f64,
    under_way: VecDeque<Sent>,
    /// Losses of what was sent before that belong to one event.
    reduced_at: Option<Duration>,
}

#[derive(Debug)]
struct Sent {
    packet: u64,
    at: Duration,
    /// When the sender hears what became of it.
    heard: Duration,
    lost: bool,
}

impl Reno {
    pub fn new() -> Self {
        Self { window: FIRST_PACKETS, threshold: f64::MAX, under_way: VecDeque::new(), reduced_at: None }
    }

    /// One more packet may set out.
    pub fn may_send(&self) -> bool {
        (self.under_way.len() as f64) < self.window
    }

    /// A packet set out. `heard`: when the sender hears that it arrived, or that it is lost.
    pub fn sent(&mut self, packet: u64, at: Duration, heard: Duration, lost: bool) {
        self.under_way.push_back(Sent { packet, at, heard, lost });
    }

    /// When the sender hears something next.
    pub fn next(&self) -> Option<Duration> {
        self.under_way.front().map(|sent| sent.heard)
    }

    /// What it hears by now. The packets that are to be sent again are appended to `lost`.
    pub fn hear(&mut self, now: Duration, lost: &mut VecDeque<u64>) {
        while self.next().is_some_and(|heard| heard <= now) {
            let Some(sent) = self.under_way.pop_front() else { return };
            if !sent.lost {
                self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
                continue;
            }
            lost.push_back(sent.packet);
            if self.reduced_at.is_none_or(|reduced| sent.at > reduced) {
                self.reduced_at = Some(now);
                self.window = (self.window / 2.0).max(LEAST_PACKETS);
                self.threshold = self.window;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIP: Duration = Duration::from_millis(30);

    /// A window's worth, of which the packets in `lost` do not arrive; heard of a round trip later.
    fn round(reno: &mut Reno, now: Duration, losses: &[u64]) -> (u64, VecDeque<u64>) {
        let (mut sent, mut lost) = (0, VecDeque::new());
        while reno.may_send() {
            reno.sent(sent, now, now + TRIP, losses.contains(&sent));
            sent += 1;
        }
        assert_eq!(reno.next(), Some(now + TRIP));
        reno.hear(now + TRIP, &mut lost);
        assert_eq!(reno.next(), None);
        (sent, lost)
    }

    #[test]
    fn it_doubles_until_a_loss_then_halves_once_and_grows_by_a_packet() {
        let mut reno = Reno::new();
        assert_eq!(round(&mut reno, TRIP, &[]).0, 10);
        assert_eq!(round(&mut reno, TRIP * 2, &[]).0, 20);
        // Thirty-six arrive first and last; the four in between are one event.
        let (sent, lost) = round(&mut reno, TRIP * 3, &[36, 37, 38, 39]);
        assert_eq!((sent, lost), (40, VecDeque::from([36, 37, 38, 39])));
        assert_eq!(round(&mut reno, TRIP * 4, &[]).0, 38);
        assert_eq!(round(&mut reno, TRIP * 5, &[]).0, 39);
    }

    #[test]
    fn nothing_is_heard_before_its_time() {
        let (mut reno, mut lost) = (Reno::new(), VecDeque::new());
        reno.sent(0, Duration::ZERO, TRIP, true);
        reno.hear(TRIP / 2, &mut lost);
        assert!(lost.is_empty());
        reno.hear(TRIP, &mut lost);
        assert_eq!(lost, [0]);
    }
}
