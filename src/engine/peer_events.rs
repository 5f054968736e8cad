//! What happens between a torrent and its peers: what they say of their pieces.

use super::content::availability::{Audience, Have, tell_have};
use super::content::bitfield::Bitfield;
use super::content::pieces::PeerKey;
use super::torrent::Torrent;
use crate::alert::CloseReason;
use crate::base::error::{Error, Status};
use crate::base::time::Time;

impl Torrent {
    pub(super) fn peer_has(&mut self, now: Time, key: PeerKey, piece: u32) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let Some(content) = &mut self.content else { return peer.has_early(piece) };
        match content.peer_has(peer, piece)? {
            Have::Known => {}
            Have::ShownAgain => self.heard_of_pieces(now),
            Have::News => {
                if peer.is_seed() {
                    self.swarm.list_mut().set_seed(peer.address, true);
                }
                self.update_interest(now, key);
                self.heard_of_pieces(now);
            }
        }
        Ok(())
    }

    pub(super) fn peer_lost(&mut self, now: Time, key: PeerKey, piece: u32) -> Result<(), String> {
        let audience = self.audience();
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let Some(content) = &mut self.content else { return peer.lost_early(piece) };
        let Some(lost) = content.peer_lost(peer, piece) else { return Ok(()) };
        if lost.was_seed {
            self.swarm.list_mut().set_seed(peer.address, false);
        }
        if content.has(piece) {
            // It was not told while it had it itself.
            tell_have(now, peer, piece, audience, &mut self.out.wake);
        }
        if lost.was_counted_seed {
            self.peers.set_partial(key, true);
        }
        for block in lost.asked {
            self.release_request(key, piece, block);
            self.requests.refill = true;
        }
        self.suspect_stops(key);
        self.update_interest(now, key);
        Ok(())
    }

    pub(super) fn peer_bitfield(&mut self, now: Time, key: PeerKey, bytes: Vec<u8>) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let Some(content) = &self.content else {
            peer.early.state(false, Some(bytes));
            return Ok(());
        };
        let field = content.field(bytes)?;
        self.replace_have(now, key, field)
    }

    pub(super) fn peer_has_all(&mut self, now: Time, key: PeerKey) -> Result<(), String> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        if !peer.fast {
            return Err("HAVE_ALL without the fast extension".into());
        }
        let Some(content) = &self.content else {
            peer.early.state(true, None);
            return Ok(());
        };
        let field = Bitfield::full(content.layout().num_pieces());
        self.replace_have(now, key, field)
    }

    fn replace_have(&mut self, now: Time, key: PeerKey, field: Bitfield) -> Result<(), String> {
        let stays = self.audience() == Audience::All;
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), &mut self.content) else { return Ok(()) };
        content.replace_have(peer, field)?;
        let needs_no_look = peer.counted_seed && (stays || peer.told.is_empty());
        self.swarm.list_mut().set_seed(peer.address, peer.is_seed());
        self.peers.set_partial(key, !needs_no_look);
        self.update_interest(now, key);
        self.heard_of_pieces(now);
        Ok(())
    }

    /// The metadata is here: what the peer said before can be understood now. Nonsense ends the connection.
    pub(super) fn adopt_early_haves(&mut self, now: Time, key: PeerKey) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), &self.content) else { return };
        match content.adopt_early_haves(peer) {
            Ok(early) => {
                // The first: it is taken.
                let _ = self.replace_have(now, key, early.field);
                if let Some(peer) = self.peers.get_mut(&key) {
                    early.shown.into_iter().for_each(|piece| peer.shown.note(piece));
                }
            }
            Err(what) => {
                self.close(now, key, CloseReason::InvalidMessage, Some(Error::new(Status::Network, what)));
            }
        }
    }

    /// Who hears of the pieces that we have.
    pub(super) fn audience(&self) -> Audience {
        Audience::of(&self.config)
    }
}
