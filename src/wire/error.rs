//! What is wrong with bytes that a peer sent.

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
