//! A torrent's files.

use std::ffi::c_void;

use zerocopy::{Immutable, IntoBytes};

use super::bytes::slice_out;
use super::constants::et_file_flags;
use super::error::{et_error, et_status};
use super::guard::guard;
use super::record::Records;
use super::session::et_session;
use super::torrent::torrent_of;
use crate::alert::record::{et_storage_index, et_text};
use crate::alert::types::{et_file_index, et_piece_index};
use crate::metainfo::Info;

/// A file of a torrent: a record of `et_torrent_files`.
#[repr(C)]
#[derive(Debug, Clone, Copy, IntoBytes, Immutable)]
pub struct et_file_info {
    /// Bytes of the whole record.
    pub size: u32,
    pub file: et_file_index,
    /// `ET_FILE_*` bits.
    pub flags: et_file_flags,
    /// The pieces with its bytes: from the first to before the end. Equal for an empty file.
    pub first_piece: et_piece_index,
    pub end_piece: et_piece_index,
    /// 0.
    pub reserved: u32,
    /// Bytes of the file.
    pub length: u64,
    /// Bytes from the torrent's start to the file's.
    pub offset: u64,
    /// Unix time in seconds, 0: not told.
    pub mtime: i64,
    /// Relative, '/' between its parts, none of them ".."; begins with the torrent's name where it has several files.
    ///
    /// The names are those that libtorrent 2.1 writes: separators and characters without width or that turn the direction of
    /// writing are dropped; control characters, broken UTF-8, "." and ".." become "_"; parts of more than 240 bytes are cut,
    /// but for a short extension. Where two are the same, in any case, the later gets a number: a.mkv, a.1.mkv. On Windows
    /// what Windows reserves becomes "_", too. A pad file without a path is ".pad/<length>".
    pub path: et_text,
    /// Where a symlink points to, in the form of `path`: something in the torrent, or itself; else empty.
    pub symlink_target: et_text,
}

/// Gives a torrent's files as records: `et_file_info`, walked with `et_record_next`, in the order of their numbers.
///
/// buf: aligned to 8 bytes. cap, len: bytes. Errors: `ET_ERR_NO_METADATA`, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_files(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || files(&*torrent_of(session, torrent)?.info()?).give(buf, cap, len)) }
}

fn files(info: &Info) -> Records {
    let mut records = Records::default();
    for (i, file) in info.layout.files().iter().enumerate() {
        let pieces = info.layout.file_pieces(i);
        records.push(|s| et_file_info {
            size: 0,
            file: i32::try_from(i).unwrap_or(-1),
            flags: file.flags.bits().into(),
            first_piece: pieces.start.cast_signed(),
            end_piece: pieces.end.cast_signed(),
            reserved: 0,
            length: file.size,
            offset: file.offset,
            mtime: file.mtime.unwrap_or(0),
            path: s.text(&file.path),
            symlink_target: s.text(file.symlink_target.as_deref().unwrap_or("")),
        });
    }
    records
}

/// Gives how much of each file is there: bytes in verified pieces, in the order of the files' numbers.
///
/// cap, len: files. Errors: `ET_ERR_NO_METADATA`, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_torrent_file_progress(
    session: *mut et_session,
    torrent: et_storage_index,
    buf: *mut u64,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || slice_out(buf, cap, len, &torrent_of(session, torrent)?.file_progress()?)) }
}
