//! Connection slots: which peer gives its slot up when all are taken.
//!
//! A peer with which nothing goes on gives way first.
//!
//! While a read waits, a peer that is of no use to that read gives way, too: one at a time, the one that has been useless longest, each after
//! a fair time. That time grows with each round of such changes. So peers that unchoke us only after a while get their chance, and useless
//! peers do not replace each other at speed. While metadata is missing, a peer gives way that was asked for it and brings none.
//!
//! While a read waits all the time and every slot is taken by a peer that brings something, the slowest peer now and then gives way to an
//! address that was never tried. It is dialled again soon if nobody took the slot. A peer that brings next to nothing is not kept for long
//! while there are addresses that were never tried. An address that the program names meanwhile gets a slot at once.

use std::net::SocketAddr;
use std::time::Duration;

use super::Swarm;
use super::torrent_view::{TorrentView, plays};
use crate::alert::CloseReason;
use crate::base::time::Time;
use crate::engine::bandwidth::rate::Rate;
use crate::engine::content::Content;
use crate::engine::content::pieces::PeerKey;
use crate::engine::peer::Peer;

/// What a connection is worth: whom to part with first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerRank {
    /// One side wants something of the other.
    wanted: bool,
    offers: bool,
    serves: bool,
    rate: u32,
    last_useful: Time,
}

/// Neither side wants anything: it has had its chance after so long.
const IDLE: Duration = Duration::from_secs(10);
/// One that wants something, or has something, and to which nothing ever came or went: where somebody waits, and where nobody does. There
/// what it has is not asked for, and what it wants it gets when it has a slot.
const USELESS: Duration = Duration::from_secs(30);
const USELESS_AT_REST: Duration = Duration::from_secs(180);
/// Between two peers that make room for dials, and two that make it for those who come while a read waits.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);
/// One that is of no use to a read that waits has had its chance after so long and a round trip; twice as long in the next turn of all.
const FAIR: Duration = Duration::from_secs(3);
/// The same of one that was asked for metadata.
const FAIR_FOR_METADATA: Duration = Duration::from_secs(5);
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(2);
/// Who has served comes back to us within this: others unchoke by chance every 30 s. Where all have served one of them has to make room for who
/// may serve all the time, and sooner.
const LAST_TURN: Duration = Duration::from_secs(45);
const SOONEST_TURN: Duration = Duration::from_secs(10);
/// Who brings less than that a second is slow: two blocks.
const SLOW: u64 = 32 * 1024;
/// They wait again and again until none is seen to wait for so long: one that gets half of what it takes waits for half of the time.
const RELIEVED: Duration = Duration::from_secs(3);
/// And no other one before all who are here have had so long to show what they are worth, but for this part of the places.
const SETTLED: Duration = Duration::from_secs(30);
const UNSETTLED: usize = 16;
/// Who was asked for so long and brings less than that a second has shown it: it drips.
const PROVEN: Duration = Duration::from_secs(5);
const DRIPS: u64 = 6 * 1024;
/// And comes back after so long, if the place is free still.
const PUT_OFF: Duration = Duration::from_secs(5);
/// Dials under way for which places were freed: two, or this part of all. Addresses at which nobody is must not take the places of all
/// who might have been of use yet.
const FREED_FOR_DIALS: usize = 4;
/// Of a session's places a torrent for whose bytes somebody waits has so many, or as many as the others.
const LEAST_PLACES: usize = 4;
/// This part of the places is kept for peers that we dial: who comes by himself cannot take them all.
const KEPT_FOR_DIALS: usize = 8;

/// For whom a place is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newcomer {
    pub incoming: bool,
    /// Those who came have all places that they may have: one of them has to go.
    pub for_one_that_came: bool,
    pub need: Need,
}

/// What a place is wanted for, most often by another torrent of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It is for this torrent itself.
    Ours,
    /// Nobody waits there.
    Any,
    /// Somebody waits there for bytes, or for metadata.
    Bytes,
    /// The same, and it has few peers. Then so many, with those that are being dialled.
    Few,
    Starved(usize),
}

impl Newcomer {
    pub const DIALLED: Self = Self { incoming: false, for_one_that_came: false, need: Need::Ours };
}

/// libtorrent's `peer_turnover`.
#[derive(Debug)]
pub(in crate::engine) struct Turnover {
    pub(super) next: Time,
}

impl Turnover {
    pub fn new(now: Time) -> Self {
        Self { next: now }
    }
}

/// Who makes room.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Leaver {
    pub key: PeerKey,
    pub address: SocketAddr,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Why {
    /// Nothing goes on with it.
    Idle,
    /// It is of no use to what is waited for.
    OfNoUseToARead,
    /// It brings too little.
    TooSlow,
}

impl Leaver {
    fn new(peer: &Peer, why: Why) -> Self {
        Self { key: peer.key(), address: peer.address(), why }
    }

    pub fn reason(&self) -> CloseReason {
        if self.why == Why::TooSlow { CloseReason::PeerChurn } else { CloseReason::TooManyConnections }
    }
}

impl Peer {
    /// So long one that has served and chokes us now may be of no use: it has others to serve, and comes back to us.
    fn time_between_turns(&self, all_served: bool) -> Duration {
        match self.activity().has_served() && self.choking.peer_choking() {
            true if all_served => SOONEST_TURN,
            true => LAST_TURN,
            false => Duration::ZERO,
        }
    }

    /// Bytes of payload a second, in both directions.
    fn rate(&self) -> u32 {
        self.activity().payload().per_second().saturating_add(self.upload.payload().per_second())
    }

    /// What the connection is worth.
    fn rank(&self, content: Option<&Content>) -> PeerRank {
        let offers = self.offers(content) > 0;
        PeerRank {
            wanted: !self.is_idle(),
            offers,
            serves: offers && !self.choking.peer_choking() && !self.source.is_snubbed(),
            rate: self.rate(),
            last_useful: self.activity().last_useful(),
        }
    }
}

impl TorrentView<'_> {
    fn may_go(&self, newcomer: Newcomer) -> impl Iterator<Item = &Peer> {
        self.peers.values().filter(move |p| p.is_incoming() || !newcomer.for_one_that_came)
    }

    fn rank(&self, peer: &Peer) -> PeerRank {
        peer.rank(self.content)
    }

    /// All peers and what they are worth.
    pub fn peer_ranks(&self) -> Vec<(PeerRank, PeerKey)> {
        self.peers.values().map(|p| (self.rank(p), p.key())).collect()
    }

    /// More peers than the torrent may have, those of least worth.
    pub fn surplus(&self) -> Vec<PeerKey> {
        let surplus = self.peers.len().saturating_sub(self.config.connection_limit());
        let mut ranks = if surplus > 0 { self.peer_ranks() } else { Vec::new() };
        ranks.sort_unstable();
        ranks.into_iter().take(surplus).map(|(_, key)| key).collect()
    }

    /// All places are taken that a newcomer may have. Of those who came: only theirs.
    pub fn is_full_for(&self, incoming: bool) -> Option<Newcomer> {
        let limit = self.config.connection_limit();
        let came = self.peers.values().filter(|p| p.is_incoming()).count();
        let for_one_that_came = incoming && came >= limit - limit / KEPT_FOR_DIALS;
        let full = self.peers.len() >= limit || for_one_that_came;
        full.then_some(Newcomer { incoming, for_one_that_came, need: Need::Ours })
    }

    /// Who has had its chance, and nothing goes on with it.
    fn useless(&self, now: Time, newcomer: Newcomer) -> Option<&Peer> {
        let chance = if self.somebody_waits() { USELESS } else { USELESS_AT_REST };
        let useless = |p: &&Peer| {
            // It has a chance of its own.
            if self.undelivered_metadata(p).is_some() {
                return false;
            }
            let age = now.since(p.activity().connected_at());
            let never = p.activity().payload().total() == 0
                && p.upload.payload().total() == 0
                && p.source.requests().is_empty();
            p.is_idle() && age > IDLE || never && !self.rank(p).serves && age > chance
        };
        self.may_go(newcomer).filter(useless).min_by_key(|p| self.rank(p))
    }

    /// Who gives way to a newcomer of another torrent: where nothing is wanted, any with whom nothing goes on, and one that is new only
    /// where the other has few; else the one of least worth, where the other has less.
    fn spared(&self, now: Time, newcomer: Newcomer) -> Option<&Peer> {
        let at_rest = !self.somebody_waits() && self.readers.values().all(|r| !r.is_active(now));
        let rests = |p: &&Peer| at_rest && p.source.requests().is_empty() && !p.choking.peer_interested();
        let done =
            |p: &&Peer| now.since(p.activity().last_useful()) > IDLE && now.since(p.activity().connected_at()) > IDLE;
        match newcomer.need {
            Need::Ours | Need::Any => None,
            Need::Bytes => self.may_go(newcomer).filter(|p| rests(p) && done(p)).min_by_key(|p| self.rank(p)),
            Need::Few => self.may_go(newcomer).filter(rests).min_by_key(|p| self.rank(p)),
            Need::Starved(peers) if self.peers.len() > peers + 1 => self.may_go(newcomer).min_by_key(|p| self.rank(p)),
            Need::Starved(_) => None,
        }
    }

    /// Of one that was asked for metadata that is missing still: whether it ever brought a piece, and since when none.
    fn undelivered_metadata(&self, peer: &Peer) -> Option<(bool, Time)> {
        self.fetch.undelivered(peer.key()).filter(|_| self.content.is_none())
    }
}

impl Swarm {
    /// Who makes room for a newcomer, if one holds a place for nothing.
    pub(in crate::engine) fn leaver(
        &mut self,
        now: Time,
        newcomer: Newcomer,
        view: &TorrentView<'_>,
    ) -> Option<Leaver> {
        if newcomer.need != Need::Ours || !view.somebody_waits() {
            return self.find_leaver(now, newcomer, view);
        }
        // Whom a caller names waits for nobody.
        let named = || self.slots.turned_away.is_some_and(|at| self.is_for_a_named_one(newcomer, at));
        if !newcomer.incoming && self.slots.awaits_one_that_comes(now) && !named() {
            return None;
        }
        let leaver = self.find_leaver(now, newcomer, view);
        self.slots.note(now, newcomer.incoming, leaver.is_some());
        leaver
    }

    fn find_leaver(&mut self, now: Time, newcomer: Newcomer, view: &TorrentView<'_>) -> Option<Leaver> {
        let useless = view.useless(now, newcomer).map(|p| Leaver::new(p, Why::Idle));
        useless
            .or_else(|| self.of_no_use(now, newcomer, view).map(|p| Leaver::new(p, Why::OfNoUseToARead)))
            .or_else(|| view.spared(now, newcomer).map(|p| Leaver::new(p, Why::Idle)))
            .or_else(|| self.too_slow_for_a_read(now, newcomer, view).map(|p| Leaver::new(p, Why::TooSlow)))
    }

    /// It went. One that was too slow comes back soon, if nobody takes its place.
    pub(in crate::engine) fn left(&mut self, now: Time, leaver: &Leaver) {
        if leaver.why == Why::TooSlow {
            self.list.put_off(leaver.address, now + PUT_OFF);
            self.slots.vacant = true;
        }
    }

    /// What places of other torrents of the session are wanted for, the least first. `dialling`: for one that counts as being dialled.
    pub(in crate::engine) fn needs(&self, dialling: bool, view: &TorrentView<'_>) -> Vec<Need> {
        let peers = (view.peers.len() + self.list.num_dialling()).saturating_sub(usize::from(dialling));
        match view.somebody_waits() {
            true if peers < LEAST_PLACES => vec![Need::Bytes, Need::Few, Need::Starved(peers)],
            true => vec![Need::Bytes],
            false => vec![Need::Any],
        }
    }

    /// Who gives way to a newcomer since somebody waits whom he is of no use to.
    fn of_no_use<'a>(&mut self, now: Time, newcomer: Newcomer, view: &'a TorrentView<'_>) -> Option<&'a Peer> {
        let dials = (view.config.connection_limit() / FREED_FOR_DIALS).max(2);
        if now < self.slots.for_waiting[usize::from(newcomer.incoming)]
            || !newcomer.incoming && self.list.num_dialling() > dials
        {
            return None;
        }
        let peer = match view.content {
            Some(_) => self.of_no_use_to_a_read(now, newcomer, view),
            None => self.of_no_use_to_metadata(now, newcomer, view),
        }?;
        self.slots.for_waiting[usize::from(newcomer.incoming)] = now + ROOM_INTERVAL;
        self.slots.made += 1;
        Some(peer)
    }

    fn of_no_use_to_a_read<'a>(
        &mut self,
        now: Time,
        newcomer: Newcomer,
        view: &'a TorrentView<'_>,
    ) -> Option<&'a Peer> {
        let waits = view.awaited(plays).filter(|(_, since)| now.since(*since) >= FAIR);
        let (pieces, sinces): (Vec<u32>, Vec<Time>) = waits.unzip();
        let read = sinces.into_iter().min()?;
        let longer = self.slots.fair_time(FAIR, read, view.peers.len());
        let fair = if self.is_for_a_named_one(newcomer, read) { FAIR } else { longer };
        let all_served = self.list.num_dialling() == 0 && view.peers.values().all(|p| p.activity().has_served());
        let gives_way = |p: &'a Peer| {
            let since = p.of_no_use_since(now, &pieces)?;
            let chance = fair.max(p.time_between_turns(all_served)) + p.source.path().rtt().min(LONGEST_ROUND_TRIP);
            (now.since(since) >= chance).then_some((p.activity().has_served(), since, p))
        };
        first(view.may_go(newcomer).filter_map(gives_way))
    }

    /// Those who never brought a piece of it come first, and have one fair time while there are others who were never tried. What comes in
    /// of a slow one may be the next.
    fn of_no_use_to_metadata<'a>(
        &mut self,
        now: Time,
        newcomer: Newcomer,
        view: &'a TorrentView<'_>,
    ) -> Option<&'a Peer> {
        let longer = self.slots.fair_time(FAIR_FOR_METADATA, Time::ZERO, view.peers.len());
        let tries = !newcomer.incoming && self.list.has_untried(now);
        let gives_way = |p: &'a Peer| {
            let (brought, since) = view.undelivered_metadata(p).filter(|_| !p.source.is_held() && !p.pours())?;
            let fair = if tries && !brought { FAIR_FOR_METADATA } else { longer };
            (now.since(since) >= fair).then_some((brought, since, p))
        };
        first(view.may_go(newcomer).filter_map(gives_way))
    }

    /// Seen now and then: does a read that somebody watches wait, again and again?
    pub(in crate::engine) fn note_starving(&mut self, now: Time, view: &TorrentView<'_>) {
        let waits = view.awaited(plays).next().is_some();
        self.slots.starves = self.slots.starves.or(Some(now)).filter(|_| waits);
        self.slots.short = match self.slots.short {
            Some((since, _)) if waits => Some((since, now)),
            None if waits => Some((now, now)),
            before => before.filter(|(_, last)| now.since(*last) < RELIEVED),
        };
    }

    /// Who gives way to a newcomer of this torrent since a read gets too little of all together.
    fn too_slow_for_a_read<'a>(&self, now: Time, newcomer: Newcomer, view: &'a TorrentView<'_>) -> Option<&'a Peer> {
        let named = self.is_for_a_named_one(newcomer, self.slots.short?.0);
        let tries = newcomer.incoming || named || self.list.has_untried(now);
        if newcomer.need != Need::Ours || !self.slots.is_short(now, view) || self.slots.vacant || !tries {
            return None;
        }
        let new = || view.peers.values().filter(|p| now.since(p.activity().connected_at()) < SETTLED).count();
        let settled = named || new() <= view.config.connection_limit() / UNSETTLED;
        let slow = |p: &'a Peer| {
            let age = now.since(p.activity().connected_at());
            // Of one that serves us now and then, what it brings in the long run.
            let rate = |r: &Rate| u64::from(r.per_second()).max(r.total() / age.as_secs().max(1));
            let asked = !p.source.requests().is_empty() && !p.source.is_held() && p.source.asked_for(now) >= PROVEN;
            let drips = !newcomer.incoming && asked && rate(p.activity().protocol()) < DRIPS;
            let goes = drips || settled && age >= PROVEN && rate(p.activity().payload()) < SLOW;
            goes.then_some((rate(p.activity().payload()), p))
        };
        let slowest = view.may_go(newcomer).filter_map(slow).min_by_key(|(rate, p)| (*rate, p.key()));
        slowest.map(|(_, peer)| peer)
    }

    /// Did a caller name one since a read waits, and is room to be made for a dial?
    fn is_for_a_named_one(&self, newcomer: Newcomer, read: Time) -> bool {
        !newcomer.incoming && self.list.has_named_since(read)
    }

    /// Somebody waits to be dialled, and all places are taken: one a second may be freed.
    pub(in crate::engine) fn may_free_place_to_dial(&mut self, now: Time, view: &TorrentView<'_>) -> bool {
        let waits = self.list.next_dial_time(view.has_all()).is_some_and(|at| at <= now);
        let may = now >= self.slots.for_dial && waits;
        if may {
            self.slots.for_dial = now + ROOM_INTERVAL;
        }
        may
    }

    /// Who goes by `peer_turnover`: where nearly all places are taken and others wait to be dialled, the worst go now and then, so that
    /// better ones are found.
    pub(in crate::engine) fn turn_over(&mut self, now: Time, view: &TorrentView<'_>) -> Vec<PeerKey> {
        if now < self.turnover.next {
            return Vec::new();
        }
        let positive = |s: i64| usize::try_from(s).unwrap_or(0);
        let s = &view.config.settings;
        let (percent, cutoff) = (positive(s.peer_turnover), positive(s.peer_turnover_cutoff));
        self.turnover.next = now + Duration::from_secs(positive(s.peer_turnover_interval).max(1) as u64);
        let waiting = self.list.num_ready(now);
        let peers = view.peers;
        if percent == 0 || waiting == 0 || peers.len() * 100 < view.config.connection_limit() * cutoff {
            return Vec::new();
        }
        let most = (peers.len() * percent).div_ceil(100).min(waiting);
        // Who brings much is not parted with for somebody who may be dead.
        let serves =
            |p: &Peer| !p.source.requests().is_empty() && u64::from(p.activity().payload().per_second()) >= SLOW;
        let settled = peers.values().filter(|p| now.since(p.activity().connected_at()) > SETTLED && !serves(p));
        let mut worst: Vec<_> = settled.map(|p| (p.rate(), p.activity().last_useful(), p.key())).collect();
        worst.sort_unstable();
        worst.into_iter().take(most).map(|(_, _, key)| key).collect()
    }
}

/// Those who never served come first, among equals who is longest of no use.
fn first<'a>(candidates: impl Iterator<Item = (bool, Time, &'a Peer)>) -> Option<&'a Peer> {
    candidates.min_by_key(|(served, since, peer)| (*served, *since, peer.key())).map(|(.., peer)| peer)
}
