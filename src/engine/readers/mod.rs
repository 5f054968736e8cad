//! Readers at work: what they read, what they wait for and what wakes them; the deadlines beside them.

pub(crate) mod background;
pub mod block_window;
mod by_blocks;
pub mod consumption;
mod cutting;
pub mod explanation;
mod open_readers;
pub mod parts;
pub mod prebuffer;
mod prebuffering;
pub mod pressure;
pub mod read;
pub mod reader;
pub mod retries;
pub mod span;
pub mod status;
pub mod stored;
pub mod turn;
pub mod waste;
pub mod window;
pub mod window_budget;

pub(in crate::engine) use self::open_readers::{Readers, gone};
pub use self::stored::ReadOutcome;
