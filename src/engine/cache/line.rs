//! Memory in turn with the other torrents of the session.
//!
//! A piece is begun only when memory for all of it is set aside; a block of a piece that is read block by block is paid alone. Who
//! finds too little waits in line (`memory/turns.rs`), by class and then by how long it waits. The first in line gets what the
//! others can spare: they give it back when it is asked for, and from then on whenever a window moves.

use std::task::Waker;
use std::time::Duration;

use super::Cache;
use super::holding::Holding;
use super::rank::EvictionRank;
use crate::base::time::Time;
use crate::engine::content::piece::Slot;
use crate::engine::content::want::Pick;
use crate::engine::content::want::{Class, Want};
use crate::engine::readers::Readers;
use crate::engine::readers::reader::{PATIENT, Reader};
use crate::memory::turns::{Lack, Member, Promise, Rank};

/// In line, who wants all memory at once stands as if he had come later by so many times what his last turn took, who wants a part of it, by
/// that part of the time: a turn keeps from others what they could read meanwhile, so those that cost more come more seldom.
const TURNS_BEHIND: u32 = 5;
/// But they come.
const LONGEST_BEHIND_FOR_ALL: Duration = Duration::from_secs(20);
/// A piece of which no block came for so long gives its memory to those who wait.
const STUCK: Duration = Duration::from_secs(3);
/// Who has nothing to give is not asked again for so long, unless something happens there.
const ASKED_AGAIN: Duration = Duration::from_millis(250);
/// Behind all classes.
const LAST: u8 = 10;
/// Who had memory and brought nothing into it stands there for so long, twice as long each time.
const BEHIND: Duration = Duration::from_secs(10);
const LONGEST_BEHIND: Duration = Duration::from_secs(320);
/// A piece for the background that takes longer than this to come in makes way for a player.
const LONG_TURN: Duration = Duration::from_secs(4);

/// It had memory, and no block came into it since.
#[derive(Debug, Clone, Copy)]
struct GaveWay {
    since: Time,
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

/// Of a place in line; 0 is for pieces that are begun.
fn urgency_of(class: Class) -> u8 {
    1 + class as u8
}

/// Where the torrent stands in line for memory.
#[derive(Debug)]
pub(super) struct Line {
    member: Member,
    /// Since when it waits there for what no read waits for.
    in_line_since: Option<Time>,
    /// When it gave way to others because nothing came.
    gave_way: Option<GaveWay>,
    nothing_to_give_until: Time,
}

impl Line {
    pub(super) fn new(member: Member) -> Self {
        Self { member, in_line_since: None, gave_way: None, nothing_to_give_until: Time::ZERO }
    }

    /// Sets so many blocks aside, if they are there and nobody with a better claim waits.
    pub(super) fn promise(&mut self, rank: Rank, blocks: u64) -> Option<Promise> {
        self.member.promise(rank, blocks)
    }

    /// It has what it waited for: what waits next begins to wait then.
    pub(super) fn served(&mut self) {
        self.in_line_since = None;
    }

    pub(super) fn wait(&mut self, rank: Rank, blocks: u64) {
        self.member.wait(rank, blocks);
    }

    /// It goes behind all others for a while.
    fn give_way(&mut self, now: Time) {
        self.gave_way = Some(GaveWay::again(self.gave_way, now));
    }

    fn is_behind(&self, now: Time) -> Option<GaveWay> {
        self.gave_way.filter(|g| g.is_behind(now))
    }

    fn since(&mut self, now: Time) -> Time {
        *self.in_line_since.get_or_insert(now)
    }
}

impl Cache {
    /// How it is called when memory that it waits for came free.
    pub(in crate::engine) fn set_waker(&mut self, waker: Waker) {
        self.line.member.set_waker(waker);
    }

    /// Does it wait for memory?
    pub(in crate::engine) fn is_in_line(&self) -> bool {
        self.line.member.is_waiting()
    }

    pub(in crate::engine) fn leave_line(&mut self) {
        self.line.member.leave();
    }

    /// A block came into its memory.
    pub(in crate::engine) fn block_came(&mut self) {
        self.line.gave_way = None;
    }

    /// So many blocks are held here.
    pub(in crate::engine) fn note_held(&mut self, blocks: u64) {
        self.line.member.holds(blocks);
    }

    /// What is wanted changes: there may be something to give again.
    pub(in crate::engine) fn demand_changes(&mut self) {
        self.line.nothing_to_give_until = Time::ZERO;
    }

    /// Had it nothing to give a moment ago?
    pub(in crate::engine) fn was_asked_lately(&self, now: Time) -> bool {
        now < self.line.nothing_to_give_until
    }

    /// Do others lack memory?
    pub(in crate::engine) fn others_lack(&self) -> bool {
        self.line.member.others_lack().is_some()
    }

    /// Its place in line. What a piece that is begun lacks comes before pieces that are not, then by class. Who had memory before and
    /// brought nothing into it comes last, and so does what has room only while the protected is not all there.
    pub(super) fn rank_in_line(
        &mut self,
        now: Time,
        pick: Pick,
        begun: bool,
        blocks: u64,
        wants: &[Want],
        readers: &Readers,
    ) -> Rank {
        let limit = self.limit();
        if let Some(gave_way) = self.line.is_behind(now) {
            return Rank { urgency: LAST, since: gave_way.since.micros() };
        }
        if blocks > self.share.unprotected(limit) {
            return Rank { urgency: LAST, since: self.line.since(now).micros() };
        }
        let waits_since = || wants.iter().find(|w| w.piece == pick.piece && w.class == pick.class).map(|w| w.due);
        let (class, since) = match pick.class {
            Class::Blocked => (Class::Blocked, waits_since().unwrap_or(now)),
            Class::Background => match waits_since().map(|since| since + PATIENT) {
                Some(since) if since <= now => (Class::Blocked, since),
                _ => (Class::Background, self.line.since(now)),
            },
            class => (class, self.line.since(now)),
        };
        let urgency = if begun { 0 } else { urgency_of(class) };
        let waits_here = |r: &&Reader| r.wait_at(now).is_some() && r.current_piece() == Some(pick.piece);
        let took = readers.values().filter(waits_here).map(|r| r.last_turn()).min().unwrap_or_default();
        let for_all = (took * TURNS_BEHIND).min(LONGEST_BEHIND_FOR_ALL).as_micros() as u64;
        // Nobody waits for more than all memory.
        let handicap = for_all * blocks / limit.max(blocks).max(1);
        Rank { urgency, since: since.micros() + handicap }
    }
}

impl Holding<'_> {
    /// What nobody wants goes first, then what lies beyond this torrent's share. Never for something that is no more urgent, or two
    /// would take the same memory from each other for ever.
    pub(in crate::engine) fn give_back(&mut self, now: Time) {
        let crowded = self.cache.is_crowded();
        while let Some(Lack { urgency, is_passed }) = self.cache.line.member.others_lack() {
            let read_waits = urgency <= urgency_of(Class::Blocked);
            let for_reader = urgency < urgency_of(Class::Priority);
            let share = match self.cache.share.weight() {
                0 => 0,
                _ if crowded && for_reader => 0,
                _ => self.cache.share_blocks(),
            };
            let bound = if is_passed {
                // It cannot be served as long as somebody else holds on.
                EvictionRank::Background
            } else if self.blocks_held() <= share || (crowded && !for_reader) {
                EvictionRank::Wanted
            } else if !read_waits {
                EvictionRank::Background
            } else if crowded && self.readers.values().any(Reader::reads_wait) {
                // Who waits has no use for anything but what it waits for.
                EvictionRank::Kept
            } else {
                EvictionRank::FarAhead
            };
            let gave = self.evict_for_others(now, bound)
                || (!is_passed && self.blocks_held() > share && self.let_one_go(now))
                || (read_waits && self.cache.share.is_behind_players() && self.end_long_turn(now));
            if !gave {
                self.cache.line.nothing_to_give_until = now + ASKED_AGAIN;
                return;
            }
        }
    }

    /// Nobody plays here, somebody plays elsewhere, and a read waits for memory: a piece that has been coming in for long makes way, since it
    /// would hold a player up for as long again. The torrent goes behind the others with what it wants next. Was there one?
    fn end_long_turn(&mut self, now: Time) -> bool {
        let Some(content) = &self.content else { return false };
        let store = content.store();
        let over = |s: &Slot| s.is_coming_in() && !s.would_free_nothing() && now.since(s.begun()) >= LONG_TURN;
        let slots = store.present().iter().filter_map(|p| Some((*p, store.slot(*p).filter(|s| over(s))?)));
        // The one of which least would be fetched again.
        let Some((piece, _)) = slots.min_by_key(|(piece, s)| (s.received(), *piece)) else { return false };
        self.cache.line.give_way(now);
        self.cache.line.member.leave();
        self.evict(now, piece);
        true
    }

    /// Others wait, and pieces that were begun do not get on: their memory goes to who has use for it. True: it left its place in line, and
    /// takes another one when peers are asked again.
    pub(in crate::engine) fn give_up_stuck(&mut self, now: Time) -> bool {
        let Some(content) = self.content.as_ref().filter(|_| self.cache.pool.anybody_waits()) else { return false };
        let stuck = |p: &u32| {
            let slot = content.store().slot(*p);
            slot.is_some_and(|s| s.is_coming_in() && now.since(s.last()) >= STUCK)
        };
        let pieces: Vec<u32> = content.store().present().iter().copied().filter(stuck).collect();
        if !self.cache.others_lack() {
            // It is the first in line itself: with what is stuck in its hands it goes behind the others, if there are any.
            let goes = !pieces.is_empty() && self.cache.is_in_line() && self.cache.line.is_behind(now).is_none();
            if goes {
                self.cache.line.give_way(now);
                self.cache.leave_line();
                self.requests.came_free();
            }
            return goes;
        }
        if !pieces.is_empty() {
            self.cache.line.give_way(now);
        }
        pieces.into_iter().for_each(|piece| self.evict(now, piece));
        false
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
            [Class::Blocked, Class::Deadline, Class::Pinned, Class::Background, Class::Priority, Class::Shown];
        let urgencies: Vec<u8> = classes.into_iter().map(urgency_of).collect();
        assert!(urgencies.is_sorted() && urgencies[0] > 0 && urgencies[5] < LAST);
    }
}
