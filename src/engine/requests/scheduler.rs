//! Scheduler peers for blocks: what it works on, and the request itself.

use std::time::Duration;

use super::demand;
use super::queues::Queues;
use super::state::Requests;
use crate::base::time::Time;
use crate::engine::cache::Cache;
use crate::engine::cache::admission::Admission;
use crate::engine::config::Config;
use crate::engine::content::Content;
use crate::engine::content::hashing::Hashing;
use crate::engine::content::pieces::PeerKey;
use crate::engine::content::want::{Class, Pick, Want};
use crate::engine::output::Output;
use crate::engine::peer::Request;
use crate::engine::peer::messages::wake;
use crate::engine::peer::peers::Peers;
use crate::engine::readers::Readers;
use crate::engine::run_state::RunState;
use crate::memory::pool::BLOCK_SIZE;
use crate::wire::{BlockRequest, Message};

/// When a block is expected from one that is not relied on: later than from anybody else.
const NOT_RELIED_ON: Duration = Duration::from_secs(60);

/// What is touched when peers are asked for blocks: what is wanted of whom, and the memory that is taken for it, or has to go for it: who reads
/// it, who was asked for it, who was told that we have it.
pub(in crate::engine) struct Scheduler<'a> {
    pub config: &'a Config,
    pub run_state: &'a mut RunState,
    pub content: &'a mut Option<Content>,
    pub peers: &'a mut Peers,
    pub readers: &'a mut Readers,
    pub requests: &'a mut Requests,
    pub cache: &'a mut Cache,
    pub hashing: &'a mut Hashing,
    pub out: &'a mut Output,
}

impl Scheduler<'_> {
    pub(super) fn queues(&mut self) -> Queues<'_> {
        Queues { content: self.content, peers: self.peers, requests: self.requests, woken: &mut self.out.wake }
    }

    pub(super) fn admission(&self) -> Admission<'_> {
        Admission {
            config: self.config,
            run_state: self.run_state,
            cache: self.cache,
            readers: self.readers,
            revealed: self.requests.revealed_picks.taken(),
        }
    }

    /// May peers be asked for blocks at all?
    pub(super) fn may_ask(&self) -> bool {
        self.content.is_some() && self.run_state.may_download(self.config)
    }

    /// Charges the block and sends the request. False: there is no memory for it.
    pub(super) fn request(&mut self, now: Time, key: PeerKey, pick: Pick) -> bool {
        let Some((reservation, promise)) = self.charge(now, pick) else { return false };
        self.queues().claim_for_suspect(now, key, pick.piece);
        if pick.class == Class::Revealed {
            self.requests.revealed_picks.note_taken(pick.piece);
        }
        let least_urgent = self.requests.least_urgent();
        let (Some(peer), Some(content)) = (self.peers.get_mut(&key), self.content.as_mut()) else { return false };
        let layout = content.layout();
        let begin = pick.block * BLOCK_SIZE;
        let length = layout.block_size(pick.piece, pick.block);
        // A suspect took it over from others, and what was set aside for it is gone with what they had brought.
        if promise.is_none() && content.store().slot(pick.piece).is_none() {
            self.requests.demand_changed();
        }
        if content.begin(now, pick.piece, promise, self.cache.pool()) {
            // Who does not wait for the whole of it may read on.
            self.out.readers_changed = true;
        }
        if peer.parole.is_on() {
            content.store_mut().set_exclusive(pick.piece, key);
        }
        let expected = peer.source.expected_arrival(now, self.requests.aggregate.share());
        let due = expected + peer.source.path().patience();
        // It is silent, or it is a stranger and another one left with the block. It is not relied on: who has room is asked for it, too.
        let in_vain = peer.source.is_unknown() && self.requests.abandoned.has(pick.piece, pick.block);
        let relied_on = !peer.source.is_unresponsive() && !in_vain;
        let expected = if relied_on { expected } else { now + NOT_RELIED_ON };
        content.store_mut().mark_asked(now, pick.piece, pick.block, key, expected, due);
        if pick.class <= least_urgent {
            content.store_mut().watch(pick.piece, pick.block, pick.block + 1, |due, block| {
                self.requests.late.push(due, pick.piece, block)
            });
        }
        peer.source.credits().put(pick.piece, begin, length, reservation);
        peer.ask(Request {
            piece: pick.piece,
            block: pick.block,
            sent: now,
            expected,
            delivered: peer.source.path().delivered(),
            delivered_by_all: self.requests.aggregate.path.delivered(),
        });
        peer.send(now, &Message::Request(BlockRequest { piece: pick.piece, begin, length }));
        wake(&mut self.out.wake, peer);
        true
    }

    /// Finds out what is wanted, if that has changed.
    pub(in crate::engine) fn refresh_wants(&mut self, now: Time) {
        if !self.requests.demand.take_outdated() {
            return;
        }
        self.cache.demand_changes();
        self.update_windows(now);
        // Where blocks are read one by one, what memory cannot hold takes their place for nothing.
        let (by_blocks, limit) = (self.readers.reads_by_blocks(), self.cache.limit());
        let Some(content) = &mut *self.content else { return };
        content.note_begun();
        let wants = demand::order(
            now,
            self.readers.map(),
            self.readers.deadlines(),
            |p| content.is_missing(p),
            |w| !by_blocks || w.fits(content, limit),
        );
        self.requests.demand.set(wants);
        // What was let go is to be had again, where it is wanted back.
        let back = wanted_back(self.readers, content, self.requests.wants());
        back.into_iter().for_each(|piece| content.store_mut().rewind(piece));
        self.cache.review_promises(content, self.readers);
        self.cache.leave_line();
        self.requests.watch_urgent(content);
        self.make_own(now);
        self.review_revealed(now);
        self.begin_padding(now);
    }

    /// Pieces of nothing but padding are here as soon as they are hashed: nobody is asked for them. Where only blocks of padding are
    /// wanted of another one, it has to be begun with the others.
    fn begin_padding(&mut self, now: Time) {
        let Some(content) = &mut *self.content else { return };
        let layout = content.layout();
        let mut blank = Vec::new();
        for want in self.requests.demand.wants_mut().filter(|w| content.store().slot(w.piece).is_none()) {
            if layout.is_padding_only(want.piece) {
                blank.push(want.piece);
            } else if layout.num_blocks_to_fetch(want.piece, want.from, want.until) == 0 {
                (want.from, want.until) = (0, u32::MAX);
            }
        }
        if blank.is_empty() {
            return;
        }
        for piece in blank {
            content.begin(now, piece, None, self.cache.pool());
            self.hashing.note(piece);
        }
        self.out.hashes.extend(self.hashing.collect(now, content, self.readers.reads_by_blocks()));
        self.out.readers_changed = true;
    }
}

/// The pieces of which what was let go is to be had again: somebody wants it now, or nobody reads them block by block any more.
fn wanted_back(readers: &Readers, content: &Content, demand: &[Want]) -> Vec<u32> {
    if content.store().passed_blocks() == 0 {
        return Vec::new();
    }
    let passed = |p: &u32| content.store().slot(*p).is_some_and(|s| s.passed() > 0);
    let wanted = |p: u32| {
        let wants = demand.iter().filter(|w| w.piece == p);
        let slot = content.store().slot(p);
        slot.is_some_and(|s| wants.into_iter().any(|w| s.has_passed_within(w.from, w.until)))
    };
    let back = |p: &u32| passed(p) && (wanted(*p) || !readers.is_read_by_blocks(*p));
    content.store().present().iter().copied().filter(back).collect()
}
