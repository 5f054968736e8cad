//! What a peer's messages may cost us: each has a price, and blocks pay. A peer that is in debt is not read from until time has
//! paid for it, so who talks without end is heard now and then, and all others as before.
//!
//! Nothing an honest peer does comes near it. Its HAVEs of new pieces are free, a block that was asked for pays for sixteen other
//! messages, and a few thousand more are free after a pause.

use std::time::Duration;

use crate::base::time::Time;
use crate::memory::pool::BLOCK_SIZE;
use crate::wire::{Message, Received};

/// What time pays for: a thousand of the cheapest messages a second.
const UNIT: Duration = Duration::from_millis(1);
/// What is saved up at most.
const MOST_SAVED: Duration = Duration::from_secs(5);
/// Nobody is in debt for longer than that, whatever he has said: it must not be for good.
const LONGEST_DEBT: Duration = Duration::from_secs(10);
/// Bytes that cost as much as the cheapest message.
const BYTES_A_UNIT: u64 = 256;
/// What a block pays for beside its own bytes.
const BLOCK_PAYS: u64 = 16;
/// Who gets in or out of a slot, or chokes: others must be looked at for it.
const TURN: u64 = 20;
const STATEMENT_OF_ALL: u64 = 100;
const EXTENDED_HANDSHAKE: u64 = 50;
const EXTENDED: u64 = 2;

/// May more be read from a peer?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Now,
    /// When what it was answered has been written: it does not read, or more slowly than it asks.
    WhenWritten,
    /// It is in debt until then.
    At(Time),
}

/// One peer's account: a bucket that time empties, and that may be so full.
#[derive(Debug)]
pub struct Budget {
    level: Duration,
    /// When time last emptied it.
    counted: Time,
}

impl Budget {
    pub fn new(now: Time) -> Self {
        Self { level: Duration::ZERO, counted: now }
    }

    pub fn charge(&mut self, now: Time, units: u64) {
        self.add(now, times(units));
    }

    pub fn charge_bytes(&mut self, now: Time, bytes: u64) {
        self.add(now, Duration::from_nanos(UNIT.as_nanos() as u64 * bytes / BYTES_A_UNIT));
    }

    fn add(&mut self, now: Time, price: Duration) {
        let level = self.level.saturating_sub(now.since(self.counted)).saturating_add(price);
        self.level = level.min(MOST_SAVED + LONGEST_DEBT);
        self.counted = self.counted.max(now);
    }

    /// Something that was of use after all costs nothing.
    pub fn refund(&mut self, units: u64) {
        self.level = self.level.saturating_sub(times(units));
    }

    /// As many bytes came as were asked for.
    pub fn refund_bytes(&mut self, bytes: u64) {
        self.refund(bytes.div_ceil(BYTES_A_UNIT));
    }

    /// A block that was asked for came.
    pub fn block(&mut self, bytes: u64) {
        self.refund_bytes(bytes);
        self.refund(BLOCK_PAYS);
    }

    /// So many bytes that it asked for go out to it.
    pub fn served(&mut self, bytes: u64) {
        self.refund((1 + BLOCK_PAYS) * bytes / u64::from(BLOCK_SIZE));
    }

    /// When it is out of debt, if it is in debt.
    pub fn in_debt_until(&self, now: Time) -> Option<Time> {
        let until = self.counted + self.level.checked_sub(MOST_SAVED)?;
        (until > now).then_some(until)
    }
}

fn times(units: u64) -> Duration {
    UNIT.saturating_mul(u32::try_from(units).unwrap_or(u32::MAX))
}

/// What it costs to take this in, its bytes aside.
pub fn price(received: &Received) -> u64 {
    match received {
        Received::Message(message) => match message {
            Message::Choke | Message::Unchoke | Message::Interested | Message::NotInterested => TURN,
            Message::Bitfield(_) | Message::HaveAll => STATEMENT_OF_ALL,
            Message::Extended { id: 0, .. } => EXTENDED_HANDSHAKE,
            Message::Extended { .. } => EXTENDED,
            _ => 1,
        },
        Received::Block { .. } | Received::Unpaid { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::BEGINNING;

    #[test]
    fn debts_have_a_bound() {
        let mut budget = Budget::new(NOW);
        (0..1000).for_each(|_| budget.charge(NOW, 1_000_000));
        assert_eq!(budget.in_debt_until(NOW), Some(NOW + LONGEST_DEBT));
    }

    #[test]
    fn the_first_words_of_a_session_are_free() {
        // Also those of the first peer at the first moment there is.
        for now in [Time::ZERO, Time::from_millis(1), NOW] {
            let mut budget = Budget::new(now);
            budget.charge(now, STATEMENT_OF_ALL + EXTENDED_HANDSHAKE + TURN);
            assert_eq!(budget.in_debt_until(now), None, "{now:?}");
        }
    }

    #[test]
    fn a_burst_is_free_and_then_time_pays() {
        let mut budget = Budget::new(NOW);
        budget.charge(NOW, 5000);
        assert_eq!(budget.in_debt_until(NOW), None);
        budget.charge(NOW, 1000);
        assert_eq!(budget.in_debt_until(NOW), Some(NOW + Duration::from_secs(1)));
        assert_eq!(budget.in_debt_until(NOW + Duration::from_secs(1)), None);
    }

    #[test]
    fn blocks_pay_and_what_is_saved_has_a_bound() {
        let mut budget = Budget::new(NOW);
        for _ in 0..10_000 {
            budget.charge_bytes(NOW, 16 * 1024 + 13);
            budget.charge(NOW, 10);
            budget.block(16 * 1024);
        }
        assert_eq!(budget.in_debt_until(NOW), None);
        budget.charge(NOW, 5001);
        assert!(budget.in_debt_until(NOW).is_some(), "as if it had been silent, and no better");
    }
}
