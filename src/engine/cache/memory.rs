//! The memory of a torrent: its share of the session's, and what of it is kept whatever comes.

use std::sync::Arc;

use super::lookbehind::Lookbehind;
use super::queue_place::QueuePlace;
use super::share::{Claim, Share};
use crate::memory::pool::Pool;

/// The memory that a torrent may have, where it stands in line for more, and what of it is kept whatever comes.
#[derive(Debug)]
pub(in crate::engine) struct Cache {
    pub(super) pool: Arc<Pool>,
    pub(super) share: Share,
    pub(super) place: QueuePlace,
    pub(super) lookbehind: Lookbehind,
    /// Pieces evicted since the torrent was added.
    pub(super) evicted_pieces: u64,
}

impl Cache {
    pub(in crate::engine) fn new(pool: Arc<Pool>, share: Share) -> Self {
        let (place, lookbehind) = (QueuePlace::new(pool.join()), Lookbehind::default());
        Self { pool, share, place, lookbehind, evicted_pieces: 0 }
    }

    /// The memory of the session.
    pub(in crate::engine) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Blocks of the session in all.
    pub(in crate::engine) fn limit(&self) -> u64 {
        self.pool.limit()
    }

    /// What of them is this torrent's.
    pub(in crate::engine) fn share_blocks(&self) -> u64 {
        self.share.of(self.limit())
    }

    /// Do torrents take turns with what memory there is?
    pub(in crate::engine) fn is_crowded(&self) -> bool {
        self.share.is_crowded(self.limit())
    }

    /// What it weighs among the torrents of the session; 0: it wants nothing.
    pub(in crate::engine) fn weight(&self) -> u64 {
        self.share.weight()
    }

    /// Does nobody play here, while somebody does in another torrent?
    pub(in crate::engine) fn is_behind_players(&self) -> bool {
        self.share.is_behind_players()
    }

    /// Does somebody play in any torrent of the session?
    pub(in crate::engine) fn somebody_plays(&self) -> bool {
        self.share.somebody_plays()
    }

    /// Blocks that those who play in other torrents need beside what they hold.
    pub(in crate::engine) fn needed_by_players(&self) -> u64 {
        self.share.needed_by_players()
    }

    /// Blocks that all torrents together cannot do without.
    pub(in crate::engine) fn needed(&self) -> u64 {
        self.share.needed()
    }

    /// Does somebody play in another torrent, and here only readers in the background read?
    pub(in crate::engine) fn gives_way(&self) -> bool {
        self.share.gives_way()
    }

    /// Is the piece kept whatever comes, since the service protects it?
    pub(in crate::engine) fn protects(&self, piece: u32) -> bool {
        self.lookbehind.keeps(piece)
    }

    pub(in crate::engine) fn lookbehind(&self) -> &Lookbehind {
        &self.lookbehind
    }

    pub(in crate::engine) fn lookbehind_mut(&mut self) -> &mut Lookbehind {
        &mut self.lookbehind
    }

    /// A piece was evicted that was had.
    pub(in crate::engine) fn note_evicted(&mut self) {
        self.evicted_pieces += 1;
    }

    pub(in crate::engine) fn evicted_pieces(&self) -> u64 {
        self.evicted_pieces
    }

    /// The torrent is removed: it wants nothing any more.
    pub(in crate::engine) fn give_up(&mut self) {
        self.place.leave();
        self.share.claim(Claim::default());
        self.share.protect(0);
    }
}
