//! Requests: sent, answered, refused, taken back. A block's memory is charged before its request goes out.

pub(crate) mod asking;
mod borrowing;
pub(crate) mod cancels;
mod charge;
pub mod demand;
mod eviction;
#[cfg(test)]
mod eviction_tests;
mod giving;
pub mod in_vain;
pub(crate) mod interest;
pub mod late;
mod late_heap;
mod ledger;
pub mod limited;
pub mod open_slots;
pub(crate) mod queues;
pub mod ranking;
pub mod scheduler;
pub mod selector;
pub mod shows;
pub(crate) mod super_seeds;
mod windows;

pub(in crate::engine) use self::ledger::Requests;

#[cfg(test)]
pub(in crate::engine) mod tests;
