//! A promise: the blocks that are set aside for one piece, all of them or none. Each is charged when it is used.

use std::sync::Arc;

use super::pool::{Pool, Reservation};

/// Blocks set aside for one piece.
#[derive(Debug)]
pub struct Promise {
    pool: Arc<Pool>,
    blocks: u64,
    /// They are charged already, and owed to others.
    is_borrowed: bool,
}

impl Promise {
    pub(super) fn new(pool: Arc<Pool>, blocks: u64, is_borrowed: bool) -> Self {
        Self { pool, blocks, is_borrowed }
    }

    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    pub fn is_borrowed(&self) -> bool {
        self.is_borrowed
    }

    /// Others were paid for them.
    pub fn make_own(&mut self) {
        if std::mem::take(&mut self.is_borrowed) {
            let charged = std::mem::take(&mut self.blocks);
            (0..charged).for_each(|_| self.take_in(Reservation::of_charge(self.pool.clone())));
        }
    }

    /// Charges one of them. `None`: there is none, or it is lent.
    pub fn redeem(&mut self) -> Option<Reservation> {
        let reservation = match self.blocks {
            0 => None,
            _ if self.is_borrowed => Some(Reservation::of_charge(self.pool.clone())),
            _ => self.pool.redeem(),
        }?;
        self.blocks -= 1;
        Some(reservation)
    }

    /// Takes a charge back in.
    pub fn take_in(&mut self, reservation: Reservation) {
        if self.is_borrowed {
            reservation.keep_charged();
        } else {
            self.pool.promise_again(reservation);
        }
        self.blocks += 1;
    }

    /// Has `blocks` in it again, as far as there is memory that nobody else was promised.
    pub fn top_up(&mut self, blocks: u64) {
        let (charged, promised) = if self.is_borrowed { (1, 0) } else { (0, 1) };
        while self.blocks < blocks && self.pool.take(charged, promised, true).is_some() {
            self.blocks += 1;
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if self.blocks == 0 {
            return;
        }
        if self.is_borrowed {
            self.pool.uncharge(self.blocks);
        } else {
            self.pool.take_back_promise(self.blocks);
        }
    }
}
