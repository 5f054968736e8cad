//! Who is to blame for a piece that fails its hash.
//!
//! A piece that came from one peer convicts it. If several sent parts, what each sent is remembered by its hash, and all of
//! them go on parole: from then on a piece is either wholly theirs or not theirs at all, those under way included. So a bad
//! peer's next bad piece convicts it alone, and costs the swarm no third. When the piece comes right, those whose blocks
//! differ from the good ones are convicted and the others are innocent (libtorrent's parole and smart ban).

use std::collections::BTreeSet;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use sha1::{Digest, Sha1};

use crate::alert::{Alert, CloseReason};
use crate::base::time::Time;
use crate::engine::content::pieces::{PeerKey, Stage};
use crate::engine::torrent::Torrent;

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
    pub(in crate::engine) suspects: HashMap<u32, Vec<Suspicion>>,
    /// Who left lately.
    pub(in crate::engine) departed: VecDeque<Departed>,
}

impl Torrent {
    pub(in crate::engine) fn piece_failed(&mut self, now: Time, piece: u32) {
        self.meters.counters.hash_failures += 1;
        self.alert(Alert::HashFailed { piece });
        let Some(content) = &mut self.content else { return };
        if content.info.layout.is_padding_only(piece) {
            content.hopeless.set(piece);
        }
        self.meters.counters.failed_bytes += u64::from(content.info.layout.piece_size(piece));
        let senders = content.store.slot(piece).map(|s| s.senders()).unwrap_or_default();
        if senders.len() > 1 && self.smart_ban.suspects.len() < MAX_SUSPECT_PIECES {
            let list = self.smart_ban.suspects.entry(piece).or_default();
            let blocks = content.store.slot(piece).map(|s| s.blocks.as_slice()).unwrap_or_default();
            for (i, b) in (0u32..).zip(blocks) {
                let Some(data) = b.data.as_ref().filter(|_| list.len() < blocks.len() * MAX_FAILURES_REMEMBERED) else {
                    continue;
                };
                list.push(Suspicion { block: i, digest: Sha1::digest(data.as_slice()).into(), peer: b.from });
            }
        }
        let asked = content.store.remove(piece);
        for (block, key) in asked {
            self.drop_request(key, piece, block);
        }
        let single = if let [only] = senders.as_slice() { Some(*only) } else { None };
        let suspects = self.with_their_returns(senders);
        for key in &suspects {
            if let Some(peer) = self.peers.get_mut(key) {
                peer.hash_fails += 1;
                peer.parole_passed = 0;
            }
            self.peers.set_parole(*key, true);
        }
        match single {
            Some(only) => self.convict(now, only),
            None => self.separate(now, &suspects),
        }
        self.requests.outdated = true;
        self.fill_all(now);
    }

    /// Suspects that left and are back by another connection.
    fn with_their_returns(&self, mut suspects: Vec<PeerKey>) -> Vec<PeerKey> {
        let gone: Vec<SocketAddr> =
            self.smart_ban.departed.iter().filter(|d| suspects.contains(&d.key)).map(|d| d.address).collect();
        let back = self.peers.values().filter(|p| gone.iter().any(|a| same_host(*a, p.address))).map(|p| p.key);
        suspects.extend(back.collect::<Vec<_>>());
        suspects.sort_unstable();
        suspects.dedup();
        suspects
    }

    /// From here on no piece mixes blocks of a suspect with those of anybody else.
    fn separate(&mut self, now: Time, suspects: &[PeerKey]) {
        let Some(content) = &mut self.content else { return };
        for piece in content.store.present().to_vec() {
            let (Some(content), peers) = (&mut self.content, &self.peers) else { return };
            let Some(slot) = content.store.slot(piece).filter(|s| s.stage == Stage::Partial) else { continue };
            let senders = slot.senders();
            let asked: BTreeSet<PeerKey> = slot.blocks.iter().flat_map(|b| b.askees()).collect();
            if !senders.iter().chain(&asked).any(|k| suspects.contains(k)) {
                continue;
            }
            // Innocents share it among themselves. A suspect has it alone, if it is still here.
            let sent = |key: &PeerKey| slot.blocks.iter().filter(|b| b.data.is_some() && b.from == *key).count();
            let involved = || senders.iter().chain(&asked);
            let innocent = involved().any(|k| !suspects.contains(k));
            let suspect = involved().filter(|k| peers.contains_key(k)).max_by_key(|k| sent(k)).copied();
            let owner = if innocent { PeerKey::NOBODY } else { suspect.unwrap_or(PeerKey::NOBODY) };
            let stays = |key: PeerKey| key == owner || !suspects.contains(&key);
            content.store.discard(piece, |from| !stays(from));
            if let Some(slot) = content.store.slot_mut(piece) {
                slot.exclusive = owner;
            }
            for key in asked.into_iter().filter(|k| !stays(*k)) {
                self.cancel_requests(now, key, |p| p == piece);
            }
        }
    }

    /// A piece that only a suspect may bring is late: the rest of the swarm takes it over, from the start.
    pub(in crate::engine) fn take_over(&mut self, now: Time, piece: u32) {
        let Some(content) = &mut self.content else { return };
        let Some(slot) = content.store.slot_mut(piece) else { return };
        let owner = std::mem::replace(&mut slot.exclusive, PeerKey::NOBODY);
        content.store.discard(piece, |from| from == owner);
        self.cancel_requests(now, owner, |p| p == piece);
        self.requests.from = 0;
    }

    /// A suspect begins to bring a piece that others left: alone, so what is there of others goes.
    pub(in crate::engine) fn claim_for_suspect(&mut self, now: Time, key: PeerKey, piece: u32) {
        if !self.peers.get(&key).is_some_and(|p| p.parole) {
            return;
        }
        let Some(content) = &mut self.content else { return };
        let Some(slot) = content.store.slot_mut(piece).filter(|s| s.exclusive != key) else { return };
        slot.exclusive = key;
        let asked: BTreeSet<PeerKey> = slot.blocks.iter().flat_map(|b| b.askees()).filter(|k| *k != key).collect();
        content.store.discard(piece, |from| from != key);
        for other in asked {
            self.cancel_requests(now, other, |p| p == piece);
        }
    }

    /// The pieces that only this peer may bring are open to all again; what it sent of them counts if it is `trusted`.
    pub(in crate::engine) fn give_up_exclusive(&mut self, key: PeerKey, trusted: bool) {
        let Some(content) = &mut self.content else { return };
        for piece in content.store.present().to_vec() {
            if let Some(slot) = content.store.slot_mut(piece).filter(|s| s.exclusive == key) {
                slot.exclusive = PeerKey::NOBODY;
                if !trusted {
                    content.store.discard(piece, |from| from == key);
                }
                self.requests.from = 0;
                self.requests.refill = true;
            }
        }
    }

    /// A suspect that will not go on with its pieces now (it chokes us, or refuses) must not keep others from them.
    pub(in crate::engine) fn suspect_stops(&mut self, key: PeerKey) {
        if self.peers.get(&key).is_some_and(|p| p.parole) {
            self.give_up_exclusive(key, false);
        }
    }

    /// Is whoever connects from here under suspicion from before?
    pub(in crate::engine) fn was_suspect(&self, address: SocketAddr) -> bool {
        let same = |d: &Departed| same_host(d.address, address);
        !self.smart_ban.suspects.is_empty() && self.smart_ban.departed.iter().any(|d| same(d) && self.is_suspect(d.key))
    }

    fn is_suspect(&self, key: PeerKey) -> bool {
        self.smart_ban.suspects.values().flatten().any(|s| s.peer == key)
    }

    /// The piece came right: who sent other bytes for it before is banned, the rest are innocent.
    pub(in crate::engine) fn acquit(&mut self, now: Time, piece: u32) {
        let Some(content) = &self.content else { return };
        let senders = content.store.slot(piece).map(|s| s.senders()).unwrap_or_default();
        let mut cleared: BTreeSet<PeerKey> = BTreeSet::new();
        let mut guilty: BTreeSet<PeerKey> = BTreeSet::new();
        let mut open = Vec::new();
        for suspicion in self.smart_ban.suspects.remove(&piece).unwrap_or_default() {
            match content.store.block(piece, suspicion.block, true).map(|b| Sha1::digest(b.as_slice())) {
                Some(good) if suspicion.digest[..] == good[..] => drop(cleared.insert(suspicion.peer)),
                Some(_) => drop(guilty.insert(suspicion.peer)),
                // It was let go: nobody knows.
                None => open.push(suspicion),
            }
        }
        if !open.is_empty() {
            self.smart_ban.suspects.insert(piece, open);
        }
        for key in senders {
            if let Some(peer) = self.peers.get_mut(&key).filter(|p| p.parole) {
                peer.parole_passed += 1;
                cleared.insert(key);
            }
        }
        for key in cleared {
            let suspect = self.is_suspect(key);
            if self.peers.get(&key).is_some_and(|p| !suspect || p.parole_passed >= PAROLE_PIECES) {
                self.peers.set_parole(key, false);
                self.give_up_exclusive(key, true);
            }
        }
        for key in guilty {
            self.convict(now, key);
        }
    }

    /// The peer sent bad data: it goes, what it sent that is not verified goes, and it does not come back.
    fn convict(&mut self, now: Time, key: PeerKey) {
        let here = self.peers.get(&key).map(|p| Departed { key, address: p.address, peer_id: p.peer_id });
        let Some(who) = here.or_else(|| self.smart_ban.departed.iter().find(|d| d.key == key).copied()) else { return };
        if !self.swarm.list.is_banned(who.address) {
            self.ban_sender(who.address, who.peer_id);
        }
        if let Some(content) = &mut self.content {
            content.store.discard_from(key);
        }
        self.requests.outdated = true;
        self.close(now, key, CloseReason::CorruptData, None);
        // It may have come back meanwhile.
        let again: Vec<PeerKey> =
            self.peers.values().filter(|p| self.swarm.list.is_banned(p.address)).map(|p| p.key).collect();
        for key in again {
            if let Some(content) = &mut self.content {
                content.store.discard_from(key);
            }
            self.close(now, key, CloseReason::CorruptData, None);
        }
    }

    /// Remembers who left, for as long as blame may fall on it.
    pub(in crate::engine) fn note_departed(&mut self, who: Departed) {
        if self.smart_ban.departed.len() >= MAX_DEPARTED {
            self.smart_ban.departed.pop_front();
        }
        self.smart_ban.departed.push_back(who);
    }
}

/// Behind a loopback address sit many, told apart by their ports only.
fn same_host(a: SocketAddr, b: SocketAddr) -> bool {
    let (ip, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    ip == other && (!ip.is_loopback() || a.port() == b.port())
}
