//! The one door to the network: byte streams, listening, limits, addresses. It knows nothing of torrents.

pub(crate) mod connection_limit;
pub mod egress;
pub mod fetch;
pub(crate) mod half_open;
pub mod open_sockets;
pub mod peer_stream;
pub mod rate_limit;
pub mod transport;
pub mod udp_port;
pub mod udp_ports;
pub mod utp;
