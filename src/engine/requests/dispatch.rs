//! Who is asked: peers are given work when something changed for them: they unchoked us, brought a block, a reader moved.
//!
//! A peer whose queue is full gets its next work when it brings a block. One that has room and found nothing to do is hungry:
//! when more is wanted, the hungry are looked at, and each block goes to the one that would bring it first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use super::scheduler::Scheduler;
use super::state::Requests;
use crate::base::time::Time;
use crate::engine::bandwidth::path::QueueTime;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::Peer;
use crate::engine::readers::Readers;
use crate::engine::readers::reader::Reader;
use crate::settings::Settings;

/// Where peers share a way, what one leaves free goes to it or to one of so many.
const FEW: usize = 16;

/// Silent peers that are asked for a block at one tick.
const MOST_TRIED: usize = 4;

/// How long a peer's queue is to be.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Queue {
    time: QueueTime,
    share: f64,
    max: usize,
    /// Blocks of all of them together at most: while somebody plays, where peers share a way.
    most: Option<u64>,
    /// The same under a download limit, without those who let us wait.
    limited: Option<u64>,
}

impl Queue {
    pub(in crate::engine) fn most(&self) -> Option<u64> {
        self.most
    }

    pub(in crate::engine) fn target(&self, peer: &Peer) -> usize {
        peer.target_queue(self.time, self.share, self.max)
    }
}

/// Those who are given work in turn, by when the next block of each would come.
type PeerHeap = BinaryHeap<Reverse<(Time, PeerKey)>>;

/// How many blocks a peer is asked for at most.
pub(in crate::engine) fn max_requests(settings: &Settings) -> usize {
    usize::try_from(settings.max_out_request_queue).unwrap_or(1)
}

impl Requests {
    /// How far ahead peers are asked: no further than it takes while somebody plays, so that a seek finds the way free.
    pub(in crate::engine) fn queue_time(&self, now: Time, settings: &Settings, readers: &Readers) -> QueueTime {
        let plays = |r: &Reader| !r.options().background && r.is_active(now);
        if !readers.deadlines().is_empty() || readers.values().any(plays) {
            return self.aggregate.path.least(now);
        }
        QueueTime::Plus(Duration::from_secs(u64::try_from(settings.request_queue_time).unwrap_or(1)))
    }

    pub(in crate::engine) fn queue(&self, now: Time, settings: &Settings, readers: &Readers) -> Queue {
        let time = self.queue_time(now, settings, readers);
        let most = self.aggregate.most().filter(|_| matches!(time, QueueTime::Least { .. }));
        // Where there is a bound on all together, it need not be cut into parts: the fastest take what there is.
        let share = if most.is_some() { 1.0 } else { self.aggregate.share() };
        Queue { time, share, max: max_requests(settings), most, limited: self.limit.most() }
    }
}

impl Scheduler<'_> {
    pub(super) fn queue_time(&self, now: Time) -> QueueTime {
        self.requests.queue_time(now, &self.config.settings, self.readers)
    }

    pub(super) fn queue(&self, now: Time) -> Queue {
        self.requests.queue(now, &self.config.settings, self.readers)
    }

    /// The same where peers are asked by it.
    fn queue_to_fill(&mut self, now: Time) -> Queue {
        let queue = self.queue(now);
        self.requests.note_asked(queue.time);
        queue
    }

    /// Looks at every peer again: time went by, or the rules changed.
    pub(in crate::engine) fn fill_everybody(&mut self, now: Time) {
        for peer in self.peers.values().filter(|p| p.may_be_asked() || p.source.is_snubbed()) {
            self.requests.note_open(peer);
        }
        self.requests.ranking.outdated();
        self.fill_all(now);
    }

    /// Shares out what is wanted among the hungry, block by block, each to the one that would bring it first.
    pub(in crate::engine) fn fill_all(&mut self, now: Time) {
        self.requests.refill = false;
        self.readers.followed_up();
        if !self.may_ask() || self.requests.open.is_empty() {
            return;
        }
        self.refresh_wants(now);
        self.make_own(now);
        self.rank(now);
        self.share_out(now, None, usize::MAX);
    }

    /// The peer has room for more.
    fn note_open(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get(&key) {
            self.requests.note_open(peer);
        }
    }

    /// To one peer, if it is named, and to so many of the other hungry ones at most.
    fn share_out(&mut self, now: Time, first: Option<PeerKey>, among: usize) {
        let (queue, mut given) = (self.queue_to_fill(now), BTreeSet::new());
        self.give_in_turn(now, queue, first, among, &mut given);
        // More is asked of them than before.
        for key in given {
            if let Some(peer) = self.peers.get(&key).filter(|p| p.source.requests().len() < queue.target(p)) {
                self.requests.note_open(peer);
            }
        }
    }

    fn give_in_turn(
        &mut self,
        now: Time,
        queue: Queue,
        first: Option<PeerKey>,
        mut among: usize,
        given: &mut BTreeSet<PeerKey>,
    ) {
        let share = self.requests.aggregate.share();
        let arrival = |scheduler: &Self, key: PeerKey| {
            let peer = scheduler.peers.get(&key).filter(|p| p.source.requests().len() < queue.target(p))?;
            // Where nobody plays it matters little who is late: their places are told apart without looking at everybody.
            let plays = matches!(queue.time, QueueTime::Least { .. });
            Some(if plays { peer.source.expected_arrival(now, share) } else { now + peer.source.least_wait(share) })
        };
        let mut turns = PeerHeap::new();
        turns.extend(first.and_then(|key| Some(Reverse((arrival(self, key)?, key)))));
        // What makes room for one block may free another's request; memory has no more blocks than this.
        let mut left = self.cache.limit();
        // Where one that could serve anything found nothing, so will those that leave as much to faster ones, or more.
        let mut futile: Option<u32> = None;
        // There was no room for the want behind so many; from then on only those before it are looked at.
        let mut crowded: Option<usize> = None;
        let mut place = None;
        while left > 0 && self.way_is_free(now, &queue) {
            if self.nothing_left() {
                return self.requests.aggregate.path.idle(self.outstanding());
            }
            left -= 1;
            while let Some(next) = self.requests.open.next(place).filter(|_| among > 0)
                && turns.peek().is_none_or(|Reverse((soonest, _))| now + next.0 < *soonest)
            {
                place = Some(next);
                let key = next.1;
                if !self.peers.get(&key).is_some_and(|p| p.may_be_asked() || p.source.is_snubbed()) {
                    // It is again when it lets us ask, or has something for us.
                    self.requests.open.remove(key);
                } else if first != Some(key) {
                    among -= 1;
                    match arrival(self, key) {
                        Some(eta) => turns.push(Reverse((eta, key))),
                        None => self.requests.open.remove(key),
                    }
                }
            }
            let Some(Reverse((_, key))) = turns.pop() else { return };
            // What it had room for may have been given to it meanwhile. Help for those who are late is not for slow ones to give.
            if arrival(self, key).is_none() || futile.is_some_and(|least| self.leaves(now, key, least)) {
                continue;
            }
            if !self.help_slow(now, key) {
                let pick = match crowded {
                    Some(before) => self.pick_wanted(now, key, before),
                    None => self.pick(now, key),
                };
                let Some(pick) = pick else {
                    let Some(peer) = self.peers.get(&key).filter(|p| p.serves_all()) else { continue };
                    if self.requests.demand.has_open() {
                        futile =
                            Some(self.left_to_faster(now, peer)).filter(|_| crowded.is_some() || !self.has_wanted());
                    } else if self.peers.on_parole() == 0 {
                        // Nor will anybody: only a suspect has pieces of its own.
                        return;
                    }
                    continue;
                };
                if !self.request(now, key, pick) {
                    let before = self.requests.demand.before(pick.piece);
                    if before <= self.requests.demand.full().len() {
                        return;
                    }
                    crowded = Some(before);
                    continue;
                }
            }
            given.insert(key);
            match arrival(self, key) {
                Some(eta) => turns.push(Reverse((eta, key))),
                None => self.requests.open.remove(key),
            }
        }
    }

    /// Asks a peer for blocks until its queue is full.
    pub(in crate::engine) fn fill(&mut self, now: Time, key: PeerKey) {
        if !self.may_ask() {
            return;
        }
        self.refresh_wants(now);
        let queue = self.queue_to_fill(now);
        let Some(peer) = self.peers.get(&key) else { return };
        if !peer.choking.am_interested() || !peer.choking.lets_us_ask_any() {
            return;
        }
        let target = queue.target(peer);
        // A queue that is nearly full is left alone, so that requests go out in batches; a player's, which is short, in small ones.
        let batch = match queue.time {
            QueueTime::Least { .. } => (target / 8).max(2),
            QueueTime::Plus(_) => target / 4,
        };
        if peer.source.requests().len() >= target
            || (peer.source.requests().len() > 8 && peer.source.requests().len() + batch > target)
        {
            return;
        }
        if self.requests.ranking.is_due(now) {
            self.rank(now);
        }
        self.help_slow(now, key);
        if queue.most.is_some() {
            // What it leaves free is free for all of them: it goes to whoever has the shortest queue.
            self.note_open(key);
            self.requests.aggregate.path.backlogged(now, 1.0);
            return self.share_out(now, Some(key), FEW);
        }
        // Each once: what makes room for one block may be another one that was just asked for.
        for _ in self.num_requests(key)..target {
            if !self.way_is_free(now, &queue) || self.num_requests(key) >= target {
                break;
            }
            let pick = self.pick(now, key);
            if !pick.is_some_and(|pick| self.request(now, key, pick)) {
                break;
            }
        }
        let way_is_full = !self.way_is_free(now, &queue);
        if way_is_full {
            self.requests.aggregate.path.backlogged(now, 1.0);
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let has_room = peer.source.requests().len() < target;
        if !has_room {
            peer.source.path_mut().backlogged(now, queue.share);
        } else if !way_is_full || peer.source.requests().is_empty() {
            peer.source.ran_dry();
            // What one has nothing of, others may have.
            if self.nothing_left() {
                self.requests.aggregate.path.idle(self.outstanding());
            }
        }
        if has_room {
            self.note_open(key);
        } else {
            self.requests.open.remove(key);
        }
    }

    /// One that is silent is asked for a block at a time all the while, also where those who bring something leave nothing of a shared
    /// way: else nobody would ever know that it is back.
    pub(in crate::engine) fn try_those_who_are_out(&mut self, now: Time) {
        if !self.may_ask() {
            return;
        }
        let idle = self
            .peers
            .values()
            .filter(|p| p.source.is_unresponsive() && p.source.requests().is_empty() && p.may_be_asked());
        let keys: Vec<PeerKey> = idle.map(|p| p.key()).take(MOST_TRIED).collect();
        if keys.is_empty() {
            return;
        }
        self.refresh_wants(now);
        for key in keys {
            if let Some(pick) = self.pick(now, key) {
                self.request(now, key, pick);
            }
        }
    }

    /// Where peers share a way, or a limit, it is full with a few blocks of all of them. More would stand in line, before what a seek asks for.
    fn way_is_free(&mut self, now: Time, queue: &Queue) -> bool {
        queue.most.is_none_or(|most| self.outstanding() < most)
            && queue.limited.is_none_or(|most| {
                let asked = self.outstanding();
                self.requests.limit.fits(now, most, asked, self.peers, self.content.as_ref())
            })
    }

    /// Blocks that are asked for.
    pub(super) fn outstanding(&self) -> u64 {
        self.content.as_ref().map_or(0, |c| c.store().asked_blocks())
    }

    fn num_requests(&self, key: PeerKey) -> usize {
        self.peers.get(&key).map_or(0, |p| p.source.requests().len())
    }

    /// Does the peer leave so many blocks to faster ones, and has none of its own to bring?
    fn leaves(&self, now: Time, key: PeerKey, least: u32) -> bool {
        let Some(peer) = self.peers.get(&key).filter(|p| !p.parole.is_on()) else { return false };
        !self.requests.ranking.quick().contains(&key) && self.left_to_faster(now, peer) >= least
    }

    fn has_wanted(&self) -> bool {
        self.content.as_ref().is_some_and(|c| c.picker().has_wanted())
    }

    /// Nobody can be given anything: all that readers and deadlines want is asked for, and nothing else is wanted.
    fn nothing_left(&mut self) -> bool {
        self.pass_full_wants();
        !self.requests.demand.has_open() && !self.has_wanted()
    }

    /// Finds out anew who is fast, if that is old.
    fn rank(&mut self, now: Time) {
        if !self.requests.ranking.is_due(now) {
            return;
        }
        let queue = self.queue(now);
        let waits = self.peers.values().filter(|p| p.may_be_asked() || p.source.is_snubbed());
        self.requests
            .ranking
            .count(now, waits.map(|p| (p.standing_wait(now, queue.time, queue.share, queue.max), p.key())));
    }
}
