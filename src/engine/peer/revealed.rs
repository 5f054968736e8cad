//! What a peer showed last that shows its pieces one at a time (super-seeding, BEP 16).

use std::collections::VecDeque;

use crate::base::time::Time;

/// So many of the newest pieces of a peer are those that it shows; some show two at a time.
const MOST_REVEALED: usize = 4;

/// The newest pieces of one peer.
#[derive(Debug, Default)]
pub struct Revealed {
    pieces: VecDeque<u32>,
    /// It shows again what we lost. What it refuses and does not show it has not got for us.
    pub again: bool,
    /// We have all that it showed, and it may show more: it is interesting until then.
    pub lingers: Option<Time>,
}

impl Revealed {
    pub fn note(&mut self, piece: u32) {
        self.take(piece);
        if self.pieces.len() >= MOST_REVEALED {
            self.pieces.pop_front();
        }
        self.pieces.push_back(piece);
    }

    /// The oldest first.
    pub fn pieces(&self) -> impl Iterator<Item = u32> {
        self.pieces.iter().copied()
    }

    pub fn has(&self, piece: u32) -> bool {
        self.pieces.contains(&piece)
    }

    /// We got the piece, whether it stays or not. Did the peer show it?
    pub fn take(&mut self, piece: u32) -> bool {
        let at = self.pieces.iter().position(|p| *p == piece);
        at.is_some_and(|at| self.pieces.remove(at).is_some())
    }

    /// It stated all that it has. Only one that has very little shows that.
    pub fn replace(&mut self, pieces: impl Iterator<Item = u32>) {
        self.pieces = pieces.take(MOST_REVEALED + 1).collect();
        if self.pieces.len() > MOST_REVEALED {
            self.pieces.clear();
        }
    }
}
