//! Requests that a peer dropped without a word: found out by what came since, or by the silence after it.

use std::collections::VecDeque;
use std::time::Duration;

use super::queue_depth::LEAST_WAIT;
use super::request::Request;
use super::wire_peer::Peer;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// A request is dropped if so many times the peer's queue came after it, and so many blocks: some answer in an order of their own.
const OVERTAKEN: u64 = 2;
const OUT_OF_ORDER: u64 = 32;
/// It has so many round trips, and so many times its usual interval.
const TRIPS: u32 = 8;
const INTERVALS: u32 = 2;

/// The requests that will not be answered any more: so much came since they were made that all others were. `delivered`: bytes.
fn overtaken(requests: &VecDeque<Request>, now: Time, delivered: u64) -> usize {
    let least = (OVERTAKEN * requests.len() as u64 + OUT_OF_ORDER) * u64::from(BLOCK_SIZE);
    let is_dropped = |r: &&Request| now.since(r.sent) >= LEAST_WAIT && delivered.saturating_sub(r.delivered) >= least;
    requests.iter().take_while(is_dropped).count()
}

impl Peer {
    /// How many of its first requests it has dropped, and whether it has fallen silent with that.
    fn dropped(&self, now: Time) -> (usize, bool) {
        if self.is_unknown() || self.snubbed || self.choking.peer_choking() || self.held.is_some() {
            return (0, false);
        }
        let overtaken = overtaken(&self.requests, now, self.path.delivered());
        if overtaken > 0 {
            return (overtaken, false);
        }
        let patience = self.depth.patience().max(self.usual_answer());
        // A part of a block may come, or no more than a word now and then.
        let nothing_comes = now.since(self.last_received) >= patience || !self.pours();
        let is_silent = !self.requests.is_empty() && self.silent_for(now) >= patience && nothing_comes;
        (if is_silent { self.requests.len() } else { 0 }, is_silent)
    }

    /// An answer that takes no longer is nothing unusual.
    pub(super) fn usual_answer(&self) -> Duration {
        (self.path.rtt() * TRIPS).max(self.rhythm.usual() * INTERVALS)
    }

    /// Finds out what it has dropped: that is to be asked for again, and less of it at a time.
    pub(in crate::engine) fn find_dropped(&mut self, now: Time) -> Vec<(u32, u32)> {
        let (number, silent) = self.dropped(now);
        if number == 0 {
            return Vec::new();
        }
        let was_away = silent && self.depth.fell_silent(now, self.last_block);
        // What was asked for before the bound was lowered says nothing of the bound.
        let last = self.requests.get(number - 1).map_or(now, |r| r.sent);
        if !was_away && last >= self.depth.lowered() {
            self.depth.took(now, (self.requests.len() / 2).min(self.depth.most()));
        }
        self.requests.iter().take(number).map(|r| (r.piece, r.block)).collect()
    }

    /// It rejected a request, and holds so many that were made before it.
    pub fn note_depth(&mut self, now: Time, held: usize) {
        if let Some(request) = self.requests.get(held).filter(|_| !self.is_unknown()) {
            self.depth.rejected(now, request.sent, held);
        }
    }

    /// Has it brought nothing for so long that what it was asked for was taken back, and nothing since?
    pub fn is_out(&self) -> bool {
        self.depth.silent_since().is_some()
    }

    /// How many of so many requests it takes at once.
    pub fn takes(&self, requests: usize) -> usize {
        // Of one that is silent, one is enough to find out whether it still is.
        let most = if self.depth.silent_since().is_some() { 1 } else { self.depth.most() };
        self.choking.room(requests.min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_much_has_come_after_is_dropped() {
        let request = |sent, delivered| Request {
            piece: 0,
            block: 0,
            sent: Time::from_millis(sent),
            expected: Time::ZERO,
            delivered: delivered * u64::from(BLOCK_SIZE),
            delivered_by_all: 0,
        };
        let requests = VecDeque::from([request(0, 0), request(10, 10), request(20, 60)]);
        let at = |ms, blocks| overtaken(&requests, Time::from_millis(ms), blocks * u64::from(BLOCK_SIZE));
        assert_eq!((at(2000, 37), at(2000, 38), at(2000, 48), at(2000, 97), at(2000, 98)), (0, 1, 2, 2, 3));
        assert_eq!((at(999, 100), at(1000, 100)), (0, 1));
    }
}
