//! Memory: what a torrent keeps of it, and what it must not lose.

use std::ffi::c_void;

use super::bytes::{Out, buffer_in, slice_in};
use super::error::{et_error, et_status};
use super::guard::guard;
use super::session::{et_session, session_of};
use super::sized::{CStruct, OutStruct};
use super::torrent::torrent_of;
use crate::alert::record::et_storage_index;
use crate::alert::types::et_piece_index;

/// Payload memory of a session and of one torrent; see `et_storage_stats`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_storage_stats_info {
    /// `sizeof(et_storage_stats_info)`.
    pub struct_size: usize,
    /// Whole session, bytes: what may be in use; what is; the most that was since the limit was set, that moment included.
    /// Neither is above the limit, unless it was lowered below what was in use: then more is for a moment, until what is on
    /// its way is here and what is being read is read. It never grows meanwhile.
    pub session_limit: u64,
    pub session_charged: u64,
    pub session_peak: u64,
    /// This torrent, bytes: of verified pieces; of pieces that are not whole; on their way from peers.
    pub resident: u64,
    pub partial: u64,
    pub in_flight: u64,
    /// Bytes that are not evicted: heads and tails of files being read.
    pub pinned: u64,
    /// Bytes that are there and not evicted: `et_storage_set_lookbehind`.
    pub protected_bytes: u64,
    /// What it may keep now of the session's limit, bytes.
    pub share: u64,
    /// Pieces that left memory, and pieces that were fetched again after that.
    pub evicted_pieces: u64,
    pub refetched_pieces: u64,
    /// Pieces that are there, and those of them that lookbehind protects.
    pub resident_pieces: u32,
    pub protected_pieces: u32,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_storage_stats_info {}

/// What a torrent's lookbehind holds; see `et_storage_lookbehind_stats`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_lookbehind_info {
    /// `sizeof(et_lookbehind_info)`.
    pub struct_size: usize,
    /// Pieces that are to be kept, and those of them that are there.
    pub protected_pieces: u32,
    pub available_pieces: u32,
    /// Bytes of those that are protected now, there or not, and how many there may be: half the session's limit. Where that was
    /// lowered they may be fewer than are to be kept.
    pub protected_bytes: u64,
    pub limit_bytes: u64,
    /// Answers of `et_storage_is_lookbehind_available`: yes, and no.
    pub hits: u64,
    pub misses: u64,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_lookbehind_info {}

/// Gives what a torrent and its session hold in memory. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_storage_stats(
    session: *mut et_session,
    torrent: et_storage_index,
    out_stats: *mut et_storage_stats_info,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_stats, "out_stats")?;
            let s = torrent_of(session, torrent)?.storage_stats()?;
            out.write(&et_storage_stats_info {
                struct_size: size_of::<et_storage_stats_info>(),
                session_limit: s.session_limit,
                session_charged: s.session_charged,
                session_peak: s.session_peak,
                resident: s.resident,
                partial: s.partial,
                in_flight: s.in_flight,
                pinned: s.pinned,
                protected_bytes: s.protected_bytes,
                share: s.share,
                evicted_pieces: s.evicted_pieces,
                refetched_pieces: s.refetched_pieces,
                resident_pieces: s.resident_pieces,
                protected_pieces: s.protected_pieces,
            });
            Ok(())
        })
    }
}

/// Sets the session's memory limit, as the `memory_limit` setting does. Lowered, what is too much is evicted: what can be
/// spared first, then what was used longest ago. What is on its way, being hashed or read at this moment goes when it is
/// here. Readers of pieces that are larger now fail, see `et_reader_read`. What lookbehind protects beyond half of it is
/// protected no longer, see `et_storage_set_lookbehind`.
///
/// bytes: of payload, 262144 at least. Errors: `ET_ERR_INVALID_ARGUMENT`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_storage_set_limit(session: *mut et_session, bytes: u64, error: *mut et_error) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || session_of(session)?.set_memory_limit(bytes)) }
}

/// Protects pieces from eviction, in place of those protected before. Those that are not there are not fetched for it,
/// but stay once they are.
///
/// Protected is half the memory limit at most, in memory storage, all torrents together. Where the limit is lowered, pieces stay
/// protected from the lowest number on for as long as they fit into half of the new one, what other torrents protect taken off.
/// The first that does not fit and those behind it may be evicted, as any other. They count as protected again when there is
/// room again (the limit is raised, or another torrent protects less), but what was evicted is not fetched for it.
/// A read of a piece that does not fit beside what is protected waits until less is (`ET_REASON_MEMORY_FULL`).
///
/// Errors: `ET_ERR_OUT_OF_MEMORY` in memory storage for more than half the memory limit, what other torrents protect taken off,
/// `ET_ERR_INVALID_ARGUMENT` for no such piece,
/// `ET_ERR_NO_METADATA`; then nothing has changed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_storage_set_lookbehind(
    session: *mut et_session,
    torrent: et_storage_index,
    pieces: *const et_piece_index,
    pieces_len: usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let torrent = torrent_of(session, torrent)?;
            let pieces: Vec<i64> = slice_in(pieces, pieces_len, "pieces")?.iter().map(|p| i64::from(*p)).collect();
            torrent.set_lookbehind(&pieces)
        })
    }
}

/// Ends the protection of all pieces of a torrent. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_storage_clear_lookbehind(
    session: *mut et_session,
    torrent: et_storage_index,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || torrent_of(session, torrent)?.clear_lookbehind()) }
}

/// Can a piece be read back now, without the network? 1 or 0. Each call counts as a hit or a miss of
/// `et_lookbehind_info`.
///
/// Errors: `ET_ERR_INVALID_ARGUMENT` for no such piece, `ET_ERR_NO_METADATA`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_storage_is_lookbehind_available(
    session: *mut et_session,
    torrent: et_storage_index,
    piece: et_piece_index,
    out_available: *mut i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_available, "out_available")?;
            out.write(torrent_of(session, torrent)?.is_lookbehind_available(piece.into())?.into());
            Ok(())
        })
    }
}

/// Gives what a torrent's lookbehind holds. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_storage_lookbehind_stats(
    session: *mut et_session,
    torrent: et_storage_index,
    out_stats: *mut et_lookbehind_info,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_stats, "out_stats")?;
            let s = torrent_of(session, torrent)?.lookbehind_stats()?;
            out.write(&et_lookbehind_info {
                struct_size: size_of::<et_lookbehind_info>(),
                protected_pieces: s.protected_pieces,
                available_pieces: s.available_pieces,
                protected_bytes: s.protected_bytes,
                limit_bytes: s.limit_bytes,
                hits: s.hits,
                misses: s.misses,
            });
            Ok(())
        })
    }
}

/// Reads from a piece that is there, without waiting and without wanting it: the bytes from `offset` in the piece on.
///
/// out_n: bytes read, less than `len` at the piece's end. Errors: `ET_ERR_WOULD_BLOCK` where the piece is not there,
/// `ET_ERR_INVALID_ARGUMENT` for no such piece or an offset beyond it, `ET_ERR_NO_METADATA`, `ET_ERR_IO` (the disk failed). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_storage_read(
    session: *mut et_session,
    torrent: et_storage_index,
    piece: et_piece_index,
    offset: u64,
    buf: *mut c_void,
    len: usize,
    out_n: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_n, "out_n")?;
            let torrent = torrent_of(session, torrent)?;
            out.write(torrent.read_piece_into(piece.into(), offset, buffer_in(buf, len, "buf")?)?);
            Ok(())
        })
    }
}
