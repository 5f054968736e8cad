use std::sync::Arc;
use std::thread;

use proptest::prelude::*;
use zerocopy::FromBytes;

use super::*;
use crate::alert::category;
use crate::alert::record::{et_alert, et_dropped_count};
use crate::alert::records::et_alerts_dropped_alert;
use crate::metainfo::info_hash::InfoHashes;

const NONE: StorageIndex = StorageIndex::INVALID;
const ALL: u64 = u64::MAX;

fn piece(piece: u32) -> Alert {
    Alert::PieceFinished { piece }
}

fn removed() -> Alert {
    Alert::TorrentRemoved { info_hashes: InfoHashes::default() }
}

fn walk(mut bytes: &[u8]) -> Vec<(et_alert, &[u8])> {
    let mut records = Vec::new();
    while let Ok((base, _)) = et_alert::read_from_prefix(bytes) {
        let (record, rest) = bytes.split_at(base.size as usize);
        records.push((base, record));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    records
}

/// Everything there is, in one pop.
fn drain(queue: &AlertQueue) -> Vec<(u32, u64)> {
    let mut buf = vec![0; 1 << 20];
    let popped = queue.pop(&mut buf);
    assert_eq!((popped.remaining, popped.needed), (0, 0));
    let records = walk(&buf[..popped.bytes]);
    assert_eq!(records.len(), popped.count);
    records.iter().map(|(base, _)| (base.r#type, base.sequence)).collect()
}

#[test]
fn whole_records_in_order() {
    let queue = AlertQueue::new(100, ALL);
    for i in 0..5 {
        queue.post_at(1000 + i, StorageIndex(9), &piece(u32::try_from(i).expect("small")));
    }
    let mut buf = [0; 48 * 2 + 47];
    let first = queue.pop(&mut buf);
    assert_eq!(first, PopResult { bytes: 96, count: 2, remaining: 3, needed: 48 });
    let records = walk(&buf[..first.bytes]);
    assert_eq!((records[1].0.timestamp_us, records[1].0.sequence, records[1].0.torrent), (1001, 2, 9));
    queue.post_at(1005, NONE, &piece(5));
    let sequence: Vec<_> = drain(&queue).iter().map(|r| r.1).collect();
    assert_eq!(sequence, [3, 4, 5, 6]);
}

#[test]
fn too_small_a_buffer_takes_nothing() {
    let queue = AlertQueue::new(100, ALL);
    queue.post(NONE, &piece(1));
    for size in [0, 8, 47] {
        let popped = queue.pop(&mut vec![0; size]);
        assert_eq!(popped, PopResult { bytes: 0, count: 0, remaining: 1, needed: 48 });
    }
    assert_eq!(drain(&queue).len(), 1);
    assert_eq!(queue.pop(&mut []), PopResult::default());
}

#[test]
fn mask_lets_in_what_it_names_and_answers_to_calls() {
    let queue = AlertQueue::new(100, category::STATUS);
    queue.post(NONE, &piece(1));
    queue.post(NONE, &Alert::TorrentFinished);
    queue.set_mask(0);
    queue.post(NONE, &Alert::TorrentFinished);
    queue.post(NONE, &removed());
    assert_eq!(drain(&queue), [(26, 1), (4, 2)]);
    assert!(!queue.wants(category::STATUS));
}

#[test]
fn urgent_alerts_get_in_where_others_do_not() {
    let queue = AlertQueue::new(10, ALL);
    for i in 0..20 {
        queue.post(NONE, &piece(i));
    }
    for _ in 0..20 {
        queue.post(NONE, &Alert::TorrentFinished);
    }
    for _ in 0..20 {
        queue.post(NONE, &removed());
    }
    assert_eq!((queue.len(), queue.totals()), (30, (30, 30)));
    let kinds = drain(&queue);
    let of = |id| kinds.iter().filter(|k| k.0 == id).count();
    assert_eq!((of(27), of(26), of(4), of(95)), (10, 10, 10, 1));
    assert_eq!(kinds[10].1, 21, "what was dropped leaves a gap");
}

#[test]
fn dropped_alerts_are_counted_by_type() {
    let queue = AlertQueue::new(1, ALL);
    queue.post(NONE, &piece(0));
    for i in 0..3 {
        queue.post(NONE, &piece(i));
    }
    queue.post(NONE, &Alert::DhtBootstrap);
    let mut buf = vec![0; 4096];
    let popped = queue.pop(&mut buf);
    let records = walk(&buf[..popped.bytes]);
    let (dropped, _) = et_alerts_dropped_alert::read_from_prefix(records[1].1).expect("the record");
    assert_eq!((dropped.total, dropped.counts_len), (4, 2));
    let entries = &records[1].1[dropped.counts_offset as usize..];
    let (first, rest) = et_dropped_count::read_from_prefix(entries).expect("an entry");
    let (second, _) = et_dropped_count::read_from_prefix(rest).expect("an entry");
    assert_eq!(((first.r#type, first.count), (second.r#type, second.count)), ((27, 3), (62, 1)));
}

#[test]
fn the_news_of_drops_is_never_dropped_and_never_piles_up() {
    let queue = AlertQueue::new(1, ALL);
    queue.post(NONE, &piece(0));
    for round in 0..1000 {
        queue.post(NONE, &piece(round));
        // Too small for anything: only the record about the drops could be added.
        let popped = queue.pop(&mut [0; 8]);
        assert_eq!((popped.count, popped.remaining), (0, 2));
    }
    let mut total = 0;
    let mut buf = vec![0; 4096];
    loop {
        let popped = queue.pop(&mut buf);
        if popped.count == 0 {
            break;
        }
        for (base, record) in walk(&buf[..popped.bytes]) {
            if base.r#type == 95 {
                total += et_alerts_dropped_alert::read_from_prefix(record).expect("the record").0.total;
            }
        }
    }
    assert_eq!(total, 1000);
    assert!(queue.is_empty());
}

#[test]
fn wait_times_out_wakes_and_ends_at_close() {
    let queue = Arc::new(AlertQueue::new(10, ALL));
    assert!(!queue.wait(Some(Duration::ZERO)));
    assert!(!queue.wait(Some(Duration::from_millis(5))));
    let waiter = thread::spawn({
        let queue = queue.clone();
        move || queue.wait(None)
    });
    queue.post(NONE, &piece(1));
    assert!(waiter.join().expect("no panic"));
    drain(&queue);
    let waiter = thread::spawn({
        let queue = queue.clone();
        move || queue.wait(None)
    });
    queue.close();
    assert!(!waiter.join().expect("no panic"));
    queue.post(NONE, &removed());
    assert!(queue.is_closed() && queue.is_empty());
}

#[test]
fn closed_queue_hands_out_what_it_has() {
    let queue = AlertQueue::new(10, ALL);
    queue.post(NONE, &piece(1));
    queue.close();
    assert!(queue.wait(None));
    assert_eq!(drain(&queue).len(), 1);
    assert!(!queue.wait(None));
}

#[test]
fn limit_can_change() {
    let queue = AlertQueue::new(2, ALL);
    queue.set_limit(4);
    (0..6).for_each(|i| queue.post(NONE, &piece(i)));
    assert_eq!(queue.len(), 4);
    queue.set_limit(0);
    assert_eq!(drain(&queue).len(), 5);
    queue.post(NONE, &piece(0));
    assert_eq!(queue.len(), 1, "a bound of 0 is one of 1");
}

#[cfg(unix)]
#[test]
fn descriptor_is_readable_while_there_is_something() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let queue = AlertQueue::new(10, ALL);
    let readable = || {
        let fd = queue.fd.get().expect("made");
        poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("poll") == 1
    };
    queue.post(NONE, &piece(1));
    queue.post(NONE, &piece(2));
    assert!(queue.fd().expect("made") >= 0 && queue.fd() == queue.fd());
    assert!(readable());
    queue.pop(&mut [0; 48]);
    assert!(readable(), "one is left");
    drain(&queue);
    assert!(!readable());
    queue.post(NONE, &piece(3));
    assert!(readable());
    drain(&queue);
    queue.close();
    assert!(readable(), "closed is something to be told");
    drain(&queue);
    assert!(readable(), "and stays so");
}

#[test]
fn many_threads_lose_nothing() {
    let queue = Arc::new(AlertQueue::new(usize::MAX, ALL));
    let posters: Vec<_> = (0..4_u64)
        .map(|t| {
            let queue = queue.clone();
            thread::spawn(move || (0..5000).for_each(|i| queue.post(StorageIndex(t + 1), &piece(i))))
        })
        .collect();
    let mut next = [0_u32; 5];
    let mut buf = vec![0; 48 * 100];
    let mut seen = 0;
    while seen < 20_000 {
        assert!(queue.wait(Some(Duration::from_secs(20))), "{seen}");
        let popped = queue.pop(&mut buf);
        for (base, record) in walk(&buf[..popped.bytes]) {
            seen += 1;
            assert_eq!(base.sequence, seen);
            let torrent = usize::try_from(base.torrent).expect("small");
            assert_eq!(record[40..44], next[torrent].to_ne_bytes());
            next[torrent] += 1;
        }
    }
    posters.into_iter().for_each(|p| p.join().expect("no panic"));
    assert_eq!(queue.totals(), (20_000, 0));
}

#[derive(Debug, Clone)]
enum Step {
    Post(u8),
    Pop(usize),
    Limit(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..4).prop_map(Step::Post),
        2 => (0_usize..400).prop_map(Step::Pop),
        1 => (1_usize..8).prop_map(Step::Limit),
    ]
}

proptest! {
    /// Whatever is posted and popped: each alert comes out once, in order, or is counted as dropped.
    #[test]
    fn nothing_is_lost_silently(steps in prop::collection::vec(step(), 0..200)) {
        let queue = AlertQueue::new(4, ALL);
        let (mut posted, mut seen, mut dropped, mut last) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut take = |size: usize| {
            let mut buf = vec![0xff; size];
            let popped = queue.pop(&mut buf);
            assert!(popped.bytes <= size && (popped.remaining == 0) == (popped.needed == 0));
            assert!(popped.remaining == 0 || popped.needed > size - popped.bytes || popped.count > 0);
            for (base, record) in walk(&buf[..popped.bytes]) {
                assert!(base.sequence > last);
                last = base.sequence;
                match et_alerts_dropped_alert::read_from_prefix(record) {
                    Ok((r, _)) if base.r#type == 95 => dropped += r.total,
                    _ => seen += 1,
                }
            }
            popped.remaining
        };
        for step in steps {
            match step {
                Step::Post(kind) => {
                    posted += 1;
                    queue.post_at(0, NONE, &match kind {
                        0 => piece(7),
                        1 => Alert::TorrentFinished,
                        2 => removed(),
                        _ => Alert::TrackerReply { url: "http://a/".repeat(posted as usize % 9), num_peers: 1 },
                    });
                }
                Step::Pop(size) => {
                    take(size);
                }
                Step::Limit(limit) => queue.set_limit(limit),
            }
        }
        while take(1 << 16) > 0 {}
        prop_assert_eq!(seen + dropped, posted);
    }
}
