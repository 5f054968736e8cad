//! A link emulator in user space: relays on loopback that delay what passes through them, at one rate for all that share a
//! [`Road`]. For machines whose kernel has no netem.
//!
//! A relay stands in front of one server. Each direction has its own road; a link may be slower than its road. TCP loses nothing,
//! and takes from the sender no more than the road carries; UDP drops what finds the queue full, and as much more as it is told to.

mod pace;
mod tcp;
mod udp;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub use pace::Pace;
pub use tcp::TcpLink;
pub use udp::UdpLink;

/// What one link does to what passes through it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// One way; the same both ways.
    pub delay: Duration,
    /// Bytes a second of this link alone towards the client, 0: the road's. The other way is the road's alone.
    pub rate: u64,
    /// Datagrams of a million that are lost, each way. UDP only.
    pub loss_ppm: u32,
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
