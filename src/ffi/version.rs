//! What this library is.

use std::ffi::c_char;

/// The version of the header: major, minor, patch.
pub const ET_VERSION_MAJOR: u32 = 0;
pub const ET_VERSION_MINOR: u32 = 1;
pub const ET_VERSION_PATCH: u32 = 0;

/// The version of the ABI that the header describes. It grows when something is added; a change that breaks a program
/// changes the library's soname instead.
pub const ET_ABI_VERSION: u32 = 1;

const VERSION: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes();

/// The version of the library, such as "0.1.0". Never NULL.
///
/// Any thread. The string is the library's, and stays for good.
#[unsafe(no_mangle)]
pub extern "C" fn et_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

/// The version of the ABI that the library has. A program built with a header of the same or a lower `ET_ABI_VERSION`
/// runs with it.
///
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn et_abi_version() -> u32 {
    ET_ABI_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_version_is_the_crates() {
        let header = format!("{ET_VERSION_MAJOR}.{ET_VERSION_MINOR}.{ET_VERSION_PATCH}");
        assert_eq!(header, env!("CARGO_PKG_VERSION"));
        // SAFETY: a static string.
        assert_eq!(unsafe { std::ffi::CStr::from_ptr(et_version()) }.to_str(), Ok(header.as_str()));
    }
}
