//! Peers that show their pieces one at a time, and the next when the one before was taken (super-seeding, BEP 16).
//!
//! One that was told that we lost a piece (`lt_donthave`) may show it again, by another HAVE. libtorrent rejects whatever it does not
//! show just now: of such a peer that is as if it had the piece no longer.
//!
//! While somebody waits for what no peer has, what such a peer showed last is taken though nobody wants it: behind all else, a few
//! pieces at once, into memory that is free or holds what nobody wants. It ends as soon as anybody has what is waited for.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::demand::Class;
use super::selector::Pick;
use crate::base::time::Time;
use crate::engine::content::Content;
use crate::engine::content::piece::Stage;
use crate::engine::content::pieces::PeerKey;
use crate::engine::torrent::Torrent;

/// So many of the newest pieces of a peer are those that it shows; some show two at a time.
const MOST_SHOWN: usize = 4;
/// Pieces that are taken at once.
const MOST_TAKEN: usize = 8;
/// Others that have what is waited for may only be on their way.
const PATIENCE: Duration = Duration::from_secs(1);
/// For so long a peer is interesting whose piece was taken: to get its unchoke back takes longer than to be shown the next.
const LINGER: Duration = Duration::from_secs(3);

/// The newest pieces of one peer.
#[derive(Debug, Default)]
pub struct Shown {
    pieces: VecDeque<u32>,
    /// It shows again what we lost. What it refuses and does not show it has not got for us.
    pub again: bool,
    /// We have all that it showed, and it may show more: it is interesting until then.
    pub lingers: Option<Time>,
}

impl Shown {
    pub fn note(&mut self, piece: u32) {
        self.take(piece);
        if self.pieces.len() >= MOST_SHOWN {
            self.pieces.pop_front();
        }
        self.pieces.push_back(piece);
    }

    pub fn shows(&self, piece: u32) -> bool {
        self.pieces.contains(&piece)
    }

    /// We got the piece, whether it stays or not. Did the peer show it?
    pub fn take(&mut self, piece: u32) -> bool {
        let at = self.pieces.iter().position(|p| *p == piece);
        at.is_some_and(|at| self.pieces.remove(at).is_some())
    }

    /// It stated all that it has. Only one that has very little shows that.
    pub fn replace(&mut self, pieces: impl Iterator<Item = u32>) {
        self.pieces = pieces.take(MOST_SHOWN + 1).collect();
        if self.pieces.len() > MOST_SHOWN {
            self.pieces.clear();
        }
    }
}

/// What is taken because it is shown.
#[derive(Debug, Default)]
pub struct Shows {
    /// Since when somebody waits for what nobody has, and whether that was long enough.
    since: Option<Time>,
    sought: bool,
    /// Begun, and not whole.
    taken: BTreeSet<u32>,
}

impl Shows {
    pub fn takes(&self, piece: u32) -> bool {
        self.taken.contains(&piece)
    }
}

impl Torrent {
    /// Looks whether what is shown is to be taken.
    pub(in crate::engine) fn review_shows(&mut self, now: Time) {
        let lacks = self.may_ask() && self.waits_for_what_nobody_has();
        self.requests.shows.since = lacks.then(|| self.requests.shows.since.unwrap_or(now));
        self.requests.shows.sought = self.requests.shows.since.is_some_and(|since| now.since(since) >= PATIENCE);
        let Some(content) = &self.content else { return };
        self.requests.shows.taken.retain(|p| content.store().slot(*p).is_some_and(|s| s.stage() == Stage::Partial));
    }

    /// A peer has more than before: that may be what somebody waits for.
    pub(in crate::engine) fn heard_of_pieces(&mut self, now: Time) {
        if self.requests.shows.sought {
            self.review_shows(now);
        }
    }

    fn waits_for_what_nobody_has(&self) -> bool {
        let Some(content) = &self.content else { return false };
        let nobody_has = |piece: u32| content.is_missing(piece) && content.picker().availability(piece) == 0;
        let around = self.surroundings();
        let reads = around.awaited(|_| true).map(|(piece, _)| piece);
        reads.chain(self.readers.deadlines().keys().copied()).any(nobody_has)
    }

    /// A block of what the peer showed last.
    pub(in crate::engine) fn pick_shown(&mut self, key: PeerKey) -> Option<Pick> {
        if !self.requests.shows.sought {
            return None;
        }
        let (peer, content) = (self.peers.get(&key)?, self.content.as_ref()?);
        let class = Class::Shown;
        let will_do = |p: &u32| {
            let begins = || self.requests.shows.taken.len() < MOST_TAKEN && self.admits(content, class, *p);
            content.is_missing(*p)
                && peer.serves(*p)
                && self.usable(peer, *p)
                && !self.readers.is_read_by_blocks(*p)
                && content.store().slot(*p).map_or_else(begins, |s| s.has_free_block())
        };
        let piece = peer.shown.pieces.iter().copied().find(will_do)?;
        let content = self.content.as_mut()?;
        let block = if content.store().slot(piece).is_some() {
            content.store_mut().free_block(piece, 0, u32::MAX, 0)?
        } else {
            content.layout().blocks_to_fetch(piece, 0, u32::MAX).next()?
        };
        Some(Pick { piece, block, class })
    }

    /// A block of a piece was asked for that is wanted for nothing but that it is shown.
    pub(in crate::engine) fn note_taken(&mut self, piece: u32) {
        self.requests.shows.taken.insert(piece);
    }

    /// We got what these showed, and they have nothing else for us: they may show the next.
    pub(in crate::engine) fn linger(&mut self, now: Time, keys: &[PeerKey]) {
        if keys.is_empty() || !self.goes_on_with_what_nobody_has() {
            return;
        }
        for key in keys {
            if let Some(peer) = self.peers.get_mut(key) {
                peer.shown.lingers = Some(now + LINGER);
            }
        }
    }

    /// Is the first of what is wanted next a piece that nobody has?
    fn goes_on_with_what_nobody_has(&self) -> bool {
        let Some(content) = &self.content else { return false };
        let first = |content: &Content| {
            let wanted = self.requests.demand.wants().iter().map(|w| w.piece).find(|p| content.is_missing(*p));
            wanted.or_else(|| content.picker().in_order().next())
        };
        first(content).is_some_and(|p| content.picker().availability(p) == 0)
    }

    /// Peers that showed nothing more in their time are of no interest any more.
    pub(in crate::engine) fn end_lingering(&mut self, now: Time) {
        let over = |p: &crate::engine::peer::Peer| p.shown.lingers.is_some_and(|until| until <= now);
        let keys: Vec<PeerKey> = self.peers.values().filter(|p| over(p)).map(|p| p.key).collect();
        for key in keys {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.shown.lingers = None;
            }
            self.update_interest(now, key);
        }
    }
}
