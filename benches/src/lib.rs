//! What the benchmark programs share: the content they exchange, its torrent, the few messages of the protocol that
//! they speak, and the kernel's figures of a process.

pub mod args;
pub mod content;
pub mod link;
pub mod torrent;
pub mod usage;
pub mod wire;
