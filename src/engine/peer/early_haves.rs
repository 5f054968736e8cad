//! What a peer said of its pieces before we knew how many there are.

use crate::engine::content::bitfield::{Bitfield, does_not_fit};

/// Pieces that it got or lost, of which we keep account.
const MOST_CHANGES: usize = 1 << 16;

#[derive(Debug, Default)]
pub struct EarlyHaves {
    all: bool,
    bitfield: Option<Vec<u8>>,
    /// Pieces that it got or lost after that, in the order in which it said so.
    changes: Vec<(u32, bool)>,
}

/// What that means once the metadata is here.
#[derive(Debug, PartialEq, Eq)]
pub struct EarlyField {
    pub field: Bitfield,
    /// Those that it named one by one.
    pub revealed: Vec<u32>,
}

impl EarlyHaves {
    pub fn got(&mut self, piece: u32) -> Result<(), String> {
        self.change(piece, true, "too many HAVEs before the metadata")
    }

    pub fn lost(&mut self, piece: u32) -> Result<(), String> {
        self.change(piece, false, "too many pieces lost before the metadata")
    }

    fn change(&mut self, piece: u32, has: bool, too_many: &str) -> Result<(), String> {
        self.changes.push((piece, has));
        if self.changes.len() <= MOST_CHANGES { Ok(()) } else { Err(too_many.into()) }
    }

    /// The peer states all that it has: what it said before counts no more.
    pub fn state(&mut self, bitfield: Vec<u8>) {
        *self = Self { bitfield: Some(bitfield), ..Self::default() };
    }

    /// The same of one that has everything.
    pub fn state_all(&mut self) {
        *self = Self { all: true, ..Self::default() };
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.changes.len() * 8 + self.bitfield.as_ref().map_or(0, Vec::len)
    }

    /// There are so many pieces. What makes no sense with that is an error.
    pub fn understand(self, pieces: u32) -> Result<EarlyField, String> {
        let mut field = match (self.all, self.bitfield) {
            (true, _) => Bitfield::full(pieces),
            (false, Some(bytes)) => Bitfield::from_message(bytes, pieces)?,
            (false, None) => Bitfield::new(pieces),
        };
        let mut revealed = Vec::new();
        for (piece, has) in self.changes {
            if !has {
                field.clear(piece);
            } else if piece < pieces {
                field.set(piece);
                revealed.push(piece);
            } else {
                return Err(does_not_fit(pieces));
            }
        }
        Ok(EarlyField { field, revealed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_of_all_counts_with_what_follows_it() {
        let mut early = EarlyHaves::default();
        assert!(early.got(7).is_ok());
        early.state(vec![0b1010_0000]);
        assert!(early.lost(0).is_ok() && early.got(1).is_ok() && early.lost(9).is_ok());
        assert_eq!(early.bytes(), 25);
        let understood = early.understand(3).expect("it fits");
        assert_eq!((understood.field.as_bytes(), understood.revealed), ([0b0110_0000].as_slice(), vec![1]));
        let mut early = EarlyHaves::default();
        early.state_all();
        assert_eq!(early.understand(3), Ok(EarlyField { field: Bitfield::full(3), revealed: Vec::new() }));
    }

    #[test]
    fn what_does_not_fit_and_what_is_too_much_is_an_error() {
        let mut early = EarlyHaves::default();
        assert!(early.got(3).is_ok() && early.understand(3).is_err());
        let mut early = EarlyHaves::default();
        assert!((0..MOST_CHANGES).all(|_| early.lost(0).is_ok()));
        assert!(early.got(0).is_err());
    }
}
