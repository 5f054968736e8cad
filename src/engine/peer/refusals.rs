//! What a peer refuses though it has said that it has it and lets us ask (BEP 6). It may be busy, or lying, or about to say that it lost
//! the piece; it is asked again, after a wait that grows.
//!
//! Some refuse at random what they serve a moment later. Of one that serves, the wait stays short for as long as its odds explain that a
//! piece was refused so often: who brings one block in ten is asked ten times as often as who brings all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::time::Time;

/// Refused pieces that are remembered.
const MOST: usize = 1024;
/// The wait for a piece while the odds explain that it was refused; as long again at most, so that those refused together end together.
const SOON: Duration = Duration::from_millis(50);
/// The first wait otherwise, and how often that is doubled.
const LATER: Duration = Duration::from_secs(1);
const MOST_DOUBLED: u32 = 3;
/// Refusals in a row are no chance if they are so many times more than the odds let expect.
const PATIENCE: u32 = 8;
/// The odds are those of the last requests, so many or half of it, and no worse than this.
const ODDS_OF: u32 = 128;
const WORST_ODDS: u32 = 16;

/// A piece that was refused: not asked for until then. Zero: that is over.
#[derive(Debug, Clone, Copy, Default)]
struct Refusal {
    until: Time,
    times: u32,
    /// Those of them that the odds do not explain.
    odd: u32,
}

#[derive(Debug)]
pub struct Refusals {
    pieces: BTreeMap<u32, Refusal>,
    next: Time,
    /// Refusals since the last block, each of all that was asked for together of a piece.
    in_a_row: u32,
    /// The same, each request.
    since_served: u32,
    /// Of the last requests up to the last block.
    served: u32,
    refused: u32,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { pieces: BTreeMap::new(), next: Time::NEVER, in_a_row: 0, since_served: 0, served: 0, refused: 0 }
    }
}

/// Those who begin to wait at about the same time end together.
fn in_step(now: Time) -> Time {
    let step = SOON.as_micros() as u64;
    Time::from_micros((now.micros() / step + 2) * step)
}

impl Refusals {
    /// A request was refused: the piece is not asked for, for a while.
    pub fn note(&mut self, now: Time, piece: u32) {
        self.since_served = (self.since_served + 1).min(ODDS_OF);
        self.wait(now, piece, self.served > 0)
    }

    /// A request that was late was given to another: that is no refusal, but asking again would be no use.
    pub fn note_late(&mut self, now: Time, piece: u32) {
        self.wait(now, piece, false)
    }

    fn wait(&mut self, now: Time, piece: u32, may_be_chance: bool) {
        let patience = self.patience();
        if self.pieces.len() >= MOST && !self.pieces.contains_key(&piece) {
            return;
        }
        let entry = self.pieces.entry(piece).or_default();
        // All that it was asked for of the piece is refused together: that is one time.
        if entry.until > now {
            return;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        entry.times = entry.times.saturating_add(1);
        if may_be_chance && entry.times.max(self.in_a_row) <= patience {
            entry.until = in_step(now);
        } else {
            entry.until = now + LATER * (1 << entry.odd.min(MOST_DOUBLED));
            entry.odd = entry.odd.saturating_add(1);
        }
        self.next = self.next.min(entry.until);
    }

    /// It brought a block of the piece: what it refused before is asked of it soon. What it does not have any more it goes on refusing.
    pub fn serves(&mut self, now: Time, piece: u32) {
        self.refused += std::mem::take(&mut self.since_served);
        if self.served + self.refused >= ODDS_OF {
            (self.served, self.refused) = (self.served / 2, self.refused / 2);
        }
        self.served += 1;
        self.pieces.remove(&piece);
        if std::mem::take(&mut self.in_a_row) > 0 {
            let patience = self.patience();
            let soon = |r: &Refusal| if r.times <= patience { in_step(now) } else { now + LATER * r.odd.max(1) };
            self.pieces.values_mut().for_each(|r| r.until = r.until.min(soon(r)));
            self.find_next();
        }
    }

    /// It says anew that it has the piece.
    pub fn forget(&mut self, piece: u32) {
        if self.pieces.remove(&piece).is_some() {
            self.find_next();
        }
    }

    /// When the first wait ends.
    pub fn next(&self) -> Time {
        self.next
    }

    fn find_next(&mut self) {
        let waits = self.pieces.values().map(|r| r.until).filter(|until| *until > Time::ZERO);
        self.next = waits.min().unwrap_or(Time::NEVER);
    }

    /// So many refusals in a row may be chance.
    fn patience(&self) -> u32 {
        let odds = self.refused.checked_div(self.served).unwrap_or(0);
        PATIENCE * (1 + odds.min(WORST_ODDS))
    }

    /// Does it refuse so much that it is asked for one block at a time?
    pub fn are_many(&self) -> bool {
        self.in_a_row >= self.patience()
    }

    /// Pieces whose wait is over may be asked for again.
    pub fn forgive(&mut self, now: Time) {
        self.pieces.values_mut().filter(|r| r.until <= now).for_each(|r| r.until = Time::ZERO);
        self.find_next();
    }

    /// May the piece be asked for, as far as that goes?
    pub fn allow(&self, piece: u32) -> bool {
        self.pieces.is_empty() || self.pieces.get(&piece).is_none_or(|r| r.until == Time::ZERO)
    }

    /// Is nothing of what it was asked for refused?
    pub fn are_none(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Has it brought a block since it refused one?
    pub fn are_over(&self) -> bool {
        self.in_a_row == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wait for a piece that is asked for again and again, each time in vain, beginning at `now`.
    fn waits(refusals: &mut Refusals, mut now: Time, piece: u32, times: u32) -> Vec<Duration> {
        let mut refuse = |_| {
            refusals.note(now, piece);
            let until = refusals.next();
            refusals.note(now, piece);
            assert!(!refusals.allow(piece) && refusals.next() == until, "that is one time");
            let wait = until.since(now);
            now = until;
            refusals.forgive(now);
            assert!(refusals.allow(piece));
            wait
        };
        (0..times).map(&mut refuse).collect()
    }

    #[test]
    fn who_never_served_is_asked_later_each_time() {
        let mut refusals = Refusals::default();
        let seconds: Vec<u64> = waits(&mut refusals, Time::BEGINNING, 1, 9).iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 8, 8, 8, 8, 8]);
        assert!(refusals.are_many() && !refusals.are_over());
    }

    #[test]
    fn who_serves_some_is_asked_again_soon_and_for_as_long_as_its_odds_explain_it() {
        for (served, refused, soon) in [(100, 0, 8), (50, 50, 16), (10, 90, 80)] {
            let mut refusals = Refusals::default();
            for n in 0..served {
                (0..refused / served).for_each(|_| refusals.note(Time::BEGINNING, n));
                refusals.serves(Time::BEGINNING, n);
            }
            let waits = waits(&mut refusals, Time::BEGINNING, 9999, 500);
            let short = waits.iter().take_while(|wait| **wait <= 2 * SOON).count();
            assert_eq!(short, soon, "{served} of {}", served + refused);
            assert!(refusals.are_many());
            let long: u64 = waits.iter().skip(short).take(8).map(Duration::as_secs).sum();
            assert_eq!(long, 1 + 2 + 4 + 5 * 8);
        }
    }

    #[test]
    fn a_block_ends_the_wait_for_its_piece_and_shortens_the_others() {
        // One that has begun to serve, and one that always did and refuses one piece.
        for (served, times, until) in [(0, 5, SOON * 2), (100, 12, LATER * 4)] {
            let (mut refusals, now) = (Refusals::default(), Time::BEGINNING);
            (0..served).for_each(|n| refusals.serves(now, 100 + n));
            waits(&mut refusals, now, 1, times - 1);
            // Long after that.
            let now = now + LATER * 1000;
            refusals.note(now, 1);
            refusals.note(now, 2);
            refusals.serves(now, 2);
            assert!(refusals.allow(2) && !refusals.allow(1) && refusals.are_over() && !refusals.are_none());
            assert_eq!(refusals.next().since(now), until);
            refusals.forgive(refusals.next());
            assert!(refusals.allow(1) && refusals.next() == Time::NEVER);
        }
    }

    #[test]
    fn what_is_refused_at_about_the_same_time_is_asked_for_again_at_one_time() {
        let mut refusals = Refusals::default();
        refusals.serves(Time::BEGINNING, 0);
        (1..50).for_each(|ms| refusals.note(Time::BEGINNING + Duration::from_millis(ms), ms as u32 % 5));
        refusals.forgive(Time::BEGINNING + SOON * 2);
        assert!((0..5).all(|piece| refusals.allow(piece)));
    }

    #[test]
    fn so_many_are_remembered() {
        let mut refusals = Refusals::default();
        (0..MOST as u32 + 9).for_each(|piece| refusals.note(Time::BEGINNING, piece));
        assert!(!refusals.allow(0) && refusals.allow(MOST as u32 + 1));
    }
}
