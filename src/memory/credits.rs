//! The charges behind one connection's outstanding requests: which blocks it was asked for, each paid.
//!
//! The engine puts one in with each request it sends; the decoder takes it out when that block begins to arrive; the engine
//! takes back what was cancelled, rejected or lost. A block that comes though nobody asks for it (any more) finds none, so
//! late answers to cancelled requests cannot eat what new requests have paid for.
//!
//! For the time of one receive the decoder borrows the next few, with their memory, as places for what may arrive.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::pool::{BlockMut, Pool, Reservation};

/// One connection's credits.
#[derive(Debug)]
pub struct Credits {
    pool: Arc<Pool>,
    /// Blocks mostly come in the order in which they were asked.
    expected: Mutex<VecDeque<Expected>>,
}

#[derive(Debug, Clone, Copy)]
struct Expected {
    piece: u32,
    begin: u32,
    length: u32,
    /// The charge is with the decoder now.
    lent: bool,
}

/// A block that may arrive next, and memory for it.
#[derive(Debug)]
pub struct Loan {
    pub piece: u32,
    pub begin: u32,
    pub length: u32,
    pub block: BlockMut,
}

impl Loan {
    pub fn is_of(&self, piece: u32, begin: u32) -> bool {
        (self.piece, self.begin) == (piece, begin)
    }
}

impl Credits {
    pub fn new(pool: Arc<Pool>) -> Arc<Self> {
        Arc::new(Self { pool, expected: Mutex::new(VecDeque::new()) })
    }

    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Moves a reservation in, for the block of `length` bytes of `piece` at `begin`.
    pub fn put(&self, piece: u32, begin: u32, length: u32, reservation: Reservation) {
        reservation.keep_charged();
        self.expected.lock().push_back(Expected { piece, begin, length, lent: false });
    }

    /// Takes that block's out, if it is there. Of one that is lent nothing is left to take, and nothing to be given back.
    pub fn take(&self, piece: u32, begin: u32) -> Option<Reservation> {
        let mut expected = self.expected.lock();
        let at = position(&expected, piece, begin)?;
        let taken = expected.remove(at)?;
        (!taken.lent).then(|| Reservation::of_charge(self.pool.clone()))
    }

    /// Borrows up to `most` of those that were asked first.
    pub fn lend(&self, most: usize) -> Vec<Loan> {
        let mut expected = self.expected.lock();
        let mut loans = Vec::with_capacity(most.min(expected.len()));
        loans.extend(expected.iter_mut().filter(|e| !e.lent).take(most).map(|e| {
            e.lent = true;
            let block = Reservation::of_charge(self.pool.clone()).into_block(e.length);
            Loan { piece: e.piece, begin: e.begin, length: e.length, block }
        }));
        loans
    }

    /// A block arrives in a loan: the loan's memory and charge stay with the decoder. It may be another block than the loan's,
    /// of the same length: if that one is lent, too, its loan is now this one's. Not if nobody asks for it.
    pub fn settle(&self, loan: &Loan, piece: u32, begin: u32) -> bool {
        let mut expected = self.expected.lock();
        // The loan's own block stays paid though it was taken back.
        let Some(at) = position(&expected, piece, begin) else { return loan.is_of(piece, begin) };
        let Some(arrived) = expected.get(at).copied().filter(|e| e.length == loan.length) else { return false };
        expected.remove(at);
        if !arrived.lent {
            // Its own charge pays for the loan's block now, if that is still asked for.
            match lent(&expected, loan.piece, loan.begin).and_then(|at| expected.get_mut(at)) {
                Some(entry) => entry.lent = false,
                None => self.pool.uncharge(1),
            }
        }
        true
    }

    /// Gives loans back. What was taken meanwhile is charged no more.
    pub fn give_back(&self, loans: impl IntoIterator<Item = Loan>) {
        for loan in loans {
            let reservation = loan.block.into_reservation();
            let mut expected = self.expected.lock();
            if let Some(entry) = lent(&expected, loan.piece, loan.begin).and_then(|at| expected.get_mut(at)) {
                entry.lent = false;
                reservation.keep_charged();
            }
        }
    }

    /// Gives back the charges of all.
    pub fn clear(&self) {
        let expected = std::mem::take(&mut *self.expected.lock());
        self.pool.uncharge(expected.iter().filter(|e| !e.lent).count() as u64);
    }

    pub fn count(&self) -> u32 {
        self.expected.lock().len() as u32
    }
}

impl Drop for Credits {
    fn drop(&mut self) {
        self.clear();
    }
}

fn position(expected: &VecDeque<Expected>, piece: u32, begin: u32) -> Option<usize> {
    expected.iter().position(|e| (e.piece, e.begin) == (piece, begin))
}

fn lent(expected: &VecDeque<Expected>, piece: u32, begin: u32) -> Option<usize> {
    expected.iter().position(|e| e.lent && (e.piece, e.begin) == (piece, begin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::pool::BLOCK_SIZE;

    fn three() -> (Arc<Pool>, Arc<Credits>) {
        let pool = Pool::new(4 * u64::from(BLOCK_SIZE));
        let credits = Credits::new(pool.clone());
        (0..3).for_each(|piece| credits.put(piece, 0, BLOCK_SIZE, pool.reserve().expect("room")));
        (pool, credits)
    }

    #[test]
    fn credits_return_their_charges() {
        let (pool, credits) = three();
        assert_eq!((pool.charged(), credits.count()), (3, 3));
        assert!(credits.take(1, BLOCK_SIZE).is_none(), "nobody asked for that one");
        let block = credits.take(1, 0).expect("a credit").into_block(10);
        drop(block);
        assert_eq!(pool.charged(), 2);
        drop(credits);
        assert_eq!(pool.charged(), 0);
    }

    #[test]
    fn loans_come_back_settled_or_revoked() {
        let (pool, credits) = three();
        let loans = credits.lend(2);
        assert_eq!(loans.iter().map(|l| l.piece).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((pool.charged(), credits.count()), (3, 3));
        assert!(credits.take(1, 0).is_none(), "cancelled while it is lent");
        credits.put(1, 0, BLOCK_SIZE, pool.reserve().expect("room"));
        credits.give_back(loans);
        assert_eq!((pool.charged(), credits.count()), (3, 3), "the revoked loan's charge is gone, the new one stays");

        let mut loans = credits.lend(4);
        assert_eq!(loans.iter().map(|l| l.piece).collect::<Vec<_>>(), [0, 2, 1]);
        let arrived = loans.remove(0);
        assert!(!credits.settle(&arrived, 7, 0), "nobody asked for it");
        assert!(credits.settle(&arrived, arrived.piece, arrived.begin));
        credits.give_back(loans);
        let block = arrived.block.freeze();
        assert_eq!((pool.charged(), credits.count()), (3, 2));
        drop(block);
        assert_eq!(pool.charged(), 2);

        let loans = credits.lend(2);
        assert_eq!(loans.iter().map(|l| l.piece).collect::<Vec<_>>(), [2, 1]);
        credits.clear();
        assert_eq!(pool.charged(), 2, "the loans'");
        credits.give_back(loans);
        assert_eq!((pool.charged(), credits.count()), (0, 0));
    }

    /// What arrives in a loan: the block of another loan, one that is not lent, one after its own was taken back.
    #[test]
    fn loans_take_each_others_blocks() {
        let (pool, credits) = three();
        let mut loans = credits.lend(2);
        let arrived = loans.remove(0);
        assert!(credits.settle(&arrived, 1, 0), "the other loan's");
        loans[0].piece = arrived.piece;
        credits.give_back(loans);
        assert_eq!((pool.charged(), credits.count()), (3, 2));
        assert!(credits.take(1, 0).is_none());
        drop(arrived);
        assert_eq!(pool.charged(), 2);

        let mut loans = credits.lend(1);
        let arrived = loans.remove(0);
        assert!(credits.settle(&arrived, 2, 0), "one that is not lent");
        drop(arrived);
        assert_eq!((pool.charged(), credits.count()), (1, 1));
        assert!(credits.take(0, 0).is_some(), "its charge is back");

        credits.put(3, 0, BLOCK_SIZE, pool.reserve().expect("room"));
        credits.put(4, 0, BLOCK_SIZE, pool.reserve().expect("room"));
        credits.put(5, 0, 100, pool.reserve().expect("room"));
        let mut loans = credits.lend(1);
        assert!(credits.take(3, 0).is_none());
        let arrived = loans.remove(0);
        assert!(!credits.settle(&arrived, 5, 0), "of another length");
        assert!(credits.settle(&arrived, 4, 0));
        assert_eq!((pool.charged(), credits.count()), (2, 1), "the block and the short one");
        drop((arrived, credits));
        assert_eq!(pool.charged(), 0);
    }
}
