//! Blocks that arrive: what the peer is owed for them, and whether they were asked for.

use super::wire_peer::Peer;
use crate::alert::Alert;
use crate::base::time::Time;
use crate::engine::bandwidth::aggregate::Aggregate;
use crate::engine::content::Content;
use crate::engine::content::pieces::{Arrival, PeerKey};
use crate::engine::traffic::Tally;
use crate::memory::pool::{BLOCK_SIZE, Block};

/// What a block touches that comes in from a peer.
pub(in crate::engine) struct ReceivedBlock<'a> {
    pub(in crate::engine) content: Option<&'a mut Content>,
    pub(in crate::engine) peer: &'a mut Peer,
    pub(in crate::engine) aggregate: &'a mut Aggregate,
    pub(in crate::engine) counters: &'a mut Tally,
    pub(in crate::engine) alerts: &'a mut Vec<Alert>,
}

/// What a block was.
#[derive(Debug)]
pub(in crate::engine) enum BlockOutcome {
    /// Its request was taken back, or never made. The block, if these bytes are one.
    Stray(Option<u32>),
    /// It was asked for, and is here already.
    Redundant(u32),
    /// It was asked for, and is here now. Who else was asked for it is to be told to stop.
    Stored { block: u32, others: Vec<PeerKey> },
}

impl ReceivedBlock<'_> {
    /// A block came, already charged.
    pub(in crate::engine) fn block(
        &mut self,
        now: Time,
        piece: u32,
        begin: u32,
        data: Block,
    ) -> Result<BlockOutcome, String> {
        let length = data.len();
        self.check_length(piece, begin, length)?;
        let (Some(content), peer) = (&mut self.content, &mut *self.peer) else { return Ok(BlockOutcome::Stray(None)) };
        let in_grid = content.block_at(piece, begin, length);
        let request = in_grid.and_then(|block| peer.source.take_request(piece, block));
        let (Some(block), Some(request)) = (in_grid, request) else {
            // Taken back while it came in.
            peer.taken_back.answers(piece, begin / BLOCK_SIZE);
            let answers = peer.stray_came(now, length);
            peer.stray_arrived(now, length);
            self.stray(length, answers);
            return Ok(BlockOutcome::Stray(in_grid));
        };
        // It may have come in while it was taken back and asked again: the second charge is of no use then.
        if peer.taken_back.any() || peer.source.credits().count() as usize > peer.source.requests().len() {
            drop(peer.source.credits().take(piece, begin));
        }
        self.aggregate.path.answered(now, length, request.sent, request.delivered_by_all);
        peer.block_arrived(now, length, &request);
        peer.budget.block(u64::from(length));
        let arrival = content.store_mut().receive(now, piece, block, data, peer.key());
        self.unsnub();
        Ok(match arrival {
            Arrival::Stored { others } => BlockOutcome::Stored { block, others },
            Arrival::Redundant => {
                self.counters.redundant_bytes += u64::from(length);
                BlockOutcome::Redundant(block)
            }
        })
    }

    /// A block came that no charge stood for (its request was taken back): nothing was kept of it. True: it may be what the peer is still
    /// asked for, which it will not bring again.
    pub(in crate::engine) fn block_unpaid(
        &mut self,
        now: Time,
        piece: u32,
        begin: u32,
        length: u32,
    ) -> Result<bool, String> {
        self.check_length(piece, begin, length)?;
        self.peer.source.path_mut().stray(length);
        let answers = self.peer.stray_came(now, length);
        self.stray(length, answers);
        Ok(begin.is_multiple_of(BLOCK_SIZE) && !self.peer.taken_back.answers(piece, begin / BLOCK_SIZE))
    }

    /// A peer that answers with more or less than it was asked for will not bring the rest: it would be waited for in vain.
    fn check_length(&self, piece: u32, begin: u32, length: u32) -> Result<(), String> {
        let Some(content) = &self.content else { return Ok(()) };
        let block = begin / BLOCK_SIZE;
        let asked = begin.is_multiple_of(BLOCK_SIZE)
            && self.peer.source.requests().iter().any(|r| (r.piece, r.block) == (piece, block));
        if !asked {
            return Ok(());
        }
        match content.layout().block_size(piece, block) {
            expected if expected == length => Ok(()),
            expected => Err(format!("a block of {length} bytes for a request of {expected}, piece {piece} at {begin}")),
        }
    }

    /// Nobody waited for it any more. `answers`: it was asked for once.
    fn stray(&mut self, length: u32, answers: bool) {
        if answers {
            self.unsnub();
        }
        self.counters.redundant_bytes += u64::from(length);
        self.aggregate.path.stray(length);
    }

    /// It brings something again.
    fn unsnub(&mut self) {
        if self.peer.source.unsnub() {
            self.alerts.push(Alert::PeerUnsnubbed { endpoint: self.peer.address(), peer_id: self.peer.peer_id() });
        }
    }
}
