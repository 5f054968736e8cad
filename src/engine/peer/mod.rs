//! Peers: what is known of each, what it is told and what it is sent.

pub(crate) mod arriving;
pub(crate) mod availability;
pub mod budget;
pub mod choking;
pub mod early_haves;
pub mod extensions;
pub mod fickle;
pub mod fruitless;
pub mod handshake;
pub mod haves;
pub mod messages;
pub mod outbox;
pub(crate) mod outgoing;
pub mod parole;
pub mod peers;
pub mod pex;
pub mod queue_depth;
pub mod refusals;
mod request;
pub mod rhythm;
pub mod shown;
pub mod source;
pub mod upload;
pub mod uploads;
mod usefulness;
mod wire_peer;

pub use self::request::Request;
pub use self::wire_peer::Peer;
