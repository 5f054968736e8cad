//! Tests of the storage map.

use sha1::{Digest, Sha1};

use super::*;
use crate::memory::pool::{BLOCK_SIZE, Pool};

fn block(pool: &std::sync::Arc<Pool>, byte: u8) -> Block {
    let mut b = pool.reserve().expect("room").into_block(BLOCK_SIZE);
    b.as_mut_slice().fill(byte);
    b.freeze()
}

#[test]
fn fills_out_of_order_and_hashes_in_order() {
    let pool = Pool::new(1 << 20);
    let mut store = Store::new(4);
    store.open(Time::ZERO, 2, 3, None);
    let peer = PeerKey(7);
    for i in 0..3 {
        assert_eq!(store.free_block(2, 0, u32::MAX, 0), Some(i));
        store.mark_asked(Time::ZERO, 2, i, peer, Time::ZERO, Time::ZERO);
    }
    assert_eq!(store.free_block(2, 0, u32::MAX, 0), None);
    assert!(matches!(store.receive(Time::ZERO, 2, 2, block(&pool, 2), peer), Arrival::Stored { .. }));
    assert!(store.hash_job(2, u32::MAX).is_none(), "block 0 is missing");
    store.receive(Time::ZERO, 2, 0, block(&pool, 0), peer);
    let mut job = store.hash_job(2, u32::MAX).expect("block 0 can be hashed");
    assert!(!store.can_be_hashed_whole(2));
    store.receive(Time::ZERO, 2, 1, block(&pool, 1), peer);
    assert!(store.hash_job(2, u32::MAX).is_none(), "one job at a time");
    job.run();
    assert_eq!(store.hash_done(job), Hashed::Pending);
    let mut job = store.hash_job(2, u32::MAX).expect("blocks 1 and 2");
    job.run();
    let mut expect = Sha1::new();
    for byte in 0..3u8 {
        expect.update(vec![byte; BLOCK_SIZE as usize]);
    }
    assert_eq!(store.hash_done(job), Hashed::Digest(expect.finalize().into()));
    assert_eq!(store.partial_blocks(), 3);
    store.keep(2);
    assert_eq!((store.kept_blocks(), store.partial_blocks(), store.kept_pieces()), (3, 0, 1));
    assert_eq!(store.slot(2).map(PieceState::senders), Some(vec![peer]));
    store.remove(2);
    assert_eq!((store.blocks(), pool.charged()), (0, 0));
    assert!(store.present().is_empty());
}

#[test]
fn duplicates_name_the_others_and_unmarked_slots_close() {
    let pool = Pool::new(1 << 20);
    let mut store = Store::new(2);
    store.open(Time::ZERO, 0, 2, None);
    let (a, b) = (PeerKey(1), PeerKey(2));
    let ms = Time::from_millis;
    let eta = |at| Eta { at, is_known: true };
    store.mark_asked(Time::ZERO, 0, 0, a, ms(1000), ms(1100));
    assert_eq!(store.slow_block(0, ms(0), b, eta(ms(600)), Time::ZERO), None, "hardly sooner");
    assert_eq!(store.slow_block(0, ms(0), b, eta(ms(300)), Time::ZERO), Some(0));
    assert_eq!(store.slow_block(0, ms(0), b, eta(ms(300)), ms(1500)), None, "soon enough");
    assert_eq!(store.slow_block(0, ms(0), a, eta(ms(300)), Time::ZERO), None, "never twice of one peer");
    assert_eq!((store.single_block(0, a), store.single_block(0, b)), (None, Some(0)));
    assert!(store.is_due(0, 0, ms(1100)) && !store.is_due(0, 0, ms(1000)));
    store.mark_asked(Time::ZERO, 0, 0, b, ms(1200), ms(1300));
    assert!(store.is_due(0, 0, ms(1100)), "the first one is in time");
    store.mark_asked(ms(1200), 0, 0, PeerKey(3), ms(3000), ms(3100));
    assert!(store.is_due(0, 0, ms(3100)), "those before are late");
    let fourth = PeerKey(4);
    assert_eq!(
        store.slow_block(0, ms(1200), fourth, eta(ms(1600)), Time::ZERO),
        None,
        "three are enough, unless it is far quicker"
    );
    assert_eq!(store.slow_block(0, ms(1200), fourth, eta(ms(1400)), Time::ZERO), Some(0));
    let Arrival::Stored { others } = store.receive(Time::ZERO, 0, 0, block(&pool, 1), b) else { panic!("stored") };
    assert_eq!(others, [a, PeerKey(3)]);
    assert_eq!(store.receive(Time::ZERO, 0, 0, block(&pool, 1), a), Arrival::Redundant);
    store.open(Time::ZERO, 1, 2, None);
    store.mark_asked(Time::ZERO, 1, 1, a, Time::from_micros(9), Time::from_micros(9));
    store.unmark_asked(1, 1, a);
    assert!(store.slot(1).is_none());
    assert_eq!(store.present(), [0]);
}

#[test]
fn open_pieces_are_those_with_blocks_to_ask_for() {
    let pool = Pool::new(1 << 20);
    let mut store = Store::new(3);
    let peer = PeerKey(1);
    let open = |store: &Store| (store.open_pieces().collect::<Vec<_>>(), store.free_blocks());
    store.open(Time::ZERO, 1, 2, None);
    store.open(Time::ZERO, 0, 3, None);
    assert_eq!(open(&store), (vec![0, 1], 5));
    assert_eq!(store.free_block(0, 0, u32::MAX, 2), Some(2), "two are left to others");
    assert_eq!(store.free_block(0, 0, u32::MAX, 3), None);
    store.mark_asked(Time::ZERO, 1, 0, peer, Time::ZERO, Time::ZERO);
    store.mark_asked(Time::ZERO, 1, 1, peer, Time::ZERO, Time::ZERO);
    assert_eq!(open(&store), (vec![0], 3));
    store.receive(Time::ZERO, 1, 0, block(&pool, 0), peer);
    store.discard(1, |_| true);
    assert_eq!(open(&store), (vec![0, 1], 4));
    store.unmark_asked(1, 1, peer);
    assert_eq!(open(&store), (vec![0], 3), "nothing is left of it");
    store.receive(Time::ZERO, 0, 0, block(&pool, 0), peer);
    store.remove(0);
    assert_eq!(open(&store), (vec![], 0));
    assert_eq!(store.take_begun_or_gone(), [1, 0, 1, 0]);
}

#[test]
fn a_banned_peers_blocks_leave_and_the_hash_starts_again() {
    let pool = Pool::new(1 << 20);
    let mut store = Store::new(2);
    let (good, bad) = (PeerKey(1), PeerKey(2));
    store.open(Time::ZERO, 0, 2, None);
    store.receive(Time::ZERO, 0, 0, block(&pool, 9), bad);
    let mut stale = store.hash_job(0, u32::MAX).expect("a job");
    store.receive(Time::ZERO, 0, 1, block(&pool, 1), good);
    assert_eq!(store.discard_from(bad), [0]);
    stale.run();
    assert_eq!(store.hash_done(stale), Hashed::Pending);
    assert_eq!(store.free_block(0, 0, u32::MAX, 0), Some(0));
    store.receive(Time::ZERO, 0, 0, block(&pool, 0), good);
    let mut job = store.hash_job(0, u32::MAX).expect("all of it");
    job.run();
    assert!(matches!(store.hash_done(job), Hashed::Digest(_)));
}

#[test]
fn stale_hash_jobs_do_not_touch_a_new_slot() {
    let pool = Pool::new(1 << 20);
    let mut store = Store::new(1);
    store.open(Time::ZERO, 0, 1, None);
    store.receive(Time::ZERO, 0, 0, block(&pool, 1), PeerKey(1));
    let mut job = store.hash_job(0, u32::MAX).expect("a job");
    job.run();
    store.remove(0);
    store.open(Time::ZERO, 0, 1, None);
    assert_eq!(store.hash_done(job), Hashed::Pending);
}

#[test]
fn what_is_let_go_after_its_hash_is_passed_and_the_hash_goes_on() {
    let pool = Pool::new(1 << 20);
    let mut store = Store::new(1);
    let peer = PeerKey(7);
    store.open(Time::ZERO, 0, 3, None);
    store.receive(Time::ZERO, 0, 0, block(&pool, 0), peer);
    let mut job = store.hash_job(0, u32::MAX).expect("block 0");
    job.run();
    assert_eq!(store.hash_done(job), Hashed::Pending);
    store.receive(Time::ZERO, 0, 2, block(&pool, 2), peer);
    store.let_go(0, 0);
    assert_eq!((store.passed_blocks(), store.free_blocks(), store.blocks(), pool.charged()), (1, 1, 1, 1));
    assert_eq!(store.free_block(0, 0, u32::MAX, 0), Some(1), "a passed block is not asked for");
    store.receive(Time::ZERO, 0, 1, block(&pool, 1), PeerKey(8));
    let mut job = store.hash_job(0, u32::MAX).expect("blocks 1 and 2");
    job.run();
    let mut expect = Sha1::new();
    for byte in 0..3u8 {
        expect.update(vec![byte; BLOCK_SIZE as usize]);
    }
    assert_eq!(store.hash_done(job), Hashed::Digest(expect.finalize().into()));
    assert_eq!(store.slot(0).map(PieceState::senders), Some(vec![peer, PeerKey(8)]));
    store.rewind(0);
    assert_eq!((store.passed_blocks(), store.free_blocks()), (0, 1));
    store.let_go(0, 1);
    assert_eq!((store.passed_blocks(), store.free_blocks()), (0, 2), "it was not hashed again yet");
    store.let_go(0, 2);
    assert!(store.slot(0).is_none() && pool.charged() == 0);
}

#[test]
fn a_piece_is_broken_up() {
    let pool = Pool::new(1 << 20);
    let mut store = Store::new(1);
    store.open(Time::ZERO, 0, 2, None);
    (0..2).for_each(|i| drop(store.receive(Time::ZERO, 0, i, block(&pool, 0), PeerKey(7))));
    let mut job = store.hash_job(0, u32::MAX).expect("both");
    job.run();
    assert!(matches!(store.hash_done(job), Hashed::Digest(_)));
    store.keep(0);
    store.break_up(0);
    assert_eq!((store.kept_blocks(), store.partial_blocks(), store.kept_pieces()), (0, 2, 0));
    store.let_go(0, 0);
    assert!(store.block(0, 1, false).is_none() && store.block(0, 1, true).is_some());
    assert_eq!((store.passed_blocks(), store.free_blocks(), pool.charged()), (1, 0, 1));
}
