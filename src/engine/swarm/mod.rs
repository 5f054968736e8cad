//! The swarm: the addresses that are known, dialling, connection slots, choking, bans.

pub mod choker;
pub(crate) mod connection_slots;
pub mod dial;
pub(crate) mod duplicates;
pub mod external_ip;
mod parting;
pub mod peer_list;
pub mod pex;
pub mod port_filter;
pub mod shortage;
pub mod smart_ban;
pub mod torrent_view;
pub mod turnover;
pub mod urgency;

use std::net::SocketAddr;

use self::connection_slots::ConnectionSlots;
use self::dial::{DIAL_ASKED_AGAIN, Dialling};
use self::peer_list::{Parting, PeerList, SwarmLimits};
use self::shortage::{PeerSearch, Shortage};
use self::torrent_view::TorrentView;
use self::turnover::Turnover;

use crate::alert::CloseReason;
use crate::base::time::Time;
use crate::engine::peer::Peer;

/// Who is known, and how they are come by and parted with.
#[derive(Debug)]
pub(in crate::engine) struct Swarm {
    list: PeerList,
    shortage: Shortage,
    dialling: Dialling,
    slots: ConnectionSlots,
    turnover: Turnover,
    had_incoming: bool,
}

impl Swarm {
    pub(in crate::engine) fn new(now: Time, seed: u64) -> Self {
        Self {
            list: PeerList::new(now, seed),
            shortage: Shortage::new(now),
            dialling: Dialling::new(now),
            slots: ConnectionSlots::default(),
            turnover: Turnover::new(now),
            had_incoming: false,
        }
    }

    /// Who is known.
    pub(in crate::engine) fn list(&self) -> &PeerList {
        &self.list
    }

    pub(in crate::engine) fn list_mut(&mut self) -> &mut PeerList {
        &mut self.list
    }

    /// Has a peer come to us by itself, since the torrent was added?
    pub(in crate::engine) fn had_incoming(&self) -> bool {
        self.had_incoming
    }

    /// A peer was let in.
    pub(in crate::engine) fn let_in(&mut self, address: SocketAddr, incoming: bool) {
        self.slots.taken();
        self.list.take_awaited(address);
        self.had_incoming |= incoming;
    }

    /// The connection with a peer is over.
    pub(in crate::engine) fn parted(
        &mut self,
        now: Time,
        peer: &Peer,
        reason: CloseReason,
        parting: Parting,
        limits: &SwarmLimits,
    ) {
        if reason == CloseReason::UploadToUpload {
            // Or it would be dialled again, for the same end.
            self.list.set_seed(peer.address(), true);
        }
        let listens = peer.listens();
        let may_be_dialled = |address: &SocketAddr| self.list.blocked(*address, limits).is_none();
        let served = parting == Parting::Fair && peer.activity().has_served();
        if let Some(address) = listens.filter(|_| served).filter(may_be_dialled) {
            self.list.remember(address);
        }
        self.list.disconnected(now, peer.address(), parting, limits);
        if let Some(address) = listens {
            self.list.disconnected(now, address, parting, limits);
        }
    }

    /// The torrent starts again: nobody's failures count, and it may dial as many at once as a new one.
    pub(in crate::engine) fn started(&mut self) {
        self.list.forgive_all();
        self.dialling.started();
    }

    /// When the next call for peers is due, if somebody waits for them.
    pub(in crate::engine) fn next_call(&self) -> Option<Time> {
        self.shortage.next()
    }

    /// ConnectionSlots of the torrent that are free.
    pub(in crate::engine) fn room(&self, view: &TorrentView<'_>) -> usize {
        view.config.connection_limit().saturating_sub(view.peers.len() + self.list.num_dialling())
    }

    /// Whom to dial now, as far as there is room.
    pub(in crate::engine) fn next_dials(&mut self, now: Time, view: &TorrentView<'_>) -> Vec<SocketAddr> {
        let allowed = self.dialling.allowed(now, &view.config.settings);
        let dials = self.list.next_dials(now, self.room(view).min(allowed), view.has_all());
        self.dialling.began(dials.len());
        dials
    }

    /// Should a dial end that nobody has answered for a while? Where somebody waits, another address could be dialled, and it takes the place for
    /// that. `crowded`: the session has none.
    pub(in crate::engine) fn dial_gives_way(&self, now: Time, crowded: bool, view: &TorrentView<'_>) -> bool {
        let full = crowded || self.room(view) == 0;
        let others = || self.list.next_dial_time(view.has_all()).is_some_and(|at| at <= now + DIAL_ASKED_AGAIN);
        full && (view.content.is_none() || view.a_read_waits()) && others()
    }

    /// Calls for peers, if somebody waits for them and the time has come.
    pub(in crate::engine) fn call_for_peers(&mut self, now: Time, view: &TorrentView<'_>) -> Option<PeerSearch> {
        self.shortage.call(now, &mut self.list, &self.slots, view)
    }
}
