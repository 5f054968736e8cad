//! Memory that is set aside for the blocks of a piece before they are asked for.

use super::{PieceState, Store};
use crate::memory::pool::Reservation;
use crate::memory::promise::Promise;

impl Store {
    /// Changes what is set aside for a piece, and keeps count of it.
    pub(super) fn edit_promise<R>(&mut self, piece: u32, change: impl FnOnce(&mut PieceState) -> R) -> Option<R> {
        let slot = self.slots.get_mut(piece as usize)?.as_deref_mut()?;
        let before = slot.promised();
        let result = change(slot);
        self.promised_blocks = self.promised_blocks + slot.promised() - before;
        Some(result)
    }

    /// Charges a block of the piece from what was set aside for it.
    pub fn redeem(&mut self, piece: u32) -> Option<Reservation> {
        self.edit_promise(piece, |slot| slot.promise.as_mut()?.redeem()).flatten()
    }

    /// A block of the piece that was asked for is to be asked for again: its charge is set aside for it. If that is on its way still,
    /// another one, where there is one.
    pub fn take_in(&mut self, piece: u32, charge: Option<Reservation>) {
        self.edit_promise(piece, |slot| {
            let free = u64::from(slot.free_blocks());
            match (&mut slot.promise, charge) {
                (Some(promise), Some(charge)) if promise.blocks() < free => promise.take_in(charge),
                (Some(promise), None) => promise.top_up(free),
                _ => {}
            }
        });
    }

    /// Sets memory aside for blocks of the piece that are to be asked for again, as far as there is some.
    pub fn top_up(&mut self, piece: u32) {
        self.edit_promise(piece, |slot| {
            let free = u64::from(slot.free_blocks());
            slot.promise.iter_mut().for_each(|p| p.top_up(free));
        });
    }

    /// The piece is read block by block from now on, or as a whole again.
    pub fn set_promise(&mut self, piece: u32, promise: Option<Promise>) {
        self.edit_promise(piece, |slot| {
            slot.borrowed = promise.as_ref().map_or(slot.borrowed, Promise::is_borrowed);
            slot.promise = promise;
        });
    }

    /// What the piece has, and was borrowed, is its own.
    pub fn make_own(&mut self, piece: u32) {
        self.edit_promise(piece, |slot| {
            slot.borrowed = false;
            slot.promise.iter_mut().for_each(Promise::make_own);
        });
    }

    /// Blocks set aside for all pieces.
    pub fn promised_blocks(&self) -> u64 {
        self.promised_blocks
    }
}
