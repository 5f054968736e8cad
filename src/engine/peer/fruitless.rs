//! Peers that are of no use to a read that waits. It makes no difference why: they choke us, lack the piece, refuse it, let us wait for what
//! we asked, or bring it in drops.

use std::time::Duration;

use super::Peer;
use crate::base::time::Time;

/// One that was asked for nothing for so long, though it would have been, begins anew.
const RESTED: Duration = Duration::from_secs(3);
/// Who brings less a second brings nothing: a block takes a minute.
const LEAST_RATE: u32 = 256;
/// From one that brings something it comes in such intervals, whatever a block takes.
const TRICKLES: Duration = Duration::from_secs(1);

/// Since when a peer has brought nothing.
#[derive(Debug, Clone, Copy)]
pub struct Fruitless {
    since: Time,
    asked: Time,
    /// Since when it is asked without such a rest.
    begun: Time,
}

impl Fruitless {
    pub fn new(now: Time) -> Self {
        Self { since: now, asked: now, begun: now }
    }

    /// It is asked for a block. `ready`: it waited for that.
    pub fn asked(&mut self, now: Time, ready: bool) {
        if ready && now.since(self.asked) >= RESTED {
            (self.since, self.begun) = (now, now);
        }
        self.asked = now;
    }

    pub fn brought_a_block(&mut self, now: Time) {
        self.since = now;
    }

    /// What it sent waited for a download limit.
    pub fn was_held(&mut self, now: Time, time: Duration) {
        self.since = now.min(self.since + time);
    }

    /// For how long it has been asked for something.
    pub fn asked_for(&self, now: Time) -> Duration {
        now.since(self.begun)
    }
}

impl Peer {
    /// More comes in of it than nothing, whole blocks or parts of one.
    pub fn pours(&self) -> bool {
        self.protocol_down.per_second() >= LEAST_RATE
    }

    /// The same at this moment.
    pub fn trickles(&self, now: Time) -> bool {
        self.pours() && now.since(self.last_received) < TRICKLES
    }

    /// It has a queue that is empty, and nothing is known against it.
    fn is_ready(&self) -> bool {
        self.choking.am_interested() && self.requests.is_empty() && !self.snubbed && self.refusals.are_over()
    }

    pub fn note_asked(&mut self, now: Time) {
        let ready = self.is_ready();
        self.fruitless.asked(now, ready);
        self.rhythm.asked(now);
        self.choking.asked();
    }

    /// Since when it is of no use to reads that wait for these pieces. None: it is, or would be if it were asked.
    pub fn of_no_use_since(&self, now: Time, pieces: &[u32]) -> Option<Time> {
        let in_time = || now.since(self.fruitless.since) < self.rhythm.allowed();
        let comes = || self.pours() || in_time();
        let brings = self.held.is_some() || !self.requests.is_empty() && comes();
        let would = || self.is_ready() && pieces.iter().any(|p| self.serves(*p));
        (!brings && !would()).then_some(self.fruitless.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_asked_for_long_begins_anew_and_who_is_asked_in_vain_does_not() {
        let at = Time::from_millis;
        let mut peer = Fruitless::new(at(0));
        peer.asked(at(60_000), true);
        assert_eq!(peer.since, at(60_000));
        // Its requests are taken back and made again, or it refuses them.
        (61..90).for_each(|s| peer.asked(at(s * 1000), true));
        peer.asked(at(120_000), false);
        assert_eq!(peer.since, at(60_000));
        peer.was_held(at(130_000), RESTED);
        assert_eq!(peer.since, at(63_000));
        peer.was_held(at(130_000), RESTED * 100);
        assert_eq!(peer.since, at(130_000));
        peer.brought_a_block(at(140_000));
        assert_eq!(peer.since, at(140_000));
    }
}
