//! `ut_metadata` (BEP 9): fetching the info dictionary from peers, in pieces of 16 KiB.

use super::error::WireError;
use crate::metainfo::bencode::{Document, Entry, Limits};

/// Bytes of a metadata piece; the last may be shorter.
pub const METADATA_PIECE_BYTES: usize = 16 * 1024;

const MESSAGE: &str = "ut_metadata";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataMessage {
    Request {
        piece: u32,
    },
    /// `payload` is at most [`METADATA_PIECE_BYTES`], and not empty.
    Data {
        piece: u32,
        total_size: u32,
        payload: Vec<u8>,
    },
    Reject {
        piece: u32,
    },
}

impl MetadataMessage {
    pub fn encode(&self) -> Vec<u8> {
        let mut root = Entry::dict();
        let (kind, piece) = match self {
            Self::Request { piece } => (0u32, piece),
            Self::Data { piece, total_size, .. } => {
                root.set("total_size", *total_size);
                (1, piece)
            }
            Self::Reject { piece } => (2, piece),
        };
        root.set("msg_type", kind).set("piece", *piece);
        let mut out = root.encode();
        if let Self::Data { payload, .. } = self {
            out.extend_from_slice(payload);
        }
        out
    }

    /// Reads an extended message's payload. None: a kind of message we do not know, to be passed over.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, WireError> {
        let (document, rest) = Document::parse_prefix(payload, Limits::MESSAGE).map_err(|e| bad(e.message))?;
        let root = document.root();
        let number = |key: &str| {
            let n = root.get_int(key.as_bytes()).and_then(|n| u32::try_from(n).ok());
            n.ok_or_else(|| bad(format!("no usable `{key}`")))
        };
        let kind = root.get_int(b"msg_type").ok_or_else(|| bad("no usable `msg_type`"))?;
        Ok(match kind {
            0 => Some(Self::Request { piece: number("piece")? }),
            1 => {
                let (piece, total_size) = (number("piece")?, number("total_size")?);
                let end = u64::from(piece) * METADATA_PIECE_BYTES as u64 + rest.len() as u64;
                if rest.is_empty() || rest.len() > METADATA_PIECE_BYTES || end > u64::from(total_size) {
                    return Err(bad(format!("piece {piece} of {} bytes in a total of {total_size}", rest.len())));
                }
                Some(Self::Data { piece, total_size, payload: rest.to_vec() })
            }
            2 => Some(Self::Reject { piece: number("piece")? }),
            _ => None,
        })
    }
}

fn bad(what: impl Into<String>) -> WireError {
    WireError::BadPayload { message: MESSAGE, what: what.into() }
}
