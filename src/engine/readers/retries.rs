//! Reads whose caller gives up waiting after a moment and tries again: for the torrent that is one wait, which began with the first. A
//! player that got nothing pauses, or seeks, and has waited all the same.

use std::time::Duration;

use crate::base::time::Time;

/// One that is not tried again within this time is over.
const RETRIED: Duration = Duration::from_secs(5);
/// Waits given up that are remembered.
const MOST: usize = 8;

#[derive(Debug, Clone, Copy)]
struct GivenUp {
    place: Place,
    since: Time,
    at: Time,
}

/// Where a read waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the reader's position, wherever that is by then.
    Position,
    /// In the file.
    Offset(u64),
}

/// The waits of a reader that were given up lately.
#[derive(Debug, Default)]
pub struct Retries(Vec<GivenUp>);

impl Retries {
    pub fn gave_up(&mut self, now: Time, place: Place, since: Time) {
        self.0.retain(|g| now.since(g.at) < RETRIED && g.place != place);
        if self.0.len() < MOST {
            self.0.push(GivenUp { place, since, at: now });
        }
    }

    /// A read begins to wait. Since when its bytes are waited for.
    pub fn begun(&mut self, now: Time, place: Place) -> Time {
        let again = self.0.iter().position(|g| g.place == place && now.since(g.at) < RETRIED);
        again.map_or(now, |at| self.0.swap_remove(at).since)
    }

    /// There were bytes at the position.
    pub fn moved_on(&mut self) {
        self.0.retain(|g| g.place != Place::Position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_goes_on_where_it_is_tried_again_soon() {
        let at = Time::from_millis;
        let five = Place::Offset(5);
        let mut retries = Retries::default();
        let mut since = retries.begun(at(1000), five);
        for second in 2..20 {
            retries.gave_up(at(second * 1000), five, since);
            let other = retries.begun(at(second * 1000 + 500), Place::Offset(6));
            assert_eq!(other, at(second * 1000 + 500), "another one");
            since = retries.begun(at(second * 1000 + 500), five);
            assert_eq!(since, at(1000));
        }
        retries.gave_up(at(20_000), five, since);
        assert_eq!(retries.begun(at(25_000), five), at(25_000), "it was over");
        (0..100).for_each(|n| retries.gave_up(at(26_000), Place::Offset(n), at(26_000)));
        assert_eq!(retries.0.len(), MOST);
    }

    #[test]
    fn at_the_position_it_ends_with_the_first_bytes() {
        let at = Time::from_millis;
        let mut retries = Retries::default();
        retries.gave_up(at(2000), Place::Position, at(1000));
        assert_eq!(retries.begun(at(4000), Place::Position), at(1000));
        retries.gave_up(at(5000), Place::Position, at(1000));
        retries.moved_on();
        assert_eq!(retries.begun(at(6000), Place::Position), at(6000));
    }
}
