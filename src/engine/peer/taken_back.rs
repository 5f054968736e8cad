//! The requests that were taken back from a peer, and what still comes of them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::time::Time;

/// Requests that are remembered.
const MOST: usize = 4096;
/// Who was told so much and has said nothing since has not heard it yet: what more it is told stands behind that.
const MANY_UNHEARD: usize = 64;
const LONG_UNHEARD: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct TakenBack {
    /// At any time.
    any: bool,
    /// The peer was told, and with the fast extension (BEP 6) still answers: with the block, or a reject.
    cancelled: VecDeque<(u32, u32)>,
    /// How many more of those there were, before them.
    forgotten: usize,
    /// So many blocks may come that nobody waits for any more.
    may_come: usize,
    /// How many were cancelled since it last said anything, and since when.
    unheard: Option<(usize, Time)>,
    far_behind: bool,
}

impl TakenBack {
    /// Was a request ever taken back?
    pub fn any(&self) -> bool {
        self.any
    }

    /// Cancelled requests that are remembered.
    pub fn num_remembered(&self) -> usize {
        self.cancelled.len()
    }

    /// A request was taken back, and the peer told so. `fast`: it answers to that.
    pub fn cancel(&mut self, now: Time, piece: u32, block: u32, fast: bool) {
        self.any = true;
        let (many, since) = self.unheard.unwrap_or((0, now));
        self.unheard = Some((many + 1, since));
        self.far_behind = many + 1 >= MANY_UNHEARD && now.since(since) >= LONG_UNHEARD;
        if fast {
            if self.cancelled.len() >= MOST {
                self.cancelled.pop_front();
                self.forgotten += 1;
            }
            self.cancelled.push_back((piece, block));
        }
    }

    /// A request will not be waited for any more; its block may be on its way.
    pub fn leave(&mut self) {
        self.may_come = (self.may_come + 1).min(MOST);
    }

    /// A block came that nobody waits for. Was it asked for once?
    pub fn came(&mut self) -> bool {
        let left = self.may_come.checked_sub(1);
        self.may_come = left.unwrap_or(0);
        left.is_some()
    }

    /// Is this the answer to a request that was cancelled?
    pub fn answers(&mut self, piece: u32, block: u32) -> bool {
        if let Some(at) = self.cancelled.iter().position(|c| *c == (piece, block)) {
            return self.cancelled.remove(at).is_some();
        }
        // Which one is not known any more. If it was the answer to a request made since, that one is late soon.
        let one_of_them = self.forgotten > 0;
        self.forgotten = self.forgotten.saturating_sub(1);
        one_of_them
    }

    /// The peer said something.
    pub fn heard(&mut self) {
        (self.unheard, self.far_behind) = (None, false);
    }

    /// It lies behind with what it was told, by far: what it is asked for now it reads last.
    pub fn is_far_behind(&self) -> bool {
        self.far_behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn an_answer_to_a_cancel_is_none_to_a_later_request() {
        let mut back = TakenBack::default();
        assert!(!back.any() && !back.answers(1, 2) && !back.came());
        back.cancel(at(0), 1, 2, true);
        back.cancel(at(0), 1, 2, true);
        back.cancel(at(0), 1, 3, false);
        assert!(back.any() && back.answers(1, 2) && back.answers(1, 2) && !back.answers(1, 2) && !back.answers(1, 3));
        (0..MOST as u32 + 2).for_each(|n| back.cancel(at(0), 2, n, true));
        assert!(back.answers(2, 0) && back.answers(2, 1), "forgotten, and counted");
        assert!(back.answers(2, 2) && !back.answers(2, 2));
    }

    #[test]
    fn who_says_nothing_while_it_is_told_much_lies_behind() {
        let mut back = TakenBack::default();
        (0..2 * MANY_UNHEARD as u32).for_each(|n| back.cancel(at(10), 0, n, true));
        assert!(!back.is_far_behind(), "a round trip is not over");
        back.cancel(at(1010), 0, 0, true);
        assert!(back.is_far_behind());
        back.heard();
        back.cancel(at(5000), 0, 0, true);
        back.cancel(at(9000), 0, 0, true);
        assert!(!back.is_far_behind(), "two are not much");
    }

    #[test]
    fn as_many_blocks_may_come_as_were_left() {
        let mut back = TakenBack::default();
        back.leave();
        assert!(back.came() && !back.came());
    }
}
