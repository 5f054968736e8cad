//! Readers in the background, beside those that play, in the same torrent.
//!
//! What a player looks ahead is what keeps it playing, so memory is not shared alike: those in the background have a quarter at most, in
//! whole pieces. Where that is less than a piece for each they take turns, who waits longest first. Where there is not one for them all,
//! a read that has waited for long counts as those in front do.

use std::collections::BTreeSet;

use super::reader::{PATIENT, Reader, ReaderId};
use crate::base::time::Time;
use crate::engine::bandwidth::path::QueueTime;
use crate::engine::cache::eviction::TURN_IS_OVER;
use crate::engine::content::pieces::PeerKey;
use crate::engine::requests::demand::Class;
use crate::engine::torrent::Torrent;

/// A queue so many times as long as what keeps a way full was asked for when nobody played.
const MUCH_TOO_LONG: usize = 2;

/// How many pieces of so many blocks those in the background may have, where those in front cannot do without so many.
fn pieces_behind(blocks: u64, in_front: u64, piece: u64) -> u64 {
    (blocks / 4).min(blocks.saturating_sub(in_front)) / piece.max(1)
}

impl Reader {
    /// Has it waited so long, in the background, that it has a turn as those in front have?
    pub(in crate::engine) fn is_impatient(&self, now: Time) -> bool {
        self.waited_long() || self.wait_at(now).is_some_and(|w| now.since(w.wanted_since) >= PATIENT)
    }

    /// By whom the next piece for the background is had first: who reads on in his, then who waits longest.
    fn place_behind(&self, now: Time) -> (bool, Time) {
        let at_end = self.position >= self.until();
        let over = !self.reads_wait() && (at_end || self.has_had_its_turn(now) || self.has_rested(now, TURN_IS_OVER));
        (over, self.wait_at(now).map_or(Time::ZERO, |w| w.wanted_since))
    }
}

impl Torrent {
    pub(in crate::engine) fn piece_blocks(&self) -> u64 {
        self.content.as_ref().map_or(1, |c| u64::from(c.layout().blocks_in_piece(0)))
    }

    /// Pieces of `blocks` for those in the background. `None`: nobody plays, or nobody is in the background.
    pub(in crate::engine) fn room_behind(&self, now: Time, blocks: u64) -> Option<u64> {
        let active = || self.readers.values().filter(|r| r.is_active(now));
        let in_front = active().filter(|r| !r.options.background).count() as u64;
        let piece = self.piece_blocks();
        let some = in_front > 0 && active().any(|r| r.options.background);
        some.then(|| pieces_behind(blocks, in_front * piece, piece))
    }

    /// Does a reader take what those in front leave, where that is so many pieces? A `read_at` is urgent, and needs its window.
    pub(in crate::engine) fn stands_behind(now: Time, room: Option<u64>, reader: &Reader) -> bool {
        reader.options.background
            && reader.probes.is_empty()
            && room.is_some_and(|pieces| pieces > 0 || !reader.is_impatient(now))
    }

    /// Those who have a place, of these who stand behind the others: for so many pieces.
    pub(in crate::engine) fn placed_behind(
        &self,
        now: Time,
        behind: &BTreeSet<ReaderId>,
        pieces: u64,
    ) -> BTreeSet<ReaderId> {
        let mut line: Vec<&Reader> = behind.iter().filter_map(|id| self.readers.get(id)).collect();
        line.sort_by_key(|r| r.place_behind(now));
        line.into_iter().take(usize::try_from(pieces).unwrap_or(usize::MAX)).map(|r| r.id).collect()
    }

    /// Is it read in the background alone, while somebody plays in another torrent?
    pub fn gives_way(&self) -> bool {
        self.cache.share.gives_way()
    }

    /// Somebody begins to play: where peers were asked for far more than keeps the way full, as nobody did, all that is not for him is
    /// taken back. It would come before what he waits for. It is asked for again behind that.
    pub(in crate::engine) fn clear_the_way(&mut self, now: Time) {
        // Nearly always nothing is to be cleared: a look at all peers for each wait of a player would cost more than the rest of it.
        if !self.requests.asked_far_ahead || !self.may_ask() {
            return;
        }
        self.refresh_wants(now);
        if !matches!(self.queue_time(now), QueueTime::Least { .. }) {
            return;
        }
        self.requests.asked_far_ahead = false;
        let queue = self.queue(now);
        let all_wait = queue.most().is_some_and(|most| self.outstanding() > most * MUCH_TOO_LONG as u64);
        let waits = |p: &&crate::engine::peer::Peer| p.requests.len() > queue.target(p) * MUCH_TOO_LONG;
        let keys: Vec<PeerKey> = self.peers.values().filter(|p| all_wait || waits(p)).map(|p| p.key).collect();
        if keys.is_empty() {
            return;
        }
        let urgent: BTreeSet<u32> =
            self.requests.demand.iter().take_while(|w| w.class < Class::Background).map(|w| w.piece).collect();
        keys.into_iter().for_each(|key| self.cancel_requests(now, key, |piece| !urgent.contains(&piece)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_background_has_a_quarter_and_nothing_that_those_in_front_need() {
        assert_eq!(pieces_behind(64, 16, 16), 1);
        assert_eq!(pieces_behind(63, 16, 16), 0);
        assert_eq!(pieces_behind(1024, 16, 16), 16);
        assert_eq!(pieces_behind(1024, 976, 16), 3);
        assert_eq!(pieces_behind(1024, 2048, 16), 0);
    }
}
