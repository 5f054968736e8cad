//! Blocks that strangers were asked for in vain: they had brought nothing yet, and left or were given up. Whoever comes next and is a stranger,
//! too, is not relied on for them, or those who come and go without a word could keep a reader from its next block for ever.

use std::collections::VecDeque;

use crate::engine::peer::source::Source;

/// Blocks remembered: the first queues of some strangers.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub struct AbandonedBlocks(VecDeque<(u32, u32)>);

impl AbandonedBlocks {
    /// It leaves, or is given up, with what it was asked for.
    pub fn left_with(&mut self, source: &Source) {
        if source.is_unknown() {
            source.requests().iter().for_each(|r| self.note(r.piece, r.block));
        }
    }

    fn note(&mut self, piece: u32, block: u32) {
        if self.has(piece, block) {
            return;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((piece, block));
    }

    pub fn has(&self, piece: u32, block: u32) -> bool {
        self.0.contains(&(piece, block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let mut unanswered = AbandonedBlocks::default();
        for n in 0..1000 {
            unanswered.note(n, 1);
            unanswered.note(n, 1);
        }
        assert!(unanswered.has(999, 1) && unanswered.has(1000 - MOST as u32, 1));
        assert!(!unanswered.has(999, 0) && !unanswered.has(999 - MOST as u32, 1));
    }
}
