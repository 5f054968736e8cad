//! A torrent's trackers: whom to announce to, when, and with which event (BEP 3, BEP 12).
//!
//! Pure: the shell asks [`Trackers::poll`] for announces, carries them out, and tells how each ended. What `poll` *reaches*
//! is decided by the policy and by what is known of each tracker, never by the time:
//!
//! * `announce_to_all_trackers` and `announce_to_all_tiers` together: every tracker.
//! * Tiers only: in each tier, its trackers in order up to the first that works or was not tried yet.
//! * Trackers only: every tracker of each tier, up to the first tier that has such a one.
//! * Neither (BEP 12): in order over all tiers, up to the first such tracker.
//!
//! A tracker that failed is retried when its back-off ends, beside the ones after it, so that a dead first tracker never
//! delays the rest. One that answers moves to the front of its tier.

mod tracker;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use self::tracker::{Completed, Tracker};
use crate::alert::AnnounceEvent;
use crate::base::error::Error;
use crate::base::time::Time;

/// Most trackers of one torrent.
pub const MAX_TRACKERS: usize = 256;
/// Longest URL of a tracker, bytes.
pub const MAX_URL_LEN: usize = 2048;
/// Longest `tracker id` that is kept and sent back, bytes.
const MAX_TRACKER_ID_LEN: usize = 512;
/// What is used where a tracker names no interval, seconds.
const DEFAULT_INTERVAL_S: u32 = 1800;
/// A tracker may not put us off for longer.
const MAX_INTERVAL_S: u32 = 24 * 3600;
/// Between two announces to one tracker, whatever it says; only a forced announce without regard to its minimum is exempt.
const MIN_SPACING_S: u32 = 5;
const MIN_SPACING: Duration = Duration::from_secs(MIN_SPACING_S as u64);
/// Between two announces that a reader without peers hurries, whatever the tracker wants that answered: it keeps to so much of the minimum.
pub const HURRY_SPACING_S: u32 = 60;
const HURRY_SPACING: Duration = Duration::from_secs(HURRY_SPACING_S as u64);
/// The same where the tracker answers and allows it: twice as long each time, up to the other. Who was found may have moved.
/// And where it does not answer: as much longer with so many failures.
const FIRST_HURRY_SPACING: Duration = Duration::from_secs(10);
const MANY_FAILS: u32 = 30;
/// Longest time for which one that refused is left alone by who waits, where it asks for that, seconds.
const MAX_PUT_OFF_S: u32 = 3600;
/// Back-off after the first failure before its growth, and its ceiling, seconds.
const RETRY_MIN_S: u64 = 5;
const RETRY_MAX_S: u64 = 3600;

/// One tracker of one torrent. Numbers are never reused: after a restart all trackers have new ones, so an answer that
/// comes in late from before is recognised and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackerId(pub u32);

/// Somebody waits for what a tracker may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurried {
    /// A read, with nobody to ask: it waits until the tracker allows it, but no longer than [`HURRY_SPACING`] or [`MAX_PUT_OFF_S`].
    ByRead,
    /// As soon as the tracker allows it.
    Gently,
}

/// The settings that decide about announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub announce_to_all_trackers: bool,
    pub announce_to_all_tiers: bool,
    /// Shortest regular interval, whatever the tracker says.
    pub min_announce_interval_s: u32,
    /// Growth of the back-off in percent (libtorrent's `tracker_backoff`).
    pub tracker_backoff: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            announce_to_all_trackers: false,
            announce_to_all_tiers: false,
            min_announce_interval_s: 300,
            tracker_backoff: 250,
        }
    }
}

/// An announce to carry out. Each one handed out is to be answered by [`Trackers::reply`] or [`Trackers::failed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceJob {
    pub tracker: TrackerId,
    pub url: String,
    pub event: AnnounceEvent,
    /// What the tracker gave as `tracker id`, to be sent back.
    pub tracker_id: Option<Vec<u8>>,
    /// The tracker failed last time.
    pub failed: bool,
}

/// What a tracker answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnnounceReply {
    /// 0: not given.
    pub interval_s: u32,
    /// 0: not given.
    pub min_interval_s: u32,
    pub peers: Vec<SocketAddr>,
    pub complete: Option<u32>,
    pub incomplete: Option<u32>,
    pub downloaded: Option<u32>,
    pub warning: Option<String>,
    pub tracker_id: Option<Vec<u8>>,
    /// Our address as the tracker sees it (BEP 24).
    pub external_ip: Option<IpAddr>,
}

/// When a tracker that answered, and refused, wants to be asked again (BEP 31). After no time: it did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryIn {
    After(Duration),
    Never,
}

/// A tracker as a status call shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerStatus {
    pub url: String,
    pub tier: u32,
    /// Failures in a row.
    pub fails: u32,
    pub updating: bool,
    /// It has answered at least once.
    pub verified: bool,
    pub enabled: bool,
    /// The last warning of the tracker, or why it is not used.
    pub message: String,
    /// Peers in the last reply, -1: none yet.
    pub num_peers: i32,
    /// -1: unknown.
    pub scrape_complete: i32,
    pub scrape_incomplete: i32,
    /// Milliseconds until the next announce; -1: none planned.
    pub next_announce_ms: i64,
    pub last_error: String,
}

/// The trackers of one torrent.
#[derive(Debug, Clone)]
pub struct Trackers {
    /// By tier, inside a tier in the order of asking.
    trackers: Vec<Tracker>,
    next_id: u32,
    policy: Policy,
    stopped: bool,
}

impl Trackers {
    /// From tiers as a torrent file has them. Each tier is shuffled (BEP 12). Empty, doubled and overlong URLs, and what
    /// exceeds [`MAX_TRACKERS`], are left out.
    pub fn new(tiers: &[Vec<String>], rng: &mut fastrand::Rng) -> Self {
        let mut this = Self { trackers: Vec::new(), next_id: 0, policy: Policy::default(), stopped: false };
        for (tier, urls) in (0..).zip(tiers) {
            let mut urls: Vec<&str> = urls.iter().map(String::as_str).collect();
            rng.shuffle(&mut urls);
            for url in urls {
                let _ = this.add(url, tier);
            }
        }
        this
    }

    /// Adds a tracker at the end of a tier; one that is there already stays as it is.
    pub fn add(&mut self, url: &str, tier: u32) -> Result<TrackerId, Error> {
        let url = url.trim();
        if url.is_empty() {
            return Err(Error::invalid("the tracker URL is empty"));
        }
        if url.len() > MAX_URL_LEN {
            return Err(Error::invalid(format!("the tracker URL has {} bytes, at most {MAX_URL_LEN}", url.len())));
        }
        if let Some(known) = self.trackers.iter().find(|t| t.url == url) {
            return Ok(known.id);
        }
        if self.trackers.len() >= MAX_TRACKERS {
            return Err(Error::invalid(format!("a torrent has at most {MAX_TRACKERS} trackers")));
        }
        let id = self.take_id();
        let at = self.trackers.partition_point(|t| t.tier <= tier);
        self.trackers.insert(at, Tracker::new(id, url.to_owned(), tier));
        Ok(id)
    }

    /// Puts these tiers in place of the present ones. A tracker that is in both keeps its state; to those that go, and
    /// were announced to, the returned jobs say goodbye.
    pub fn replace(&mut self, tiers: &[Vec<String>], rng: &mut fastrand::Rng) -> Vec<AnnounceJob> {
        let mut old = std::mem::take(&mut self.trackers);
        let fresh = Self::new(tiers, rng);
        for t in fresh.trackers {
            if let Some(at) = old.iter().position(|o| o.url == t.url) {
                let kept = old.swap_remove(at);
                self.trackers.push(Tracker { tier: t.tier, ..kept });
            } else {
                let id = self.take_id();
                self.trackers.push(Tracker { id, ..t });
            }
        }
        if self.stopped {
            return Vec::new();
        }
        old.iter().filter(|t| t.started && t.usable()).map(|t| t.job(AnnounceEvent::Stopped)).collect()
    }

    fn take_id(&mut self) -> TrackerId {
        let id = TrackerId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    /// The trackers that the policy reaches, by index.
    fn reach(&self) -> Vec<usize> {
        let (all_trackers, all_tiers) = (self.policy.announce_to_all_trackers, self.policy.announce_to_all_tiers);
        let mut reached = Vec::new();
        let mut tier = None;
        // Has a tracker of this tier, or of one before, been reached that holds?
        let (mut held_in_tier, mut held) = (false, false);
        for (i, t) in self.trackers.iter().enumerate() {
            if tier != Some(t.tier) {
                if held && !all_tiers {
                    break;
                }
                tier = Some(t.tier);
                held_in_tier = false;
            }
            if (held_in_tier && !all_trackers) || !t.usable() {
                continue;
            }
            reached.push(i);
            if t.holds() {
                held_in_tier = true;
                held = true;
            }
        }
        // `completed` goes to everyone who was told `started`, reached now or not.
        for (i, t) in self.trackers.iter().enumerate() {
            if t.completed_due() && t.usable() && !reached.contains(&i) {
                reached.push(i);
            }
        }
        reached
    }

    /// The announces to make now. They count as under way until they are answered for.
    pub fn poll(&mut self, now: Time, policy: &Policy) -> Vec<AnnounceJob> {
        self.policy = *policy;
        if self.stopped {
            return Vec::new();
        }
        let mut jobs = Vec::new();
        for i in self.reach() {
            let Some(t) = self.trackers.get_mut(i) else { continue };
            if t.due().is_some_and(|due| due <= now) {
                let event = t.event();
                t.in_flight = Some(event);
                t.asked = now;
                jobs.push(t.job(event));
            }
        }
        jobs
    }

    /// When the next [`Trackers::poll`] can have something to do. As of the policy of the last one.
    pub fn next_timeout(&self) -> Option<Time> {
        if self.stopped {
            return None;
        }
        self.reach().into_iter().filter_map(|i| self.trackers.get(i)?.due()).filter(|due| *due < Time::NEVER).min()
    }

    fn index(&self, id: TrackerId) -> Option<usize> {
        self.trackers.iter().position(|t| t.id == id)
    }

    /// A tracker answered. Answers of trackers that are gone or stopped are ignored.
    pub fn reply(&mut self, now: Time, id: TrackerId, reply: &AnnounceReply) {
        let min_interval_s = self.policy.min_announce_interval_s;
        let Some(i) = self.index(id) else { return };
        let Some(t) = self.trackers.get_mut(i) else { return };
        match t.in_flight.take() {
            Some(AnnounceEvent::Started) => t.started = true,
            Some(AnnounceEvent::Completed) => t.completed = Completed::Sent,
            Some(_) => {}
            None => return,
        }
        let interval = if reply.interval_s == 0 { DEFAULT_INTERVAL_S } else { reply.interval_s };
        let interval = interval.max(min_interval_s).min(MAX_INTERVAL_S);
        let min = reply.min_interval_s.clamp(MIN_SPACING_S, MAX_INTERVAL_S);
        t.next_announce = if t.completed_due() { now } else { now + seconds(interval) };
        t.min_announce = now + seconds(min);
        t.put_off_until = now + seconds(min.min(HURRY_SPACING_S));
        t.verified = true;
        let had_failed = std::mem::take(&mut t.fails) > 0;
        t.last_error.clear();
        t.message = reply.warning.clone().unwrap_or_default();
        t.num_peers = Some(u32::try_from(reply.peers.len()).unwrap_or(u32::MAX));
        t.complete = reply.complete.or(t.complete);
        t.incomplete = reply.incomplete.or(t.incomplete);
        if let Some(tracker_id) = &reply.tracker_id
            && tracker_id.len() <= MAX_TRACKER_ID_LEN
        {
            t.tracker_id = Some(tracker_id.clone());
        }
        let tier = t.tier;
        if had_failed {
            self.network_is_back(now, id);
        }
        // BEP 12: one that answers comes first in its tier.
        if !self.policy.announce_to_all_trackers {
            let front = self.trackers.partition_point(|t| t.tier < tier);
            if let Some(moved) = self.trackers.get_mut(front..=i) {
                moved.rotate_right(1);
            }
        }
    }

    /// One that had failed answers. Where all others that were asked had failed, too, that was the network: they are asked at once.
    fn network_is_back(&mut self, now: Time, by: TrackerId) {
        let asked = |t: &&Tracker| t.id != by && t.usable() && t.asked > Time::ZERO;
        if self.trackers.iter().filter(asked).all(|t| t.fails > 0) {
            for t in self.trackers.iter_mut().filter(|t| t.is_away()) {
                t.next_announce = t.next_announce.min(t.soonest().max(now));
            }
        }
    }

    /// An announce failed. Returns how often in a row it has now, 0 where the tracker is gone or stopped.
    pub fn failed(&mut self, now: Time, id: TrackerId, message: &str, retry_in: Option<RetryIn>) -> u32 {
        let backoff = u64::from(self.policy.tracker_backoff);
        let Some(t) = self.index(id).and_then(|i| self.trackers.get_mut(i)) else { return 0 };
        if t.in_flight.take().is_none() {
            return 0;
        }
        t.fails = t.fails.saturating_add(1);
        t.failed = now;
        t.put_us_off = retry_in.is_some();
        t.last_error = message.to_owned();
        let fails = u64::from(t.fails.min(1000));
        let delay = RETRY_MIN_S + fails * fails * RETRY_MIN_S * backoff / 100;
        let delay = Duration::from_secs(delay.min(RETRY_MAX_S));
        t.next_announce = match retry_in {
            Some(RetryIn::Never) => {
                t.refused = true;
                message.clone_into(&mut t.message);
                Time::NEVER
            }
            // What the tracker asks for, if it is longer than what we would wait anyway.
            Some(RetryIn::After(after)) => {
                t.put_off_until = now + after.min(seconds(MAX_PUT_OFF_S));
                now + after.max(delay).min(seconds(MAX_INTERVAL_S))
            }
            None => now + delay,
        };
        // The back-off rules now.
        t.min_announce = now;
        t.fails
    }

    /// Announces as soon as the trackers' minimum intervals allow, or at once. Those that refused us are asked again.
    pub fn force_reannounce(&mut self, now: Time, ignore_min_interval: bool) {
        for t in &mut self.trackers {
            t.refused = false;
            t.next_announce = now;
            if ignore_min_interval {
                t.min_announce = now;
            }
        }
    }

    /// Somebody waits, and there is nobody to ask: a tracker that was not asked for a moment is asked now, whatever its interval says.
    /// For a read, whatever its minimum or its back-off say, but so only [`HURRY_SPACING`] after its last answer, or when the time is over
    /// that it named as it refused, and each [`FIRST_HURRY_SPACING`] where it does not answer; for metadata less and less.
    /// `anew`: it has only just begun to wait.
    pub fn hurry(&mut self, now: Time, by: Hurried, anew: bool) {
        for t in self.trackers.iter_mut().filter(|t| t.usable() && t.in_flight.is_none()) {
            t.hurries = if anew { 0 } else { t.hurries };
            if t.may_be_hurried(now, by) && now.since(t.asked) >= MIN_SPACING {
                t.hurried = Some(now);
                t.hurries = t.hurries.saturating_add(1);
                t.next_announce = t.next_announce.min(now);
                t.min_announce = t.min_announce.min(now);
            }
        }
    }

    /// The download is complete: `completed` goes, once ever, to each tracker that was announced to.
    pub fn completed(&mut self, now: Time) {
        for t in &mut self.trackers {
            let announced = t.started || t.in_flight == Some(AnnounceEvent::Started);
            if announced && t.completed == Completed::No {
                t.completed = Completed::Due;
                // One that fails keeps its back-off.
                if t.fails == 0 {
                    t.next_announce = now;
                }
            }
        }
    }

    /// No more announces; the returned ones say goodbye to those that know us.
    pub fn stop(&mut self) -> Vec<AnnounceJob> {
        if std::mem::replace(&mut self.stopped, true) {
            return Vec::new();
        }
        let mut jobs = Vec::new();
        for t in &mut self.trackers {
            if t.started && t.usable() {
                jobs.push(t.job(AnnounceEvent::Stopped));
            }
            t.in_flight = None;
            t.started = false;
        }
        jobs
    }

    /// Begins anew after [`Trackers::stop`]: everyone is announced to at once, with `started`.
    pub fn restart(&mut self, now: Time) {
        self.stopped = false;
        for i in 0..self.trackers.len() {
            let id = self.take_id();
            if let Some(t) = self.trackers.get_mut(i) {
                t.id = id;
                t.in_flight = None;
                t.started = false;
                t.refused = false;
                t.fails = 0;
                t.next_announce = now;
                t.min_announce = now;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.trackers.is_empty()
    }

    pub fn len(&self) -> usize {
        self.trackers.len()
    }

    /// The first tracker that works, for a torrent's status.
    pub fn current(&self) -> Option<&str> {
        self.trackers.iter().find(|t| t.usable() && t.verified && t.fails == 0).map(|t| t.url.as_str())
    }

    /// The largest known numbers of seeds and of leechers.
    pub fn swarm_size(&self) -> (Option<u32>, Option<u32>) {
        (self.trackers.iter().filter_map(|t| t.complete).max(), self.trackers.iter().filter_map(|t| t.incomplete).max())
    }

    /// The URLs in tiers, for a torrent file. Tier numbers without trackers are left out.
    pub fn tiers(&self) -> Vec<Vec<String>> {
        self.trackers
            .chunk_by(|a, b| a.tier == b.tier)
            .map(|tier| tier.iter().map(|t| t.url.clone()).collect())
            .collect()
    }

    /// All trackers, by tier.
    pub fn status(&self, now: Time) -> Vec<TrackerStatus> {
        let reach = if self.stopped { Vec::new() } else { self.reach() };
        let row = |(i, t): (usize, &Tracker)| TrackerStatus {
            url: t.url.clone(),
            tier: t.tier,
            fails: t.fails,
            updating: t.in_flight.is_some(),
            verified: t.verified,
            enabled: t.usable(),
            message: t.message.clone(),
            num_peers: number(t.num_peers),
            scrape_complete: number(t.complete),
            scrape_incomplete: number(t.incomplete),
            next_announce_ms: match t.due() {
                Some(due) if due < Time::NEVER && reach.contains(&i) => {
                    i64::try_from(due.since(now).as_millis()).unwrap_or(i64::MAX)
                }
                _ => -1,
            },
            last_error: t.last_error.clone(),
        };
        self.trackers.iter().enumerate().map(row).collect()
    }
}

fn seconds(s: u32) -> Duration {
    Duration::from_secs(u64::from(s))
}

fn number(n: Option<u32>) -> i32 {
    n.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests;
