//! Peers: what is known of each, what it is told and what it is sent.

pub mod activity;
pub(crate) mod availability;
pub mod block_intervals;
pub mod budget;
pub mod choke_flaps;
pub mod choking;
pub mod early_haves;
pub mod extensions;
pub mod handshake;
pub mod haves;
pub mod identity;
pub mod messages;
pub mod outbox;
pub(crate) mod outgoing;
pub mod parole;
pub mod peers;
pub mod pex;
pub mod queue_depth;
pub(crate) mod received_block;
pub mod refusals;
mod request;
pub mod revealed;
pub mod snub_timer;
pub mod source;
mod taken_back;
pub mod upload;
pub mod uploads;
mod usefulness;
mod wire_peer;

pub use self::identity::Identity;
pub use self::request::Request;
pub use self::wire_peer::Peer;
