//! The peer protocol (BEP 3, 6, 10): messages and their bytes, and the encryption of its stream. Pure: no sockets, no clock.

pub mod allowed_fast;
pub mod compact;
pub mod decoder;
pub mod error;
pub mod extended;
pub mod handshake;
pub mod lt_donthave;
pub mod message;
pub mod mse;
pub mod stream_kind;
pub mod ut_metadata;
pub mod ut_pex;

#[cfg(test)]
mod tests;

pub use crate::wire::allowed_fast::allowed_fast_set;
pub use crate::wire::decoder::{Decoder, DecoderLimits, MOST_PLACES, Received};
pub use crate::wire::error::WireError;
pub use crate::wire::extended::{ExtendedHandshake, ExtensionIds};
pub use crate::wire::handshake::Handshake;
pub use crate::wire::message::{BlockRequest, Message, encode_piece_header};
pub use crate::wire::stream_kind::{Encryption, StreamKind};
pub use crate::wire::ut_metadata::MetadataMessage;
pub use crate::wire::ut_pex::PexMessage;
