//! What is wrong with bytes that are no torrent file, no magnet.

use crate::base::error::{Error, Status};

/// Why bytes are not a torrent file, a magnet, or a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    pub message: String,
    /// They are one, of a kind that is not supported.
    pub unsupported: bool,
}

impl ParseError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), unsupported: false }
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { message: message.into(), unsupported: true }
    }
}

impl From<ParseError> for Error {
    fn from(e: ParseError) -> Self {
        Self::new(if e.unsupported { Status::Unsupported } else { Status::Parse }, e.message)
    }
}
