//! How many blocks a peer is asked for while its speed is being found out: twice as many with each round trip, until that brings
//! no more (Cardwell et al., 2016, call it the full pipe).

/// What comes in a round must have grown by this factor, or the way is full.
const GROWTH: f64 = 1.25;

#[derive(Debug, Clone, Copy)]
pub struct SlowStart {
    queue: usize,
    /// The round is over when a request is answered that was sent after so much had come.
    round: u64,
    bandwidth: f64,
}

impl SlowStart {
    pub fn new(queue: usize) -> Self {
        Self { queue, round: 0, bandwidth: 0.0 }
    }

    pub fn queue(self) -> usize {
        self.queue
    }

    /// There was not enough to ask for: the round tells nothing.
    pub fn ran_dry(&mut self, delivered: u64) {
        self.round = delivered;
        self.bandwidth = 0.0;
    }

    /// A request was answered that went out when `then` bytes had come; now it is so many, at that bandwidth. None: it is over.
    pub fn answered(mut self, then: u64, delivered: u64, bandwidth: f64) -> Option<Self> {
        self.queue += 1;
        if then < self.round || delivered == 0 {
            return Some(self);
        }
        if self.round > 0 && self.bandwidth > 0.0 && bandwidth < self.bandwidth * GROWTH {
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
    fn it_doubles_until_the_way_is_full() {
        for carries in [2, 10, 100, 1000] {
            let end = run(carries);
            assert!((carries..=carries * 4 + 16).contains(&end), "{end} where {carries} are carried");
        }
    }
}
