//! Torrent files, magnets and what they name. Pure: bytes in, values out.

pub mod bencode;
pub mod files;
pub mod info_hash;
pub mod magnet;
pub mod torrent_file;

/// Why bytes are not a torrent file, a magnet, or a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

impl From<ParseError> for crate::error::Error {
    fn from(e: ParseError) -> Self {
        Self::new(crate::error::Status::Parse, e.0)
    }
}
