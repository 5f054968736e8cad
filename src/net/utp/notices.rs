//! What a UDP socket has to tell to whoever looks after it: what fails, and who is not let in.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::base::error::{Error, Operation};
use crate::base::time::Time;

/// Notices that wait to be heard. Further ones are lost.
const MOST_WAITING: usize = 16;
/// A socket that cannot send cannot send anything: it tells so once in that time.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub enum Notice {
    /// A packet could not be sent there, or none received.
    Failed { endpoint: SocketAddr, error: Error },
    /// It asked for a stream, and none is accepted.
    Refused(SocketAddr),
}

/// Where the notices of all sockets go.
pub type Noticed = mpsc::Sender<Notice>;

/// They come out of the receiver.
pub fn channel() -> (Noticed, mpsc::Receiver<Notice>) {
    mpsc::channel(MOST_WAITING)
}

/// Those of one socket.
#[derive(Debug)]
pub struct Notices {
    noticed: Noticed,
    /// When it last told of a failure, in microseconds; 0: never.
    told: AtomicU64,
}

impl Notices {
    pub fn new(noticed: Noticed) -> Self {
        Self { noticed, told: AtomicU64::new(0) }
    }

    pub fn refused(&self, from: SocketAddr) {
        // Who has not heard of the last ones needs no more.
        let _ = self.noticed.try_send(Notice::Refused(from));
    }

    pub fn failed(&self, now: Time, endpoint: SocketAddr, operation: Operation, error: &io::Error) {
        if !is_ours(error) {
            return;
        }
        let now = now.micros().max(1);
        let due = |told: u64| (told == 0 || now.saturating_sub(told) >= TOLD_AGAIN.as_micros() as u64).then_some(now);
        if self.told.fetch_update(Ordering::AcqRel, Ordering::Acquire, due).is_ok() {
            let error = Error::network(operation, error, endpoint);
            let _ = self.noticed.try_send(Notice::Failed { endpoint, error });
        }
    }
}

/// Of others it says nothing: they may be gone, and the way to them too.
fn is_ours(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, HostUnreachable, Interrupted, NetworkUnreachable, WouldBlock};
    !matches!(error.kind(), WouldBlock | Interrupted | ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_a_second_and_what_others_do_is_none() {
        let (noticed, mut heard) = channel();
        let notices = Notices::new(noticed);
        let to: SocketAddr = "192.0.2.1:6881".parse().expect("an address");
        let mut fail = |ms, kind: ErrorKind| {
            notices.failed(Time::from_millis(ms), to, Operation::SockWrite, &kind.into());
            match heard.try_recv() {
                Ok(Notice::Failed { endpoint, error }) => Some((endpoint, error.operation)),
                _ => None,
            }
        };
        let told = Some((to, Operation::SockWrite));
        assert_eq!(fail(1, ErrorKind::HostUnreachable), None);
        assert_eq!(
            [1, 2, 1000, 1001, 1002].map(|ms| fail(ms, ErrorKind::PermissionDenied)),
            [told, None, None, told, None]
        );
    }
}
