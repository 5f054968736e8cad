//! What peers' messages mean for the peer itself.

use super::early_haves::EarlyField;
use super::wire_peer::Peer;
use crate::base::time::Time;
use crate::engine::content::pieces::PeerKey;

impl Peer {
    /// There are so many pieces.
    pub(in crate::engine) fn know_pieces(&mut self, pieces: u32) {
        self.haves.know_pieces(pieces);
        self.choking.know_pieces(pieces);
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

    /// What it was asked for and will not send any more: one with the fast extension rejects that, one by one.
    pub(in crate::engine) fn choked(&mut self, now: Time) -> Vec<(u32, u32)> {
        let lost: Vec<(u32, u32)> = if self.supports_fast() {
            Vec::new()
        } else {
            self.source.requests().iter().map(|r| (r.piece, r.block)).collect()
        };
        self.choking.choked(now, lost.len());
        lost
    }

    /// We may ask for that piece while it chokes us. `pieces`: how many there are, if that is known.
    pub(in crate::engine) fn allowed_fast(&mut self, piece: u32, pieces: Option<u32>) {
        if pieces.is_none_or(|n| piece < n) {
            self.choking.allow_to_us(piece);
        }
    }
}

/// Reports a peer as having something to write, once until the shell took it.
pub(in crate::engine) fn wake(list: &mut Vec<PeerKey>, peer: &mut Peer) {
    if peer.outbox.wake() {
        list.push(peer.key());
    }
}
