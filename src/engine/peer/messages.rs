//! What peers' messages mean for the peer itself.

use super::Peer;
use super::early_haves::EarlyField;
use crate::base::time::Time;
use crate::engine::content::pieces::PeerKey;

/// Pieces that a peer lets us ask for while it chokes us (BEP 6), at most.
const MAX_ALLOWED_TO_US: usize = 64;

impl Peer {
    /// There are so many pieces.
    pub(in crate::engine) fn know_pieces(&mut self, pieces: u32) {
        self.haves.know_pieces(pieces);
        self.allowed_to_us.retain(|p| *p < pieces);
    }

    /// The metadata is here: what it said before can be understood now. Nonsense is an error.
    pub(in crate::engine) fn adopt_early_haves(&mut self, pieces: u32) -> Result<EarlyField, String> {
        self.know_pieces(pieces);
        self.haves.take_early().understand(pieces)
    }

    /// It has a piece, before we know how many there are.
    pub(in crate::engine) fn has_early(&mut self, piece: u32) -> Result<(), String> {
        // There is a bound on them.
        self.budget.refund(1);
        self.haves.early_mut().got(piece)
    }

    /// It lets us ask. Not believed of one that says so again and again.
    pub(in crate::engine) fn unchoked(&mut self, now: Time) -> bool {
        let changes = self.peer_choking && self.fickle.unchoked(now);
        self.peer_choking &= !changes;
        changes
    }

    /// What it was asked for and will not send any more: one with the fast extension rejects that, one by one.
    pub(in crate::engine) fn choked(&mut self, now: Time) -> Vec<(u32, u32)> {
        self.peer_choking = true;
        let lost: Vec<(u32, u32)> =
            if self.fast { Vec::new() } else { self.requests.iter().map(|r| (r.piece, r.block)).collect() };
        self.fickle.choked(now, lost.len());
        lost
    }

    /// We may ask for that piece while it chokes us. `pieces`: how many there are, if that is known.
    pub(in crate::engine) fn allowed_fast(&mut self, piece: u32, pieces: Option<u32>) {
        if self.allowed_to_us.len() < MAX_ALLOWED_TO_US
            && pieces.is_none_or(|n| piece < n)
            && !self.allowed_to_us.contains(&piece)
        {
            self.allowed_to_us.push(piece);
        }
    }
}

/// Reports a peer as having something to write, once until the shell took it.
pub(in crate::engine) fn wake(list: &mut Vec<PeerKey>, peer: &mut Peer) {
    if !std::mem::replace(&mut peer.woken, true) {
        list.push(peer.key);
    }
}
