//! What a scenario came to, in numbers, and on one line of a table.

use std::sync::Once;
use std::time::{Duration, Instant};

use super::*;

/// A start or a seek: until the first byte and until all that it was for, each beside what is possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    pub is_start: bool,
    pub first: Duration,
    pub whole: Duration,
    pub ideal_first: Duration,
    pub ideal_whole: Duration,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub waits: Vec<Wait>,
    /// Stalls of those that play, after the first five seconds.
    pub stalls: usize,
    pub stall_time: Duration,
    /// Payload that came in; what of it came for nothing, or in pieces that failed; what was read.
    pub received: u64,
    pub redundant: u64,
    pub failed: u64,
    pub read: u64,
    /// What of it was read in the background.
    pub background: u64,
    pub trace: u64,
    pub steps: u64,
}

/// The value below which so many percent lie.
pub fn percentile(values: impl Iterator<Item = f64>, percent: usize) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get((values.len().saturating_sub(1) * percent).div_ceil(100)).copied().unwrap_or(f64::NAN)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Figures {
    /// Ends the scenario.
    pub fn of(mut swarm: Swarm) -> Self {
        let mut figures = Self::default();
        let drivers = swarm.world.engine(swarm.viewer).drivers.len();
        for driver in 0..drivers {
            let engine = swarm.world.engine(swarm.viewer);
            let (gauge, background) = (&engine.drivers[driver].gauge, engine.drivers[driver].options.background);
            if !background && let Some(start) = gauge.runs.first() {
                let (stalls, time) = gauge.stalled_since(start.began + 5 * SECOND);
                figures.stalls += stalls;
                figures.stall_time += time;
            }
            figures.read += engine.drivers[driver].bytes_read;
            figures.background += if background { engine.drivers[driver].bytes_read } else { 0 };
            if !background {
                figures.waits.extend(swarm.waits(driver));
            }
        }
        let counters = swarm.world.engine(swarm.viewer).torrent.counters();
        (figures.redundant, figures.failed) = (counters.redundant_bytes, counters.failed_bytes);
        figures.received = swarm.world.payload_into(swarm.viewer);
        assert!(figures.redundant + figures.failed <= figures.received, "{figures:?}");
        swarm.world.end();
        (figures.trace, figures.steps) = (swarm.world.trace, swarm.world.steps);
        figures
    }

    pub fn add(&mut self, other: Self) {
        self.waits.extend(other.waits);
        self.stalls += other.stalls;
        self.stall_time += other.stall_time;
        self.received += other.received;
        self.redundant += other.redundant;
        self.failed += other.failed;
        self.read += other.read;
        self.background += other.background;
        self.trace ^= other.trace;
        self.steps += other.steps;
    }

    fn of_waits(&self, starts: bool, percent: usize, value: impl Fn(&Wait) -> f64) -> f64 {
        percentile(self.waits.iter().filter(|w| w.is_start == starts).map(value), percent)
    }

    /// Until the first byte of the start, in milliseconds.
    pub fn start_ms(&self, percent: usize) -> f64 {
        self.of_waits(true, percent, |w| ms(w.first))
    }

    /// The same ÷ what is possible, and beyond it.
    pub fn start_over_ideal(&self, percent: usize) -> f64 {
        self.of_waits(true, percent, |w| ms(w.first) / ms(w.ideal_first))
    }

    pub fn start_beyond_ms(&self, percent: usize) -> f64 {
        self.of_waits(true, percent, |w| ms(w.first) - ms(w.ideal_first))
    }

    pub fn seek_first_ms(&self, percent: usize) -> f64 {
        self.of_waits(false, percent, |w| ms(w.first))
    }

    pub fn seek_ms(&self, percent: usize) -> f64 {
        self.of_waits(false, percent, |w| ms(w.whole))
    }

    /// Until all that a seek was for is read ÷ what is possible.
    pub fn seek_over_ideal(&self, percent: usize) -> f64 {
        self.of_waits(false, percent, |w| ms(w.whole) / ms(w.ideal_whole))
    }

    /// What came for nothing ÷ what was of use.
    pub fn waste(&self) -> f64 {
        self.redundant as f64 / (self.received - self.redundant - self.failed).max(1) as f64
    }

    /// What came and was never read ÷ what was read.
    pub fn unread(&self) -> f64 {
        (self.received.saturating_sub(self.read)) as f64 / self.read.max(1) as f64
    }

    pub fn stall_ms(&self) -> f64 {
        ms(self.stall_time)
    }

    fn print(&self, name: &str, runs: u64, took: Duration) {
        static HEAD: Once = Once::new();
        HEAD.call_once(|| {
            println!(
                "{:<40} {:>4} {:>21} {:>21} {:>15} {:>15} {:>14} {:>7} {:>6} {:>6} {:>6} {:>8} {:>5}",
                "scenario",
                "runs",
                "start ms p50/p90/best",
                "seek ms p50/p90/best",
                "first ms 50/90",
                "seek ÷ best",
                "stalls: ms",
                "MiB in",
                "waste",
                "failed",
                "unread",
                "steps",
                "s"
            );
        });
        let best =
            |starts: bool| self.of_waits(starts, 50, |w| if starts { ms(w.ideal_first) } else { ms(w.ideal_whole) });
        let text = |parts: &[f64], digits: usize| {
            if parts.iter().any(|p| p.is_nan()) {
                return "-".to_owned();
            }
            parts.iter().map(|p| format!("{p:.digits$}")).collect::<Vec<_>>().join("/")
        };
        println!(
            "{name:<40} {runs:>4} {:>21} {:>21} {:>15} {:>15} {:>14} {:>7.1} {:>6.3} {:>6.3} {:>6.2} {:>8} {:>5.1}",
            text(&[self.start_ms(50), self.start_ms(90), best(true)], 0),
            text(&[self.seek_ms(50), self.seek_ms(90), best(false)], 0),
            text(&[self.seek_first_ms(50), self.seek_first_ms(90)], 0),
            text(&[self.seek_over_ideal(50), self.seek_over_ideal(90)], 2),
            format!("{}: {:.0}", self.stalls, self.stall_ms()),
            self.received as f64 / MIB as f64,
            self.waste(),
            self.failed as f64 / self.received.max(1) as f64,
            self.unread(),
            self.steps,
            took.as_secs_f64(),
        );
    }
}

/// Runs a scenario once for each seed, prints what all came to, and gives it back.
pub fn measure(name: &str, seeds: std::ops::Range<u64>, scenario: impl Fn(u64) -> Figures) -> Figures {
    let began = Instant::now();
    let mut all = Figures::default();
    let runs = seeds.end - seeds.start;
    seeds.for_each(|seed| all.add(scenario(seed)));
    all.print(name, runs, began.elapsed());
    all
}
