//! Two connections with one peer: one of them ends.
//!
//! The one that stands stays, or anybody could push a peer out by calling himself as it does. Unless it is mute: a connection may die
//! without a word (a router forgets it, a machine is switched off), and who comes back must not wait until that is noticed. Mute is who
//! owes us something and sends nothing at all: soon where a read waits, later otherwise. From who owes us nothing nothing need come
//! but keep-alives; but while a read waits that he is of no use to (he may have choked us before he died), his silence is as good as any.
//!
//! One that stands and is silent is sent something: if its other end is gone the system finds that out, and the newcomer is let in when he comes
//! again.

use std::net::SocketAddr;
use std::time::Duration;

use super::torrent_view::TorrentView;
use crate::base::time::Time;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::Peer;

/// Two connections with one peer, one from each side, made within this time: they crossed.
const CROSSING: Duration = Duration::from_secs(5);
/// Who sent nothing for so long may be gone.
const SILENT: Duration = Duration::from_secs(2);
/// One that owes us something and is silent for so long is mute, where a read waits and where none does.
const MUTE_BEFORE_A_READ: Duration = Duration::from_secs(5);
const MUTE: Duration = Duration::from_secs(20);
/// One that owes us nothing: most clients send a keep-alive sooner.
const MUTE_AT_REST: Duration = Duration::from_secs(100);

/// Is the peer here already?
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Duplicate {
    /// It is not, or by connections that are mute, which are to end.
    Of(Vec<PeerKey>),
    /// By others, too. Of these nothing was heard for a while.
    Stands { silent: Vec<PeerKey> },
}

impl TorrentView<'_> {
    /// Where both sides dialled at the same time, each would turn the other's connection away as a duplicate and none would be
    /// left. So both keep the one that the greater peer id began: this one ends, if it is the one that stands.
    pub(in crate::engine) fn crossing(&self, now: Time, incoming: bool, peer_id: &[u8; 20]) -> Option<PeerKey> {
        let crosses = |p: &&Peer| {
            p.peer_id() == *peer_id && p.is_incoming() != incoming && now.since(p.activity().connected_at()) < CROSSING
        };
        let crossed = self.peers.values().find(crosses).map(|p| p.key());
        crossed.filter(|_| incoming == (*peer_id > self.config.peer_id))
    }

    /// Is the peer here already: by its id, its address or, where one connection an address is allowed, its IP?
    pub(in crate::engine) fn duplicate(&self, now: Time, address: SocketAddr, peer_id: &[u8; 20]) -> Duplicate {
        let ip = address.ip().to_canonical();
        let one_each = !self.config.settings.allow_multiple_connections_per_ip && !ip.is_loopback();
        let same = |p: &&Peer| {
            let same_ip = p.address().ip().to_canonical() == ip;
            p.peer_id() == *peer_id || same_ip && (one_each || p.address().port() == address.port())
        };
        let here: Vec<&Peer> = self.peers.values().filter(same).collect();
        if here.iter().all(|p| self.is_mute(now, p)) {
            Duplicate::Of(here.iter().map(|p| p.key()).collect())
        } else {
            let silent = |p: &&&Peer| now.since(p.activity().last_received()) >= SILENT;
            Duplicate::Stands { silent: here.iter().filter(silent).map(|p| p.key()).collect() }
        }
    }

    /// Its connection may be dead: a newcomer that is the same peer takes its place.
    pub(super) fn is_mute(&self, now: Time, peer: &Peer) -> bool {
        let silent = now.since(peer.activity().last_received());
        let patience = if self.a_read_waits() { MUTE_BEFORE_A_READ } else { MUTE };
        let useless = Duration::from_secs(u64::try_from(self.config.settings.request_timeout).unwrap_or(0));
        if peer.source.is_snubbed() {
            // Whatever else it says.
            return silent >= patience || now.since(peer.activity().last_useful()) >= useless.max(patience);
        }
        let owes_blocks = peer.source.overdue(now) >= patience;
        let owes_metadata = self.content.is_none() && self.fetch.was_asked(peer.key());
        owes_blocks && silent >= patience
            || owes_metadata && silent >= MUTE
            || silent >= MUTE_AT_REST
            || silent >= MUTE_BEFORE_A_READ && self.is_of_no_use(now, peer, MUTE_BEFORE_A_READ)
    }
}
