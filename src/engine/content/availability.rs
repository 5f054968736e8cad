//! Who has what: what peers say of their pieces, what they are told of ours.

use super::bitfield::Bitfield;
use super::pieces::PeerKey;
use crate::alert::CloseReason;
use crate::base::error::Error;
use crate::base::time::Time;
use crate::engine::peer::Peer;
use crate::engine::peer::messages::wake;
use crate::engine::torrent::Torrent;
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
        Audience::Informed => peer.ids.lt_donthave.is_some(),
        Audience::Nobody => false,
    };
    let hears = (hears && !peer.have.get(piece)) || peer.shown.shows(piece);
    if hears && peer.told.set(piece) {
        peer.send(now, &Message::Have(piece));
        wake(woken, peer);
    }
}

impl Torrent {
    /// Tells the peers that we have the piece.
    pub(in crate::engine) fn announce_piece(&mut self, now: Time, piece: u32) {
        let audience = self.audience();
        let woken = &mut self.out.wake;
        self.peers.for_each_partial(|peer| tell_have(now, peer, piece, audience, woken));
    }

    /// Who hears of the pieces that we have.
    pub(in crate::engine) fn audience(&self) -> Audience {
        match (self.config.keeps_pieces(), self.config.settings.send_dont_have) {
            (true, _) => Audience::All,
            (false, true) => Audience::Informed,
            (false, false) => Audience::Nobody,
        }
    }

    /// The piece is gone: those who were told are told.
    pub(in crate::engine) fn withdraw_piece(&mut self, now: Time, piece: u32) {
        let tells = self.config.settings.send_dont_have;
        let woken = &mut self.out.wake;
        self.peers.for_each_partial(|peer| {
            if peer.told.clear(piece)
                && tells
                && let Some(id) = peer.ids.lt_donthave
            {
                peer.send(now, &Message::Extended { id, payload: lt_donthave::encode(piece).to_vec() });
                wake(woken, peer);
            }
        });
    }

    /// We got the piece, or lost it: what those have for us who have it.
    pub(in crate::engine) fn offer_changed(&mut self, now: Time, piece: u32, had: bool) {
        let (mut changed, mut showed) = (Vec::new(), Vec::new());
        self.peers.for_each_partial(|peer| {
            if !peer.have.get(piece) {
                return;
            }
            peer.counted_offers = if had { peer.counted_offers.saturating_sub(1) } else { peer.counted_offers + 1 };
            if had && peer.shown.take(piece) && peer.counted_offers == 0 {
                showed.push(peer.key);
            }
            if peer.counted_offers <= 1 {
                changed.push(peer.key);
            }
        });
        // Seeds have something for us until we have everything.
        if self.content.as_ref().is_some_and(|c| c.num_missing() == u32::from(!had)) {
            changed.extend(self.peers.values().filter(|p| p.counted_seed).map(|p| p.key));
        }
        self.linger(now, &showed);
        for key in changed {
            self.update_interest(now, key);
        }
    }

    /// The check found pieces: peers that came before it was over hear of them, and have so much less for us.
    pub(in crate::engine) fn pieces_found(&mut self, now: Time) {
        let Some(content) = &self.content else { return };
        let found: Vec<u32> = if self.peers.is_empty() { Vec::new() } else { content.have.iter().collect() };
        self.peers.for_each_partial(|peer| peer.count_offers(&content.have));
        for piece in found {
            self.announce_piece(now, piece);
        }
        self.update_interests(now);
    }

    pub(in crate::engine) fn peer_has(&mut self, now: Time, key: PeerKey, piece: u32) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let Some(content) = &mut self.content else {
            // There is a bound on them.
            peer.budget.refund(1);
            return if peer.early.push(piece, true) {
                Ok(())
            } else {
                Err("too many HAVEs before the metadata".into())
            };
        };
        let pieces = content.info.layout.num_pieces();
        if piece >= pieces {
            return Err(format!("HAVE of piece {piece} of {pieces}"));
        }
        if !peer.have.set(piece) {
            if content.is_missing(piece) && !peer.counted_seed {
                // It shows us again what we lost.
                peer.shown.again = true;
                peer.shown.note(piece);
                peer.refusals.forget(piece);
                self.heard_of_pieces(now);
            }
            return Ok(());
        }
        peer.budget.refund(1); // it was news
        // One that becomes a seed piece by piece stays counted piece by piece: else one that flaps would cost us a walk over
        // all pieces with each message.
        content.picker.peer_has(piece);
        peer.shown.note(piece);
        if peer.is_seed() {
            self.swarm.list_mut().set_seed(peer.address, true);
        }
        if !content.have.get(piece) {
            peer.counted_offers += 1;
        }
        self.update_interest(now, key);
        self.heard_of_pieces(now);
        Ok(())
    }

    pub(in crate::engine) fn peer_lost(&mut self, now: Time, key: PeerKey, piece: u32) -> Result<(), String> {
        let audience = self.audience();
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let Some(content) = &mut self.content else {
            return if peer.early.push(piece, false) {
                Ok(())
            } else {
                Err("too many pieces lost before the metadata".into())
            };
        };
        let was_full = peer.is_seed();
        if !peer.have.clear(piece) {
            return Ok(());
        }
        let was_counted = std::mem::take(&mut peer.counted_seed);
        if was_counted {
            content.picker.seed_left();
            content.picker.pieces_joined(&peer.have);
            peer.counted_offers = content.num_missing();
        } else {
            content.picker.peer_lost(piece);
        }
        if was_full {
            self.swarm.list_mut().set_seed(peer.address, false);
        }
        if !content.have.get(piece) {
            peer.counted_offers = peer.counted_offers.saturating_sub(1);
        } else {
            // It was not told while it had it itself.
            tell_have(now, peer, piece, audience, &mut self.out.wake);
        }
        let dropped: Vec<u32> = peer.requests.iter().filter(|r| r.piece == piece).map(|r| r.block).collect();
        if was_counted {
            self.peers.set_partial(key, true);
        }
        for block in dropped {
            self.release_request(key, piece, block);
            self.requests.refill = true;
        }
        self.suspect_stops(key);
        self.update_interest(now, key);
        Ok(())
    }

    pub(in crate::engine) fn peer_bitfield(&mut self, now: Time, key: PeerKey, bytes: Vec<u8>) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let Some(content) = &self.content else {
            peer.early.state(false, Some(bytes));
            return Ok(());
        };
        let pieces = content.info.layout.num_pieces();
        let field =
            Bitfield::from_bytes(bytes, pieces).ok_or_else(|| format!("bitfield does not fit {pieces} pieces"))?;
        self.replace_have(now, key, field)
    }

    pub(in crate::engine) fn peer_has_all(&mut self, now: Time, key: PeerKey) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        if !peer.fast {
            return Err("HAVE_ALL without the fast extension".into());
        }
        let Some(content) = &self.content else {
            peer.early.state(true, None);
            return Ok(());
        };
        let field = Bitfield::full(content.info.layout.num_pieces());
        self.replace_have(now, key, field)
    }

    fn replace_have(&mut self, now: Time, key: PeerKey, field: Bitfield) -> Result<(), String> {
        let stays = self.config.keeps_pieces();
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), &mut self.content) else { return Ok(()) };
        peer.bitfields += 1;
        if peer.bitfields > MAX_BITFIELDS {
            return Err("one bitfield after the other".into());
        }
        if std::mem::take(&mut peer.counted_seed) {
            content.picker.seed_left();
        } else {
            content.picker.pieces_left(&peer.have);
        }
        content.picker.peer_joined(&field);
        peer.counted_seed = field.is_full();
        peer.have = field;
        peer.shown.replace(peer.have.iter().filter(|_| !peer.counted_seed));
        let needs_no_look = peer.counted_seed && (stays || peer.told.is_empty());
        peer.count_offers(&content.have);
        let seed = peer.is_seed();
        let address = peer.address;
        self.peers.set_partial(key, !needs_no_look);
        self.swarm.list_mut().set_seed(address, seed);
        self.update_interest(now, key);
        self.heard_of_pieces(now);
        Ok(())
    }

    /// The metadata is here: what the peer said before can be understood now. Nonsense ends the connection.
    pub(in crate::engine) fn adopt_early_haves(&mut self, now: Time, key: PeerKey) {
        let Some(content) = &self.content else { return };
        let pieces = content.info.layout.num_pieces();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.told = Bitfield::new(pieces);
        peer.have = Bitfield::new(pieces);
        let early = std::mem::take(&mut peer.early);
        peer.allowed_to_us.retain(|p| *p < pieces);
        let mut field = match (early.all, early.bitfield) {
            (true, _) => Some(Bitfield::full(pieces)),
            (false, Some(bytes)) => Bitfield::from_bytes(bytes, pieces),
            (false, None) => Some(Bitfield::new(pieces)),
        };
        if let Some(field) = &mut field {
            for (piece, has) in &early.changes {
                if *has {
                    field.set(*piece)
                } else {
                    field.clear(*piece)
                };
            }
        }
        match field.filter(|_| early.changes.iter().all(|(p, has)| *p < pieces || !has)) {
            Some(field) => {
                // The first: it is taken.
                let _ = self.replace_have(now, key, field);
                if let Some(peer) = self.peers.get_mut(&key) {
                    early.changes.iter().filter(|(_, has)| *has).for_each(|(piece, _)| peer.shown.note(*piece));
                }
            }
            None => {
                let error =
                    Error::new(crate::base::error::Status::Network, format!("bitfield does not fit {pieces} pieces"));
                self.close(now, key, CloseReason::InvalidMessage, Some(error));
            }
        }
    }
}
