//! What the processor and the operating system do, and Rust has no safe words for.

pub(crate) mod block_copy;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod clock;
pub mod event_fd;
pub(crate) mod pages;
pub(crate) mod sha1_lanes;
#[cfg(unix)]
pub(crate) mod signals;
