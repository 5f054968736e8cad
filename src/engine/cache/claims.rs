//! What a torrent claims of the session's memory, by who reads in it.

use std::collections::BTreeSet;

use super::lookbehind::bytes_of;
use super::memory::Cache;
use super::share::{Claim, Precedence};
use crate::base::error::{Error, Result, Status};
use crate::base::time::Time;
use crate::engine::config::StorageKind;
use crate::engine::content::Content;
use crate::engine::readers::Readers;
use crate::engine::readers::reader::Reader;
use crate::memory::pool::BLOCK_SIZE;

/// What a reader needs at least that can read block by block.
const LEAST_BLOCKS: u64 = 2;

/// Blocks of a piece, but for the last one.
pub(in crate::engine) fn piece_blocks(content: Option<&Content>) -> u64 {
    content.map_or(1, |c| u64::from(c.layout().blocks_in_piece(0)))
}

impl Cache {
    /// Weighs the torrent in the session by what it wants now. True: that changed, and so did the shares of all.
    pub(in crate::engine) fn claim(
        &mut self,
        now: Time,
        readers: &Readers,
        content: Option<&Content>,
        running: bool,
    ) -> bool {
        let room = readers.room_behind(now, self.share.unprotected(self.limit()), piece_blocks(content));
        let plays = |r: &&Reader| r.is_active(now) && running && !r.stands_behind(now, room);
        let playing = readers.values().filter(plays).count() as u64;
        let wants_some = content.is_some_and(|c| c.picker().has_wanted()) && running;
        let piece = content.map_or(0, |c| u64::from(c.layout().piece_length().div_ceil(BLOCK_SIZE)));
        let weight = playing.max(u64::from(wants_some));
        // A piece for each who reads; who can read block by block goes on with little. What nobody reads can wait.
        let need = |r: &Reader| if r.options().unverified { LEAST_BLOCKS.min(piece) } else { piece };
        let need: u64 = readers.values().filter(plays).map(need).sum();
        let need = need.min(self.limit().saturating_mul(playing));
        let in_front = readers.values().any(|r| plays(&r) && !r.options().background);
        // Who has waited for too long behind players has a turn as they have.
        let impatient = || readers.values().any(|r| plays(&r) && r.is_impatient(now));
        let precedence = match playing {
            _ if in_front => Precedence::Plays,
            1.. if !impatient() => Precedence::Behind,
            _ => Precedence::Even,
        };
        self.share.claim(Claim { precedence, weight, need })
    }

    /// Of the protected pieces, those are kept that fit into half the limit. True: what is left for all changed.
    pub(in crate::engine) fn keep_protected(&mut self, content: &Content, storage: StorageKind) -> bool {
        let in_memory = storage == StorageKind::Memory;
        // What is on disk stays there, and takes nothing of the half.
        let half = (self.limit() / 2).saturating_sub(self.share.protected_elsewhere());
        let most = if in_memory { half } else { u64::MAX };
        let kept = self.lookbehind.keep_within(content.layout(), most);
        self.share.protect(if in_memory { kept } else { 0 })
    }

    /// Protects these pieces, and no others, from eviction. Refused beyond half the session's limit.
    pub(in crate::engine) fn protect(
        &mut self,
        pieces: BTreeSet<u32>,
        content: &Content,
        storage: StorageKind,
    ) -> Result<()> {
        let bytes = bytes_of(content.layout(), &pieces);
        let most = self.limit() * u64::from(BLOCK_SIZE) / 2;
        let elsewhere = self.share.protected_elsewhere() * u64::from(BLOCK_SIZE);
        if bytes > most.saturating_sub(elsewhere) && storage == StorageKind::Memory {
            return Err(Error::new(
                Status::OutOfMemory,
                format!(
                    "lookbehind of {bytes} bytes: at most half of memory_limit ({most} bytes) can be protected, and other \
                     torrents protect {elsewhere}"
                ),
            ));
        }
        self.lookbehind.protect(pieces);
        Ok(())
    }

    /// Protects nothing.
    pub(in crate::engine) fn clear_protected(&mut self) {
        self.lookbehind.protect(BTreeSet::new());
    }
}
