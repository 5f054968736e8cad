//! The core: what to ask of whom, what to keep, what to say. Sans-IO: events and the time come in, actions go out.

pub mod time;
pub mod trackers;

pub use time::Time;
