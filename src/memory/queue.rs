//! The line for memory: the order in which the torrents of a session get it.
//!
//! A piece is of use only when it is whole. If each of many torrents held a part of its piece and waited for the rest, all
//! would wait for ever. So a piece is begun only when all its blocks are promised at once ([`Promise`]), and who finds too little
//! waits in line, holding nothing for it: the most urgent first, among equals who waits longest. Nobody behind takes what the
//! first in line waits for. Whoever gives blocks back calls the first in line as soon as there are enough for it; nobody asks
//! again and again.
//!
//! Unless the first waits in vain (see `overtaking`), or for half of memory when somebody has that or had it a moment ago (see
//! `interlude`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use super::idle::{Callers, Idle, Recall};
use super::interlude::Interlude;
use super::overtaking::Overtaking;
use super::pool::Pool;
use super::promise::Promise;

/// A place in line; the smallest is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// 0 is the most urgent.
    pub urgency: u8,
    /// Since when it waits, in microseconds of the session's clock.
    pub since: u64,
}

impl Rank {
    /// Behind all who wait.
    pub fn after_all(self) -> Self {
        Self { urgency: u8::MAX, ..self }
    }
}

/// The first in line lacks something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadNeed {
    pub urgency: u8,
    /// Others pass it for a while.
    pub is_overtaken: bool,
    /// Others need give only what nobody wants.
    pub can_wait: bool,
}

/// What somebody does while he waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiterState {
    Nothing,
    /// He borrows what he needs, as soon as so many blocks stand idle.
    Borrows {
        idle: u64,
    },
    /// He has borrowed it, and waits for his own.
    HasBorrowed,
    /// He leaves to those who play what they need.
    LeavesToPlayers,
}

/// Those who wait.
#[derive(Debug, Default)]
pub(crate) struct MemoryQueue {
    line: BTreeMap<(Rank, u64), Waiter>,
    members: u64,
    /// On whose behalf the others were asked last.
    asked_for: Option<(Rank, u64)>,
    overtaking: Overtaking,
    interlude: Interlude,
    idle: Idle,
    pub(super) callers: Callers,
}

#[derive(Debug)]
struct Waiter {
    blocks: u64,
    meanwhile: WaiterState,
    waker: Waker,
    /// It was called and has not come yet.
    called: bool,
}

impl Waiter {
    fn may_borrow_of(&self, lendable: u64) -> bool {
        matches!(self.meanwhile, WaiterState::Borrows { idle } if idle <= lendable)
    }
}

/// What somebody needs who waits, or would.
#[derive(Debug, Clone, Copy)]
struct Need {
    rank: Rank,
    id: u64,
    blocks: u64,
    /// It is half of memory or more.
    is_large: bool,
}

impl Need {
    fn new((rank, id): (Rank, u64), blocks: u64, limit: u64) -> Self {
        Self { rank, id, blocks, is_large: is_large(blocks, limit) }
    }
}

fn is_large(blocks: u64, limit: u64) -> bool {
    blocks.saturating_mul(2) >= limit
}

impl MemoryQueue {
    fn needs(&self, limit: u64) -> impl Iterator<Item = Need> {
        self.line.iter().map(move |(place, waiter)| Need::new(*place, waiter.blocks, limit))
    }

    fn is_in_vain(&self, need: Need) -> bool {
        self.overtaking.passes(need.rank.urgency, need.blocks)
    }

    /// Does it come after those who need less, for a while?
    fn is_after_small(&self, need: Need) -> bool {
        need.is_large && self.interlude.is_on()
    }

    fn is_overtaken(&self, need: Need) -> bool {
        self.is_in_vain(need) || self.is_after_small(need)
    }

    /// It has its turn before that one, who is no less urgent than it is.
    fn is_first_for_a_while(&self, need: Need, other: Need) -> bool {
        self.is_after_small(other) && !need.is_large && need.rank.urgency <= other.rank.urgency
    }

    fn may_pass(&self, need: Need, other: Need) -> bool {
        self.is_first_for_a_while(need, other) || (self.is_in_vain(other) && !self.is_in_vain(need))
    }

    /// All up to the first whom others may not pass: nobody behind him is the next.
    fn candidates(&self, limit: u64) -> impl Iterator<Item = Need> {
        let mut barred = false;
        self.needs(limit).take_while(move |need| !std::mem::replace(&mut barred, !self.is_overtaken(*need)))
    }

    /// The first whom others may not pass, if he may pass all before him.
    fn first_not_passed(&self, limit: u64) -> Option<Need> {
        let first = self.candidates(limit).last().filter(|need| !self.is_overtaken(*need))?;
        self.needs(limit).take_while(|need| need.id != first.id).all(|need| self.may_pass(first, need)).then_some(first)
    }

    /// The same; where there is none, the first of all.
    fn first(&self, limit: u64) -> Option<Need> {
        self.first_not_passed(limit).or_else(|| self.needs(limit).next())
    }

    /// Does somebody else wait who comes before that one, and is not passed by him?
    fn is_before(&self, need: Need, limit: u64) -> bool {
        let place = (need.rank, need.id);
        let is_first = |(at, waiter): (&(Rank, u64), &Waiter)| {
            let other = Need::new(*at, waiter.blocks, limit);
            // Nobody takes what another was called for, but he who comes first.
            !self.may_pass(need, other) || (waiter.called && !self.is_first_for_a_while(need, other))
        };
        let mut before = self.line.range(..place).filter(|(at, _)| at.1 != need.id);
        before.any(is_first)
            || (self.is_after_small(need) && self.needs(limit).any(|other| self.is_first_for_a_while(other, need)))
    }

    /// The next to be called: the first, or one who may pass all before him.
    fn next(&mut self, available: u64, limit: u64) -> Option<&mut Waiter> {
        let next = self.candidates(limit).find(|need| need.blocks <= available && !self.is_before(*need, limit))?;
        self.line.get_mut(&(next.rank, next.id)).filter(|waiter| !waiter.called)
    }
}

impl Pool {
    /// Somebody who takes memory piece by piece.
    pub fn join(self: &Arc<Self>) -> QueueMember {
        let mut queue = self.queue.lock();
        queue.members += 1;
        QueueMember {
            pool: self.clone(),
            id: queue.members,
            place: None,
            calls_in: false,
            stood: false,
            has_large: false,
            waker: Waker::noop().clone(),
        }
    }

    /// Who is the first in line lacks something, and the others were not asked for it yet. It is said once for each who comes to be
    /// the first: who rests does not see by himself that somebody waits.
    pub fn lacks_unasked(&self) -> bool {
        if !self.anybody_waits() {
            return false;
        }
        let mut queue = self.queue.lock();
        if queue.callers.is_untold() {
            return true;
        }
        let first = queue.first(self.limit()).filter(|first| first.blocks > self.available());
        let first = first.map(|first| (first.rank, first.id));
        if first.is_none() || queue.asked_for == first {
            return false;
        }
        queue.asked_for = first;
        true
    }

    /// Now and then, at such a time of the session's clock: is the first in line served?
    pub fn review_line(&self, now: u64) {
        let mut queue = self.queue.lock();
        if !self.anybody_waits() {
            queue.interlude.keeps_nobody();
        }
        queue.overtaking.ends(now);
        queue.interlude.review(now);
        queue.idle.review(now, self.promised());
        let first = queue.needs(self.limit()).next();
        if let Some(first) = first.filter(|first| queue.is_after_small(*first)) {
            queue.overtaking.is_after_others(first.id);
        }
        if let Some(Need { rank, id, blocks, .. }) = queue.first_not_passed(self.limit()) {
            queue.overtaking.is_first(now, now.max(rank.since), rank.urgency, id, blocks);
        }
        // Who waits may borrow what stands idle by now.
        let lendable = self.lendable(&queue);
        let first = queue.line.values().find(|waiter| waiter.may_borrow_of(lendable));
        let waker = first.map(|first| first.waker.clone());
        drop(queue);
        waker.iter().for_each(Waker::wake_by_ref);
        self.call_next();
    }

    /// What somebody calls in who finds that his own is lent.
    pub fn called_in(&self) -> Option<Recall> {
        let lent = self.anybody_waits() && self.owed() > 0 && !self.may_redeem();
        lent.then(|| self.queue.lock().callers.called()).flatten()
    }

    /// Blocks that stand idle and may be lent.
    fn lendable(&self, queue: &MemoryQueue) -> u64 {
        queue.idle.of(self.promised()).saturating_sub(self.owed())
    }

    /// Calls the first in line if there is enough for it. Who asks for more than there will ever be is called, too, and waits no more.
    pub(crate) fn call_next(&self) {
        let mut called = Vec::new();
        let mut queue = self.queue.lock();
        while let Some(first) = queue.line.first_entry().filter(|e| e.get().blocks > self.limit()) {
            called.push(first.remove().waker);
        }
        if let Some(next) = queue.next(self.available(), self.limit()) {
            next.called = true;
            called.push(next.waker.clone());
        }
        if self.may_redeem() {
            called.extend(queue.callers.take());
        }
        self.set_anybody_waits(!queue.line.is_empty() || !queue.callers.is_empty());
        drop(queue);
        called.iter().for_each(Waker::wake_by_ref);
    }
}

/// One who takes memory piece by piece; it leaves the line when it is dropped.
#[derive(Debug)]
pub struct QueueMember {
    pool: Arc<Pool>,
    id: u64,
    place: Option<Rank>,
    calls_in: bool,
    /// It stood in line since it was served last.
    stood: bool,
    /// It got half of memory or more for a piece, and has it still.
    has_large: bool,
    waker: Waker,
}

impl QueueMember {
    /// How it is called when its turn comes.
    pub fn set_waker(&mut self, waker: Waker) {
        self.waker = waker;
    }

    /// Does it wait in line?
    pub fn is_waiting(&self) -> bool {
        self.place.is_some()
    }

    /// Sets so many blocks aside, if they are there and nobody with a better claim waits.
    pub fn promise(&mut self, rank: Rank, blocks: u64) -> Option<Promise> {
        let limit = self.pool.limit();
        if self.pool.take(0, blocks, false).is_none() {
            let mut queue = self.pool.queue.lock();
            let need = Need::new((rank, self.id), blocks, limit);
            if queue.is_before(need, limit) {
                return None;
            }
            self.pool.take(0, blocks, true)?;
            if !need.is_large {
                queue.interlude.keeps_nobody();
            }
        }
        if is_large(blocks, limit) {
            self.has_large = true;
            self.pool.queue.lock().interlude.begins(self.id);
        }
        if std::mem::take(&mut self.stood) {
            self.pool.queue.lock().overtaking.served(self.id, blocks);
        }
        Some(Promise::new(self.pool.clone(), blocks, false))
    }

    /// What was just promised, so many blocks, will be used slowly: it may be lent at once.
    pub fn stands_idle(&mut self, blocks: u64) {
        self.pool.queue.lock().idle.comes(blocks);
    }

    /// Borrows so many blocks of what stands idle, where so many more do.
    pub fn borrow(&mut self, blocks: u64, more: u64) -> Option<Promise> {
        let lendable = self.pool.lendable(&self.pool.queue.lock());
        if blocks.saturating_add(more) > lendable {
            return None;
        }
        self.pool.lend(blocks)?;
        Some(Promise::new(self.pool.clone(), blocks, true))
    }

    /// Its own was lent: those who borrowed are to give it back. It is called when there is something.
    pub fn call_in(&mut self, call: Recall) {
        {
            let mut queue = self.pool.queue.lock();
            queue.callers.call(self.id, call, self.waker.clone());
            self.calls_in = true;
            self.pool.set_anybody_waits(true);
        }
        self.pool.call_next();
    }

    /// Waits in line for so many blocks; of several things the most urgent. Nobody waits for more than there will ever be.
    pub fn wait(&mut self, rank: Rank, blocks: u64, meanwhile: WaiterState) {
        if blocks > self.pool.limit() || self.place.is_some_and(|place| place <= rank) {
            return;
        }
        {
            let mut queue = self.pool.queue.lock();
            if let Some(place) = self.place.take() {
                queue.line.remove(&(place, self.id));
            }
            queue.line.insert((rank, self.id), Waiter { blocks, meanwhile, waker: self.waker.clone(), called: false });
            (self.place, self.stood) = (Some(rank), true);
            // What comes free from here on is seen by whoever frees it, what came free before is seen below.
            self.pool.set_anybody_waits(true);
        }
        self.pool.call_next();
    }

    /// Waits no more.
    pub fn leave(&mut self) {
        if std::mem::take(&mut self.calls_in) {
            self.pool.queue.lock().callers.leave(self.id);
            self.pool.call_next();
        }
        if let Some(place) = self.place.take() {
            self.pool.queue.lock().line.remove(&(place, self.id));
            self.pool.call_next();
        }
    }

    /// Is another one the first in line, and lacks something?
    pub fn others_lack(&self) -> Option<HeadNeed> {
        if !self.pool.anybody_waits() {
            return None;
        }
        let queue = self.pool.queue.lock();
        let first = queue.first(self.pool.limit()).filter(|first| first.id != self.id)?;
        let waiter = queue.line.get(&(first.rank, first.id))?;
        if waiter.may_borrow_of(self.pool.lendable(&queue)) {
            return None;
        }
        let can_wait = matches!(waiter.meanwhile, WaiterState::HasBorrowed | WaiterState::LeavesToPlayers);
        let is_overtaken = queue.is_in_vain(first) || (queue.is_after_small(first) && !self.has_large);
        (first.blocks > self.pool.available()).then_some(HeadNeed {
            urgency: first.rank.urgency,
            is_overtaken,
            can_wait,
        })
    }

    /// It holds so many blocks now.
    pub fn holds(&mut self, blocks: u64) {
        if self.has_large && !is_large(blocks, self.pool.limit()) {
            self.has_large = false;
            self.pool.queue.lock().interlude.gave_back(self.id);
        }
    }
}

impl Drop for QueueMember {
    fn drop(&mut self) {
        self.leave();
        self.holds(0);
    }
}
