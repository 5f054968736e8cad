//! The order in which memory is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::pool::{BLOCK_SIZE, Pool};
use super::queue::{HeadNeed, QueueMember, Rank, WaiterState};

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

fn member(pool: &Arc<Pool>) -> (QueueMember, Arc<Bell>) {
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
const NOTHING: WaiterState = WaiterState::Nothing;
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
    late.wait(LATER, 2, NOTHING);
    early.wait(URGENT, 4, NOTHING);
    held.truncate(7);
    assert_eq!((rung(&bell), rung(&late_bell)), (0, 0), "three are not four");
    assert!(late.promise(LATER, 2).is_none() && holder.promise(LATER, 1).is_none(), "not past the first");
    assert_eq!(
        (holder.others_lack(), early.others_lack()),
        (Some(HeadNeed { urgency: 0, is_overtaken: false, can_wait: false }), None)
    );
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
    a.wait(URGENT, 2, NOTHING);
    b.wait(LATER, 2, NOTHING);
    assert!(pool.lacks_unasked() && !pool.lacks_unasked());
    a.leave();
    a.wait(URGENT, 2, NOTHING);
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
    let ((mut holder, _), (mut large, bell), (mut small, small_bell)) = (member(&pool), member(&pool), member(&pool));
    let ((mut other, _), (mut as_large, _)) = (member(&pool), member(&pool));
    let held = holder.promise(URGENT, 1).expect("room");
    large.wait(URGENT, 10, NOTHING);
    small.wait(LATER, 4, NOTHING);
    (0..=13).for_each(|second| pool.review_line(second * SECOND));
    assert_eq!((rung(&bell), rung(&small_bell)), (0, 1));
    assert_eq!(holder.others_lack(), None, "who passes has enough");
    let promise = small.promise(LATER, 4).expect("it passes");
    small.leave();
    assert_eq!(holder.others_lack(), Some(HeadNeed { urgency: 0, is_overtaken: true, can_wait: false }));
    assert!(as_large.promise(LATER, 10).is_none() && other.promise(LATER, 5).is_some());
    drop((promise, held));
    assert_eq!(rung(&bell), 1, "there is enough for it before its time has come");
    other.wait(LATER, 5, NOTHING);
    assert!(other.promise(LATER, 5).is_none(), "not past one who is called");
    assert!(large.promise(URGENT, 10).is_some());
}

#[test]
fn after_half_of_memory_those_who_need_less_have_their_turn_before_the_next() {
    const SECOND: u64 = 1_000_000;
    let pool = pool(10);
    let ((mut holder, _), (mut large, bell), (mut small, small_bell)) = (member(&pool), member(&pool), member(&pool));
    let (mut lesser, lesser_bell) = member(&pool);
    let held = holder.promise(URGENT, 8).expect("room");
    large.wait(URGENT, 5, NOTHING);
    small.wait(LATER, 4, NOTHING);
    (0..5).for_each(|second| pool.review_line(second * SECOND));
    drop(held);
    holder.holds(0);
    assert_eq!((rung(&bell), rung(&small_bell)), (0, 1), "all is free");
    assert!(large.promise(URGENT, 5).is_none() && small.promise(LATER, 4).is_some());
    small.leave();
    assert_eq!(rung(&bell), 1, "nobody waits who needs less");
    large.leave();
    let rest = small.promise(LATER, 6).expect("room");
    large.wait(URGENT, 5, NOTHING);
    lesser.wait(Rank { urgency: 1, since: 0 }, 2, NOTHING);
    assert_eq!(rung(&lesser_bell), 0, "it is less urgent");
    assert_eq!(lesser.others_lack(), Some(HeadNeed { urgency: 0, is_overtaken: true, can_wait: false }));
    pool.review_line(30 * SECOND);
    small.holds(0);
    drop(rest);
    assert!(large.promise(URGENT, 5).is_some());
}

#[test]
fn who_asks_for_more_than_there_will_be_stops_nobody() {
    let pool = pool(8);
    let ((mut large, bell), (mut small, small_bell)) = (member(&pool), member(&pool));
    large.wait(URGENT, 9, NOTHING);
    assert!(!large.is_waiting());
    let held = small.promise(URGENT, 8).expect("room");
    large.wait(URGENT, 8, NOTHING);
    small.wait(LATER, 1, NOTHING);
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
