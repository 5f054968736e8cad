//! How many announces are under way at once, and whose is next.
//!
//! A tracker that is silent holds a place for long, and torrents have many such trackers. So those who wait do not come in the order
//! of their coming: who is needed most comes first, among these who has the fewest places, its torrent's and its tracker's together.
//! Then neither one torrent nor one dead tracker keeps the others waiting for more than a place to come free. A part of the places is
//! for reads that wait, and one place in a while goes to whoever waits longest, so that nobody waits for ever.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::base::storage_index::StorageIndex;
use crate::engine::swarm::urgency::Urgency;

/// This part of the places is for reads that wait.
const FOR_READS: usize = 8;
/// One place in so many goes to whoever waits longest.
const FOR_THE_OLDEST: u64 = 8;

/// Who waits for a torrent's announces. It changes while they wait.
#[derive(Debug)]
pub struct Waiters(AtomicU8);

impl Default for Waiters {
    fn default() -> Self {
        Self(AtomicU8::new(Urgency::Nobody as u8))
    }
}

impl Waiters {
    /// True where it is another than before.
    pub fn set(&self, urgency: Urgency) -> bool {
        // Mostly nothing changes, and each event of a torrent asks.
        let now = urgency as u8;
        let before = self.0.load(Ordering::Relaxed);
        if now != before {
            self.0.store(now, Ordering::Relaxed);
        }
        now != before
    }

    pub fn are(&self, urgency: Urgency) -> bool {
        self.0.load(Ordering::Relaxed) == urgency as u8
    }
}

/// Whose announce it is, and what for.
#[derive(Debug, Clone)]
pub struct Claim {
    pub torrent: StorageIndex,
    pub waiters: Arc<Waiters>,
    /// The host of its tracker.
    pub tracker: Arc<str>,
    /// It is the torrent's first or last to this tracker.
    pub first_or_last: bool,
    /// The tracker failed last time.
    pub failed: bool,
}

impl Claim {
    /// The lowest comes first. A tracker that failed is less likely to be of use.
    fn rank(&self) -> u8 {
        let waiters = self.waiters.0.load(Ordering::Relaxed);
        let rank = if self.first_or_last { waiters.min(Urgency::Metadata as u8) } else { waiters };
        rank + u8::from(self.failed)
    }
}

/// Places of a session.
#[derive(Debug)]
pub struct AnnounceSlots {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    taken: usize,
    /// Numbers those who come.
    next: u64,
    given: u64,
    /// In the order of their coming.
    waiting: BTreeMap<u64, Waiting>,
    /// Those of whom one has a place, or waits for one.
    torrents: HashMap<StorageIndex, TorrentSlots>,
    trackers: HashMap<Arc<str>, TrackerSlots>,
}

#[derive(Debug)]
struct Waiting {
    turn: Claim,
    key: Key,
    place: oneshot::Sender<AnnounceSlot>,
}

/// What decides among those who wait for one tracker: the rank, how many of its torrent were there before, and the number.
type Key = (u8, usize, u64);

#[derive(Debug, Default)]
struct TorrentSlots {
    held: usize,
    /// Whom it waits for.
    line: BTreeMap<u64, Arc<str>>,
}

#[derive(Debug, Default)]
struct TrackerSlots {
    held: usize,
    line: BTreeSet<Key>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub struct AnnounceSlot {
    slots: Arc<AnnounceSlots>,
    turn: Claim,
}

/// One who waits, until it is dropped.
struct InLine<'a> {
    slots: &'a AnnounceSlots,
    number: u64,
}

impl State {
    fn enter(&mut self, turn: Claim, place: oneshot::Sender<AnnounceSlot>) -> u64 {
        let number = self.next;
        self.next += 1;
        let torrent = self.torrents.entry(turn.torrent).or_default();
        let before = torrent.line.values().filter(|tracker| **tracker == turn.tracker).count();
        torrent.line.insert(number, turn.tracker.clone());
        let key = (turn.rank(), before, number);
        self.trackers.entry(turn.tracker.clone()).or_default().line.insert(key);
        self.waiting.insert(number, Waiting { turn, key, place });
        number
    }

    fn leave(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&number)?;
        if let Some(torrent) = self.torrents.get_mut(&waiting.turn.torrent) {
            torrent.line.remove(&number);
        }
        if let Some(tracker) = self.trackers.get_mut(&waiting.turn.tracker) {
            tracker.line.remove(&waiting.key);
        }
        Some(waiting)
    }

    fn hold(&mut self, turn: &Claim) {
        self.taken += 1;
        self.torrents.entry(turn.torrent).or_default().held += 1;
        self.trackers.entry(turn.tracker.clone()).or_default().held += 1;
    }

    fn give_back(&mut self, turn: &Claim) {
        self.taken -= 1;
        if let Some(torrent) = self.torrents.get_mut(&turn.torrent) {
            torrent.held -= 1;
        }
        if let Some(tracker) = self.trackers.get_mut(&turn.tracker) {
            tracker.held -= 1;
        }
        self.forget(turn);
    }

    fn forget(&mut self, turn: &Claim) {
        if self.torrents.get(&turn.torrent).is_some_and(|t| t.held == 0 && t.line.is_empty()) {
            self.torrents.remove(&turn.torrent);
        }
        if self.trackers.get(&turn.tracker).is_some_and(|t| t.held == 0 && t.line.is_empty()) {
            self.trackers.remove(&turn.tracker);
        }
    }

    /// Is there a place for somebody of this rank?
    fn has_place(&self, rank: u8) -> bool {
        let for_all = self.limit - self.limit / FOR_READS;
        self.taken < for_all || (self.taken < self.limit && rank == Urgency::Read as u8)
    }

    /// Whose turn it is, if there is a place.
    fn turn(&self) -> Option<u64> {
        if self.given % FOR_THE_OLDEST == FOR_THE_OLDEST - 1
            && let Some((number, oldest)) = self.waiting.first_key_value()
            && self.has_place(oldest.key.0)
        {
            return Some(*number);
        }
        let first = |tracker: &TrackerSlots| {
            let (rank, _, number) = *tracker.line.first().filter(|first| self.has_place(first.0))?;
            let torrent = self.torrents.get(&self.waiting.get(&number)?.turn.torrent)?;
            Some((rank, tracker.held + torrent.held, number))
        };
        self.trackers.values().filter_map(first).min().map(|(_, _, number)| number)
    }

    /// Who waits for the answers to a torrent's announces has changed.
    fn rank_anew(&mut self, torrent: StorageIndex) {
        let Some(torrent) = self.torrents.get(&torrent) else { return };
        for (number, tracker) in &torrent.line {
            if let (Some(waiting), Some(tracker)) = (self.waiting.get_mut(number), self.trackers.get_mut(tracker)) {
                tracker.line.remove(&waiting.key);
                waiting.key.0 = waiting.turn.rank();
                tracker.line.insert(waiting.key);
            }
        }
    }
}

impl AnnounceSlots {
    /// With `limit` places, one at least.
    pub fn new(limit: usize) -> Arc<Self> {
        let state = State {
            limit: limit.max(1),
            taken: 0,
            next: 0,
            given: 0,
            waiting: BTreeMap::new(),
            torrents: HashMap::new(),
            trackers: HashMap::new(),
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Changes their number. Fewer end no announce that is under way.
    pub fn set(self: &Arc<Self>, limit: usize) {
        self.state.lock().limit = limit.max(1);
        self.give();
    }

    /// Waits for a place. None: there will be none.
    pub async fn take(self: &Arc<Self>, turn: Claim) -> Option<AnnounceSlot> {
        let (place, given) = oneshot::channel();
        let (in_line, has_place) = {
            let mut state = self.state.lock();
            // For the others nothing has changed, and they may be many.
            let has_place = state.has_place(turn.rank());
            (InLine { slots: self, number: state.enter(turn, place) }, has_place)
        };
        if has_place {
            self.give();
        }
        let slot = given.await.ok();
        drop(in_line);
        slot
    }

    /// Who waits for the answers to a torrent's announces has changed.
    pub fn rank_anew(self: &Arc<Self>, torrent: StorageIndex) {
        self.state.lock().rank_anew(torrent);
        self.give();
    }

    /// Gives the places that are free to those whose turn it is.
    fn give(self: &Arc<Self>) {
        loop {
            let (place, slot) = {
                let mut state = self.state.lock();
                let Some(Waiting { turn, place, .. }) = state.turn().and_then(|number| state.leave(number)) else {
                    return;
                };
                state.given += 1;
                state.hold(&turn);
                (place, AnnounceSlot { slots: self.clone(), turn })
            };
            // Whoever waits no more gives it back so. The lock is not held: that takes it again.
            let _ = place.send(slot);
        }
    }
}

impl Drop for AnnounceSlot {
    fn drop(&mut self) {
        self.slots.state.lock().give_back(&self.turn);
        self.slots.give();
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let mut state = self.slots.state.lock();
        if let Some(Waiting { turn, .. }) = state.leave(self.number) {
            state.forget(&turn);
        }
    }
}

#[cfg(test)]
#[path = "announce_slots_tests.rs"]
mod tests;
