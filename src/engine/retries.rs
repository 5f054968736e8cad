//! Reads whose caller gives up waiting after a moment and tries again at once: for the torrent that is one wait, which began with the first.

use std::time::Duration;

use super::Time;

/// One that is not tried again within this time is over.
const RETRIED: Duration = Duration::from_secs(1);
/// Waits given up that are remembered.
const MOST: usize = 8;

#[derive(Debug, Clone, Copy)]
struct GivenUp {
    /// In the file.
    offset: u64,
    since: Time,
    at: Time,
}

impl GivenUp {
    fn may_be_tried(&self, now: Time, offset: u64) -> bool {
        self.offset == offset && now.since(self.at) < RETRIED
    }
}

/// The waits of a reader that were given up lately.
#[derive(Debug, Default)]
pub struct Retries(Vec<GivenUp>);

impl Retries {
    pub fn gave_up(&mut self, now: Time, offset: u64, since: Time) {
        self.0.retain(|g| now.since(g.at) < RETRIED);
        if self.0.len() < MOST {
            self.0.push(GivenUp { offset, since, at: now });
        }
    }

    pub fn may_be_tried(&self, now: Time, offset: u64) -> bool {
        self.0.iter().any(|g| g.may_be_tried(now, offset))
    }

    /// A read begins to wait. Since when that is waited for.
    pub fn begun(&mut self, now: Time, offset: u64) -> Time {
        let again = self.0.iter().position(|g| g.may_be_tried(now, offset));
        again.map_or(now, |at| self.0.swap_remove(at).since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_goes_on_where_it_is_tried_again_soon() {
        let at = Time::from_millis;
        let mut retries = Retries::default();
        let mut since = retries.begun(at(1000), 5);
        for second in 2..20 {
            retries.gave_up(at(second * 1000), 5, since);
            assert_eq!(retries.begun(at(second * 1000 + 500), 6), at(second * 1000 + 500), "another one");
            since = retries.begun(at(second * 1000 + 500), 5);
            assert_eq!(since, at(1000));
        }
        retries.gave_up(at(20_000), 5, since);
        assert_eq!(retries.begun(at(22_000), 5), at(22_000), "it was over");
        (0..100).for_each(|n| retries.gave_up(at(23_000), n, at(23_000)));
        assert_eq!(retries.0.len(), MOST);
    }
}
