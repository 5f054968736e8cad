//! What one announce says, how long it may take, and why it failed.

use std::time::Duration;

use super::announce_slots::Claim;
use crate::alert::AnnounceEvent;
use crate::base::error::{Error, Operation, Status};
use crate::engine::trackers::RetryIn;
use crate::metainfo::info_hash::Sha1Hash;

/// Most peers taken from one reply. Which of them are kept is not for the reply's order to say.
pub const MAX_PEERS: usize = 50_000;

/// Everything that a tracker is told.
#[derive(Debug, Clone)]
pub struct AnnounceRequest {
    pub url: String,
    pub info_hash: Sha1Hash,
    pub peer_id: [u8; 20],
    /// Where peers reach us.
    pub port: u16,
    pub uploaded: u64,
    pub downloaded: u64,
    pub left: u64,
    /// Bytes that failed their hash.
    pub corrupt: u64,
    pub event: AnnounceEvent,
    /// Peers asked for; negative: as many as the tracker likes.
    pub num_want: i32,
    /// Tells the tracker that we are the same when our address changes.
    pub key: u32,
    /// The address to be given to peers (the `announce_ip` setting). UDP trackers take IPv4 only.
    pub ip: Option<String>,
    /// What the tracker gave last time.
    pub tracker_id: Option<Vec<u8>>,
    pub user_agent: String,
    /// Whose turn it is where announces wait for each other.
    pub turn: Claim,
}

impl AnnounceRequest {
    pub(super) fn scheme(&self) -> Option<String> {
        self.url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())
    }

    pub fn is_udp(&self) -> bool {
        self.scheme().as_deref() == Some("udp")
    }
}

/// Bounds of one announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnounceLimits {
    /// From the first byte out, names looked up, to the last byte in (`tracker_completion_timeout`).
    pub completion_timeout: Duration,
    /// Longest silence before and inside an HTTP answer (`tracker_receive_timeout`).
    pub receive_timeout: Duration,
    /// Instead of the completion timeout for the event `stopped` (`stop_tracker_timeout`).
    pub stop_timeout: Duration,
    /// Most bytes of an HTTP answer, unpacked.
    pub max_response: usize,
    /// Wait before the first UDP repetition; each further one waits twice as long (BEP 15: 15 s).
    pub udp_retry: Duration,
}

impl Default for AnnounceLimits {
    fn default() -> Self {
        Self {
            completion_timeout: Duration::from_secs(30),
            receive_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(5),
            max_response: 4 * 1024 * 1024,
            udp_retry: Duration::from_secs(15),
        }
    }
}

impl AnnounceLimits {
    pub(super) fn timeout(&self, event: AnnounceEvent) -> Duration {
        if event == AnnounceEvent::Stopped { self.stop_timeout } else { self.completion_timeout }
    }
}

/// Why an announce came to nothing. No text in it has the URL's secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceFailure {
    pub operation: Operation,
    pub message: String,
    /// The tracker's own words, where it refused.
    pub failure_reason: Option<String>,
    pub retry_in: Option<RetryIn>,
    /// 0: none.
    pub os_error: i32,
}

impl AnnounceFailure {
    pub fn new(operation: Operation, message: impl Into<String>) -> Self {
        Self { operation, message: message.into(), failure_reason: None, retry_in: None, os_error: 0 }
    }

    pub fn io(operation: Operation, error: &std::io::Error) -> Self {
        Self { os_error: error.raw_os_error().unwrap_or(0), ..Self::new(operation, error.to_string()) }
    }

    pub(super) fn timed_out(operation: Operation, after: Duration) -> Self {
        Self {
            os_error: rustix::io::Errno::TIMEDOUT.raw_os_error(),
            ..Self::new(operation, format!("no answer within {} s", after.as_secs_f32()))
        }
    }

    /// The tracker said no.
    pub(super) fn refused(reason: String, retry_in: Option<RetryIn>) -> Self {
        Self {
            failure_reason: Some(reason.clone()),
            retry_in,
            ..Self::new(Operation::Bittorrent, format!("the tracker refuses: {reason}"))
        }
    }
}

impl From<AnnounceFailure> for Error {
    fn from(f: AnnounceFailure) -> Self {
        Self { status: Status::Network, operation: f.operation, os_error: f.os_error, message: f.message }
    }
}

/// What a client is built with. To change it, build another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackerOptions {
    /// Check HTTPS trackers' certificates (`validate_https_trackers`).
    pub validate_https: bool,
    /// Keep strangers' URLs out of this host's and network's services (`ssrf_mitigation`).
    pub ssrf_mitigation: bool,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self { validate_https: true, ssrf_mitigation: true }
    }
}
