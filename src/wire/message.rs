//! Messages after the handshake (BEP 3, 5, 6, 10): what they say, and their bytes.

use super::error::WireError;

pub(super) mod id {
    pub const CHOKE: u8 = 0;
    pub const UNCHOKE: u8 = 1;
    pub const INTERESTED: u8 = 2;
    pub const NOT_INTERESTED: u8 = 3;
    pub const HAVE: u8 = 4;
    pub const BITFIELD: u8 = 5;
    pub const REQUEST: u8 = 6;
    pub const PIECE: u8 = 7;
    pub const CANCEL: u8 = 8;
    pub const PORT: u8 = 9;
    pub const SUGGEST: u8 = 13;
    pub const HAVE_ALL: u8 = 14;
    pub const HAVE_NONE: u8 = 15;
    pub const REJECT: u8 = 16;
    pub const ALLOWED_FAST: u8 = 17;
    pub const EXTENDED: u8 = 20;
}

/// Some bytes of a piece.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct BlockRequest {
    pub piece: u32,
    /// In the piece.
    pub begin: u32,
    pub length: u32,
}

/// Any message but `piece`, which the decoder hands out as [`Received::Block`](super::decoder::Received::Block).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    KeepAlive,
    Choke,
    Unchoke,
    Interested,
    NotInterested,
    Have(u32),
    Bitfield(Vec<u8>),
    Request(BlockRequest),
    Cancel(BlockRequest),
    /// The peer's DHT port.
    Port(u16),
    Suggest(u32),
    HaveAll,
    HaveNone,
    Reject(BlockRequest),
    AllowedFast(u32),
    /// BEP 10. Id 0 is the extended handshake, all others are what the receiver's handshake said.
    Extended {
        id: u8,
        payload: Vec<u8>,
    },
    /// A message of this id, which we do not know. What it said was skipped.
    Unknown(u8),
}

impl Message {
    /// Appends the message's bytes. [`Message::Unknown`] has none.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::KeepAlive => out.extend_from_slice(&[0; 4]),
            Self::Choke => frame(id::CHOKE, &[], out),
            Self::Unchoke => frame(id::UNCHOKE, &[], out),
            Self::Interested => frame(id::INTERESTED, &[], out),
            Self::NotInterested => frame(id::NOT_INTERESTED, &[], out),
            Self::Have(piece) => frame(id::HAVE, &[&piece.to_be_bytes()], out),
            Self::Bitfield(bits) => frame(id::BITFIELD, &[bits], out),
            Self::Request(request) => frame_request(id::REQUEST, request, out),
            Self::Cancel(request) => frame_request(id::CANCEL, request, out),
            Self::Port(port) => frame(id::PORT, &[&port.to_be_bytes()], out),
            Self::Suggest(piece) => frame(id::SUGGEST, &[&piece.to_be_bytes()], out),
            Self::HaveAll => frame(id::HAVE_ALL, &[], out),
            Self::HaveNone => frame(id::HAVE_NONE, &[], out),
            Self::Reject(request) => frame_request(id::REJECT, request, out),
            Self::AllowedFast(piece) => frame(id::ALLOWED_FAST, &[&piece.to_be_bytes()], out),
            Self::Extended { id, payload } => frame(id::EXTENDED, &[&[*id], payload], out),
            Self::Unknown(_) => {}
        }
    }

    /// Reads a message's payload: what follows its id. Not for `piece`.
    pub(super) fn parse(id: u8, payload: &[u8]) -> Result<Self, WireError> {
        let wrong = || WireError::BadLength { message: name(id), length: frame_length(payload.len()) };
        let empty = |message: Self| if payload.is_empty() { Ok(message) } else { Err(wrong()) };
        let number = || Ok(u32::from_be_bytes(payload.try_into().map_err(|_| wrong())?));
        let request = || BlockRequest::from_payload(payload).ok_or_else(wrong);
        match id {
            id::CHOKE => empty(Self::Choke),
            id::UNCHOKE => empty(Self::Unchoke),
            id::INTERESTED => empty(Self::Interested),
            id::NOT_INTERESTED => empty(Self::NotInterested),
            id::HAVE => number().map(Self::Have),
            id::BITFIELD => Ok(Self::Bitfield(payload.to_vec())),
            id::REQUEST => request().map(Self::Request),
            id::CANCEL => request().map(Self::Cancel),
            id::PORT => Ok(Self::Port(u16::from_be_bytes(payload.try_into().map_err(|_| wrong())?))),
            id::SUGGEST => number().map(Self::Suggest),
            id::HAVE_ALL => empty(Self::HaveAll),
            id::HAVE_NONE => empty(Self::HaveNone),
            id::REJECT => request().map(Self::Reject),
            id::ALLOWED_FAST => number().map(Self::AllowedFast),
            id::EXTENDED => {
                let (id, payload) = payload.split_first().ok_or_else(wrong)?;
                Ok(Self::Extended { id: *id, payload: payload.to_vec() })
            }
            _ => Ok(Self::Unknown(id)),
        }
    }
}

impl BlockRequest {
    fn from_payload(payload: &[u8]) -> Option<Self> {
        let (piece, rest) = payload.split_first_chunk()?;
        let (begin, rest) = rest.split_first_chunk()?;
        let length = rest.try_into().ok()?;
        Some(Self {
            piece: u32::from_be_bytes(*piece),
            begin: u32::from_be_bytes(*begin),
            length: u32::from_be_bytes(length),
        })
    }
}

/// Appends what precedes a block's `len` bytes in a `piece` message.
pub fn encode_piece_header(piece: u32, begin: u32, len: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&len.saturating_add(9).to_be_bytes());
    out.push(id::PIECE);
    out.extend_from_slice(&piece.to_be_bytes());
    out.extend_from_slice(&begin.to_be_bytes());
}

fn frame_request(id: u8, r: &BlockRequest, out: &mut Vec<u8>) {
    let [a, b, c, d] = r.piece.to_be_bytes();
    let [e, f, g, h] = r.begin.to_be_bytes();
    let [i, j, k, l] = r.length.to_be_bytes();
    // Nearly all that is sent is this: at once, not part by part.
    out.extend_from_slice(&[0, 0, 0, 13, id, a, b, c, d, e, f, g, h, i, j, k, l]);
}

fn frame(id: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(&frame_length(parts.iter().map(|p| p.len()).sum()).to_be_bytes());
    out.push(id);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The length prefix of a message: the id counts too.
fn frame_length(payload: usize) -> u32 {
    u32::try_from(payload).unwrap_or(u32::MAX).saturating_add(1)
}

/// Is it one of [`Message`], other than as unknown?
pub(super) fn is_known(id: u8) -> bool {
    payload_bytes(id).is_some() || matches!(id, id::BITFIELD | id::EXTENDED)
}

/// Bytes behind the id, where a message always has the same number of them.
pub(super) fn payload_bytes(id: u8) -> Option<u32> {
    match id {
        id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => Some(0),
        id::PORT => Some(2),
        id::HAVE | id::SUGGEST | id::ALLOWED_FAST => Some(4),
        id::REQUEST | id::CANCEL | id::REJECT => Some(12),
        _ => None,
    }
}

/// A message's name, for errors.
pub(super) fn name(id: u8) -> &'static str {
    match id {
        id::CHOKE => "choke",
        id::UNCHOKE => "unchoke",
        id::INTERESTED => "interested",
        id::NOT_INTERESTED => "not interested",
        id::HAVE => "have",
        id::BITFIELD => "bitfield",
        id::REQUEST => "request",
        id::PIECE => "piece",
        id::CANCEL => "cancel",
        id::PORT => "port",
        id::SUGGEST => "suggest",
        id::HAVE_ALL => "have all",
        id::HAVE_NONE => "have none",
        id::REJECT => "reject",
        id::ALLOWED_FAST => "allowed fast",
        id::EXTENDED => "extended",
        _ => "unknown",
    }
}
