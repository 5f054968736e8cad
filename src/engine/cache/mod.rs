//! What stays in memory and what goes.

pub mod eviction;
pub(crate) mod line;
pub mod share;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::memory::pool::Pool;
use share::Share;

/// The memory that a torrent may have, and what of it is kept whatever comes.
#[derive(Debug)]
pub(in crate::engine) struct Cache {
    pub(in crate::engine) pool: Arc<Pool>,
    pub(in crate::engine) share: Share,
    /// Pieces that the service protects; and of them those that fit into half the limit.
    pub(in crate::engine) protected: BTreeSet<u32>,
    pub(in crate::engine) kept_lookbehind: BTreeSet<u32>,
}

impl Cache {
    pub(in crate::engine) fn new(pool: Arc<Pool>, share: Share) -> Self {
        Self { pool, share, protected: BTreeSet::new(), kept_lookbehind: BTreeSet::new() }
    }
}
