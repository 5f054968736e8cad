//! How many blocks a peer is asked for while its speed is being found out: twice as many with each round trip, until that brings
//! no more (Cardwell et al., 2016, call it the full pipe). Or until the answers have a long wait behind each other: where seeks leave no
//! round in peace, what is asked beyond what the way carries would stand before what each of them asks for.

use std::time::Duration;

use crate::base::time::Time;

/// What comes in a round must have grown by this factor, or the way is full.
const GROWTH: f64 = 1.25;

/// An answer that took so many round trips, and so long, stood behind others.
const TRIPS: u32 = 4;
const LONG: Duration = Duration::from_millis(400);
/// So many of them, one after the other, for so long: they did not come at once after a pause.
const WAITED: u32 = 8;
const APART: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub struct SlowStart {
    queue: usize,
    /// Answers that stood behind others, the last ones, and since when they come.
    waited: u32,
    waited_since: Time,
    /// The round is over when a request is answered that was sent after so much had come.
    round: u64,
    bandwidth: f64,
}

impl SlowStart {
    pub fn new(queue: usize) -> Self {
        Self { queue, waited: 0, waited_since: Time::ZERO, round: 0, bandwidth: 0.0 }
    }

    pub fn queue(self) -> usize {
        self.queue
    }

    /// There was not enough to ask for: the round tells nothing.
    pub fn ran_dry(&mut self, delivered: u64) {
        self.round = delivered;
        self.bandwidth = 0.0;
    }

    /// An answer came, after that time. Is the way full, as answers stand behind each other?
    pub fn is_full(&mut self, now: Time, took: Duration, rtt: Duration) -> bool {
        if took < LONG.max(rtt * TRIPS) {
            self.waited = 0;
            return false;
        }
        if self.waited == 0 {
            self.waited_since = now;
        }
        self.waited += 1;
        self.waited >= WAITED && now.since(self.waited_since) >= APART
    }

    /// A request was answered that went out when `then` bytes had come; now it is so many, at that bandwidth. None: it is over.
    pub fn answered(mut self, then: u64, delivered: u64, bandwidth: f64) -> Option<Self> {
        // Where nothing is known to compare with, it does not grow.
        self.queue += usize::from(self.bandwidth > 0.0);
        if then < self.round {
            return Some(self);
        }
        if bandwidth < self.bandwidth * GROWTH {
            return None;
        }
        (self.round, self.bandwidth) = (delivered, bandwidth);
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds in which all of a queue comes, up to `carries` blocks each: the queue at which it ends.
    fn run(carries: usize) -> usize {
        let mut slow_start = SlowStart::new(4);
        let (mut delivered, mut then) = (0u64, 0u64);
        for _ in 0..20 {
            let queue = slow_start.queue();
            let bandwidth = queue.min(carries) as f64;
            for _ in 0..queue {
                delivered += 1;
                match slow_start.answered(then, delivered, bandwidth) {
                    Some(next) => slow_start = next,
                    None => return queue,
                }
            }
            then = delivered;
        }
        panic!("it never ends");
    }

    #[test]
    fn who_has_too_little_to_do_is_not_asked_for_more_and_more() {
        let mut slow_start = SlowStart::new(4);
        for delivered in 1..1000 {
            slow_start.ran_dry(delivered);
            slow_start = slow_start.answered(delivered - 1, delivered, 1.0).expect("nothing was found out");
        }
        assert_eq!(slow_start.queue(), 4);
    }

    #[test]
    fn answers_that_stand_behind_each_other_end_it() {
        let ms = Duration::from_millis;
        // The last answer that is looked at is the one that ends it.
        let ends = |apart: u64, took: u64, rtt: u64| {
            let mut slow_start = SlowStart::new(16);
            (1..=40).find(|n| slow_start.is_full(Time::from_millis(1000 + n * apart), ms(took), ms(rtt)))
        };
        assert_eq!(ends(40, 640, 40), Some(8));
        assert_eq!(ends(5, 640, 40), Some(21), "they must not come all at once");
        assert_eq!((ends(0, 640, 40), ends(40, 399, 40), ends(40, 640, 200)), (None, None, None));
        let mut slow_start = SlowStart::new(16);
        for n in 1..100 {
            assert!(!slow_start.is_full(Time::from_millis(n * 40), ms(if n % 8 == 0 { 100 } else { 640 }), ms(40)));
        }
    }

    #[test]
    fn it_doubles_until_the_way_is_full() {
        for carries in [2, 10, 100, 1000] {
            let end = run(carries);
            assert!((carries..=carries * 4 + 16).contains(&end), "{end} where {carries} are carried");
        }
    }
}
