//! What the kernel says a process has used.

use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

/// A stretch of this process's life.
pub struct Stretch {
    began: Instant,
    user: f64,
    system: f64,
}

/// Seconds that a stretch took.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub wall: f64,
    pub user: f64,
    pub system: f64,
}

impl Stretch {
    pub fn begin() -> Self {
        let (user, system) = cpu();
        Self { began: Instant::now(), user, system }
    }

    pub fn end(&self) -> Spent {
        let wall = self.began.elapsed().as_secs_f64();
        let (user, system) = cpu();
        Spent { wall, user: user - self.user, system: system - self.system }
    }
}

impl Spent {
    /// The line that every measured program ends with, read by the driver.
    pub fn json(&self, peer: &str) -> String {
        let Self { wall, user, system } = self;
        let rss = peak_rss_kib();
        format!(
            r#"{{"peer":"{peer}","wall":{wall:.4},"user":{user:.4},"sys":{system:.4},"verify_cpu":0.0,"rss_peak_kib":{rss}}}"#
        )
    }
}

/// User and system CPU time of this process, in seconds.
fn cpu() -> (f64, f64) {
    let seconds = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_SELF)
        .map_or((0.0, 0.0), |usage| (seconds(usage.user_time()), seconds(usage.system_time())))
}

/// The most memory this process ever had resident (`VmHWM`), 0 where the kernel does not tell.
pub fn peak_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|value| value.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

/// Of a clock that all processes of the machine share.
pub fn nanoseconds() -> std::io::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}
