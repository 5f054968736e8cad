//! Who makes room where there is none: peers that hold a place and do nothing with it.

use std::time::Duration;

use super::Time;
use super::peer::Peer;
use super::store::PeerKey;
use super::torrent::Torrent;
use crate::alert::CloseReason;

/// What a connection is worth: whom to part with first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worth {
    /// One side wants something of the other.
    wanted: bool,
    offers: bool,
    serves: bool,
    rate: u32,
    last_useful: Time,
}

/// Neither side wants anything: it has had its chance after so long.
const IDLE: Duration = Duration::from_secs(10);
/// One that wants something, or has something, and to which nothing ever came or went.
const USELESS: Duration = Duration::from_secs(30);
/// Between two peers that make room for dials.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);
/// This part of the places is kept for peers that we dial: who comes by himself cannot take them all.
const KEPT_FOR_DIALS: usize = 8;

impl Torrent {
    /// Is there a place for a newcomer? Else one is made, where somebody holds one for nothing.
    pub(super) fn has_place(&mut self, now: Time, incoming: bool) -> bool {
        let limit = self.connection_limit();
        let came = self.peers.values().filter(|p| p.incoming).count();
        let full = self.peers.len() >= limit || incoming && came >= limit - limit / KEPT_FOR_DIALS;
        !full || self.free_place(now)
    }

    /// Ends the connection that is of least use, if there is one of none.
    pub fn free_place(&mut self, now: Time) -> bool {
        let useless = |p: &&Peer| {
            let age = now.since(p.connected_at);
            let never = p.down.total() == 0 && p.up.total() == 0 && p.requests.is_empty();
            p.is_idle() && age > IDLE || never && !self.worth(p).serves && age > USELESS
        };
        let worst = self.peers.values().filter(useless).min_by_key(|p| self.worth(p)).map(|p| p.key);
        let Some(key) = worst else { return false };
        self.close(now, key, CloseReason::TooManyConnections, None);
        true
    }

    fn worth(&self, peer: &Peer) -> Worth {
        let offers = self.offers(peer) > 0;
        Worth {
            wanted: !peer.is_idle(),
            offers,
            serves: offers && !peer.peer_choking && !peer.snubbed,
            rate: peer.down.per_second().saturating_add(peer.up.per_second()),
            last_useful: peer.last_useful,
        }
    }

    /// All peers and what they are worth.
    pub fn worths(&self) -> Vec<(Worth, PeerKey)> {
        self.peers.values().map(|p| (self.worth(p), p.key)).collect()
    }

    /// These are too many.
    pub fn part_with(&mut self, now: Time, keys: &[PeerKey]) {
        for key in keys {
            self.close(now, *key, CloseReason::TooManyConnections, None);
        }
        // What they were asked for is asked of others.
        if self.refill {
            self.fill_all(now);
        }
    }

    /// The torrent's limit may be lower than it was: the surplus goes, those of least worth first.
    pub(super) fn part_with_surplus(&mut self, now: Time) {
        let surplus = self.peers.len().saturating_sub(self.connection_limit());
        if surplus > 0 {
            let mut worths = self.worths();
            worths.sort_unstable();
            let keys: Vec<PeerKey> = worths.into_iter().take(surplus).map(|(_, key)| key).collect();
            self.part_with(now, &keys);
        }
    }

    /// Somebody waits to be dialled, and all places are taken: one a second is freed.
    pub(super) fn free_place_to_dial(&mut self, now: Time) -> bool {
        if now < self.next_room || self.swarm.next_dial_time(self.has_all()).is_none_or(|at| at > now) {
            return false;
        }
        self.next_room = now + ROOM_INTERVAL;
        self.free_place(now)
    }

    /// libtorrent's `peer_turnover`: where nearly all places are taken and others wait to be dialled, the worst go now and then, so that
    /// better ones are found.
    pub(super) fn turn_over(&mut self, now: Time) {
        if now < self.next_turnover {
            return;
        }
        let positive = |s: i64| usize::try_from(s).unwrap_or(0);
        let s = &self.settings;
        let (percent, cutoff) = (positive(s.peer_turnover), positive(s.peer_turnover_cutoff));
        self.next_turnover = now + Duration::from_secs(positive(s.peer_turnover_interval).max(1) as u64);
        let waiting = self.swarm.num_ready(now);
        if percent == 0 || waiting == 0 || self.peers.len() * 100 < self.connection_limit() * cutoff {
            return;
        }
        let most = (self.peers.len() * percent).div_ceil(100).min(waiting);
        let settled = self.peers.values().filter(|p| now.since(p.connected_at) > USELESS && p.requests.is_empty());
        let mut worst: Vec<_> =
            settled.map(|p| (p.down.per_second().saturating_add(p.up.per_second()), p.last_useful, p.key)).collect();
        worst.sort_unstable();
        let keys: Vec<PeerKey> = worst.into_iter().take(most).map(|(_, _, key)| key).collect();
        for key in keys {
            self.close(now, key, CloseReason::PeerChurn, None);
        }
    }
}
