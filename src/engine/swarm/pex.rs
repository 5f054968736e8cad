//! Peer exchange (BEP 11): who came and went since we last told a peer, once a minute.

use std::collections::HashSet;
use std::net::SocketAddr;

use crate::base::address::{canonical, is_of_name};
use crate::base::time::Time;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::Peer;
use crate::engine::peer::messages::wake;
use crate::engine::peer::peers::Peers;
use crate::wire::Message;
use crate::wire::ut_pex::{PexMessage, flags};

/// What a peer tells of others.
pub(in crate::engine) struct Told {
    pub addresses: Vec<SocketAddr>,
    /// Those of them that want encryption.
    pub encrypting: Vec<SocketAddr>,
}

/// What a peer tells of others, at most so many. None if it tells too soon again: the next message in time is heard.
pub(in crate::engine) fn received(
    now: Time,
    peer: &mut Peer,
    payload: &[u8],
    most: usize,
) -> Result<Option<Told>, String> {
    let message = PexMessage::parse(payload).map_err(|e| format!("ut_pex: {e}"))?;
    if !peer.pex.hear(now) {
        return Ok(None);
    }
    let told = || message.added.iter().take(most);
    let encrypting = told().filter(|(_, f)| f & flags::ENCRYPTION != 0).map(|(a, _)| *a);
    Ok(Some(Told { addresses: told().map(|(a, _)| *a).collect(), encrypting: encrypting.collect() }))
}

/// Tells those whose time has come who came and went, at most so many.
pub(in crate::engine) fn send(now: Time, peers: &mut Peers, most: usize, woken: &mut Vec<PeerKey>) {
    if peers.values().all(|p| p.extensions.ids().ut_pex.is_none() || !p.pex.is_due(now)) {
        return;
    }
    let told_of = |p: &Peer| {
        let seed = if p.is_seed() || p.extensions.upload_only() { flags::SEED } else { 0 };
        let reachable = if p.is_incoming() { 0 } else { flags::REACHABLE };
        let encryption = if p.kind().is_encrypted() { flags::ENCRYPTION } else { 0 };
        let utp = if p.kind().is_utp() { flags::UTP } else { 0 };
        Some((known_by(p)?, seed | reachable | encryption | utp))
    };
    let connected: Vec<(SocketAddr, u8)> = peers.values().filter_map(told_of).collect();
    let here: HashSet<SocketAddr> = connected.iter().map(|(a, _)| *a).collect();
    for peer in peers.values_mut() {
        let Some(id) = peer.extensions.ids().ut_pex.filter(|_| peer.pex.is_due(now)) else { continue };
        let own = known_by(peer);
        if let Some(message) = peer.pex.tell(now, &connected, &here, own, most) {
            peer.send(now, &Message::Extended { id, payload: message.encode() });
            wake(woken, peer);
        }
    }
}

/// The address at which others can dial the peer: of one that came to us with the port that it told.
fn known_by(peer: &Peer) -> Option<SocketAddr> {
    let address = if peer.is_incoming() { peer.listens()? } else { peer.address() };
    let address = canonical(address);
    (!is_of_name(address.ip())).then_some(address)
}
