//! When urgent blocks are late, the first in front.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::time::Time;

/// When a block is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) at: Time,
    pub(super) piece: u32,
    pub(super) block: u32,
}

/// The moments at which blocks are late. Those that came stay in it until they are at the top.
#[derive(Debug, Default)]
pub(super) struct LateHeap(BinaryHeap<Reverse<Due>>);

impl LateHeap {
    pub fn push(&mut self, at: Time, piece: u32, block: u32) {
        self.0.push(Reverse(Due { at, piece, block }));
    }

    pub fn next(&self) -> Option<Time> {
        self.0.peek().map(|Reverse(due)| due.at)
    }

    /// Drops what is at the top and waited for no longer.
    pub fn prune(&mut self, is_waited_for: impl Fn(Time, u32, u32) -> bool) {
        while self.0.peek().is_some_and(|Reverse(due)| !is_waited_for(due.at, due.piece, due.block)) {
            self.0.pop();
        }
    }

    pub(super) fn pop(&mut self, now: Time) -> Option<Due> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse(due)| due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_gives_what_is_late_and_forgets_what_came() {
        let mut heap = LateHeap::default();
        heap.push(Time::from_millis(30), 1, 0);
        heap.push(Time::from_millis(10), 2, 5);
        heap.push(Time::from_millis(20), 3, 1);
        assert_eq!(heap.next(), Some(Time::from_millis(10)));
        heap.prune(|_, piece, _| piece != 2);
        assert_eq!(heap.next(), Some(Time::from_millis(20)));
        assert!(heap.pop(Time::from_millis(19)).is_none());
        assert_eq!(heap.pop(Time::from_millis(25)).map(|d| (d.piece, d.block)), Some((3, 1)));
        assert!(heap.pop(Time::from_millis(25)).is_none(), "the other is not late yet");
    }
}
