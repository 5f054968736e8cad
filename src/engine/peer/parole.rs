//! Whether a peer is trusted. One that sent part of a piece that failed gets whole pieces to itself, or none, until it has shown that it
//! sends what is right.

#[derive(Debug, Default)]
pub struct Parole {
    on: bool,
    passed: u32,
    hash_fails: u32,
}

impl Parole {
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Pieces of its own that passed since one failed.
    pub fn passed(&self) -> u32 {
        self.passed
    }

    /// Pieces that failed, of which it sent a part.
    pub fn hash_fails(&self) -> u32 {
        self.hash_fails
    }

    pub fn piece_passed(&mut self) {
        self.passed += 1;
    }

    pub(super) fn piece_failed(&mut self) {
        self.hash_fails += 1;
        self.passed = 0;
    }

    /// [`Peers`](super::peers::Peers) counts those who are on parole, so it alone decides. What was it before?
    pub(super) fn set(&mut self, on: bool) -> bool {
        std::mem::replace(&mut self.on, on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_fails_undoes_those_that_passed() {
        let mut parole = Parole::default();
        assert!(!parole.set(true) && parole.is_on());
        parole.piece_passed();
        parole.piece_passed();
        assert_eq!((parole.passed(), parole.hash_fails()), (2, 0));
        parole.piece_failed();
        assert_eq!((parole.passed(), parole.hash_fails()), (0, 1));
        assert!(parole.set(false) && !parole.is_on());
    }
}
