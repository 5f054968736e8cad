//! Pieces that are coming in, block by block.

use std::ffi::c_void;

use zerocopy::{Immutable, IntoBytes};

use super::error::{et_error, et_status};
use super::guard::guard;
use super::record::Records;
use super::session::et_session;
use super::torrent::torrent_of;
use crate::alert::record::{et_storage_index, et_text};
use crate::alert::types::et_piece_index;
use crate::session::PartialPiece;

/// A piece of which some blocks are asked for or there: a record of `et_torrent_download_queue`.
#[repr(C)]
#[derive(Debug, Clone, Copy, IntoBytes, Immutable)]
pub struct et_partial_piece_info {
    /// Bytes of the whole record.
    pub size: u32,
    pub piece: et_piece_index,
    pub blocks_in_piece: u32,
    /// Blocks that are there, that are on their way to the disk, that are asked for.
    pub finished: u32,
    pub writing: u32,
    pub requested: u32,
    /// Not text: a byte a block, `ET_BLOCK_*`.
    pub blocks: et_text,
}

/// Gives the pieces that are coming in as records: `et_partial_piece_info`, walked with `et_record_next`, by their numbers.
///
/// buf: aligned to 8 bytes. cap, len: bytes; there may be more by the next call.
/// Errors: `ET_ERR_NO_METADATA`, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_download_queue(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || queue(&torrent_of(session, torrent)?.download_queue()?).give(buf, cap, len)) }
}

fn queue(pieces: &[PartialPiece]) -> Records {
    let mut records = Records::default();
    for p in pieces {
        records.push(|s| et_partial_piece_info {
            size: 0,
            piece: p.piece.cast_signed(),
            blocks_in_piece: p.blocks_in_piece,
            finished: p.finished,
            writing: p.writing,
            requested: p.requested,
            blocks: s.bytes(&p.blocks),
        });
    }
    records
}
