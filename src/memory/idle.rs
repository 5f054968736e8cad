//! Memory that is promised and stands idle.
//!
//! Of a piece that comes in slowly, most of what was promised stays empty for a minute and more. WaiterState others borrow it, for pieces
//! that are there soon. A promise is a right all the same: whatever comes free in the pool is paid back first, and who finds that his
//! own is lent calls it in. Then those who borrowed give a piece up. So what is charged and what is promised never are more than the
//! limit together, and nothing that was begun has to wait for anything that does not come.
//!
//! What is lent has stood idle for a while: where pieces come in quickly, nothing has.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

/// What was promised all the time for so long, and twice as long at most, stands idle.
const STANDS: Duration = Duration::from_secs(1);

/// The least that was promised lately. Times are microseconds of the session's clock.
#[derive(Debug, Default)]
pub struct Idle {
    since: u64,
    least: u64,
    before: u64,
}

impl Idle {
    /// Seen now and then: so many blocks are promised, lent ones too.
    pub fn review(&mut self, now: u64, promised: u64) {
        let passed = now.saturating_sub(self.since);
        let stands = STANDS.as_micros() as u64;
        if passed >= stands {
            // Where nobody looked for so long, nobody knows.
            self.before = if passed < stands * 2 { self.least } else { 0 };
            (self.since, self.least) = (now, promised);
        }
        self.least = self.least.min(promised);
    }

    /// So many blocks are promised of which it is known that they will stand idle.
    pub fn comes(&mut self, blocks: u64) {
        self.least = self.least.saturating_add(blocks);
        self.before = self.before.saturating_add(blocks);
    }

    /// Of so many that are promised now, those that were promised all the time.
    pub fn of(&self, promised: u64) -> u64 {
        self.before.min(self.least).min(promised)
    }
}

/// What those who borrowed are to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recall {
    /// What is not played at once.
    ForSpare,
    ForAll,
}

/// Those whose own was lent, and who want it.
#[derive(Debug, Default)]
pub struct Callers {
    callers: BTreeMap<u64, (Recall, Waker)>,
    /// What those who borrowed were told.
    told: Option<Recall>,
}

impl Callers {
    pub fn call(&mut self, id: u64, call: Recall, waker: Waker) {
        self.callers.insert(id, (call, waker));
    }

    pub fn leave(&mut self, id: u64) {
        self.callers.remove(&id);
    }

    pub fn is_empty(&self) -> bool {
        self.callers.is_empty()
    }

    /// What is to be given back.
    pub fn called(&self) -> Option<Recall> {
        self.callers.values().map(|(call, _)| *call).max()
    }

    /// Is there a call that those who borrowed were not told of? Who calls again before there was something is told nobody anew.
    pub fn is_untold(&mut self) -> bool {
        let called = self.called();
        let untold = called > self.told;
        if untold {
            self.told = called;
        }
        untold
    }

    /// There is something for them.
    pub fn take(&mut self) -> impl Iterator<Item = Waker> {
        self.told = None;
        std::mem::take(&mut self.callers).into_values().map(|(_, waker)| waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn idle_is_what_was_promised_all_the_time() {
        let mut idle = Idle::default();
        for (tenth, promised, expected) in
            [(0, 9, 0), (5, 9, 0), (10, 9, 0), (15, 9, 0), (20, 9, 9), (21, 4, 4), (25, 9, 4), (31, 9, 4), (42, 9, 9)]
        {
            idle.review(tenth * SECOND / 10, promised);
            assert_eq!(idle.of(promised), expected, "{tenth}");
        }
        assert_eq!(idle.of(3), 3);
        idle.comes(5);
        assert_eq!(idle.of(14), 14);
        idle.review(9 * SECOND, 14);
        assert_eq!(idle.of(14), 0, "nobody looked");
    }
}
