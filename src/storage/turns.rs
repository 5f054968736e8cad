//! Who gets memory next, across the torrents of a session.
//!
//! A piece is of use only when it is whole. If each of many torrents held a part of its piece and waited for the rest, all
//! would wait for ever. So a piece is begun only when all its blocks are promised at once ([`Promise`]), and who finds too little
//! waits in line, holding nothing for it: the most urgent first, among equals who waits longest. Nobody behind takes what the
//! first in line waits for. Whoever gives blocks back calls the first in line as soon as there are enough for it; nobody asks
//! again and again.
//!
//! Unless the first waits in vain: see `overtaking`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use super::overtaking::Overtaking;
use super::pool::{Pool, Reservation};

/// A place in line; the smallest is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// 0 is the most urgent.
    pub urgency: u8,
    /// Since when it waits, in microseconds of the session's clock.
    pub since: u64,
}

/// The first in line lacks something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    pub urgency: u8,
    /// It was the first for long, and others pass it.
    pub in_vain: bool,
}

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Turns {
    line: BTreeMap<(Rank, u64), Waiter>,
    members: u64,
    /// On whose behalf the others were asked last.
    asked_for: Option<(Rank, u64)>,
    overtaking: Overtaking,
}

#[derive(Debug)]
struct Waiter {
    blocks: u64,
    waker: Waker,
    /// It was called and has not come yet.
    called: bool,
}

impl Turns {
    /// The first whom others may not pass.
    fn first_not_passed(&self) -> Option<(Rank, u64, u64)> {
        let stands = |(rank, _, blocks): &(Rank, u64, u64)| !self.overtaking.passes(rank.urgency, *blocks);
        self.places().find(stands)
    }

    /// The same; where all are passed, the first of them.
    fn first(&self) -> Option<(Rank, u64, u64)> {
        self.first_not_passed().or_else(|| self.places().next())
    }

    fn places(&self) -> impl Iterator<Item = (Rank, u64, u64)> {
        self.line.iter().map(|((rank, id), waiter)| (*rank, *id, waiter.blocks))
    }

    /// Does somebody else wait who comes before that one, and is not passed by him?
    fn is_before(&self, rank: Rank, id: u64, blocks: u64) -> bool {
        let passed = |rank: &Rank, blocks| self.overtaking.passes(rank.urgency, blocks);
        let may_pass = !passed(&rank, blocks);
        let mut before = self.line.range(..(rank, id)).filter(|((_, other), _)| *other != id);
        before.any(|((rank, _), waiter)| waiter.called || !(may_pass && passed(rank, waiter.blocks)))
    }

    /// The next to be called: the first, or one who may pass all before him.
    fn next(&mut self, available: u64) -> Option<&mut Waiter> {
        let mut passed_one = false;
        for ((rank, _), waiter) in &mut self.line {
            let passed = self.overtaking.passes(rank.urgency, waiter.blocks);
            if waiter.called {
                return None;
            }
            if waiter.blocks <= available && !(passed && passed_one) {
                return Some(waiter);
            }
            if !passed {
                return None;
            }
            passed_one = true;
        }
        None
    }
}

impl Pool {
    /// Somebody who takes memory piece by piece.
    pub fn join(self: &Arc<Self>) -> Member {
        let mut turns = self.turns.lock();
        turns.members += 1;
        Member { pool: self.clone(), id: turns.members, place: None, stood: false, waker: Waker::noop().clone() }
    }

    /// Who is the first in line lacks something, and the others were not asked for it yet. It is said once for each who comes to be
    /// the first: who rests does not see by himself that somebody waits.
    pub fn lacks_unasked(&self) -> bool {
        if !self.anybody_waits() {
            return false;
        }
        let mut turns = self.turns.lock();
        let first = turns.first().filter(|(.., blocks)| *blocks > self.available()).map(|(rank, id, _)| (rank, id));
        if first.is_none() || turns.asked_for == first {
            return false;
        }
        turns.asked_for = first;
        true
    }

    /// Now and then, at such a time of the session's clock: is the first in line served?
    pub fn review_line(&self, now: u64) {
        if !self.anybody_waits() {
            return;
        }
        let mut turns = self.turns.lock();
        turns.overtaking.ends(now);
        if let Some((rank, id, blocks)) = turns.first_not_passed() {
            turns.overtaking.is_first(now, now.max(rank.since), rank.urgency, id, blocks);
        }
        drop(turns);
        self.call_next();
    }

    /// Calls the first in line if there is enough for it. Who asks for more than there will ever be is called, too, and waits no more.
    pub(super) fn call_next(&self) {
        let mut called = Vec::new();
        let mut turns = self.turns.lock();
        while let Some(first) = turns.line.first_entry().filter(|e| e.get().blocks > self.limit()) {
            called.push(first.remove().waker);
        }
        if let Some(next) = turns.next(self.available()) {
            next.called = true;
            called.push(next.waker.clone());
        }
        self.set_anybody_waits(!turns.line.is_empty());
        drop(turns);
        called.iter().for_each(Waker::wake_by_ref);
    }
}

/// One who takes memory piece by piece; it leaves the line when it is dropped.
#[derive(Debug)]
pub struct Member {
    pool: Arc<Pool>,
    id: u64,
    place: Option<Rank>,
    /// It stood in line since it was served last.
    stood: bool,
    waker: Waker,
}

impl Member {
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
        if self.pool.take(0, blocks, false).is_none() {
            let turns = self.pool.turns.lock();
            if turns.is_before(rank, self.id, blocks) {
                return None;
            }
            self.pool.take(0, blocks, true)?;
        }
        if std::mem::take(&mut self.stood) {
            self.pool.turns.lock().overtaking.served(self.id, blocks);
        }
        Some(Promise { pool: self.pool.clone(), blocks })
    }

    /// Waits in line for so many blocks; of several things the most urgent. Nobody waits for more than there will ever be.
    pub fn wait(&mut self, rank: Rank, blocks: u64) {
        if blocks > self.pool.limit() || self.place.is_some_and(|place| place <= rank) {
            return;
        }
        {
            let mut turns = self.pool.turns.lock();
            if let Some(place) = self.place.take() {
                turns.line.remove(&(place, self.id));
            }
            turns.line.insert((rank, self.id), Waiter { blocks, waker: self.waker.clone(), called: false });
            (self.place, self.stood) = (Some(rank), true);
            // What comes free from here on is seen by whoever frees it, what came free before is seen below.
            self.pool.set_anybody_waits(true);
        }
        self.pool.call_next();
    }

    /// Waits no more.
    pub fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.pool.turns.lock().line.remove(&(place, self.id));
            self.pool.call_next();
        }
    }

    /// Is another one the first in line, and lacks something?
    pub fn others_lack(&self) -> Option<Lack> {
        if !self.pool.anybody_waits() {
            return None;
        }
        let turns = self.pool.turns.lock();
        let (rank, _, blocks) = turns.first().filter(|(_, id, _)| *id != self.id)?;
        let in_vain = turns.overtaking.passes(rank.urgency, blocks);
        (blocks > self.pool.available()).then_some(Lack { urgency: rank.urgency, in_vain })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Blocks set aside for one piece.
#[derive(Debug)]
pub struct Promise {
    pool: Arc<Pool>,
    blocks: u64,
}

impl Promise {
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Charges one of them.
    pub fn redeem(&mut self) -> Option<Reservation> {
        let reservation = (self.blocks > 0).then(|| self.pool.redeem()).flatten()?;
        self.blocks -= 1;
        Some(reservation)
    }

    /// Takes a charge back in.
    pub fn take_in(&mut self, reservation: Reservation) {
        self.pool.promise_again(reservation);
        self.blocks += 1;
    }

    /// Has `blocks` in it again, as far as there is memory that nobody else was promised.
    pub fn top_up(&mut self, blocks: u64) {
        while self.blocks < blocks && self.pool.take(0, 1, true).is_some() {
            self.blocks += 1;
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if self.blocks > 0 {
            self.pool.take_back_promise(self.blocks);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::super::pool::BLOCK_SIZE;
    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn member(pool: &Arc<Pool>) -> (Member, Arc<Bell>) {
        let bell = Arc::new(Bell::default());
        let mut member = pool.join();
        member.set_waker(bell.clone().into());
        (member, bell)
    }

    fn rung(bell: &Bell) -> usize {
        bell.0.load(Ordering::Acquire)
    }

    fn pool(blocks: u64) -> Arc<Pool> {
        Pool::new(blocks * u64::from(BLOCK_SIZE))
    }

    const URGENT: Rank = Rank { urgency: 0, since: 5 };
    const LATER: Rank = Rank { urgency: 0, since: 9 };

    #[test]
    fn a_promise_is_whole_or_not_at_all_and_pays_for_its_blocks() {
        let pool = pool(10);
        let (mut a, _) = member(&pool);
        let (mut b, _) = member(&pool);
        let mut promise = a.promise(URGENT, 6).expect("room");
        assert!(b.promise(URGENT, 5).is_none());
        assert_eq!((pool.charged(), pool.promised(), pool.available()), (0, 6, 4));
        let charges: Vec<_> = (0..6).map_while(|_| promise.redeem()).collect();
        assert_eq!((charges.len(), pool.charged(), pool.promised()), (6, 6, 0));
        assert!(promise.redeem().is_none());
        charges.into_iter().take(2).for_each(|charge| promise.take_in(charge));
        assert_eq!((pool.charged(), pool.promised()), (0, 2), "the other charges were dropped");
        promise.top_up(20);
        assert_eq!(promise.blocks(), 10);
        drop(promise);
        assert_eq!((pool.available(), pool.promised()), (10, 0));
    }

    #[test]
    fn the_first_in_line_is_called_when_there_is_enough_and_nobody_passes_it() {
        let pool = pool(10);
        let ((mut holder, _), (mut late, late_bell), (mut early, bell)) = (member(&pool), member(&pool), member(&pool));
        let mut held: Vec<_> = (0..10).map(|_| holder.promise(URGENT, 1).expect("room")).collect();
        late.wait(LATER, 2);
        early.wait(URGENT, 4);
        held.truncate(7);
        assert_eq!((rung(&bell), rung(&late_bell)), (0, 0), "three are not four");
        assert!(late.promise(LATER, 2).is_none() && holder.promise(LATER, 1).is_none(), "not past the first");
        assert_eq!((holder.others_lack(), early.others_lack()), (Some(Lack { urgency: 0, in_vain: false }), None));
        held.truncate(5);
        assert_eq!((rung(&bell), rung(&late_bell)), (1, 0), "called once");
        let _piece = early.promise(URGENT, 4).expect("its turn");
        early.leave();
        assert_eq!(rung(&late_bell), 0, "one block is not two");
        held.truncate(4);
        assert_eq!(rung(&late_bell), 1);
        drop(late);
        assert!(!pool.anybody_waits());
    }

    #[test]
    fn the_others_are_asked_once_for_each_who_comes_to_be_first() {
        let pool = pool(4);
        let ((mut holder, _), (mut a, _), (mut b, _)) = (member(&pool), member(&pool), member(&pool));
        let mut held: Vec<_> = (0..4).map(|_| holder.promise(URGENT, 1).expect("room")).collect();
        assert!(!pool.lacks_unasked());
        a.wait(URGENT, 2);
        b.wait(LATER, 2);
        assert!(pool.lacks_unasked() && !pool.lacks_unasked());
        a.leave();
        a.wait(URGENT, 2);
        assert!(!pool.lacks_unasked(), "it came back to the same place");
        held.truncate(2);
        let _piece = a.promise(URGENT, 2).expect("its turn");
        a.leave();
        assert!(pool.lacks_unasked(), "for the next one");
        held.clear();
        assert!(!pool.lacks_unasked());
    }

    #[test]
    fn who_waits_in_vain_is_passed_by_those_who_need_less_and_comes_first_all_the_same() {
        const SECOND: u64 = 1_000_000;
        let pool = pool(10);
        let ((mut holder, _), (mut large, bell), (mut small, small_bell)) =
            (member(&pool), member(&pool), member(&pool));
        let ((mut other, _), (mut as_large, _)) = (member(&pool), member(&pool));
        let held = holder.promise(URGENT, 1).expect("room");
        large.wait(URGENT, 10);
        small.wait(LATER, 4);
        (0..=13).for_each(|second| pool.review_line(second * SECOND));
        assert_eq!((rung(&bell), rung(&small_bell)), (0, 1));
        assert_eq!(holder.others_lack(), None, "who passes has enough");
        let promise = small.promise(LATER, 4).expect("it passes");
        small.leave();
        assert_eq!(holder.others_lack(), Some(Lack { urgency: 0, in_vain: true }));
        assert!(as_large.promise(LATER, 10).is_none() && other.promise(LATER, 5).is_some());
        drop((promise, held));
        assert_eq!(rung(&bell), 1, "there is enough for it before its time has come");
        other.wait(LATER, 5);
        assert!(other.promise(LATER, 5).is_none(), "not past one who is called");
        assert!(large.promise(URGENT, 10).is_some());
    }

    #[test]
    fn who_asks_for_more_than_there_will_be_stops_nobody() {
        let pool = pool(8);
        let ((mut large, bell), (mut small, small_bell)) = (member(&pool), member(&pool));
        large.wait(URGENT, 9);
        assert!(!large.is_waiting());
        let held = small.promise(URGENT, 8).expect("room");
        large.wait(URGENT, 8);
        small.wait(LATER, 1);
        pool.set_limit(4 * u64::from(BLOCK_SIZE));
        assert_eq!(rung(&bell), 1);
        drop(held);
        assert_eq!(rung(&small_bell), 1);
    }

    #[test]
    fn a_lowered_limit_is_not_passed_by_what_was_promised() {
        let pool = pool(8);
        let (mut a, _) = member(&pool);
        let mut promise = a.promise(URGENT, 8).expect("room");
        let first: Vec<_> = (0..3).map_while(|_| promise.redeem()).collect();
        pool.set_limit(3 * u64::from(BLOCK_SIZE));
        assert!(pool.is_overdrawn() && promise.redeem().is_none());
        drop((first, promise));
        assert_eq!((pool.charged(), pool.promised(), pool.available()), (0, 0, 3));
    }
}
