//! Info-hashes to and from text.

use std::ffi::c_char;

use data_encoding::{BASE32, HEXLOWER, HEXLOWER_PERMISSIVE};

use super::bytes::{Out, slice_in, text_in, text_out};
use super::constants::{ET_INFO_HASH_V1, ET_INFO_HASH_V2};
use super::error::{et_error, et_status};
use super::guard::guard;
use crate::alert::record::et_info_hashes;
use crate::alert::types::et_info_hash_versions;
use crate::base::error::{Error, Result, Status};
use crate::metainfo::{InfoHashes, Sha1Hash, Sha256Hash};

/// The caller's info-hashes, of which there must be one at least.
///
/// # Safety
/// `hashes` is NULL or points to info-hashes.
pub(super) unsafe fn hashes_in(hashes: *const et_info_hashes) -> Result<InfoHashes> {
    // SAFETY: as the caller promised.
    let hashes = match unsafe { slice_in(hashes, 1, "info_hashes") }? {
        [hashes] => *hashes,
        _ => et_info_hashes::default(),
    };
    let known = ET_INFO_HASH_V1 | ET_INFO_HASH_V2;
    if hashes.has == 0 || hashes.has & !known != 0 {
        return Err(Error::invalid(format!("info_hashes->has is {:#x}, allowed is 1, 2 or 3", hashes.has)));
    }
    Ok(InfoHashes {
        v1: (hashes.has & ET_INFO_HASH_V1 != 0).then_some(Sha1Hash(hashes.v1)),
        v2: (hashes.has & ET_INFO_HASH_V2 != 0).then_some(Sha256Hash(hashes.v2)),
    })
}

fn parse(text: &str) -> Result<et_info_hashes> {
    let bad = || {
        let message = "info-hash: allowed are 40 (v1) or 64 (v2) hexadecimal digits, or 32 characters of base32 (v1)";
        Error::new(Status::Parse, format!("{message}; this has {} bytes", text.len()))
    };
    let bytes = match text.len() {
        32 => BASE32.decode(text.to_ascii_uppercase().as_bytes()),
        40 | 64 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
        _ => return Err(bad()),
    };
    let bytes = bytes.map_err(|_| bad())?;
    let mut hashes = et_info_hashes::default();
    if let Ok(v1) = <[u8; 20]>::try_from(bytes.as_slice()) {
        (hashes.has, hashes.v1) = (ET_INFO_HASH_V1, v1);
    } else if let Ok(v2) = <[u8; 32]>::try_from(bytes.as_slice()) {
        (hashes.has, hashes.v2) = (ET_INFO_HASH_V2, v2);
    }
    Ok(hashes)
}

/// Reads an info-hash: 40 hexadecimal digits or 32 characters of base32 for v1, 64 hexadecimal digits for v2.
///
/// Errors: `ET_ERR_PARSE`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_info_hashes_parse(
    text: *const c_char,
    text_len: usize,
    out_hashes: *mut et_info_hashes,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let out = Out::new(out_hashes, "out_hashes")?;
            out.write(parse(text_in(text, text_len, "text")?)?);
            Ok(())
        })
    }
}

/// Gives an info-hash in hexadecimal: 40 bytes for v1, 64 for v2, no NUL.
///
/// version: `ET_INFO_HASH_V1` or `ET_INFO_HASH_V2`. Errors: `ET_ERR_NOT_FOUND` where that one is not there,
/// `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_info_hashes_to_hex(
    hashes: *const et_info_hashes,
    version: et_info_hash_versions,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || text_out(buf, cap, len, &encode(&hashes_in(hashes)?, version, Form::Hex)?)) }
}

/// Gives a v1 info-hash in base32: 32 bytes, no NUL.
///
/// Errors: `ET_ERR_NOT_FOUND` where there is no v1 hash, `ET_ERR_BUFFER_TOO_SMALL`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_info_hashes_to_base32(
    hashes: *const et_info_hashes,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe { guard(error, || text_out(buf, cap, len, &encode(&hashes_in(hashes)?, ET_INFO_HASH_V1, Form::Base32)?)) }
}

enum Form {
    Hex,
    Base32,
}

fn encode(hashes: &InfoHashes, version: et_info_hash_versions, form: Form) -> Result<String> {
    let bytes = match version {
        ET_INFO_HASH_V1 => hashes.v1.as_ref().map(|h| &h.0[..]),
        ET_INFO_HASH_V2 => hashes.v2.as_ref().map(|h| &h.0[..]),
        _ => return Err(Error::invalid(format!("version is {version}, allowed is 1 or 2"))),
    };
    let bytes = bytes.ok_or_else(|| Error::new(Status::NotFound, format!("there is no v{version} info-hash")))?;
    Ok(match form {
        Form::Hex => HEXLOWER.encode(bytes),
        Form::Base32 => BASE32.encode(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let hex = "0123456789abcdef0123456789abcdef01234567";
        let hashes = parse(&hex.to_uppercase()).expect("hex");
        // SAFETY: `hashes` is there.
        let shared = unsafe { hashes_in(&raw const hashes) }.expect("one of them");
        assert_eq!(encode(&shared, 1, Form::Hex).as_deref(), Ok(hex));
        let base32 = encode(&shared, 1, Form::Base32).expect("v1");
        assert_eq!(parse(&base32.to_lowercase()), Ok(hashes));
        assert_eq!(encode(&shared, 2, Form::Hex).expect_err("no v2").status, Status::NotFound);
        assert_eq!(encode(&shared, 3, Form::Hex).expect_err("no v3").status, Status::InvalidArgument);
        let v2 = parse(&"ab".repeat(32)).expect("v2");
        assert_eq!((v2.has, v2.v2), (ET_INFO_HASH_V2, [0xab; 32]));
    }

    #[test]
    fn what_is_no_hash() {
        for text in ["", "xyz", &"g".repeat(40), &"1".repeat(32), &"é".repeat(20)] {
            assert_eq!(parse(text).expect_err(text).status, Status::Parse);
        }
        for has in [0, 4] {
            let hashes = et_info_hashes { has, ..et_info_hashes::default() };
            // SAFETY: `hashes` is there.
            assert!(unsafe { hashes_in(&raw const hashes) }.is_err());
        }
    }
}
