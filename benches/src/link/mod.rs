//! A link emulator in user space: relays on loopback that delay what passes through them, at one rate for all that share a
//! [`Road`]. For machines whose kernel has no netem.
//!
//! A relay stands in front of one server. Each direction has its own road; a link may be slower than its road. TCP loses nothing,
//! and takes from the sender no more than the road carries, or fills the road's queue and is dropped where that is full, as it is told;
//! UDP drops what finds the queue full, and as much more as it is told to.

mod filling;
mod pace;
mod reno;
mod tcp;
mod udp;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub use pace::Pace;
pub use tcp::TcpLink;
pub use udp::UdpLink;

/// What finds the road booked further ahead than this is dropped, as a router's queue does.
const QUEUE: Duration = Duration::from_millis(100);

/// What one link does to what passes through it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// One way; the same both ways.
    pub delay: Duration,
    /// Bytes a second of this link alone towards the client, 0: the road's. The other way is the road's alone.
    pub rate: u64,
    /// Datagrams of a million that are lost, each way. UDP only.
    pub loss_ppm: u32,
    /// A server that falls silent at times. TCP only.
    pub pauses: Option<Pauses>,
    /// Towards the client it stands in the road's queue, as a Reno sender does that always has more to send. TCP only, without pauses.
    pub fills_queue: bool,
}

/// When the way towards the client is shut: turn and turn about from each connection's beginning, open first. What has set out
/// by then arrives; what has not keeps off the road.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    pub open: Duration,
    pub shut: Duration,
}

impl Pauses {
    /// How long the way stays shut, so long after the connection began; zero while it is open.
    fn left(&self, since_begin: Duration) -> Duration {
        let turn = self.open + self.shut;
        let turns = since_begin.as_nanos() / turn.as_nanos().max(1);
        let within = since_begin.saturating_sub(turn * turns.try_into().unwrap_or(u32::MAX));
        if within < self.open { Duration::ZERO } else { turn.saturating_sub(within) }
    }
}

/// One direction of what several links share.
#[derive(Clone)]
pub struct Road(Arc<Mutex<(Instant, Pace)>>);

impl Road {
    /// `rate`: bytes a second.
    pub fn new(rate: u64) -> Self {
        Self(Arc::new(Mutex::new((Instant::now(), Pace::new(rate)))))
    }

    /// Books so many bytes. When the last of them is through.
    fn book(&self, bytes: usize) -> Instant {
        let mut road = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (epoch, pace) = &mut *road;
        *epoch + pace.book(epoch.elapsed(), bytes)
    }

    /// How far ahead of now it is booked.
    fn backlog(&self) -> Duration {
        let road = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        road.1.backlog(road.0.elapsed())
    }
}

/// The road of a direction, and the narrower one of the link itself, if it has one.
#[derive(Clone)]
struct Way(Vec<Road>);

impl Way {
    fn new(road: &Road, own_rate: u64) -> Self {
        let own = (own_rate > 0).then(|| Road::new(own_rate));
        Self(std::iter::once(road.clone()).chain(own).collect())
    }

    fn book(&self, bytes: usize) -> Option<Instant> {
        self.0.iter().map(|road| road.book(bytes)).max()
    }

    fn backlog(&self) -> Duration {
        self.0.iter().map(Road::backlog).max().unwrap_or_default()
    }

    fn is_full(&self) -> bool {
        self.backlog() > QUEUE
    }
}

fn sleep_until(at: Instant) {
    let left = at.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        thread::sleep(left);
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_open_and_shut_in_turn() {
        let seconds = Duration::from_secs;
        let pauses = Pauses { open: seconds(3), shut: seconds(5) };
        for (since, left) in [(0, 0), (2, 0), (3, 5), (7, 1), (8, 0), (10, 0), (11, 5), (8003, 5)] {
            assert_eq!(pauses.left(seconds(since)), seconds(left), "after {since} s");
        }
        let always = Pauses { open: seconds(1), shut: Duration::ZERO };
        assert_eq!(always.left(seconds(7)), Duration::ZERO);
    }
}
