//! Peers that are blocked by what the program or the settings say of them: they are not dialled, and the program hears of them.

use std::net::SocketAddr;
use std::sync::Arc;

use super::content::pieces::PeerKey;
use super::swarm::dial::DialFailure;
use super::swarm::port_filter::PortFilter;
use super::torrent::Torrent;
use crate::alert::{Alert, BlockedReason, CloseReason};
use crate::base::time::Time;

/// Of one answer, or one change, so many are told of. A list may name thousands.
const MOST_TOLD: usize = 50;

impl BlockedReason {
    /// Why a connection with such a peer ends, or is not made.
    pub(super) fn closes_with(self) -> CloseReason {
        match self {
            Self::PortFilter => CloseReason::PortBlocked,
            _ => CloseReason::Blocked,
        }
    }
}

impl Torrent {
    /// From now on this holds. Who is connected goes if it was dialled at such a port, or told that it listens at one; who comes later is let
    /// in, as with libtorrent: it has a port by which nobody dials it.
    pub fn set_port_filter(&mut self, now: Time, ports: &Arc<PortFilter>) {
        if !self.swarm.list_mut().set_port_filter(ports) {
            return;
        }
        let blocks = |address: SocketAddr| ports.blocks(address.port());
        let listens = |p: &super::peer::Peer| if p.is_incoming() { p.listens() } else { Some(p.address()) };
        let of_them = self.peers.values().filter(|p| listens(p).is_some_and(blocks));
        let connected: Vec<(PeerKey, SocketAddr)> = of_them.map(|p| (p.key(), p.address())).collect();
        self.tell_blocked(connected.iter().map(|(_, address)| (*address, BlockedReason::PortFilter)));
        for (key, _) in connected {
            self.close(now, key, CloseReason::PortBlocked, None);
        }
        self.drop_blocked(now);
    }

    /// The list is kept to what may be dialled now.
    pub(super) fn drop_blocked(&mut self, now: Time) {
        let limits = self.swarm_limits();
        let dropped = self.swarm.list_mut().drop_blocked(&limits);
        self.tell_blocked(dropped.told.into_iter());
        for (address, reason) in dropped.awaited {
            self.tell_dial(address, DialFailure { reason: reason.closes_with(), error: None });
        }
        self.dial(now);
    }

    /// Why a peer is not dialled, if it is blocked.
    pub(super) fn blocked(&self, address: SocketAddr) -> Option<BlockedReason> {
        self.swarm.list().blocked(address, &self.swarm_limits())
    }

    /// Those are named who may not be dialled.
    pub(super) fn tell_blocked_of(&mut self, addresses: &[SocketAddr]) {
        let (list, limits) = (self.swarm.list(), self.swarm_limits());
        let blocked = addresses.iter().filter_map(|address| Some((*address, list.blocked(*address, &limits)?)));
        let blocked: Vec<_> = blocked.take(MOST_TOLD).collect();
        self.tell_blocked(blocked.into_iter());
    }

    fn tell_blocked(&mut self, blocked: impl Iterator<Item = (SocketAddr, BlockedReason)>) {
        for (endpoint, reason) in blocked.take(MOST_TOLD) {
            self.alert(Alert::PeerBlocked { endpoint, reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cache::share::Shares;
    use crate::engine::config::TorrentConfig;
    use crate::engine::swarm::peer_list::PeerSource;
    use crate::engine::swarm::port_filter::{PortAccess, PortRule};
    use crate::memory::pool::Pool;
    use crate::metainfo::Create;
    use crate::settings::Settings;
    use crate::wire::{ExtendedHandshake, Handshake, Message, Received, StreamKind};

    const NOW: Time = Time::from_millis(1000);

    fn torrent(change: impl FnOnce(&mut Settings)) -> Torrent {
        let mut settings = Settings::default();
        change(&mut settings);
        let create = Create {
            name: "t".into(),
            piece_length: 16_384,
            files: vec![(vec!["f".into()], 20_000)],
            ..Create::default()
        };
        let config = TorrentConfig::of(&create.v1(vec![7; 40]).expect("a torrent").info);
        Torrent::new(NOW, config, Arc::new(settings), Pool::new(1 << 20), &Arc::new(Shares::default()), 1)
    }

    fn at(n: u8, port: u16) -> SocketAddr {
        ([10, 0, 0, n], port).into()
    }

    fn filter(first: u16, last: u16) -> Arc<PortFilter> {
        Arc::new(PortFilter::of(&[PortRule { first, last, access: PortAccess::BLOCKED }]))
    }

    fn meet(torrent: &mut Torrent, address: SocketAddr, incoming: bool) -> Result<PeerKey, CloseReason> {
        let id = address.port().to_be_bytes().repeat(10).try_into().expect("twenty");
        let mut handshake = Handshake::new(torrent.info_hashes().best(), id, false);
        handshake.reserved[5] |= 0x10;
        torrent.peer_connected(NOW, address, incoming, StreamKind::default(), &handshake).map(|(key, _)| key)
    }

    type Blocked = Vec<(SocketAddr, BlockedReason)>;

    /// Whom it dials, who is told to be blocked, and what became of connections.
    fn outcome(torrent: &mut Torrent) -> (Vec<SocketAddr>, Blocked, Vec<(SocketAddr, CloseReason)>) {
        let output = torrent.take_output();
        let told = output.alerts.iter().filter_map(|alert| match alert {
            Alert::PeerBlocked { endpoint, reason } => Some((*endpoint, *reason)),
            _ => None,
        });
        let ended = output.alerts.iter().filter_map(|alert| match alert {
            Alert::PeerDisconnected { endpoint, reason, .. } => Some((*endpoint, *reason)),
            _ => None,
        });
        (output.dial.iter().map(|dial| dial.address).collect(), told.collect(), ended.collect())
    }

    #[test]
    fn nobody_is_dialled_at_a_blocked_port() {
        let mut torrent = torrent(|s| s.no_connect_privileged_ports = true);
        torrent.set_port_filter(NOW, &filter(6000, 6999));
        torrent.add_peers(NOW, PeerSource::TRACKER, &[at(1, 6881), at(2, 7000), at(3, 80), at(4, 0)]);
        let (dialled, told, _) = outcome(&mut torrent);
        assert_eq!(dialled, [at(2, 7000)]);
        assert_eq!(told, [(at(1, 6881), BlockedReason::PortFilter), (at(3, 80), BlockedReason::PrivilegedPorts)]);
        torrent.connect_peer(NOW, at(1, 6881));
        let (dialled, told, ended) = outcome(&mut torrent);
        assert_eq!((dialled, told.len(), ended), (vec![], 1, vec![(at(1, 6881), CloseReason::PortBlocked)]));
        // Who was named once is not remembered for later.
        torrent.set_port_filter(NOW, &Arc::default());
        assert_eq!(outcome(&mut torrent), (vec![], vec![], vec![]));
        torrent.add_peers(NOW, PeerSource::PEX, &[at(1, 6881)]);
        assert_eq!(outcome(&mut torrent).0, [at(1, 6881)]);
    }

    #[test]
    fn those_who_are_here_go_and_those_who_come_stay() {
        let mut torrent = torrent(|_| ());
        torrent.add_peers(NOW, PeerSource::TRACKER, &[at(1, 6881), at(2, 7000), at(3, 6882), at(4, 6883)]);
        meet(&mut torrent, at(1, 6881), false).expect("let in");
        meet(&mut torrent, at(2, 7000), false).expect("let in");
        // One that listens at such a port, and one that comes from one.
        let listens = meet(&mut torrent, at(5, 50_001), true).expect("let in");
        let hello = ExtendedHandshake { p: Some(6884), ..ExtendedHandshake::default() }.encode();
        let hello = Received::Message(Message::Extended { id: 0, payload: hello });
        torrent.peer_received(NOW, listens, &mut vec![hello], 100);
        meet(&mut torrent, at(6, 6885), true).expect("let in");
        torrent.dial_deferred(NOW, at(3, 6882));
        outcome(&mut torrent);

        torrent.set_port_filter(NOW, &filter(6881, 6999));
        let (dialled, told, ended) = outcome(&mut torrent);
        let closed = [at(1, 6881), at(5, 50_001)].map(|address| (address, CloseReason::PortBlocked));
        assert!(
            dialled.is_empty() && ended.len() == 2 && closed.iter().all(|c| ended.contains(c)),
            "{dialled:?} {ended:?}"
        );
        let told: Vec<u16> = told.iter().map(|(address, _)| address.port()).collect();
        assert!(told.len() == 4 && [6881, 50_001, 6882, 6883].iter().all(|port| told.contains(port)), "{told:?}");
        // One that was being dialled meanwhile.
        assert_eq!(meet(&mut torrent, at(4, 6883), false), Err(CloseReason::PortBlocked));
        meet(&mut torrent, at(7, 6886), true).expect("let in, whatever its port");
        // None of them comes back.
        torrent.handle_timeout(NOW + std::time::Duration::from_secs(3600));
        assert_eq!(outcome(&mut torrent).0, []);
    }

    #[test]
    fn privileged_ports_leave_the_list_when_that_is_switched_on() {
        let mut torrent = torrent(|s| s.connection_speed = 1);
        let many: Vec<_> = (0..200).map(|n| at(n, 80)).collect();
        torrent.add_peers(NOW, PeerSource::TRACKER, &many);
        let begun = outcome(&mut torrent).0.len();
        let settings = Settings { no_connect_privileged_ports: true, ..Settings::default() };
        torrent.set_settings(NOW, Arc::new(settings));
        assert!(begun < 200 && outcome(&mut torrent).1.len() == MOST_TOLD);
        torrent.handle_timeout(NOW + std::time::Duration::from_secs(60));
        assert_eq!(outcome(&mut torrent).0, []);
    }

    #[test]
    fn a_list_of_thousands_is_told_of_in_part() {
        let mut torrent = torrent(|_| ());
        torrent.set_port_filter(NOW, &filter(0, u16::MAX));
        let many: Vec<_> = (0..10_000).map(|n: u16| at(n.to_be_bytes()[0], n + 1)).collect();
        torrent.add_peers(NOW, PeerSource::TRACKER, &many);
        let (dialled, told, _) = outcome(&mut torrent);
        assert_eq!((dialled.len(), told.len()), (0, MOST_TOLD));
    }
}
