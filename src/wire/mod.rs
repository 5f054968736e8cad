//! The peer protocol (BEP 3, 6, 10): messages and their bytes. Pure: no sockets, no clock.

pub mod allowed_fast;
pub mod compact;
pub mod decoder;
pub mod extended;
pub mod handshake;
pub mod lt_donthave;
pub mod message;
pub mod ut_metadata;
pub mod ut_pex;

#[cfg(test)]
mod tests;

pub use crate::wire::allowed_fast::allowed_fast_set;
pub use crate::wire::decoder::{Decoder, DecoderLimits, MOST_PLACES, Received};
pub use crate::wire::extended::{ExtendedHandshake, ExtensionIds};
pub use crate::wire::handshake::Handshake;
pub use crate::wire::message::{BlockRequest, Message, encode_piece_header};
pub use crate::wire::ut_metadata::MetadataMessage;
pub use crate::wire::ut_pex::PexMessage;

use crate::alert::CloseReason;

/// How a peer broke the protocol. Each of them ends the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("not a BitTorrent handshake")]
    BadHandshake,
    #[error("{message} message of {length} bytes, more than {limit}")]
    TooLong { message: &'static str, length: u32, limit: u32 },
    #[error("{message} message of a wrong length: {length} bytes")]
    BadLength { message: &'static str, length: u32 },
    #[error("{message} message: {what}")]
    BadPayload { message: &'static str, what: String },
}

impl WireError {
    /// The kind of fault, in libtorrent's terms.
    pub fn close_reason(&self) -> CloseReason {
        match self {
            Self::TooLong { .. } => CloseReason::MessageTooBig,
            Self::BadHandshake | Self::BadLength { .. } | Self::BadPayload { .. } => CloseReason::InvalidMessage,
        }
    }

    /// The kind of fault as text, without the particulars that [`std::fmt::Display`] adds.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadHandshake => "invalid handshake",
            Self::TooLong { .. } => "message too big",
            Self::BadLength { .. } => "message of a wrong length",
            Self::BadPayload { .. } => "invalid message",
        }
    }
}
