//! The border that no panic crosses.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::{ErrorSlot, et_error, et_status};
use crate::base::error::{Error, Result, Status};

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
    let body = || {
        #[cfg(test)]
        planted::strike();
        body()
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

/// A fault inside the library, for the tests: the next call on the thread panics where its body begins.
#[cfg(test)]
mod planted {
    use std::cell::Cell;

    thread_local! {
        static FAULT: Cell<bool> = const { Cell::new(false) };
    }

    pub fn plant() {
        FAULT.set(true);
    }

    pub fn strike() {
        assert!(!FAULT.take(), "a planted fault");
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;
    use crate::ffi::session::{et_session, et_session_close, et_session_free, et_session_open};
    use crate::ffi::session_stats::{et_session_stats, et_session_stats_info};
    use crate::ffi::settings::{et_settings, et_settings_free, et_settings_new, et_settings_set_bool};

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

    /// A fault in a function: it says so, gives nothing, and what it was called on is as good as before.
    #[test]
    fn functions_survive_their_faults() {
        let mut error = et_error::default();
        let mut settings: *mut et_settings = ptr::null_mut();
        let mut session: *mut et_session = ptr::null_mut();
        // SAFETY: the pointers are to variables that outlive the calls, and the handles are freed last.
        unsafe {
            let mut twice = |call: &mut dyn FnMut(*mut et_error) -> et_status| {
                planted::plant();
                assert_eq!((call(&raw mut error), error.status), (90, 90));
                assert_eq!(error.message(), "a fault inside the library: a planted fault");
                assert_eq!((call(&raw mut error), error.status), (0, 0));
            };
            twice(&mut |error| {
                let status = et_settings_new(&raw mut settings, error);
                assert_eq!(settings.is_null(), status != 0);
                status
            });
            let key = "enable_dht";
            twice(&mut |error| et_settings_set_bool(settings, key.as_ptr().cast(), key.len(), 0, error));
            twice(&mut |error| {
                let status = et_session_open(settings, ptr::null(), 0, &raw mut session, error);
                assert_eq!(session.is_null(), status != 0);
                status
            });
            twice(&mut |error| {
                let mut stats =
                    et_session_stats_info { struct_size: size_of::<et_session_stats_info>(), ..std::mem::zeroed() };
                let status = et_session_stats(session, &raw mut stats, error);
                assert_eq!(stats.memory_limit == 0, status != 0);
                status
            });
            twice(&mut |error| et_session_close(session, -1, error));
            et_session_free(session);
            et_settings_free(settings);
        }
    }

    /// There is no function that a panic could cross: each that does anything does it behind the guard.
    #[test]
    fn every_function_is_guarded() {
        let sources = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/ffi")).expect("the directory");
        let mut functions = 0;
        for path in sources.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()) {
            let source = std::fs::read_to_string(&path).expect("text");
            for function in source.split("\npub ").filter(|part| part.starts_with("unsafe extern \"C\" fn ")) {
                let body = function.split("\n}\n").next().unwrap_or(function);
                assert!(body.contains("guard(") || body.contains("guard_value("), "{}: {body}", path.display());
                functions += 1;
            }
        }
        assert!(functions > 90, "{functions} functions: the sources are not understood");
    }
}
