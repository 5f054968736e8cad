//! Memory for what is asked for, in turn with the other torrents of the session.
//!
//! A piece is begun only when memory for all of it is set aside; a block of a piece that is read block by block is paid alone. Who
//! finds too little waits in line (`memory/turns.rs`), by class and then by how long it waits. The first in line gets what the
//! others can spare: they give it back when it is asked for, and from then on whenever a window moves.

use crate::memory::turns::Member;
use std::time::Duration;

use super::eviction::{EvictionRank, evictable_by};
use crate::base::time::Time;
use crate::engine::content::Content;
use crate::engine::content::piece::Slot;
use crate::engine::readers::reader::{PATIENT, Reader};
use crate::engine::requests::demand::Class;
use crate::engine::requests::selector::Pick;
use crate::engine::torrent::Torrent;
use crate::memory::pool::{BLOCK_SIZE, Reservation};
use crate::memory::turns::{Lack, Promise, Rank};

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

/// The charge for one block, and what is set aside for the rest of its piece if that is begun with it.
pub(in crate::engine) type Charge = (Reservation, Option<Promise>);

/// It had memory, and no block came into it since.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct GaveWay {
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
pub(in crate::engine) struct Line {
    pub(in crate::engine) member: Member,
    /// Since when it waits there for what no read waits for.
    pub(in crate::engine) in_line_since: Option<Time>,
    /// When it gave way to others because nothing came.
    pub(in crate::engine) gave_way: Option<GaveWay>,
    pub(in crate::engine) nothing_to_give_until: Time,
}

impl Line {
    pub(in crate::engine) fn new(member: Member) -> Self {
        Self { member, in_line_since: None, gave_way: None, nothing_to_give_until: Time::ZERO }
    }

    /// It goes behind all others for a while.
    fn give_way(&mut self, now: Time) {
        self.gave_way = Some(GaveWay::again(self.gave_way, now));
    }
}

impl Torrent {
    /// Charges the block. `None`: there is no memory for it now.
    pub(in crate::engine) fn charge(&mut self, now: Time, pick: Pick) -> Option<Charge> {
        let content = self.content.as_mut()?;
        let is_copy = content.store().slot(pick.piece).is_some_and(|s| !s.is_free(pick.block));
        if !is_copy && let Some(charge) = content.store_mut().redeem(pick.piece) {
            return Some((charge, None));
        }
        let begun = content.store().slot(pick.piece).is_some();
        let blocks = content.layout().num_blocks_to_fetch(pick.piece, 0, u32::MAX);
        let whole = !begun && !self.readers.is_read_by_blocks(pick.piece);
        let Some(mut promise) = self.set_aside(now, pick, if whole { blocks.into() } else { 1 }, begun, is_copy) else {
            return if is_copy { self.take_from_the_late(now, pick) } else { None };
        };
        Some((promise.redeem()?, whole.then_some(promise)))
    }

    fn set_aside(&mut self, now: Time, pick: Pick, blocks: u64, begun: bool, is_copy: bool) -> Option<Promise> {
        let rank = self.rank_in_line(now, pick, begun, blocks);
        let mut promise = self.line.member.promise(rank, blocks);
        if promise.is_none() {
            while self.cache.pool.available() < blocks && self.make_room(now, pick) {}
            promise = self.line.member.promise(rank, blocks);
        }
        if promise.is_some() {
            // What waits next begins to wait then.
            self.line.in_line_since = None;
            return promise;
        }
        if !is_copy && pick.class != Class::Shown && (begun || self.has_claim(pick.class, blocks)) {
            self.line.member.wait(rank, blocks);
        }
        None
    }

    /// What a piece that is begun lacks comes before pieces that are not, then by class. Who had memory before and brought nothing
    /// into it comes last, and so does what has room only while the protected is not all there.
    fn rank_in_line(&mut self, now: Time, pick: Pick, begun: bool, blocks: u64) -> Rank {
        if let Some(gave_way) = self.line.gave_way.filter(|g| g.is_behind(now)) {
            return Rank { urgency: LAST, since: gave_way.since.micros() };
        }
        if blocks > self.cache.share.unprotected(self.cache.pool.limit()) {
            return Rank { urgency: LAST, since: self.line.in_line_since.get_or_insert(now).micros() };
        }
        let waits_since = || {
            self.requests.demand.wants().iter().find(|w| w.piece == pick.piece && w.class == pick.class).map(|w| w.due)
        };
        let (class, since) = match pick.class {
            Class::Blocked => (Class::Blocked, waits_since().unwrap_or(now)),
            Class::Background => match waits_since().map(|since| since + PATIENT) {
                Some(since) if since <= now => (Class::Blocked, since),
                _ => (Class::Background, *self.line.in_line_since.get_or_insert(now)),
            },
            class => (class, *self.line.in_line_since.get_or_insert(now)),
        };
        let urgency = if begun { 0 } else { urgency_of(class) };
        let waits_here = |r: &&Reader| r.wait_at(now).is_some() && r.current_piece() == Some(pick.piece);
        let took = self.readers.values().filter(waits_here).map(|r| r.last_turn()).min().unwrap_or_default();
        let for_all = (took * TURNS_BEHIND).min(LONGEST_BEHIND_FOR_ALL).as_micros() as u64;
        // Nobody waits for more than all memory.
        let handicap = for_all * blocks / self.cache.pool.limit().max(blocks).max(1);
        Rank { urgency, since: since.micros() + handicap }
    }

    /// May it have others give memory back? A read that waits always, everything else that is wanted within the torrent's share, or
    /// for its only piece.
    pub(in crate::engine) fn has_claim(&self, class: Class, blocks: u64) -> bool {
        let waits = |r: &Reader| r.options().background && r.reads_wait();
        let within = |held: u64| held == 0 || held + blocks <= self.cache.share.of(self.cache.pool.limit());
        class == Class::Blocked
            || (class == Class::Background && self.readers.values().any(waits))
            || (class != Class::Shown && self.cache.share.weight() > 0 && within(self.blocks_held()))
    }

    /// There is no memory for a copy of a block that is late: the request moves, with its charge.
    fn take_from_the_late(&mut self, now: Time, pick: Pick) -> Option<Charge> {
        let Pick { piece, block, class } = pick;
        let slot = self.content.as_ref()?.store().slot(piece)?;
        let late = slot.blocks().get(block as usize)?.askees().next().filter(|_| class <= Class::Deadline)?;
        self.send_cancel(now, late, piece, block);
        let (peer, content) = (self.peers.get_mut(&late)?, self.content.as_mut()?);
        peer.take_request(piece, block)?;
        peer.note_taken_back();
        // Now that its queue is empty it would seem to be the quickest, and be asked again.
        peer.refusals.note_late(now, piece);
        self.requests.forgive_at(peer.refusals.next());
        let charge = peer.credits.take(piece, block * BLOCK_SIZE);
        let mut promise = content.store_mut().unmark_asked(piece, block, late);
        // What is on its way keeps its charge; the piece's own memory serves then.
        let charge = charge.or_else(|| promise.as_mut()?.redeem()).or_else(|| content.store_mut().redeem(piece));
        self.requests.demand.came_free();
        self.note_open(late);
        Some((charge?, promise))
    }

    /// It is this torrent's turn: there is as much as it waits for.
    pub fn memory_came(&mut self, now: Time) {
        self.line.member.leave();
        self.requests.demand.came_free();
        self.fill_everybody(now);
    }

    /// At the end of an event: what others wait for is given back as soon as it is not needed, and a place in line that is of no use
    /// any more is left.
    pub fn settle_memory(&mut self, now: Time) {
        self.shed(now);
        self.line.member.holds(self.blocks_held());
        if self.requests.demand.is_outdated() && self.cache.pool.anybody_waits() {
            self.review_memory(now);
        }
        self.out.memory_wanted |= self.cache.pool.lacks_unasked();
    }

    /// Others wait for memory: gives the first of them what it lacks, as far as it can be spared.
    pub fn yield_memory(&mut self, now: Time) {
        // Where nothing goes on, nobody asks again.
        let asked_lately = now < self.line.nothing_to_give_until && self.is_running();
        if !asked_lately && self.line.member.others_lack().is_some() {
            // Who read a moment ago may be asleep by now.
            self.requests.demand.changed();
            self.review_memory(now);
        }
    }

    /// Nothing is fetched until it starts again: it waits for no memory, and who does may have what it holds.
    pub(in crate::engine) fn rest_from_memory(&mut self, now: Time) {
        self.line.member.leave();
        self.requests.demand.changed();
        self.update_shares(now);
        self.yield_memory(now);
    }

    /// Wants it all anew, which leaves the line, takes its place again, and gives what it can spare.
    fn review_memory(&mut self, now: Time) {
        let waited = self.line.member.is_waiting();
        self.refresh_wants(now);
        if waited {
            self.fill_everybody(now);
        } else {
            self.fill_all(now);
        }
        self.give_back(now);
    }

    /// What nobody wants goes first, then what lies beyond this torrent's share. Never for something that is no more urgent, or two
    /// would take the same memory from each other for ever.
    fn give_back(&mut self, now: Time) {
        let crowded = self.cache.share.is_crowded(self.cache.pool.limit());
        while let Some(Lack { urgency, is_passed }) = self.line.member.others_lack() {
            let read_waits = urgency <= urgency_of(Class::Blocked);
            let for_reader = urgency < urgency_of(Class::Priority);
            let share = match self.cache.share.weight() {
                0 => 0,
                _ if crowded && for_reader => 0,
                _ => self.cache.share.of(self.cache.pool.limit()),
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
                self.line.nothing_to_give_until = now + ASKED_AGAIN;
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
        self.line.give_way(now);
        self.line.member.leave();
        self.evict(now, piece);
        true
    }

    /// Others wait, and pieces that were begun do not get on: their memory goes to who has use for it.
    pub(in crate::engine) fn give_up_stuck(&mut self, now: Time) {
        let Some(content) = self.content.as_ref().filter(|_| self.cache.pool.anybody_waits()) else { return };
        let stuck = |p: &u32| {
            let slot = content.store().slot(*p);
            slot.is_some_and(|s| s.is_coming_in() && now.since(s.last()) >= STUCK)
        };
        let pieces: Vec<u32> = content.store().present().iter().copied().filter(stuck).collect();
        if self.line.member.others_lack().is_none() {
            // It is the first in line itself: with what is stuck in its hands it goes behind the others, if there are any.
            let is_behind = self.line.gave_way.is_some_and(|g| g.is_behind(now));
            if !pieces.is_empty() && self.line.member.is_waiting() && !is_behind {
                self.line.give_way(now);
                self.line.member.leave();
                self.requests.demand.came_free();
                self.fill_everybody(now);
            }
            return;
        }
        if !pieces.is_empty() {
            self.line.give_way(now);
        }
        pieces.into_iter().for_each(|piece| self.evict(now, piece));
    }

    /// Pieces that are read block by block, or no more, are paid so from now on.
    pub(in crate::engine) fn review_promises(&mut self) {
        let Some(content) = &self.content else { return };
        let mut blockwise = Vec::new();
        let mut whole = Vec::new();
        for piece in content.store().open_pieces() {
            let Some(slot) = content.store().slot(piece) else { continue };
            match (self.readers.is_read_by_blocks(piece), slot.has_promise()) {
                (true, true) => blockwise.push(piece),
                (false, false) => whole.push((piece, u64::from(slot.free_blocks()))),
                _ => {}
            }
        }
        for piece in blockwise {
            if let Some(content) = &mut self.content {
                content.store_mut().set_promise(piece, None);
            }
        }
        for (piece, blocks) in whole {
            let rank = Rank { urgency: 0, since: 0 };
            if let (Some(promise), Some(content)) = (self.line.member.promise(rank, blocks), &mut self.content) {
                content.store_mut().set_promise(piece, Some(promise));
            }
        }
    }

    /// May a piece be begun for `class`? If memory for all of it is there, can be had from what is worth less, or is this
    /// torrent's to claim.
    pub(in crate::engine) fn admits(&self, content: &Content, class: Class, piece: u32) -> bool {
        let blocks = u64::from(content.layout().num_blocks_to_fetch(piece, 0, u32::MAX));
        if self.cache.pool.available() >= blocks || self.has_claim(class, blocks) {
            return true;
        }
        // Where all that is begun is wanted alike, nothing goes.
        if class == Class::Priority && !content.picker().has_unwanted_begun() {
            return false;
        }
        // It is asked for every piece that could be begun, and knows no better time than the last tick's: the worth of a piece
        // changes within seconds.
        let (keepers, bound) = (self.keepers(self.life.last_tick, false), evictable_by(class));
        let below = |p: &&u32| keepers.eviction_rank(content, **p) < bound;
        let slots = content.store().present().iter().filter(below).filter_map(|p| content.store().slot(*p));
        let evictable: u64 = slots.map(|s| u64::from(s.received()) + s.promised()).sum();
        self.cache.pool.available() + evictable >= blocks
    }
}
