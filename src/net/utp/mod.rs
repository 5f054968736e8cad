//! uTP (BEP 29): streams over UDP that yield to other traffic.
//!
//! The files up to `connection.rs` are pure: packets and times in, packets out.

mod congestion;
pub mod connection;
mod delay;
pub mod packet;
mod path_mtu;
mod reassembly;
mod rtt;
mod send_queue;
#[cfg(test)]
mod tests;
