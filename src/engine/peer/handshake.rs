//! Who is let in, and the first words on both sides (BEP 3, 6 and 10).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::Peer;
use super::messages::wake;
use crate::alert::{Alert, CloseReason, SocketType};
use crate::base::time::Time;
use crate::engine::content::availability::{Audience, tell_have};
use crate::engine::content::bitfield::Bitfield;
use crate::engine::content::pieces::PeerKey;
use crate::engine::swarm::dial::DialFailure;
use crate::engine::swarm::peer_list::PeerSource;
use crate::engine::torrent::Torrent;
use crate::memory::credits::Credits;
use crate::wire::{ExtendedHandshake, ExtensionIds, Handshake, Message, allowed_fast};

/// The extended message ids that we ask peers to use (BEP 10).
pub const UT_PEX: u8 = 1;
pub const UT_METADATA: u8 = 2;
pub const LT_DONTHAVE: u8 = 3;

/// While a read waits, who found no place is dialled again after this: one may be made.
const SOON: Duration = Duration::from_secs(3);

impl Torrent {
    /// A handshake was exchanged with a peer: it is let in, or turned away with a reason.
    pub fn peer_connected(
        &mut self,
        now: Time,
        address: SocketAddr,
        incoming: bool,
        handshake: &Handshake,
    ) -> Result<(PeerKey, Arc<Credits>), CloseReason> {
        let limits = self.swarm_limits();
        if let Some(crossed) = self.surroundings().crossing(now, incoming, &handshake.peer_id) {
            self.close(now, crossed, CloseReason::DuplicatePeerId, None);
        }
        let refusal = if !self.is_running() || self.life.checking {
            Some(CloseReason::TorrentRemoved)
        } else if self.swarm.list().is_banned(address) || !incoming && self.is_stranger(address) {
            Some(CloseReason::Blocked)
        } else if handshake.peer_id == self.config.peer_id {
            Some(CloseReason::SelfConnection)
        } else if self.is_duplicate(now, address, &handshake.peer_id) {
            Some(CloseReason::DuplicatePeerId)
        } else if !self.has_place(now, incoming) {
            Some(CloseReason::TooManyConnections)
        } else {
            None
        };
        if let Some(reason) = refusal {
            if !incoming {
                self.tell_awaited(address, DialFailure { reason, error: None });
            }
            match reason {
                // Through no fault of its own.
                CloseReason::TorrentRemoved | CloseReason::TooManyConnections => {
                    let rest = if self.a_read_waits() { SOON.min(limits.min_reconnect) } else { limits.min_reconnect };
                    self.swarm.list_mut().dial_deferred(now + rest, address);
                }
                _ => self.swarm.list_mut().dial_failed(now, address, &limits),
            }
            return Err(reason);
        }
        let key = self.peers.next_key();
        let credits = Credits::new(self.cache.pool.clone());
        let dialling = self.swarm.list().num_dialling().saturating_sub(usize::from(!incoming));
        let unknown = 1 + dialling + self.peers.values().filter(|p| p.is_unknown()).count();
        let mut peer = Peer::new(now, key, address, incoming, handshake, credits.clone(), unknown);
        if let Some(content) = &self.content {
            peer.have = Bitfield::new(content.layout().num_pieces());
            peer.told = Bitfield::new(content.layout().num_pieces());
        }
        self.swarm.list_mut().connected(now, address, incoming, &limits);
        self.swarm.let_in(address, incoming);
        self.peers.set_partial(key, true);
        self.peers.insert(key, peer);
        self.peers.set_parole(key, self.smart_ban.was_suspect(address));
        self.requests.ranking.outdated();
        self.alert(Alert::PeerConnect {
            endpoint: address,
            peer_id: handshake.peer_id,
            outgoing: !incoming,
            socket_type: SocketType::Tcp,
        });
        self.greet(now, key);
        if self.requests.refill {
            self.fill_all(now);
        }
        Ok((key, credits))
    }

    /// The first messages: the bitfield must come before anything else (BEP 3), so the extended handshake follows it.
    fn greet(&mut self, now: Time, key: PeerKey) {
        let stays = self.pieces_stay();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if let Some(content) = &self.content {
            let have = content.have();
            // Pieces in memory may leave any time: they are told one by one, to peers that understand that they went.
            let message = if stays && have.is_full() && peer.fast {
                Some(Message::HaveAll)
            } else if stays && !have.is_empty() {
                Some(Message::Bitfield(have.as_bytes().to_vec()))
            } else {
                peer.fast.then_some(Message::HaveNone)
            };
            if stays {
                peer.told = have.clone();
            }
            if let Some(message) = message {
                peer.send(now, &message);
            }
            if peer.fast
                && let IpAddr::V4(ip) = peer.address.ip().to_canonical()
                && !peer.incoming
            {
                let n = usize::try_from(self.config.settings.allowed_fast_set_size).unwrap_or(0);
                let set = allowed_fast::allowed_fast_set(
                    ip,
                    &self.config.info_hashes.best(),
                    content.layout().num_pieces(),
                    n.min(content.layout().num_pieces() as usize),
                );
                for piece in set.into_iter().filter(|p| have.get(*p) && stays) {
                    peer.send(now, &Message::AllowedFast(piece));
                    peer.allowed_to_peer.push(piece);
                }
            }
        } else if peer.fast {
            peer.send(now, &Message::HaveNone);
        }
        if peer.extended {
            self.send_extended_handshake(now, key);
        }
    }

    pub(in crate::engine) fn send_extended_handshake(&mut self, now: Time, key: PeerKey) {
        let hello = self.extended_handshake(key);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.offered_metadata = hello.m.ut_metadata.is_some_and(|id| id != 0);
            peer.send(now, &Message::Extended { id: 0, payload: hello.encode() });
            wake(&mut self.out.wake, peer);
        }
    }

    /// The port that others are to dial: `announce_port`, or the one we listen on.
    pub fn told_port(&self) -> u16 {
        u16::try_from(self.config.settings.announce_port)
            .ok()
            .filter(|port| *port != 0)
            .unwrap_or(self.config.listen_port)
    }

    fn extended_handshake(&self, key: PeerKey) -> ExtendedHandshake {
        let agent = &self.config.settings.handshake_client_version;
        let agent = if agent.is_empty() { &self.config.settings.user_agent } else { agent };
        // A private torrent's metadata is not for peers to ask for; those who were offered it while it was not known to be
        // private hear that it is over (BEP 10: an id of 0).
        let peer = self.peers.get(&key);
        let ut_metadata =
            if self.is_private() { peer.filter(|p| p.offered_metadata).map(|_| 0) } else { Some(UT_METADATA) };
        let m = ExtensionIds {
            ut_metadata,
            ut_pex: self.pex_enabled().then_some(UT_PEX),
            lt_donthave: Some(LT_DONTHAVE),
            ..Default::default()
        };
        ExtendedHandshake {
            m,
            v: Some(agent.clone()),
            p: Some(self.told_port()).filter(|port| *port != 0),
            reqq: u32::try_from(self.config.settings.max_allowed_in_request_queue).ok(),
            metadata_size: self
                .content
                .as_ref()
                .filter(|c| !c.info().private)
                .and_then(|c| u32::try_from(c.info().bytes.len()).ok()),
            yourip: self.peers.get(&key).map(|p| p.address.ip().to_canonical()),
            upload_only: self.content.as_ref().map(|c| c.has_all()),
            ..Default::default()
        }
    }

    pub(in crate::engine) fn extended_hello(&mut self, now: Time, key: PeerKey, payload: &[u8]) -> Result<(), String> {
        let hello = ExtendedHandshake::parse(payload).map_err(|e| format!("extended handshake: {e}"))?;
        let limits = self.swarm_limits();
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        let knew_donthave = peer.ids.lt_donthave.is_some();
        peer.ids.merge(hello.m);
        let learned_donthave = !knew_donthave && peer.ids.lt_donthave.is_some();
        if let Some(client) = hello.v {
            peer.client = client;
        }
        if let Some(reqq) = hello.reqq {
            peer.reqq = (reqq as usize).clamp(1, 1 << 16);
        }
        peer.upload_only = hello.upload_only.unwrap_or(peer.upload_only);
        let mut listens = None;
        // A peer listens on one port: the first that it names.
        if let Some(port) = hello.p.filter(|p| *p != 0 && peer.listen_port.is_none()) {
            peer.listen_port = Some(port);
            if peer.incoming {
                listens = Some(SocketAddr::new(peer.address.ip(), port));
            }
        }
        if let Some(address) = listens {
            // The same peer by the address that it listens on: not to be dialled while it is here.
            self.swarm.list_mut().add(now, address, PeerSource::INCOMING, &limits);
            if !self.swarm.list().source(address).is_empty() {
                self.swarm.list_mut().connected(now, address, true, &limits);
            }
        }
        if let Some(size) = hello.metadata_size {
            self.metadata_offered(now, key, size);
        } else if self.content.is_none() {
            // It may have it, and not say how large it is.
            self.ask_metadata(now, key);
        }
        if let Some(ip) = hello.yourip
            && let Some(peer) = self.peers.get_mut(&key)
            && !std::mem::replace(&mut peer.told_our_ip, true)
        {
            self.out.external_ips.push((peer.address.ip(), ip));
        }
        if learned_donthave {
            self.tell_resident(now, key);
        }
        Ok(())
    }

    /// After the extended handshake: a peer that knows lt_donthave may hear of pieces that will not stay.
    fn tell_resident(&mut self, now: Time, key: PeerKey) {
        let audience = self.audience();
        if audience == Audience::All {
            return;
        }
        let Some(content) = &self.content else { return };
        let Some(peer) = self.peers.get_mut(&key) else { return };
        for piece in content.have().iter() {
            tell_have(now, peer, piece, audience, &mut self.out.wake);
        }
    }
}
