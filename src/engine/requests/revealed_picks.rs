//! What is taken though nobody wants it, because a peer shows it (`super_seeds`).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::time::Time;
use crate::engine::content::Content;
use crate::engine::content::piece::Stage;

/// Others that have what is waited for may only be on their way.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is taken because it is shown.
#[derive(Debug, Default)]
pub struct RevealedPicks {
    /// Since when somebody waits for what nobody has, and whether that was long enough.
    since: Option<Time>,
    pub(super) sought: bool,
    /// Begun, and not whole.
    pub(super) taken: BTreeSet<u32>,
}

impl RevealedPicks {
    /// Pieces begun because they are shown, and not whole.
    pub fn taken(&self) -> &BTreeSet<u32> {
        &self.taken
    }

    /// A block of a piece was asked for that is wanted for nothing but that it is shown.
    pub(super) fn note_taken(&mut self, piece: u32) {
        self.taken.insert(piece);
    }

    /// `lacks`: somebody waits now for what nobody has.
    pub(super) fn review(&mut self, now: Time, lacks: bool, content: Option<&Content>) {
        self.since = lacks.then(|| self.since.unwrap_or(now));
        self.sought = self.since.is_some_and(|since| now.since(since) >= PATIENCE);
        let Some(content) = content else { return };
        self.taken.retain(|p| content.store().slot(*p).is_some_and(|s| s.stage() == Stage::Partial));
    }
}
