//! Info-hashes: what names a torrent (SHA-1 in BEP 3, SHA-256 in BEP 52).

use std::fmt;

use data_encoding::{BASE32_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha1::Digest;

macro_rules! hash_type {
    ($name:ident, $len:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// From hex digits of either case, exactly twice the length.
            pub fn from_hex(hex: &str) -> Option<Self> {
                decode_exact(hex.as_bytes(), HEXLOWER_PERMISSIVE).map(Self)
            }

            /// From bytes, if there are exactly enough.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            pub fn to_hex(&self) -> String {
                HEXLOWER.encode(&self.0)
            }

            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }
    };
}

hash_type!(Sha1Hash, 20, "A SHA-1 digest: a v1 info-hash, or a v1 piece's hash.");
hash_type!(Sha256Hash, 32, "A SHA-256 digest: a v2 info-hash.");

impl Sha1Hash {
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha1::Sha1::digest(bytes).into())
    }

    /// From 32 base32 digits of either case, as older magnets have it.
    pub fn from_base32(text: &str) -> Option<Self> {
        decode_exact(text.to_ascii_uppercase().as_bytes(), BASE32_NOPAD).map(Self)
    }
}

impl Sha256Hash {
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

fn decode_exact<const N: usize>(text: &[u8], encoding: data_encoding::Encoding) -> Option<[u8; N]> {
    if encoding.decode_len(text.len()).ok()? != N {
        return None;
    }
    encoding.decode(text).ok()?.try_into().ok()
}

/// The one or two names of a torrent: a hybrid has both.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct InfoHashes {
    pub v1: Option<Sha1Hash>,
    pub v2: Option<Sha256Hash>,
}

impl InfoHashes {
    pub fn v1(hash: Sha1Hash) -> Self {
        Self { v1: Some(hash), v2: None }
    }

    pub fn is_empty(&self) -> bool {
        self.v1.is_none() && self.v2.is_none()
    }

    /// Do both name one torrent, by either hash?
    pub fn matches(&self, other: &Self) -> bool {
        (self.v1.is_some() && self.v1 == other.v1) || (self.v2.is_some() && self.v2 == other.v2)
    }

    /// What goes on the wire, to trackers and into the DHT: v1, else the beginning of v2 (BEP 52); zeros if empty.
    pub fn best(&self) -> Sha1Hash {
        let truncated = || self.v2.and_then(|v2| v2.0.first_chunk().copied()).map(Sha1Hash);
        self.v1.or_else(truncated).unwrap_or(Sha1Hash([0; 20]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn hex_and_base32() {
        let hash = Sha1Hash::from_hex(HEX).expect("hex");
        assert_eq!(Sha1Hash::from_hex(&HEX.to_uppercase()), Some(hash));
        assert_eq!((hash.to_hex(), format!("{hash} {hash:?}")), (HEX.into(), format!("{HEX} {HEX}")));
        let base32 = BASE32_NOPAD.encode(hash.as_bytes());
        assert_eq!(base32.len(), 32);
        assert_eq!(Sha1Hash::from_base32(&base32), Some(hash));
        assert_eq!(Sha1Hash::from_base32(&base32.to_lowercase()), Some(hash));
        for bad in ["", "00", &HEX[1..], &format!("{HEX}00"), &HEX.replace('a', "g"), &HEX.replace('a', "é")] {
            assert_eq!((Sha1Hash::from_hex(bad), Sha1Hash::from_base32(bad)), (None, None), "{bad}");
        }
    }

    #[test]
    fn digests() {
        assert_eq!(Sha1Hash::of(b"abc").to_hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(Sha256Hash::of(b"abc").to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn matching_and_best() {
        let (one, two) = (Sha1Hash([1; 20]), Sha256Hash([2; 32]));
        let hybrid = InfoHashes { v1: Some(one), v2: Some(two) };
        let v2 = InfoHashes { v1: None, v2: Some(two) };
        assert!(hybrid.matches(&InfoHashes::v1(one)) && hybrid.matches(&v2) && v2.matches(&hybrid));
        assert!(!v2.matches(&InfoHashes::v1(one)));
        assert!(!InfoHashes::default().matches(&InfoHashes::default()) && InfoHashes::default().is_empty());
        assert_eq!((hybrid.best(), v2.best()), (one, Sha1Hash([2; 20])));
        assert_eq!(InfoHashes::default().best(), Sha1Hash([0; 20]));
    }
}
