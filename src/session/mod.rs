//! The shell: sessions, their runtime, sockets, timers and tasks.

pub mod rate_limit;

/// A torrent's name in its session: slot and generation in one number. 0 is never handed out, and no number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StorageIndex(pub u64);

impl StorageIndex {
    /// No torrent.
    pub const INVALID: Self = Self(0);
}
