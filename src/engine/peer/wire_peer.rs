//! One connection's protocol state: who chokes whom, who has what, what was asked, how fast it answers.

use std::sync::Arc;
use std::time::Duration;

use super::activity::Activity;
use super::budget::{Budget, Reading};
use super::choking::Choking;
use super::extensions::Extensions;
use super::haves::Haves;
use super::identity::Identity;
use super::outbox::Outbox;
use super::parole::Parole;
use super::pex::Pex;
use super::request::Request;
use super::revealed::Revealed;
use super::source::Source;
use super::taken_back::TakenBack;
use super::upload::Upload;
use crate::base::time::Time;
use crate::engine::bandwidth::path::{FIRST_QUEUE, QueueTime};
use crate::engine::content::Content;
use crate::memory::credits::Credits;
use crate::memory::pool::Block;
use crate::wire::{BlockRequest, Message};

/// Where many peers are there at once whose speed nobody knows yet each is asked for so few blocks at first: what is wanted first is to
/// come from all of them.
const LEAST_FIRST_QUEUE: usize = 4;
/// The least queue of an unchoked peer that is not snubbed.
const MIN_QUEUE: usize = 2;
/// Bytes of answers that wait to be written to a peer; it is not read from while there are more.
const MOST_ANSWERS: usize = 64 * 1024;

/// One connected peer of a torrent.
#[derive(Debug)]
pub struct Peer {
    pub(super) identity: Identity,
    /// It as one who brings blocks.
    pub source: Source,
    pub extensions: Extensions,
    pub haves: Haves,
    pub choking: Choking,
    pub taken_back: TakenBack,
    pub parole: Parole,
    pub revealed: Revealed,
    pub upload: Upload,
    pub outbox: Outbox,
    pub(super) activity: Activity,
    pub pex: Pex,
    /// What its messages may cost.
    pub budget: Budget,
}

impl Peer {
    /// One that has just connected. `unknown`: of so many nobody knows yet how fast they are.
    pub fn new(now: Time, identity: Identity, credits: Arc<Credits>, unknown: usize) -> Self {
        let upload = Upload::new(credits.pool().clone());
        Self {
            identity,
            source: Source::new(now, (FIRST_QUEUE / unknown.max(1)).max(LEAST_FIRST_QUEUE), credits),
            extensions: Extensions::default(),
            haves: Haves::default(),
            choking: Choking::default(),
            taken_back: TakenBack::default(),
            parole: Parole::default(),
            revealed: Revealed::default(),
            upload,
            outbox: Outbox::new(now),
            activity: Activity::new(now),
            pex: Pex::new(now),
            budget: Budget::new(now),
        }
    }

    pub fn send(&mut self, now: Time, message: &Message) {
        self.outbox.push(now, message);
    }

    /// The answer to something that it sent.
    pub fn answer(&mut self, now: Time, message: &Message) {
        self.outbox.push_answer(now, message);
    }

    /// What it asked for goes out to it.
    pub fn push_piece(&mut self, now: Time, request: BlockRequest, parts: Vec<(Block, u32, u32)>) {
        self.budget.served(u64::from(request.length));
        self.upload.outgoing_mut().push(now, parts.iter().map(|(.., len)| *len));
        self.outbox.push_piece(now, request, parts);
        self.activity.took_a_block(now);
    }

    /// Tells it whether we want something of it. True: that changed.
    pub(in crate::engine) fn set_interested(&mut self, now: Time, interested: bool) -> bool {
        let changed = self.choking.set_am_interested(interested);
        if changed {
            self.send(now, if interested { &Message::Interested } else { &Message::NotInterested });
        }
        changed
    }

    /// So many bytes came from its socket.
    pub(in crate::engine) fn received(&mut self, now: Time, bytes: u64) {
        self.activity.received(now, bytes);
        self.taken_back.heard();
        self.budget.charge_bytes(now, bytes);
    }

    /// So many bytes of payload went out to it, and so many in all.
    pub(in crate::engine) fn sent(&mut self, now: Time, payload: u64, all: u64) {
        self.upload.sent(now, payload, all);
        self.outbox.wrote(now);
    }

    /// Whether the shell may read on from it.
    pub(in crate::engine) fn reading(&self, now: Time) -> Reading {
        if self.outbox.answer_bytes() > MOST_ANSWERS {
            return Reading::WhenWritten;
        }
        self.budget.in_debt_until(now).map_or(Reading::Now, Reading::At)
    }

    /// Bytes held for what it said and was answered: its outbox without payload, and the lists that it fills.
    pub(in crate::engine) fn held_for_it(&self) -> usize {
        let lists = self.upload.len() * 12 + self.pex.num_told() * 32 + self.taken_back.num_remembered() * 8;
        self.outbox.message_bytes() + lists + self.haves.early().bytes()
    }

    /// May it be asked for this piece now?
    pub fn serves(&self, piece: u32) -> bool {
        self.haves.has(piece) && self.choking.lets_us_ask(piece) && self.source.refusals().allow(piece)
    }

    /// Could it be asked for any piece?
    pub fn serves_all(&self) -> bool {
        self.is_seed()
            && !self.choking.peer_choking()
            && self.source.refusals().are_none()
            && !self.parole.is_on()
            && !self.source.is_snubbed()
    }

    /// A request was taken back, and the peer told so.
    pub fn note_cancelled(&mut self, now: Time, piece: u32, block: u32) {
        self.taken_back.cancel(now, piece, block, self.supports_fast());
    }

    /// A block came that nobody waits for. It is free if it was asked for once. Was it?
    pub fn stray_came(&mut self, now: Time, length: u32) -> bool {
        self.choking.stray_came();
        if !self.taken_back.came() {
            return false;
        }
        self.budget.block(u64::from(length));
        self.source.brought(now, true);
        true
    }

    /// How many blocks to keep asked of it: while its speed is still being found out twice as many with each round trip.
    pub fn target_queue(&self, time: QueueTime, share: f64, max: usize) -> usize {
        if self.source.is_snubbed() || self.source.refusals().are_many() || self.taken_back.is_far_behind() {
            return 1;
        }
        let queue = self.source.queue(time, share);
        // More than it queues it drops, or rejects.
        let most = max.min(self.extensions.reqq()).max(1);
        self.takes(queue.clamp(MIN_QUEUE.min(most), most))
    }

    /// How many pieces that we lack it has.
    pub(in crate::engine) fn offers(&self, content: Option<&Content>) -> u32 {
        self.haves.offers(content.map_or(0, Content::num_missing))
    }

    /// Adapts the queue after a block arrived.
    pub fn block_arrived(&mut self, now: Time, bytes: u32, request: &Request) {
        self.source.answered(now, bytes, request);
        self.activity.served(now, bytes);
        self.choking.brought_a_block();
    }

    /// Bytes came for a request that was taken back.
    pub fn stray_arrived(&mut self, now: Time, bytes: u32) {
        self.source.path_mut().stray(bytes);
        self.activity.stray(now, bytes);
    }

    /// May it be asked for anything, and is it expected to answer?
    pub fn may_be_asked(&self) -> bool {
        self.choking.am_interested() && !self.source.is_snubbed() && self.choking.lets_us_ask_any()
    }

    /// Has it room for another request, beyond what keeps its way full? `max`: as many as any peer is asked for.
    pub fn takes_more(&self, max: usize) -> bool {
        self.source.requests().len() < self.takes(max.min(self.extensions.reqq()))
    }

    /// How long the last block takes of a queue that just keeps its way full, as far as that is known.
    pub fn standing_wait(&self, now: Time, time: QueueTime, share: f64, max: usize) -> Duration {
        let target = self.target_queue(time, share, max);
        let full = self.source.full_queue(time, share).max(MIN_QUEUE);
        self.source.wait(now, share, if self.source.is_unknown() { target } else { target.min(full) })
    }

    /// It lets us wait for much longer than it usually does, and sends nothing meanwhile.
    pub fn is_silent(&self, now: Time) -> bool {
        self.source.lets_us_wait(now) && !self.trickles(now)
    }

    /// How long it still needs for a block that it was asked for.
    pub fn time_left(&self, now: Time, share: f64, piece: u32, block: u32) -> Duration {
        self.source.time_left(now, share, piece, block, self.was_always_silent(now))
    }

    /// How many of so many requests it takes at once.
    pub fn takes(&self, requests: usize) -> usize {
        self.choking.room(self.source.takes(requests))
    }

    /// Finds out what it has dropped: that is to be asked for again, and less of it at a time.
    pub(in crate::engine) fn find_dropped(&mut self, now: Time) -> Vec<(u32, u32)> {
        if self.choking.peer_choking() {
            return Vec::new();
        }
        self.source.find_dropped(now, self.activity.last_received(), self.pours())
    }

    /// And it has brought nothing yet.
    pub fn was_always_silent(&self, now: Time) -> bool {
        self.source.is_unknown() && self.is_silent(now)
    }

    pub fn is_seed(&self) -> bool {
        self.haves.is_seed()
    }

    /// Does it, or did it lately, do anything for us or we for it?
    pub fn is_idle(&self) -> bool {
        !self.choking.am_interested() && !self.choking.peer_interested()
    }
}

#[cfg(test)]
impl Peer {
    /// One that came to us and has said nothing.
    pub(in crate::engine) fn silent(now: Time, key: crate::engine::content::pieces::PeerKey) -> Self {
        let handshake = crate::wire::Handshake::new(crate::metainfo::Sha1Hash([1; 20]), [2; 20], false);
        let identity = Identity::new(
            key,
            ([10, 0, 0, 1], 6881).into(),
            true,
            crate::wire::stream_kind::StreamKind::default(),
            &handshake,
        );
        Self::new(now, identity, Credits::new(crate::memory::pool::Pool::new(1 << 20)), 1)
    }
}
