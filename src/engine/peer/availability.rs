//! Who has what: what peers say of their pieces, what they are told of ours.

use super::haves::BeforeLoss;
use super::messages::wake;
use super::peers::Peers;
use super::wire_peer::Peer;
use crate::base::time::Time;
use crate::engine::config::{Config, StorageKind};
use crate::engine::content::Content;
use crate::engine::content::bitfield::Bitfield;
use crate::engine::content::pieces::PeerKey;
use crate::wire::{Message, lt_donthave};

/// Who hears of a piece that we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Audience {
    /// Everybody: it stays.
    All,
    /// It may go again: those that can be told so.
    Informed,
    /// It may go again, and nobody would be told (`send_dont_have`).
    Nobody,
}

impl Audience {
    pub(in crate::engine) fn of(config: &Config) -> Self {
        match (config.storage, config.settings.send_dont_have) {
            (StorageKind::Disk, _) => Self::All,
            (StorageKind::Memory, true) => Self::Informed,
            (StorageKind::Memory, false) => Self::Nobody,
        }
    }
}

/// Tells the peer that we have the piece, if it has not got it, was not told, and is to hear of it. Who showed it to us hears of it in any
/// case: it shows the next one then.
pub(in crate::engine) fn tell_have(
    now: Time,
    peer: &mut Peer,
    piece: u32,
    audience: Audience,
    woken: &mut Vec<PeerKey>,
) {
    let hears = match audience {
        Audience::All => true,
        Audience::Informed => peer.extensions.ids().lt_donthave.is_some(),
        Audience::Nobody => false,
    };
    let hears = (hears && !peer.haves.has(piece)) || peer.revealed.has(piece);
    if hears && peer.haves.tell(piece) {
        peer.send(now, &Message::Have(piece));
        wake(woken, peer);
    }
}

/// The piece is gone: those who were told are told, if that is wished (`send_dont_have`).
pub(in crate::engine) fn withdraw(now: Time, tells: bool, peers: &mut Peers, piece: u32, woken: &mut Vec<PeerKey>) {
    peers.for_each_partial(|peer| {
        if peer.haves.take_back(piece)
            && tells
            && let Some(id) = peer.extensions.ids().lt_donthave
        {
            peer.send(now, &Message::Extended { id, payload: lt_donthave::encode(piece).to_vec() });
            wake(woken, peer);
        }
    });
}

/// Whose offer to us changed, when we got a piece or lost one.
#[derive(Debug, Default)]
pub(in crate::engine) struct Offers {
    /// Those who have something for us since, or have nothing any more.
    pub changed: Vec<PeerKey>,
    /// Those who showed what we got, and have nothing else for us.
    pub showed: Vec<PeerKey>,
}

/// What a HAVE told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Have {
    /// Nothing new.
    Known,
    /// The peer shows us again what we lost.
    RevealedAgain,
    News,
}

/// A peer has a piece no more.
#[derive(Debug)]
pub(in crate::engine) struct Lost {
    pub was: BeforeLoss,
    /// The blocks of the piece that it was asked for.
    pub asked: Vec<u32>,
}

impl Peers {
    /// We got the piece, or lost it: what those have for us who have it.
    pub(in crate::engine) fn offer_changed(&mut self, content: &Content, piece: u32, had: bool) -> Offers {
        let mut offers = Offers::default();
        self.for_each_partial(|peer| {
            let Some(left) = peer.haves.ours_changed(piece, had) else { return };
            if had && peer.revealed.take(piece) && left == 0 {
                offers.showed.push(peer.key());
            }
            if left <= 1 {
                offers.changed.push(peer.key());
            }
        });
        // Seeds have something for us until we have everything.
        if content.num_missing() == u32::from(!had) {
            offers.changed.extend(self.values().filter(|p| p.haves.is_counted_seed()).map(|p| p.key()));
        }
        offers
    }
}

impl Peer {
    /// It has the piece.
    pub(in crate::engine) fn has_piece(&mut self, content: &mut Content, piece: u32) -> Result<Have, String> {
        let pieces = content.layout().num_pieces();
        if piece >= pieces {
            return Err(format!("HAVE of piece {piece} of {pieces}"));
        }
        if !self.haves.got(piece, content.have()) {
            if !content.is_missing(piece) || self.haves.is_counted_seed() {
                return Ok(Have::Known);
            }
            self.revealed.again = true;
            self.revealed.note(piece);
            self.source.refusals_mut().forget(piece);
            return Ok(Have::RevealedAgain);
        }
        self.budget.refund(1); // it was news
        // One that becomes a seed piece by piece stays counted piece by piece: else one that flaps would cost us a walk over
        // all pieces with each message.
        content.picker_mut().peer_has(piece);
        self.revealed.note(piece);
        Ok(Have::News)
    }

    /// It has the piece no more. None: it had not.
    pub(in crate::engine) fn lost_piece(&mut self, content: &mut Content, piece: u32) -> Option<Lost> {
        let was = self.haves.lost(piece, content.have())?;
        if was.counted_seed {
            content.picker_mut().seed_left();
            content.picker_mut().pieces_joined(self.haves.pieces());
        } else {
            content.picker_mut().peer_lost(piece);
        }
        let asked = self.source.requests().iter().filter(|r| r.piece == piece).map(|r| r.block).collect();
        Some(Lost { was, asked })
    }

    /// It states all that it has.
    pub(in crate::engine) fn states(&mut self, content: &mut Content, field: Bitfield) -> Result<(), String> {
        self.haves.count_bitfield()?;
        self.forget_pieces(content);
        content.picker_mut().peer_joined(&field);
        self.haves.replace(field, content.have());
        self.revealed.replace(self.haves.pieces().iter().filter(|_| !self.haves.is_counted_seed()));
        Ok(())
    }

    /// What it has counts no more.
    pub(in crate::engine) fn forget_pieces(&self, content: &mut Content) {
        if self.haves.is_counted_seed() {
            content.picker_mut().seed_left();
        } else {
            content.picker_mut().pieces_left(self.haves.pieces());
        }
    }
}
