//! Who waits for new peers.

/// Who waits for the answers to a torrent's announces, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Urgency {
    Read,
    Metadata,
    Nobody,
}
