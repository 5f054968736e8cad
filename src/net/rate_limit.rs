//! Rate limits: a token bucket that works at any rate, and the turns of those who wait for it.
//!
//! A caller says how much it would like to move and is told how much it may ([`RateLimiter::acquire`]): at 1 byte a second a
//! request of 16 KiB is granted byte by byte, at 100 MB/s all at once. Nothing larger than the bucket has to fit into it,
//! so no rate is too low. What was moved before it could be counted is charged afterwards as a debt
//! ([`RateLimiter::charge`]).
//!
//! Waiters take turns in the order in which they came, a quantum each, so that one busy connection cannot starve the others.
//! Without a limit a call costs one atomic load.
//!
//! What a peer sends is paid for before it is known to be of use. So that peers which send nothing of use, are closed for it and
//! come again do not live on the share of those that do, whoever has not yet brought what was asked for is [`Standing::Unproven`]:
//! all of them together get a small part of the limit while anybody proven wants it, and all of it while nobody does. A block that
//! was asked for is paid for by the proven from its header on, so the first block of an honest peer is not held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::base::time::Time;

/// Micro-bytes of a byte: the unit of the credit, so that every rate accrues exactly, microsecond by microsecond.
const SCALE: i64 = 1_000_000;
/// The least that a grant may be bounded by, bytes.
const MIN_QUANTUM: u32 = 16 * 1024;
const MAX_QUANTUM: u32 = 256 * 1024;
/// An idle bucket holds what its rate gives in this time.
const BURST: Duration = Duration::from_millis(100);
/// Grants come at most this often (100 a second) unless they are whole: fewer, larger system calls.
const GRANTS_A_SECOND: u32 = 100;
/// No wait is longer without another look.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// While the proven want it, the unproven get a part of the limit: one of so many.
const UNPROVEN_SHARE: u32 = 16;
/// For so long after the last that a proven one wanted.
const WANTED: Duration = Duration::from_secs(1);

/// What whoever moves bytes has shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Proven,
    Unproven,
}

/// A token bucket. Pure: the time is an argument.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Bytes a second, 0: unlimited.
    rate: u32,
    /// Micro-bytes; negative: a debt.
    credit: i64,
    last: Time,
}

impl Bucket {
    /// An empty bucket.
    pub fn new(now: Time, rate: u32) -> Self {
        Self { rate, credit: 0, last: now }
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Changes the rate from now on. A debt stays, stored credit is cut to what the new rate may hold.
    pub fn set_rate(&mut self, now: Time, rate: u32) {
        self.accrue(now);
        self.rate = rate;
        if rate == 0 {
            self.credit = 0;
        }
        self.credit = self.credit.min(self.capacity());
    }

    /// Most that one call is granted.
    pub fn quantum(&self) -> u32 {
        (self.rate / GRANTS_A_SECOND).clamp(MIN_QUANTUM, MAX_QUANTUM)
    }

    fn capacity(&self) -> i64 {
        let burst = i64::from(self.rate) * i64::try_from(BURST.as_micros()).unwrap_or(0);
        burst.max(SCALE)
    }

    fn accrue(&mut self, now: Time) {
        let elapsed = i64::try_from(now.since(self.last).as_micros()).unwrap_or(i64::MAX);
        self.last = self.last.max(now);
        let earned = elapsed.saturating_mul(i64::from(self.rate));
        self.credit = self.credit.saturating_add(earned).min(self.capacity());
    }

    /// Takes up to `want` bytes: how many are granted, at least one, or how long to wait before asking again.
    pub fn take(&mut self, now: Time, want: u32) -> Result<u32, Duration> {
        if self.rate == 0 || want == 0 {
            return Ok(want);
        }
        self.accrue(now);
        let want = want.min(self.quantum());
        let enough = want.min((self.rate / GRANTS_A_SECOND).max(1));
        let missing = i64::from(enough) * SCALE - self.credit;
        if missing > 0 {
            let micros = missing.unsigned_abs().div_ceil(u64::from(self.rate));
            return Err(Duration::from_micros(micros).min(MAX_WAIT));
        }
        let granted = want.min(u32::try_from(self.credit / SCALE).unwrap_or(u32::MAX));
        self.credit -= i64::from(granted) * SCALE;
        Ok(granted)
    }

    /// Counts bytes that were moved already; what comes after waits until they are paid for.
    pub fn charge(&mut self, now: Time, bytes: u32) {
        if self.rate != 0 {
            self.accrue(now);
            self.credit = self.credit.saturating_sub(i64::from(bytes) * SCALE);
        }
    }

    /// Gives back what was granted and not used.
    pub fn refund(&mut self, bytes: u32) {
        if self.rate != 0 {
            self.credit = self.credit.saturating_add(i64::from(bytes) * SCALE).min(self.capacity());
        }
    }
}

/// The bucket of all, and what the unproven may take of it. Pure.
#[derive(Debug)]
struct Buckets {
    all: Bucket,
    unproven: Bucket,
    /// When a proven one wanted something last.
    wanted_at: Option<Time>,
}

impl Buckets {
    fn new(now: Time, rate: u32) -> Self {
        Self { all: Bucket::new(now, rate), unproven: Bucket::new(now, unproven_rate(rate)), wanted_at: None }
    }

    fn set_rate(&mut self, now: Time, rate: u32) {
        self.all.set_rate(now, rate);
        self.unproven.set_rate(now, unproven_rate(rate));
    }

    /// A proven one wants something.
    fn wanted(&mut self, now: Time) {
        self.wanted_at = Some(now);
    }

    /// How many of `want` bytes the unproven may ask of the bucket of all, at least one, or how long to wait before asking again.
    fn allow_unproven(&mut self, now: Time, want: u32) -> Result<u32, Duration> {
        match self.wanted_at {
            Some(at) if now.since(at) < WANTED => self.unproven.take(now, want),
            _ => Ok(want),
        }
    }
}

/// 0 stays 0, which is no limit.
fn unproven_rate(rate: u32) -> u32 {
    rate.div_ceil(UNPROVEN_SHARE)
}

/// Whose turn it is: fair, first come, first served.
#[derive(Debug, Default)]
struct Line {
    turn: tokio::sync::Mutex<()>,
    /// The rate has changed: whoever sleeps has to look again.
    changed: Notify,
}

impl Line {
    /// Waits for the turn, then until something is given. Dropped while it waits, it has taken nothing.
    async fn wait(&self, mut take: impl FnMut() -> Result<u32, Duration>) -> u32 {
        let _turn = self.turn.lock().await;
        loop {
            // `notify_one` keeps its permit, so a change between the look and the wait is not lost.
            let wait = match take() {
                Ok(granted) => return granted,
                Err(wait) => wait,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

/// A limit that tasks share.
#[derive(Debug)]
pub struct RateLimiter {
    /// Bytes a second, 0: unlimited. A copy of the buckets', to be read without their lock.
    rate: AtomicU32,
    buckets: Mutex<Buckets>,
    epoch: Instant,
    line: Line,
    /// Of the unproven, who wait for their part here and not in the way of the others.
    unproven_line: Line,
}

impl RateLimiter {
    /// A limit in bytes a second, 0: none.
    pub fn new(rate: u32) -> Arc<Self> {
        Arc::new(Self {
            rate: AtomicU32::new(rate),
            buckets: Mutex::new(Buckets::new(Time::ZERO, rate)),
            epoch: Instant::now(),
            line: Line::default(),
            unproven_line: Line::default(),
        })
    }

    fn now(&self) -> Time {
        Time::ZERO + self.epoch.elapsed()
    }

    pub fn rate(&self) -> u32 {
        self.rate.load(Ordering::Acquire)
    }

    /// Sets the limit; it holds at once, for those who wait too.
    pub fn set_rate(&self, rate: u32) {
        let now = self.now();
        {
            let mut buckets = self.buckets.lock();
            buckets.set_rate(now, rate);
            self.rate.store(rate, Ordering::Release);
        }
        self.line.changed.notify_one();
        self.unproven_line.changed.notify_one();
    }

    /// Waits until at least one byte may be moved, and takes as many of `want` as may. Dropped while it waits, it has
    /// taken nothing.
    pub async fn acquire(&self, want: u32, standing: Standing) -> u32 {
        if self.rate() == 0 {
            return want;
        }
        if standing == Standing::Proven {
            // Said before the wait for the turn, and again at each look: it wants it all the time.
            self.buckets.lock().wanted(self.now());
            return self.line.wait(|| self.try_take(want, standing)).await;
        }
        let allow = || self.buckets.lock().allow_unproven(self.now(), want);
        let mut allowed = Allowed { limiter: self, bytes: self.unproven_line.wait(allow).await };
        let granted = self.line.wait(|| self.try_take(allowed.bytes, standing)).await;
        allowed.bytes = allowed.bytes.saturating_sub(granted);
        granted
    }

    /// Takes what may be moved now, without a wait and without regard to those who wait; else how long it would take.
    fn try_take(&self, want: u32, standing: Standing) -> Result<u32, Duration> {
        if self.rate() == 0 {
            return Ok(want);
        }
        let mut buckets = self.buckets.lock();
        let now = self.now();
        if standing == Standing::Proven {
            buckets.wanted(now);
        }
        buckets.all.take(now, want)
    }

    /// Does it let somebody wait? Whoever waits keeps the turn for so long.
    pub fn holds_back(&self) -> bool {
        self.rate() != 0 && self.line.turn.try_lock().is_err()
    }

    /// Counts bytes that were moved already (see [`Bucket::charge`]).
    pub fn charge(&self, bytes: u32) {
        if self.rate() != 0 {
            self.buckets.lock().all.charge(self.now(), bytes);
        }
    }

    /// Gives back what was granted and not used.
    pub fn refund(&self, bytes: u32, standing: Standing) {
        if self.rate() != 0 && bytes != 0 {
            let mut buckets = self.buckets.lock();
            buckets.all.refund(bytes);
            if standing == Standing::Unproven {
                buckets.unproven.refund(bytes);
            }
        }
    }
}

/// What the unproven were allowed and did not take; given back.
struct Allowed<'a> {
    limiter: &'a RateLimiter,
    bytes: u32,
}

impl Drop for Allowed<'_> {
    fn drop(&mut self) {
        self.limiter.buckets.lock().unproven.refund(self.bytes);
    }
}

/// The limits that one connection is under, in one direction: its torrent's and the session's.
#[derive(Debug, Clone)]
pub struct RateLimits {
    pub torrent: Arc<RateLimiter>,
    pub session: Arc<RateLimiter>,
    pub standing: Standing,
    /// Its torrent is read in the background, and somebody plays in another one: of the session's limit it has what those who have
    /// not proven anything have.
    pub gives_way: bool,
}

impl RateLimits {
    fn session_standing(&self) -> Standing {
        if self.gives_way { Standing::Unproven } else { self.standing }
    }

    pub fn is_unlimited(&self) -> bool {
        self.torrent.rate() == 0 && self.session.rate() == 0
    }

    /// [`RateLimiter::acquire`] of both. The torrent's comes first: what it holds while it waits for the session's costs
    /// nobody but itself, the other way round a slow torrent would sit on what others could use.
    pub async fn acquire(&self, want: u32) -> u32 {
        let standing = self.standing;
        let bytes = self.torrent.acquire(want, standing).await;
        let granted = Refund { limiter: &self.torrent, bytes, standing };
        let bytes = self.session.acquire(granted.bytes, self.session_standing()).await;
        granted.keep(bytes)
    }

    pub fn charge(&self, bytes: u32) {
        self.torrent.charge(bytes);
        self.session.charge(bytes);
    }

    pub fn refund(&self, bytes: u32) {
        self.torrent.refund(bytes, self.standing);
        self.session.refund(bytes, self.session_standing());
    }
}

/// What one limit has granted while the other is waited for; given back if the wait is dropped.
struct Refund<'a> {
    limiter: &'a RateLimiter,
    bytes: u32,
    standing: Standing,
}

impl Refund<'_> {
    /// Keeps so much of it, and gives the rest back.
    fn keep(mut self, bytes: u32) -> u32 {
        self.bytes = self.bytes.saturating_sub(bytes);
        bytes
    }
}

impl Drop for Refund<'_> {
    fn drop(&mut self) {
        self.limiter.refund(self.bytes, self.standing);
    }
}

#[cfg(test)]
#[path = "rate_limit_tests.rs"]
mod tests;
