//! What stays in memory and what goes.

pub(crate) mod admission;
pub(crate) mod claims;
pub(crate) mod lookbehind;
mod memory;
mod promises;
pub(crate) mod queue_place;
pub(crate) mod rank;
pub mod share;
pub mod stats;
mod victims;
mod waiting;

pub(in crate::engine) use self::memory::Cache;
