//! The torrent in line for memory: its place there, and what it does for those behind it.

use std::task::Waker;
use std::time::Duration;

use super::line::{LAST, urgency_of};
use super::memory::Cache;
use crate::base::time::Time;
use crate::engine::content::want::{Class, Pick, Want};
use crate::engine::readers::Readers;
use crate::engine::readers::reader::{PATIENT, Reader};
use crate::memory::turns::{Lack, Promise, Rank};

/// In line, who wants all memory at once stands as if he had come later by so many times what his last turn took, who wants a part of it, by
/// that part of the time: a turn keeps from others what they could read meanwhile, so those that cost more come more seldom.
const TURNS_BEHIND: u32 = 5;
/// But they come.
const LONGEST_BEHIND_FOR_ALL: Duration = Duration::from_secs(20);
/// Who has nothing to give is not asked again for so long, unless something happens there.
const ASKED_AGAIN: Duration = Duration::from_millis(250);

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
        self.line.leave();
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

    /// What others lack, if they do.
    pub(in crate::engine) fn others_lack(&self) -> Option<Lack> {
        self.line.member.others_lack()
    }

    /// It gives what it had to others, and goes behind them for a while.
    pub(in crate::engine) fn give_way(&mut self, now: Time) {
        self.line.give_way(now);
    }

    /// Did it give way, and is not over it?
    pub(in crate::engine) fn is_behind(&self, now: Time) -> bool {
        self.line.is_behind(now).is_some()
    }

    /// It has nothing to give: it is not asked again for a while.
    pub(in crate::engine) fn has_nothing_to_give(&mut self, now: Time) {
        self.line.nothing_to_give_until = now + ASKED_AGAIN;
    }

    /// Sets so many blocks aside, if they are there and nobody with a better claim waits.
    pub(in crate::engine) fn promise(&mut self, rank: Rank, blocks: u64) -> Option<Promise> {
        self.line.promise(rank, blocks)
    }

    /// It has what it waited for.
    pub(in crate::engine) fn served(&mut self) {
        self.line.served();
    }

    pub(in crate::engine) fn wait(&mut self, rank: Rank, blocks: u64) {
        self.line.wait(rank, blocks);
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
