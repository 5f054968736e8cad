//! What exists of a torrent from the metadata on.

pub mod bitfield;
pub mod completion;
pub mod exclusive_pieces;
pub mod hash_job;
pub mod hashing;
pub(crate) mod piece;
pub mod piece_hash;
pub mod piece_picker;
pub mod pieces;
pub mod priorities;
pub mod verifier;
pub mod want;
use std::sync::Arc;

use self::bitfield::Bitfield;
use self::piece_picker::Picker;
use self::pieces::{Stage, Store};
use self::verifier::Verifier;
use crate::base::time::Time;
use crate::memory::pool::{Block, Pool};
use crate::memory::promise::Promise;
use crate::metainfo::{FileLayout, Info};

#[derive(Debug)]
pub(super) struct Content {
    info: Arc<Info>,
    verifier: Verifier,
    have: Bitfield,
    picker: Picker,
    store: Store,
    file_priorities: Vec<u8>,
    /// Pieces evicted at least once: fetching one again counts.
    evicted: Bitfield,
    /// Pieces of nothing but padding whose hash is not that of zeros: nobody has them.
    hopeless: Bitfield,
    /// Of each file, the pieces that are not had.
    files_missing: Vec<u32>,
    /// Files that were told to be complete.
    files_completed: Bitfield,
}

impl Content {
    /// Of a torrent whose files have these priorities.
    pub fn new(info: Arc<Info>, file_priorities: Vec<u8>) -> Self {
        let (pieces, files) = (info.layout.num_pieces(), info.layout.num_files());
        let mut content = Self {
            have: Bitfield::new(pieces),
            picker: Picker::new(pieces, 0),
            store: Store::new(pieces),
            file_priorities,
            evicted: Bitfield::new(pieces),
            hopeless: Bitfield::new(pieces),
            files_missing: pieces_of_files(&info),
            files_completed: Bitfield::new(files as u32),
            verifier: Verifier::new(info.clone()),
            info,
        };
        content.apply_file_priorities();
        content
    }

    pub fn info(&self) -> &Arc<Info> {
        &self.info
    }

    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub fn layout(&self) -> &FileLayout {
        &self.info.layout
    }

    /// The pieces that are had.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    pub fn has(&self, piece: u32) -> bool {
        self.have.get(piece)
    }

    pub fn has_all(&self) -> bool {
        self.have.is_full()
    }

    pub fn picker(&self) -> &Picker {
        &self.picker
    }

    /// For those who have pieces, and say so.
    pub fn picker_mut(&mut self) -> &mut Picker {
        &mut self.picker
    }

    /// Wanted pieces of which nothing is asked for, in the order of the file inside each priority.
    pub fn in_file_order(&mut self) -> impl Iterator<Item = u32> + '_ {
        self.picker.in_file_order()
    }

    /// What is in memory, or asked for.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Blocks of memory that it takes: stored, set aside, and reserved for requests in flight.
    pub fn blocks_held(&self) -> u64 {
        self.store.blocks() + self.store.promised_blocks() + self.store.asked_blocks()
    }

    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// All that is on disk is looked at again: nothing is had until it was.
    pub fn recheck(&mut self) {
        let had: Vec<u32> = self.have.iter().collect();
        for piece in had {
            self.set_had(piece, false);
        }
        // What is being written was verified just now: it is had when it is written, whatever the check saw of it before.
        for piece in self.store.present().to_vec() {
            if self.store.slot(piece).is_some_and(|s| s.stage != Stage::Writing) {
                self.store.remove(piece);
            }
        }
        self.files_completed = Bitfield::new(self.files_completed.len());
    }

    /// What was on disk is known: which files were complete is no news.
    pub fn checked(&mut self) {
        for (file, missing) in (0u32..).zip(&self.files_missing) {
            if *missing == 0 {
                self.files_completed.set(file);
            }
        }
    }

    /// Nothing is had, nothing is begun; what is wanted stays so.
    pub fn start_over(&mut self) {
        let pieces = self.info.layout.num_pieces();
        let mut picker = Picker::new(pieces, 0);
        (0..pieces).for_each(|p| picker.set_priority(p, self.picker.priority(p)));
        self.picker = picker;
        self.store = self.store.start_over();
        self.have = Bitfield::new(pieces);
        self.files_missing = pieces_of_files(&self.info);
        self.files_completed = Bitfield::new(self.files_completed.len());
    }

    pub fn piece_length(&self) -> u64 {
        u64::from(self.info.layout.piece_length())
    }

    /// Begins a piece, unless that was done: what is known of it is here at once. Is there such?
    pub fn begin(&mut self, now: Time, piece: u32, promise: Option<Promise>, pool: &Arc<Pool>) -> bool {
        if self.store.slot(piece).is_some() {
            return false;
        }
        let layout = &self.info.layout;
        self.store.open(now, piece, layout.blocks_in_piece(piece), promise);
        for block in layout.padding_blocks(piece) {
            self.store.pad(piece, block, Block::padding(pool, layout.block_size(piece, block)));
        }
        self.store.slot(piece).is_some_and(|s| s.here() > 0)
    }

    pub fn num_missing(&self) -> u32 {
        self.have.len() - self.have.count()
    }

    /// From now on the piece is had, or is not. False: so it was.
    pub fn set_had(&mut self, piece: u32, had: bool) -> bool {
        let changed = if had { self.have.set(piece) } else { self.have.clear(piece) };
        if changed {
            self.picker.set_done(piece, had);
            for file in self.info.layout.piece_files(piece) {
                // An empty file has no piece.
                if let Some(missing) = self.files_missing.get_mut(file)
                    && !self.info.layout.file_pieces(file).is_empty()
                {
                    *missing = if had { missing.saturating_sub(1) } else { *missing + 1 };
                }
            }
        }
        changed
    }

    /// Tells the picker which pieces were begun or given up since.
    pub fn note_begun(&mut self) {
        for piece in self.store.take_begun_or_gone() {
            self.picker.set_begun(piece, self.store.slot(piece).is_some());
        }
    }

    /// Is the piece still to be fetched (not had, not being written)?
    pub fn is_missing(&self, piece: u32) -> bool {
        !self.have.get(piece)
            && !self.hopeless.get(piece)
            && self.store.slot(piece).is_none_or(|s| s.stage == Stage::Partial)
    }
}

/// How many pieces each file has.
fn pieces_of_files(info: &Info) -> Vec<u32> {
    (0..info.layout.num_files()).map(|file| info.layout.file_pieces(file).len() as u32).collect()
}

#[cfg(test)]
mod tests;
