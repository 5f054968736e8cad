//! Message stream encryption, also called protocol encryption (MSE/PE): a Diffie-Hellman exchange that looks random, after which the stream goes
//! on as RC4 or in plain text. It hides the protocol from middleboxes; it authenticates nobody and keeps no secrets.
//!
//! Pure: bytes in, bytes out. The initiator is who dials. Both know the torrent's info-hash (the `SKEY`), and send none of it in clear.

pub mod initiator;
pub mod key_exchange;
pub mod keystream;
mod negotiation;
pub mod responder;

#[cfg(test)]
mod tests;

pub use self::initiator::Initiator;
pub use self::key_exchange::{KeyPair, PRIVATE_KEY_BYTES};
pub use self::keystream::Keystream;
pub use self::negotiation::{CryptoMethods, Established, MseError, skey_hash};
pub use self::responder::Responder;
