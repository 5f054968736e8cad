//! Tests of lending: what is promised and stands idle, those who borrow it, and those who call it in.

use std::sync::Arc;

use super::idle::Recall;
use super::pool::{BLOCK_SIZE, Pool};
use super::promise::Promise;
use super::queue::{QueueMember, Rank};

const SECOND: u64 = 1_000_000;
const RANK: Rank = Rank { urgency: 1, since: 0 };

/// A pool of ten blocks, of which eight were promised for seconds; who has them, and somebody else.
fn idle_pool() -> (Arc<Pool>, QueueMember, Promise, QueueMember) {
    let pool = Pool::new(10 * u64::from(BLOCK_SIZE));
    let (mut slow, other) = (pool.join(), pool.join());
    let promise = slow.promise(RANK, 8).expect("room");
    (0..3).for_each(|second| pool.review_line(second * SECOND));
    (pool, slow, promise, other)
}

fn counts(pool: &Pool) -> [u64; 4] {
    [pool.charged(), pool.promised(), pool.owed(), pool.available()]
}

#[test]
fn what_is_lent_is_paid_back_before_anything_else_is_had() {
    let (pool, mut slow, mut promise, mut other) = idle_pool();
    assert!(other.borrow(9, 0).is_none() && other.borrow(6, 3).is_none());
    let mut borrowed = other.borrow(6, 2).expect("it stands idle");
    assert_eq!(counts(&pool), [6, 8, 6, 2]);
    assert!(other.borrow(3, 0).is_none(), "two are left");
    let mut held: Vec<_> = (0..6).map_while(|_| borrowed.redeem()).collect();
    assert!(borrowed.redeem().is_none());
    let own: Vec<_> = (0..8).map_while(|_| promise.redeem()).collect();
    assert_eq!((own.len(), counts(&pool)), (4, [10, 4, 4, 0]), "two that were not lent, two that nobody had");

    assert_eq!(pool.called_in(), None);
    slow.call_in(Recall::ForSpare);
    slow.call_in(Recall::ForAll);
    assert_eq!((pool.called_in(), pool.lacks_unasked(), pool.lacks_unasked()), (Some(Recall::ForAll), true, false));
    borrowed.take_in(held.pop().expect("one of six"));
    drop(borrowed);
    assert_eq!((counts(&pool), pool.called_in()), ([9, 4, 3, 0], None));
    assert!(
        promise.redeem().is_some() && promise.redeem().is_some(),
        "one that was paid back, and what came free of it"
    );
    drop((own, held));
    assert_eq!(counts(&pool), [0, 2, 0, 8]);
    drop(promise);
    assert!(!pool.anybody_waits());
    assert_eq!(counts(&pool), [0, 0, 0, 10]);
}

#[test]
fn what_is_promised_no_more_stays_with_those_who_borrowed_it() {
    let (pool, _slow, promise, mut other) = idle_pool();
    let borrowed = other.borrow(6, 0).expect("it stands idle");
    drop(promise);
    assert_eq!(counts(&pool), [6, 0, 0, 4]);
    drop(borrowed);
    assert_eq!(counts(&pool), [0, 0, 0, 10]);
}

#[test]
fn under_a_lowered_limit_nothing_is_lent() {
    let (pool, slow, mut promise, mut other) = idle_pool();
    pool.set_limit(4 * u64::from(BLOCK_SIZE));
    assert!(other.borrow(5, 0).is_none() && other.borrow(4, 0).is_some());
    let _held: Vec<_> = (0..4).map_while(|_| promise.redeem()).collect();
    assert!(promise.redeem().is_none() && other.borrow(1, 0).is_none());
    assert_eq!((pool.charged(), pool.owed()), (4, 0));
    drop(slow);
}

/// Some promise and redeem, others borrow, and all of them drop what they have, at once: nothing is lost and the limit holds.
#[test]
fn the_books_balance_whoever_lends_and_pays_back_at_once() {
    let pool = Pool::new(64 * u64::from(BLOCK_SIZE));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let pool = &pool;
            scope.spawn(move || {
                let mut member = pool.join();
                for n in 0..50_000u64 {
                    let blocks = 1 + (n * 7 + thread * 13) % 24;
                    let promise = if thread % 2 == 0 { member.promise(RANK, blocks) } else { None };
                    member.stands_idle(64);
                    let Some(mut promise) = promise.or_else(|| member.borrow(blocks, 0)) else { continue };
                    let mut held: Vec<_> = (0..blocks).map_while(|_| promise.redeem()).collect();
                    held.pop().into_iter().for_each(|charge| promise.take_in(charge));
                    assert!(pool.charged() <= 64);
                    drop(held);
                }
            });
        }
    });
    assert_eq!((counts(&pool), pool.peak() <= 64), ([0, 0, 0, 64], true));
}
