//! Fetching what an address from outside names: a torrent file, a magnet, a redirect. Whoever does so goes through here, since
//! here are the rules about where such an address may lead ([`ssrf`]).

pub mod http;
pub mod ssrf;
mod tls;

use crate::base::error::Operation;

/// Why nothing was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchError {
    pub operation: Operation,
    pub message: String,
    /// 0: none.
    pub os_error: i32,
}

impl FetchError {
    pub fn new(operation: Operation, message: impl Into<String>) -> Self {
        Self { operation, message: message.into(), os_error: 0 }
    }

    pub fn io(operation: Operation, error: &std::io::Error) -> Self {
        Self { os_error: error.raw_os_error().unwrap_or(0), ..Self::new(operation, error.to_string()) }
    }

    pub fn timed_out(operation: Operation, after: std::time::Duration) -> Self {
        Self {
            os_error: rustix::io::Errno::TIMEDOUT.raw_os_error(),
            ..Self::new(operation, format!("no answer within {} s", after.as_secs_f32()))
        }
    }
}
