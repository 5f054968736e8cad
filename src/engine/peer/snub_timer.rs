//! Since when a peer has brought nothing of what it was asked for.

use std::time::Duration;

use crate::base::time::Time;

/// One that was asked for nothing for so long, though it would have been, begins anew.
const RESTED: Duration = Duration::from_secs(3);

/// Since when a peer has brought nothing.
#[derive(Debug, Clone, Copy)]
pub struct SnubTimer {
    since: Time,
    asked: Time,
    /// Since when it is asked without such a rest.
    begun: Time,
}

impl SnubTimer {
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

    pub fn since(&self) -> Time {
        self.since
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_asked_for_long_begins_anew_and_who_is_asked_in_vain_does_not() {
        let at = Time::from_millis;
        let mut peer = SnubTimer::new(at(0));
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
