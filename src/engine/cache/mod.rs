//! What stays in memory and what goes.

pub(crate) mod admission;
pub(crate) mod claims;
mod in_line;
pub(crate) mod line;
pub(crate) mod lookbehind;
mod memory;
mod promises;
pub(crate) mod rank;
pub mod share;
pub mod stats;
mod victims;

pub(in crate::engine) use self::memory::Cache;
