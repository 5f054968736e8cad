//! Torrent files (BEP 3), magnets (BEP 9) and what they name. Pure: bytes in, values out.

pub mod bencode;
pub mod create;
pub mod error;
pub mod info_hash;
pub mod layout;
pub mod magnet;
pub mod paths;
mod symlinks;
pub mod torrent_file;

#[cfg(test)]
mod tests;

pub use crate::metainfo::create::Create;
pub use crate::metainfo::error::ParseError;
pub use crate::metainfo::info_hash::{InfoHashes, Sha1Hash, Sha256Hash};
pub use crate::metainfo::layout::{FileEntry, FileFlags, FileLayout, FileSlice};
pub use crate::metainfo::magnet::Magnet;
pub use crate::metainfo::torrent_file::{Info, TorrentFile};
