//! How a caller names a torrent: a slot of its session, and a generation.

/// Bits of the slot; the generation has the 39 above, so that the number is positive as a signed one too.
pub(crate) const SLOT_BITS: u32 = 24;
pub(crate) const MAX_SLOTS: usize = 1 << SLOT_BITS;
pub(crate) const GENERATION_MASK: u64 = (1 << 39) - 1;

/// A torrent's name in its session: slot and generation in one number. 0 is never handed out, and no number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StorageIndex(pub u64);

impl StorageIndex {
    /// No torrent.
    pub const INVALID: Self = Self(0);

    pub(crate) fn new(slot: usize, generation: u64) -> Self {
        Self(generation << SLOT_BITS | slot as u64)
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 & (MAX_SLOTS as u64 - 1)) as usize
    }
}
