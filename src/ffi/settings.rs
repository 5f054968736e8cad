//! `et_settings`: string keys, checked values.

use std::ffi::c_char;

use parking_lot::Mutex;

use super::bytes::{Out, text_in, text_out};
use super::error::{chars, et_error, et_status};
use super::guard::{guard, guard_value};
use super::handle;
use super::handle::Object;
use super::sized::{CStruct, OutStruct};
use crate::base::error::{Error, Result};
use crate::settings::{Changes, Kind, Value, descriptor, descriptors};

/// A set of settings, to open a session with or to apply to one. It says what was set in it, and nothing of the rest: that is as
/// in the state that a session is opened with, or stays as it is, or has its default. To have a default again, set it.
///
/// Made by `et_settings_new`, with nothing set, or by `et_session_settings`, with all set that have an effect; ended by
/// `et_settings_free`. It is a copy of its own: what becomes of it changes no session. docs/settings.md lists the settings that
/// do something.
pub struct et_settings {
    _opaque: [u8; 0],
}

impl Object for et_settings {
    type Value = Mutex<Changes>;
    const MAGIC: u64 = 0x6574_5f73_6574_7473;
    const NAME: &'static str = "settings";
}

/// The type of a setting.
pub type et_setting_type = i32;
pub const ET_SETTING_INT: et_setting_type = 1;
pub const ET_SETTING_BOOL: et_setting_type = 2;
pub const ET_SETTING_STR: et_setting_type = 3;

/// What is known of one setting; see `et_settings_describe`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct et_setting_info {
    /// `sizeof(et_setting_info)`.
    pub struct_size: usize,
    /// `ET_SETTING_INT`, `ET_SETTING_BOOL`, `ET_SETTING_STR`.
    pub r#type: et_setting_type,
    /// 1: it can be changed while a session runs. 0: only before it opens.
    pub live: u32,
    /// 0: accepted for programs written for libtorrent, and does nothing.
    pub effective: u32,
    /// 0.
    pub reserved: u32,
    /// An integer's default, or a bool's (0, 1).
    pub default_int: i64,
    /// An integer's least and greatest value.
    pub min: i64,
    pub max: i64,
    /// The key.
    pub name: [c_char; 64],
    /// A string's default.
    pub default_str: [c_char; 192],
    /// One line: what it does, the unit.
    pub doc: [c_char; 256],
}

// SAFETY: plain numbers, `struct_size` first.
unsafe impl CStruct for et_setting_info {}

/// # Safety
/// `settings` is NULL or a handle that is not freed.
pub(super) unsafe fn settings_of<'a>(settings: *const et_settings) -> Result<&'a Mutex<Changes>> {
    // SAFETY: as the caller promised.
    unsafe { handle::get(settings) }
}

/// Makes settings of which none is set. Free them with `et_settings_free`.
///
/// Errors: `ET_ERR_NULL_POINTER`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_settings_new(out_settings: *mut *mut et_settings, error: *mut et_error) -> et_status {
    // SAFETY: the pointers are NULL or the caller's to write.
    unsafe {
        guard(error, || {
            let out = Out::new(out_settings, "out_settings")?;
            out.write(handle::new(Mutex::new(Changes::default())));
            Ok(())
        })
    }
}

/// Frees settings. NULL does nothing. Any thread, but not while another uses them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_settings_free(settings: *mut et_settings) {
    // SAFETY: NULL or a handle that the caller gives up.
    guard_value((), || drop(unsafe { handle::free(settings) }));
}

/// # Safety
/// As for [`settings_of`] and [`text_in`].
unsafe fn set(settings: *mut et_settings, key: *const c_char, key_len: usize, value: Value<'_>) -> Result<()> {
    // SAFETY: as the caller promised.
    let (settings, key) = unsafe { (settings_of(settings)?, text_in(key, key_len, "key")?) };
    settings.lock().set(key, value)
}

/// The name that the caller means.
///
/// # Safety
/// As for [`text_in`].
unsafe fn name_of(key: *const c_char, key_len: usize) -> Result<&'static str> {
    // SAFETY: as the caller promised.
    Ok(descriptor(unsafe { text_in(key, key_len, "key") }?)?.name)
}

/// Sets an integer.
///
/// Errors: `ET_ERR_UNKNOWN_SETTING` (the message tells the nearest name), `ET_ERR_INVALID_ARGUMENT` for another type or a
/// value out of range, `ET_ERR_UNSUPPORTED` where doing nothing would expose the user (I2P for `proxy_type`, say). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_settings_set_int(
    settings: *mut et_settings,
    key: *const c_char,
    key_len: usize,
    value: i64,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || set(settings, key, key_len, Value::Int(value))) }
}

/// Sets a bool: 0 or 1, anything else is refused.
///
/// Errors: `ET_ERR_UNKNOWN_SETTING` (the message tells the nearest name), `ET_ERR_INVALID_ARGUMENT` for another type or value. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_settings_set_bool(
    settings: *mut et_settings,
    key: *const c_char,
    key_len: usize,
    value: i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || match value {
            0 | 1 => set(settings, key, key_len, Value::Bool(value == 1)),
            _ => Err(Error::invalid(format!("{} is {value}, allowed is 0 or 1", name_of(key, key_len)?))),
        })
    }
}

/// Sets a string.
///
/// Errors: as `et_settings_set_int`; `ET_ERR_UNSUPPORTED` for a listener of SSL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_settings_set_str(
    settings: *mut et_settings,
    key: *const c_char,
    key_len: usize,
    value: *const c_char,
    value_len: usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            // What is wrong with the value is said of the setting.
            set(settings, key, key_len, Value::Str(text_in(value, value_len, name_of(key, key_len)?)?))
        })
    }
}

/// Gives an integer: what was set, else the default.
///
/// Errors: `ET_ERR_UNKNOWN_SETTING`, `ET_ERR_INVALID_ARGUMENT` for another type. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_settings_get_int(
    settings: *mut et_settings,
    key: *const c_char,
    key_len: usize,
    out_value: *mut i64,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_value, "out_value")?;
            out.write(settings_of(settings)?.lock().values().get_int(text_in(key, key_len, "key")?)?);
            Ok(())
        })
    }
}

/// Gives a bool, as 0 or 1: what was set, else the default.
///
/// Errors: as `et_settings_get_int`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_settings_get_bool(
    settings: *mut et_settings,
    key: *const c_char,
    key_len: usize,
    out_value: *mut i32,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_value, "out_value")?;
            out.write(settings_of(settings)?.lock().values().get_bool(text_in(key, key_len, "key")?)?.into());
            Ok(())
        })
    }
}

/// Gives a string, what was set, else the default: its bytes, no NUL.
///
/// Errors: as `et_settings_get_int`, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_settings_get_str(
    settings: *mut et_settings,
    key: *const c_char,
    key_len: usize,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let settings = settings_of(settings)?.lock();
            text_out(buf, cap, len, settings.values().get_str(text_in(key, key_len, "key")?)?)
        })
    }
}

/// How many settings there are. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn et_settings_count() -> usize {
    descriptors().len()
}

/// Describes the setting number `index`, from 0: those that do something first.
///
/// Errors: `ET_ERR_INVALID_ARGUMENT` from `et_settings_count` on. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_settings_describe(
    index: usize,
    out_info: *mut et_setting_info,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's to write.
    unsafe {
        guard(error, || {
            let out = OutStruct::new(out_info, "out_info")?;
            out.write(&describe(index)?);
            Ok(())
        })
    }
}

fn describe(index: usize) -> Result<et_setting_info> {
    let count = descriptors().len();
    let none = || Error::invalid(format!("index is {index}, there are {count} settings"));
    let descriptor = descriptors().get(index).ok_or_else(none)?;
    let (r#type, (min, max)) = match descriptor.kind() {
        Kind::Int => (ET_SETTING_INT, descriptor.range()),
        Kind::Bool => (ET_SETTING_BOOL, (0, 1)),
        Kind::Str => (ET_SETTING_STR, (0, 0)),
    };
    let (default_int, default_str) = match descriptor.default {
        Value::Int(v) => (v, ""),
        Value::Bool(v) => (v.into(), ""),
        Value::Str(v) => (0, v),
    };
    Ok(et_setting_info {
        struct_size: size_of::<et_setting_info>(),
        r#type,
        live: descriptor.live.into(),
        effective: descriptor.effective.into(),
        reserved: 0,
        default_int,
        min,
        max,
        name: chars(descriptor.name),
        default_str: chars(default_str),
        doc: chars(descriptor.doc),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_fits_its_description() {
        for (i, d) in descriptors().iter().enumerate() {
            let info = describe(i).expect("there");
            let whole = |text: &str, array: &[c_char]| array.iter().take_while(|c| **c != 0).count() == text.len();
            assert!(whole(d.name, &info.name) && whole(d.doc, &info.doc), "{}", d.name);
            if let Value::Str(default) = d.default {
                assert!(whole(default, &info.default_str), "{}", d.name);
            }
        }
        assert!(describe(descriptors().len()).is_err());
    }
}
