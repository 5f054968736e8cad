//! A prebuffer: what a reader is to have before it plays.

use std::ops::Range;

/// A prebuffer asked for: the pieces of the file's head and those of its tail, as far as the window holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prebuffer {
    pub head: Range<u32>,
    pub tail: Range<u32>,
    /// Bytes done when progress was last told.
    pub(super) told: Option<u64>,
}
