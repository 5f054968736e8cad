//! Where payload lives: the block pool that bounds all of it, and who may have how much of it.

pub(crate) mod buffers;
pub mod credits;
pub mod idle;
#[cfg(test)]
mod idle_tests;
pub(crate) mod interlude;
pub mod outgoing;
pub(crate) mod overtaking;
pub mod pool;
pub mod promise;
pub mod queue;
#[cfg(test)]
mod queue_tests;
