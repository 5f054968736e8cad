//! Alerts: popping, waiting, walking, telling.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

use super::bytes::{Out, begin_output, buffer_in, check_apart, slice_in};
use super::error::{et_error, et_status};
use super::guard::{guard, guard_value};
use super::handle;
use super::record::next;
use super::session::{et_session, session_of, timeout};
use super::sized::{CStruct, OutStruct};
use crate::alert::kind;
use crate::alert::message::{write_message, write_messages};
use crate::alert::record::et_alert;
use crate::alert::types::{et_alert_categories, et_alert_type};
use crate::base::error::{Error, Result, Status};
use crate::session::Session;
use crate::settings::{Changes, Value};

/// What `et_session_pop_alerts` brought.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_alert_batch {
    /// `sizeof(et_alert_batch)`.
    pub struct_size: usize,
    /// Bytes of records in the buffer.
    pub bytes: usize,
    /// Records in the buffer.
    pub count: usize,
    /// Records that still wait.
    pub remaining: usize,
    /// Bytes of the next record, 0 where none waits.
    pub needed: usize,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_alert_batch {}

/// Moves alerts into the caller's buffer: as many whole records as fit, oldest first. What does not fit stays.
///
/// buf: aligned to 8 bytes; {NULL, 0} asks what waits. The records are the caller's: walk them with `et_alert_next`. No
/// alert is no error: `count` is 0.
/// Errors: `ET_ERR_BUFFER_TOO_SMALL` where not even the next record fits; `out_batch` is filled in then too, and its
/// `needed` tells how much that takes. Any thread; where several pop, each alert goes to one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_pop_alerts(
    session: *mut et_session,
    buf: *mut c_void,
    cap: usize,
    out_batch: *mut et_alert_batch,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_batch, "out_batch")?;
            if !buf.cast::<u64>().is_aligned() {
                return Err(Error::invalid("buf is not aligned to 8 bytes"));
            }
            let asks = buf.is_null();
            let popped = session_of(session)?.alerts().pop_into(buffer_in(buf, cap, "buf")?);
            out.write(&et_alert_batch {
                struct_size: size_of::<et_alert_batch>(),
                bytes: popped.bytes,
                count: popped.count,
                remaining: popped.remaining,
                needed: popped.needed,
            });
            if popped.count == 0 && popped.remaining > 0 && !asks {
                let message = format!("buf has {cap} bytes, the next alert takes {}", popped.needed);
                return Err(Error::new(Status::BufferTooSmall, message));
            }
            Ok(())
        })
    }
}

/// Waits until an alert can be popped.
///
/// timeout_ms: 0 is not at all, negative is for ever. Errors: `ET_ERR_TIMED_OUT`, `ET_ERR_WOULD_BLOCK` (where the timeout
/// is 0), `ET_ERR_CLOSED` as soon as the session is closed. Any thread; several may wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_wait_alerts(
    session: *mut et_session,
    timeout_ms: i64,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's. The clone lets the wait outlast a free that comes too early.
    unsafe {
        guard(error, || {
            let handle = handle::get(session)?.clone();
            let any = handle.open()?.alerts().wait(timeout(timeout_ms));
            handle.open()?;
            match any {
                true => Ok(()),
                false if timeout_ms == 0 => Err(Error::new(Status::WouldBlock, "no alert waits")),
                false => Err(Error::new(Status::TimedOut, format!("no alert in {timeout_ms} ms"))),
            }
        })
    }
}

/// Gives a file descriptor that is readable while an alert can be popped, and from the session's closing on: for epoll,
/// poll, kqueue. -1 where the platform has none.
///
/// It is the session's: do not read, write or close it. It is gone when the session is freed.
/// Errors: `ET_ERR_IO` where the process may have no more descriptors. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_alert_fd(
    session: *mut et_session,
    out_fd: *mut i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_fd, "out_fd")?;
            out.write(session_of(session)?.alerts().fd()?);
            Ok(())
        })
    }
}

/// Sets which categories of alerts are posted from now on: `ET_ALERT_CATEGORY_*` bits, as the `alert_mask` setting does.
///
/// Whatever the mask, these come: `et_add_torrent_alert`, `et_torrent_removed_alert`, `et_torrent_deleted_alert` and
/// `et_torrent_delete_failed_alert`, each the answer to a call; `et_listen_failed_alert`; `et_alerts_dropped_alert`. All others
/// come by their categories, what follows a pause, a resume, a recheck, a dial or a prebuffer too. Bits that mean nothing yet
/// are allowed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_session_set_alert_mask(
    session: *mut et_session,
    mask: et_alert_categories,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || set_mask(session_of(session)?, mask)) }
}

/// By way of the settings, so that they tell what holds.
fn set_mask(session: &Session, mask: u64) -> Result<()> {
    let mask = i64::try_from(mask & super::constants::ET_ALERT_CATEGORY_ALL).unwrap_or(-1);
    let mut changes = Changes::default();
    changes.set("alert_mask", Value::Int(mask))?;
    session.change_settings(&changes)
}

/// Walks a popped buffer: gives the alert at `*cursor` and moves the cursor behind it, NULL at the end. Begin with 0.
///
/// len: `bytes` of the batch. The pointer is into the caller's buffer; cast it by its `type`. NULL too where the buffer
/// holds no whole record at the cursor, or is not aligned to 8 bytes. Any thread.
///
/// ```c
/// size_t cursor = 0;
/// const et_alert *alert;
/// while ((alert = et_alert_next(buf, batch.bytes, &cursor)) != NULL) { ... }
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_alert_next(buf: *const c_void, len: usize, cursor: *mut usize) -> *const et_alert {
    // SAFETY: the pointers are NULL or the caller's.
    guard_value(std::ptr::null(), || unsafe { next(buf.cast(), len, cursor, size_of::<et_alert>()) }.cast())
}

/// Gives a line about an alert for logs: UTF-8, no control characters, no passkeys, no NUL.
///
/// Its wording may change with any version; read the fields for anything but logs.
/// Errors: `ET_ERR_PARSE` for what is no alert's record, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_alert_message(
    alert: *const et_alert,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's; a record has `size` readable bytes.
    unsafe {
        guard(error, || {
            let record = record_of(alert)?;
            text_made(buf, cap, len, record, write_message)
        })
    }
}

/// Gives the lines of `et_alert_message` for a buffer of alerts, one after the other, each ended by a newline: for programs
/// that log all they pop, and for bindings to which a call is work.
///
/// records, records_len: popped alerts, `bytes` of the batch, or a part of them from one alert's start to another's end.
/// Errors: `ET_ERR_PARSE` where it is not whole records of alerts to its end, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_alert_messages(
    records: *const c_void,
    records_len: usize,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let records: &[u8] = slice_in(records.cast(), records_len, "records")?;
            if !records.as_ptr().cast::<u64>().is_aligned() && !records.is_empty() {
                return Err(Error::invalid("records is not aligned to 8 bytes"));
            }
            text_made(buf, cap, len, records, write_messages)
        })
    }
}

/// Has text made of records, in the caller's buffer. `make` gives the bytes it takes, `None` where they are no records.
///
/// # Safety
/// As for [`begin_output`].
unsafe fn text_made(
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    records: &[u8],
    make: impl FnOnce(&[u8], &mut [MaybeUninit<u8>]) -> Option<usize>,
) -> Result<()> {
    check_apart(records, buf, cap, "buf")?;
    // SAFETY: as the caller promised; `buf` does not lie over `records`.
    unsafe {
        let needed = make(records, buffer_in(buf.cast(), cap, "buf")?).ok_or_else(no_record)?;
        begin_output(buf, cap, len, needed)
    }
}

fn no_record() -> Error {
    Error::new(Status::Parse, "what is given is no alert's record")
}

/// # Safety
/// `alert` is NULL or points to a whole record, which nobody writes to while the slice is used.
unsafe fn record_of<'a>(alert: *const et_alert) -> Result<&'a [u8]> {
    if alert.is_null() {
        return Err(Error::new(Status::NullPointer, "alert is NULL"));
    }
    if !alert.is_aligned() {
        return Err(no_record());
    }
    // SAFETY: not NULL, aligned; a record begins with its size.
    let size = unsafe { alert.cast::<u32>().read() } as usize;
    let mut cursor = 0;
    // SAFETY: a record has `size` readable bytes.
    let record = unsafe { next(alert.cast(), size, &raw mut cursor, size_of::<et_alert>()) };
    if record.is_null() {
        return Err(no_record());
    }
    // SAFETY: as above; `next` has checked the size.
    Ok(unsafe { std::slice::from_raw_parts(record, size) })
}

/// The name of an alert's type, such as "piece_finished"; "unknown" for a number that is none. Never NULL.
///
/// Any thread. The string is the library's, and stays for good.
#[unsafe(no_mangle)]
pub extern "C" fn et_alert_type_name(r#type: et_alert_type) -> *const c_char {
    guard_value(c"unknown".as_ptr(), || kind::by_id(r#type).map_or(c"unknown", |k| k.c_name).as_ptr())
}
