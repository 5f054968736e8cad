//! Tests of the rate limits.

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

/// Proven and unproven ones that always want more, each every 10 ms: what either is given in ten seconds.
fn given(rate: u32, proven: bool, unproven: bool) -> (u64, u64) {
    let mut buckets = Buckets::new(Time::ZERO, rate);
    let mut sums = (0, 0);
    for ms in (0..10_000).step_by(10) {
        let now = Time::from_millis(ms);
        if unproven
            && let Ok(allowed) = buckets.allow_unproven(now, 1_000_000)
            && let Ok(n) = buckets.all.take(now, allowed)
        {
            sums.1 += u64::from(n);
        }
        if proven {
            buckets.wanted(now);
            sums.0 += u64::from(buckets.all.take(now, 1_000_000).unwrap_or(0));
        }
    }
    sums
}

#[test]
fn the_unproven_get_a_part_while_the_proven_want_it_and_else_all() {
    for rate in [100_000, 1_000_000, 8_000_000] {
        let all = u64::from(rate) * 10;
        let (proven, unproven) = given(rate, true, true);
        assert!(proven >= all * 9 / 10, "{proven} of {all}");
        assert!((all / 40..=all / 15).contains(&unproven), "{unproven} of {all}");
        let (_, alone) = given(rate, false, true);
        assert!(alone >= all * 19 / 20, "{alone} of {all}");
    }
    let mut buckets = Buckets::new(Time::ZERO, 1000);
    buckets.wanted(Time::from_millis(500));
    assert!(buckets.allow_unproven(Time::from_millis(500), 9000).is_ok_and(|n| n < 100));
    assert_eq!(buckets.allow_unproven(Time::from_millis(1500), 9000), Ok(9000), "nobody wants it any more");
    buckets.wanted(Time::from_millis(1500));
    buckets.set_rate(Time::from_millis(1500), 0);
    assert_eq!(buckets.allow_unproven(Time::from_millis(1500), 9000), Ok(9000), "there is no limit");
}

fn limits(torrent: u32, session: &Arc<RateLimiter>) -> RateLimits {
    RateLimits {
        torrent: RateLimiter::new(torrent),
        session: session.clone(),
        standing: Standing::Proven,
        gives_way: false,
    }
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
        let limits = limits(0, &RateLimiter::new(rate));
        let sum = moved_in(limits, 16_384, Duration::from_secs(10)).await;
        let ideal = u64::from(rate) * 10;
        assert!(sum.abs_diff(ideal) <= ideal / 100 + 1, "{sum} of {ideal}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_tighter_of_two_limits_holds_and_the_rest_is_left_to_others() {
    let session = RateLimiter::new(100_000);
    let slow = limits(10_000, &session);
    let fast = limits(0, &session);
    let time = Duration::from_secs(10);
    let (slow, fast) = tokio::join!(moved_in(slow, 16_384, time), moved_in(fast, 16_384, time));
    assert!(slow.abs_diff(100_000) <= 2_000, "{slow}");
    assert!(fast.abs_diff(900_000) <= 20_000, "{fast}");
}

#[tokio::test(start_paused = true)]
async fn connections_share_fairly() {
    let limits = limits(0, &RateLimiter::new(1_000_000));
    let tasks: Vec<_> =
        (0..10).map(|_| tokio::spawn(moved_in(limits.clone(), 16_384, Duration::from_secs(10)))).collect();
    for task in tasks {
        let sum = task.await.expect("a sum");
        assert!(sum.abs_diff(1_000_000) < 50_000, "{sum}");
    }
}

/// However many they are, and however often they give up and come again.
#[tokio::test(start_paused = true)]
async fn many_unproven_leave_the_proven_their_share() {
    let (torrent, session) = (RateLimiter::new(1_000_000), RateLimiter::new(2_000_000));
    let unproven = RateLimits { torrent, session, standing: Standing::Unproven, gives_way: false };
    let proven = RateLimits { standing: Standing::Proven, ..unproven.clone() };
    let time = Duration::from_secs(10);
    let crowd: Vec<_> = (0..50)
        .map(|n| {
            let limits = unproven.clone();
            tokio::spawn(async move {
                let mut sum = 0;
                while sum < u64::MAX {
                    sum += moved_in(limits.clone(), 200_000, Duration::from_millis(50 + n)).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sum = moved_in(proven, 200_000, time).await;
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(sum >= 9_000_000, "{sum}");
    // And alone one of them gets it all.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sum = moved_in(unproven, 200_000, time).await;
    assert!(sum.abs_diff(10_000_000) < 200_000, "{sum}");
}

/// Torrents of readers in the background leave the session's limit to one that plays, and have it when that rests.
#[tokio::test(start_paused = true)]
async fn those_who_give_way_leave_the_session_limit_to_others() {
    let session = RateLimiter::new(1_000_000);
    let player = limits(0, &session);
    let behind = RateLimits { gives_way: true, ..limits(0, &session) };
    let time = Duration::from_secs(10);
    let (plays, reads) = tokio::join!(moved_in(player, 16_384, time), moved_in(behind.clone(), 16_384, time));
    assert!(plays >= 9_000_000 && reads > 0, "{plays}, {reads}");
    let reads = moved_in(behind, 16_384, time).await;
    assert!(reads >= 9_000_000, "{reads}");
}

#[tokio::test(start_paused = true)]
async fn a_change_wakes_those_who_wait() {
    let limiter = RateLimiter::new(1);
    limiter.charge(1_000_000);
    let begin = Instant::now();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.acquire(16_384, Standing::Proven).await })
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
    let limits = limits(1_000_000, &RateLimiter::new(1));
    limits.session.charge(1000);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), limits.acquire(10_000)).await.is_err());
    assert_eq!(limits.torrent.try_take(16_384, Standing::Proven), Ok(16_384), "the torrent's grant came back");
}
