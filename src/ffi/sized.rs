//! Structs that may grow: the caller's `struct_size` says how much of one it knows.

use std::marker::PhantomData;
use std::ptr;

use crate::base::error::{Error, Result, Status};

/// A larger `struct_size` than this was never set.
const MAX_STRUCT_SIZE: usize = 64 * 1024;

/// A struct that crosses the border.
///
/// # Safety
/// `repr(C)`, begins with `struct_size: usize`, and any bytes are a valid value.
pub(super) unsafe trait CStruct: Copy {}

fn check_pointer<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::new(Status::NullPointer, format!("{name} is NULL")));
    }
    if !pointer.is_aligned() {
        return Err(Error::invalid(format!("{name} is not aligned to {} bytes", align_of::<T>())));
    }
    Ok(())
}

/// The caller's `struct_size`, checked as far as it can be.
///
/// # Safety
/// `pointer` is NULL or points to a `T`, of which at least `struct_size` is set.
unsafe fn size_of_struct<T: CStruct>(pointer: *const T, name: &str) -> Result<usize> {
    check_pointer(pointer, name)?;
    // SAFETY: not NULL, aligned for a struct that begins with a usize.
    let size = unsafe { pointer.cast::<usize>().read() };
    if !(size_of::<usize>()..=MAX_STRUCT_SIZE).contains(&size) {
        return Err(Error::invalid(format!(
            "{name}->struct_size is {size}; set it to the size of the struct, here {}",
            size_of::<T>()
        )));
    }
    Ok(size)
}

/// Reads a struct: what the caller's is shorter by reads as zero; what it is longer by must be zero.
///
/// # Safety
/// `pointer` is NULL or points to `struct_size` readable bytes.
pub(super) unsafe fn read<T: CStruct>(pointer: *const T, name: &str) -> Result<T> {
    // SAFETY: as the caller promised.
    let size = unsafe { size_of_struct(pointer, name) }?;
    // SAFETY: `struct_size` bytes are readable; a CStruct of zeros is valid, and so is one of any bytes.
    unsafe {
        let mut value: T = std::mem::zeroed();
        ptr::copy_nonoverlapping(pointer.cast::<u8>(), (&raw mut value).cast::<u8>(), size.min(size_of::<T>()));
        let tail = size.saturating_sub(size_of::<T>());
        let tail = std::slice::from_raw_parts(pointer.cast::<u8>().add(size - tail), tail);
        if tail.iter().any(|b| *b != 0) {
            return Err(Error::invalid(format!(
                "{name} has {size} bytes, and some beyond the {} that this version knows are set",
                size_of::<T>()
            )));
        }
        Ok(value)
    }
}

/// Reads an array of structs, all of the size that the first one tells.
///
/// # Safety
/// `pointer` is NULL or points to `count` structs of the first one's `struct_size` readable bytes each.
pub(super) unsafe fn read_array<T: CStruct>(pointer: *const T, count: usize, name: &str) -> Result<Vec<T>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: as the caller promised.
    let size = unsafe { size_of_struct(pointer, name) }?;
    if !size.is_multiple_of(align_of::<T>())
        || size.checked_mul(count).is_none_or(|bytes| isize::try_from(bytes).is_err())
    {
        return Err(Error::invalid(format!("{name}: {count} entries of {size} bytes cannot be")));
    }
    (0..count)
        .map(|i| {
            // SAFETY: entry `i` lies within the array, and is aligned as `size` is a multiple of the alignment.
            let entry = unsafe { pointer.cast::<u8>().add(i * size).cast::<T>() };
            // SAFETY: `size_of_struct` may be asked of each entry.
            let own = unsafe { size_of_struct(entry, name) }?;
            if own != size {
                return Err(Error::invalid(format!("{name}[{i}].struct_size is {own}, that of the first is {size}")));
            }
            // SAFETY: `size` bytes are readable.
            unsafe { read(entry, name) }
        })
        .collect()
}

/// A struct of the caller's to be filled in: at most `struct_size` bytes of it are written, and that field never.
pub(super) struct OutStruct<T> {
    pointer: *mut T,
    size: usize,
    /// It is used in the call it was made in, and not beyond.
    _not_send: PhantomData<*mut T>,
}

impl<T: CStruct> OutStruct<T> {
    /// # Safety
    /// `pointer` is NULL or points to `struct_size` bytes that may be written until the value is dropped.
    pub(super) unsafe fn new(pointer: *mut T, name: &str) -> Result<Self> {
        // SAFETY: as the caller promised.
        let size = unsafe { size_of_struct(pointer, name) }?;
        Ok(Self { pointer, size, _not_send: PhantomData })
    }

    pub(super) fn write(&self, value: &T) {
        self.write_start(value, size_of::<T>());
    }

    /// Writes no more than the first `bytes` of the struct.
    pub(super) fn write_start(&self, value: &T, bytes: usize) {
        let skip = size_of::<usize>();
        let len = self.size.min(bytes).min(size_of::<T>()).saturating_sub(skip);
        // SAFETY: `new`'s caller promised `size` writable bytes; source and destination are a T's.
        unsafe {
            let from = ptr::from_ref(value).cast::<u8>().add(skip);
            ptr::copy_nonoverlapping(from, self.pointer.cast::<u8>().add(skip), len);
        }
    }
}

/// An array of structs of the caller's, `item_size` bytes each: the size of the struct in the header it was built with.
///
/// # Safety
/// `items` is NULL or points to `cap * item_size` bytes that may be written; `len` is NULL or may be written.
pub(super) unsafe fn write_array<T: CStruct>(
    items: *mut T,
    item_size: usize,
    cap: usize,
    len: *mut usize,
    values: &[T],
) -> Result<()> {
    if !(size_of::<usize>()..=MAX_STRUCT_SIZE).contains(&item_size) || !item_size.is_multiple_of(align_of::<T>()) {
        return Err(Error::invalid(format!(
            "item_size is {item_size}; pass the size of the struct, {}",
            size_of::<T>()
        )));
    }
    // SAFETY: as the caller promised.
    unsafe { super::bytes::begin_output(items, cap, len, values.len()) }?;
    if cap == 0 {
        return Ok(());
    }
    for (i, value) in values.iter().enumerate() {
        // SAFETY: `values.len()` is at most `cap`, so that item `i` lies in the caller's array.
        let item = unsafe { items.cast::<u8>().add(i * item_size).cast::<T>() };
        // SAFETY: an item has `item_size` writable bytes.
        unsafe { item.cast::<usize>().write(item_size) };
        OutStruct { pointer: item, size: item_size, _not_send: PhantomData }.write(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Small {
        struct_size: usize,
        a: u64,
    }
    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Large {
        struct_size: usize,
        a: u64,
        b: u64,
    }
    // SAFETY: plain numbers, the size first.
    unsafe impl CStruct for Small {}
    // SAFETY: plain numbers, the size first.
    unsafe impl CStruct for Large {}

    #[test]
    fn an_older_callers_struct_reads_zeros() {
        let old = Large { struct_size: 16, a: 1, b: 99 };
        // SAFETY: `old` is there.
        let read: Large = unsafe { read(&raw const old, "old") }.expect("read");
        assert_eq!((read.a, read.b), (1, 0));
    }

    #[test]
    fn a_newer_callers_struct_may_not_ask_for_what_is_unknown() {
        let mut new = Large { struct_size: 24, a: 1, b: 0 };
        let pointer = (&raw const new).cast::<Small>();
        // SAFETY: `new` has the 24 bytes it tells.
        assert_eq!(unsafe { read(pointer, "new") }.expect("a zero tail").a, 1);
        new.b = 1;
        let pointer = (&raw const new).cast::<Small>();
        // SAFETY: as above.
        let error = unsafe { read(pointer, "new") }.expect_err("a tail");
        assert_eq!(error.status, Status::InvalidArgument);
    }

    #[test]
    fn sizes_that_nobody_set() {
        for struct_size in [0, 7, usize::MAX] {
            let small = Small { struct_size, a: 0 };
            // SAFETY: nothing beyond `struct_size` is touched.
            assert!(unsafe { read(&raw const small, "small") }.is_err());
        }
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { read::<Small>(ptr::null(), "x") }.expect_err("NULL").status, Status::NullPointer);
        // SAFETY: not touched when it is not aligned.
        let error = unsafe { read(ptr::without_provenance::<Small>(9), "x") }.expect_err("odd");
        assert_eq!(error.status, Status::InvalidArgument);
    }

    #[test]
    fn at_most_struct_size_is_written() {
        let mut out = Large { struct_size: 16, a: 0, b: 7 };
        // SAFETY: `out` is there.
        let slot = unsafe { OutStruct::new(&raw mut out, "out") }.expect("fine");
        slot.write(&Large { struct_size: 0, a: 5, b: 6 });
        assert_eq!(out, Large { struct_size: 16, a: 5, b: 7 });
    }

    #[test]
    fn arrays_go_by_the_callers_size() {
        let mut items = [Large { struct_size: 0, a: 0, b: 7 }; 2];
        let mut len = 0;
        let values = [Small { struct_size: 0, a: 1 }, Small { struct_size: 0, a: 2 }];
        // SAFETY: two items of 24 bytes.
        unsafe { write_array(items.as_mut_ptr().cast::<Small>(), 24, 2, &raw mut len, &values) }.expect("fits");
        assert_eq!(items.map(|i| (i.struct_size, i.a, i.b)), [(24, 1, 7), (24, 2, 7)]);
        assert_eq!(len, 2);
        // SAFETY: one item of 24 bytes.
        let error = unsafe { write_array(items.as_mut_ptr().cast::<Small>(), 24, 1, &raw mut len, &values) };
        assert_eq!((error.expect_err("too small").status, len), (Status::BufferTooSmall, 2));
        // SAFETY: two entries of 24 bytes.
        let back = unsafe { read_array(items.as_ptr(), 2, "items") }.expect("alike");
        assert_eq!(back.len(), 2);
        items[1].struct_size = 16;
        // SAFETY: as above.
        assert!(unsafe { read_array(items.as_ptr(), 2, "items") }.is_err());
    }
}
