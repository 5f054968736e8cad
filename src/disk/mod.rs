//! Files on disk. Blocking.

pub mod checker;
pub mod file_pool;
pub mod files;
pub mod patience;
