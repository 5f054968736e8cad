//! `et_session`.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::bytes::{Out, bytes_in, slice_out, text_in};
use super::constants::et_remove_flags;
use super::error::{et_error, et_status};
use super::guard::{guard, guard_value};
use super::handle;
use super::handle::Object;
use super::settings::{et_settings, settings_of};
use crate::alert::record::{et_info_hashes, et_storage_index};
use crate::base::error::{Error, Result};
use crate::session::{RemoveFlags, Session, StorageIndex};
use crate::settings::Changes;

/// How long `et_session_free` waits for a session that was not closed.
const FREE_TIMEOUT: Duration = Duration::from_secs(10);

/// A session: its torrents, sockets, threads, memory and alerts. Sessions share nothing.
///
/// Made by `et_session_open`, ended by `et_session_free`.
pub struct et_session {
    _opaque: [u8; 0],
}

impl Object for et_session {
    type Value = SessionHandle;
    const MAGIC: u64 = 0x6574_5f73_6573_7369;
    const NAME: &'static str = "session";
}

/// What stands behind an `et_session`.
#[derive(Clone)]
pub(super) struct SessionHandle {
    pub(super) session: Session,
    /// Set before the session closes, and seen by its readers: from then on every call is told so.
    pub(super) closed: Arc<AtomicBool>,
}

impl SessionHandle {
    pub(super) fn open(&self) -> Result<&Session> {
        if self.closed.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(&self.session) }
    }

    fn close(&self, timeout: Option<Duration>) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        // At once, however long the rest takes: whoever waits for alerts is to know.
        self.session.alerts().close();
        self.session.close(timeout)
    }
}

/// The session behind a handle, unless it was closed.
///
/// # Safety
/// `session` is NULL or a handle that is not freed while the reference is used.
pub(super) unsafe fn session_of<'a>(session: *const et_session) -> Result<&'a Session> {
    // SAFETY: as the caller promised.
    unsafe { handle::get(session) }?.open()
}

/// What a reader keeps of its session.
///
/// # Safety
/// As for [`session_of`].
pub(super) unsafe fn closed_flag_of(session: *const et_session) -> Result<Arc<AtomicBool>> {
    // SAFETY: as the caller promised.
    Ok(unsafe { handle::get(session) }?.closed.clone())
}

/// Milliseconds from C: 0 is not at all, negative is for ever.
pub(super) fn timeout(milliseconds: i64) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

/// Opens a session: it listens, and its threads run.
///
/// settings: copied; NULL where none is to be set. state, state_len: what `et_session_save_state` gave, or {NULL, 0}. What is set in
/// `settings` holds; else what the state says; else the default. Free the session with `et_session_free`.
///
/// A port that is taken is no error: an `et_listen_failed_alert` tells.
/// Errors: `ET_ERR_INVALID_ARGUMENT`, `ET_ERR_PARSE` for a damaged state, `ET_ERR_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_open(
    settings: *mut et_settings,
    state: *const c_void,
    state_len: usize,
    out_session: *mut *mut et_session,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_session, "out_session")?;
            let state = bytes_in(state, state_len, "state")?;
            let settings = if settings.is_null() { Changes::default() } else { settings_of(settings)?.lock().clone() };
            let session = Session::open_with(&settings, state)?;
            out.write(handle::new(SessionHandle { session, closed: Arc::default() }));
            Ok(())
        })
    }
}

/// Closes a session: trackers are told, sockets and threads end, every wait in another thread returns.
///
/// From the moment of the call every other call on the session and its readers gives `ET_ERR_CLOSED`; the handles stay
/// until they are freed. Closing again waits again. Alerts not popped by then are gone.
///
/// timeout_ms: how long to wait for what still runs; 0: not at all, negative: until it is done.
/// Errors: `ET_ERR_TIMED_OUT` (closing goes on by itself). Any thread, at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_close(
    session: *mut et_session,
    timeout_ms: i64,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's. The clone lets the wait outlast a free that comes too early.
    unsafe { guard(error, || handle::get(session)?.clone().close(timeout(timeout_ms))) }
}

/// Frees a session; one that was not closed is closed, which takes 10 seconds at most. NULL does nothing.
///
/// Its readers are freed by themselves, before or after. Any thread, but not while another is in a call on this session:
/// close it and let those return first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_free(session: *mut et_session) {
    guard_value((), || {
        // SAFETY: NULL or a handle that the caller gives up.
        let Some(handle) = (unsafe { handle::free(session) }) else { return };
        if !handle.closed.load(Ordering::Acquire) {
            // What does not end in time ends by itself.
            let _ = handle.close(Some(FREE_TIMEOUT));
        }
    });
}

/// Applies settings to a running session: those that are set in `settings`; the others stay as they are. All of them or, on an
/// error, none.
///
/// They count at once: for all that begins from then on, and for torrents that are just being added too. Two threads that apply different settings at once do not
/// undo each other's, unless they do it with copies of the whole (`et_session_settings`).
/// Errors: `ET_ERR_UNSUPPORTED` for another value of a setting that is not `live` (see `et_settings_describe`). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_apply_settings(
    session: *mut et_session,
    settings: *mut et_settings,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let settings = settings_of(settings)?.lock().clone();
            session_of(session)?.change_settings(&settings)
        })
    }
}

/// Gives a copy of the session's settings: those that have an effect are all set in it. Free it with `et_settings_free`. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_settings(
    session: *mut et_session,
    out_settings: *mut *mut et_settings,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_settings, "out_settings")?;
            let settings = session_of(session)?.settings()?;
            out.write(handle::new(Mutex::new(Changes::from(settings))));
            Ok(())
        })
    }
}

/// Gives what is worth keeping of a session: settings, DHT nodes and identity, and the counters `all_time_download` and
/// `all_time_upload` of `et_session_stats_info`. For `et_session_open`.
///
/// Torrents are not in it, nor what was counted of each. Errors: `ET_ERR_BUFFER_TOO_SMALL`. The state may have grown by the next call. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_save_state(
    session: *mut et_session,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || slice_out(buf.cast::<u8>(), cap, len, &session_of(session)?.save_state()?)) }
}

/// Pauses the session: all its torrents, those that are added later or at the same time too, without changing their own paused
/// flag. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_pause(session: *mut et_session, error: *mut et_error) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || session_of(session)?.pause()) }
}

/// Ends `et_session_pause`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_resume(session: *mut et_session, error: *mut et_error) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || session_of(session)?.resume()) }
}

/// Is the session paused? 1 or 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_is_paused(
    session: *mut et_session,
    out_paused: *mut i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_paused, "out_paused")?;
            out.write(session_of(session)?.is_paused()?.into());
            Ok(())
        })
    }
}

/// Removes a torrent. Its storage index is refused from now on, its readers' calls too; waits on them return.
///
/// flags: `ET_REMOVE_*`, or 0. An `et_torrent_removed_alert` follows when its files are closed; with `ET_REMOVE_DELETE_FILES` an
/// `et_torrent_deleted_alert` or an `et_torrent_delete_failed_alert` after that. A torrent that is added meanwhile finds none of what is
/// being deleted: its check waits. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_remove_torrent(
    session: *mut et_session,
    torrent: et_storage_index,
    flags: et_remove_flags,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let session = session_of(session)?;
            let known = RemoveFlags::all().bits();
            let flags = RemoveFlags::from_bits(flags)
                .ok_or_else(|| Error::invalid(format!("flags are {flags:#x}, allowed are bits of {known:#x}")))?;
            session.remove_torrent(StorageIndex(torrent), flags)
        })
    }
}

/// Gives the storage indexes of all torrents, in the order they were added.
///
/// cap, len: storage indexes. Errors: `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_torrents(
    session: *mut et_session,
    buf: *mut et_storage_index,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let torrents: Vec<_> = session_of(session)?.torrents()?.iter().map(|t| t.0).collect();
            slice_out(buf, cap, len, &torrents)
        })
    }
}

/// Finds a torrent by its info-hashes: v1 or v2 alike is enough.
///
/// Errors: `ET_ERR_NOT_FOUND`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_find_torrent(
    session: *mut et_session,
    info_hashes: *const et_info_hashes,
    out_torrent: *mut et_storage_index,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_torrent, "out_torrent")?;
            let session = session_of(session)?;
            let hashes = super::info_hash::hashes_in(info_hashes)?;
            out.write(session.find_torrent(&hashes)?.0);
            Ok(())
        })
    }
}

/// Gives the TCP port that the session listens on, the first where there are several; 0 where it listens on none.
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_listen_port(
    session: *mut et_session,
    out_port: *mut u16,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_port, "out_port")?;
            out.write(session_of(session)?.listen_port()?);
            Ok(())
        })
    }
}

/// Tells the DHT of a node: a name or an address, and a port from 1 to 65535.
///
/// The name is looked up later; nothing tells when there is no such host.
/// Errors: `ET_ERR_INVALID_ARGUMENT`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_add_dht_node(
    session: *mut et_session,
    host: *const c_char,
    host_len: usize,
    port: i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let session = session_of(session)?;
            let host = text_in(host, host_len, "host")?;
            if host.is_empty() || host.len() > 255 {
                return Err(Error::invalid(format!("host has {} bytes, allowed are 1 to 255", host.len())));
            }
            session.add_dht_node(host, port_in(port)?)
        })
    }
}

fn port_in(port: i32) -> Result<u16> {
    u16::try_from(port)
        .ok()
        .filter(|p| *p > 0)
        .ok_or_else(|| Error::invalid(format!("port is {port}, allowed is 1 to 65535")))
}
