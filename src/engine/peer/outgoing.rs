//! The blocks that are out for one peer: being read from disk for it, or waiting to be written to it, in its outbox or with the shell.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::time::Time;
use crate::memory::outgoing::Outgoing;
use crate::memory::pool::Pool;

/// Who takes longer than this for a block is not waited for where somebody has use for the memory.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct OutgoingBlocks {
    charge: Outgoing,
    /// Bytes of the blocks that wait to be written, in the order of the stream.
    unwritten: VecDeque<u32>,
    /// Bytes of the first of them that were written.
    written: u64,
    /// Since when the peer's socket takes no more, and has taken no whole block.
    blocked: Option<Time>,
}

impl OutgoingBlocks {
    pub fn new(pool: Arc<Pool>) -> Self {
        Self { charge: Outgoing::new(pool), unwritten: VecDeque::new(), written: 0, blocked: None }
    }

    pub fn blocks(&self) -> u64 {
        self.charge.blocks()
    }

    pub fn take(&mut self, blocks: u64, needed: u64) -> bool {
        self.charge.take(blocks, needed)
    }

    pub fn give_back(&mut self, blocks: u64) {
        self.charge.give_back(blocks);
    }

    /// They are in the outbox now.
    pub fn push(&mut self, now: Time, lengths: impl Iterator<Item = u32>) {
        if self.unwritten.is_empty() {
            self.blocked = self.blocked.map(|_| now);
        }
        self.unwritten.extend(lengths);
    }

    /// So much payload was written.
    pub fn wrote(&mut self, payload: u64) {
        self.written += payload;
        while let Some(first) = self.unwritten.front().map(|n| u64::from(*n)).filter(|n| *n <= self.written) {
            self.written -= first;
            self.unwritten.pop_front();
            self.charge.give_back(1);
            self.blocked = None;
        }
    }

    /// The socket takes no more, or took all that it was offered.
    pub fn set_blocked(&mut self, now: Time, blocked: bool) {
        self.blocked = blocked.then(|| self.blocked.unwrap_or(now));
    }

    /// Does the peer not read what waits for it?
    pub fn is_stalled(&self, now: Time) -> bool {
        !self.unwritten.is_empty() && self.blocked.is_some_and(|since| now.since(since) > PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::pool::BLOCK_SIZE;

    const NOW: Time = Time::from_millis(1000);

    #[test]
    fn a_block_is_out_until_its_last_byte_is_written() {
        let pool = Pool::new(64 * u64::from(BLOCK_SIZE));
        let mut blocks = OutgoingBlocks::new(pool.clone());
        assert!(blocks.take(3, 0));
        blocks.push(NOW, [100, 1, 50].into_iter());
        blocks.wrote(99);
        assert_eq!(pool.outgoing(), 3);
        blocks.wrote(2);
        assert_eq!(pool.outgoing(), 1);
        blocks.wrote(50);
        assert_eq!(pool.outgoing(), 0);
    }

    #[test]
    fn who_takes_a_block_now_and_then_is_not_stalled() {
        let mut blocks = OutgoingBlocks::new(Pool::new(64 * u64::from(BLOCK_SIZE)));
        blocks.set_blocked(NOW - PATIENCE, true);
        assert!(!blocks.is_stalled(NOW + PATIENCE * 2), "nothing waits");
        assert!(blocks.take(2, 0));
        blocks.push(NOW, [100, 100].into_iter());
        blocks.set_blocked(NOW, true);
        blocks.wrote(99);
        blocks.set_blocked(NOW + PATIENCE, true);
        assert!(!blocks.is_stalled(NOW + PATIENCE) && blocks.is_stalled(NOW + PATIENCE * 2));
        blocks.wrote(1);
        assert!(!blocks.is_stalled(NOW + PATIENCE * 2));
        blocks.set_blocked(NOW, true);
        assert!(blocks.is_stalled(NOW + PATIENCE * 2));
        blocks.set_blocked(NOW, false);
        assert!(!blocks.is_stalled(NOW + PATIENCE * 2));
    }
}
