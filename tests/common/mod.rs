//! What the integration tests share.

// Each test program is a crate of its own and uses a part of this.
#![allow(dead_code)]

pub mod alone;
pub mod network;
pub mod ours;
pub mod peers;
pub mod proxies;
pub mod temp;
