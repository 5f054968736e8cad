//! One torrent: its control, its metadata.

use std::ffi::{c_char, c_void};

use super::add_torrent::flags_in;
use super::bytes::{Out, slice_out, text_out};
use super::constants::et_torrent_flags;
use super::error::{et_error, et_status};
use super::guard::guard;
use super::session::{et_session, session_of, timeout};
use super::sized::{CStruct, OutStruct, read};
use crate::alert::record::{et_info_hashes, et_storage_index};
use crate::base::error::{Error, Result};
use crate::session::{StorageIndex, TorrentHandle};

/// What a torrent's metadata says; see `et_torrent_info`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_metadata_info {
    /// `sizeof(et_metadata_info)`.
    pub struct_size: usize,
    /// Bytes of all files.
    pub total_size: u64,
    /// Bytes of each piece but the last.
    pub piece_length: u32,
    pub num_pieces: u32,
    pub num_files: u32,
    /// 1: peers only from its trackers.
    pub is_private: u32,
    pub info_hashes: et_info_hashes,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_metadata_info {}

/// Limits of one torrent; see `et_torrent_set_limits`. -1 leaves a limit as it is.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_torrent_limits {
    /// `sizeof(et_torrent_limits)`.
    pub struct_size: usize,
    /// Bytes a second, 0: no limit but the session's.
    pub download_limit: i64,
    pub upload_limit: i64,
    /// Peers, 0: as the settings say. If more are connected, those of least use go.
    pub max_connections: i64,
    /// Peers to upload to at once, 0: as the settings say.
    pub max_uploads: i64,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_torrent_limits {}

/// The torrent of that name.
///
/// # Safety
/// `session` is NULL or a handle that is not freed while the call runs.
pub(super) unsafe fn torrent_of(session: *const et_session, torrent: et_storage_index) -> Result<TorrentHandle> {
    // SAFETY: as the caller promised.
    unsafe { session_of(session) }?.torrent(StorageIndex(torrent))
}

/// Gives what the metadata says.
///
/// Errors: `ET_ERR_NO_METADATA`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_info(
    session: *mut et_session,
    torrent: et_storage_index,
    out_info: *mut et_metadata_info,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_info, "out_info")?;
            let info = torrent_of(session, torrent)?.info()?;
            out.write(&et_metadata_info {
                struct_size: size_of::<et_metadata_info>(),
                total_size: info.layout.total_size(),
                piece_length: info.layout.piece_length(),
                num_pieces: info.layout.num_pieces(),
                num_files: u32::try_from(info.layout.num_files()).unwrap_or(u32::MAX),
                is_private: info.private.into(),
                info_hashes: (&info.info_hashes).into(),
            });
            Ok(())
        })
    }
}

/// Gives a torrent's name, as far as it is known: a magnet's may be empty before the metadata. UTF-8, no NUL.
///
/// Errors: `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_name(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || text_out(buf, cap, len, &torrent_of(session, torrent)?.status()?.name)) }
}

/// Gives the directory of a torrent's files; empty for one in memory. UTF-8, no NUL.
///
/// Errors: `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_save_path(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || text_out(buf, cap, len, &torrent_of(session, torrent)?.status()?.save_path)) }
}

/// Gives the bytes of a torrent file: the info dictionary exactly as its hash wants it, the trackers and web seeds of now, and
/// all else as it stood in the file that was given: comment, dates, nodes, piece layers, and what is not known here.
///
/// Errors: `ET_ERR_NO_METADATA`, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_metainfo(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || slice_out(buf.cast::<u8>(), cap, len, &torrent_of(session, torrent)?.metainfo()?)) }
}

/// Gives the error that stopped a torrent; `ET_OK` in it where there is none.
///
/// `et_torrent_status` tells its numbers; this tells the line for people too. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_error(
    session: *mut et_session,
    torrent: et_storage_index,
    out_error: *mut et_error,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_error, "out_error")?;
            let status = torrent_of(session, torrent)?.status()?;
            out.write(&status.error.as_ref().map_or_else(et_error::default, et_error::of));
            Ok(())
        })
    }
}

/// Pauses a torrent: its connections end, what it has stays. An `et_torrent_paused_alert` follows.
///
/// flags: 0. Errors: `ET_ERR_INVALID_ARGUMENT` for another value. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_pause(
    session: *mut et_session,
    torrent: et_storage_index,
    flags: u32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let torrent = torrent_of(session, torrent)?;
            if flags != 0 {
                return Err(Error::invalid(format!("flags are {flags:#x}, allowed is 0")));
            }
            torrent.pause()
        })
    }
}

/// Lets a paused torrent run, and one that an error stopped. An `et_torrent_resumed_alert` follows. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_resume(
    session: *mut et_session,
    torrent: et_storage_index,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.resume()) }
}

/// Checks again all that a torrent has on disk, from the start where a check is under way. Its connections end, and are
/// made again. One that an error stopped runs on. An `et_torrent_checked_alert` follows when it is done.
///
/// What lies in memory was verified when it came, and is not looked at again: the alert follows at once, connections stay.
/// Errors: `ET_ERR_NO_METADATA`, and nothing has changed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_force_recheck(
    session: *mut et_session,
    torrent: et_storage_index,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.force_recheck()) }
}

/// Announces a torrent to its trackers now. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_force_reannounce(
    session: *mut et_session,
    torrent: et_storage_index,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.force_reannounce()) }
}

/// Announces a torrent to the DHT now, which looks for peers too. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_force_dht_announce(
    session: *mut et_session,
    torrent: et_storage_index,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.force_dht_announce()) }
}

/// Sets flags of a torrent: `ET_TORRENT_FLAG_*` bits. The others stay as they are.
///
/// Errors: `ET_ERR_INVALID_ARGUMENT` for unknown bits. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_set_flags(
    session: *mut et_session,
    torrent: et_storage_index,
    flags: et_torrent_flags,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.set_flags(flags_in(flags)?)) }
}

/// Clears flags of a torrent: `ET_TORRENT_FLAG_*` bits. The others stay as they are.
///
/// Errors: `ET_ERR_INVALID_ARGUMENT` for unknown bits. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_unset_flags(
    session: *mut et_session,
    torrent: et_storage_index,
    flags: et_torrent_flags,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.unset_flags(flags_in(flags)?)) }
}

/// Sets limits of a torrent.
///
/// Errors: `ET_ERR_INVALID_ARGUMENT` for a value below -1 or above 4294967295. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_set_limits(
    session: *mut et_session,
    torrent: et_storage_index,
    limits: *const et_torrent_limits,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let torrent = torrent_of(session, torrent)?;
            let limits = read(limits, "limits")?;
            torrent.set_limits(
                limit(limits.download_limit, "download_limit")?,
                limit(limits.upload_limit, "upload_limit")?,
                limit(limits.max_connections, "max_connections")?,
                limit(limits.max_uploads, "max_uploads")?,
            )
        })
    }
}

fn limit(value: i64, name: &str) -> Result<Option<u32>> {
    if value == -1 {
        return Ok(None);
    }
    let bad = |_| Error::invalid(format!("limits->{name} is {value}, allowed is -1 to {}", u32::MAX));
    u32::try_from(value).map(Some).map_err(bad)
}

/// Waits until a torrent's metadata is there: a magnet's comes from its peers. Where it is there, it returns at once.
///
/// timeout_ms: 0 is not at all, negative is for ever. Errors: `ET_ERR_TIMED_OUT`, `ET_ERR_WOULD_BLOCK` (where the timeout is 0),
/// `ET_ERR_CLOSED` and `ET_ERR_INVALID_STORAGE_INDEX` as soon as it is so; where an error stops the torrent, that one. Any thread;
/// several may wait. It takes no alert from the queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_wait_metadata(
    session: *mut et_session,
    torrent: et_storage_index,
    timeout_ms: i64,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's. The torrent outlasts a free of the session that comes too early.
    unsafe { guard(error, || torrent_of(session, torrent)?.wait_metadata(timeout(timeout_ms))) }
}

/// Is there metadata? For callers that would rather not see `ET_ERR_NO_METADATA`. 1 or 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_has_metadata(
    session: *mut et_session,
    torrent: et_storage_index,
    out_has: *mut i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_has, "out_has")?;
            out.write(torrent_of(session, torrent)?.status()?.has_metadata.into());
            Ok(())
        })
    }
}
