//! `et_reader_status`.

use super::error::{et_error, et_status};
use super::guard::guard;
use super::reader::{et_reader, reader_of};
use super::sized::{CStruct, OutStruct};
use crate::alert::record::et_storage_index;
use crate::alert::types::et_file_index;
use crate::session::ReaderStatus;

/// A reader at one moment; see `et_reader_status`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_reader_status_info {
    /// `sizeof(et_reader_status_info)`.
    pub struct_size: usize,
    pub torrent: et_storage_index,
    pub file: et_file_index,
    /// The next two are 1 or 0. Opened with `ET_READER_BACKGROUND`.
    pub background: u32,
    /// A read waits.
    pub waiting: u32,
    /// 0.
    pub reserved: u32,
    /// Bytes: the position, and the file.
    pub position: u64,
    pub size: u64,
    /// Bytes that can be read without waiting, from the position on and back from it, without a gap.
    pub buffered_ahead: u64,
    pub buffered_behind: u64,
    /// What is fetched and kept now: bytes from the file's start.
    pub window_begin: u64,
    pub window_end: u64,
    /// Bytes that it may look ahead and behind.
    pub lookahead: u64,
    pub lookbehind: u64,
    /// How often a read had to wait, and how long in all, microseconds: not the first one, nor the first after a seek.
    pub stalls: u64,
    pub stall_time_us: u64,
    /// Microseconds, -1: not yet.
    pub time_to_first_byte_us: i64,
    pub last_seek_latency_us: i64,
    pub bytes_read: u64,
    pub seeks: u64,
    /// Bytes a second: as it was told, else as it was learned from what is read while nothing keeps the caller waiting; 0: unknown.
    pub bitrate: u64,
    /// Bytes of the last `et_reader_prebuffer`.
    pub prebuffer_done: u64,
    pub prebuffer_total: u64,
    /// Bytes that came though a seek had taken them back: they were on their way. A seek of this reader, or the close of one that
    /// read the same file before.
    pub wasted_bytes: u64,
    /// Bytes of its window that came twice.
    pub duplicate_bytes: u64,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_reader_status_info {}

impl From<ReaderStatus> for et_reader_status_info {
    fn from(s: ReaderStatus) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            torrent: s.torrent.0,
            file: s.file.cast_signed(),
            background: s.background.into(),
            waiting: s.waiting.into(),
            reserved: 0,
            position: s.position,
            size: s.size,
            buffered_ahead: s.buffered_ahead,
            buffered_behind: s.buffered_behind,
            window_begin: s.window_begin,
            window_end: s.window_end,
            lookahead: s.lookahead,
            lookbehind: s.lookbehind,
            stalls: s.stalls,
            stall_time_us: s.stall_time_us,
            time_to_first_byte_us: s.time_to_first_byte_us,
            last_seek_latency_us: s.last_seek_latency_us,
            bytes_read: s.bytes_read,
            seeks: s.seeks,
            bitrate: s.bitrate,
            prebuffer_done: s.prebuffer_done,
            prebuffer_total: s.prebuffer_total,
            wasted_bytes: s.wasted_bytes,
            duplicate_bytes: s.duplicate_bytes,
        }
    }
}

/// Gives a reader's position, window, buffer and stalls. Any thread, also while another reads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_status(
    reader: *mut et_reader,
    out_status: *mut et_reader_status_info,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_status, "out_status")?;
            out.write(&reader_of(reader)?.status()?.into());
            Ok(())
        })
    }
}
