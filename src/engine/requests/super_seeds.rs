//! Peers that show their pieces one at a time, and the next when the one before was taken (super-seeding, BEP 16).
//!
//! One that was told that we lost a piece (`lt_donthave`) may show it again, by another HAVE. libtorrent rejects whatever it does not
//! show just now: of such a peer that is as if it had the piece no longer.
//!
//! While somebody waits for what no peer has, what such a peer showed last is taken though nobody wants it: behind all else, a few
//! pieces at once, into memory that is free or holds what nobody wants. It ends as soon as anybody has what is waited for.

use super::scheduler::Scheduler;
use super::state::Requests;
use crate::base::time::Time;
use crate::engine::content::Content;
use crate::engine::content::pieces::PeerKey;
use crate::engine::content::want::{Class, Pick};
use crate::engine::peer::peers::Peers;
use crate::engine::readers::Readers;
use std::time::Duration;

/// Pieces that are taken at once.
const MOST_TAKEN: usize = 8;
/// For so long a peer is interesting whose piece was taken: to get its unchoke back takes longer than to be shown the next.
const LINGER: Duration = Duration::from_secs(3);

fn wait_for_what_nobody_has(readers: &Readers, content: &Content) -> bool {
    let nobody_has = |piece: u32| content.is_missing(piece) && content.picker().availability(piece) == 0;
    let reads = readers.values().flat_map(|r| r.waits().map(|(offset, _)| r.span().piece_at(offset)));
    reads.chain(readers.deadlines().keys().copied()).any(nobody_has)
}

impl Scheduler<'_> {
    /// Looks whether what is shown is to be taken.
    pub(in crate::engine) fn review_revealed(&mut self, now: Time) {
        let content = self.content.as_ref();
        let lacks = self.may_ask() && content.is_some_and(|c| wait_for_what_nobody_has(self.readers, c));
        self.requests.revealed_picks.review(now, lacks, content);
    }

    /// A peer has more than before: that may be what somebody waits for.
    pub(in crate::engine) fn heard_of_pieces(&mut self, now: Time) {
        if self.requests.revealed_picks.sought {
            self.review_revealed(now);
        }
    }

    /// A block of what the peer showed last.
    pub(super) fn pick_revealed(&mut self, key: PeerKey) -> Option<Pick> {
        if !self.requests.revealed_picks.sought {
            return None;
        }
        let (peer, content) = (self.peers.get(&key)?, self.content.as_ref()?);
        let class = Class::Revealed;
        let will_do = |p: &u32| {
            let begins =
                || self.requests.revealed_picks.taken.len() < MOST_TAKEN && self.admission().admits(content, class, *p);
            content.is_missing(*p)
                && peer.serves(*p)
                && self.usable(peer, *p)
                && !self.readers.is_read_by_blocks(*p)
                && content.store().slot(*p).map_or_else(begins, |s| s.has_free_block())
        };
        let piece = peer.revealed.pieces().find(will_do)?;
        let content = self.content.as_mut()?;
        let block = if content.store().slot(piece).is_some() {
            content.store_mut().free_block(piece, 0, u32::MAX, 0)?
        } else {
            content.layout().blocks_to_fetch(piece, 0, u32::MAX).next()?
        };
        Some(Pick { piece, block, class })
    }
}

impl Requests {
    /// We got what these showed, and they have nothing else for us: they may show the next.
    pub(in crate::engine) fn linger(&self, now: Time, showed: &[PeerKey], peers: &mut Peers, content: &Content) {
        if showed.is_empty() || !self.goes_on_with_what_nobody_has(content) {
            return;
        }
        for key in showed {
            if let Some(peer) = peers.get_mut(key) {
                peer.revealed.lingers = Some(now + LINGER);
            }
        }
    }

    /// Is the first of what is wanted next a piece that nobody has?
    fn goes_on_with_what_nobody_has(&self, content: &Content) -> bool {
        let wanted = self.wants().iter().map(|w| w.piece).find(|p| content.is_missing(*p));
        let first = wanted.or_else(|| content.picker().in_order().next());
        first.is_some_and(|p| content.picker().availability(p) == 0)
    }
}

/// Peers that showed nothing more in their time are of no interest any more.
pub(in crate::engine) fn end_lingering(now: Time, peers: &mut Peers) -> Vec<PeerKey> {
    let mut over = Vec::new();
    for peer in peers.values_mut().filter(|p| p.revealed.lingers.is_some_and(|until| until <= now)) {
        peer.revealed.lingers = None;
        over.push(peer.key());
    }
    over
}
