//! `lt_donthave` (BEP 54): a peer has a piece no longer.

use super::error::WireError;

/// The extended message's payload.
pub fn encode(piece: u32) -> [u8; 4] {
    piece.to_be_bytes()
}

pub fn parse(payload: &[u8]) -> Result<u32, WireError> {
    let wrong = |_| WireError::BadLength { message: "lt_donthave", length: payload.len() as u32 };
    payload.try_into().map(u32::from_be_bytes).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_lengths() {
        assert_eq!(parse(&encode(0x0102_0304)), Ok(0x0102_0304));
        for bad in [&b""[..], b"123", b"12345"] {
            assert!(matches!(parse(bad), Err(WireError::BadLength { message: "lt_donthave", .. })));
        }
    }
}
