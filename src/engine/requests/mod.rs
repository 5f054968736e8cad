//! Requests: sent, answered, refused, taken back. A block's memory is charged before its request goes out.

pub mod abandoned_blocks;
mod borrowing;
pub(crate) mod cancels;
mod charge;
pub mod demand;
pub mod dispatch;
pub mod download_limit;
mod eviction;
#[cfg(test)]
mod eviction_tests;
mod give_back;
pub(crate) mod interest;
pub mod late;
mod late_heap;
pub mod open_slots;
pub(crate) mod queues;
pub mod ranking;
pub mod revealed_picks;
pub(crate) mod scheduler;
pub mod selector;
mod state;
pub(crate) mod super_seeds;
mod windows;

pub(in crate::engine) use self::state::Requests;

#[cfg(test)]
pub(in crate::engine) mod tests;
