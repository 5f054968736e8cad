//! Peer exchange (BEP 11): who came and went since we last told a peer, once a minute.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::time::Time;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::Peer;
use crate::engine::peer::messages::wake;
use crate::engine::peer::peers::Peers;
use crate::wire::Message;
use crate::wire::ut_pex::{PexMessage, flags};

const INTERVAL: Duration = Duration::from_secs(60);
/// Two messages closer than this are one too many (with some slack for clocks).
const LEAST_INTERVAL: Duration = Duration::from_secs(45);

/// What a peer tells of others, at most so many. None if it tells too soon again: the next message in time is heard.
pub(in crate::engine) fn received(
    now: Time,
    peer: &mut Peer,
    payload: &[u8],
    most: usize,
) -> Result<Option<Vec<SocketAddr>>, String> {
    let message = PexMessage::parse(payload).map_err(|e| format!("ut_pex: {e}"))?;
    if peer.pex_received != Time::ZERO && now.since(peer.pex_received) < LEAST_INTERVAL {
        return Ok(None);
    }
    peer.pex_received = now;
    Ok(Some(message.added.iter().map(|(a, _)| *a).take(most).collect()))
}

/// Tells those whose time has come who came and went, at most so many.
pub(in crate::engine) fn send(now: Time, peers: &mut Peers, most: usize, woken: &mut Vec<PeerKey>) {
    if peers.values().all(|p| p.ids.ut_pex.is_none() || now < p.next_pex) {
        return;
    }
    // Only addresses that can be dialled: of incoming peers the port that they told.
    let reachable = |p: &Peer| {
        let port = if p.incoming { p.listen_port? } else { p.address.port() };
        let seed = if p.is_seed() || p.upload_only { flags::SEED } else { 0 };
        let reachable = if p.incoming { 0 } else { flags::REACHABLE };
        Some((SocketAddr::new(p.address.ip().to_canonical(), port), seed | reachable))
    };
    let connected: Vec<(SocketAddr, u8)> = peers.values().filter_map(reachable).collect();
    let here: HashSet<SocketAddr> = connected.iter().map(|(a, _)| *a).collect();
    for peer in peers.values_mut() {
        let Some(id) = peer.ids.ut_pex.filter(|_| now >= peer.next_pex) else { continue };
        peer.next_pex = now + INTERVAL;
        let own_port = if peer.incoming { peer.listen_port.unwrap_or(0) } else { peer.address.port() };
        let own = SocketAddr::new(peer.address.ip().to_canonical(), own_port);
        let told: HashSet<SocketAddr> = peer.pex_told.iter().copied().collect();
        let news = connected.iter().filter(|(a, _)| *a != own && !told.contains(a));
        let added: Vec<(SocketAddr, u8)> = news.take(most).copied().collect();
        let dropped: Vec<SocketAddr> = peer.pex_told.iter().filter(|a| !here.contains(a)).take(most).copied().collect();
        if added.is_empty() && dropped.is_empty() {
            continue;
        }
        peer.pex_told.retain(|a| !dropped.contains(a));
        peer.pex_told.extend(added.iter().map(|(a, _)| *a));
        let payload = PexMessage { added, dropped }.encode();
        peer.send(now, &Message::Extended { id, payload });
        wake(woken, peer);
    }
}
