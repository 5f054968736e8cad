//! A request: a block asked of a peer.

use crate::base::time::Time;

/// A block asked of a peer.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub piece: u32,
    pub block: u32,
    pub sent: Time,
    /// When it should come.
    pub expected: Time,
    /// What the peer had delivered then, and what all had.
    pub delivered: u64,
    pub delivered_by_all: u64,
}
