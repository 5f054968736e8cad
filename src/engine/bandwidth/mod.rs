//! How fast peers bring what they are asked for.

pub mod aggregate;
pub mod path;
pub mod rate;
pub mod slow_start;
