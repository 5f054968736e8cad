//! `et_session_add_torrent`.

use std::ffi::c_void;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::bytes::{Out, bytes_in, et_str, slice_in, str_in};
use super::constants::{
    ET_STORAGE_DEFAULT, ET_STORAGE_DISK, ET_STORAGE_MEMORY, et_priority, et_storage_kind, et_torrent_flags,
};
use super::endpoint;
use super::error::{et_error, et_status};
use super::guard::guard;
use super::session::{et_session, session_of};
use super::sized::{CStruct, read};
use crate::alert::record::et_storage_index;
use crate::base::error::{Error, Result};
use crate::metainfo::{Magnet, TorrentFile};
use crate::session::{AddTorrentParams, StorageKind, TorrentFlags, TorrentSource};

/// What to add, and how. Set it to zeros, then `struct_size` and what is wanted: zero is each field's default.
///
/// All of it is copied by the call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_add_torrent_params {
    /// `sizeof(et_add_torrent_params)`.
    pub struct_size: usize,
    /// A magnet link, or nothing but an info-hash: 40 hex digits, or 32 of base32. Either this or `torrent`.
    ///
    /// Of a link count `xt` (`urn:btih:`, `urn:btmh:`), `dn`, `tr` and `ws`, `x.pe` (peers) and `dht` (nodes, both host:port),
    /// and `so` (the only files wanted, by index: 0,2,4-7; what is beyond the torrent's files is passed over). Of two hashes of
    /// a kind, and of two names, the last counts, as in libtorrent; `tr.1` is `tr`, and `magnet:///?` is `magnet:?`. All else is
    /// passed over. At most 256 KiB; beyond 1000 trackers, 1000 ranges of files and 100 of the others they are left out, and a
    /// torrent keeps 256 trackers.
    pub magnet: et_str,
    /// The bytes of a torrent file. Either this or `magnet`.
    pub torrent: *const c_void,
    pub torrent_len: usize,
    /// The directory for disk storage; memory storage ignores it. Files that lie there are checked first: what is right of them is
    /// there, and shared, and the rest is fetched.
    pub save_path: et_str,
    /// A priority (0 to 7) a file; files beyond the end have the default: 4 on disk; 0 in memory, where nothing is fetched
    /// that nobody asks for, and with `ET_TORRENT_FLAG_DEFAULT_DONT_DOWNLOAD`. Allowed before the metadata is there.
    pub file_priorities: *const et_priority,
    pub file_priorities_len: usize,
    /// A priority a piece, above those of the files; none: as the files say.
    pub piece_priorities: *const et_priority,
    pub piece_priorities_len: usize,
    /// URLs of trackers beside those of the source, each a tier of its own.
    pub trackers: *const et_str,
    pub trackers_len: usize,
    /// Peers to try: "address:port", "[v6 address]:port".
    pub peers: *const et_str,
    pub peers_len: usize,
    /// `ET_TORRENT_FLAG_*` bits.
    pub flags: et_torrent_flags,
    /// `ET_STORAGE_*`.
    pub storage: et_storage_kind,
    /// Bytes a second, 0: no limit but the session's.
    pub download_limit: u32,
    pub upload_limit: u32,
    /// Peers, 0: as the settings say.
    pub max_connections: u32,
    /// Peers to upload to at once, 0: as the settings say.
    pub max_uploads: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: plain numbers and pointers, `struct_size` first.
unsafe impl CStruct for et_add_torrent_params {}

/// Adds a torrent, and gives its storage index: its name from now on, for a magnet too whose metadata is still to come.
///
/// An `et_add_torrent_alert` tells of it, with the error where there is one; for a magnet an `et_metadata_received_alert` when files and pieces are known. Unless
/// it is added paused it starts at once.
///
/// Errors: `ET_ERR_DUPLICATE_TORRENT` where it is there already: `*out_torrent` is the index of the one that is there, which
/// takes in what is new to it: the metadata, trackers, web seeds, peers and DHT nodes; unless `ET_TORRENT_FLAG_DUPLICATE_IS_ERROR`
/// is set. `ET_ERR_PARSE` for a malformed torrent or magnet, `ET_ERR_INVALID_ARGUMENT`, `ET_ERR_UNSUPPORTED` for a torrent that
/// only has v2 hashes, `ET_ERR_IO` where `save_path` is relative and the working directory is gone. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_add_torrent(
    session: *mut et_session,
    params: *const et_add_torrent_params,
    out_torrent: *mut et_storage_index,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let session = session_of(session)?;
            let no_torrent = |e: &Error| session.add_refused(None, e);
            let out = Out::new(out_torrent, "out_torrent").inspect_err(no_torrent)?;
            let given = read(params, "params").inspect_err(no_torrent)?;
            let mut params = AddTorrentParams::new(source(&given).inspect_err(no_torrent)?);
            take_in(&mut params, &given).inspect_err(|e| session.add_refused(Some(&params.source), e))?;
            let added = session.add_torrent(params);
            if let Some(index) = added.as_ref().map_or_else(|e| e.existing, |i| Some(*i)) {
                out.write(index.0);
            }
            added.map(drop).map_err(|e| e.error)
        })
    }
}

/// All but the source.
///
/// # Safety
/// The pointers in `given` are NULL or point to as much as their lengths say.
unsafe fn take_in(params: &mut AddTorrentParams, given: &et_add_torrent_params) -> Result<()> {
    if given.reserved != 0 {
        return Err(Error::invalid(format!("params->reserved is {}, allowed is 0", given.reserved)));
    }
    // SAFETY: as the caller promised.
    unsafe {
        let save_path = str_in(given.save_path, "params->save_path")?;
        params.save_path = (!save_path.is_empty()).then(|| PathBuf::from(save_path));
        params.file_priorities =
            priorities(given.file_priorities, given.file_priorities_len, "params->file_priorities")?;
        params.piece_priorities =
            priorities(given.piece_priorities, given.piece_priorities_len, "params->piece_priorities")?;
        params.trackers = strings(given.trackers, given.trackers_len, "params->trackers")?;
        params.peers = peers(given)?;
    }
    params.storage = storage(given.storage)?;
    params.flags = flags_in(given.flags)?;
    (params.download_limit, params.upload_limit) = (given.download_limit, given.upload_limit);
    (params.max_connections, params.max_uploads) = (given.max_connections, given.max_uploads);
    Ok(())
}

/// # Safety
/// As for [`take_in`].
unsafe fn source(params: &et_add_torrent_params) -> Result<TorrentSource> {
    // SAFETY: as the caller promised.
    let (magnet, torrent) = unsafe {
        (str_in(params.magnet, "params->magnet")?, bytes_in(params.torrent, params.torrent_len, "params->torrent")?)
    };
    match (magnet.is_empty(), torrent.is_empty()) {
        (false, true) => Ok(TorrentSource::Magnet(Magnet::parse(magnet)?)),
        (true, false) => Ok(TorrentSource::File(TorrentFile::parse(torrent)?)),
        (true, true) => Err(Error::invalid("neither params->magnet nor params->torrent is set")),
        (false, false) => Err(Error::invalid("both params->magnet and params->torrent are set")),
    }
}

fn storage(kind: et_storage_kind) -> Result<Option<StorageKind>> {
    match kind {
        ET_STORAGE_DEFAULT => Ok(None),
        ET_STORAGE_MEMORY => Ok(Some(StorageKind::Memory)),
        ET_STORAGE_DISK => Ok(Some(StorageKind::Disk)),
        _ => Err(Error::invalid(format!("params->storage is {kind}, allowed is 0 to 2"))),
    }
}

/// Flags of a torrent, all of which are known.
pub(super) fn flags_in(flags: et_torrent_flags) -> Result<TorrentFlags> {
    let known = TorrentFlags::all().bits();
    TorrentFlags::from_bits(flags)
        .ok_or_else(|| Error::invalid(format!("flags are {flags:#x}, allowed are bits of {known:#x}")))
}

/// Priorities, each of which is from 0 to 7.
///
/// # Safety
/// `pointer` is NULL or points to `len` priorities.
pub(super) unsafe fn priorities(pointer: *const et_priority, len: usize, name: &str) -> Result<Vec<u8>> {
    // SAFETY: as the caller promised.
    let priorities = unsafe { slice_in(pointer, len, name) }?;
    match priorities.iter().enumerate().find(|(_, p)| **p > 7) {
        Some((i, p)) => Err(Error::invalid(format!("{name}[{i}] is {p}, allowed is 0 to 7"))),
        None => Ok(priorities.to_vec()),
    }
}

/// # Safety
/// `pointer` is NULL or points to `len` strings.
pub(super) unsafe fn strings(pointer: *const et_str, len: usize, name: &str) -> Result<Vec<String>> {
    // SAFETY: as the caller promised.
    let strings = unsafe { slice_in(pointer, len, name) }?;
    // SAFETY: as the caller promised.
    strings.iter().map(|s| unsafe { str_in(*s, name) }.map(str::to_owned)).collect()
}

/// # Safety
/// As for [`take_in`].
unsafe fn peers(params: &et_add_torrent_params) -> Result<Vec<SocketAddr>> {
    // SAFETY: as the caller promised.
    let peers = unsafe { strings(params.peers, params.peers_len, "params->peers") }?;
    peers.iter().map(|p| endpoint::parse(p, "a peer")).collect()
}
