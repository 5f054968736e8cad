//! Addresses to and from text.

use std::ffi::c_char;
use std::net::SocketAddr;

use super::bytes::{slice_in, text_out};
use super::error::{et_error, et_status};
use super::guard::guard;
use crate::alert::record::et_endpoint;
use crate::base::error::{Error, Result};

/// Gives an endpoint as text: "192.0.2.1:6881", "[2001:db8::1]:6881"; empty where the family is 0. No NUL.
///
/// Errors: `ET_ERR_INVALID_ARGUMENT` for an unknown family, `ET_ERR_BUFFER_TOO_SMALL` (64 bytes are always enough).
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn et_endpoint_to_string(
    endpoint: *const et_endpoint,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    error: *mut et_error,
) -> et_status {
    // SAFETY: the pointers are NULL or the caller's.
    unsafe {
        guard(error, || {
            let text = match slice_in(endpoint, 1, "endpoint")? {
                [endpoint] => text_of(endpoint)?,
                _ => String::new(),
            };
            text_out(buf, cap, len, &text)
        })
    }
}

fn text_of(endpoint: &et_endpoint) -> Result<String> {
    match (endpoint.address(), endpoint.family) {
        (Some(address), _) => Ok(address.to_string()),
        (None, 0) => Ok(String::new()),
        (None, family) => Err(Error::invalid(format!("family is {family}, allowed is 0, 4 or 6"))),
    }
}

/// An address and a port from C's text.
pub(super) fn parse(text: &str, name: &str) -> Result<SocketAddr> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| Error::invalid(format!("{name} is {text:?}, allowed is address:port or [v6 address]:port")))?;
    if address.port() == 0 {
        return Err(Error::invalid(format!("{name} is {text:?}, and a port of 0 is not allowed")));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in ["192.0.2.1:6881", "[2001:db8::1]:65535"] {
            let address = parse(text, "x").expect("an address");
            assert_eq!(text_of(&(&address).into()).as_deref(), Ok(text));
        }
        for text in ["", "192.0.2.1", "localhost:1", "192.0.2.1:0", "::1:5", "1.2.3.4:99999"] {
            assert!(parse(text, "x").is_err(), "{text}");
        }
        assert_eq!(text_of(&et_endpoint::default()).as_deref(), Ok(""));
        assert!(text_of(&et_endpoint { family: 5, ..et_endpoint::default() }).is_err());
    }
}
