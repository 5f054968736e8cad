//! `et_reader`: a position in a file, and bytes from there.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::bytes::{Out, buffer_in};
use super::constants::{ET_SEEK_CUR, ET_SEEK_END, ET_SEEK_SET, et_whence};
use super::error::{et_error, et_status};
use super::guard::{guard, guard_value};
use super::handle;
use super::handle::Object;
use super::session::{closed_flag_of, et_session, session_of, timeout};
use super::sized::{CStruct, read};
use crate::alert::record::et_storage_index;
use crate::alert::types::et_file_index;
use crate::base::error::{Error, Result, Status};
use crate::session::{Reader, ReaderOptions, StorageIndex, Whence};

/// A reader: a position in one file of a torrent. What it will need next is fetched first.
///
/// Made by `et_reader_open`, ended by `et_reader_free`.
pub struct et_reader {
    _opaque: [u8; 0],
}

impl Object for et_reader {
    type Value = ReaderHandle;
    const MAGIC: u64 = 0x6574_5f72_6561_6472;
    const NAME: &'static str = "reader";
}

/// What stands behind an `et_reader`.
pub(super) struct ReaderHandle {
    /// None once it is closed.
    reader: Mutex<Option<Arc<Reader>>>,
    session_closed: Arc<AtomicBool>,
}

impl ReaderHandle {
    fn open(&self) -> Result<Arc<Reader>> {
        if self.session_closed.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        self.reader.lock().clone().ok_or_else(|| Error::new(Status::Closed, "the reader is closed"))
    }

    /// The outcome of a wait: interrupted by the closing of the reader, or of its session, is closed.
    fn outcome<T>(&self, outcome: Result<T>) -> Result<T> {
        match outcome {
            Err(e) if e.status == Status::Interrupted => self.open().and(Err(e)),
            outcome => outcome,
        }
    }
}

/// How a reader reads. Set it to zeros, then `struct_size` and what is wanted: zero is each field's default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_reader_options {
    /// `sizeof(et_reader_options)`.
    pub struct_size: usize,
    /// Bytes ahead of the position to fetch. 0: what the memory limit allows, once so much was read in one run that it is
    /// no probe (512 KiB, or a piece where that is less); until then two pieces. A reader that nobody reads stays there: to fill
    /// a buffer before playing, call `et_reader_prebuffer`.
    pub lookahead: u64,
    /// Bytes behind the position to keep. 0: a share of the memory, see `reader_lookbehind_percent`; `ET_READER_NONE`.
    pub lookbehind: u64,
    /// Bytes a second at which the file plays, 0: not known. With it each piece has its time.
    pub bitrate: u64,
    /// Bytes at the file's start and end to fetch at once and keep while the reader is open: containers have their index
    /// there. 0: one piece, 8 MiB at most; `ET_READER_NONE`.
    pub pin_head: u64,
    pub pin_tail: u64,
    /// `ET_READER_BACKGROUND`, `ET_READER_UNVERIFIED`.
    pub flags: et_reader_flags,
    /// 0.
    pub reserved: u32,
    /// Where the reader begins, bytes from the file's start: the size of the file at most.
    pub offset: u64,
    /// Where the caller will stop reading, bytes from the file's start; 0: the file's end. Nothing from there on is fetched ahead,
    /// and nothing is pinned but what `pin_head` and `pin_tail` name: a reader for a short range fetches the pieces of that
    /// range. A read beyond it waits for what it reads, and no more. Greater than `offset`; the file's end at most counts.
    pub end: u64,
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_reader_options {}

/// How a reader is: `ET_READER_*` bits.
pub type et_reader_flags = u32;
/// In options where 0 means the default: none at all.
pub const ET_READER_NONE: u64 = 0xffff_ffff_ffff_ffff;
/// The reader comes after those that play: for what will play next. Where they leave no memory, a read of it has some after half a minute.
pub const ET_READER_BACKGROUND: et_reader_flags = 1;
/// The reader gives bytes before their piece is whole and verified: faster, and possibly wrong.
pub const ET_READER_UNVERIFIED: et_reader_flags = 2;

fn options_in(options: &et_reader_options) -> Result<ReaderOptions> {
    let known = ET_READER_BACKGROUND | ET_READER_UNVERIFIED;
    if options.flags & !known != 0 {
        return Err(Error::invalid(format!("options->flags are {:#x}, allowed are bits of {known:#x}", options.flags)));
    }
    if options.reserved != 0 {
        return Err(Error::invalid(format!("options->reserved is {}, allowed is 0", options.reserved)));
    }
    let bytes = |v: u64| match v {
        0 => None,
        ET_READER_NONE => Some(0),
        v => Some(v),
    };
    Ok(ReaderOptions {
        offset: options.offset,
        end: (options.end != 0).then_some(options.end),
        lookahead: bytes(options.lookahead),
        lookbehind: bytes(options.lookbehind),
        bitrate: options.bitrate,
        pin_head: bytes(options.pin_head),
        pin_tail: bytes(options.pin_tail),
        background: options.flags & ET_READER_BACKGROUND != 0,
        unverified: options.flags & ET_READER_UNVERIFIED != 0,
    })
}

/// # Safety
/// `options` is NULL or points to options.
unsafe fn options_or_defaults(options: *const et_reader_options) -> Result<ReaderOptions> {
    if options.is_null() {
        return Ok(ReaderOptions::default());
    }
    // SAFETY: as the caller promised.
    options_in(&unsafe { read(options, "options") }?)
}

/// # Safety
/// `reader` is NULL or a handle that is not freed while the reference is used.
unsafe fn handle_of<'a>(reader: *const et_reader) -> Result<&'a ReaderHandle> {
    // SAFETY: as the caller promised.
    unsafe { handle::get(reader) }
}

/// The reader behind a handle, unless it or its session was closed, or its torrent removed.
///
/// # Safety
/// As for [`handle_of`].
pub(super) unsafe fn reader_of(reader: *const et_reader) -> Result<Arc<Reader>> {
    // SAFETY: as the caller promised.
    let reader = unsafe { handle_of(reader) }?.open()?;
    reader.check()?;
    Ok(reader)
}

/// Opens a reader on a file, at its start or at `options->offset`. Fetching begins at once, and there. Free it with
/// `et_reader_free`.
///
/// options: NULL for the defaults. A torrent may have many readers; a paused one's wait until it runs.
/// Errors: `ET_ERR_NO_METADATA`, `ET_ERR_INVALID_ARGUMENT` for no such file or an offset that is not in it,
/// `ET_ERR_OUT_OF_MEMORY` in memory storage where one piece is larger than `memory_limit`, unless `ET_READER_UNVERIFIED` is set.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_open(
    session: *mut et_session,
    torrent: et_storage_index,
    file: et_file_index,
    options: *const et_reader_options,
    out_reader: *mut *mut et_reader,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_reader, "out_reader")?;
            let session_closed = closed_flag_of(session)?;
            let session = session_of(session)?;
            let options = options_or_defaults(options)?;
            let reader = session.open_reader(StorageIndex(torrent), file_in(file)?, options)?;
            out.write(handle::new(ReaderHandle { reader: Mutex::new(Some(Arc::new(reader))), session_closed }));
            Ok(())
        })
    }
}

fn file_in(file: et_file_index) -> Result<u32> {
    u32::try_from(file).map_err(|_| Error::invalid(format!("file is {file}, allowed is 0 and above")))
}

/// Closes a reader: a read in another thread returns, and from now on every call gives `ET_ERR_CLOSED`. The handle stays
/// until it is freed. Closing again does nothing. Any thread, at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_close(reader: *mut et_reader, error: *mut et_error) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            // Bound first: the lock must not be held while the reader goes.
            let open = handle_of(reader)?.reader.lock().take();
            if let Some(reader) = open {
                reader.interrupt();
            }
            Ok(())
        })
    }
}

/// Frees a reader, before or after its session. NULL does nothing.
///
/// Any thread, but not while another is in a call on this reader: close it and let that return first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_free(reader: *mut et_reader) {
    // SAFETY: NULL or a handle that the caller gives up.
    guard_value((), || drop(unsafe { handle::free(reader) }));
}

/// Reads from the position on, and moves it: what is there, at least one byte, waiting where nothing is.
///
/// timeout_ms: 0 is not at all, negative is for ever. out_n: bytes read; 0 only for a `len` of 0. `buf` need not hold
/// anything before.
/// Errors: `ET_ERR_END_OF_FILE`; `ET_ERR_WOULD_BLOCK` (where the timeout is 0), `ET_ERR_TIMED_OUT`,
/// `ET_ERR_INTERRUPTED`, `ET_ERR_CLOSED`, `ET_ERR_INVALID_STORAGE_INDEX` (the torrent was removed), `ET_ERR_IO` (the disk
/// failed): in all of them nothing was consumed. `ET_ERR_BUSY` where another thread reads or seeks.
///
/// A torrent that an error stopped (`et_torrent_error`) keeps nobody waiting: where the bytes are not here, a read ends
/// with that error at once, until the torrent is resumed. So does one whose piece is larger than `memory_limit`, in memory
/// storage (where the limit was lowered) or on its way to disk: `ET_ERR_OUT_OF_MEMORY`, until it is raised. What is here can be
/// read still.
///
/// What is on disk is read from there, however long the disk takes. Where the process has no descriptor to open its file with,
/// that is tried again for five seconds before it is the disk's failure, with a timeout of 0, too; any other timeout, and
/// `et_reader_interrupt`, end it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_read(
    reader: *mut et_reader,
    buf: *mut c_void,
    len: usize,
    timeout_ms: i64,
    out_n: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_n, "out_n")?;
            let handle = handle_of(reader)?;
            let reader = handle.open()?;
            let buf = buffer_in(buf, len, "buf")?;
            let read = if len == 0 { reader.check().map(|()| 0) } else { reader.read_into(buf, timeout(timeout_ms)) };
            out.write(handle.outcome(read)?);
            Ok(())
        })
    }
}

/// Reads from `offset` in the file on, and moves no position: what is there, at least one byte, waiting where nothing is.
///
/// While it waits, what it waits for is fetched first. Several threads may do this at once.
/// timeout_ms, out_n, errors: as `et_reader_read`, but never `ET_ERR_BUSY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_read_at(
    reader: *mut et_reader,
    offset: u64,
    buf: *mut c_void,
    len: usize,
    timeout_ms: i64,
    out_n: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_n, "out_n")?;
            let handle = handle_of(reader)?;
            let reader = handle.open()?;
            let buf = buffer_in(buf, len, "buf")?;
            out.write(handle.outcome(if len == 0 {
                reader.check().map(|()| 0)
            } else {
                reader.read_at_into(offset, buf, timeout(timeout_ms))
            })?);
            Ok(())
        })
    }
}

/// Moves the position. What is fetched follows at once.
///
/// whence: `ET_SEEK_*`. out_position: the new position, bytes from the file's start; may be NULL. The end of the file is
/// allowed, beyond it is not.
/// Errors: `ET_ERR_INVALID_ARGUMENT`, `ET_ERR_BUSY` where another thread reads or seeks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_seek(
    reader: *mut et_reader,
    offset: i64,
    whence: et_whence,
    out_position: *mut u64,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = if out_position.is_null() { None } else { Some(Out::new(out_position, "out_position")?) };
            let position = reader_of(reader)?.seek(offset, whence_in(whence)?)?;
            if let Some(out) = out {
                out.write(position);
            }
            Ok(())
        })
    }
}

fn whence_in(whence: et_whence) -> Result<Whence> {
    match whence {
        ET_SEEK_SET => Ok(Whence::Set),
        ET_SEEK_CUR => Ok(Whence::Current),
        ET_SEEK_END => Ok(Whence::End),
        _ => Err(Error::invalid(format!("whence is {whence}, allowed is 0 to 2"))),
    }
}

/// Gives the size of the reader's file, bytes. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_size(reader: *mut et_reader, out_size: *mut u64, error: *mut et_error) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_size, "out_size")?;
            out.write(reader_of(reader)?.size());
            Ok(())
        })
    }
}

/// Gives the number that alerts name this reader by. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_id(reader: *mut et_reader, out_id: *mut u64, error: *mut et_error) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_id, "out_id")?;
            out.write(reader_of(reader)?.id());
            Ok(())
        })
    }
}

/// Gives a file descriptor that is readable while a read would not wait: for epoll, poll, kqueue. -1 where the platform
/// has none.
///
/// From the first call on, a read with a timeout of 0 that gets `ET_ERR_WOULD_BLOCK` counts as one that waits, on this
/// descriptor: what it wants is fetched first, until it is there or the reader seeks or closes.
///
/// It is the reader's: do not read, write or close it. It is gone when the reader is closed or freed.
/// Errors: `ET_ERR_IO` where the process may have no more descriptors. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_fd(reader: *mut et_reader, out_fd: *mut i32, error: *mut et_error) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_fd, "out_fd")?;
            out.write(reader_of(reader)?.fd()?);
            Ok(())
        })
    }
}

/// Makes a read that waits return `ET_ERR_INTERRUPTED`; where none does, the next one that would wait.
///
/// One interrupt ends one read. Any thread, at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_interrupt(reader: *mut et_reader, error: *mut et_error) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            reader_of(reader)?.interrupt();
            Ok(())
        })
    }
}

/// Gives a reader other options while it is open, as if it had been opened with them where it stands: one in the
/// background plays from now on, or looks further ahead. What is fetched follows at once. A prebuffer that was asked for
/// is over.
///
/// options: all of them, not the changes alone; NULL for the defaults. Errors: `ET_ERR_INVALID_ARGUMENT` where
/// `ET_READER_UNVERIFIED` is not as it was when the reader was opened. `offset` counts at the opening alone. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_set_options(
    reader: *mut et_reader,
    options: *const et_reader_options,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || reader_of(reader)?.set_options(options_or_defaults(options)?)) }
}

/// Fetches the file's first `head_bytes` and last `tail_bytes` before anything else of it, wherever the position is (only
/// what a read waits for comes first), and keeps them while the reader is open.
///
/// As far as memory allows: a quarter of the reader's share of the limit is kept so, half of it for each end where both
/// want more. From a position within the head on, what is more is fetched as part of the lookahead, and kept until it is
/// read. A later call can only add to what is kept. On disk nothing has to be kept.
/// How far it is, `et_reader_status` and `et_prebuffer_progress_alert` tell. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_reader_prebuffer(
    reader: *mut et_reader,
    head_bytes: u64,
    tail_bytes: u64,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || reader_of(reader)?.prebuffer(head_bytes, tail_bytes)) }
}
