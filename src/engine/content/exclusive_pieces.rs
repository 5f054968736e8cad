//! Pieces that one peer brings alone, since it is suspected: wholly its own, or not at all.

use std::collections::BTreeSet;

use super::pieces::{PeerKey, Stage, Store};

/// Requests to take back: those that a peer was made for a piece.
pub(in crate::engine) type Cancelled = Vec<(PeerKey, u32)>;

impl Store {
    /// From here on no piece mixes blocks of a suspect with those of anybody else: innocents share it among themselves, a suspect has it
    /// alone, if it is still here.
    pub(in crate::engine) fn separate(
        &mut self,
        suspects: &[PeerKey],
        is_here: impl Fn(&PeerKey) -> bool,
    ) -> Cancelled {
        let mut cancelled = Vec::new();
        for piece in self.present().to_vec() {
            let Some(slot) = self.slot(piece).filter(|s| s.stage == Stage::Partial) else { continue };
            let senders = slot.senders();
            let asked: BTreeSet<PeerKey> = slot.blocks.iter().flat_map(|b| b.askees()).collect();
            if !senders.iter().chain(&asked).any(|k| suspects.contains(k)) {
                continue;
            }
            let sent = |key: &PeerKey| slot.blocks.iter().filter(|b| b.data.is_some() && b.from == *key).count();
            let involved = || senders.iter().chain(&asked);
            let innocent = involved().any(|k| !suspects.contains(k));
            let suspect = involved().filter(|k| is_here(k)).max_by_key(|k| sent(k)).copied();
            let owner = if innocent { PeerKey::NOBODY } else { suspect.unwrap_or(PeerKey::NOBODY) };
            let stays = |key: PeerKey| key == owner || !suspects.contains(&key);
            self.discard(piece, |from| !stays(from));
            if let Some(slot) = self.slot_mut(piece) {
                slot.exclusive = owner;
            }
            cancelled.extend(asked.into_iter().filter(|k| !stays(*k)).map(|key| (key, piece)));
        }
        cancelled
    }

    /// A piece that only a suspect may bring is late: the rest of the swarm takes it over, from the start. The suspect.
    pub(in crate::engine) fn take_over(&mut self, piece: u32) -> Option<PeerKey> {
        let slot = self.slot_mut(piece)?;
        let owner = std::mem::replace(&mut slot.exclusive, PeerKey::NOBODY);
        self.discard(piece, |from| from == owner);
        Some(owner)
    }

    /// A suspect begins to bring a piece that others left: alone, so what is there of others goes.
    pub(in crate::engine) fn claim_alone(&mut self, key: PeerKey, piece: u32) -> Cancelled {
        let Some(slot) = self.slot_mut(piece).filter(|s| s.exclusive != key) else { return Vec::new() };
        slot.exclusive = key;
        let asked: BTreeSet<PeerKey> = slot.blocks.iter().flat_map(|b| b.askees()).filter(|k| *k != key).collect();
        self.discard(piece, |from| from != key);
        asked.into_iter().map(|other| (other, piece)).collect()
    }

    /// The pieces that only this peer may bring are open to all again; what it sent of them counts if it is `trusted`. True: there are some.
    pub(in crate::engine) fn give_up_exclusive(&mut self, key: PeerKey, trusted: bool) -> bool {
        let mut any = false;
        for piece in self.present().to_vec() {
            if let Some(slot) = self.slot_mut(piece).filter(|s| s.exclusive == key) {
                slot.exclusive = PeerKey::NOBODY;
                if !trusted {
                    self.discard(piece, |from| from == key);
                }
                any = true;
            }
        }
        any
    }
}
