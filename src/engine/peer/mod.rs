//! One connection's protocol state: who chokes whom, who has what, what was asked, how fast it answers.

pub mod budget;
pub(crate) mod duplicates;
pub mod fickle;
pub mod fruitless;
pub mod handshake;
pub(crate) mod loans;
pub mod messages;
pub mod outbox;
pub mod peers;
pub mod queue_depth;
pub mod refusals;
pub mod rhythm;
pub mod uploads;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::budget::Budget;
use self::fickle::Fickle;
use self::fruitless::Fruitless;
use self::loans::Loans;
use self::outbox::Outbox;
use self::queue_depth::{Depth, LEAST_WAIT};
use self::refusals::Refusals;
use self::rhythm::Rhythm;
use super::bandwidth::aggregate::Part;
use super::bandwidth::path::{FIRST_QUEUE, PeerPath, QueueTime};
use super::bandwidth::rate::Rate;
use super::content::Content;
use super::content::bitfield::Bitfield;
use super::content::pieces::PeerKey;
use super::requests::shows::Shown;
use crate::base::time::Time;
use crate::memory::credits::Credits;
use crate::memory::pool::{BLOCK_SIZE, Block};
use crate::wire::{BlockRequest, ExtensionIds, Handshake, Message};

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
pub const MIN_QUEUE: usize = 2;
/// Requests taken back that are remembered.
const MAX_CANCELLED: usize = 4096;
/// HAVEs and their opposites kept from a peer while the metadata is missing.
const MAX_EARLY_HAVES: usize = 1 << 16;

/// What a peer said it has before we knew how many pieces there are.
#[derive(Debug, Default)]
pub struct EarlyHaves {
    pub all: bool,
    pub bitfield: Option<Vec<u8>>,
    /// Pieces that it got or lost after that, in the order in which it said so.
    pub changes: Vec<(u32, bool)>,
}

impl EarlyHaves {
    /// False: it was too much.
    pub fn push(&mut self, piece: u32, has: bool) -> bool {
        self.changes.push((piece, has));
        self.changes.len() <= MAX_EARLY_HAVES
    }

    /// The peer states all that it has: what it said before counts no more.
    pub fn state(&mut self, all: bool, bitfield: Option<Vec<u8>>) {
        *self = Self { all, bitfield, changes: Vec::new() };
    }
}

/// A block asked of a peer.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub piece: u32,
    pub block: u32,
    pub sent: Time,
    /// When it should come.
    pub expected: Time,
    /// What the peer had delivered then, and what all had.
    pub delivered: u64,
    pub delivered_by_all: u64,
}

/// One connected peer of a torrent.
#[derive(Debug)]
pub struct Peer {
    pub key: PeerKey,
    pub address: SocketAddr,
    /// Where it listens, if it told.
    pub listen_port: Option<u16>,
    pub incoming: bool,
    pub peer_id: [u8; 20],
    pub client: String,
    pub fast: bool,
    pub extended: bool,
    /// Our last extended handshake said that it may ask for metadata.
    pub offered_metadata: bool,
    /// The extended message ids that the peer chose (BEP 10).
    pub ids: ExtensionIds,
    pub have: Bitfield,
    /// The picker counts it among the seeds, not piece by piece.
    pub counted_seed: bool,
    /// How often it stated all that it has.
    pub bitfields: u32,
    pub early: EarlyHaves,
    pub upload_only: bool,

    pub am_choking: bool,
    pub am_interested: bool,
    /// It chokes us, or says for too short a time that it does not.
    pub peer_choking: bool,
    pub fickle: Fickle,
    pub depth: Depth,
    pub fruitless: Fruitless,
    pub rhythm: Rhythm,
    pub peer_interested: bool,
    pub optimistic: bool,
    pub last_unchoked: Time,
    /// Pieces that we may ask for while choked (BEP 6), and those that it may.
    pub allowed_to_us: Vec<u32>,
    pub allowed_to_peer: Vec<u32>,
    /// Requests for them that were taken while it was choked.
    pub fast_requests: usize,

    pub requests: VecDeque<Request>,
    /// A request was taken back from it, at any time.
    pub took_back: bool,
    /// Requests taken back that a peer with the fast extension still answers: with the block, or a reject.
    pub cancelled: VecDeque<(u32, u32)>,
    /// How many more were taken back, before those.
    forgotten: u32,
    pub refusals: Refusals,
    pub credits: Arc<Credits>,
    /// What the peer says it queues at most (BEP 10 `reqq`).
    pub reqq: usize,
    pub snubbed: bool,
    /// It sent part of a piece that failed: it gets whole pieces to itself, or none.
    pub parole: bool,
    /// Pieces of its own that passed since.
    pub parole_passed: u32,
    pub hash_fails: u32,
    /// Pieces that it has and we lack: why we are interested. Not kept up to date of one that is counted among the seeds.
    pub counted_offers: u32,
    pub shown: Shown,

    /// What it asked us for and has not got, and how much of that is being read from disk.
    pub uploads: VecDeque<BlockRequest>,
    pub reading: usize,
    pub outbox: Outbox,
    pub loans: Loans,
    /// It was reported to the shell as having something to write.
    pub woken: bool,
    /// Pieces that we told it we have.
    pub told: Bitfield,

    pub down: Rate,
    pub up: Rate,
    pub protocol_down: Rate,
    pub protocol_up: Rate,
    pub path: PeerPath,
    pub connected_at: Time,
    pub last_received: Time,
    pub last_sent: Time,
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
    pub next_pex: Time,
    pub pex_told: Vec<SocketAddr>,
    pub pex_received: Time,
    /// What its messages may cost.
    pub budget: Budget,
    /// Requests that were taken back: so many blocks may come that nobody waits for any more.
    pub taken_back: usize,
    /// It told where its DHT node listens, and our address.
    pub told_dht_port: bool,
    pub told_our_ip: bool,
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
        let loans = Loans::new(credits.pool().clone());
        Self {
            key,
            address,
            listen_port: None,
            incoming,
            peer_id: handshake.peer_id,
            client: String::new(),
            fast: handshake.supports_fast(),
            extended: handshake.supports_extensions(),
            offered_metadata: false,
            ids: ExtensionIds::default(),
            have: Bitfield::default(),
            counted_seed: false,
            bitfields: 0,
            early: EarlyHaves::default(),
            upload_only: false,
            am_choking: true,
            am_interested: false,
            peer_choking: true,
            fickle: Fickle::default(),
            depth: Depth::default(),
            fruitless: Fruitless::new(now),
            rhythm: Rhythm::new(now),
            peer_interested: false,
            optimistic: false,
            last_unchoked: Time::ZERO,
            allowed_to_us: Vec::new(),
            allowed_to_peer: Vec::new(),
            fast_requests: 0,
            requests: VecDeque::new(),
            took_back: false,
            cancelled: VecDeque::new(),
            forgotten: 0,
            refusals: Refusals::default(),
            credits,
            reqq: 250,
            snubbed: false,
            parole: false,
            parole_passed: 0,
            hash_fails: 0,
            counted_offers: 0,
            shown: Shown::default(),
            uploads: VecDeque::new(),
            reading: 0,
            outbox: Outbox::default(),
            loans,
            woken: false,
            told: Bitfield::default(),
            down: Rate::default(),
            up: Rate::default(),
            protocol_down: Rate::default(),
            protocol_up: Rate::default(),
            path: PeerPath::new((FIRST_QUEUE / unknown.max(1)).max(LEAST_FIRST_QUEUE)),
            connected_at: now,
            last_received: now,
            last_sent: now,
            last_block: now,
            held: None,
            last_request: now,
            receiving: None,
            last_useful: now,
            has_served: false,
            of_no_use: false,
            next_pex: now,
            pex_told: Vec::new(),
            pex_received: Time::ZERO,
            budget: Budget::new(now),
            taken_back: 0,
            told_dht_port: false,
            told_our_ip: false,
        }
    }

    pub fn send(&mut self, now: Time, message: &Message) {
        self.outbox.push(message);
        self.last_sent = now;
    }

    /// The answer to something that it sent.
    pub fn answer(&mut self, now: Time, message: &Message) {
        self.outbox.push_answer(message);
        self.last_sent = now;
    }

    /// What it asked for goes out to it.
    pub fn push_piece(&mut self, now: Time, request: BlockRequest, parts: Vec<(Block, u32, u32)>) {
        self.budget.served(u64::from(request.length));
        self.loans.push(now, parts.iter().map(|(.., len)| *len));
        self.outbox.push_piece(request, parts);
        self.last_sent = now;
        self.last_useful = now;
    }

    /// Tells it whether we want something of it. True: that changed.
    pub(in crate::engine) fn set_interested(&mut self, now: Time, interested: bool) -> bool {
        let changed = interested != self.am_interested;
        if changed {
            self.am_interested = interested;
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
        self.up.add(now, payload);
        self.protocol_up.add(now, all);
        self.last_sent = now;
        self.loans.wrote(payload);
    }

    /// May it be asked for this piece now?
    pub fn serves(&self, piece: u32) -> bool {
        self.have.get(piece)
            && (!self.peer_choking || self.allowed_to_us.contains(&piece))
            && self.refusals.allow(piece)
    }

    /// Counts anew what it has and we lack, who have that.
    pub fn count_offers(&mut self, ours: &Bitfield) {
        self.counted_offers =
            if ours.is_empty() { self.have.count() } else { self.have.iter().filter(|p| !ours.get(*p)).count() as u32 };
    }

    /// Could it be asked for any piece?
    pub fn serves_all(&self) -> bool {
        self.is_seed() && !self.peer_choking && self.refusals.are_none() && !self.parole && !self.snubbed
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
        self.fickle.stray_came();
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
        let most = max.min(self.reqq).max(1);
        self.takes(queue.clamp(MIN_QUEUE.min(most), most))
    }

    /// How many pieces that we lack it has.
    pub(in crate::engine) fn offers(&self, content: Option<&Content>) -> u32 {
        if self.counted_seed { content.map_or(0, Content::num_missing) } else { self.counted_offers }
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
        self.fickle.brought_a_block();
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
        self.am_interested && !self.snubbed && (!self.peer_choking || !self.allowed_to_us.is_empty())
    }

    /// Has it room for another request, beyond what keeps its way full? `max`: as many as any peer is asked for.
    pub fn takes_more(&self, max: usize) -> bool {
        self.requests.len() < self.takes(max.min(self.reqq))
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
        !self.have.is_empty() && self.have.is_full()
    }

    /// Does it, or did it lately, do anything for us or we for it?
    pub fn is_idle(&self) -> bool {
        !self.am_interested && !self.peer_interested
    }
}
