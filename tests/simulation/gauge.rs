//! What somebody at a player feels: how long until it plays, after the start and after each seek, and where it stops.

use std::time::Duration;

use elementum_torrent::base::time::Time;

/// From a start or a seek on: its place, and how long until the first byte and until the goal's bytes were read.
#[derive(Debug, Clone)]
pub struct Run {
    pub began: Time,
    pub offset: u64,
    pub read: u64,
    pub first: Option<Duration>,
    pub goal: Option<Duration>,
}

/// The player stood still, in the middle of a run.
#[derive(Debug, Clone, Copy)]
pub struct Stall {
    pub at: Time,
    pub time: Duration,
}

#[derive(Debug)]
pub struct Gauge {
    /// How many bytes it takes until a run counts as done.
    pub goal: u64,
    /// The start, then the seeks.
    pub runs: Vec<Run>,
    pub stalls: Vec<Stall>,
    waits_since: Option<Time>,
}

impl Default for Gauge {
    fn default() -> Self {
        Self { goal: 1 << 20, runs: Vec::new(), stalls: Vec::new(), waits_since: None }
    }
}

impl Gauge {
    pub fn begins(&mut self, now: Time, offset: u64) {
        self.ends_wait(now);
        if let [start] = &mut self.runs[..]
            && start.began == now
        {
            start.offset = offset; // who seeks at once starts there
            return;
        }
        self.runs.push(Run { began: now, offset, read: 0, first: None, goal: None });
    }

    /// A read of somebody who plays found nothing. Before a run's first byte that is no stall.
    pub fn waits(&mut self, now: Time) {
        if self.runs.last().is_some_and(|r| r.first.is_some()) {
            self.waits_since.get_or_insert(now);
        }
    }

    pub fn ends_wait(&mut self, now: Time) {
        if let Some(since) = self.waits_since.take()
            && since < now
        {
            self.stalls.push(Stall { at: since, time: now.since(since) });
        }
    }

    pub fn took(&mut self, now: Time, bytes: u64) {
        self.ends_wait(now);
        let Some(run) = self.runs.last_mut() else { return };
        run.read += bytes;
        run.first.get_or_insert(now.since(run.began));
        if run.read >= self.goal {
            run.goal.get_or_insert(now.since(run.began));
        }
    }

    pub fn seeks(&self) -> &[Run] {
        self.runs.get(1..).unwrap_or_default()
    }

    /// Stalls, and their time, from a moment on.
    pub fn stalled_since(&self, from: Time) -> (usize, Duration) {
        let later = self.stalls.iter().filter(|s| s.at + s.time > from);
        later.fold((0, Duration::ZERO), |(n, sum), s| (n + 1, sum + (s.at + s.time).since(from.max(s.at))))
    }
}
