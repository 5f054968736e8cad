//! The connection slots of a torrent: when one may be made for a newcomer, and for whom.

use std::time::Duration;

use super::torrent_view::TorrentView;
use crate::base::time::Time;

const MOST_DOUBLED: u32 = 3;
/// Where reads wait for so long, all the time or again and again, whatever they get meanwhile, one of the slow makes room.
const STARVES: Duration = Duration::from_secs(10);
/// One that came and found no place tries again within this. Places that are made go to those who come and to those who are dialled by turns:
/// dials look for a place all the time, and would have each of them.
const COMES_AGAIN: Duration = Duration::from_secs(10);

/// When a place may be made next, and how many were made for the read, or the metadata, that is waited for.
#[derive(Debug, Default)]
pub(in crate::engine) struct ConnectionSlots {
    /// For a dial that is to be made, at all.
    pub(super) for_dial: Time,
    /// While somebody waits, for one that is dialled and for one that came.
    pub(super) for_waiting: [Time; 2],
    /// When one that came last found no place, and whether the next one that is made is for such.
    pub(super) turned_away: Option<Time>,
    pub(super) is_for_one_that_comes: bool,
    /// Since when a read waits all the time.
    pub(super) starves: Option<Time>,
    /// Since when reads wait again and again, and when one was last seen to wait.
    pub(super) short: Option<(Time, Time)>,
    /// One of the slow made room, and nobody has come since.
    pub(super) vacant: bool,
    /// Since when that read waits.
    pub(super) read: Time,
    pub(super) made: usize,
}

impl ConnectionSlots {
    /// Is the next place to be left to one that came before, and will come again?
    pub(super) fn awaits_one_that_comes(&self, now: Time) -> bool {
        self.is_for_one_that_comes && self.turned_away.is_some_and(|at| now.since(at) < COMES_AGAIN)
    }

    /// A place was made, or was not.
    pub(super) fn note(&mut self, now: Time, incoming: bool, made: bool) {
        if made {
            self.is_for_one_that_comes = !incoming;
        }
        if incoming {
            self.turned_away = (!made).then_some(now);
        }
    }

    /// Somebody came.
    pub fn taken(&mut self) {
        self.vacant = false;
    }

    /// How long peers are given for that read, of whom there are so many: at first, and longer with each turn of all.
    pub(super) fn fair_time(&mut self, first: Duration, read: Time, peers: usize) -> Duration {
        if self.read != read {
            (self.read, self.made) = (read, 0);
        }
        let turns = u32::try_from(self.made / peers.max(1)).unwrap_or(MOST_DOUBLED);
        first * (1 << turns.min(MOST_DOUBLED))
    }

    /// Do reads that somebody watches get too little, now and then or all the time?
    pub(super) fn is_short(&self, now: Time, view: &TorrentView<'_>) -> bool {
        self.short.is_some_and(|(since, _)| now.since(since) >= STARVES) && !view.limited
    }

    /// Does a read that somebody watches wait all the time, other than by a limit of ours?
    pub fn starves(&self, now: Time, view: &TorrentView<'_>) -> bool {
        self.starves.is_some_and(|since| now.since(since) >= STARVES) && !view.limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAIR: Duration = Duration::from_secs(3);

    #[test]
    fn the_fair_time_grows_with_each_turn_of_all_and_begins_anew_with_another_read() {
        let mut slots = ConnectionSlots::default();
        let mut fair = |made, read| {
            slots.made = made;
            slots.fair_time(FAIR, Time::from_millis(read), 4)
        };
        assert_eq!(
            [0, 3, 4, 8, 12, 400].map(|made| fair(made, 0) / FAIR.as_secs() as u32).map(|t| t.as_secs()),
            [1, 1, 2, 4, 8, 8]
        );
        assert_eq!(fair(400, 1), FAIR);
    }
}
