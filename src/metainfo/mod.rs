//! Torrent files (BEP 3), magnets (BEP 9) and what they name. Pure: bytes in, values out.

pub mod bencode;
pub mod create;
pub mod info_hash;
pub mod layout;
pub mod magnet;
pub mod paths;
mod symlinks;
pub mod torrent_file;

#[cfg(test)]
mod tests;

pub use crate::metainfo::create::Create;
pub use crate::metainfo::info_hash::{InfoHashes, Sha1Hash, Sha256Hash};
pub use crate::metainfo::layout::{FileEntry, FileFlags, FileLayout, FileSlice};
pub use crate::metainfo::magnet::Magnet;
pub use crate::metainfo::torrent_file::{Info, TorrentFile};

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

impl From<ParseError> for crate::base::error::Error {
    fn from(e: ParseError) -> Self {
        use crate::base::error::Status;
        Self::new(if e.unsupported { Status::Unsupported } else { Status::Parse }, e.message)
    }
}
