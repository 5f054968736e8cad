//! Protected pieces: those that the service keeps to come back to.

use std::collections::BTreeSet;

use crate::memory::pool::BLOCK_SIZE;
use crate::metainfo::FileLayout;

/// Pieces that are not evicted.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lookbehind {
    /// Those that the service protects.
    protected: BTreeSet<u32>,
    /// Of them those that fit into half the limit: it may have been lowered since they were set.
    kept: BTreeSet<u32>,
    hits: u64,
    misses: u64,
}

/// Blocks that pieces take.
fn blocks_of<'a>(layout: &FileLayout, pieces: impl IntoIterator<Item = &'a u32>) -> u64 {
    pieces.into_iter().map(|p| u64::from(layout.blocks_in_piece(*p))).sum()
}

/// Bytes of memory that pieces take.
pub(super) fn bytes_of(layout: &FileLayout, pieces: &BTreeSet<u32>) -> u64 {
    blocks_of(layout, pieces) * u64::from(BLOCK_SIZE)
}

impl Lookbehind {
    /// Is the piece kept whatever comes?
    pub(super) fn keeps(&self, piece: u32) -> bool {
        self.kept.contains(&piece)
    }

    pub(super) fn protected(&self) -> &BTreeSet<u32> {
        &self.protected
    }

    pub(super) fn kept(&self) -> &BTreeSet<u32> {
        &self.kept
    }

    /// Protects these pieces, and no others.
    pub(super) fn protect(&mut self, pieces: BTreeSet<u32>) {
        self.protected = pieces;
    }

    /// Keeps of the protected pieces as many as fit into so many blocks. How many blocks they take.
    pub(super) fn keep_within(&mut self, layout: &FileLayout, blocks: u64) -> u64 {
        let mut left = blocks;
        self.kept.clear();
        for piece in &self.protected {
            let blocks = u64::from(layout.blocks_in_piece(*piece));
            if blocks > left {
                break;
            }
            left -= blocks;
            self.kept.insert(*piece);
        }
        self.kept_blocks(layout)
    }

    pub(in crate::engine) fn kept_blocks(&self, layout: &FileLayout) -> u64 {
        blocks_of(layout, &self.kept)
    }

    /// Somebody asked whether a piece can be read back.
    pub(in crate::engine) fn asked(&mut self, available: bool) {
        *(if available { &mut self.hits } else { &mut self.misses }) += 1;
    }

    /// How often a piece was there, and how often not.
    pub(in crate::engine) fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metainfo::Create;

    #[test]
    fn as_many_are_kept_as_fit() {
        let size = 10 * u64::from(BLOCK_SIZE);
        let info = Create::single("film", size, 2 * BLOCK_SIZE).v1(vec![0; 5 * 20]).expect("a torrent").info;
        let mut lookbehind = Lookbehind::default();
        lookbehind.protect(BTreeSet::from([0, 2, 4]));
        assert_eq!(lookbehind.keep_within(&info.layout, 5), 4);
        assert_eq!([0, 1, 2, 4].map(|p| lookbehind.keeps(p)), [true, false, true, false]);
        assert_eq!(lookbehind.keep_within(&info.layout, u64::MAX), 6);
        assert!(lookbehind.keeps(4));
        assert_eq!(bytes_of(&info.layout, lookbehind.protected()), 6 * u64::from(BLOCK_SIZE));
        lookbehind.protect(BTreeSet::new());
        assert_eq!(lookbehind.keep_within(&info.layout, u64::MAX), 0);
    }

    #[test]
    fn answers_are_counted() {
        let mut lookbehind = Lookbehind::default();
        [true, false, true].into_iter().for_each(|available| lookbehind.asked(available));
        assert_eq!(lookbehind.hits_and_misses(), (2, 1));
    }
}
