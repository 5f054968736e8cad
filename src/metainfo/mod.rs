//! Torrent files (BEP 3), magnets (BEP 9) and what they name. Pure: bytes in, values out.

pub mod bencode;
pub mod create;
pub mod files;
pub mod info_hash;
pub mod magnet;
pub mod paths;
mod symlinks;
pub mod torrent_file;

#[cfg(test)]
mod tests;

pub use create::Create;
pub use files::{FileEntry, FileFlags, FileLayout, FileSlice};
pub use info_hash::{InfoHashes, Sha1Hash, Sha256Hash};
pub use magnet::Magnet;
pub use torrent_file::{Info, TorrentFile};

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

impl From<ParseError> for crate::error::Error {
    fn from(e: ParseError) -> Self {
        use crate::error::Status;
        Self::new(if e.unsupported { Status::Unsupported } else { Status::Parse }, e.message)
    }
}
