//! Records: how everything with strings in it leaves the library, alerts and lists alike.

use std::ffi::c_void;

use super::bytes::begin_output;
use super::guard::guard_value;
use crate::alert::pack::{Strings, put_record};
use crate::base::error::Result;
use zerocopy::{Immutable, IntoBytes};

/// Bytes that every record begins with: its size and one more number.
const MIN_RECORD: usize = 8;

/// Walks a buffer of records: gives the one at `*cursor` and moves the cursor behind it, NULL at the end. Begin with 0.
///
/// For the buffers of `et_torrent_files`, `et_torrent_peers` and their like; alerts have `et_alert_next`. The pointer is
/// into the caller's buffer. NULL too where the buffer holds no whole record at the cursor, or `buf` is not aligned to 8
/// bytes. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_record_next(buf: *const c_void, len: usize, cursor: *mut usize) -> *const c_void {
    // SAFETY: the pointers are NULL or the caller's.
    guard_value(std::ptr::null(), || unsafe { next(buf.cast(), len, cursor, MIN_RECORD) }.cast())
}

/// The record at the cursor, which has at least `min` bytes.
///
/// # Safety
/// `buf` is NULL or points to `len` readable bytes; `cursor` is NULL or may be read and written.
pub(super) unsafe fn next(buf: *const u8, len: usize, cursor: *mut usize, min: usize) -> *const u8 {
    let aligned = buf.cast::<u64>().is_aligned() && cursor.is_aligned();
    if buf.is_null() || cursor.is_null() || !aligned {
        return std::ptr::null();
    }
    // SAFETY: not NULL, aligned, the caller's.
    let at = unsafe { cursor.read() };
    if !at.is_multiple_of(8) || len.checked_sub(at).is_none_or(|left| left < min) {
        return std::ptr::null();
    }
    // SAFETY: `at + min <= len`, and `min` covers the size; `buf` and `at` are multiples of 8.
    let record = unsafe { buf.add(at) };
    // SAFETY: as above.
    let size = unsafe { record.cast::<u32>().read() } as usize;
    if size < min || !size.is_multiple_of(8) || size > len - at {
        return std::ptr::null();
    }
    // SAFETY: as above.
    unsafe { cursor.write(at + size) };
    record
}

/// A list of records being built.
#[derive(Default)]
pub(super) struct Records(Vec<u8>);

impl Records {
    /// Adds a record. Its first field is its size, which is filled in here.
    pub(super) fn push<T: IntoBytes + Immutable>(&mut self, fixed: impl FnOnce(&mut Strings<'_>) -> T) {
        put_record(&mut self.0, fixed);
    }

    /// Hands the list to the caller.
    ///
    /// # Safety
    /// `buf` is NULL or has room for `cap` bytes; `len` is NULL or may be written.
    pub(super) unsafe fn give(&self, buf: *mut c_void, cap: usize, len: *mut usize) -> Result<()> {
        // Records are read in place.
        if cap > 0 && !buf.is_null() && !buf.cast::<u64>().is_aligned() {
            return Err(crate::base::error::Error::invalid("buf is not aligned to 8 bytes"));
        }
        // SAFETY: as the caller promised.
        unsafe { begin_output(buf.cast::<u8>(), cap, len, self.0.len()) }?;
        if cap > 0 {
            // SAFETY: not NULL, and the records fit.
            unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), buf.cast::<u8>(), self.0.len()) };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::FromBytes;

    use super::*;
    use crate::alert::record::et_text;

    #[repr(C)]
    #[derive(IntoBytes, FromBytes, Immutable)]
    struct Named {
        size: u32,
        number: u32,
        name: et_text,
    }

    fn aligned(bytes: &[u8]) -> Vec<u64> {
        let (chunks, _) = bytes.as_chunks::<8>();
        chunks.iter().map(|c| u64::from_ne_bytes(*c)).collect()
    }

    #[test]
    fn lists_are_walked() {
        let mut records = Records::default();
        for (number, name) in [(1, "one"), (2, ""), (3, "three and more")] {
            records.push(|s| Named { size: 0, number, name: s.text(name) });
        }
        let words = aligned(&records.0);
        let (buf, len) = (words.as_ptr().cast::<u8>(), words.len() * 8);
        let mut cursor = 0;
        let mut numbers = Vec::new();
        loop {
            // SAFETY: `words` is there.
            let record = unsafe { next(buf, len, &raw mut cursor, 8) };
            if record.is_null() {
                break;
            }
            // SAFETY: `next` gave a record of the list.
            numbers.push(unsafe { record.cast::<Named>().read() }.number);
        }
        assert_eq!((numbers, cursor), (vec![1, 2, 3], len));
    }

    proptest! {
        #[test]
        fn any_buffer_is_walked_within_its_bounds(words in prop::collection::vec(any::<u64>(), 0..40), at in 0_usize..400) {
            let (buf, len) = (words.as_ptr().cast::<u8>(), words.len() * 8);
            let mut cursor = at;
            for _ in 0..100 {
                let before = cursor;
                // SAFETY: `words` is there.
                let record = unsafe { next(buf, len, &raw mut cursor, 40) };
                if record.is_null() {
                    prop_assert_eq!(cursor, before);
                    break;
                }
                prop_assert!(cursor > before && cursor <= len);
            }
        }
    }
}
