//! The books, done again from scratch: what the torrent keeps count of as it goes must be what is there.
//!
//! For tests and the simulator. Nothing here is needed to run.

use std::collections::{BTreeMap, BTreeSet};

use super::bandwidth::path::QueueTime;
use super::config::StorageKind;
use super::content::Content;
use super::content::piece::{BlockState, PieceState, Stage};
use super::content::pieces::PeerKey;
use super::requests::interest::Interest;
use super::torrent::Torrent;
use crate::memory::pool::Block;

/// What a torrent holds.
#[derive(Debug, Default)]
pub struct Audit {
    /// Where the blocks lie that it holds, each once, however many refer to it.
    pub blocks: BTreeSet<usize>,
    /// Charges behind requests that were not answered.
    pub credits: u64,
    /// Most requests outstanding at one peer.
    pub most_requests: usize,
    /// Blocks set aside.
    pub promised: u64,
    /// Blocks set aside that were borrowed: they are charged already.
    pub borrowed: u64,
}

/// What tells one block from another; nothing where it takes no memory.
pub fn identity(block: &Block) -> Option<usize> {
    (!block.is_padding()).then(|| block.as_slice().as_ptr() as usize)
}

impl Audit {
    /// Blocks waited for, blocks to be asked for of pieces that are begun, and those passed.
    fn asked_blocks(&self, content: &Content) -> (u64, u64, u64) {
        let sum = |count: fn(&PieceState) -> u32| {
            content.store().present().iter().filter_map(|p| content.store().slot(*p)).map(|s| u64::from(count(s))).sum()
        };
        (sum(PieceState::asked), sum(PieceState::free_blocks), sum(PieceState::passed))
    }
}

impl Torrent {
    /// Checks everything that is counted twice; the first difference is the error.
    #[doc(hidden)]
    pub fn audit(&self) -> Result<Audit, String> {
        let mut audit = Audit::default();
        for peer in self.peers.values() {
            audit.credits += u64::from(peer.source.credits().count());
            audit.most_requests = audit.most_requests.max(peer.source.requests().len());
            audit.blocks.extend(peer.outbox.blocks().filter_map(identity));
            if (peer.source.credits().count() as usize) > peer.source.requests().len() {
                return Err(format!(
                    "{} credits for {} requests",
                    peer.source.credits().count(),
                    peer.source.requests().len()
                ));
            }
        }
        let Some(content) = &self.content else { return Ok(audit) };
        let (mut kept, mut partial, mut kept_pieces) = (0u64, 0u64, 0u32);
        let mut asked: BTreeMap<PeerKey, BTreeSet<(u32, u32)>> = BTreeMap::new();
        for piece in content.store().present().iter().copied() {
            let Some(slot) = content.store().slot(piece) else { return Err(format!("piece {piece} has no slot")) };
            let received = slot.blocks().iter().filter(|b| b.is_received()).count() as u32;
            let waiting = slot.blocks().iter().filter(|b| b.data().is_none() && b.copies() > 0).count() as u32;
            if (received, waiting) != (slot.received(), slot.asked()) {
                return Err(format!(
                    "piece {piece}: {received} blocks received and {waiting} asked, counted {} and {}",
                    slot.received(),
                    slot.asked()
                ));
            }
            let passed = |i: u32, b: &BlockState| b.data().is_none() && b.copies() == 0 && i < slot.hashed();
            let gone = || (0u32..).zip(slot.blocks()).filter(|(_, b)| b.passed());
            if gone().count() as u32 != slot.passed() || !gone().all(|(i, b)| passed(i, b)) {
                return Err(format!("piece {piece}: passed blocks are counted wrong, {} of them", slot.passed()));
            }
            if slot.promised() > u64::from(slot.free_blocks()) {
                return Err(format!(
                    "piece {piece}: {} blocks promised, {} to be asked",
                    slot.promised(),
                    slot.free_blocks()
                ));
            }
            *if slot.is_borrowed() { &mut audit.borrowed } else { &mut audit.promised } += slot.promised();
            if received + waiting == 0 && (slot.here() as usize) < slot.blocks().len() {
                return Err(format!("piece {piece} has an empty slot"));
            }
            if content.store().can_be_hashed_whole(piece) && !self.hashing.is_noted(piece) {
                return Err(format!("piece {piece} is whole, and nobody will hash it"));
            }
            let stays = slot.stage() == Stage::Kept;
            if self.config.storage == StorageKind::Memory && stays != content.has(piece) {
                return Err(format!("piece {piece} is {:?} and had: {}", slot.stage(), content.has(piece)));
            }
            *if stays { &mut kept } else { &mut partial } += u64::from(received);
            kept_pieces += u32::from(stays);
            for (i, b) in (0u32..).zip(slot.blocks()) {
                audit.blocks.extend(b.data().and_then(identity));
                for key in b.askees() {
                    asked.entry(key).or_default().insert((piece, i));
                }
            }
        }
        let store = content.store();
        if audit.asked_blocks(content) != (store.asked_blocks(), store.free_blocks(), store.passed_blocks()) {
            return Err("blocks asked, free and passed are counted wrong".into());
        }
        let set_aside = audit.promised + audit.borrowed;
        if set_aside != store.promised_blocks() {
            return Err(format!("{set_aside} blocks set aside, counted {}", store.promised_blocks()));
        }
        let counted = (content.store().kept_blocks(), content.store().partial_blocks(), content.store().kept_pieces());
        if (kept, partial, kept_pieces) != counted {
            return Err(format!(
                "blocks kept, partial, pieces: {:?}, counted {counted:?}",
                (kept, partial, kept_pieces)
            ));
        }
        if self.config.storage == StorageKind::Memory && content.have().count() != kept_pieces {
            return Err(format!("{} pieces had, {kept_pieces} kept", content.have().count()));
        }
        if self.peers.values().filter(|p| p.parole.is_on()).count() != self.peers.on_parole() {
            return Err(format!("{} peers counted on parole", self.peers.on_parole()));
        }
        let unchoked = self.peers.values().filter(|p| !p.choking.am_choking()).count();
        if unchoked != self.choker.unchoked() {
            return Err(format!("{unchoked} peers unchoked, counted {}", self.choker.unchoked()));
        }
        for peer in self.peers.values() {
            let requests: BTreeSet<(u32, u32)> = peer.source.requests().iter().map(|r| (r.piece, r.block)).collect();
            let marked = asked.remove(&peer.key()).unwrap_or_default();
            if requests.len() != peer.source.requests().len() {
                return Err(format!("a block is asked twice of {}", peer.address()));
            }
            if requests != marked {
                return Err(format!("asked of {}: {requests:?}, marked {marked:?}", peer.address()));
            }
            let offers = peer.haves.pieces().iter().filter(|p| !content.has(*p)).count() as u32;
            if offers != peer.offers(self.content.as_ref()) {
                return Err(format!(
                    "{} offers {offers} pieces, counted {}",
                    peer.address(),
                    peer.offers(self.content.as_ref())
                ));
            }
            if peer.haves.needs_look(self.config.keeps_pieces()) && !self.peers.is_partial(peer.key()) {
                return Err(format!("{} lacks pieces, and is not looked at", peer.address()));
            }
            let interest = Interest { config: &self.config, content: Some(content), readers: &self.readers };
            if interest.is_interesting(peer) != peer.choking.am_interested() {
                return Err(format!("interest in {} is stale: {}", peer.address(), peer.choking.am_interested()));
            }
        }
        if let Some((key, blocks)) = asked.into_iter().next() {
            return Err(format!("{blocks:?} are asked of {key:?}, which is not there"));
        }
        for piece in 0..content.picker().num_pieces() {
            let peers = self.peers.values().filter(|p| p.haves.has(piece)).count() as u32;
            if peers != content.picker().availability(piece) {
                return Err(format!("{peers} have piece {piece}, counted {}", content.picker().availability(piece)));
            }
        }
        if !self.requests.demand().is_outdated() {
            for want in self.requests.demand().full() {
                let free = content.store().slot(want.piece).is_none_or(|s| s.has_free_within(want.from, want.until));
                if content.is_missing(want.piece) && free {
                    return Err(format!("piece {} is wanted and passed over", want.piece));
                }
            }
        }
        Ok(audit)
    }

    /// Blocks of the pool that the audit accounts for.
    #[doc(hidden)]
    pub fn charged_blocks(&self) -> Result<u64, String> {
        let audit = self.audit()?;
        Ok(audit.blocks.len() as u64 + audit.credits)
    }

    /// The pieces that we have.
    #[doc(hidden)]
    pub fn had_pieces(&self) -> Vec<u32> {
        self.content.as_ref().map(|c| c.have().iter().collect()).unwrap_or_default()
    }

    /// Why nothing goes on, for people.
    #[doc(hidden)]
    pub fn describe(&self) -> String {
        let peers: Vec<String> = self
            .peers
            .values()
            .map(|p| {
                format!(
                    "{:?} {}: choking {} interested {} snubbed {} parole {} refused {:?} requests {} queue {} have {}",
                    p.key(),
                    p.address(),
                    p.choking.peer_choking(),
                    p.choking.am_interested(),
                    p.source.is_snubbed(),
                    p.parole.is_on(),
                    p.source.refusals(),
                    p.source.requests().len(),
                    p.target_queue(QueueTime::Least { percent: 100 }, self.requests.aggregate().share(), usize::MAX),
                    p.haves.pieces().count()
                )
            })
            .collect();
        let slots: Vec<String> = self
            .content
            .iter()
            .flat_map(|c| c.store().present().iter().filter_map(|p| Some((*p, c.store().slot(*p)?))))
            .map(|(p, s)| {
                format!(
                    "{p}: {:?} {}+{} of {}, only {:?}",
                    s.stage(),
                    s.received(),
                    s.asked(),
                    s.blocks().len(),
                    s.exclusive()
                )
            })
            .collect();
        let windows: Vec<_> = self.readers.values().map(|r| (r.id(), r.pending(), r.window().clone())).collect();
        format!(
            "running {} peers {peers:#?} slots {slots:#?} wants {:?} from {} dirty {} windows {windows:?}",
            self.is_running(),
            self.requests.demand().wants(),
            self.requests.demand().full().len(),
            self.requests.demand().is_outdated()
        )
    }
}
