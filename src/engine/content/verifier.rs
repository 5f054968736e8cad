//! Are the bytes that came, or that lie on disk, those that the metainfo names? Version 1 (BEP 3) tells by the SHA-1 of a whole piece.

use std::sync::Arc;

use crate::metainfo::Info;
use crate::metainfo::info_hash::Sha1Hash;

/// Judges what was hashed. This is the one place that compares with the hashes of the metainfo.
#[derive(Debug, Clone)]
pub struct Verifier {
    info: Arc<Info>,
}

impl Verifier {
    pub fn new(info: Arc<Info>) -> Self {
        Self { info }
    }

    /// `digest`: of all bytes of the piece, padding included. Of a piece that does not exist nothing is right.
    pub fn is_right(&self, piece: u32, digest: Sha1Hash) -> bool {
        self.info.piece_hash(piece) == Some(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::content::tests::info;

    #[test]
    fn each_piece_has_its_own_hash_and_beyond_the_last_nothing_is_right() {
        let info = info();
        let verifier = Verifier::new(info.clone());
        let hashes: Vec<Sha1Hash> = (0..).map_while(|piece| info.piece_hash(piece)).collect();
        assert!(hashes.len() > 1);
        for (piece, hash) in (0..).zip(&hashes) {
            assert!(verifier.is_right(piece, *hash));
            assert!(!verifier.is_right(piece, Sha1Hash([0xee; 20])));
        }
        assert!(!verifier.is_right(hashes.len() as u32, hashes[0]));
    }
}
