//! uTP (BEP 29): streams over UDP that yield to other traffic.
//!
//! `connection` and what it consists of is pure: packets and times in, packets out. `socket` and `stream` carry that out.

mod budget;
mod congestion;
pub mod connection;
mod delay;
pub mod notices;
pub mod packet;
mod path_mtu;
mod reassembly;
mod rtt;
mod send_queue;
pub mod socket;
pub mod stream;
mod syn_cookie;
#[cfg(test)]
mod tests;
