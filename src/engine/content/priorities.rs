//! What a service asks for itself: piece and file priorities.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::Content;
use super::piece_picker::{DEFAULT_PRIORITY, TOP_PRIORITY};
use crate::base::error::{Error, Result};
use crate::engine::config::{Config, StorageKind, TorrentFlags};
use crate::metainfo::FileFlags;

impl Content {
    pub(in crate::engine) fn piece_priorities(&self) -> Vec<u8> {
        (0..self.picker.num_pieces()).map(|p| self.picker.priority(p)).collect()
    }

    /// Sets the priorities of all pieces, one each.
    pub(in crate::engine) fn prioritize_pieces(&mut self, priorities: &[u8]) -> Result<()> {
        let pieces = self.picker.num_pieces();
        if priorities.len() != pieces as usize {
            return Err(Error::invalid(format!("{} priorities for {pieces} pieces", priorities.len())));
        }
        check_priorities(priorities)?;
        self.set_piece_priorities(priorities);
        Ok(())
    }

    /// Sets the priorities of the first pieces.
    pub(in crate::engine) fn set_piece_priorities(&mut self, priorities: &[u8]) {
        for (piece, priority) in (0..self.picker.num_pieces()).zip(priorities) {
            self.picker.set_priority(piece, *priority);
        }
    }

    /// The number of the piece.
    pub(in crate::engine) fn set_piece_priority(&mut self, piece: i64, priority: i64) -> Result<u32> {
        let piece = self.check_piece(piece)?;
        self.picker.set_priority(piece, check_priority(priority)?);
        Ok(piece)
    }

    pub(in crate::engine) fn file_priorities(&self) -> &[u8] {
        &self.file_priorities
    }

    /// Sets the priorities of all files, one each, which are valid. Piece priorities follow.
    pub(in crate::engine) fn prioritize_files(&mut self, priorities: &[u8]) -> Result<()> {
        let files = self.file_priorities.len();
        if priorities.len() != files {
            return Err(Error::invalid(format!("{} priorities for {files} files", priorities.len())));
        }
        self.file_priorities.copy_from_slice(priorities);
        self.apply_file_priorities();
        Ok(())
    }

    pub(in crate::engine) fn set_file_priority(&mut self, file: i64, priority: i64) -> Result<()> {
        let file = self.check_file(file)?;
        let priority = check_priority(priority)?;
        if let Some(mine) = self.file_priorities.get_mut(file as usize) {
            *mine = priority;
        }
        self.apply_file_priorities();
        Ok(())
    }

    /// A piece is worth what its most wanted file is worth.
    pub(super) fn apply_file_priorities(&mut self) {
        for piece in 0..self.picker.num_pieces() {
            let files = self.info.layout.piece_files(piece);
            let wanted = files.filter_map(|f| {
                let pad = self.info.layout.file(f)?.flags.contains(FileFlags::PAD);
                self.file_priorities.get(f).copied().filter(|_| !pad)
            });
            self.picker.set_priority(piece, wanted.max().unwrap_or(0));
        }
    }

    /// The pieces that are begun, and that nobody wants any more.
    pub(in crate::engine) fn unpicked(&self, wanted: &HashSet<u32>) -> HashSet<u32> {
        let begun = self.store.present().iter().copied();
        begun.filter(|p| !wanted.contains(p) && self.picker.priority(*p) == 0).collect()
    }

    /// A piece number from a caller.
    pub(in crate::engine) fn check_piece(&self, piece: i64) -> Result<u32> {
        let pieces = self.info.layout.num_pieces();
        u32::try_from(piece).ok().filter(|p| *p < pieces).ok_or_else(|| {
            Error::invalid(format!(
                "piece {piece} is out of range: the torrent has {pieces} pieces, 0 to {}",
                i64::from(pieces) - 1
            ))
        })
    }

    /// A file number from a caller.
    pub(in crate::engine) fn check_file(&self, file: i64) -> Result<u32> {
        let files = self.info.layout.num_files();
        u32::try_from(file).ok().filter(|f| (*f as usize) < files).ok_or_else(|| {
            Error::invalid(format!(
                "file {file} is out of range: the torrent has {files} files, 0 to {}",
                files as i64 - 1
            ))
        })
    }
}

fn check_priority(priority: i64) -> Result<u8> {
    u8::try_from(priority)
        .ok()
        .filter(|p| *p <= TOP_PRIORITY)
        .ok_or_else(|| Error::invalid(format!("priority {priority} is out of range: 0 to {TOP_PRIORITY}")))
}

pub(in crate::engine) fn check_priorities(priorities: &[u8]) -> Result<()> {
    priorities.iter().try_for_each(|p| check_priority(i64::from(*p)).map(|_| ()))
}

/// The priorities that the files have at first: as they were given when the torrent was added, or those of the files that were named.
pub(in crate::engine) fn first_priorities(config: &mut Config, files: usize) -> Vec<u8> {
    let dont = config.storage == StorageKind::Memory || config.flags.contains(TorrentFlags::DEFAULT_DONT_DOWNLOAD);
    let mut priorities = vec![if dont { 0 } else { DEFAULT_PRIORITY }; files];
    if config.file_priorities.is_empty() {
        select(&mut priorities, std::mem::take(&mut config.selected_files));
    }
    for (mine, wanted) in priorities.iter_mut().zip(&config.file_priorities) {
        *mine = *wanted;
    }
    priorities
}

/// Wants the files that are named, and no others, if any is named. In the order of their beginnings, so that each file is
/// looked at once however much the ranges overlap.
fn select(priorities: &mut [u8], mut ranges: Vec<RangeInclusive<u32>>) {
    if ranges.is_empty() {
        return;
    }
    priorities.fill(0);
    ranges.sort_unstable_by_key(|r| *r.start());
    let mut done = 0;
    for range in ranges {
        let from = (*range.start() as usize).max(done);
        let end = (*range.end() as usize).saturating_add(1).min(priorities.len());
        if let Some(chosen) = priorities.get_mut(from..end) {
            chosen.fill(DEFAULT_PRIORITY);
            done = end;
        }
    }
}
