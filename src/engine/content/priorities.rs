//! What a service asks for itself: piece and file priorities, deadlines.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::piece_picker::{DEFAULT_PRIORITY, TOP_PRIORITY};
use crate::base::error::{Error, Result};
use crate::base::time::Time;
use crate::engine::torrent::Torrent;

impl Torrent {
    pub fn piece_priorities(&self) -> Result<Vec<u8>> {
        let Some(content) = &self.content else { return Err(crate::engine::cache::eviction::no_metadata()) };
        Ok((0..content.picker.num_pieces()).map(|p| content.picker.priority(p)).collect())
    }

    /// Sets the priorities of all pieces, one each.
    pub fn prioritize_pieces(&mut self, now: Time, priorities: &[u8]) -> Result<()> {
        let Some(content) = &mut self.content else { return Err(crate::engine::cache::eviction::no_metadata()) };
        if priorities.len() != content.picker.num_pieces() as usize {
            let pieces = content.picker.num_pieces();
            return Err(Error::invalid(format!("{} priorities for {pieces} pieces", priorities.len())));
        }
        check_priorities(priorities)?;
        for (piece, priority) in (0u32..).zip(priorities) {
            content.picker.set_priority(piece, *priority);
        }
        self.priorities_changed(now);
        Ok(())
    }

    pub fn set_piece_priority(&mut self, now: Time, piece: i64, priority: i64) -> Result<()> {
        let piece = self.check_piece(piece)?;
        let priority = check_priority(priority)?;
        if let Some(content) = &mut self.content {
            content.picker.set_priority(piece, priority);
        }
        if priority == 0 {
            self.readers.reset_deadline(piece);
        }
        self.priorities_changed(now);
        Ok(())
    }

    pub fn file_priorities(&self) -> Result<Vec<u8>> {
        let Some(content) = &self.content else { return Err(crate::engine::cache::eviction::no_metadata()) };
        Ok(content.file_priorities.clone())
    }

    /// Sets the priorities of all files, one each. Piece priorities follow.
    pub fn prioritize_files(&mut self, now: Time, priorities: &[u8]) -> Result<()> {
        check_priorities(priorities)?;
        let Some(content) = &mut self.content else { return Err(crate::engine::cache::eviction::no_metadata()) };
        let files = content.file_priorities.len();
        if priorities.len() != files {
            return Err(Error::invalid(format!("{} priorities for {files} files", priorities.len())));
        }
        for (mine, new) in content.file_priorities.iter_mut().zip(priorities) {
            *mine = *new;
        }
        self.apply_file_priorities();
        self.priorities_changed(now);
        Ok(())
    }

    pub fn set_file_priority(&mut self, now: Time, file: i64, priority: i64) -> Result<()> {
        let file = self.check_file(file)?;
        let priority = check_priority(priority)?;
        if let Some(mine) = self.content.as_mut().and_then(|c| c.file_priorities.get_mut(file as usize)) {
            *mine = priority;
        }
        self.apply_file_priorities();
        self.priorities_changed(now);
        Ok(())
    }

    /// A piece is worth what its most wanted file is worth.
    pub(in crate::engine) fn apply_file_priorities(&mut self) {
        let Some(content) = &mut self.content else { return };
        for piece in 0..content.picker.num_pieces() {
            let files = content.info.layout.piece_files(piece);
            let wanted = files.filter_map(|f| {
                let pad = content.info.layout.file(f)?.flags.contains(crate::metainfo::FileFlags::PAD);
                content.file_priorities.get(f).copied().filter(|_| !pad)
            });
            content.picker.set_priority(piece, wanted.max().unwrap_or(0));
        }
    }

    fn priorities_changed(&mut self, now: Time) {
        self.requests.outdated = true;
        // What was evicted and comes again is no news; what is wanted newly is.
        if self.content.as_ref().is_some_and(|c| c.picker.has_wanted()) {
            self.life.finished_told = false;
        }
        self.update_state(now);
        self.review_interests(now);
        self.cancel_unpicked(now);
        self.fill_all(now);
    }

    /// Takes back requests for pieces that nobody wants any more.
    fn cancel_unpicked(&mut self, now: Time) {
        self.refresh_wants(now);
        let Some(content) = &self.content else { return };
        let wanted: std::collections::HashSet<u32> = self.requests.demand.iter().map(|w| w.piece).collect();
        let unwanted: std::collections::HashSet<u32> = content
            .store
            .present()
            .iter()
            .copied()
            .filter(|p| !wanted.contains(p) && content.picker.priority(*p) == 0)
            .collect();
        let keys: Vec<_> = self.peers.values().filter(|p| !p.requests.is_empty()).map(|p| p.key).collect();
        for key in keys {
            self.cancel_requests(now, key, |p| unwanted.contains(&p));
        }
    }

    /// The piece is needed in `deadline_ms`; negative is overdue already. Setting it again moves it.
    pub fn set_piece_deadline(&mut self, now: Time, piece: i64, deadline_ms: i64) -> Result<()> {
        let piece = self.check_piece(piece)?;
        if self.content.as_ref().is_some_and(|c| c.have.get(piece)) {
            return Ok(());
        }
        // Overdue pieces keep their order among themselves.
        let offset = Duration::from_millis(deadline_ms.unsigned_abs());
        let due = if deadline_ms >= 0 { now + offset } else { now - offset };
        self.readers.set_deadline(piece, due);
        self.deadlines_changed(now);
        Ok(())
    }

    pub fn reset_piece_deadline(&mut self, now: Time, piece: i64) -> Result<()> {
        let piece = self.check_piece(piece)?;
        self.readers.reset_deadline(piece);
        self.deadlines_changed(now);
        Ok(())
    }

    /// Takes all deadlines away. Pieces keep the priorities that they have by themselves.
    pub fn clear_piece_deadlines(&mut self, now: Time) {
        self.readers.clear_deadlines();
        self.deadlines_changed(now);
    }

    fn deadlines_changed(&mut self, now: Time) {
        self.requests.outdated = true;
        self.review_interests(now);
        self.cancel_unpicked(now);
        self.fill_all(now);
    }
}

fn check_priority(priority: i64) -> Result<u8> {
    u8::try_from(priority)
        .ok()
        .filter(|p| *p <= TOP_PRIORITY)
        .ok_or_else(|| Error::invalid(format!("priority {priority} is out of range: 0 to {TOP_PRIORITY}")))
}

/// Wants the files that are named, and no others, if any is named. In the order of their beginnings, so that each file is
/// looked at once however much the ranges overlap.
pub(in crate::engine) fn select(priorities: &mut [u8], mut ranges: Vec<RangeInclusive<u32>>) {
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

fn check_priorities(priorities: &[u8]) -> Result<()> {
    priorities.iter().try_for_each(|p| check_priority(i64::from(*p)).map(|_| ()))
}
