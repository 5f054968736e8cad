//! The border that no panic crosses.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::{ErrorSlot, et_error, et_status};
use crate::error::{Error, Result, Status};

/// Runs the body of an extern function: fills in the caller's `et_error`, turns a panic into `ET_ERR_PANIC`.
///
/// After a panic the library's data is as consistent as a failed call leaves it: locks do not poison, and what the body was
/// building is dropped.
///
/// # Safety
/// `error` is NULL or points to an `et_error` whose `struct_size` bytes may be written.
pub(super) unsafe fn guard(error: *mut et_error, body: impl FnOnce() -> Result<()>) -> et_status {
    // SAFETY: as the caller of this function promised.
    let slot = match unsafe { ErrorSlot::new(error) } {
        Ok(slot) => slot,
        Err(refused) => return refused.status as et_status,
    };
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| Err(panicked(&*payload)));
    slot.report(&outcome);
    outcome.map_or_else(|e| e.status as et_status, |()| Status::Ok as et_status)
}

/// The same for functions that return a value, not a status: a panic gives the value named here.
pub(super) fn guard_value<T>(on_panic: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(on_panic)
}

fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(Status::Panic, format!("a fault inside the library: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_status() {
        let mut error = et_error::default();
        // SAFETY: `error` is an et_error.
        let status = unsafe { guard(&raw mut error, || panic!("oh {}", "no")) };
        assert_eq!((status, error.status), (90, 90));
        assert_eq!(error.message(), "a fault inside the library: oh no");
        assert_eq!(guard_value(7, || panic!("again")), 7);
    }

    #[test]
    fn success_clears_what_an_earlier_call_left() {
        let mut error = et_error::default();
        // SAFETY: `error` is an et_error.
        unsafe {
            guard(&raw mut error, || Err(Error::closed()));
            assert_eq!(guard(&raw mut error, || Ok(())), 0);
        }
        assert_eq!((error.status, error.message()), (0, ""));
    }

    #[test]
    fn no_error_wanted() {
        // SAFETY: NULL is allowed.
        let status = unsafe { guard(std::ptr::null_mut(), || Err(Error::closed())) };
        assert_eq!(status, 20);
    }
}
