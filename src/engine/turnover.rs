//! Who makes room where there is none: peers that hold a place and do nothing with it.

use std::time::Duration;

use super::Time;
use super::peer::Peer;
use super::store::PeerKey;
use super::torrent::Torrent;
use crate::alert::CloseReason;

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
            let may_serve = self.offers(p) > 0 && !p.peer_choking && !p.snubbed;
            p.is_idle() && age > IDLE || never && !may_serve && age > USELESS
        };
        let worst = self
            .peers
            .values()
            .filter(useless)
            .min_by_key(|p| (!p.is_idle(), self.offers(p) > 0, p.last_useful))
            .map(|p| p.key);
        let Some(key) = worst else { return false };
        self.close(now, key, CloseReason::TooManyConnections, None);
        true
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
