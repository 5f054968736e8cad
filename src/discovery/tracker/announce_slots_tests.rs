use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;

type Taking = Pin<Box<dyn Future<Output = Option<AnnounceSlot>>>>;

/// Gets in line.
fn line_up(slots: &Arc<AnnounceSlots>, turn: Claim) -> Taking {
    let slots = slots.clone();
    let mut taking: Taking = Box::pin(async move { slots.take(turn).await });
    assert!(look(&mut taking).is_none(), "there is a place");
    taking
}

/// The place, if it was given.
fn look(taking: &mut Taking) -> Option<AnnounceSlot> {
    match taking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(slot) => slot,
        Poll::Pending => None,
    }
}

/// A place, if there is one at once.
fn try_take(slots: &Arc<AnnounceSlots>, turn: Claim) -> Option<AnnounceSlot> {
    let slots = slots.clone();
    look(&mut (Box::pin(async move { slots.take(turn).await }) as Taking))
}

fn anybody() -> Claim {
    Claim {
        torrent: StorageIndex::default(),
        waiters: Arc::default(),
        tracker: "".into(),
        first_or_last: false,
        failed: false,
    }
}

fn turn(torrent: u64, tracker: &str) -> Claim {
    Claim { torrent: StorageIndex(torrent), tracker: tracker.into(), ..anybody() }
}

fn waited_for(torrent: u64, tracker: &str, urgency: Urgency) -> Claim {
    let turn = turn(torrent, tracker);
    turn.waiters.set(urgency);
    turn
}

/// All places, taken by torrents and trackers that nobody else has.
fn full(limit: usize) -> (Arc<AnnounceSlots>, Vec<AnnounceSlot>) {
    let slots = AnnounceSlots::new(limit);
    let taken = (0..limit).filter_map(|i| try_take(&slots, waited_for(1000 + i as u64, &i.to_string(), Urgency::Read)));
    let taken: Vec<_> = taken.collect();
    assert_eq!(taken.len(), limit);
    (slots, taken)
}

fn nothing_left(slots: &AnnounceSlots) {
    let state = slots.state.lock();
    assert!(state.waiting.is_empty() && state.torrents.is_empty() && state.trackers.is_empty(), "{state:?}");
    assert_eq!(state.taken, 0);
}

#[test]
fn the_limit_of_now_counts() {
    let slots = AnnounceSlots::new(2);
    let take = || try_take(&slots, anybody());
    let (a, b) = (take(), take());
    assert!(a.is_some() && b.is_some() && take().is_none());
    slots.set(1);
    drop(a);
    assert!(take().is_none(), "one is under way still");
    slots.set(3);
    let (c, d) = (take(), take());
    assert!(c.is_some() && d.is_some() && take().is_none());
    slots.set(1);
    slots.set(2);
    drop((b, c));
    let e = take();
    assert!(e.is_some() && take().is_none());
    drop((d, e));
    slots.set(0);
    let f = take();
    assert!(f.is_some() && take().is_none(), "one is always there");
    drop(f);
    nothing_left(&slots);
}

#[tokio::test]
async fn who_waits_gets_what_is_added() {
    let slots = AnnounceSlots::new(1);
    let first = slots.take(anybody()).await;
    let waiting = tokio::spawn({
        let slots = slots.clone();
        async move { slots.take(anybody()).await.is_some() }
    });
    slots.set(2);
    assert!(waiting.await.expect("no panic"));
    drop(first);
    nothing_left(&slots);
}

#[test]
fn who_is_needed_most_comes_first() {
    let (slots, mut taken) = full(1);
    // Each with its place in the order; of equal ones the first comes first.
    let mut waiting = [
        (6, Claim { failed: true, ..turn(1, "a") }),
        (4, turn(2, "b")),
        (5, Claim { failed: true, ..waited_for(3, "c", Urgency::Metadata) }),
        (1, Claim { failed: true, ..waited_for(4, "d", Urgency::Read) }),
        (2, Claim { first_or_last: true, ..turn(5, "e") }),
        (3, waited_for(6, "f", Urgency::Metadata)),
        (0, waited_for(7, "g", Urgency::Read)),
    ]
    .map(|(place, turn)| (place, Some(line_up(&slots, turn))));
    let mut order = Vec::new();
    while order.len() < waiting.len() {
        taken.clear();
        for (place, taking) in &mut waiting {
            if let Some(slot) = taking.as_mut().and_then(look) {
                order.push(*place);
                taken.push(slot);
                *taking = None;
            }
        }
        assert_eq!(taken.len(), 1);
    }
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
    taken.clear();
    nothing_left(&slots);
}

/// A reader comes to a torrent whose announces wait already: they need no place to come free.
#[test]
fn a_part_is_for_reads_that_wait() {
    let slots = AnnounceSlots::new(16);
    let dead: Vec<_> = (0..14).filter_map(|i| try_take(&slots, turn(i, &i.to_string()))).collect();
    assert_eq!(dead.len(), 14);
    let turn = turn(20, "good");
    let mut taking = line_up(&slots, turn.clone());
    assert!(turn.waiters.set(Urgency::Read) && !turn.waiters.set(Urgency::Read));
    slots.rank_anew(turn.torrent);
    assert!(look(&mut taking).is_some());
    drop(taking);
    let mut failed = line_up(&slots, Claim { failed: true, ..turn });
    slots.rank_anew(StorageIndex(20));
    assert!(look(&mut failed).is_none(), "a tracker that failed has no such claim");
    drop((dead, failed));
    nothing_left(&slots);
}

#[test]
fn neither_a_torrent_nor_a_tracker_keeps_others_waiting() {
    let first = |torrent, tracker: &str| Claim { first_or_last: true, ..turn(torrent, tracker) };
    // One torrent with many trackers; then many torrents with one tracker.
    for one_torrent in [true, false] {
        let slots = AnnounceSlots::new(4);
        let of = |i: u64| if one_torrent { first(0, &i.to_string()) } else { first(i, "dead") };
        let mut dead: Vec<_> = (0..4).filter_map(|i| try_take(&slots, of(i))).collect();
        assert_eq!(dead.len(), 4);
        let waiting: Vec<_> = (4..400).map(|i| line_up(&slots, of(i))).collect();
        let mut good = line_up(&slots, first(500, "good"));
        dead.pop();
        assert!(look(&mut good).is_some());
        drop((dead, waiting, good));
        nothing_left(&slots);
    }
}

#[test]
fn nobody_waits_for_ever() {
    let (slots, mut taken) = full(1);
    let mut last = line_up(&slots, Claim { failed: true, ..turn(1, "a") });
    let mut more: Vec<_> =
        (0..FOR_THE_OLDEST).map(|i| line_up(&slots, waited_for(2 + i, "b", Urgency::Read))).collect();
    for _ in 0..FOR_THE_OLDEST {
        taken.clear();
        if let Some(slot) = look(&mut last) {
            taken.push(slot);
            break;
        }
        let at = more.iter_mut().enumerate().find_map(|(at, taking)| Some((at, look(taking)?)));
        let (at, slot) = at.expect("somebody's turn");
        taken.push(slot);
        drop(more.remove(at));
    }
    assert_eq!(taken.pop().map(|slot| slot.turn.torrent), Some(StorageIndex(1)));
    drop((last, more));
    nothing_left(&slots);
}

#[test]
fn who_leaves_the_line_leaves_nothing() {
    let (slots, taken) = full(1);
    let mut waiting: Vec<_> = (0..3).map(|i| line_up(&slots, turn(i, "a"))).collect();
    drop(waiting.remove(0));
    drop(taken);
    // Given, and not looked at.
    drop(waiting.remove(0));
    assert!(look(&mut waiting[0]).is_some());
    drop(waiting);
    nothing_left(&slots);
}
