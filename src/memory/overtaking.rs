//! Overtaking in memory's line.
//!
//! What the first in line lacks may not come: somebody holds a small part of memory and cannot give it for minutes. So after a while
//! who needs less may pass; for a while, since it may be those who keep the first from being served.

use std::time::Duration;

/// Who is the first in line has this time to be served: the turns of all readers end within it.
const UNSERVED: Duration = Duration::from_secs(12);
/// Then others may pass for so long, twice as long each time.
const PASSES: Duration = Duration::from_secs(20);
const LONGEST_PASSES: Duration = Duration::from_secs(160);

/// Whoever looks what he can do leaves the line for a moment: that makes nobody else the first.
const MOMENT: Duration = Duration::from_secs(2);

/// Times are microseconds of the session's clock.
#[derive(Debug, Default)]
pub struct Overtaking {
    first: Option<First>,
    in_vain: Option<InVain>,
}

#[derive(Debug, Clone, Copy)]
struct First {
    id: u64,
    urgency: u8,
    since: u64,
    /// When it was seen last.
    seen: u64,
}

/// Somebody was the first for too long, and was not served since.
#[derive(Debug, Clone, Copy)]
struct InVain {
    /// What he needed, and how urgent it was; of several the least, and the most.
    blocks: u64,
    urgency: u8,
    /// Others may pass until then.
    until: u64,
    pause: Duration,
    is_over: bool,
}

impl Overtaking {
    /// Seen now and then: that one is the first in line, and will be before all who come from `since` on.
    pub fn is_first(&mut self, now: u64, since: u64, urgency: u8, id: u64, blocks: u64) {
        let first = match &mut self.first {
            Some(first) if (first.id, first.urgency) == (id, urgency) => first,
            Some(first) if now.saturating_sub(first.seen) < MOMENT.as_micros() as u64 => return,
            _ => {
                self.first = Some(First { id, urgency, since, seen: now });
                return;
            }
        };
        first.seen = now;
        if now.saturating_sub(first.since) < UNSERVED.as_micros() as u64 {
            return;
        }
        self.first = None;
        let before = self.in_vain;
        let pause = before.map_or(PASSES, |b| (b.pause * 2).min(LONGEST_PASSES));
        self.in_vain = Some(InVain {
            blocks: before.map_or(blocks, |b| b.blocks.min(blocks)),
            urgency: before.map_or(urgency, |b| b.urgency.min(urgency)),
            until: now + pause.as_micros() as u64,
            pause,
            is_over: false,
        });
    }

    /// Others have their turn before that one, whoever is the first.
    pub fn is_after_others(&mut self, id: u64) {
        self.first.take_if(|first| first.id == id);
    }

    /// Seen now and then: the time of passing may be over.
    pub fn ends(&mut self, now: u64) {
        if let Some(in_vain) = &mut self.in_vain {
            in_vain.is_over |= in_vain.until <= now;
        }
    }

    /// One who waited got so many blocks.
    pub fn served(&mut self, id: u64, blocks: u64) {
        self.first.take_if(|first| first.id == id);
        self.in_vain.take_if(|in_vain| blocks >= in_vain.blocks);
    }

    /// May others pass one who waits for so many blocks? They are those for whom this is false.
    pub fn passes(&self, urgency: u8, blocks: u64) -> bool {
        self.in_vain.is_some_and(|v| !v.is_over && blocks >= v.blocks && urgency >= v.urgency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn who_needs_less_passes_for_a_while() {
        let mut overtaking = Overtaking::default();
        // (first seen, in vain, until)
        for (seen, in_vain, until) in [(0, 12, 32), (33, 45, 85), (85, 97, 177), (177, 189, 349), (349, 361, 521)] {
            for second in seen..in_vain {
                overtaking.ends(second * SECOND);
                overtaking.is_first(second * SECOND, second * SECOND, 1, 7, 64);
                assert!(!overtaking.passes(1, 64), "{second}");
            }
            overtaking.is_first(in_vain * SECOND, in_vain * SECOND, 1, 7, 64);
            assert!(overtaking.passes(1, 64) && overtaking.passes(2, 80) && !overtaking.passes(0, 64));
            assert!(!overtaking.passes(1, 63), "it needs less");
            overtaking.ends(until * SECOND - 1);
            assert!(overtaking.passes(1, 64));
            overtaking.ends(until * SECOND);
            assert!(!overtaking.passes(1, 64));
        }
        overtaking.served(8, 63);
        overtaking.served(9, 64);
        (600..=612).for_each(|second| overtaking.is_first(second * SECOND, second * SECOND, 1, 7, 64));
        overtaking.ends(632 * SECOND);
        assert!(!overtaking.passes(1, 64), "as at the beginning: somebody who needed as much was served");
    }

    #[test]
    fn only_the_same_one_for_the_same_waits_in_vain() {
        let mut overtaking = Overtaking::default();
        for second in 0..100 {
            overtaking.is_first(second * SECOND, second * SECOND, 1 + (second / 10 % 2) as u8, second / 20, 64);
        }
        overtaking.is_first(102 * SECOND, 103 * SECOND, 3, 9, 64);
        overtaking.served(9, 1);
        for second in 105..120 {
            overtaking.is_first(second * SECOND, 107 * SECOND, 3, 9, 64);
            // It was away for a moment.
            overtaking.is_first(second * SECOND + 1, second * SECOND, 4, 10, 4);
            assert_eq!(overtaking.passes(3, 64), second == 119);
        }
    }
}
