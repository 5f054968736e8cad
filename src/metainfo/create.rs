//! Making v1 torrents (BEP 3), for tests, tools and the demo.

use super::bencode::Entry;
use super::error::ParseError;
use super::torrent_file::{Info, TorrentFile};

/// What a torrent is to be made of. Hashing the data is the caller's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Create {
    pub name: String,
    pub piece_length: u32,
    /// Path elements below the torrent's directory, and size. In the single-file form the path is not looked at.
    pub files: Vec<(Vec<String>, u64)>,
    /// The form without a directory: one file under the torrent's name.
    pub single_file: bool,
    pub private: bool,
    /// Tiers.
    pub trackers: Vec<Vec<String>>,
    pub web_seeds: Vec<String>,
    pub comment: Option<String>,
    pub created_by: Option<String>,
    pub creation_date: Option<i64>,
}

impl Create {
    /// A torrent of one file without a directory.
    pub fn single(name: impl Into<String>, size: u64, piece_length: u32) -> Self {
        Self { name: name.into(), piece_length, files: vec![(Vec::new(), size)], single_file: true, ..Self::default() }
    }

    /// The torrent file; `piece_hashes` are the SHA-1 of all pieces in their order, 20 bytes each.
    pub fn v1(self, piece_hashes: Vec<u8>) -> Result<TorrentFile, ParseError> {
        let mut info = Entry::dict();
        info.set("name", self.name).set("piece length", self.piece_length).set("pieces", piece_hashes);
        if self.private {
            info.set("private", true);
        }
        if self.single_file {
            let [(_, size)] = self.files.as_slice() else {
                return Err(ParseError::new(format!("a single-file torrent has one file, not {}", self.files.len())));
            };
            info.set("length", length(*size)?);
        } else {
            let mut files = Vec::with_capacity(self.files.len());
            for (path, size) in self.files {
                let mut file = Entry::dict();
                file.set("length", length(size)?);
                file.set("path", path.into_iter().map(Entry::from).collect::<Vec<_>>());
                files.push(file);
            }
            info.set("files", files);
        }
        let mut torrent = TorrentFile::new(Info::parse(&info.encode())?);
        torrent.trackers = self.trackers;
        torrent.trackers.retain(|tier| !tier.is_empty());
        torrent.web_seeds = self.web_seeds;
        torrent.comment = self.comment;
        torrent.created_by = self.created_by;
        torrent.creation_date = self.creation_date;
        Ok(torrent)
    }
}

fn length(size: u64) -> Result<i64, ParseError> {
    i64::try_from(size).map_err(|_| ParseError::new("a file's size is more than a signed 64-bit number"))
}
