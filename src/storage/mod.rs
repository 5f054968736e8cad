//! Where payload lives: the block pool that bounds all of it, and files on disk.

pub mod pool;
