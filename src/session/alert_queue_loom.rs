//! The queue under loom: every interleaving of a few threads.
//!
//! `cargo test --lib --features loom loom_` (a feature, since tokio builds without sockets under `--cfg loom`)

use loom::sync::Arc;
use loom::thread;

use super::*;

const NONE: StorageIndex = StorageIndex::INVALID;
const RECORD: usize = 48;

fn piece(piece: u32) -> Alert {
    Alert::PieceFinished { piece }
}

/// Waits and pops until `count` records came; their sequence numbers.
fn take(queue: &AlertQueue, count: usize) -> Vec<u64> {
    let mut sequence = Vec::new();
    while sequence.len() < count {
        assert!(queue.wait(None), "woken for nothing");
        let mut buf = [0; RECORD];
        let popped = queue.pop(&mut buf);
        assert_eq!(popped.bytes, RECORD);
        sequence.push(u64::from_ne_bytes(std::array::from_fn(|i| buf[16 + i])));
    }
    sequence
}

#[test]
fn loom_every_alert_arrives_in_order() {
    loom::model(|| {
        let queue = Arc::new(AlertQueue::new(10, u64::MAX));
        let posters: Vec<_> = (0..2)
            .map(|i| {
                let queue = queue.clone();
                thread::spawn(move || queue.post_at(0, NONE, &piece(i)))
            })
            .collect();
        assert_eq!(take(&queue, 2), [1, 2]);
        posters.into_iter().for_each(|p| p.join().expect("no panic"));
        assert!(queue.is_empty());
    });
}

#[test]
fn loom_close_wakes_every_waiter() {
    loom::model(|| {
        let queue = Arc::new(AlertQueue::new(10, u64::MAX));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || queue.wait(None))
            })
            .collect();
        queue.close();
        for waiter in waiters {
            assert!(!waiter.join().expect("no panic"));
        }
    });
}

#[test]
fn loom_drops_are_told_whoever_races() {
    loom::model(|| {
        let queue = Arc::new(AlertQueue::new(1, u64::MAX));
        let poster = {
            let queue = queue.clone();
            thread::spawn(move || (0..2).for_each(|i| queue.post_at(0, NONE, &piece(i))))
        };
        let mut buf = [0; 256];
        let mut count = queue.pop(&mut buf).count;
        poster.join().expect("no panic");
        count += queue.pop(&mut buf).count;
        let (posted, dropped) = queue.totals();
        assert_eq!(posted + dropped, 2);
        assert_eq!(count as u64, posted + u64::from(dropped > 0));
    });
}

/// The model can fail: a post that forgets to wake is found out.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_a_lost_wake_up() {
    loom::model(|| {
        let queue = Arc::new(AlertQueue::new(10, u64::MAX));
        let poster = {
            let queue = queue.clone();
            thread::spawn(move || {
                let mut state = queue.lock();
                pack(&mut state.back, Stamp { sequence: 1, timestamp_us: 0, torrent: 0 }, &piece(0));
                state.len += 1;
            })
        };
        assert_eq!(take(&queue, 1), [1]);
        poster.join().expect("no panic");
    });
}
