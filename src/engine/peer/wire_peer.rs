//! One connection's protocol state: who chokes whom, who has what, what was asked, how fast it answers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::budget::{Budget, Reading};
use super::choking::Choking;
use super::extensions::Extensions;
use super::fruitless::Fruitless;
use super::haves::Haves;
use super::outbox::Outbox;
use super::parole::Parole;
use super::pex::Pex;
use super::queue_depth::{Depth, LEAST_WAIT};
use super::refusals::Refusals;
use super::request::Request;
use super::rhythm::Rhythm;
use super::shown::Shown;
use super::upload::Upload;
use crate::base::time::Time;
use crate::engine::bandwidth::aggregate::Part;
use crate::engine::bandwidth::path::{FIRST_QUEUE, PeerPath, QueueTime};
use crate::engine::bandwidth::rate::Rate;
use crate::engine::content::Content;
use crate::engine::content::pieces::PeerKey;
use crate::memory::credits::Credits;
use crate::memory::pool::{BLOCK_SIZE, Block};
use crate::wire::{BlockRequest, Handshake, Message};

/// Where many peers are there at once whose speed nobody knows yet each is asked for so few blocks at first: what is wanted first is to
/// come from all of them.
const LEAST_FIRST_QUEUE: usize = 4;
/// Within this a peer of whom nothing is known is expected to answer. Were it more, what it was asked for would at once be asked
/// again of those who are known.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// What one that brings nothing is expected to take.
const SNUBBED_WAIT: Duration = Duration::from_secs(10);
/// One that has been silent since it came will be for so many times as long.
const DOUBT: u32 = 6;
/// One that lets us wait for so long beyond its time, and for another of its usual intervals, makes way for another.
const SILENT: Duration = Duration::from_secs(2);
/// The least queue of an unchoked peer that is not snubbed.
const MIN_QUEUE: usize = 2;
/// Bytes of answers that wait to be written to a peer; it is not read from while there are more.
const MOST_ANSWERS: usize = 64 * 1024;
/// Requests taken back that are remembered.
const MAX_CANCELLED: usize = 4096;

/// One connected peer of a torrent.
#[derive(Debug)]
pub struct Peer {
    pub key: PeerKey,
    pub address: SocketAddr,
    pub incoming: bool,
    pub peer_id: [u8; 20],
    pub fast: bool,
    pub extended: bool,
    pub extensions: Extensions,
    pub haves: Haves,

    pub choking: Choking,
    pub depth: Depth,
    pub fruitless: Fruitless,
    pub rhythm: Rhythm,

    pub requests: VecDeque<Request>,
    /// A request was taken back from it, at any time.
    pub took_back: bool,
    /// Requests taken back that a peer with the fast extension still answers: with the block, or a reject.
    pub cancelled: VecDeque<(u32, u32)>,
    /// How many more were taken back, before those.
    forgotten: u32,
    pub refusals: Refusals,
    pub credits: Arc<Credits>,
    pub snubbed: bool,
    pub parole: Parole,
    pub shown: Shown,

    pub upload: Upload,
    pub outbox: Outbox,

    pub down: Rate,
    pub protocol_down: Rate,
    pub path: PeerPath,
    pub connected_at: Time,
    pub last_received: Time,
    /// Without the time for which it waited for us.
    pub last_block: Time,
    /// Since when what it sent waits for a download limit.
    pub held: Option<Time>,
    pub last_request: Time,
    /// The block that is coming in: piece, begin, bytes here.
    pub receiving: Option<(u32, u32, u32)>,
    pub last_useful: Time,
    /// It brought a block that it was asked for.
    pub has_served: bool,
    /// It is parted with since it is of no use.
    pub of_no_use: bool,
    pub pex: Pex,
    /// What its messages may cost.
    pub budget: Budget,
    /// Requests that were taken back: so many blocks may come that nobody waits for any more.
    pub taken_back: usize,
}

impl Peer {
    pub fn new(
        now: Time,
        key: PeerKey,
        address: SocketAddr,
        incoming: bool,
        handshake: &Handshake,
        credits: Arc<Credits>,
        unknown: usize,
    ) -> Self {
        let upload = Upload::new(credits.pool().clone());
        Self {
            key,
            address,
            incoming,
            peer_id: handshake.peer_id,
            fast: handshake.supports_fast(),
            extended: handshake.supports_extensions(),
            extensions: Extensions::default(),
            haves: Haves::default(),
            choking: Choking::default(),
            depth: Depth::default(),
            fruitless: Fruitless::new(now),
            rhythm: Rhythm::new(now),
            requests: VecDeque::new(),
            took_back: false,
            cancelled: VecDeque::new(),
            forgotten: 0,
            refusals: Refusals::default(),
            credits,
            snubbed: false,
            parole: Parole::default(),
            shown: Shown::default(),
            upload,
            outbox: Outbox::new(now),
            down: Rate::default(),
            protocol_down: Rate::default(),
            path: PeerPath::new((FIRST_QUEUE / unknown.max(1)).max(LEAST_FIRST_QUEUE)),
            connected_at: now,
            last_received: now,
            last_block: now,
            held: None,
            last_request: now,
            receiving: None,
            last_useful: now,
            has_served: false,
            of_no_use: false,
            pex: Pex::new(now),
            budget: Budget::new(now),
            taken_back: 0,
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
        self.upload.loans_mut().push(now, parts.iter().map(|(.., len)| *len));
        self.outbox.push_piece(now, request, parts);
        self.last_useful = now;
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
        self.last_received = now;
        self.protocol_down.add(now, bytes);
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
        let lists = self.upload.len() * 12 + self.pex.num_told() * 32 + self.cancelled.len() * 8;
        self.outbox.message_bytes() + lists + self.haves.early().bytes()
    }

    /// Where one listens that came to us, if it told.
    pub fn listens(&self) -> Option<SocketAddr> {
        let port = self.extensions.listen_port().filter(|_| self.incoming)?;
        Some(SocketAddr::new(self.address.ip(), port))
    }

    /// May it be asked for this piece now?
    pub fn serves(&self, piece: u32) -> bool {
        self.haves.has(piece) && self.choking.lets_us_ask(piece) && self.refusals.allow(piece)
    }

    /// Could it be asked for any piece?
    pub fn serves_all(&self) -> bool {
        self.is_seed()
            && !self.choking.peer_choking()
            && self.refusals.are_none()
            && !self.parole.is_on()
            && !self.snubbed
    }

    /// A request was taken back, and the peer told so.
    pub fn note_cancelled(&mut self, piece: u32, block: u32) {
        self.took_back = true;
        if self.fast {
            if self.cancelled.len() >= MAX_CANCELLED {
                self.cancelled.pop_front();
                self.forgotten = self.forgotten.saturating_add(1);
            }
            self.cancelled.push_back((piece, block));
        }
    }

    /// A request will not be waited for any more; its block may be on its way.
    pub fn note_taken_back(&mut self) {
        self.taken_back = (self.taken_back + 1).min(MAX_CANCELLED);
    }

    /// A block came that nobody waits for. It is free if it was asked for once. Was it?
    pub fn stray_came(&mut self, now: Time, length: u32) -> bool {
        self.choking.stray_came();
        let Some(left) = self.taken_back.checked_sub(1) else { return false };
        self.taken_back = left;
        self.budget.block(u64::from(length));
        self.note_brought(now, true);
        true
    }

    /// Is this the answer to a request that was taken back?
    pub fn answers_cancelled(&mut self, piece: u32, block: u32) -> bool {
        if let Some(at) = self.cancelled.iter().position(|c| *c == (piece, block)) {
            return self.cancelled.remove(at).is_some();
        }
        // Which one is not known any more. If it was the answer to a request made since, that one is late soon.
        let one_of_them = self.forgotten > 0;
        self.forgotten = self.forgotten.saturating_sub(1);
        one_of_them
    }

    /// How many blocks to keep asked of it: while its speed is still being found out twice as many with each round trip.
    pub fn target_queue(&self, time: QueueTime, share: f64, max: usize) -> usize {
        if self.snubbed || self.refusals.are_many() {
            return 1;
        }
        let queue = self.path.ramp().unwrap_or_else(|| self.path.queue(time, share) as usize + 1);
        // More than it queues it drops, or rejects.
        let most = max.min(self.extensions.reqq()).max(1);
        self.takes(queue.clamp(MIN_QUEUE.min(most), most))
    }

    /// How many pieces that we lack it has.
    pub(in crate::engine) fn offers(&self, content: Option<&Content>) -> u32 {
        self.haves.offers(content.map_or(0, Content::num_missing))
    }

    /// What it is to the aggregate of all.
    pub fn part(&self, time: QueueTime) -> Part {
        Part { bandwidth: self.path.bandwidth(), queue: self.path.queue(time, 1.0), asked: !self.requests.is_empty() }
    }

    /// Adapts the queue after a block arrived.
    pub fn block_arrived(&mut self, now: Time, bytes: u32, request: Request) {
        let soon = self.usual_answer().max(LEAST_WAIT);
        self.path.answered(now, bytes, request.sent, request.delivered);
        self.path.deviated(now.since(request.expected).max(request.expected.since(now)));
        self.down.add(now, u64::from(bytes));
        self.note_brought(now, false);
        self.has_served = true;
        self.choking.brought_a_block();
        if self.depth.brought_a_block(now, soon) {
            self.path.start_anew();
        }
        self.refusals.serves(now, request.piece);
    }

    /// It brought a block that it was asked for, whether or not somebody still waits for it.
    fn note_brought(&mut self, now: Time, stray: bool) {
        self.rhythm.brought_a_block(now, stray);
        self.last_block = now;
        self.fruitless.brought_a_block(now);
    }

    /// There is not enough to ask it for: what it brings tells nothing of what it could.
    pub fn ran_dry(&mut self) {
        self.path.idle(self.requests.len() as u64);
    }

    /// Bytes came for a request that was taken back.
    pub fn stray_arrived(&mut self, now: Time, bytes: u32) {
        self.path.stray(bytes);
        self.down.add(now, u64::from(bytes));
    }

    /// Has it brought nothing yet?
    pub fn is_unknown(&self) -> bool {
        self.rhythm.is_unknown()
    }

    /// May it be asked for anything, and is it expected to answer?
    pub fn may_be_asked(&self) -> bool {
        self.choking.am_interested() && !self.snubbed && self.choking.lets_us_ask_any()
    }

    /// Has it room for another request, beyond what keeps its way full? `max`: as many as any peer is asked for.
    pub fn takes_more(&self, max: usize) -> bool {
        self.requests.len() < self.takes(max.min(self.extensions.reqq()))
    }

    /// When a block asked now would arrive. `share`: the part of its bandwidth that it has while others have theirs.
    pub fn expected_arrival(&self, now: Time, share: f64) -> Time {
        now + self.wait(now, share, self.requests.len() + 1)
    }

    /// How long the last block takes of a queue that just keeps its way full, as far as that is known.
    pub fn standing_wait(&self, now: Time, time: QueueTime, share: f64, max: usize) -> Duration {
        let target = self.target_queue(time, share, max);
        let full = (self.path.queue(time, share) as usize + 1).max(MIN_QUEUE);
        self.wait(now, share, if self.is_unknown() { target } else { target.min(full) })
    }

    /// How long a block asked now would take if the peer did as it should. Time alone does not change that.
    pub fn least_wait(&self, share: f64) -> Duration {
        self.timely_wait(share, self.requests.len() + 1)
    }

    /// How long a block takes with which so many are asked for.
    fn wait(&self, now: Time, share: f64, blocks: usize) -> Duration {
        let late = if self.snubbed { Duration::ZERO } else { self.overdue(now) };
        self.timely_wait(share, blocks) + late
    }

    fn timely_wait(&self, share: f64, blocks: usize) -> Duration {
        if self.snubbed {
            return SNUBBED_WAIT;
        }
        let queued = if self.is_unknown() { self.first_wait(blocks) } else { self.transfer(share, blocks) };
        queued + self.path.rtt().min(Duration::from_secs(1))
    }

    /// Of one that has brought nothing yet: as if it brought its first queue in that time, and longer while it does not.
    fn first_wait(&self, blocks: usize) -> Duration {
        FIRST_WAIT / 2 + FIRST_WAIT * blocks as u32 / (2 * FIRST_QUEUE as u32)
    }

    fn transfer(&self, share: f64, blocks: usize) -> Duration {
        self.whole_transfer(share, blocks).min(SNUBBED_WAIT)
    }

    /// However long it takes.
    fn whole_transfer(&self, share: f64, blocks: usize) -> Duration {
        let rate = self.path.bandwidth() * share;
        if rate < 1.0 {
            // What it brought had been taken back.
            return self.rhythm.usual().max(FIRST_WAIT) * blocks as u32;
        }
        Duration::from_secs_f64(blocks as f64 * f64::from(BLOCK_SIZE) / rate)
    }

    /// When a copy asked now would arrive, behind all that it is asked for: one slow peer is not to get the copies of all that is late.
    pub fn copy_arrival(&self, now: Time, share: f64) -> Time {
        let arrival = self.expected_arrival(now, share);
        if self.is_unknown() {
            return arrival;
        }
        arrival.max(now + self.whole_transfer(share, self.requests.len() + 1))
    }

    /// Who lets us wait for longer than he should, or than he usually does, will go on doing so.
    pub fn overdue(&self, now: Time) -> Duration {
        let until = self.held.unwrap_or(now);
        let due = |r: &Request| until.since((self.last_block + self.rhythm.usual()).max(r.sent + self.path.rtt()));
        let by_request = self.requests.front().map(due).unwrap_or_default();
        // Nor does it become quick because what it lets us wait for was taken back.
        by_request.max(self.depth.silent_since().map_or(Duration::ZERO, |since| until.since(since)))
    }

    /// It lets us wait for much longer than it usually does, and sends nothing meanwhile.
    pub fn is_silent(&self, now: Time) -> bool {
        self.overdue(now) >= SILENT.max(self.rhythm.usual()) && !self.trickles(now)
    }

    /// And it has brought nothing yet.
    pub fn was_always_silent(&self, now: Time) -> bool {
        self.is_unknown() && self.is_silent(now)
    }

    /// What it sent waits for a download limit, or no more: that is no lateness of its own.
    pub fn hold(&mut self, now: Time, held: bool) {
        if held {
            self.held.get_or_insert(now);
        } else if let Some(since) = self.held.take() {
            let begun = self.requests.front().map_or(self.last_block, |r| r.sent.max(self.last_block));
            self.last_block = now.min(begun + now.since(since));
            self.fruitless.was_held(now, now.since(since));
            self.rhythm.was_held(now, now.since(since));
        }
    }

    /// For how long it has brought nothing of what it was asked for.
    pub fn silent_for(&self, now: Time) -> Duration {
        let until = self.held.unwrap_or(now);
        self.requests.front().map(|r| until.since(r.sent.max(self.last_block))).unwrap_or_default()
    }

    /// How long the peer still needs for a block that it was asked for.
    pub fn time_left(&self, now: Time, share: f64, piece: u32, block: u32) -> Duration {
        let before = self.requests.iter().take_while(|r| (r.piece, r.block) != (piece, block)).count();
        if self.was_always_silent(now) {
            return self.overdue(now) * DOUBT;
        }
        let queued = if self.is_unknown() { Duration::ZERO } else { self.transfer(share, before + 1) };
        let at_it = self.silent_for(now).min(self.rhythm.usual());
        queued.saturating_sub(at_it) + if self.snubbed { SNUBBED_WAIT } else { self.overdue(now) }
    }

    /// Takes a request off the list; blocks mostly come in the order in which they were asked.
    pub fn take_request(&mut self, piece: u32, block: u32) -> Option<Request> {
        let at = self.requests.iter().position(|r| r.piece == piece && r.block == block)?;
        self.requests.remove(at)
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
    pub(in crate::engine) fn silent(now: Time, key: PeerKey) -> Self {
        let handshake = Handshake::new(crate::metainfo::Sha1Hash([1; 20]), [2; 20], false);
        let credits = Credits::new(crate::memory::pool::Pool::new(1 << 20));
        Self::new(now, key, ([10, 0, 0, 1], 6881).into(), true, &handshake, credits, 1)
    }
}
