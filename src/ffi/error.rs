//! `et_status` and `et_error`.

use std::ffi::c_char;
use std::mem::offset_of;

use super::guard::guard_value;
use super::sized::{CStruct, OutStruct};
use crate::alert::types::et_operation;
use crate::base::error::{Error, Result};
use crate::base::text::{cut, sanitise};

pub use crate::alert::types::et_status;

/// Done.
pub const ET_OK: et_status = 0;
/// A value is not allowed here: a number out of range, an unknown flag, text that is not UTF-8. The message names it.
pub const ET_ERR_INVALID_ARGUMENT: et_status = 10;
/// A pointer is NULL that may not be.
pub const ET_ERR_NULL_POINTER: et_status = 11;
/// The session, or the reader, was closed.
pub const ET_ERR_CLOSED: et_status = 20;
/// No torrent of this session has, or has any more, that storage index.
pub const ET_ERR_INVALID_STORAGE_INDEX: et_status = 21;
/// There is no such thing.
pub const ET_ERR_NOT_FOUND: et_status = 22;
/// The torrent is in the session already; its storage index was given.
pub const ET_ERR_DUPLICATE_TORRENT: et_status = 23;
/// The torrent's metadata is not here yet.
pub const ET_ERR_NO_METADATA: et_status = 24;
/// The buffer is too small; the length it takes was given. Nothing was consumed.
pub const ET_ERR_BUFFER_TOO_SMALL: et_status = 30;
/// There is nothing now, and the call was told not to wait.
pub const ET_ERR_WOULD_BLOCK: et_status = 31;
/// The time was up.
pub const ET_ERR_TIMED_OUT: et_status = 32;
/// Another thread interrupted the wait.
pub const ET_ERR_INTERRUPTED: et_status = 33;
/// The position is at the end of the file.
pub const ET_ERR_END_OF_FILE: et_status = 34;
/// Another thread is reading from, or seeking, this reader.
pub const ET_ERR_BUSY: et_status = 35;
/// A torrent file, magnet or other input is malformed.
pub const ET_ERR_PARSE: et_status = 40;
/// There is no setting of that name; the message tells the nearest.
pub const ET_ERR_UNKNOWN_SETTING: et_status = 41;
/// A file could not be read or written; see `os_error` and `operation`.
pub const ET_ERR_IO: et_status = 50;
/// A socket or a name could not be used; see `os_error` and `operation`.
pub const ET_ERR_NETWORK: et_status = 51;
/// It does not fit into the memory limit.
pub const ET_ERR_OUT_OF_MEMORY: et_status = 52;
/// This version cannot do that.
pub const ET_ERR_UNSUPPORTED: et_status = 60;
/// A fault inside the library. The call did nothing more; please report it.
pub const ET_ERR_PANIC: et_status = 90;

/// Bytes of `et_error.message`, the NUL included.
pub const ET_ERROR_MESSAGE_SIZE: usize = 256;

/// What went wrong, in detail. Set `struct_size`, pass its address as a call's last argument, or NULL there.
///
/// One whose `struct_size` is not set (0, or less than a `size_t` has) or that is not aligned makes every call that gets it return
/// `ET_ERR_INVALID_ARGUMENT`, do nothing else, and write nothing, no message either.
/// Each call that takes it fills it in, on success too (`ET_OK`, an empty message). It belongs to the caller; use one a
/// thread.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_error {
    /// `sizeof(et_error)`.
    pub struct_size: usize,
    /// What the call returned.
    pub status: et_status,
    /// The operating system's error number (`errno`), 0 where there is none.
    pub os_error: i32,
    /// What was being done: `ET_OPERATION_*`.
    pub operation: et_operation,
    /// 0.
    pub reserved: u32,
    /// A line for people: UTF-8, without control characters, ended by NUL.
    pub message: [c_char; ET_ERROR_MESSAGE_SIZE],
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_error {}

static NONE: et_error = et_error {
    struct_size: size_of::<et_error>(),
    status: ET_OK,
    os_error: 0,
    operation: 0,
    reserved: 0,
    message: [0; ET_ERROR_MESSAGE_SIZE],
};

impl Default for et_error {
    fn default() -> Self {
        NONE
    }
}

impl et_error {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            status: error.status as et_status,
            os_error: error.os_error,
            operation: error.operation as et_operation,
            message: chars(&sanitise(&error.message)),
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(super) fn message(&self) -> &str {
        std::ffi::CStr::from_bytes_until_nul(zerocopy::IntoBytes::as_bytes(&self.message))
            .expect("NUL")
            .to_str()
            .expect("UTF-8")
    }
}

/// Text in a fixed array: cut between characters, ended by NUL.
pub(super) fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let mut chars = [0; N];
    for (to, from) in chars.iter_mut().zip(cut(text, N.saturating_sub(1)).bytes()) {
        *to = from.cast_signed() as c_char;
    }
    chars
}

/// Where the caller wants the error, if anywhere.
pub(super) struct ErrorSlot(Option<OutStruct<et_error>>);

impl ErrorSlot {
    /// # Safety
    /// `error` is NULL or points to an `et_error` whose `struct_size` bytes may be written.
    pub(super) unsafe fn new(error: *mut et_error) -> Result<Self> {
        if error.is_null() {
            return Ok(Self(None));
        }
        // SAFETY: as the caller promised.
        unsafe { OutStruct::new(error, "error") }.map(|out| Self(Some(out)))
    }

    pub(super) fn report(&self, outcome: &Result<()>) {
        let Some(out) = &self.0 else { return };
        match outcome {
            // An empty message is its first byte: calls that succeed are to cost nothing.
            Ok(()) => out.write_start(&NONE, offset_of!(et_error, message) + 1),
            Err(error) => out.write(&et_error::of(error)),
        }
    }
}

/// The name of a status, such as "ET_ERR_CLOSED"; "ET_ERR_UNKNOWN" for a number that is none. Never NULL.
///
/// Any thread. The string is the library's, and stays for good.
#[unsafe(no_mangle)]
pub extern "C" fn et_status_name(status: et_status) -> *const c_char {
    guard_value(c"ET_ERR_UNKNOWN".as_ptr(), || {
        let name = match status {
            ET_OK => c"ET_OK",
            ET_ERR_INVALID_ARGUMENT => c"ET_ERR_INVALID_ARGUMENT",
            ET_ERR_NULL_POINTER => c"ET_ERR_NULL_POINTER",
            ET_ERR_CLOSED => c"ET_ERR_CLOSED",
            ET_ERR_INVALID_STORAGE_INDEX => c"ET_ERR_INVALID_STORAGE_INDEX",
            ET_ERR_NOT_FOUND => c"ET_ERR_NOT_FOUND",
            ET_ERR_DUPLICATE_TORRENT => c"ET_ERR_DUPLICATE_TORRENT",
            ET_ERR_NO_METADATA => c"ET_ERR_NO_METADATA",
            ET_ERR_BUFFER_TOO_SMALL => c"ET_ERR_BUFFER_TOO_SMALL",
            ET_ERR_WOULD_BLOCK => c"ET_ERR_WOULD_BLOCK",
            ET_ERR_TIMED_OUT => c"ET_ERR_TIMED_OUT",
            ET_ERR_INTERRUPTED => c"ET_ERR_INTERRUPTED",
            ET_ERR_END_OF_FILE => c"ET_ERR_END_OF_FILE",
            ET_ERR_BUSY => c"ET_ERR_BUSY",
            ET_ERR_PARSE => c"ET_ERR_PARSE",
            ET_ERR_UNKNOWN_SETTING => c"ET_ERR_UNKNOWN_SETTING",
            ET_ERR_IO => c"ET_ERR_IO",
            ET_ERR_NETWORK => c"ET_ERR_NETWORK",
            ET_ERR_OUT_OF_MEMORY => c"ET_ERR_OUT_OF_MEMORY",
            ET_ERR_UNSUPPORTED => c"ET_ERR_UNSUPPORTED",
            ET_ERR_PANIC => c"ET_ERR_PANIC",
            _ => c"ET_ERR_UNKNOWN",
        };
        name.as_ptr()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Operation, Status};

    #[test]
    fn messages_are_clean_and_cut() {
        let error = Error::new(Status::Network, format!("http://t/secret\n{}", "é".repeat(300)))
            .with_operation(Operation::Connect);
        let c = et_error::of(&error);
        assert_eq!((c.status, c.operation), (51, 16));
        let message = c.message();
        assert!(message.starts_with("http://t/… é") && message.ends_with('é') && message.len() <= 255, "{message}");
    }

    #[test]
    fn every_status_has_its_name() {
        let all = [
            Status::Ok,
            Status::InvalidArgument,
            Status::NullPointer,
            Status::Closed,
            Status::InvalidStorageIndex,
            Status::NotFound,
            Status::DuplicateTorrent,
            Status::NoMetadata,
            Status::BufferTooSmall,
            Status::WouldBlock,
            Status::TimedOut,
            Status::Interrupted,
            Status::EndOfFile,
            Status::Busy,
            Status::Parse,
            Status::UnknownSetting,
            Status::Io,
            Status::Network,
            Status::OutOfMemory,
            Status::Unsupported,
            Status::Panic,
        ];
        for status in all {
            // SAFETY: the names are static strings.
            let name =
                unsafe { std::ffi::CStr::from_ptr(et_status_name(status as et_status)) }.to_str().expect("ASCII");
            let flat = name.trim_start_matches("ET_").trim_start_matches("ERR_").replace('_', "");
            assert_eq!(flat.to_lowercase(), format!("{status:?}").to_lowercase());
        }
        for number in [-1, 1, i32::MIN, i32::MAX] {
            // SAFETY: as above.
            let name = unsafe { std::ffi::CStr::from_ptr(et_status_name(number)) };
            assert_eq!(name, c"ET_ERR_UNKNOWN");
        }
    }
}
