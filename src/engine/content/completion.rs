//! What becomes of a piece once it is hashed.

use super::Content;
use super::pieces::Stage;
use crate::engine::config::StorageKind;
use crate::memory::pool::{BLOCK_SIZE, Block};

/// What becomes of a piece that passed its hash.
#[derive(Debug)]
pub(in crate::engine) enum AfterHash {
    /// Not all of it is here any more, but it was good.
    LetGo,
    /// It is kept in memory: from now on it is had.
    Kept,
    /// It is to be written.
    ToWrite(Vec<Block>),
}

/// What follows when a piece is had.
#[derive(Debug)]
pub(in crate::engine) struct NowHad {
    /// It was had before, and was evicted.
    pub refetched: bool,
    /// The files that are complete with it.
    pub completed: Vec<u32>,
}

impl Content {
    /// The block that begins there, if there is one of that length.
    pub(in crate::engine) fn block_at(&self, piece: u32, begin: u32, length: u32) -> Option<u32> {
        let (layout, block) = (&self.info.layout, begin / BLOCK_SIZE);
        let in_grid = piece < layout.num_pieces()
            && begin.is_multiple_of(BLOCK_SIZE)
            && block < layout.blocks_in_piece(piece)
            && layout.block_size(piece, block) == length;
        in_grid.then_some(block)
    }

    /// The piece passed its hash.
    pub(in crate::engine) fn passed(&mut self, piece: u32, storage: StorageKind) -> AfterHash {
        if self.store.slot(piece).is_some_and(|s| s.passed() > 0) {
            return AfterHash::LetGo;
        }
        match storage {
            StorageKind::Memory => {
                self.store.keep(piece);
                AfterHash::Kept
            }
            StorageKind::Disk => AfterHash::ToWrite(self.store.begin_write(piece)),
        }
    }

    /// The piece failed its hash. Its length in bytes.
    pub(in crate::engine) fn failed(&mut self, piece: u32) -> u32 {
        if self.info.layout.is_padding_only(piece) {
            self.hopeless.set(piece);
        }
        self.info.layout.piece_size(piece)
    }

    /// The disk is done with the piece. False: it did not wait for that.
    pub(in crate::engine) fn write_ended(&mut self, piece: u32) -> bool {
        let writes = self.store.slot(piece).is_some_and(|s| s.stage == Stage::Writing);
        if writes {
            self.store.remove(piece);
        }
        writes
    }

    /// From now on a reader gets the piece. None: so it was.
    pub(in crate::engine) fn piece_had(&mut self, piece: u32) -> Option<NowHad> {
        if !self.set_had(piece, true) {
            return None;
        }
        let mut completed = Vec::new();
        for file in self.info.layout.piece_files(piece) {
            let complete = self.files_missing.get(file) == Some(&0);
            if complete && self.files_completed.set(file as u32) {
                completed.push(file as u32);
            }
        }
        Some(NowHad { refetched: self.evicted.get(piece), completed })
    }

    /// A piece that was had is had no more.
    pub(in crate::engine) fn piece_lost(&mut self, piece: u32) {
        self.set_had(piece, false);
        self.evicted.set(piece);
        for file in self.info.layout.piece_files(piece) {
            self.files_completed.clear(file as u32);
        }
    }
}
