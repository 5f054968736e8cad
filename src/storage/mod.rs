//! Where payload lives: the block pool that bounds all of it, and files on disk.

mod buffers;
pub mod checker;
pub mod credits;
pub mod disk;
pub mod file_pool;
mod interlude;
pub mod lending;
mod overtaking;
pub mod patience;
pub mod pool;
pub mod turns;
