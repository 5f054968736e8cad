//! A torrent's pieces: which are there, who has them, when they are due.

use super::bytes::{Out, slice_out};
use super::error::{et_error, et_status};
use super::guard::guard;
use super::session::et_session;
use super::torrent::torrent_of;
use crate::alert::record::et_storage_index;
use crate::alert::types::et_piece_index;

/// Gives which pieces are there, a bit each: piece 0 is the highest bit of the first byte. Spare bits are 0.
///
/// cap, len: bytes. out_num_pieces: how many of the bits are pieces; may be NULL.
/// Errors: `ET_ERR_NO_METADATA`, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_pieces(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut u8,
    cap: usize,
    len: *mut usize,
    out_num_pieces: *mut u32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let num_pieces =
                if out_num_pieces.is_null() { None } else { Some(Out::new(out_num_pieces, "out_num_pieces")?) };
            let (bits, bytes) = torrent_of(session, torrent)?.pieces()?;
            slice_out(buf, cap, len, &bytes)?;
            if let Some(out) = num_pieces {
                out.write(bits);
            }
            Ok(())
        })
    }
}

/// Gives how many connected peers have each piece.
///
/// cap, len: pieces. Errors: `ET_ERR_NO_METADATA`, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_piece_availability(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut u32,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || slice_out(buf, cap, len, &torrent_of(session, torrent)?.piece_availability()?)) }
}

/// Asks for a piece by a time: it comes before whatever has no deadline, in order of the deadlines.
///
/// deadline_ms: from now; 0 or less is at once. Setting it again moves it. Once the piece is there the deadline is gone.
/// Readers set their own; this is for programs that do without.
/// Errors: `ET_ERR_NO_METADATA`, `ET_ERR_INVALID_ARGUMENT` for no such piece. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_set_piece_deadline(
    session: *mut et_session,
    torrent: et_storage_index,
    piece: et_piece_index,
    deadline_ms: i64,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.set_piece_deadline(piece.into(), deadline_ms)) }
}

/// Takes a piece's deadline away. Its own priority holds again.
///
/// Errors: `ET_ERR_NO_METADATA`, `ET_ERR_INVALID_ARGUMENT` for no such piece. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_reset_piece_deadline(
    session: *mut et_session,
    torrent: et_storage_index,
    piece: et_piece_index,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.reset_piece_deadline(piece.into())) }
}

/// Takes all deadlines of a torrent's pieces away. Their own priorities hold again. Before the metadata there are none, and
/// that is no error. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_clear_piece_deadlines(
    session: *mut et_session,
    torrent: et_storage_index,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.clear_piece_deadlines()) }
}
