//! Priorities of pieces and files.

use super::add_torrent::priorities;
use super::bytes::slice_out;
use super::constants::et_priority;
use super::error::{et_error, et_status};
use super::guard::guard;
use super::session::et_session;
use super::torrent::torrent_of;
use crate::alert::record::et_storage_index;
use crate::alert::types::{et_file_index, et_piece_index};

/// Gives the priority of each piece: 0 to 7.
///
/// cap, len: pieces. Errors: `ET_ERR_NO_METADATA`, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_piece_priorities(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut et_priority,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || slice_out(buf, cap, len, &torrent_of(session, torrent)?.piece_priorities()?)) }
}

/// Sets the priorities of all pieces, one each: 0 to 7.
///
/// Errors: `ET_ERR_NO_METADATA`, `ET_ERR_INVALID_ARGUMENT` for another number of pieces or a priority above 7. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_prioritize_pieces(
    session: *mut et_session,
    torrent: et_storage_index,
    values: *const et_priority,
    values_len: usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || torrent_of(session, torrent)?.prioritize_pieces(&priorities(values, values_len, "values")?))
    }
}

/// Sets the priority of one piece: 0 to 7.
///
/// Errors: `ET_ERR_NO_METADATA`, `ET_ERR_INVALID_ARGUMENT` for no such piece or priority. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_set_piece_priority(
    session: *mut et_session,
    torrent: et_storage_index,
    piece: et_piece_index,
    priority: i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.set_piece_priority(piece.into(), priority.into())) }
}

/// Gives the priority of each file: 0 to 7.
///
/// cap, len: files. Errors: `ET_ERR_NO_METADATA`, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_file_priorities(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut et_priority,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || slice_out(buf, cap, len, &torrent_of(session, torrent)?.file_priorities()?)) }
}

/// Sets the priorities of all files, one each: 0 to 7. Those of the pieces follow.
///
/// Errors: `ET_ERR_INVALID_ARGUMENT` for another number of files or a priority above 7, `ET_ERR_NO_METADATA`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_prioritize_files(
    session: *mut et_session,
    torrent: et_storage_index,
    values: *const et_priority,
    values_len: usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || torrent_of(session, torrent)?.prioritize_files(&priorities(values, values_len, "values")?))
    }
}

/// Sets the priority of one file: 0 to 7. Those of its pieces follow.
///
/// Errors: `ET_ERR_NO_METADATA`, `ET_ERR_INVALID_ARGUMENT` for no such file or priority. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_set_file_priority(
    session: *mut et_session,
    torrent: et_storage_index,
    file: et_file_index,
    priority: i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.set_file_priority(file.into(), priority.into())) }
}
