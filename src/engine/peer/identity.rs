//! Who a peer is: what is known once it is let in, and does not change.

use std::net::{IpAddr, SocketAddr};

use super::wire_peer::Peer;
use crate::engine::content::pieces::PeerKey;
use crate::wire::Handshake;
use crate::wire::stream_kind::StreamKind;

#[derive(Debug)]
pub struct Identity {
    key: PeerKey,
    address: SocketAddr,
    /// Our end, where it is known.
    local: Option<IpAddr>,
    incoming: bool,
    kind: StreamKind,
    peer_id: [u8; 20],
    fast: bool,
    extended: bool,
    dht: bool,
}

impl Identity {
    pub fn new(key: PeerKey, address: SocketAddr, incoming: bool, kind: StreamKind, handshake: &Handshake) -> Self {
        Self {
            key,
            address,
            local: None,
            incoming,
            kind,
            peer_id: handshake.peer_id,
            fast: handshake.supports_fast(),
            extended: handshake.supports_extensions(),
            dht: handshake.supports_dht(),
        }
    }
}

impl Peer {
    pub fn key(&self) -> PeerKey {
        self.identity.key
    }

    /// The other end of its connection: where it listens, unless it came to us.
    pub fn address(&self) -> SocketAddr {
        self.identity.address
    }

    /// Our end of its connection, where it is known.
    pub fn local(&self) -> Option<IpAddr> {
        self.identity.local
    }

    pub fn set_local(&mut self, local: IpAddr) {
        self.identity.local = Some(local);
    }

    pub fn is_incoming(&self) -> bool {
        self.identity.incoming
    }

    /// What its connection is made of.
    pub fn kind(&self) -> StreamKind {
        self.identity.kind
    }

    pub fn peer_id(&self) -> [u8; 20] {
        self.identity.peer_id
    }

    /// The fast extension (BEP 6).
    pub fn supports_fast(&self) -> bool {
        self.identity.fast
    }

    /// The extension protocol (BEP 10).
    pub fn supports_extensions(&self) -> bool {
        self.identity.extended
    }

    /// It has a node in the DHT (BEP 5).
    pub fn supports_dht(&self) -> bool {
        self.identity.dht
    }

    /// Where one listens that came to us, if it told.
    pub fn listens(&self) -> Option<SocketAddr> {
        let port = self.extensions.listen_port().filter(|_| self.is_incoming())?;
        Some(SocketAddr::new(self.address().ip(), port))
    }
}
