//! A source of blocks: what a scheduler needs of whoever brings them, however they come.
//!
//! It is asked for blocks and brings them: how fast, how many at a time, and how long it lets us wait. What was dropped is found out by what
//! came since, or by the silence after it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::block_intervals::BlockIntervals;
use super::queue_depth::{Depth, LEAST_WAIT};
use super::refusals::Refusals;
use super::request::Request;
use super::snub_timer::SnubTimer;
use crate::base::time::Time;
use crate::engine::bandwidth::aggregate::Part;
use crate::engine::bandwidth::path::{FIRST_QUEUE, PeerPath, QueueTime};
use crate::memory::credits::Credits;
use crate::memory::pool::BLOCK_SIZE;

/// Within this a peer of whom nothing is known is expected to answer. Were it more, what it was asked for would at once be asked
/// again of those who are known.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// What one that brings nothing is expected to take.
const SNUBBED_WAIT: Duration = Duration::from_secs(10);
/// One that has been silent since it came will be for so many times as long.
const DOUBT: u32 = 6;
/// One that lets us wait for so long beyond its time, and for another of its usual intervals, makes way for another.
const SILENT: Duration = Duration::from_secs(2);
/// A request is dropped if so many times the peer's queue came after it, and so many blocks: some answer in an order of their own.
const OVERTAKEN: u64 = 2;
const OUT_OF_ORDER: u64 = 32;
/// It has so many round trips, and so many times its usual interval.
const TRIPS: u32 = 8;
const INTERVALS: u32 = 2;

/// Who brings blocks, as far as it makes no difference by what way.
#[derive(Debug)]
pub struct Source {
    path: PeerPath,
    depth: Depth,
    intervals: BlockIntervals,
    snub_timer: SnubTimer,
    /// What it is asked for, the oldest first.
    requests: VecDeque<Request>,
    /// The memory for that.
    credits: Arc<Credits>,
    refusals: Refusals,
    snubbed: bool,
    /// Since when what it sent waits for a download limit.
    held: Option<Time>,
    /// Without the time for which it waited for us.
    last_block: Time,
}

/// The requests that will not be answered any more: so much came since they were made that all others were. `delivered`: bytes.
fn overtaken(requests: &VecDeque<Request>, now: Time, delivered: u64) -> usize {
    let least = (OVERTAKEN * requests.len() as u64 + OUT_OF_ORDER) * u64::from(BLOCK_SIZE);
    let is_dropped = |r: &&Request| now.since(r.sent) >= LEAST_WAIT && delivered.saturating_sub(r.delivered) >= least;
    requests.iter().take_while(is_dropped).count()
}

impl Source {
    /// One that is asked for so many blocks at first.
    pub fn new(now: Time, first_queue: usize, credits: Arc<Credits>) -> Self {
        Self {
            path: PeerPath::new(first_queue),
            depth: Depth::default(),
            intervals: BlockIntervals::new(now),
            snub_timer: SnubTimer::new(now),
            requests: VecDeque::new(),
            credits,
            refusals: Refusals::default(),
            snubbed: false,
            held: None,
            last_block: now,
        }
    }

    pub fn path(&self) -> &PeerPath {
        &self.path
    }

    pub fn path_mut(&mut self) -> &mut PeerPath {
        &mut self.path
    }

    /// What it is asked for, the oldest first.
    pub fn requests(&self) -> &VecDeque<Request> {
        &self.requests
    }

    pub fn credits(&self) -> &Arc<Credits> {
        &self.credits
    }

    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    pub fn refusals_mut(&mut self) -> &mut Refusals {
        &mut self.refusals
    }

    pub fn is_snubbed(&self) -> bool {
        self.snubbed
    }

    /// It does not bring what it was asked for.
    pub fn snub(&mut self) {
        self.snubbed = true;
    }

    /// It brings something again. Was it snubbed?
    pub fn unsnub(&mut self) -> bool {
        std::mem::take(&mut self.snubbed)
    }

    /// Does what it sent wait for a download limit?
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// It is asked for a block. `ready`: it waited for that.
    pub fn ask(&mut self, request: Request, ready: bool) {
        let now = request.sent;
        self.snub_timer.asked(now, ready);
        self.intervals.asked(now);
        if self.requests.is_empty() {
            self.last_block = now;
        }
        self.requests.push_back(request);
    }

    /// Takes a request off the list; blocks mostly come in the order in which they were asked.
    pub fn take_request(&mut self, piece: u32, block: u32) -> Option<Request> {
        let at = self.requests.iter().position(|r| r.piece == piece && r.block == block)?;
        self.requests.remove(at)
    }

    /// It brought a block that it was asked for, whether or not somebody still waits for it.
    pub(super) fn brought(&mut self, now: Time, stray: bool) {
        self.intervals.brought_a_block(now, stray);
        self.last_block = now;
        self.snub_timer.brought_a_block(now);
    }

    /// The answer to a request.
    pub(super) fn answered(&mut self, now: Time, bytes: u32, request: &Request) {
        let soon = self.usual_answer().max(LEAST_WAIT);
        self.path.answered(now, bytes, request.sent, request.delivered);
        self.path.deviated(now.since(request.expected).max(request.expected.since(now)));
        self.brought(now, false);
        if self.depth.brought_a_block(now, soon) {
            self.path.start_anew();
        }
        self.refusals.serves(now, request.piece);
    }

    /// There is not enough to ask it for: what it brings tells nothing of what it could.
    pub fn ran_dry(&mut self) {
        self.path.idle(self.requests.len() as u64);
    }

    /// Has it brought nothing yet?
    pub fn is_unknown(&self) -> bool {
        self.intervals.is_unknown()
    }

    /// What it is to the aggregate of all.
    pub fn part(&self, time: QueueTime) -> Part {
        Part { bandwidth: self.path.bandwidth(), queue: self.path.queue(time, 1.0), asked: !self.requests.is_empty() }
    }

    /// What time brings about.
    pub(super) fn review(&mut self, now: Time) {
        self.depth.raise(now);
        if self.requests.is_empty() {
            self.intervals.rests();
        }
    }

    /// How many blocks to keep asked of it, before any bound.
    pub(super) fn queue(&self, time: QueueTime, share: f64) -> usize {
        self.path.ramp().unwrap_or_else(|| self.full_queue(time, share))
    }

    /// As many as keep its way full.
    pub(super) fn full_queue(&self, time: QueueTime, share: f64) -> usize {
        self.path.queue(time, share) as usize + 1
    }

    /// How many of so many requests it takes at once.
    pub(super) fn takes(&self, requests: usize) -> usize {
        // Of one that is silent, one is enough to find out whether it still is.
        requests.min(if self.is_unresponsive() { 1 } else { self.depth.most() })
    }

    /// Has it brought nothing for so long that what it was asked for was taken back, and nothing since?
    pub fn is_unresponsive(&self) -> bool {
        self.depth.silent_since().is_some()
    }

    /// When a block asked now would arrive. `share`: the part of its bandwidth that it has while others have theirs.
    pub fn expected_arrival(&self, now: Time, share: f64) -> Time {
        now + self.wait(now, share, self.requests.len() + 1)
    }

    /// How long a block asked now would take if the peer did as it should. Time alone does not change that.
    pub fn least_wait(&self, share: f64) -> Duration {
        self.timely_wait(share, self.requests.len() + 1)
    }

    /// How long a block takes with which so many are asked for.
    pub(super) fn wait(&self, now: Time, share: f64, blocks: usize) -> Duration {
        let late = if self.snubbed { Duration::ZERO } else { self.overdue(now) };
        self.timely_wait(share, blocks) + late
    }

    fn timely_wait(&self, share: f64, blocks: usize) -> Duration {
        if self.snubbed {
            return SNUBBED_WAIT;
        }
        let queued = if self.is_unknown() { self.first_wait(blocks) } else { self.transfer(share, blocks) };
        queued + self.path.rtt().min(Duration::from_secs(1))
    }

    /// Of one that has brought nothing yet: as if it brought its first queue in that time, and longer while it does not.
    fn first_wait(&self, blocks: usize) -> Duration {
        FIRST_WAIT / 2 + FIRST_WAIT * blocks as u32 / (2 * FIRST_QUEUE as u32)
    }

    fn transfer(&self, share: f64, blocks: usize) -> Duration {
        self.whole_transfer(share, blocks).min(SNUBBED_WAIT)
    }

    /// However long it takes.
    fn whole_transfer(&self, share: f64, blocks: usize) -> Duration {
        let rate = self.path.bandwidth() * share;
        if rate < 1.0 {
            // What it brought had been taken back.
            return self.intervals.usual().max(FIRST_WAIT) * blocks as u32;
        }
        Duration::from_secs_f64(blocks as f64 * f64::from(BLOCK_SIZE) / rate)
    }

    /// When a copy asked now would arrive, behind all that it is asked for: one slow peer is not to get the copies of all that is late.
    pub fn copy_arrival(&self, now: Time, share: f64) -> Time {
        let arrival = self.expected_arrival(now, share);
        if self.is_unknown() {
            return arrival;
        }
        arrival.max(now + self.whole_transfer(share, self.requests.len() + 1))
    }

    /// Who lets us wait for longer than he should, or than he usually does, will go on doing so.
    pub fn overdue(&self, now: Time) -> Duration {
        let until = self.held.unwrap_or(now);
        let due = |r: &Request| until.since((self.last_block + self.intervals.usual()).max(r.sent + self.path.rtt()));
        let by_request = self.requests.front().map(due).unwrap_or_default();
        // Nor does it become quick because what it lets us wait for was taken back.
        by_request.max(self.depth.silent_since().map_or(Duration::ZERO, |since| until.since(since)))
    }

    /// Does it let us wait for much longer than it usually does?
    pub(super) fn lets_us_wait(&self, now: Time) -> bool {
        self.overdue(now) >= SILENT.max(self.intervals.usual())
    }

    /// What it sent waits for a download limit, or no more: that is no lateness of its own.
    pub fn hold(&mut self, now: Time, held: bool) {
        if held {
            self.held.get_or_insert(now);
        } else if let Some(since) = self.held.take() {
            let begun = self.requests.front().map_or(self.last_block, |r| r.sent.max(self.last_block));
            self.last_block = now.min(begun + now.since(since));
            self.snub_timer.was_held(now, now.since(since));
            self.intervals.was_held(now, now.since(since));
        }
    }

    /// For how long it has brought nothing of what it was asked for.
    pub fn silent_for(&self, now: Time) -> Duration {
        let until = self.held.unwrap_or(now);
        self.requests.front().map(|r| until.since(r.sent.max(self.last_block))).unwrap_or_default()
    }

    /// How long it still needs for a block that it was asked for. `always_silent`: it has sent nothing at all.
    pub(super) fn time_left(&self, now: Time, share: f64, piece: u32, block: u32, always_silent: bool) -> Duration {
        let before = self.requests.iter().take_while(|r| (r.piece, r.block) != (piece, block)).count();
        if always_silent {
            return self.overdue(now) * DOUBT;
        }
        let queued = if self.is_unknown() { Duration::ZERO } else { self.transfer(share, before + 1) };
        let at_it = self.silent_for(now).min(self.intervals.usual());
        queued.saturating_sub(at_it) + if self.snubbed { SNUBBED_WAIT } else { self.overdue(now) }
    }

    /// An answer that takes no longer is nothing unusual.
    fn usual_answer(&self) -> Duration {
        (self.path.rtt() * TRIPS).max(self.intervals.usual() * INTERVALS)
    }

    /// Since when it has brought nothing, though asked.
    pub(super) fn undelivered_since(&self) -> Time {
        self.snub_timer.since()
    }

    /// It may still bring what it was asked for: it takes so long.
    pub(super) fn is_in_time(&self, now: Time) -> bool {
        now.since(self.snub_timer.since()) < self.intervals.allowed()
    }

    /// For how long it has been asked for something.
    pub fn asked_for(&self, now: Time) -> Duration {
        self.snub_timer.asked_for(now)
    }

    /// How many of its first requests it has dropped, and whether it has fallen silent with that. When it sent anything last, and whether that
    /// is more than nothing.
    fn dropped(&self, now: Time, last_received: Time, pours: bool) -> (usize, bool) {
        if self.is_unknown() || self.snubbed || self.held.is_some() {
            return (0, false);
        }
        let overtaken = overtaken(&self.requests, now, self.path.delivered());
        if overtaken > 0 {
            return (overtaken, false);
        }
        let patience = self.depth.patience().max(self.usual_answer());
        // A part of a block may come, or no more than a word now and then.
        let nothing_comes = now.since(last_received) >= patience || !pours;
        let is_silent = !self.requests.is_empty() && self.silent_for(now) >= patience && nothing_comes;
        (if is_silent { self.requests.len() } else { 0 }, is_silent)
    }

    /// Finds out what it has dropped: that is to be asked for again, and less of it at a time.
    pub(super) fn find_dropped(&mut self, now: Time, last_received: Time, pours: bool) -> Vec<(u32, u32)> {
        let (number, silent) = self.dropped(now, last_received, pours);
        if number == 0 {
            return Vec::new();
        }
        let was_away = silent && self.depth.fell_silent(now, self.last_block);
        // What was asked for before the bound was lowered says nothing of the bound.
        let last = self.requests.get(number - 1).map_or(now, |r| r.sent);
        if !was_away && last >= self.depth.lowered() {
            self.depth.took(now, (self.requests.len() / 2).min(self.depth.most()));
        }
        self.requests.iter().take(number).map(|r| (r.piece, r.block)).collect()
    }

    /// It rejected a request, and holds so many that were made before it.
    pub fn note_depth(&mut self, now: Time, held: usize) {
        if let Some(request) = self.requests.get(held).filter(|_| !self.is_unknown()) {
            self.depth.rejected(now, request.sent, held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_much_has_come_after_is_dropped() {
        let request = |sent, delivered| Request {
            piece: 0,
            block: 0,
            sent: Time::from_millis(sent),
            expected: Time::ZERO,
            delivered: delivered * u64::from(BLOCK_SIZE),
            delivered_by_all: 0,
        };
        let requests = VecDeque::from([request(0, 0), request(10, 10), request(20, 60)]);
        let at = |ms, blocks| overtaken(&requests, Time::from_millis(ms), blocks * u64::from(BLOCK_SIZE));
        assert_eq!((at(2000, 37), at(2000, 38), at(2000, 48), at(2000, 97), at(2000, 98)), (0, 1, 2, 2, 3));
        assert_eq!((at(999, 100), at(1000, 100)), (0, 1));
    }

    fn source() -> Source {
        Source::new(Time::BEGINNING, FIRST_QUEUE, Credits::new(crate::memory::pool::Pool::new(1 << 20)))
    }

    fn at(ms: u64) -> Time {
        Time::BEGINNING + Duration::from_millis(ms)
    }

    fn asked(source: &mut Source, ms: u64, block: u32) {
        let delivered = source.path().delivered();
        let request =
            Request { piece: 0, block, sent: at(ms), expected: at(ms + 100), delivered, delivered_by_all: delivered };
        source.ask(request, true);
    }

    #[test]
    fn who_lets_us_wait_is_late_by_the_time_that_no_limit_of_ours_held_it() {
        let mut source = source();
        asked(&mut source, 0, 0);
        assert_eq!(source.silent_for(at(3000)), Duration::from_secs(3));
        source.hold(at(1000), true);
        assert!(source.is_held() && source.silent_for(at(3000)) == Duration::from_secs(1));
        source.hold(at(3000), false);
        assert_eq!((source.is_held(), source.silent_for(at(4000))), (false, Duration::from_secs(2)));
    }

    #[test]
    fn a_silent_one_is_asked_for_one_block_until_it_brings_something() {
        let mut source = source();
        (0..8).for_each(|block| asked(&mut source, 0, block));
        let request = source.take_request(0, 0).expect("it was asked for");
        source.answered(at(100), BLOCK_SIZE, &request);
        assert_eq!((source.find_dropped(at(200), at(100), false), source.takes(20)), (vec![], 20));
        let dropped = source.find_dropped(at(60_000), at(100), false);
        assert_eq!((dropped.len(), source.is_unresponsive(), source.takes(20)), (7, true, 1));
        let request = source.take_request(0, 1).expect("it was asked for");
        source.answered(at(60_100), BLOCK_SIZE, &request);
        assert!(!source.is_unresponsive());
    }

    #[test]
    fn a_snubbed_one_is_expected_late() {
        let mut source = source();
        let soon = source.least_wait(1.0);
        source.snub();
        assert!(source.least_wait(1.0) > soon && source.is_snubbed());
        assert!(source.unsnub() && !source.unsnub());
        assert_eq!(source.least_wait(1.0), soon);
    }
}
