//! Pointers with lengths, in and out.

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;

use crate::base::error::{Error, Result, Status};

/// In place of a string's length: the string ends at its NUL.
pub const ET_NUL_TERMINATED: usize = usize::MAX;

/// A string that goes in: UTF-8, `len` bytes of it, or `ET_NUL_TERMINATED`. Empty is {NULL, 0}.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_str {
    pub data: *const c_char,
    pub len: usize,
}

fn null(name: &str) -> Error {
    Error::new(Status::NullPointer, format!("{name} is NULL"))
}

/// A caller's array.
///
/// # Safety
/// `pointer` is NULL or points to `len` values that nobody writes while the slice is used.
pub(super) unsafe fn slice_in<'a, T: Copy>(pointer: *const T, len: usize, name: &str) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(name));
    }
    if !pointer.is_aligned() {
        return Err(Error::invalid(format!("{name} is not aligned to {} bytes", align_of::<T>())));
    }
    check_len::<T>(len, name)?;
    // SAFETY: not NULL, aligned, of a possible length; that it is readable is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// A caller's bytes.
///
/// # Safety
/// As for [`slice_in`].
pub(super) unsafe fn bytes_in<'a>(pointer: *const c_void, len: usize, name: &str) -> Result<&'a [u8]> {
    // SAFETY: as the caller promised.
    unsafe { slice_in(pointer.cast::<u8>(), len, name) }
}

fn check_len<T>(len: usize, name: &str) -> Result<()> {
    let bytes = len.checked_mul(size_of::<T>()).and_then(|b| isize::try_from(b).ok());
    bytes.map(drop).ok_or_else(|| Error::invalid(format!("{name}: a length of {len} cannot be")))
}

/// A caller's string.
///
/// # Safety
/// `pointer` is NULL or points to `len` bytes, or to a NUL-terminated string where `len` is `ET_NUL_TERMINATED`.
pub(super) unsafe fn text_in<'a>(pointer: *const c_char, len: usize, name: &str) -> Result<&'a str> {
    let bytes = if len == ET_NUL_TERMINATED {
        if pointer.is_null() {
            return Err(null(name));
        }
        // SAFETY: the caller promised a NUL.
        unsafe { CStr::from_ptr(pointer) }.to_bytes()
    } else {
        // SAFETY: as the caller promised.
        unsafe { slice_in(pointer.cast::<u8>(), len, name) }?
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Error::invalid(format!("{name} is not UTF-8 from byte {} on", e.valid_up_to())))?;
    if text.contains('\0') {
        return Err(Error::invalid(format!("{name} holds a NUL")));
    }
    Ok(text)
}

/// A string inside a struct.
///
/// # Safety
/// As for [`text_in`].
pub(super) unsafe fn str_in<'a>(text: et_str, name: &str) -> Result<&'a str> {
    // SAFETY: as the caller promised.
    unsafe { text_in(text.data, text.len, name) }
}

/// Where one value goes.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `pointer` is NULL or may be written until the value is dropped.
    pub(super) unsafe fn new(pointer: *mut T, name: &str) -> Result<Self> {
        if pointer.is_null() {
            return Err(null(name));
        }
        if !pointer.is_aligned() {
            return Err(Error::invalid(format!("{name} is not aligned to {} bytes", align_of::<T>())));
        }
        Ok(Self(pointer))
    }

    pub(super) fn write(&self, value: T) {
        // SAFETY: not NULL, aligned; that it may be written is what `new`'s caller promised.
        unsafe { self.0.write(value) }
    }
}

/// A buffer of the caller's that is written in place. It may never have been written: it is not to be read.
///
/// # Safety
/// `pointer` is NULL or points to `len` bytes that are the call's alone while the slice is used.
pub(super) unsafe fn buffer_in<'a>(pointer: *mut c_void, len: usize, name: &str) -> Result<&'a mut [MaybeUninit<u8>]> {
    if len == 0 {
        return Ok(&mut []);
    }
    if pointer.is_null() {
        return Err(null(name));
    }
    check_len::<u8>(len, name)?;
    // SAFETY: not NULL, of a possible length; that it is there and the call's alone is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast::<MaybeUninit<u8>>(), len) })
}

/// Refuses an output that lies over the input that it is made of.
pub(super) fn check_apart(input: &[u8], buffer: *const c_char, cap: usize, name: &str) -> Result<()> {
    let (input, start) = (input.as_ptr_range(), buffer.cast::<u8>());
    if cap > 0 && start < input.end && input.start < start.wrapping_add(cap) {
        return Err(Error::invalid(format!("{name} lies over what it is to be made of")));
    }
    Ok(())
}

/// The start of every (buffer, capacity, length) output: checks the pointers, tells the length, refuses too small a buffer.
///
/// # Safety
/// `buffer` is NULL or has room for `cap` values; `len` is NULL or may be written.
pub(super) unsafe fn begin_output<T>(buffer: *mut T, cap: usize, len: *mut usize, needed: usize) -> Result<()> {
    // SAFETY: as the caller promised.
    let len = unsafe { Out::new(len, "len") }?;
    if cap > 0 {
        // SAFETY: as the caller promised.
        unsafe { Out::new(buffer, "buffer") }?;
        check_len::<T>(cap, "buffer")?;
    }
    len.write(needed);
    if needed > cap && !(buffer.is_null() && cap == 0) {
        let message = format!("the buffer has room for {cap}, needed is {needed}");
        return Err(Error::new(Status::BufferTooSmall, message));
    }
    Ok(())
}

/// Copies values out, by the rule of (buffer, capacity, length).
///
/// # Safety
/// As for [`begin_output`].
pub(super) unsafe fn slice_out<T: Copy>(buffer: *mut T, cap: usize, len: *mut usize, values: &[T]) -> Result<()> {
    // SAFETY: as the caller promised.
    unsafe { begin_output(buffer, cap, len, values.len()) }?;
    if cap > 0 {
        // SAFETY: not NULL, aligned, and `values` fit.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), buffer, values.len()) };
    }
    Ok(())
}

/// Copies text out, without a NUL.
///
/// # Safety
/// As for [`begin_output`].
pub(super) unsafe fn text_out(buffer: *mut c_char, cap: usize, len: *mut usize, text: &str) -> Result<()> {
    // SAFETY: as the caller promised.
    unsafe { slice_out(buffer.cast::<u8>(), cap, len, text.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{self, Write};
    use std::ptr;

    use super::*;
    use crate::base::out_buffer::OutBuffer;

    #[test]
    fn empty_is_null_and_zero() {
        // SAFETY: NULL is allowed.
        unsafe {
            assert_eq!(text_in(ptr::null(), 0, "x"), Ok(""));
            assert_eq!(slice_in::<u32>(ptr::null(), 0, "x"), Ok(&[][..]));
            assert_eq!(buffer_in(ptr::null_mut(), 0, "x").expect("empty").len(), 0);
            let mut len = 7;
            assert_eq!(slice_out::<u8>(ptr::null_mut(), 0, &raw mut len, &[]), Ok(()));
            assert_eq!(len, 0);
        }
    }

    fn fill<B: OutBuffer + ?Sized>(buf: &mut B, file: &File) {
        buf.put_from(0..3, file, 1).expect("read");
        buf.put_zeros(3..5);
        assert_eq!((buf.put(5, b"xyz"), buf.put(7, b"x"), buf.put(99, b"x")), (2, 0, 0));
        let error = buf.put_from(4..5, file, 6).expect_err("the file ends");
        assert_eq!((error.kind(), error.raw_os_error()), (io::ErrorKind::UnexpectedEof, None));
        let all = buf.len();
        buf.put_from(all..all + 1, file, 0).expect("nothing has room there");
    }

    #[test]
    fn memory_that_may_be_unwritten_is_filled_as_any_other() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"abcdef").expect("written");
        let (mut plain, mut given) = ([9u8; 7], [9u8; 7]);
        fill(plain.as_mut_slice(), &file);
        // SAFETY: seven bytes, which nobody else looks at meanwhile.
        fill(unsafe { buffer_in(given.as_mut_ptr().cast(), given.len(), "x") }.expect("a buffer"), &file);
        assert_eq!((&plain, &given), (b"bcd\0\0xy", b"bcd\0\0xy"));
    }

    #[test]
    fn null_with_a_length_is_refused() {
        // SAFETY: NULL is allowed.
        unsafe {
            assert_eq!(text_in(ptr::null(), 1, "x").expect_err("NULL").status, Status::NullPointer);
            assert_eq!(text_in(ptr::null(), ET_NUL_TERMINATED, "x").expect_err("NULL").status, Status::NullPointer);
            assert_eq!(slice_in::<u8>(ptr::null(), 3, "x").expect_err("NULL").status, Status::NullPointer);
            let mut len = 7;
            let error = slice_out(ptr::null_mut(), 3, &raw mut len, &[1_u8]).expect_err("NULL");
            assert_eq!((error.status, len), (Status::NullPointer, 7));
            let error = slice_out(ptr::null_mut(), 0, ptr::null_mut(), &[1_u8]).expect_err("NULL");
            assert_eq!(error.status, Status::NullPointer);
        }
    }

    #[test]
    fn text_is_checked() {
        // SAFETY: the strings are there.
        unsafe {
            assert_eq!(text_in(c"abc".as_ptr(), ET_NUL_TERMINATED, "x"), Ok("abc"));
            assert_eq!(text_in(c"abc".as_ptr(), 2, "x"), Ok("ab"));
            let error = text_in(c"ab\xff".as_ptr(), 3, "name").expect_err("no UTF-8");
            assert_eq!(error.message, "name is not UTF-8 from byte 2 on");
            assert!(text_in(c"abc".as_ptr(), 4, "name").is_err(), "a NUL inside");
            assert!(text_in(c"abc".as_ptr(), usize::MAX - 1, "name").is_err(), "no such length");
        }
    }

    #[test]
    fn length_is_told_and_too_small_consumes_nothing() {
        let mut buf = [9_u16; 3];
        let mut len = 0;
        // SAFETY: the buffer has three values.
        unsafe {
            assert_eq!(slice_out(ptr::null_mut(), 0, &raw mut len, &[1_u16, 2]), Ok(()));
            assert_eq!(len, 2);
            let error = slice_out(buf.as_mut_ptr(), 1, &raw mut len, &[1_u16, 2]).expect_err("too small");
            assert_eq!((error.status, len, buf), (Status::BufferTooSmall, 2, [9; 3]));
            assert_eq!(slice_out(buf.as_mut_ptr(), 3, &raw mut len, &[1_u16, 2]), Ok(()));
        }
        assert_eq!((len, buf), (2, [1, 2, 9]));
    }

    #[test]
    fn odd_pointers_are_refused() {
        let odd = ptr::without_provenance_mut::<u64>(9);
        // SAFETY: not touched when not aligned.
        unsafe {
            assert!(slice_in(odd.cast_const(), 1, "x").is_err());
            assert!(Out::new(odd, "x").is_err());
        }
    }
}
