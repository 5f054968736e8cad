//! The full check: which pieces of a torrent are on disk already. Blocking.

use super::files::{DiskFailure, DiskStorage};
use crate::disk::patience::patiently;
use crate::metainfo::info_hash::Sha1Hash;

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The piece that was just checked; they come in order.
    pub piece: u32,
    /// It is there, and right.
    pub have: bool,
    pub num_pieces: u32,
}

/// Hashes every piece, has it judged, and tells of each. Pieces that reach into a missing part of a file are known to be
/// absent without a read. `on_piece` returns whether to go on; so does this: false where it was cancelled. `goes_on` is asked while
/// there are no descriptors to go on with.
pub fn check(
    storage: &DiskStorage,
    is_right: impl Fn(u32, Sha1Hash) -> bool,
    goes_on: impl Fn() -> bool,
    mut on_piece: impl FnMut(Progress) -> bool,
) -> Result<bool, DiskFailure> {
    let layout = storage.layout();
    let sizes = storage.sizes_on_disk()?;
    let num_pieces = layout.num_pieces();
    let mut buf = Vec::new();
    for piece in 0..num_pieces {
        let begin = u64::from(piece) * u64::from(layout.piece_length());
        let there = layout
            .slices(begin, u64::from(layout.piece_size(piece)))
            .all(|s| sizes.get(s.file).copied().flatten().is_some_and(|size| size >= s.offset + s.len));
        let digest = if there { patiently(&goes_on, || storage.hash_piece(piece, &mut buf))? } else { None };
        let have = digest.is_some_and(|digest| is_right(piece, digest));
        if !on_piece(Progress { piece, have, num_pieces }) {
            return Ok(false);
        }
    }
    Ok(true)
}
