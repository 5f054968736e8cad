//! How prebuffers are begun, and how they get on.

use std::collections::BTreeSet;

use super::open_readers::{Readers, gone};
use super::prebuffer::Prebuffer;
use super::reader::{Reader, ReaderId};
use crate::alert::Alert;
use crate::base::error::Result;
use crate::engine::content::Content;

impl Readers {
    pub(in crate::engine) fn prebuffer(&mut self, id: ReaderId, head: u64, tail: u64) -> Result<()> {
        self.map.get_mut(&id).ok_or_else(gone)?.begin_prebuffer(head, tail);
        Ok(())
    }

    /// Tells how prebuffering readers get on: with each piece, until all is there.
    pub(in crate::engine) fn prebuffer_progress(&mut self, content: &Content) -> Vec<Alert> {
        self.map.values_mut().filter_map(|reader| reader.prebuffer_progress(content)).collect()
    }
}

impl Reader {
    /// Asks for the file's first `head` and last `tail` bytes, before all else of it, and pins them: the window opens at once.
    pub(super) fn begin_prebuffer(&mut self, head: u64, tail: u64) {
        self.lookahead_unlocked = true;
        if head > 0 {
            self.options.pin_head = Some(head.max(self.options.pin_head.unwrap_or(0)));
        }
        if tail > 0 {
            self.options.pin_tail = Some(tail.max(self.options.pin_tail.unwrap_or(0)));
        }
        if let Some(ahead) = self.options.lookahead {
            // Of what is more than may be pinned, the window holds what lies before it.
            self.options.lookahead = Some(ahead.max(head.saturating_sub(self.position)));
        }
        let head = self.span.pieces_of(0, head.min(self.until()));
        let tail = self.span.pieces_of(self.span.size - tail.min(self.span.size), tail);
        self.prebuffer = Some(Prebuffer { head, tail, told: None });
    }

    fn prebuffer_progress(&mut self, content: &Content) -> Option<Alert> {
        let (bytes_done, bytes_total) = bytes(content, self);
        let prebuffer = self.prebuffer.as_mut()?;
        // The window may still be without what was asked for.
        let unknown = bytes_total == 0 && !(prebuffer.head.is_empty() && prebuffer.tail.is_empty());
        if unknown || prebuffer.told == Some(bytes_done) || prebuffer.told == Some(bytes_total) {
            return None;
        }
        prebuffer.told = Some(bytes_done);
        Some(Alert::PrebufferProgress { reader: self.id.0, file: self.file, bytes_done, bytes_total })
    }
}

/// How much of a prebuffer is here, in bytes, and how much it is.
pub(super) fn bytes(content: &Content, reader: &Reader) -> (u64, u64) {
    let Some(prebuffer) = &reader.prebuffer else { return (0, 0) };
    let layout = content.layout();
    let inside = |p: &u32| reader.window.contains(*p) || content.has(*p);
    let pieces: BTreeSet<u32> = prebuffer.head.clone().chain(prebuffer.tail.clone()).filter(inside).collect();
    let total = pieces.iter().map(|p| u64::from(layout.piece_size(*p))).sum();
    let done = pieces.iter().filter(|p| content.has(**p)).map(|p| u64::from(layout.piece_size(*p))).sum();
    (done, total)
}
