//! Shortage of peers: somebody waits, and there is nobody to ask. Then trackers, the DHT and known addresses are called at once.
//!
//! A swarm has its own consumption: who failed rests, trackers name the time of the next announce, the DHT is searched now and then. A
//! read that waits while nobody has its piece does not wait for that. It calls: those who rest are dialled, trackers and the DHT
//! are asked. The calls come at a pace of their own, and each of what they reach has a bound beside it (`PeerList::call`,
//! `Trackers::hurry`), so that a swarm that is dead is not hammered for as long as a player stays open.

use std::time::Duration;

use super::connection_slots::ConnectionSlots;
use super::peer_list::PeerList;
use super::torrent_view::TorrentView;
use crate::base::time::Time;
use crate::engine::config::StorageKind;
use crate::engine::peer::Peer;
use crate::engine::trackers::Hurried;

/// The pause after a call for a read; it grows by this, up to the longest.
const READ_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_READ_PAUSE: Duration = Duration::from_secs(5);
/// Who waits for metadata mostly wants to read: so many calls are as frequent. That is about three minutes.
const CALLS_FOR_METADATA: u32 = 40;
/// The same for a download that nobody watches, and for metadata that did not come.
const DOWNLOAD_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_DOWNLOAD_PAUSE: Duration = Duration::from_secs(60);
/// Peers dialled with one call.
const CALLED_FOR_A_READ: usize = 30;
const CALLED_FOR_A_DOWNLOAD: usize = 5;
/// Peers that have the piece and neither let us ask nor answer are waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Whether those who are here have the piece is found out so often at most.
const LOOK: Duration = Duration::from_millis(250);
/// Who was there to ask for less was not there.
const OVER: Duration = Duration::from_secs(15);
/// Where a read waits all the time and so much a second comes, it is too little for most films.
const TOO_LITTLE: u32 = 64 * 1024;
/// A search of the DHT has so long before the next one.
const DHT_SPACING: Duration = Duration::from_secs(60);
const RARE_DHT_SPACING: Duration = Duration::from_secs(300);

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Read,
    /// A read gets something, but too little.
    MoreForARead,
    Metadata,
    Download,
}

/// The calls of a torrent.
#[derive(Debug)]
pub struct Shortage {
    need: Option<Need>,
    looked: Time,
    /// Calls since somebody was there to ask, and when the next one is due.
    calls: u32,
    /// When somebody was there to ask again.
    over: Time,
    next: Time,
    /// When the DHT was searched last.
    searched: Time,
}

impl Shortage {
    /// A search of the DHT begins with the torrent.
    pub fn new(now: Time) -> Self {
        Self { need: None, looked: Time::ZERO, calls: 0, over: Time::ZERO, next: now, searched: now }
    }

    /// Who begins to read does not wait for the pace of what nobody watched. Where somebody came only to leave again it goes on.
    fn changes(&mut self, now: Time, need: Option<Need>) {
        if need.is_none() {
            self.over = now;
        } else if self.need.is_some() || now.since(self.over) >= OVER {
            self.calls = 0;
        }
        (self.need, self.next) = (need, now);
    }

    /// Calls for peers, if somebody waits for them and the time has come.
    pub(super) fn call(
        &mut self,
        now: Time,
        list: &mut PeerList,
        slots: &ConnectionSlots,
        view: &TorrentView<'_>,
    ) -> Option<PeerSearch> {
        if !view.peers.is_empty() && now.since(self.looked) < LOOK {
            return None;
        }
        self.looked = now;
        let need = need(now, list, slots, view);
        if need != self.need {
            self.changes(now, need);
        }
        let need = need.filter(|_| self.next <= now)?;
        let (step, longest, called) = match need {
            Need::Read => (READ_PAUSE, LONGEST_READ_PAUSE, CALLED_FOR_A_READ),
            Need::Metadata if self.calls < CALLS_FOR_METADATA => {
                (READ_PAUSE, LONGEST_READ_PAUSE, CALLED_FOR_A_DOWNLOAD)
            }
            Need::MoreForARead | Need::Metadata | Need::Download => {
                (DOWNLOAD_PAUSE, LONGEST_DOWNLOAD_PAUSE, CALLED_FOR_A_DOWNLOAD)
            }
        };
        self.calls = self.calls.saturating_add(1);
        let pause = list.about(step.saturating_mul(self.calls).min(longest));
        self.next = now + pause;
        list.call(now, called);
        if matches!(need, Need::Read | Need::Metadata) {
            // Who brings a block now and then is silent in between, and has to begin anew on another connection.
            let served = |p: &Peer| p.activity().has_served() || view.content.is_none();
            let late = |p: &Peer| served(p) && (p.source.requests().is_empty() || p.source.overdue(now) >= PATIENCE);
            let silent = |p: &Peer| now.since(p.activity().last_received()) >= PATIENCE;
            let mute = view.peers.values().filter(|p| silent(p) && late(p) && view.is_mute(now, p));
            let listen = mute.filter_map(|p| if p.is_incoming() { p.listens() } else { Some(p.address()) });
            listen.take(called).for_each(|address| list.call_beside(now, address));
        }
        let (hurried, spacing) = match need {
            Need::Read => (Hurried::ByRead, DHT_SPACING),
            Need::MoreForARead | Need::Metadata => (Hurried::Gently, RARE_DHT_SPACING),
            Need::Download => return Some(PeerSearch { trackers: None, search_dht: false }),
        };
        let search_dht = now.since(self.searched) >= spacing;
        if search_dht {
            self.searched = now;
        }
        Some(PeerSearch { trackers: Some((hurried, self.calls == 1)), search_dht })
    }

    /// When the next call is due, if one is.
    pub fn next(&self) -> Option<Time> {
        self.need.map(|_| self.next)
    }
}

/// What a call is to reach, beside the peers that are dialled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct PeerSearch {
    /// How trackers are hurried, and whether it is the first call of this shortage. None: they are not.
    pub trackers: Option<(Hurried, bool)>,
    pub search_dht: bool,
}

/// For whom peers are called.
fn need(now: Time, list: &PeerList, slots: &ConnectionSlots, view: &TorrentView<'_>) -> Option<Need> {
    if !view.active {
        return None;
    }
    let Some(content) = view.content else {
        // They are given time to answer.
        let new =
            |p: &Peer| p.extensions.ids().ut_metadata.is_some() && now.since(p.activity().connected_at()) < PATIENCE;
        let comes = view.fetch.came_within(now, PATIENCE) || view.peers.values().any(new);
        return (!comes).then_some(Need::Metadata);
    };
    if reads_wait_in_vain(now, view) || (view.peers.is_empty() && !view.readers.deadlines().is_empty()) {
        return Some(Need::Read);
    }
    if slots.starves(now, view) && view.rate < TOO_LITTLE && !list.has_untried(now) {
        return Some(Need::MoreForARead);
    }
    let fetches = || view.config.storage == StorageKind::Disk && content.picker().has_wanted();
    (view.peers.is_empty() && fetches()).then_some(Need::Download)
}

/// Does a read wait for a piece that nobody has who is here, or will not give for a while already?
fn reads_wait_in_vain(now: Time, view: &TorrentView<'_>) -> bool {
    view.awaited(|_| true).any(|(piece, since)| {
        let patient = now.since(since) < PATIENCE;
        let in_vain = |p: &Peer| p.of_no_use_since(now, &[piece]).is_some_and(|since| now.since(since) >= PATIENCE);
        !view.peers.values().any(|p| p.haves.has(piece) && (patient || !in_vain(p)))
    })
}
