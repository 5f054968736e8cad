//! Smart ban: finds the peer that is to blame for a piece that fails its hash.
//!
//! A piece that came from one peer convicts it. If several sent parts, what each sent is remembered by its hash, and all of
//! them go on parole: from then on a piece is either wholly theirs or not theirs at all, those under way included. So a bad
//! peer's next bad piece convicts it alone, and costs the swarm no third. When the piece comes right, those whose blocks
//! differ from the good ones are convicted and the others are innocent (libtorrent's parole and smart ban).

use std::collections::BTreeSet;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use sha1::{Digest, Sha1};

use crate::engine::content::Content;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::peers::Peers;

/// Pieces with suspects remembered at once.
const MAX_SUSPECT_PIECES: usize = 64;
/// Suspicious blocks remembered of a piece that fails again and again, times its blocks.
const MAX_FAILURES_REMEMBERED: usize = 8;
/// Whole pieces that passed, after which a peer is trusted again although its suspicion was not cleared up.
const PAROLE_PIECES: u32 = 4;
/// Peers that are gone and can still be blamed for what they left here.
const MAX_DEPARTED: usize = 128;

/// Who sent which block of a piece that failed.
#[derive(Debug, Clone)]
pub struct Suspicion {
    block: u32,
    digest: [u8; 20],
    peer: PeerKey,
}

/// Someone who was here.
#[derive(Debug, Clone, Copy)]
pub struct Departed {
    pub key: PeerKey,
    pub address: SocketAddr,
    pub peer_id: [u8; 20],
}

/// Who is suspected of having sent what failed.
#[derive(Debug, Default)]
pub(in crate::engine) struct SmartBan {
    /// Per failed piece: who sent which block, by its hash.
    suspects: HashMap<u32, Vec<Suspicion>>,
    /// Who left lately.
    departed: VecDeque<Departed>,
}

/// What a piece that came right says of those who were suspected.
#[derive(Debug)]
pub(in crate::engine) struct Verdict {
    pub innocent: Vec<PeerKey>,
    pub guilty: Vec<PeerKey>,
}

impl SmartBan {
    /// A piece failed its hash. Several sent parts of it: what each sent is remembered. Who is to go on parole with that, those who left
    /// and are back by another connection, too.
    pub(in crate::engine) fn failed(
        &mut self,
        piece: u32,
        senders: Vec<PeerKey>,
        content: &Content,
        peers: &Peers,
    ) -> Vec<PeerKey> {
        let slot = content.store().slot(piece);
        let mut suspects = senders;
        if suspects.len() > 1 && self.suspects.len() < MAX_SUSPECT_PIECES {
            let list = self.suspects.entry(piece).or_default();
            let blocks = slot.map(|s| s.blocks()).unwrap_or_default();
            for (i, b) in (0u32..).zip(blocks) {
                let Some(data) = b.data().filter(|_| list.len() < blocks.len() * MAX_FAILURES_REMEMBERED) else {
                    continue;
                };
                list.push(Suspicion { block: i, digest: Sha1::digest(data.as_slice()).into(), peer: b.from() });
            }
        }
        let gone: Vec<SocketAddr> =
            self.departed.iter().filter(|d| suspects.contains(&d.key)).map(|d| d.address).collect();
        suspects.extend(peers.values().filter(|p| gone.iter().any(|a| same_host(*a, p.address()))).map(|p| p.key()));
        suspects.sort_unstable();
        suspects.dedup();
        suspects
    }

    /// Is whoever connects from here under suspicion from before?
    pub(in crate::engine) fn was_suspect(&self, address: SocketAddr) -> bool {
        let same = |d: &Departed| same_host(d.address, address);
        !self.suspects.is_empty() && self.departed.iter().any(|d| same(d) && self.is_suspect(d.key))
    }

    fn is_suspect(&self, key: PeerKey) -> bool {
        self.suspects.values().flatten().any(|s| s.peer == key)
    }

    /// The piece came right: who sent other bytes for it before is guilty, and those are innocent who sent these, or have brought enough
    /// that was right.
    pub(in crate::engine) fn passed(&mut self, piece: u32, content: &Content, peers: &mut Peers) -> Verdict {
        let mut cleared: BTreeSet<PeerKey> = BTreeSet::new();
        let mut guilty: BTreeSet<PeerKey> = BTreeSet::new();
        let mut open = Vec::new();
        for suspicion in self.suspects.remove(&piece).unwrap_or_default() {
            match content.store().block(piece, suspicion.block, true).map(|b| Sha1::digest(b.as_slice())) {
                Some(good) if suspicion.digest[..] == good[..] => drop(cleared.insert(suspicion.peer)),
                Some(_) => drop(guilty.insert(suspicion.peer)),
                // It was let go: nobody knows.
                None => open.push(suspicion),
            }
        }
        if !open.is_empty() {
            self.suspects.insert(piece, open);
        }
        for key in content.store().slot(piece).map(|s| s.senders()).unwrap_or_default() {
            if let Some(peer) = peers.get_mut(&key).filter(|p| p.parole.is_on()) {
                peer.parole.piece_passed();
                cleared.insert(key);
            }
        }
        let trusted = |key: &PeerKey| {
            peers.get(key).is_some_and(|p| !self.is_suspect(*key) || p.parole.passed() >= PAROLE_PIECES)
        };
        Verdict { innocent: cleared.into_iter().filter(trusted).collect(), guilty: guilty.into_iter().collect() }
    }

    /// Who has that key, or had it.
    pub(in crate::engine) fn who(&self, key: PeerKey, peers: &Peers) -> Option<Departed> {
        let here = peers.get(&key).map(|p| Departed { key, address: p.address(), peer_id: p.peer_id() });
        here.or_else(|| self.departed.iter().find(|d| d.key == key).copied())
    }

    /// Remembers who left, for as long as blame may fall on it.
    pub(in crate::engine) fn note_departed(&mut self, who: Departed) {
        if self.departed.len() >= MAX_DEPARTED {
            self.departed.pop_front();
        }
        self.departed.push_back(who);
    }
}

/// Behind a loopback address sit many, told apart by their ports only.
fn same_host(a: SocketAddr, b: SocketAddr) -> bool {
    let (ip, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    ip == other && (!ip.is_loopback() || a.port() == b.port())
}
