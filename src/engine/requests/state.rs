//! What is known of the requests of a torrent: what is wanted, and of whom it is asked.

use super::abandoned_blocks::AbandonedBlocks;
use super::demand::Demand;
use super::download_limit::DownloadLimit;
use super::late_heap::LateHeap;
use super::open_slots::OpenSlots;
use super::ranking::Ranking;
use super::revealed_picks::RevealedPicks;
use crate::base::time::Time;
use crate::engine::bandwidth::aggregate::Aggregate;
use crate::engine::bandwidth::path::QueueTime;
use crate::engine::content::Content;
use crate::engine::content::pieces::PeerKey;
use crate::engine::content::want::{Class, Want};
use crate::engine::peer::Peer;
use crate::engine::peer::peers::Peers;

/// What is wanted, and of whom it is asked.
#[derive(Debug)]
pub(in crate::engine) struct Requests {
    pub(super) demand: Demand,
    /// What all peers bring together, and who of them is fast.
    pub(super) aggregate: Aggregate,
    pub(super) abandoned: AbandonedBlocks,
    pub(super) ranking: Ranking,
    /// When urgent blocks are late.
    pub(super) late: LateHeap,
    /// When peers may be asked again for what they refused.
    pub(super) next_forgiveness: Time,
    /// Peers that have room in their queues.
    pub(super) open: OpenSlots,
    /// Requests came free: every peer is to be looked at again.
    pub(super) refill: bool,
    /// Peers may have been asked as far ahead as where nobody plays.
    pub(super) asked_far_ahead: bool,
    pub(super) limit: DownloadLimit,
    pub(super) revealed_picks: RevealedPicks,
    /// Requests that were taken back since the torrent was added.
    pub(super) cancelled_blocks: u64,
    pub(super) rng: fastrand::Rng,
}

impl Requests {
    pub(in crate::engine) fn new(rng: fastrand::Rng) -> Self {
        Self {
            demand: Demand::default(),
            aggregate: Aggregate::default(),
            abandoned: AbandonedBlocks::default(),
            ranking: Ranking::default(),
            late: LateHeap::default(),
            next_forgiveness: Time::NEVER,
            open: OpenSlots::default(),
            refill: false,
            asked_far_ahead: false,
            limit: DownloadLimit::default(),
            revealed_picks: RevealedPicks::default(),
            cancelled_blocks: 0,
            rng,
        }
    }

    pub(in crate::engine) fn demand(&self) -> &Demand {
        &self.demand
    }

    /// All that readers and deadlines want, the most urgent first.
    pub(in crate::engine) fn wants(&self) -> &[Want] {
        self.demand.wants()
    }

    /// The readers, or what is there for them, have changed: what is wanted is found out again before anything is asked for.
    pub(in crate::engine) fn demand_changed(&mut self) {
        self.demand.changed();
    }

    /// A block came free, of whichever want.
    pub(in crate::engine) fn came_free(&mut self) {
        self.demand.came_free();
    }

    pub(in crate::engine) fn piece_had(&mut self, piece: u32) {
        self.demand.remove(piece);
    }

    /// The least urgent class that is looked after: readers that play and deadlines, else what is wanted most.
    pub(in crate::engine) fn least_urgent(&self) -> Class {
        self.wants().first().map_or(Class::Deadline, |w| w.class.max(Class::Deadline))
    }

    /// What all peers bring together.
    pub(in crate::engine) fn aggregate(&self) -> &Aggregate {
        &self.aggregate
    }

    pub(in crate::engine) fn aggregate_mut(&mut self) -> &mut Aggregate {
        &mut self.aggregate
    }

    pub(in crate::engine) fn revealed_picks(&self) -> &RevealedPicks {
        &self.revealed_picks
    }

    /// When the first of the urgent blocks is late that are not here.
    pub(in crate::engine) fn next_late(&self) -> Option<Time> {
        self.late.next()
    }

    /// Who is fast is to be found out again: somebody came, went, choked or unchoked us.
    pub(in crate::engine) fn rank_again(&mut self) {
        self.ranking.outdated();
    }

    /// The peer has room for more.
    pub(in crate::engine) fn note_open(&mut self, peer: &Peer) {
        self.open.insert(peer.key(), peer.source.least_wait(self.aggregate.share()));
    }

    pub(in crate::engine) fn peer_gone(&mut self, peer: &Peer) {
        self.open.remove(peer.key());
        self.limit.peer_gone(peer.key());
        self.ranking.outdated();
        self.abandoned.left_with(&peer.source);
    }

    /// So many bytes a second are read from all peers at most, 0: any number.
    pub(in crate::engine) fn set_download_limit(&mut self, rate: u32) {
        self.limit.set_rate(rate);
    }

    /// What a peer sent waits for the download limit, or no more.
    pub(in crate::engine) fn peer_held(&mut self, key: PeerKey, held: bool) {
        self.limit.set_held(key, held);
    }

    /// Is there a download limit?
    pub(in crate::engine) fn is_limited(&self) -> bool {
        self.limit.is_limited()
    }

    pub(in crate::engine) fn cancelled_blocks(&self) -> u64 {
        self.cancelled_blocks
    }

    /// Peers refuse something until then.
    pub(in crate::engine) fn forgive_at(&mut self, time: Time) {
        self.next_forgiveness = self.next_forgiveness.min(time);
    }

    /// When peers may be asked again for what they refused, if they refuse anything.
    pub(in crate::engine) fn next_forgiveness(&self) -> Option<Time> {
        Some(self.next_forgiveness).filter(|at| *at < Time::NEVER)
    }

    /// The wait is over for some who refused something: they have room. Are there such?
    pub(in crate::engine) fn forgive_refusals(&mut self, now: Time, peers: &mut Peers) -> bool {
        if now < self.next_forgiveness {
            return false;
        }
        let refusing = peers.values_mut().filter(|p| !p.source.refusals().are_none());
        let next = refusing.map(|peer| {
            self.note_open(peer);
            peer.source.refusals_mut().forgive(now);
            peer.source.refusals().next()
        });
        self.next_forgiveness = next.min().unwrap_or(Time::NEVER);
        true
    }

    /// Forgets the late times of blocks that came.
    pub(in crate::engine) fn prune_late(&mut self, content: &Content) {
        self.late.prune(|at, piece, block| content.store().is_due(piece, block, at));
    }

    /// Requests came free: every peer is to be looked at again.
    pub(in crate::engine) fn refill_all(&mut self) {
        self.refill = true;
    }

    pub(in crate::engine) fn is_to_refill(&self) -> bool {
        self.refill
    }

    pub(super) fn note_asked(&mut self, time: QueueTime) {
        self.asked_far_ahead |= matches!(time, QueueTime::Plus(_));
    }

    /// Nothing is asked of anybody any more; the download limit stays, and what was counted.
    pub(in crate::engine) fn start_over(&mut self) {
        self.limit.peers_gone();
        let (limit, rng) = (std::mem::take(&mut self.limit), self.rng.clone());
        *self = Self { limit, cancelled_blocks: self.cancelled_blocks, ..Self::new(rng) };
    }
}
