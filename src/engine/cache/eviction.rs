//! What stays in memory and what goes: eviction as one transaction, lookbehind, shares.
//!
//! A piece leaves memory storage all at once: its blocks, the have-map, the picker, the peers' view of us. Nobody is to
//! blame for it and it can be wanted again at once.

use std::collections::{BTreeMap, BTreeSet};

use super::share::{Claim, Precedence};
use crate::base::error::{Error, Result, Status};
use crate::base::time::Time;
use crate::engine::config::StorageKind;
use crate::engine::content::Content;
use crate::engine::content::pieces::{Slot, Stage};
use crate::engine::readers::portions::Portions;
use crate::engine::readers::reader::{Reader, ReaderId};
use crate::engine::requests::demand::Class;
use crate::engine::requests::selector::Pick;
use crate::engine::requests::shows::Shows;
use crate::engine::status::{LookbehindStats, StorageStats};
use crate::engine::torrent::Torrent;
use crate::memory::pool::BLOCK_SIZE;

/// What a reader needs at least that can read block by block.
const LEAST_BLOCKS: u64 = 2;

/// How much a piece in memory is worth keeping; the smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum EvictionRank {
    /// Nobody wants it: not verified, outside all windows.
    Scrap,
    /// Verified, outside all windows: somebody may seek back.
    Old,
    /// Taken so that a peer shows the next one.
    Shown,
    /// Wanted by its priority only, or in the window of a reader where nobody reads now.
    Wanted,
    /// In the window of a background reader.
    Background,
    /// The far half of a playing reader's lookahead.
    FarAhead,
    /// What a reader has read and may come back to: a read that waits comes before it.
    Behind,
    /// Pinned, protected, near a playing position, or with a deadline: it stays.
    Kept,
}

/// Who has a say in what is kept.
pub(in crate::engine) struct Keepers<'a> {
    pub now: Time,
    pub readers: &'a BTreeMap<ReaderId, Reader>,
    pub deadlines: &'a BTreeMap<u32, Time>,
    pub protected: &'a BTreeSet<u32>,
    pub shows: &'a Shows,
    /// Torrents take turns with what memory there is.
    pub crowded: bool,
    /// It is for another torrent: what nobody reads now is worth less to it than to this one.
    pub for_others: bool,
    /// Nothing is fetched here until somebody starts it again, whoever waits for it.
    pub stopped: bool,
}

impl Keepers<'_> {
    pub fn eviction_rank(&self, content: &Content, piece: u32) -> EvictionRank {
        let Some(slot) = content.store().slot(piece) else { return EvictionRank::Kept };
        if slot.stage() == Stage::Writing || self.protected.contains(&piece) || self.deadlines.contains_key(&piece) {
            return EvictionRank::Kept;
        }
        let halted = self.for_others && self.stopped;
        let mut worth = match (content.picker().priority(piece), slot.stage()) {
            (0, Stage::Partial) if self.shows.takes(piece) => EvictionRank::Shown,
            (0, Stage::Partial) => EvictionRank::Scrap,
            (0, _) => EvictionRank::Old,
            _ => EvictionRank::Wanted,
        };
        for reader in self.readers.values() {
            let window = reader.window();
            let waits_at = |offset: u64| reader.span().piece_at(offset) == piece;
            // All that a read waits for is wanted alike: were a part of it worth less, it and what is behind it in the order of wants
            // would push each other out.
            let waits = reader.wait_at(self.now).filter(|_| !window.put_off).is_some_and(|w| {
                waits_at(w.offset)
                    || (window.ahead.contains(&piece) && reader.span().pieces_of(w.offset, w.len).contains(&piece))
            });
            let by_this = if !halted && (waits || reader.probes().iter().any(|p| waits_at(p.offset))) {
                EvictionRank::Kept
            } else if !window.contains(piece) {
                continue;
            } else if halted || window.asleep && self.for_others {
                EvictionRank::Wanted
            } else if reader.gives_way_to_players(self.crowded) {
                EvictionRank::Background
            } else if window.tight || self.crowded && reader.reads_wait() {
                // Who waits has no use for anything else.
                EvictionRank::FarAhead
            } else if window.block_window.is_some() {
                // It goes block by block; what is whole and left, as a whole.
                if slot.stage() == Stage::Kept && window.behind.contains(&piece) { worth } else { EvictionRank::Kept }
            } else if window.ahead.contains(&piece)
                && piece >= window.ahead.start + window.ahead.len().div_ceil(2) as u32
            {
                EvictionRank::FarAhead
            } else if window.behind.contains(&piece) && !window.is_pinned(piece) {
                EvictionRank::Behind
            } else {
                EvictionRank::Kept
            };
            worth = worth.max(by_this);
        }
        worth
    }
}

/// What a request of this class may push out: everything worth less.
pub(in crate::engine) fn evictable_by(class: Class) -> EvictionRank {
    match class {
        Class::Blocked => EvictionRank::Kept,
        Class::Deadline => EvictionRank::FarAhead,
        Class::Pinned | Class::Background => EvictionRank::Background,
        Class::Priority => EvictionRank::Wanted,
        Class::Shown => EvictionRank::Shown,
    }
}

impl Torrent {
    /// Evicts the piece worth least, if it is worth less than the request. What a read waits for may also push out what was begun for
    /// wants behind it, or a memory full of beginnings would never end. False: there is nothing that may go.
    pub(in crate::engine) fn make_room(&mut self, now: Time, pick: Pick) -> bool {
        let bound = evictable_by(pick.class);
        // Where somebody reads block by block, what nobody holds goes before what is in a window.
        if self.readers.reads_by_blocks()
            && pick.class != Class::Shown
            && (self.evict_one(now, bound.min(EvictionRank::Wanted), pick.piece) || self.let_one_go(now))
        {
            return true;
        }
        if self.evict_one(now, bound, pick.piece) {
            return true;
        }
        let rank =
            |piece: u32| self.requests.demand.wants().iter().position(|w| w.piece == piece).unwrap_or(usize::MAX);
        let mine = rank(pick.piece);
        let Some(content) = self.content.as_ref().filter(|_| mine == 0 || pick.class == Class::Blocked) else {
            return false;
        };
        let may_go = |s: &Slot| s.is_coming_in() && !s.is_shared();
        let behind = content.store().present().iter().copied();
        let behind = behind.filter(|p| content.store().slot(*p).is_some_and(may_go) && rank(*p) > mine);
        let Some(piece) = behind.max_by_key(|p| (rank(*p), *p)) else { return false };
        self.evict(now, piece);
        true
    }

    pub(in crate::engine) fn keepers(&self, now: Time, for_others: bool) -> Keepers<'_> {
        Keepers {
            now,
            readers: self.readers.map(),
            deadlines: self.readers.deadlines(),
            protected: &self.cache.kept_lookbehind,
            shows: &self.requests.shows,
            crowded: self.cache.share.is_crowded(self.cache.pool.limit()),
            for_others,
            stopped: !self.is_running(),
        }
    }

    pub(in crate::engine) fn evict_one(&mut self, now: Time, below: EvictionRank, except: u32) -> bool {
        self.evict_worst(now, below, except, false)
    }

    /// As `evict_one`, for another torrent of the session.
    pub(in crate::engine) fn evict_for_others(&mut self, now: Time, below: EvictionRank) -> bool {
        self.evict_worst(now, below, u32::MAX, true)
    }

    fn evict_worst(&mut self, now: Time, below: EvictionRank, except: u32, for_others: bool) -> bool {
        let Some(content) = &self.content else { return false };
        let keepers = self.keepers(now, for_others);
        let mut worst: Option<(EvictionRank, u64, u32)> = None;
        for piece in content.store().present().iter().copied().filter(|p| *p != except) {
            let worth = keepers.eviction_rank(content, piece);
            let Some(slot) = content.store().slot(piece).filter(|_| worth < below) else { continue };
            // The oldest use goes first; of a lookahead the far end.
            let then = if worth == EvictionRank::FarAhead { u64::from(u32::MAX - piece) } else { slot.used() };
            let victim = (worth, then, piece);
            // Where somebody else holds all the blocks, to let go of them would free nothing.
            if worst.is_none_or(|worst| victim < worst) && !slot.would_free_nothing() {
                worst = Some(victim);
            }
        }
        let Some((_, _, piece)) = worst else { return false };
        self.evict(now, piece);
        true
    }

    /// The transaction. Whoever was asked for blocks of the piece is told to stop.
    pub(in crate::engine) fn evict(&mut self, now: Time, piece: u32) {
        let Some(content) = &mut self.content else { return };
        let kept = content.store().slot(piece).is_some_and(|s| s.stage() == Stage::Kept);
        let asked = content.store_mut().remove(piece);
        for (block, key) in asked {
            self.send_cancel(now, key, piece, block);
            self.drop_request(key, piece, block);
        }
        if kept {
            self.lose(now, piece);
        }
        self.requests.demand.changed();
    }

    /// The session's limit is about to be so many bytes: what can be spared goes, here as in its other torrents, before any of them loses
    /// what it needs.
    pub fn spare(&mut self, now: Time, limit_bytes: u64) {
        self.spare_down_to(now, limit_bytes / u64::from(BLOCK_SIZE));
    }

    fn spare_down_to(&mut self, now: Time, blocks: u64) {
        while self.cache.pool.is_beyond(blocks)
            && (self.let_one_go(now) || self.evict_one(now, EvictionRank::Kept, u32::MAX))
        {}
    }

    /// The session's limit was set: the windows follow, and what is beyond it goes.
    pub fn enforce_limit(&mut self, now: Time) {
        self.requests.demand.changed();
        self.refresh_wants(now);
        self.shed(now);
        self.requests.demand.changed();
        // A read of a piece that does not fit any more fails.
        self.readers_changed();
        self.fill_everybody(now);
    }

    /// More is charged than the limit, which was lowered, allows: what is worth least goes, then what was used longest ago, wanted or not.
    pub(in crate::engine) fn shed(&mut self, now: Time) {
        if !self.cache.pool.is_overdrawn() {
            return;
        }
        self.drop_too_large(now);
        self.spare_down_to(now, self.cache.pool.limit());
        // What somebody holds at this moment is free when he lets go of it.
        let mut coming = 0;
        while self.cache.pool.is_beyond(self.cache.pool.limit() + coming) {
            let Some(content) = &self.content else { return };
            let may_go = |s: &Slot| s.stage() != Stage::Writing;
            let slots = content.store().present().iter().filter(|p| !self.cache.kept_lookbehind.contains(p));
            let slots = slots.filter_map(|p| Some((*p, content.store().slot(*p).filter(|s| may_go(s))?)));
            let Some((piece, slot)) = slots.min_by_key(|(_, s)| (s.is_shared(), s.used())) else { return };
            coming += if slot.is_shared() { u64::from(slot.received()) } else { 0 };
            self.evict(now, piece);
        }
    }

    /// Pieces that are larger than memory is now will never be whole, and those that are do not fit.
    fn drop_too_large(&mut self, now: Time) {
        let Some(content) = self.content.as_ref().filter(|_| self.config.storage == StorageKind::Memory) else {
            return;
        };
        let too_large = |p: &u32| u64::from(content.layout().blocks_in_piece(*p)) > self.cache.pool.limit();
        let pieces =
            content.store().present().iter().copied().filter(|p| too_large(p) && !self.readers.is_read_by_blocks(*p));
        let pieces: Vec<u32> = pieces.collect();
        pieces.into_iter().for_each(|piece| self.evict(now, piece));
    }

    /// Blocks of this torrent: stored, set aside, and reserved for requests in flight.
    pub(in crate::engine) fn blocks_held(&self) -> u64 {
        let store = self.content.as_ref().map(|c| c.store());
        store.map_or(0, |s| s.blocks() + s.promised_blocks() + s.asked_blocks())
    }

    fn share_blocks(&self) -> u64 {
        self.cache.share.of(self.cache.pool.limit())
    }

    /// Weighs the torrent in the session by what it wants now, and cuts the readers' windows from its share.
    pub(in crate::engine) fn update_windows(&mut self, now: Time) {
        self.update_shares(now);
        let percent = u64::try_from(self.config.settings.reader_lookbehind_percent).unwrap_or(0);
        if self.config.storage != StorageKind::Memory {
            return self.readers.cut_unbounded_windows(percent);
        }
        self.update_kept_lookbehind();
        let portions = Portions {
            share: self.share_blocks().saturating_sub(self.protected_blocks()),
            piece: self.source().piece_blocks(),
            lookbehind_percent: percent,
            crowded: self.cache.share.is_crowded(self.cache.pool.limit()),
            others_wait: self.cache.pool.anybody_waits(),
        };
        let (readers, source) = self.readers();
        readers.answer_reads(now, &source);
        readers.cut_windows(now, &portions);
    }

    /// Of the protected pieces, those that fit into half the limit: it may have been lowered since they were set.
    fn update_kept_lookbehind(&mut self) {
        let Some(content) = &self.content else { return };
        let in_memory = self.config.storage == StorageKind::Memory;
        // What is on disk stays there, and takes nothing of the half.
        let half = (self.cache.pool.limit() / 2).saturating_sub(self.cache.share.protected_elsewhere());
        let mut left = if in_memory { half } else { u64::MAX };
        self.cache.kept_lookbehind.clear();
        for piece in &self.cache.protected {
            let blocks = u64::from(content.layout().blocks_in_piece(*piece));
            if blocks > left {
                break;
            }
            left -= blocks;
            self.cache.kept_lookbehind.insert(*piece);
        }
        self.out.shares_changed |= self.cache.share.protect(if in_memory { self.protected_blocks() } else { 0 });
    }

    pub(in crate::engine) fn update_shares(&mut self, now: Time) {
        let room = self.readers.room_behind(
            now,
            self.cache.share.unprotected(self.cache.pool.limit()),
            self.source().piece_blocks(),
        );
        let plays = |r: &&Reader| r.is_active(now) && self.is_running() && !r.stands_behind(now, room);
        let playing = self.readers.values().filter(plays).count() as u64;
        let wants_some = self.content.as_ref().is_some_and(|c| c.picker().has_wanted()) && self.is_running();
        let piece = self.content.as_ref().map_or(0, |c| u64::from(c.layout().piece_length().div_ceil(BLOCK_SIZE)));
        let weight = playing.max(u64::from(wants_some));
        // A piece for each who reads; who can read block by block goes on with little. What nobody reads can wait.
        let need = |r: &Reader| if r.options().unverified { LEAST_BLOCKS.min(piece) } else { piece };
        let need: u64 = self.readers.values().filter(plays).map(need).sum();
        let need = need.min(self.cache.pool.limit().saturating_mul(playing));
        let in_front = self.readers.values().any(|r| plays(&r) && !r.options().background);
        // Who has waited for too long behind players has a turn as they have.
        let impatient = || self.readers.values().any(|r| plays(&r) && r.is_impatient(now));
        let precedence = match playing {
            _ if in_front => Precedence::Plays,
            1.. if !impatient() => Precedence::Behind,
            _ => Precedence::Even,
        };
        if self.cache.share.claim(Claim { precedence, weight, need }) {
            self.out.shares_changed = true;
            self.requests.demand.changed();
        }
    }

    /// Shares of the session changed: the windows follow.
    pub fn shares_changed(&mut self, now: Time) {
        self.requests.demand.changed();
        self.fill_all(now);
    }

    fn protected_blocks(&self) -> u64 {
        let Some(content) = &self.content else { return 0 };
        self.cache.kept_lookbehind.iter().map(|p| u64::from(content.layout().blocks_in_piece(*p))).sum()
    }

    /// Protects these pieces, and no others, from eviction. Refused beyond half the session's limit.
    pub fn set_lookbehind(&mut self, now: Time, pieces: &[i64]) -> Result<()> {
        let mut protected = BTreeSet::new();
        for piece in pieces {
            protected.insert(self.check_piece(*piece)?);
        }
        let Some(content) = &self.content else { return Err(no_metadata()) };
        let layout = content.layout();
        let bytes: u64 = protected.iter().map(|p| u64::from(layout.blocks_in_piece(*p)) * u64::from(BLOCK_SIZE)).sum();
        let most = self.cache.pool.limit() * u64::from(BLOCK_SIZE) / 2;
        let elsewhere = self.cache.share.protected_elsewhere() * u64::from(BLOCK_SIZE);
        if bytes > most.saturating_sub(elsewhere) && self.config.storage == StorageKind::Memory {
            return Err(Error::new(
                Status::OutOfMemory,
                format!(
                    "lookbehind of {bytes} bytes: at most half of memory_limit ({most} bytes) can be protected, and other \
                     torrents protect {elsewhere}"
                ),
            ));
        }
        self.cache.protected = protected;
        self.update_kept_lookbehind();
        self.requests.demand.changed();
        self.fill_all(now);
        Ok(())
    }

    pub fn clear_lookbehind(&mut self, now: Time) {
        self.cache.protected.clear();
        self.update_kept_lookbehind();
        self.requests.demand.changed();
        self.fill_all(now);
    }

    /// Can the piece be read back now, without the network?
    pub fn is_lookbehind_available(&mut self, piece: i64) -> Result<bool> {
        let piece = self.check_piece(piece)?;
        let available = self.content.as_ref().is_some_and(|c| c.has(piece));
        let counter = if available {
            &mut self.meters.counters.lookbehind_hits
        } else {
            &mut self.meters.counters.lookbehind_misses
        };
        *counter += 1;
        Ok(available)
    }

    pub fn lookbehind_stats(&self) -> LookbehindStats {
        let available = |p: &&u32| self.content.as_ref().is_some_and(|c| c.has(**p));
        LookbehindStats {
            protected_pieces: self.cache.protected.len() as u32,
            available_pieces: self.cache.protected.iter().filter(available).count() as u32,
            protected_bytes: self.protected_blocks() * u64::from(BLOCK_SIZE),
            limit_bytes: self.cache.pool.limit() * u64::from(BLOCK_SIZE) / 2,
            hits: self.meters.counters.lookbehind_hits,
            misses: self.meters.counters.lookbehind_misses,
        }
    }

    pub fn storage_stats(&self) -> StorageStats {
        let bytes = |blocks: u64| blocks * u64::from(BLOCK_SIZE);
        let (limit, peak) = self.cache.pool.limit_and_peak();
        let held = |pieces: &mut dyn Iterator<Item = u32>| {
            self.content
                .as_ref()
                .map_or(0, |c| pieces.filter_map(|p| c.store().slot(p)).map(|s| bytes(u64::from(s.received()))).sum())
        };
        let pinned: BTreeSet<u32> =
            self.readers.values().flat_map(|r| r.window().head.clone().chain(r.window().tail.clone())).collect();
        let is_kept = |p: u32| {
            let slot = self.content.as_ref().and_then(|c| c.store().slot(p));
            slot.is_some_and(|s| s.stage() == Stage::Kept)
        };
        StorageStats {
            session_limit: bytes(limit),
            session_charged: bytes(self.cache.pool.charged()),
            session_peak: bytes(peak),
            resident: bytes(self.content.as_ref().map_or(0, |c| c.store().kept_blocks())),
            partial: bytes(self.content.as_ref().map_or(0, |c| c.store().partial_blocks())),
            in_flight: bytes(self.peers.values().map(|p| p.requests.len() as u64).sum()),
            pinned: held(&mut pinned.into_iter()),
            protected_bytes: held(&mut self.cache.kept_lookbehind.iter().copied()),
            resident_pieces: self.content.as_ref().map_or(0, |c| c.store().kept_pieces()),
            protected_pieces: self.cache.kept_lookbehind.iter().filter(|p| is_kept(**p)).count() as u32,
            evicted_pieces: self.meters.counters.evicted_pieces,
            refetched_pieces: self.meters.counters.refetched_pieces,
            share: bytes(self.share_blocks()),
        }
    }
}

pub(in crate::engine) fn no_metadata() -> Error {
    Error::new(Status::NoMetadata, "the metadata is not here yet")
}
