//! The torrent in line for memory: its place there, and what it does for those behind it.

use std::task::Waker;
use std::time::Duration;

use super::memory::Cache;
use super::queue_place::{LAST, urgency_of};
use crate::base::time::Time;
use crate::engine::content::want::{Class, Pick, Want};
use crate::engine::readers::Readers;
use crate::engine::readers::reader::{PATIENT, Reader};
use crate::memory::idle::Recall;
use crate::memory::promise::Promise;
use crate::memory::queue::{HeadNeed, Rank, WaiterState};

/// In line, who wants all memory at once stands as if he had come later by so many times what his last turn took, who wants a part of it, by
/// that part of the time: a turn keeps from others what they could read meanwhile, so those that cost more come more seldom.
const TURNS_BEHIND: u32 = 5;
/// But they come.
const LONGEST_BEHIND_FOR_ALL: Duration = Duration::from_secs(20);
/// What made room for another piece, in vain, is not begun again for so long.
const LACKS: Duration = Duration::from_secs(1);
/// Who has nothing to give is not asked again for so long, unless something happens there.
const ASKED_AGAIN: Duration = Duration::from_millis(250);

impl Cache {
    /// How it is called when memory that it waits for came free.
    pub(in crate::engine) fn set_waker(&mut self, waker: Waker) {
        self.place.member.set_waker(waker);
    }

    /// Does it wait for memory?
    pub(in crate::engine) fn is_in_line(&self) -> bool {
        self.place.member.is_waiting()
    }

    pub(in crate::engine) fn leave_line(&mut self) {
        self.place.leave();
    }

    /// A block came into its memory.
    pub(in crate::engine) fn block_came(&mut self) {
        self.place.gave_way = None;
    }

    /// So many blocks are held here.
    pub(in crate::engine) fn note_held(&mut self, blocks: u64) {
        self.place.member.holds(blocks);
        self.share.holds(blocks);
    }

    /// What is wanted changes: there may be something to give again.
    pub(in crate::engine) fn demand_changes(&mut self) {
        self.place.nothing_to_give_until = Time::ZERO;
    }

    /// Had it nothing to give a moment ago?
    pub(in crate::engine) fn was_asked_lately(&self, now: Time) -> bool {
        now < self.place.nothing_to_give_until
    }

    /// What others lack, if they do.
    pub(in crate::engine) fn others_lack(&self) -> Option<HeadNeed> {
        self.place.member.others_lack()
    }

    /// It gives what it had to others, and goes behind them for a while.
    pub(in crate::engine) fn give_way(&mut self, now: Time) {
        self.place.give_way(now);
    }

    /// Did it give way, and is not over it?
    pub(in crate::engine) fn is_behind(&self, now: Time) -> bool {
        self.place.is_behind(now).is_some()
    }

    /// It has nothing to give: it is not asked again for a while.
    pub(in crate::engine) fn has_nothing_to_give(&mut self, now: Time) {
        self.place.nothing_to_give_until = now + ASKED_AGAIN;
    }

    /// Sets so many blocks aside, if they are there and nobody with a better claim waits.
    pub(in crate::engine) fn promise(&mut self, rank: Rank, blocks: u64) -> Option<Promise> {
        self.place.promise(rank, blocks)
    }

    /// Borrows so many blocks of what others were promised and do not use, where so many more stand idle.
    pub(in crate::engine) fn borrow(&mut self, blocks: u64, more: u64) -> Option<Promise> {
        self.place.borrow(blocks, more)
    }

    /// It had to give back what it had borrowed.
    pub(in crate::engine) fn repaid(&mut self, now: Time) {
        self.place.repaid(now);
    }

    /// Had it to give back what it had borrowed, a moment ago?
    pub(in crate::engine) fn repaid_lately(&self, now: Time) -> bool {
        self.place.repaid_lately(now)
    }

    /// It gives up a piece for those who play. Not again, before it brought one: else it would bring none for ever.
    pub(in crate::engine) fn makes_way(&mut self) -> bool {
        !std::mem::replace(&mut self.place.made_way, true)
    }

    /// A piece came in whole.
    pub(in crate::engine) fn piece_came(&mut self) {
        self.place.made_way = false;
    }

    /// What it was just promised, so many blocks, will be used slowly.
    pub(in crate::engine) fn stands_idle(&mut self, blocks: u64) {
        self.place.member.stands_idle(blocks);
    }

    /// What it was promised was lent, and is needed.
    pub(in crate::engine) fn call_in(&mut self, recall: Recall) {
        self.place.call_in(recall);
    }

    /// Has it lacked for long what it was promised? From the first time on that it does, until it is promised something new.
    pub(in crate::engine) fn lacks_for_long(&mut self, now: Time) -> bool {
        now.since(*self.place.lacks_since.get_or_insert(now)) >= PATIENT
    }

    /// Room was made for a piece here, and was not enough.
    pub(in crate::engine) fn lacks(&mut self, now: Time, rank: Rank) {
        self.place.lacks = Some((rank, now));
    }

    /// A piece of such a rank was begun: what lacked is that one, or comes after it.
    pub(in crate::engine) fn lacks_no_more(&mut self, rank: Rank) {
        self.place.lacks.take_if(|(lacks, _)| *lacks >= rank);
    }

    /// Was room made here a moment ago for a piece that comes before this one, and was not enough?
    pub(in crate::engine) fn comes_after_one_who_lacks(&self, now: Time, rank: Rank) -> bool {
        self.place.lacks.is_some_and(|(lacks, at)| lacks < rank && now.since(at) < LACKS)
    }

    /// It gave others a piece that was coming in.
    pub(in crate::engine) fn gave(&mut self, now: Time) {
        self.place.gave = Some(now);
    }

    /// Did it give one a moment ago, and does somebody wait still?
    pub(in crate::engine) fn gave_lately(&self, now: Time) -> bool {
        self.place.gave.is_some_and(|at| now.since(at) < LACKS) && self.pool.anybody_waits()
    }

    /// It has what it waited for.
    pub(in crate::engine) fn served(&mut self) {
        self.place.served();
    }

    pub(in crate::engine) fn wait(&mut self, rank: Rank, blocks: u64, meanwhile: WaiterState) {
        self.place.wait(rank, blocks, meanwhile);
    }

    /// Its place in line. What a piece that is begun lacks comes before pieces that are not, then by class. Who had memory before and
    /// brought nothing into it comes last, and so does what has room only while the protected is not all there.
    pub(in crate::engine) fn rank_in_line(
        &mut self,
        now: Time,
        pick: Pick,
        begun: bool,
        blocks: u64,
        wants: &[Want],
        readers: &Readers,
    ) -> Rank {
        let limit = self.limit();
        if let Some(gave_way) = self.place.is_behind(now) {
            return Rank { urgency: LAST, since: gave_way.since.micros() };
        }
        if blocks > self.share.unprotected(limit) {
            return Rank { urgency: LAST, since: self.place.since(now).micros() };
        }
        let waits_since = || wants.iter().find(|w| w.piece == pick.piece && w.class == pick.class).map(|w| w.due);
        let (class, since) = match pick.class {
            Class::Blocked => (Class::Blocked, waits_since().unwrap_or(now)),
            Class::Background => match waits_since().map(|since| since + PATIENT) {
                Some(since) if since <= now => (Class::Blocked, since),
                _ => (Class::Background, self.place.since(now)),
            },
            class => (class, self.place.since(now)),
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
