//! Memory in turn with the other torrents of the session.
//!
//! A piece is begun only when memory for all of it is set aside; a block of a piece that is read block by block is paid alone. Who
//! finds too little waits in line (`memory/queue.rs`), by class and then by how long it waits. The first in line gets what the
//! others can spare: they give it back when it is asked for, and from then on whenever a window moves.

use std::time::Duration;

use crate::base::time::Time;
use crate::engine::content::want::Class;
use crate::memory::idle::Recall;
use crate::memory::promise::Promise;
use crate::memory::queue::{QueueMember, Rank, WaiterState};

/// Who had memory and brought nothing into it stands there for so long, twice as long each time.
const BEHIND: Duration = Duration::from_secs(10);
const LONGEST_BEHIND: Duration = Duration::from_secs(320);

/// Who had to give back what it had borrowed takes the last that stands idle from nobody for so long, twice as long each time.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// It had memory, and no block came into it since.
#[derive(Debug, Clone, Copy)]
pub(super) struct GaveWay {
    pub(super) since: Time,
    /// It stands behind all others for so long, and no longer: what kept its blocks away may be over.
    behind: Duration,
}

impl GaveWay {
    fn again(before: Option<Self>, now: Time) -> Self {
        let behind = before.map_or(BEHIND, |b| (b.behind * 2).min(LONGEST_BEHIND));
        Self { since: now, behind }
    }

    fn is_behind(&self, now: Time) -> bool {
        now.since(self.since) < self.behind
    }
}

/// It had to give back what it had borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repaid {
    at: Time,
    /// For so long it borrows only where much stands idle.
    pause: Duration,
}

impl Repaid {
    fn again(before: Option<Self>, now: Time) -> Self {
        match before {
            Some(before) if before.is_pausing(now) => before,
            Some(Self { at, pause }) if now.since(at) < pause * 3 => {
                Self { at: now, pause: (pause * 2).min(LONGEST_PAUSE) }
            }
            _ => Self { at: now, pause: PAUSE },
        }
    }

    fn is_pausing(&self, now: Time) -> bool {
        now.since(self.at) < self.pause
    }
}

/// Behind all classes.
pub(super) const LAST: u8 = 10;

/// Of a place in line; 0 is for pieces that are begun.
pub(in crate::engine) fn urgency_of(class: Class) -> u8 {
    1 + class as u8
}

/// Where the torrent stands in line for memory.
#[derive(Debug)]
pub(super) struct QueuePlace {
    pub(super) member: QueueMember,
    /// Since when it waits there for what no read waits for.
    pub(super) in_line_since: Option<Time>,
    /// When it gave way to others because nothing came.
    pub(super) gave_way: Option<GaveWay>,
    pub(super) nothing_to_give_until: Time,
    /// Since when it lacks what it was promised.
    pub(super) lacks_since: Option<Time>,
    pub(super) repaid: Option<Repaid>,
    /// For which piece room was made in vain, and when.
    pub(super) lacks: Option<(Rank, Time)>,
    /// When it last gave others a piece that was coming in.
    pub(super) gave: Option<Time>,
    /// It gave up a piece for those who play, and brought none since.
    pub(super) made_way: bool,
}

impl QueuePlace {
    pub(super) fn new(member: QueueMember) -> Self {
        Self {
            member,
            in_line_since: None,
            gave_way: None,
            nothing_to_give_until: Time::ZERO,
            lacks_since: None,
            repaid: None,
            lacks: None,
            gave: None,
            made_way: false,
        }
    }

    /// Sets so many blocks aside, if they are there and nobody with a better claim waits.
    pub(super) fn promise(&mut self, rank: Rank, blocks: u64) -> Option<Promise> {
        self.member.promise(rank, blocks)
    }

    /// Borrows so many blocks of what others were promised and do not use, where so many more stand idle.
    pub(super) fn borrow(&mut self, blocks: u64, more: u64) -> Option<Promise> {
        self.member.borrow(blocks, more)
    }

    /// It had to give back what it had borrowed.
    pub(super) fn repaid(&mut self, now: Time) {
        self.repaid = Some(Repaid::again(self.repaid, now));
    }

    pub(super) fn repaid_lately(&self, now: Time) -> bool {
        self.repaid.is_some_and(|repaid| repaid.is_pausing(now))
    }

    /// What it was promised was lent, and is needed.
    pub(super) fn call_in(&mut self, recall: Recall) {
        self.member.call_in(recall);
    }

    /// It has what it waited for: what waits next begins to wait then.
    pub(super) fn served(&mut self) {
        (self.in_line_since, self.lacks_since) = (None, None);
    }

    pub(super) fn leave(&mut self) {
        self.member.leave();
    }

    pub(super) fn wait(&mut self, rank: Rank, blocks: u64, meanwhile: WaiterState) {
        self.member.wait(rank, blocks, meanwhile);
    }

    /// It goes behind all others for a while.
    pub(super) fn give_way(&mut self, now: Time) {
        self.gave_way = Some(GaveWay::again(self.gave_way, now));
    }

    pub(super) fn is_behind(&self, now: Time) -> Option<GaveWay> {
        self.gave_way.filter(|g| g.is_behind(now))
    }

    pub(super) fn since(&mut self, now: Time) -> Time {
        *self.in_line_since.get_or_insert(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_way_again_stands_behind_for_twice_as_long() {
        let at = Time::from_millis;
        let first = GaveWay::again(None, at(1000));
        assert!(first.is_behind(at(10_999)) && !first.is_behind(at(11_000)));
        let second = GaveWay::again(Some(first), at(20_000));
        assert!(second.is_behind(at(39_999)) && !second.is_behind(at(40_000)));
        let last = (0..20).fold(second, |before, _| GaveWay::again(Some(before), at(50_000)));
        assert_eq!(last.behind, LONGEST_BEHIND);
    }

    #[test]
    fn the_more_urgent_stands_in_front() {
        let classes =
            [Class::Blocked, Class::Deadline, Class::Pinned, Class::Background, Class::Priority, Class::Revealed];
        let urgencies: Vec<u8> = classes.into_iter().map(urgency_of).collect();
        assert!(urgencies.is_sorted() && urgencies[0] > 0 && urgencies[5] < LAST);
    }
}
