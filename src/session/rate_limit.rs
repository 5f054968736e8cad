//! Rate limits: a token bucket that works at any rate, and the turns of those who wait for it.
//!
//! A caller says how much it would like to move and is told how much it may ([`RateLimiter::acquire`]): at 1 byte a second a
//! request of 16 KiB is granted byte by byte, at 100 MB/s all at once. Nothing larger than the bucket has to fit into it,
//! so no rate is too low. What was moved before it could be counted is charged afterwards as a debt
//! ([`RateLimiter::charge`]).
//!
//! Waiters take turns in the order in which they came, a quantum each, so that one busy connection cannot starve the others.
//! Without a limit a call costs one atomic load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::engine::Time;

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

/// A limit that tasks share.
#[derive(Debug)]
pub struct RateLimiter {
    /// Bytes a second, 0: unlimited. A copy of the bucket's, to be read without its lock.
    rate: AtomicU32,
    bucket: Mutex<Bucket>,
    epoch: Instant,
    /// Whose turn it is: fair, first come, first served.
    turn: tokio::sync::Mutex<()>,
    /// The rate has changed: whoever sleeps has to look again.
    changed: Notify,
}

impl RateLimiter {
    /// A limit in bytes a second, 0: none.
    pub fn new(rate: u32) -> Arc<Self> {
        Arc::new(Self {
            rate: AtomicU32::new(rate),
            bucket: Mutex::new(Bucket::new(Time::ZERO, rate)),
            epoch: Instant::now(),
            turn: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
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
            let mut bucket = self.bucket.lock();
            bucket.set_rate(now, rate);
            self.rate.store(rate, Ordering::Release);
        }
        self.changed.notify_one();
    }

    /// Waits until at least one byte may be moved, and takes as many of `want` as may. Dropped while it waits, it has
    /// taken nothing.
    pub async fn acquire(&self, want: u32) -> u32 {
        if self.rate() == 0 {
            return want;
        }
        let _turn = self.turn.lock().await;
        loop {
            // `notify_one` keeps its permit, so a change between the look and the wait is not lost.
            let wait = match self.try_take(want) {
                Ok(granted) => return granted,
                Err(wait) => wait,
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Takes what may be moved now, without a wait and without regard to those who wait; else how long it would take.
    pub fn try_take(&self, want: u32) -> Result<u32, Duration> {
        if self.rate() == 0 {
            return Ok(want);
        }
        self.bucket.lock().take(self.now(), want)
    }

    /// Does it let somebody wait? Whoever waits keeps the turn for so long.
    pub fn holds_back(&self) -> bool {
        self.rate() != 0 && self.turn.try_lock().is_err()
    }

    /// Counts bytes that were moved already (see [`Bucket::charge`]).
    pub fn charge(&self, bytes: u32) {
        if self.rate() != 0 {
            self.bucket.lock().charge(self.now(), bytes);
        }
    }

    /// Gives back what was granted and not used.
    pub fn refund(&self, bytes: u32) {
        if self.rate() != 0 && bytes != 0 {
            self.bucket.lock().refund(bytes);
        }
    }
}

/// The limits that one connection is under, in one direction: its torrent's and the session's.
#[derive(Debug, Clone)]
pub struct RateLimits {
    pub torrent: Arc<RateLimiter>,
    pub session: Arc<RateLimiter>,
}

impl RateLimits {
    pub fn is_unlimited(&self) -> bool {
        self.torrent.rate() == 0 && self.session.rate() == 0
    }

    /// [`RateLimiter::acquire`] of both. The torrent's comes first: what it holds while it waits for the session's costs
    /// nobody but itself, the other way round a slow torrent would sit on what others could use.
    pub async fn acquire(&self, want: u32) -> u32 {
        let granted = Refund { limiter: &self.torrent, bytes: self.torrent.acquire(want).await };
        let bytes = self.session.acquire(granted.bytes).await;
        granted.keep(bytes)
    }

    /// Waits until all of `bytes` may be moved.
    pub async fn acquire_all(&self, bytes: u32) {
        let mut left = bytes;
        while left > 0 {
            left = left.saturating_sub(self.acquire(left).await);
        }
    }

    pub fn charge(&self, bytes: u32) {
        self.torrent.charge(bytes);
        self.session.charge(bytes);
    }

    pub fn refund(&self, bytes: u32) {
        self.torrent.refund(bytes);
        self.session.refund(bytes);
    }
}

/// What one limit has granted while the other is waited for; given back if the wait is dropped.
struct Refund<'a> {
    limiter: &'a RateLimiter,
    bytes: u32,
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
        self.limiter.refund(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [u32; 12] = [1, 2, 3, 99, 1000, 15_000, 16_384, 20_000, 123_457, 1_000_000, 10_000_000, 100_000_000];

    /// What a bucket grants in ten seconds to someone who always wants `want`, woken exactly when told or `late` later.
    fn granted_in_10_s(rate: u32, want: u32, late: Duration) -> (u64, u32) {
        let mut bucket = Bucket::new(Time::ZERO, rate);
        let end = Time::from_millis(10_000);
        let (mut now, mut sum, mut grants) = (Time::ZERO, 0, 0);
        loop {
            match bucket.take(now, want) {
                Ok(n) => {
                    assert!(n >= 1 && n <= want.min(bucket.quantum()));
                    sum += u64::from(n);
                    grants += 1;
                }
                Err(wait) => {
                    assert!(!wait.is_zero());
                    now = now + wait + late;
                    if now > end {
                        return (sum, grants);
                    }
                }
            }
        }
    }

    #[test]
    fn precise_within_one_percent_at_any_rate() {
        for rate in RATES {
            for want in [1, 1000, 16_384, 1_000_000] {
                if rate / want > 1_000_000 {
                    continue;
                }
                for late in [Duration::ZERO, Duration::from_millis(3)] {
                    let (sum, _) = granted_in_10_s(rate, want, late);
                    let ideal = u64::from(rate) * 10;
                    // one percent, and the one grant that may fall just behind the end
                    let slack = ideal / 100 + 1;
                    assert!(sum.abs_diff(ideal) <= slack, "{sum} of {ideal} at {rate} B/s by {want}");
                }
            }
        }
    }

    #[test]
    fn grants_are_few_and_large_at_high_rates() {
        let (_, grants) = granted_in_10_s(100_000_000, 1_000_000, Duration::ZERO);
        assert!(grants < 5_000, "{grants}");
        let (_, grants) = granted_in_10_s(50_000, 16_384, Duration::ZERO);
        assert!(grants <= 1001, "{grants}");
    }

    #[test]
    fn idle_time_saves_up_a_tenth_of_a_second_only() {
        let mut bucket = Bucket::new(Time::ZERO, 1_000_000);
        let now = Time::from_millis(3_600_000);
        let mut sum = 0;
        while let Ok(n) = bucket.take(now, 1_000_000) {
            sum += n;
        }
        assert!((90_000..=100_000).contains(&sum), "{sum}");
    }

    #[test]
    fn debt_is_paid_before_the_next_grant() {
        let mut bucket = Bucket::new(Time::ZERO, 1000);
        bucket.charge(Time::ZERO, 5000);
        assert_eq!(bucket.take(Time::ZERO, 10), Err(Duration::from_millis(5010)));
        assert_eq!(bucket.take(Time::from_millis(5010), 10), Ok(10));
        bucket.charge(Time::from_millis(5010), u32::MAX);
        bucket.set_rate(Time::from_millis(5010), 0);
        bucket.set_rate(Time::from_millis(5010), 1000);
        assert_eq!(bucket.take(Time::from_millis(5020), 10), Ok(10), "lifting the limit forgives");
    }

    #[test]
    fn refunds_are_granted_again_within_the_burst() {
        let mut bucket = Bucket::new(Time::ZERO, 100_000);
        let now = Time::from_millis(100);
        assert_eq!(bucket.take(now, 10_000), Ok(10_000));
        bucket.refund(4_000);
        assert_eq!(bucket.take(now, 10_000), Ok(4_000));
        bucket.refund(u32::MAX);
        assert_eq!(bucket.take(now, 10_000), Ok(10_000));
        assert!(bucket.take(now, 10_000).is_err());
    }

    #[test]
    fn time_going_back_and_extremes_are_harmless() {
        let mut bucket = Bucket::new(Time::from_millis(1000), u32::MAX);
        assert!(bucket.take(Time::ZERO, 1).is_err());
        assert!(bucket.take(Time::NEVER, u32::MAX).is_ok());
        let mut bucket = Bucket::new(Time::ZERO, 1);
        bucket.charge(Time::ZERO, u32::MAX);
        assert_eq!(bucket.take(Time::ZERO, 1), Err(MAX_WAIT));
        assert_eq!(Bucket::new(Time::ZERO, 0).take(Time::ZERO, u32::MAX), Ok(u32::MAX));
    }

    async fn moved_in(limits: RateLimits, want: u32, time: Duration) -> u64 {
        let mut sum = 0;
        let _ = tokio::time::timeout(time, async {
            loop {
                sum += u64::from(limits.acquire(want).await);
            }
        })
        .await;
        sum
    }

    #[tokio::test(start_paused = true)]
    async fn async_rates_hold_in_virtual_time() {
        for rate in RATES {
            let limits = RateLimits { torrent: RateLimiter::new(0), session: RateLimiter::new(rate) };
            let sum = moved_in(limits, 16_384, Duration::from_secs(10)).await;
            let ideal = u64::from(rate) * 10;
            assert!(sum.abs_diff(ideal) <= ideal / 100 + 1, "{sum} of {ideal}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_tighter_of_two_limits_holds_and_the_rest_is_left_to_others() {
        let session = RateLimiter::new(100_000);
        let slow = RateLimits { torrent: RateLimiter::new(10_000), session: session.clone() };
        let fast = RateLimits { torrent: RateLimiter::new(0), session };
        let time = Duration::from_secs(10);
        let (slow, fast) = tokio::join!(moved_in(slow, 16_384, time), moved_in(fast, 16_384, time));
        assert!(slow.abs_diff(100_000) <= 2_000, "{slow}");
        assert!(fast.abs_diff(900_000) <= 20_000, "{fast}");
    }

    #[tokio::test(start_paused = true)]
    async fn connections_share_fairly() {
        let limits = RateLimits { torrent: RateLimiter::new(0), session: RateLimiter::new(1_000_000) };
        let tasks: Vec<_> =
            (0..10).map(|_| tokio::spawn(moved_in(limits.clone(), 16_384, Duration::from_secs(10)))).collect();
        for task in tasks {
            let sum = task.await.expect("a sum");
            assert!(sum.abs_diff(1_000_000) < 50_000, "{sum}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_wakes_those_who_wait() {
        let limiter = RateLimiter::new(1);
        limiter.charge(1_000_000);
        let begin = Instant::now();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let limiter = limiter.clone();
                tokio::spawn(async move { limiter.acquire(16_384).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(waiting.iter().all(|w| !w.is_finished()) && limiter.holds_back());
        limiter.set_rate(0);
        for w in waiting {
            assert_eq!(w.await.expect("granted"), 16_384);
        }
        assert!(begin.elapsed() < Duration::from_secs(6));
        limiter.set_rate(1000);
        assert!(!limiter.holds_back(), "nobody waits");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_wait_takes_nothing() {
        let limits = RateLimits { torrent: RateLimiter::new(1_000_000), session: RateLimiter::new(1) };
        limits.session.charge(1000);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(tokio::time::timeout(Duration::from_secs(1), limits.acquire(10_000)).await.is_err());
        assert_eq!(limits.torrent.try_take(16_384), Ok(16_384), "the torrent's grant came back");
    }
}
