//! Who has what: what peers say of their pieces, what they are told of ours.

use super::Content;
use super::bitfield::Bitfield;
use super::pieces::PeerKey;
use crate::base::time::Time;
use crate::engine::config::{Config, StorageKind};
use crate::engine::peer::Peer;
use crate::engine::peer::haves::Was;
use crate::engine::peer::messages::wake;
use crate::engine::peer::peers::Peers;
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
    let hears = (hears && !peer.haves.has(piece)) || peer.shown.shows(piece);
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
    ShownAgain,
    News,
}

/// A peer has a piece no more.
#[derive(Debug)]
pub(in crate::engine) struct Lost {
    pub was: Was,
    /// The blocks of the piece that it was asked for.
    pub asked: Vec<u32>,
}

impl Content {
    /// We got the piece, or lost it: what those have for us who have it.
    pub(in crate::engine) fn offer_changed(&self, peers: &mut Peers, piece: u32, had: bool) -> Offers {
        let mut offers = Offers::default();
        peers.for_each_partial(|peer| {
            let Some(left) = peer.haves.ours_changed(piece, had) else { return };
            if had && peer.shown.take(piece) && left == 0 {
                offers.showed.push(peer.key);
            }
            if left <= 1 {
                offers.changed.push(peer.key);
            }
        });
        // Seeds have something for us until we have everything.
        if self.num_missing() == u32::from(!had) {
            offers.changed.extend(peers.values().filter(|p| p.haves.is_counted_seed()).map(|p| p.key));
        }
        offers
    }

    pub(in crate::engine) fn peer_has(&mut self, peer: &mut Peer, piece: u32) -> Result<Have, String> {
        let pieces = self.info.layout.num_pieces();
        if piece >= pieces {
            return Err(format!("HAVE of piece {piece} of {pieces}"));
        }
        if !peer.haves.got(piece, &self.have) {
            if !self.is_missing(piece) || peer.haves.is_counted_seed() {
                return Ok(Have::Known);
            }
            peer.shown.again = true;
            peer.shown.note(piece);
            peer.refusals.forget(piece);
            return Ok(Have::ShownAgain);
        }
        peer.budget.refund(1); // it was news
        // One that becomes a seed piece by piece stays counted piece by piece: else one that flaps would cost us a walk over
        // all pieces with each message.
        self.picker.peer_has(piece);
        peer.shown.note(piece);
        Ok(Have::News)
    }

    /// The peer has the piece no more. None: it had not.
    pub(in crate::engine) fn peer_lost(&mut self, peer: &mut Peer, piece: u32) -> Option<Lost> {
        let was = peer.haves.lost(piece, &self.have)?;
        if was.counted_seed {
            self.picker.seed_left();
            self.picker.pieces_joined(peer.haves.pieces());
        } else {
            self.picker.peer_lost(piece);
        }
        let asked = peer.requests.iter().filter(|r| r.piece == piece).map(|r| r.block).collect();
        Some(Lost { was, asked })
    }

    /// The peer states all that it has.
    pub(in crate::engine) fn replace_have(&mut self, peer: &mut Peer, field: Bitfield) -> Result<(), String> {
        peer.haves.count_bitfield()?;
        self.forget_pieces_of(peer);
        self.picker.peer_joined(&field);
        peer.haves.replace(field, &self.have);
        peer.shown.replace(peer.haves.pieces().iter().filter(|_| !peer.haves.is_counted_seed()));
        Ok(())
    }

    /// What the peer has counts no more.
    pub(in crate::engine) fn forget_pieces_of(&mut self, peer: &Peer) {
        if peer.haves.is_counted_seed() {
            self.picker.seed_left();
        } else {
            self.picker.pieces_left(peer.haves.pieces());
        }
    }
}
