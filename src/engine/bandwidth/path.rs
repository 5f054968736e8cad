//! The way to a peer: how long it is and how much it carries, found out as BBR does (Cardwell et al., 2016).
//!
//! The round trip is the least that a request took lately; the bandwidth is the most that came in during one request's wait. A
//! queue of requests that is just longer than their product keeps the way full, and anything beyond it only waits at the peer,
//! where it stands before what a seek asks for. So while somebody plays, that is all that is asked for; a plain download
//! asks for more, so that a busy moment here or there costs nothing.

use std::time::Duration;

use super::slow_start::SlowStart;
use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;

/// For how long a round trip counts, once or twice.
const RTT_WINDOW: Duration = Duration::from_secs(5);
/// The same for a bandwidth.
const BANDWIDTH_WINDOW: Duration = Duration::from_secs(2);
/// What came in a shorter time shows how fast a socket is read, not what the way carries.
const MIN_SAMPLE: Duration = Duration::from_millis(2);
/// A player's queue reaches so far beyond the round trip, and further where answers come irregularly.
const MIN_MARGIN: Duration = Duration::from_millis(2);
const MAX_MARGIN: Duration = Duration::from_millis(100);
/// The least margin has no more blocks than this: what waits in the socket of a very fast way grows cold.
const MARGIN_BLOCKS: f64 = 128.0;
/// A queue that is full brings less than this part of what the way carries: it runs dry now and then.
const RUNS_DRY: f64 = 0.85;
/// The least span over which that is seen.
const MIN_SPAN: Duration = Duration::from_millis(200);
/// So many bytes that were asked for at once show that a way has become slower.
const TELLING: f64 = 4.0 * BLOCK_SIZE as f64;
/// In one round trip of so many a player's queue is longer by a quarter, so that it shows where a way carries more.
const PROBE_EVERY: u64 = 8;
const PROBE_PERCENT: u32 = 125;
/// How late an answer may be before anything is known; two deviations, within bounds, from then on.
const FIRST_PATIENCE: Duration = Duration::from_millis(200);
const MIN_PATIENCE: Duration = Duration::from_millis(50);
const MAX_PATIENCE: Duration = Duration::from_secs(2);
/// A peer of whom nothing is known is asked for so many blocks at first.
pub const FIRST_QUEUE: usize = 16;
/// A slow start asks for no more than comes in that time, nor, beyond the first queue, in three round trips: seeks may keep it from ever
/// ending.
const RAMP: Duration = Duration::from_secs(1);
/// A round trip longer than this is a queue.
const MAX_RTT: Duration = Duration::from_secs(2);

/// How far ahead a peer is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueTime {
    /// Somebody plays: as little as keeps the way full, so many percent of a round trip.
    Least { percent: u32 },
    /// What it delivers in that time, beyond the round trip.
    Plus(Duration),
}

/// The best of the samples of the current window and of the one before.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Lately<T> {
    better: fn(T, T) -> T,
    window: Duration,
    since: Time,
    before: Option<T>,
    current: Option<T>,
}

impl<T: Copy> Lately<T> {
    pub fn new(window: Duration, better: fn(T, T) -> T) -> Self {
        Self { better, window, since: Time::ZERO, before: None, current: None }
    }

    pub fn add(&mut self, now: Time, sample: T) {
        if now.since(self.since) >= self.window {
            (self.since, self.before, self.current) = (now, self.current, None);
        }
        self.current = Some(self.current.map_or(sample, |best| (self.better)(best, sample)));
    }

    pub fn best(&self) -> Option<T> {
        match (self.before, self.current) {
            (Some(a), Some(b)) => Some((self.better)(a, b)),
            (a, b) => a.or(b),
        }
    }
}

/// What is known of the way to a peer.
#[derive(Debug)]
pub struct PeerPath {
    delivered: u64,
    rtt: Lately<Duration>,
    bandwidth: Lately<f64>,
    deviation: Option<Duration>,
    /// A player's queue reaches so far beyond the round trip.
    margin: Duration,
    full_since: Option<(Time, u64)>,
    /// Until so much has come, less than the way carries was asked for.
    dry_until: Option<u64>,
    /// While it is being found out what the way carries.
    slow_start: Option<SlowStart>,
}

impl Default for PeerPath {
    fn default() -> Self {
        Self {
            delivered: 0,
            rtt: Lately::new(RTT_WINDOW, Duration::min),
            bandwidth: Lately::new(BANDWIDTH_WINDOW, f64::max),
            deviation: None,
            margin: MIN_MARGIN,
            full_since: None,
            dry_until: None,
            slow_start: None,
        }
    }
}

impl PeerPath {
    /// A new way: so many blocks are asked for at first.
    pub fn new(first_queue: usize) -> Self {
        Self { slow_start: Some(SlowStart::new(first_queue)), ..Self::default() }
    }

    /// Bytes that came so far: a request notes it when it goes out.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Bytes came that no request waits for any more. They took their time all the same.
    pub fn stray(&mut self, bytes: u32) {
        self.delivered += u64::from(bytes);
    }

    /// The answer to a request came that was sent then, when so much had been delivered.
    pub fn answered(&mut self, now: Time, bytes: u32, sent: Time, delivered_then: u64) {
        self.delivered += u64::from(bytes);
        let took = now.since(sent).max(Duration::from_micros(1));
        self.rtt.add(now, took);
        let came = self.delivered.saturating_sub(delivered_then) as f64;
        let sample = came / took.max(MIN_SAMPLE).as_secs_f64();
        let known = self.bandwidth();
        if self.dry_until.is_none_or(|until| delivered_then > until) || sample > known {
            self.bandwidth.add(now, sample);
        } else if came >= TELLING {
            // Little came where little was asked for. What was known of the way holds, as far as it could have come so soon.
            self.bandwidth.add(now, known.min(came / (took - self.rtt()).as_secs_f64()));
        }
        let (delivered, bandwidth) = (self.delivered, self.bandwidth());
        let rtt = self.rtt();
        self.slow_start = self.slow_start.and_then(|mut start| {
            let full = start.is_full(now, took, rtt);
            start.answered(delivered_then, delivered, bandwidth).filter(|_| !full)
        });
    }

    /// The queue was as long as it may be, since a while now. What came in that time, and how long it should be from now on:
    /// where clearly less came than the way can carry, answers are late now and then, and it runs dry meanwhile.
    pub fn backlogged(&mut self, now: Time, share: f64) {
        let Some((since, delivered)) = self.full_since else {
            self.full_since = Some((now, self.delivered));
            return;
        };
        let span = now.since(since);
        if span < self.rtt().max(MIN_SPAN) {
            return;
        }
        let came = (self.delivered - delivered) as f64 / span.as_secs_f64();
        let margin = if came < self.bandwidth() * share * RUNS_DRY {
            self.margin * 5 / 4 + Duration::from_millis(2)
        } else {
            self.margin * 7 / 8
        };
        self.margin = margin.clamp(MIN_MARGIN, MAX_MARGIN);
        self.full_since = Some((now, self.delivered));
    }

    /// Blocks that come in the time by which its answers are irregular.
    pub fn slack(&self) -> f64 {
        self.bandwidth() * (self.margin - MIN_MARGIN).as_secs_f64() / f64::from(BLOCK_SIZE)
    }

    /// There was not enough to ask for, beyond so many blocks that are still to come.
    pub fn idle(&mut self, outstanding: u64) {
        self.full_since = None;
        self.dry_until = Some(self.delivered + outstanding * u64::from(BLOCK_SIZE));
        if let Some(start) = &mut self.slow_start {
            start.ran_dry(self.delivered);
        }
    }

    /// How far the answer was from when it was expected: a smoothed mean, as TCP has it (RFC 6298).
    pub fn deviated(&mut self, by: Duration) {
        self.deviation = Some(self.deviation.map_or(by, |mean| (mean * 3 + by) / 4));
    }

    /// So long after it was expected an answer is late.
    pub fn patience(&self) -> Duration {
        self.deviation.map_or(FIRST_PATIENCE, |mean| (mean * 2).clamp(MIN_PATIENCE, MAX_PATIENCE))
    }

    /// The peer was away for a while: what its way carries is found out anew.
    pub fn start_anew(&mut self) {
        self.slow_start = Some(SlowStart::new(FIRST_QUEUE));
        (self.full_since, self.dry_until) = (None, None);
    }

    /// Zero until the first answer.
    pub fn rtt(&self) -> Duration {
        self.rtt.best().unwrap_or_default()
    }

    /// Bytes a second, 0 until the first answer.
    pub fn bandwidth(&self) -> f64 {
        self.bandwidth.best().unwrap_or_default()
    }

    /// Is it still being found out what the way carries?
    pub fn is_starting(&self) -> bool {
        self.slow_start.is_some()
    }

    /// How many blocks to have asked for while it is being found out what the way carries: twice as many with each round trip. None
    /// from then on.
    pub fn ramp(&self) -> Option<usize> {
        let queue = self.slow_start?.queue();
        let bandwidth = self.bandwidth();
        if bandwidth == 0.0 {
            return Some(queue);
        }
        let rtt = self.rtt();
        let brings = |time: Duration| (bandwidth * time.as_secs_f64() / f64::from(BLOCK_SIZE)) as usize;
        Some(queue.min(brings(RAMP.max(rtt * 2))).min(brings(rtt * 3).max(FIRST_QUEUE)))
    }

    /// How many blocks to have asked for, where so much of the bandwidth is its own.
    pub fn queue(&self, time: QueueTime, share: f64) -> f64 {
        let rtt = self.rtt().min(MAX_RTT);
        let blocks_in = |span: Duration| self.bandwidth() * share * span.as_secs_f64() / f64::from(BLOCK_SIZE);
        match time {
            QueueTime::Least { percent } => {
                let least = blocks_in(MIN_MARGIN).min(MARGIN_BLOCKS);
                blocks_in(rtt * percent / 100) + least + blocks_in(self.margin - MIN_MARGIN)
            }
            QueueTime::Plus(more) => blocks_in(rtt + more),
        }
    }

    /// How long a player's queue is to be now.
    pub fn least(&self, now: Time) -> QueueTime {
        let trip = self.rtt().clamp(Duration::from_millis(10), MAX_RTT).as_micros() as u64;
        let probes = (now.micros() / trip).is_multiple_of(PROBE_EVERY);
        QueueTime::Least { percent: if probes { PROBE_PERCENT } else { 100 } }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Requests that go down a way of 30 ms there and back which carries a block in `block`, with as many out as `queue` says.
    /// The queue that it comes to.
    fn settle(path: &mut PeerPath, from: Time, block: Duration, mut queue: impl FnMut(&PeerPath) -> usize) -> Time {
        let (mut now, mut free) = (from, from);
        let mut out: VecDeque<(Time, u64, Time)> = VecDeque::new();
        for _ in 0..3000 {
            while out.len() < queue(path).max(2) {
                free = free.max(now + 30 * MS) + block;
                out.push_back((now, path.delivered(), free));
            }
            let (sent, delivered, arrives) = out.pop_front().expect("some are out");
            now = arrives;
            path.answered(now, BLOCK_SIZE, sent, delivered);
        }
        now
    }

    #[test]
    fn it_finds_what_the_way_carries_and_asks_for_little_more() {
        let queue = |path: &PeerPath| path.queue(QueueTime::Least { percent: 125 }, 1.0) as usize + 1;
        let mut path = PeerPath::default();
        let now = settle(&mut path, Time::ZERO, 2 * MS, queue);
        let carried = f64::from(BLOCK_SIZE) / 0.002;
        assert!((path.bandwidth() / carried - 1.0).abs() < 0.05, "{} of {carried}", path.bandwidth());
        // 16 blocks are under way; some more stand at the peer, for 20 ms or so.
        assert!((20..=32).contains(&queue(&path)), "{}", queue(&path));
        assert!(path.queue(QueueTime::Plus(1000 * MS), 1.0) > 500.0);
        // Twice as fast, then slow: it follows.
        let now = settle(&mut path, now, MS, queue);
        assert!((path.bandwidth() / (carried * 2.0) - 1.0).abs() < 0.05, "{}", path.bandwidth());
        settle(&mut path, now, 20 * MS, queue);
        assert!((path.bandwidth() / (carried / 10.0) - 1.0).abs() < 0.05, "{}", path.bandwidth());
    }

    #[test]
    fn a_queue_at_the_peer_is_no_round_trip() {
        let mut path = PeerPath::default();
        settle(&mut path, Time::ZERO, 2 * MS, |_| 200);
        assert!(path.rtt() >= 32 * MS);
        let later = Time::from_millis(20_000);
        path.answered(later + 32 * MS, BLOCK_SIZE, later, path.delivered());
        assert_eq!(path.rtt(), 32 * MS);
    }

    #[test]
    fn who_is_asked_for_little_is_no_slower_for_it() {
        let queue = |path: &PeerPath| path.queue(QueueTime::Least { percent: 125 }, 1.0) as usize + 1;
        let mut path = PeerPath::default();
        let now = settle(&mut path, Time::ZERO, 2 * MS, queue);
        let known = path.bandwidth();
        // One block at a time, for so long that nothing older counts.
        let mut sent = now;
        for _ in 0..300 {
            path.idle(0);
            path.answered(sent + 32 * MS, BLOCK_SIZE, sent, path.delivered());
            sent = sent + 100 * MS;
        }
        assert!((path.bandwidth() / known - 1.0).abs() < 1e-9, "{} of {known}", path.bandwidth());
        // What it brings of a full queue counts again.
        let now = settle(&mut path, sent, 20 * MS, queue);
        assert!(path.bandwidth() < known / 5.0, "{} of {known}", path.bandwidth());
        settle(&mut path, now, 2 * MS, queue);
        assert!(path.bandwidth() > known * 0.9, "{} of {known}", path.bandwidth());
    }

    #[test]
    fn a_way_that_grows_slower_while_little_is_asked_for_is_found_out() {
        let queue = |path: &PeerPath| path.queue(QueueTime::Least { percent: 125 }, 1.0) as usize + 1;
        let mut path = PeerPath::default();
        let mut sent = settle(&mut path, Time::ZERO, 2 * MS, queue);
        let known = path.bandwidth();
        // Sixteen blocks at a time, which now take 20 ms each.
        for _ in 0..20 {
            path.idle(0);
            let then = path.delivered();
            for n in 1..=16 {
                path.answered(sent + 30 * MS + 20 * MS * n, BLOCK_SIZE, sent, then);
            }
            sent = sent + 1000 * MS;
        }
        assert!(path.bandwidth() < known / 5.0, "{} of {known}", path.bandwidth());
    }

    /// Seeks that are each over within a round: what is found out in the one counts for nothing in the next.
    #[test]
    fn a_slow_start_that_never_ends_asks_for_three_round_trips_at_most() {
        let mut path = PeerPath::new(FIRST_QUEUE);
        let (mut now, mut longest) = (Time::ZERO, 0);
        for _ in 0..200 {
            let queue = path.ramp().expect("it never ends");
            longest = longest.max(path.slow_start.expect("it never ends").queue());
            // 15 blocks are under way in 30 ms.
            assert!(queue <= 3 * 16 + 1, "{queue}");
            let then = path.delivered();
            for n in 1..=16 {
                path.answered(now + 30 * MS + 2 * MS * n, BLOCK_SIZE, now, then);
            }
            path.idle(0);
            now = now + 200 * MS;
        }
        assert!(longest > 100, "{longest}: it grew all the time");
    }

    /// A socket is read in one go: for a moment its blocks come faster than any way carries them.
    #[test]
    fn a_burst_out_of_the_socket_is_no_bandwidth() {
        let mut path = PeerPath::default();
        let mut now = Time::ZERO;
        for _ in 0..100 {
            let then = path.delivered();
            // Twenty blocks at once, 200 µs after they were asked for, and 20 ms later the next.
            for _ in 0..20 {
                path.answered(now + Duration::from_micros(200), BLOCK_SIZE, now, then);
            }
            now = now + 20 * MS;
        }
        assert!(path.bandwidth() <= 20.0 * f64::from(BLOCK_SIZE) / 0.002, "{}", path.bandwidth());
    }

    #[test]
    fn nothing_is_known_at_first() {
        let path = PeerPath::default();
        assert_eq!(
            (path.rtt(), path.bandwidth(), path.queue(QueueTime::Least { percent: 125 }, 1.0)),
            (Duration::ZERO, 0.0, 0.0)
        );
    }
}
