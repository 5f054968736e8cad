//! Who there is: the list of peers, who is dialled, kept, unchoked, banned.

pub mod choker;
pub mod dial;
pub mod external_ip;
pub mod peer_list;
pub mod pex;
pub mod shortage;
pub mod smart_ban;
pub mod turnover;

use crate::base::time::Time;
use peer_list::PeerList;
use shortage::Shortage;
use turnover::Rooms;

/// Who is known, and how they are come by and parted with.
#[derive(Debug)]
pub(in crate::engine) struct Swarm {
    pub(in crate::engine) list: PeerList,
    pub(in crate::engine) shortage: Shortage,
    /// A peer has come to us by itself, since the torrent was added.
    pub(in crate::engine) had_incoming: bool,
    pub(in crate::engine) rooms: Rooms,
    /// When the worst go.
    pub(in crate::engine) next_turnover: Time,
    pub(in crate::engine) dials_since_start: u32,
    pub(in crate::engine) dial_tokens: f64,
    pub(in crate::engine) last_dial: Time,
}

impl Swarm {
    pub(in crate::engine) fn new(now: Time, seed: u64) -> Self {
        Self {
            list: PeerList::new(now, seed),
            shortage: Shortage::new(now),
            had_incoming: false,
            rooms: Rooms::default(),
            next_turnover: now,
            dials_since_start: 0,
            dial_tokens: 0.0,
            last_dial: now,
        }
    }
}
