//! The single-file v1 torrent of a benchmark: made here, and read back from such a file.

use std::num::NonZeroUsize;
use std::thread;

use sha1::{Digest, Sha1};

use crate::content::Content;

/// A single-file v1 torrent.
pub struct Torrent {
    pub name: String,
    pub size: u64,
    pub piece_length: u32,
    /// Twenty bytes a piece.
    pub pieces: Vec<u8>,
    pub info_hash: [u8; 20],
}

impl Torrent {
    /// Hashes the content, on all cores.
    pub fn of(content: &Content, name: &str, piece_length: u32) -> Self {
        let size = content.size();
        let count = size.div_ceil(piece_length.into()) as usize;
        let mut pieces = vec![0; count * 20];
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = count.div_ceil(threads).max(1);
        thread::scope(|scope| {
            for (at, hashes) in pieces.chunks_mut(share * 20).enumerate() {
                scope.spawn(move || {
                    let mut piece = vec![0; piece_length as usize];
                    for (index, hash) in hashes.chunks_exact_mut(20).enumerate() {
                        let offset = (at * share + index) as u64 * u64::from(piece_length);
                        let len = u64::from(piece_length).min(size - offset) as usize;
                        content.read(offset, &mut piece[..len]);
                        hash.copy_from_slice(&Sha1::digest(&piece[..len]));
                    }
                });
            }
        });
        Self { name: String::new(), size, piece_length, pieces, info_hash: [0; 20] }.renamed(name)
    }

    /// The same content under another name is another torrent.
    pub fn renamed(&self, name: &str) -> Self {
        let mut torrent = Self { name: name.to_owned(), pieces: self.pieces.clone(), info_hash: [0; 20], ..*self };
        torrent.info_hash = Sha1::digest(torrent.info()).into();
        torrent
    }

    fn info(&self) -> Vec<u8> {
        let mut info = format!(
            "d6:lengthi{}e4:name{}:{}12:piece lengthi{}e6:pieces{}:",
            self.size,
            self.name.len(),
            self.name,
            self.piece_length,
            self.pieces.len()
        )
        .into_bytes();
        info.extend_from_slice(&self.pieces);
        info.push(b'e');
        info
    }

    pub fn encode(&self) -> Vec<u8> {
        [b"d4:info", self.info().as_slice(), b"e"].concat()
    }

    /// Reads what [`encode`](Self::encode) wrote. Other torrents are refused: this is no general parser.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"d4:infod6:lengthi")?;
        let (size, rest) = number(rest, b'e')?;
        let (name_len, rest) = number(rest.strip_prefix(b"4:name")?, b':')?;
        let (name, rest) = rest.split_at_checked(name_len.try_into().ok()?)?;
        let (piece_length, rest) = number(rest.strip_prefix(b"12:piece lengthi")?, b'e')?;
        let (pieces_len, rest) = number(rest.strip_prefix(b"6:pieces")?, b':')?;
        let (pieces, end) = rest.split_at_checked(pieces_len.try_into().ok()?)?;
        let piece_length = u32::try_from(piece_length).ok().filter(|&length| length > 0)?;
        if end != b"ee" || pieces_len != size.div_ceil(piece_length.into()) * 20 {
            return None;
        }
        let info_hash = Sha1::digest(&bytes[7..bytes.len() - 1]).into();
        let name = String::from_utf8(name.to_vec()).ok()?;
        Some(Self { name, size, piece_length, pieces: pieces.to_vec(), info_hash })
    }

    pub fn num_pieces(&self) -> u32 {
        (self.pieces.len() / 20) as u32
    }

    pub fn piece_size(&self, piece: u32) -> u32 {
        let offset = u64::from(piece) * u64::from(self.piece_length);
        self.size.saturating_sub(offset).min(self.piece_length.into()) as u32
    }

    pub fn piece_hash(&self, piece: u32) -> &[u8] {
        &self.pieces[piece as usize * 20..][..20]
    }
}

fn number(bytes: &[u8], end: u8) -> Option<(u64, &[u8])> {
    let at = bytes.iter().position(|&byte| byte == end)?;
    Some((std::str::from_utf8(&bytes[..at]).ok()?.parse().ok()?, &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes_and_nothing_else() {
        let content = Content::new(3, 100_000);
        let torrent = Torrent::of(&content, "x.bin", 32768);
        assert_eq!((torrent.num_pieces(), torrent.piece_size(3)), (4, 100_000 - 3 * 32768));
        let bytes = torrent.encode();
        let again = Torrent::decode(&bytes).unwrap();
        assert_eq!((again.info_hash, &again.pieces), (torrent.info_hash, &torrent.pieces));
        let mut last = vec![0; 100_000 - 3 * 32768];
        content.read(3 * 32768, &mut last);
        assert_eq!(again.piece_hash(3), Sha1::digest(&last).as_slice());
        for cut in 0..bytes.len() {
            assert!(Torrent::decode(&bytes[..cut]).is_none());
        }
        let other = Torrent::decode(&torrent.renamed("y.bin").encode()).unwrap();
        assert!(other.info_hash != torrent.info_hash && other.pieces == torrent.pieces);
    }
}
