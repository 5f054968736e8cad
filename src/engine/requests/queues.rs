//! The peers' queues of requests: what is taken back of them, and what becomes of the blocks.

use super::state::Requests;
use crate::alert::Alert;
use crate::base::time::Time;
use crate::engine::content::Content;
use crate::engine::content::exclusive_pieces::Cancelled;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::messages::wake;
use crate::engine::peer::peers::Peers;
use crate::memory::pool::BLOCK_SIZE;
use crate::wire::{BlockRequest, Message};

/// All that knows of a request.
pub(in crate::engine) struct Queues<'a> {
    pub content: &'a mut Option<Content>,
    pub peers: &'a mut Peers,
    pub requests: &'a mut Requests,
    /// Peers that got something to write.
    pub woken: &'a mut Vec<PeerKey>,
}

impl Queues<'_> {
    /// The request will not be answered: the block is free again, its charge comes back.
    pub(in crate::engine) fn release(&mut self, key: PeerKey, piece: u32, block: u32) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.source.take_request(piece, block).is_some() {
            peer.taken_back.leave();
            let charge = peer.source.credits().take(piece, block * BLOCK_SIZE);
            if let Some(content) = &mut *self.content {
                content.store_mut().unmark_asked(piece, block, key);
                content.store_mut().take_in(piece, charge);
            }
            self.requests.came_free();
            self.requests.note_open(peer);
        }
    }

    /// The same where the store has forgotten the block already.
    pub(in crate::engine) fn forget(&mut self, key: PeerKey, piece: u32, block: u32) {
        if let Some(peer) = self.peers.get_mut(&key)
            && peer.source.take_request(piece, block).is_some()
        {
            peer.taken_back.leave();
            drop(peer.source.credits().take(piece, block * BLOCK_SIZE));
            self.requests.note_open(peer);
        }
    }

    /// Tells the peer that it need not bring the block.
    pub(in crate::engine) fn send_cancel(&mut self, now: Time, key: PeerKey, piece: u32, block: u32) {
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), &*self.content) else { return };
        let length = content.layout().block_size(piece, block);
        peer.send(now, &Message::Cancel(BlockRequest { piece, begin: block * BLOCK_SIZE, length }));
        peer.note_cancelled(now, piece, block);
        self.requests.cancelled_blocks += 1;
        wake(self.woken, peer);
    }

    /// Takes one request back; tells the peer.
    pub(in crate::engine) fn cancel(&mut self, now: Time, key: PeerKey, piece: u32, block: u32) {
        self.send_cancel(now, key, piece, block);
        self.release(key, piece, block);
    }

    /// Takes back what was asked of a peer, as far as `which` says; tells it.
    pub(in crate::engine) fn cancel_where(&mut self, now: Time, key: PeerKey, which: impl Fn(u32) -> bool) {
        let Some(peer) = self.peers.get(&key) else { return };
        let cancelled: Vec<(u32, u32)> =
            peer.source.requests().iter().filter(|r| which(r.piece)).map(|r| (r.piece, r.block)).collect();
        for (piece, block) in cancelled {
            self.cancel(now, key, piece, block);
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.source.ran_dry();
        }
    }

    /// Takes back what was asked of these peers of one piece each.
    pub(in crate::engine) fn cancel_each(&mut self, now: Time, cancelled: Cancelled) {
        for (key, piece) in cancelled {
            self.cancel_where(now, key, |p| p == piece);
        }
    }

    /// Nothing is to be downloaded any more.
    pub(in crate::engine) fn cancel_all(&mut self, now: Time) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.cancel_where(now, key, |_| true);
        }
    }

    /// The peer will not serve the block (BEP 6). True: it has not got the piece for us any more.
    pub(in crate::engine) fn rejected(&mut self, now: Time, key: PeerKey, request: BlockRequest) -> bool {
        let block = request.begin / BLOCK_SIZE;
        let Some(peer) = self.peers.get_mut(&key) else { return false };
        // The answer to a cancel is no answer to a request made after it.
        if peer.taken_back.answers(request.piece, block) {
            return false;
        }
        let Some(held) = peer.source.requests().iter().position(|r| r.piece == request.piece && r.block == block)
        else {
            return false;
        };
        if !peer.choking.rejected(request.piece) {
            peer.source.refusals_mut().note(now, request.piece);
            self.requests.forgive_at(peer.source.refusals().next());
            peer.source.note_depth(now, held);
        }
        let gone = !peer.choking.peer_choking() && peer.revealed.again && !peer.revealed.has(request.piece);
        self.release(key, request.piece, block);
        self.suspect_stops(key);
        self.requests.refill_all();
        gone
    }

    /// The peer does not bring what it was asked for: others are asked for it.
    pub(in crate::engine) fn snub(&mut self, now: Time, key: PeerKey) -> Option<Alert> {
        let peer = self.peers.get_mut(&key)?;
        peer.source.snub();
        self.requests.abandoned.left_with(&peer.source);
        self.requests.rank_again();
        let (endpoint, peer_id) = (peer.address(), peer.peer_id());
        self.suspect_stops(key);
        self.cancel_where(now, key, |_| true);
        Some(Alert::PeerSnubbed { endpoint, peer_id })
    }

    /// A piece that only a suspect may bring is late: the rest of the swarm takes it over, from the start.
    pub(super) fn take_over(&mut self, now: Time, piece: u32) {
        let Some(owner) = self.content.as_mut().and_then(|c| c.store_mut().take_over(piece)) else { return };
        self.cancel_where(now, owner, |p| p == piece);
        self.requests.came_free();
    }

    /// A suspect begins to bring a piece that others left.
    pub(super) fn claim_for_suspect(&mut self, now: Time, key: PeerKey, piece: u32) {
        if !self.peers.get(&key).is_some_and(|p| p.parole.is_on()) {
            return;
        }
        let Some(content) = &mut *self.content else { return };
        let cancelled = content.store_mut().claim_alone(key, piece);
        self.cancel_each(now, cancelled);
    }

    /// The pieces that only this peer may bring are open to all again; what it sent of them counts if it is `trusted`.
    pub(in crate::engine) fn give_up_exclusive(&mut self, key: PeerKey, trusted: bool) {
        if self.content.as_mut().is_some_and(|c| c.store_mut().give_up_exclusive(key, trusted)) {
            self.requests.came_free();
            self.requests.refill_all();
        }
    }

    /// A suspect that will not go on with its pieces now (it chokes us, or refuses) must not keep others from them.
    pub(in crate::engine) fn suspect_stops(&mut self, key: PeerKey) {
        if self.peers.get(&key).is_some_and(|p| p.parole.is_on()) {
            self.give_up_exclusive(key, false);
        }
    }
}
