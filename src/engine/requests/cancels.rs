//! Requests that are taken back since nobody wants what they bring any more, or others want something before it.

use std::collections::{BTreeSet, HashSet};

use super::scheduler::Scheduler;
use crate::base::time::Time;
use crate::engine::bandwidth::path::QueueTime;
use crate::engine::content::pieces::PeerKey;
use crate::engine::content::want::{Class, Want};
use crate::engine::peer::Peer;
use crate::engine::peer::peers::Peers;
use crate::engine::readers::Readers;

/// A queue so many times as long as what keeps a way full was asked for when nobody played.
const MUCH_TOO_LONG: usize = 2;

impl Scheduler<'_> {
    /// After a seek: what stands before the new window in the peers' queues is taken back.
    pub(in crate::engine) fn cancel_unwanted(&mut self, now: Time) {
        self.refresh_wants(now);
        let wanted: HashSet<u32> = self.requests.wants().iter().map(|w| w.piece).collect();
        self.cancel_of_all(now, |piece| !wanted.contains(&piece));
    }

    /// Takes back requests for pieces that nobody wants any more.
    pub(in crate::engine) fn cancel_unpicked(&mut self, now: Time) {
        self.refresh_wants(now);
        let Some(content) = &*self.content else { return };
        let unwanted = content.unpicked(&self.requests.wants().iter().map(|w| w.piece).collect());
        self.cancel_of_all(now, |piece| unwanted.contains(&piece));
    }

    fn cancel_of_all(&mut self, now: Time, which: impl Fn(u32) -> bool) {
        let keys: Vec<PeerKey> =
            self.peers.values().filter(|p| !p.source.requests().is_empty()).map(|p| p.key()).collect();
        for key in keys {
            self.queues().cancel_where(now, key, &which);
        }
    }

    /// After a seek: what was asked for of pieces that are read block by block, and lies outside what is wanted now, is taken back.
    pub(in crate::engine) fn cancel_beyond(&mut self, now: Time) {
        self.refresh_wants(now);
        for (key, piece, block) in asked_beyond(self.readers, self.requests.wants(), self.peers) {
            self.queues().cancel(now, key, piece, block);
        }
    }

    /// Somebody begins to play: where peers were asked for far more than keeps the way full, as nobody did, all that is not for him is
    /// taken back. It would come before what he waits for. It is asked for again behind that.
    pub(in crate::engine) fn clear_the_way(&mut self, now: Time) {
        // Nearly always nothing is to be cleared: a look at all peers for each wait of a player would cost more than the rest of it.
        if !self.requests.asked_far_ahead || !self.may_ask() {
            return;
        }
        self.refresh_wants(now);
        if !matches!(self.queue_time(now), QueueTime::Least { .. }) {
            return;
        }
        self.requests.asked_far_ahead = false;
        let queue = self.queue(now);
        let all_wait = queue.most().is_some_and(|most| self.outstanding() > most * MUCH_TOO_LONG as u64);
        let waits = |p: &&Peer| p.source.requests().len() > queue.target(p) * MUCH_TOO_LONG;
        let keys: Vec<PeerKey> = self.peers.values().filter(|p| all_wait || waits(p)).map(|p| p.key()).collect();
        if keys.is_empty() {
            return;
        }
        let urgent: BTreeSet<u32> =
            self.requests.wants().iter().take_while(|w| w.class < Class::Background).map(|w| w.piece).collect();
        let mut queues = self.queues();
        keys.into_iter().for_each(|key| queues.cancel_where(now, key, |piece| !urgent.contains(&piece)));
    }
}

/// What was asked for of pieces that are read block by block, and lies outside what is wanted now: of whom, the piece and the block.
fn asked_beyond(readers: &Readers, demand: &[Want], peers: &Peers) -> Vec<(PeerKey, u32, u32)> {
    let wanted = |piece, block| {
        demand.iter().any(|w| w.piece == piece && (w.from..w.until).contains(&block))
            || !readers.is_read_by_blocks(piece)
    };
    let requests = peers.values().flat_map(|p| p.source.requests().iter().map(|r| (p.key(), r.piece, r.block)));
    requests.filter(|(_, p, b)| !wanted(*p, *b)).collect()
}
