//! Who has what: what peers say of their pieces, what they are told of ours.

use super::Content;
use super::bitfield::Bitfield;
use super::pieces::PeerKey;
use crate::base::time::Time;
use crate::engine::config::{Config, StorageKind};
use crate::engine::peer::Peer;
use crate::engine::peer::messages::wake;
use crate::engine::peer::peers::Peers;
use crate::wire::{Message, lt_donthave};

/// Statements of all that a peer has, of which one is usual.
const MAX_BITFIELDS: u32 = 4;

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
    let hears = (hears && !peer.have.get(piece)) || peer.shown.shows(piece);
    if hears && peer.told.set(piece) {
        peer.send(now, &Message::Have(piece));
        wake(woken, peer);
    }
}

/// The piece is gone: those who were told are told, if that is wished (`send_dont_have`).
pub(in crate::engine) fn withdraw(now: Time, tells: bool, peers: &mut Peers, piece: u32, woken: &mut Vec<PeerKey>) {
    peers.for_each_partial(|peer| {
        if peer.told.clear(piece)
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
    pub was_seed: bool,
    /// It was counted among the seeds, and is counted piece by piece now.
    pub was_counted_seed: bool,
    /// The blocks of the piece that it was asked for.
    pub asked: Vec<u32>,
}

/// What a peer said of its pieces before the metadata came.
#[derive(Debug)]
pub(in crate::engine) struct EarlyField {
    pub field: Bitfield,
    /// Those that it named one by one.
    pub shown: Vec<u32>,
}

impl Peer {
    /// It has a piece, before we know how many there are.
    pub(in crate::engine) fn has_early(&mut self, piece: u32) -> Result<(), String> {
        // There is a bound on them.
        self.budget.refund(1);
        if self.early.push(piece, true) { Ok(()) } else { Err("too many HAVEs before the metadata".into()) }
    }

    pub(in crate::engine) fn lost_early(&mut self, piece: u32) -> Result<(), String> {
        if self.early.push(piece, false) { Ok(()) } else { Err("too many pieces lost before the metadata".into()) }
    }
}

impl Content {
    /// We got the piece, or lost it: what those have for us who have it.
    pub(in crate::engine) fn offer_changed(&self, peers: &mut Peers, piece: u32, had: bool) -> Offers {
        let mut offers = Offers::default();
        peers.for_each_partial(|peer| {
            if !peer.have.get(piece) {
                return;
            }
            peer.counted_offers = if had { peer.counted_offers.saturating_sub(1) } else { peer.counted_offers + 1 };
            if had && peer.shown.take(piece) && peer.counted_offers == 0 {
                offers.showed.push(peer.key);
            }
            if peer.counted_offers <= 1 {
                offers.changed.push(peer.key);
            }
        });
        // Seeds have something for us until we have everything.
        if self.num_missing() == u32::from(!had) {
            offers.changed.extend(peers.values().filter(|p| p.counted_seed).map(|p| p.key));
        }
        offers
    }

    pub(in crate::engine) fn peer_has(&mut self, peer: &mut Peer, piece: u32) -> Result<Have, String> {
        let pieces = self.info.layout.num_pieces();
        if piece >= pieces {
            return Err(format!("HAVE of piece {piece} of {pieces}"));
        }
        if !peer.have.set(piece) {
            if !self.is_missing(piece) || peer.counted_seed {
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
        if !self.have.get(piece) {
            peer.counted_offers += 1;
        }
        Ok(Have::News)
    }

    /// The peer has the piece no more. None: it had not.
    pub(in crate::engine) fn peer_lost(&mut self, peer: &mut Peer, piece: u32) -> Option<Lost> {
        let was_seed = peer.is_seed();
        if !peer.have.clear(piece) {
            return None;
        }
        let was_counted_seed = std::mem::take(&mut peer.counted_seed);
        if was_counted_seed {
            self.picker.seed_left();
            self.picker.pieces_joined(&peer.have);
            peer.counted_offers = self.num_missing();
        } else {
            self.picker.peer_lost(piece);
        }
        if !self.have.get(piece) {
            peer.counted_offers = peer.counted_offers.saturating_sub(1);
        }
        let asked = peer.requests.iter().filter(|r| r.piece == piece).map(|r| r.block).collect();
        Some(Lost { was_seed, was_counted_seed, asked })
    }

    /// The pieces that a BITFIELD names.
    pub(in crate::engine) fn field(&self, bytes: Vec<u8>) -> Result<Bitfield, String> {
        let pieces = self.info.layout.num_pieces();
        Bitfield::from_bytes(bytes, pieces).ok_or_else(|| format!("bitfield does not fit {pieces} pieces"))
    }

    /// The peer states all that it has.
    pub(in crate::engine) fn replace_have(&mut self, peer: &mut Peer, field: Bitfield) -> Result<(), String> {
        peer.bitfields += 1;
        if peer.bitfields > MAX_BITFIELDS {
            return Err("one bitfield after the other".into());
        }
        self.forget_pieces_of(peer);
        self.picker.peer_joined(&field);
        peer.counted_seed = field.is_full();
        peer.have = field;
        peer.shown.replace(peer.have.iter().filter(|_| !peer.counted_seed));
        peer.count_offers(&self.have);
        Ok(())
    }

    /// What the peer has counts no more.
    pub(in crate::engine) fn forget_pieces_of(&mut self, peer: &Peer) {
        if peer.counted_seed {
            self.picker.seed_left();
        } else {
            self.picker.pieces_left(&peer.have);
        }
    }

    /// The metadata is here: what the peer said before can be understood now. Nonsense is an error.
    pub(in crate::engine) fn adopt_early_haves(&self, peer: &mut Peer) -> Result<EarlyField, String> {
        let pieces = self.info.layout.num_pieces();
        peer.told = Bitfield::new(pieces);
        peer.have = Bitfield::new(pieces);
        peer.allowed_to_us.retain(|p| *p < pieces);
        let early = std::mem::take(&mut peer.early);
        let mut field = match (early.all, early.bitfield) {
            (true, _) => Bitfield::full(pieces),
            (false, Some(bytes)) => self.field(bytes)?,
            (false, None) => Bitfield::new(pieces),
        };
        for (piece, has) in &early.changes {
            if *has && *piece >= pieces {
                return Err(format!("bitfield does not fit {pieces} pieces"));
            }
            if *has {
                field.set(*piece);
            } else {
                field.clear(*piece);
            }
        }
        let shown = early.changes.into_iter().filter(|(_, has)| *has).map(|(piece, _)| piece);
        Ok(EarlyField { field, shown: shown.collect() })
    }
}
