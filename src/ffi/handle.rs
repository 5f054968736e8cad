//! Opaque handles: a box with a word in front that tells what it is.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::error::{Error, Result, Status};

/// A type that C holds by pointer.
pub(super) trait Object {
    /// What stands behind the pointer.
    type Value;
    /// Tells one kind of handle from another, from a freed one and from a stray pointer, as far as that can be seen.
    const MAGIC: u64;
    const NAME: &'static str;
}

#[repr(C)]
struct Handle<T> {
    magic: AtomicU64,
    value: T,
}

/// Makes a handle; `free` takes it back.
pub(super) fn new<O: Object>(value: O::Value) -> *mut O {
    Box::into_raw(Box::new(Handle { magic: AtomicU64::new(O::MAGIC), value })).cast::<O>()
}

/// What the handle holds.
///
/// # Safety
/// `pointer` is NULL or came from [`new`] of any object and is not freed while the reference is used.
pub(super) unsafe fn get<'a, O: Object>(pointer: *const O) -> Result<&'a O::Value> {
    // SAFETY: as the caller promised.
    unsafe { check(pointer) }?;
    // SAFETY: of the right kind, not NULL, aligned, alive.
    Ok(unsafe { &(*pointer.cast::<Handle<O::Value>>()).value })
}

/// Takes the handle back; `None` for NULL and for what is no such handle.
///
/// # Safety
/// `pointer` is NULL or came from [`new`] of any object, is not freed yet, and nobody uses it.
pub(super) unsafe fn free<O: Object>(pointer: *mut O) -> Option<O::Value> {
    // SAFETY: as the caller promised.
    unsafe { check(pointer.cast_const()) }.ok()?;
    // SAFETY: of the right kind and alive; the magic word is cleared so that a second free is seen, where it can be.
    let handle = unsafe {
        (*pointer.cast::<Handle<O::Value>>()).magic.store(0, Ordering::Release);
        Box::from_raw(pointer.cast::<Handle<O::Value>>())
    };
    Some(handle.value)
}

/// # Safety
/// As for [`get`].
unsafe fn check<O: Object>(pointer: *const O) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::new(Status::NullPointer, format!("the {} is NULL", O::NAME)));
    }
    if !pointer.cast::<Handle<O::Value>>().is_aligned() {
        return Err(Error::invalid(format!("the pointer given for the {} is none that this library made", O::NAME)));
    }
    // SAFETY: every handle begins with its magic word.
    let magic = unsafe { &*pointer.cast::<AtomicU64>() }.load(Ordering::Acquire);
    if magic != O::MAGIC {
        return Err(Error::invalid(format!("what is given for the {} is another handle, or was freed", O::NAME)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Cat;
    struct Dog;
    impl Object for Cat {
        type Value = String;
        const MAGIC: u64 = 1;
        const NAME: &'static str = "cat";
    }
    impl Object for Dog {
        type Value = u8;
        const MAGIC: u64 = 2;
        const NAME: &'static str = "dog";
    }

    #[test]
    fn handles_know_their_kind() {
        let cat = new::<Cat>("tom".into());
        // SAFETY: `cat` is alive until it is freed.
        unsafe {
            assert_eq!(get(cat).expect("a cat"), "tom");
            assert_eq!(get(cat.cast::<Dog>()).expect_err("no dog").status, Status::InvalidArgument);
            assert_eq!(free(cat.cast::<Dog>()), None);
            assert_eq!(free(cat).as_deref(), Some("tom"));
            assert_eq!(free(std::ptr::null_mut::<Cat>()), None);
            assert_eq!(get(std::ptr::null::<Cat>()).expect_err("NULL").status, Status::NullPointer);
            assert!(get(std::ptr::without_provenance::<Cat>(3)).is_err());
        }
    }
}
