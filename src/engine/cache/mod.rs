//! What stays in memory and what goes.

pub mod eviction;
pub(crate) mod line;
pub mod share;
