//! Readers in the background, beside those that play, in the same torrent.
//!
//! What a player looks ahead is what keeps it playing, so memory is not shared alike: those in the background have a quarter at most, in
//! whole pieces. Where that is less than a piece for each they take turns, who waits longest first. Where there is not one for them all,
//! a read that has waited for long counts as those in front do.

use std::collections::BTreeSet;

use super::open_readers::Readers;
use super::reader::{PATIENT, Reader, ReaderId};
use super::turn::TURN_IS_OVER;
use crate::base::time::Time;

/// How many pieces of so many blocks those in the background may have, where those in front cannot do without so many.
fn pieces_behind(blocks: u64, in_front: u64, piece: u64) -> u64 {
    (blocks / 4).min(blocks.saturating_sub(in_front)) / piece.max(1)
}

impl Reader {
    /// Has it waited so long, in the background, that it has a turn as those in front have?
    pub(in crate::engine) fn is_impatient(&self, now: Time) -> bool {
        self.waited_long() || self.wait_at(now).is_some_and(|w| now.since(w.wanted_since) >= PATIENT)
    }

    /// Does it take what those in front leave, where that is so many pieces? A `read_at` is urgent, and needs its window.
    pub(in crate::engine) fn stands_behind(&self, now: Time, room: Option<u64>) -> bool {
        self.options.background
            && self.reads_at.is_empty()
            && room.is_some_and(|pieces| pieces > 0 || !self.is_impatient(now))
    }

    /// By whom the next piece for the background is had first: who reads on in his, then who waits longest.
    fn place_behind(&self, now: Time) -> (bool, Time) {
        let at_end = self.position >= self.until();
        let over = !self.reads_wait() && (at_end || self.has_had_its_turn(now) || self.has_rested(now, TURN_IS_OVER));
        (over, self.wait_at(now).map_or(Time::ZERO, |w| w.wanted_since))
    }
}

impl Readers {
    /// Pieces, of so many blocks each, for those in the background, out of `blocks`. `None`: nobody plays, or nobody is in the background.
    pub(in crate::engine) fn room_behind(&self, now: Time, blocks: u64, piece: u64) -> Option<u64> {
        let active = || self.map.values().filter(|r| r.is_active(now));
        let in_front = active().filter(|r| !r.options.background).count() as u64;
        let some = in_front > 0 && active().any(|r| r.options.background);
        some.then(|| pieces_behind(blocks, in_front * piece, piece))
    }

    /// Those who have a place, of these who stand behind the others: for so many pieces.
    pub(super) fn placed_behind(&self, now: Time, behind: &BTreeSet<ReaderId>, pieces: u64) -> BTreeSet<ReaderId> {
        let mut line: Vec<&Reader> = behind.iter().filter_map(|id| self.get(*id)).collect();
        line.sort_by_key(|r| r.place_behind(now));
        line.into_iter().take(usize::try_from(pieces).unwrap_or(usize::MAX)).map(|r| r.id).collect()
    }

    /// Is it the piece at which somebody plays, or the next one?
    pub(in crate::engine) fn is_played_soon(&self, piece: u32) -> bool {
        let at = |r: &Reader| r.current_piece().filter(|_| !r.options.background);
        self.map.values().filter_map(at).any(|at| piece == at || piece == at + 1)
    }

    /// Has a reader no place in the background now? Who has one changes with time.
    pub(in crate::engine) fn anybody_is_put_off(&self) -> bool {
        self.map.values().any(|r| r.window.put_off)
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
