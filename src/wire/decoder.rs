//! The decoder of a peer's byte stream (BEP 3): everything after the handshake.
//!
//! It sees every payload byte. Pushed ones it copies once, into the block they belong to; better is to receive into the
//! places that it names (`landing`), which are those blocks. It allocates nothing but what it hands out. A block's memory comes from the connection's [`Credits`]: a block that nobody asked for,
//! or that is no block of ours, is skipped without memory and reported as [`Received::Unpaid`]. All other messages are
//! read where they lie if they are whole, and gathered in a small buffer if a push cut them. That buffer grows with what
//! has come, not with what a length promises.

use std::sync::Arc;

mod landing;

use self::landing::Aim;
pub use self::landing::MOST_PLACES;

use super::error::WireError;
use super::message;
use super::message::{Message, id};
use crate::memory::credits::Credits;
use crate::memory::pool::{BLOCK_SIZE, Block, BlockMut};
use crate::sys::block_copy;

/// What a peer sent.
#[derive(Debug, Clone)]
pub enum Received {
    Message(Message),
    Block {
        piece: u32,
        begin: u32,
        data: Block,
    },
    /// A block without a credit, or of a length that no request of ours has. Its bytes were skipped.
    Unpaid {
        piece: u32,
        begin: u32,
        length: u32,
    },
}

/// Most bytes of each kind of message. A longer one is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderLimits {
    /// Of a bitfield. See [`Decoder::set_num_pieces`].
    pub bitfield: u32,
    /// Of an extended message's payload, and of a message we do not know.
    pub extended: u32,
    /// Of a block. Those above [`BLOCK_SIZE`] are skipped.
    pub block: u32,
}

impl Default for DecoderLimits {
    fn default() -> Self {
        Self { bitfield: 256 * 1024, extended: 256 * 1024, block: 128 * 1024 }
    }
}

/// Bytes of the longest header: length, id, piece, begin.
const HEADER_BYTES: usize = 13;

/// A gathering buffer that grew beyond this is given back after its message.
const KEPT_BODY_BYTES: usize = 4096;

#[derive(Debug)]
enum State {
    /// Between messages, or within a header, whose bytes so far are in `Decoder::header`.
    Header,
    /// Gathering a message's payload in `Decoder::body`.
    Body { id: u8, length: usize },
    /// Filling a block.
    Block { piece: u32, begin: u32, got: usize, block: BlockMut },
    /// Skipping a payload; then this is what it was.
    Skip { left: usize, then: Received },
}

/// A push parser: bytes in, in any cut; messages out.
#[derive(Debug)]
pub struct Decoder {
    credits: Arc<Credits>,
    limits: DecoderLimits,
    state: State,
    header: [u8; HEADER_BYTES],
    header_len: usize,
    body: Vec<u8>,
    failed: Option<WireError>,
    aim: Aim,
}

impl Decoder {
    pub fn new(credits: Arc<Credits>, limits: DecoderLimits) -> Self {
        Self {
            credits,
            limits,
            state: State::Header,
            header: [0; HEADER_BYTES],
            header_len: 0,
            body: Vec::new(),
            failed: None,
            aim: Aim::default(),
        }
    }

    /// Once it is known how many pieces there are, a bitfield is not longer than they need.
    pub fn set_num_pieces(&mut self, num_pieces: u32) {
        self.limits.bitfield = num_pieces.div_ceil(8);
    }

    /// Reads what a peer sent, and appends what it says. After an error the stream has no meaning any more: each further
    /// push gives the same error. What was appended before it stands.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Received>) -> Result<(), WireError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        while !bytes.is_empty() {
            match self.step(bytes, out) {
                Ok(rest) => bytes = rest,
                Err(error) => {
                    self.state = State::Header;
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The block now arriving: piece, begin, and how many of its bytes are here.
    pub fn block_in_progress(&self) -> Option<(u32, u32, u32)> {
        match &self.state {
            State::Block { piece, begin, got, .. } => Some((*piece, *begin, *got as u32)),
            _ => None,
        }
    }

    /// Bytes held of a message that is not whole yet.
    pub fn buffered(&self) -> usize {
        let block = if let State::Block { got, .. } = &self.state { *got } else { 0 };
        self.header_len + self.body.len() + block
    }

    #[cfg(test)]
    pub(super) fn body_capacity(&self) -> usize {
        self.body.capacity()
    }

    /// Takes some bytes off the front, at least one, and gives the rest.
    fn step<'b>(&mut self, bytes: &'b [u8], out: &mut Vec<Received>) -> Result<&'b [u8], WireError> {
        match &mut self.state {
            State::Header => self.header(bytes, out),
            State::Block { got, block, .. } => {
                let left = block.as_mut_slice().get_mut(*got..).unwrap_or_default();
                let n = left.len().min(bytes.len());
                let (now, rest) = bytes.split_at(n);
                *got += block_copy::copy_over(now, left);
                if n == left.len() {
                    self.finish_block(out);
                }
                Ok(rest)
            }
            State::Body { id, length } => {
                let n = length.saturating_sub(self.body.len()).min(bytes.len());
                let (now, rest) = bytes.split_at(n);
                self.body.extend_from_slice(now);
                if self.body.len() >= *length {
                    out.push(Received::Message(Message::parse(*id, &self.body)?));
                    self.state = State::Header;
                    self.body.clear();
                    if self.body.capacity() > KEPT_BODY_BYTES {
                        self.body = Vec::new();
                    }
                }
                Ok(rest)
            }
            State::Skip { left, .. } => {
                let n = (*left).min(bytes.len());
                *left -= n;
                if *left == 0
                    && let State::Skip { then, .. } = std::mem::replace(&mut self.state, State::Header)
                {
                    out.push(then);
                }
                Ok(bytes.split_at(n).1)
            }
        }
    }

    fn header<'b>(&mut self, bytes: &'b [u8], out: &mut Vec<Received>) -> Result<&'b [u8], WireError> {
        let Some(rest) = self.gather(4, bytes) else { return Ok(&[]) };
        let [l0, l1, l2, l3, ..] = self.header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if length == 0 {
            self.header_len = 0;
            out.push(Received::Message(Message::KeepAlive));
            return Ok(rest);
        }
        let Some(rest) = self.gather(5, rest) else { return Ok(&[]) };
        let [_, _, _, _, id, ..] = self.header;
        // Of what follows the id.
        let payload = length - 1;
        self.check(id, length)?;
        match id {
            id::PIECE => {
                let Some(rest) = self.gather(HEADER_BYTES, rest) else { return Ok(&[]) };
                self.header_len = 0;
                self.begin_block(payload.saturating_sub(8));
                Ok(rest)
            }
            _ if message::is_known(id) => {
                self.header_len = 0;
                let payload = payload as usize;
                if let Some((payload, rest)) = rest.split_at_checked(payload) {
                    out.push(Received::Message(Message::parse(id, payload)?));
                    return Ok(rest);
                }
                self.state = State::Body { id, length: payload };
                Ok(rest)
            }
            _ => {
                self.header_len = 0;
                let then = Received::Message(Message::Unknown(id));
                if payload == 0 {
                    out.push(then);
                } else {
                    self.state = State::Skip { left: payload as usize, then };
                }
                Ok(rest)
            }
        }
    }

    /// Fills the header up to `wanted` bytes. None if it took all there was and needs more.
    fn gather<'b>(&mut self, wanted: usize, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let target = self.header.get_mut(self.header_len..wanted).unwrap_or_default();
        let (now, rest) = bytes.split_at(target.len().min(bytes.len()));
        if let Some(target) = target.get_mut(..now.len()) {
            target.copy_from_slice(now);
        }
        self.header_len += now.len();
        (self.header_len >= wanted).then_some(rest)
    }

    /// The header of a `piece` message is whole: where to with its payload?
    fn begin_block(&mut self, length: u32) {
        let [_, _, _, _, _, p0, p1, p2, p3, b0, b1, b2, b3] = self.header;
        let (piece, begin) = (u32::from_be_bytes([p0, p1, p2, p3]), u32::from_be_bytes([b0, b1, b2, b3]));
        let credit = if length <= BLOCK_SIZE { self.credits.take(piece, begin) } else { None };
        self.state = match credit {
            Some(credit) => State::Block { piece, begin, got: 0, block: credit.into_block(length) },
            None => State::Skip { left: length as usize, then: Received::Unpaid { piece, begin, length } },
        };
    }

    /// The block is whole.
    fn finish_block(&mut self, out: &mut Vec<Received>) {
        if let State::Block { piece, begin, block, .. } = std::mem::replace(&mut self.state, State::Header) {
            out.push(Received::Block { piece, begin, data: block.freeze() });
        }
    }

    /// Refuses lengths that a message of this id does not have. `length` counts the id.
    fn check(&self, id: u8, length: u32) -> Result<(), WireError> {
        let message = message::name(id);
        let (least, most) = match id {
            id::BITFIELD => (1, self.limits.bitfield.saturating_add(1)),
            // A block without bytes would be an answer to no request there is.
            id::PIECE => (10, self.limits.block.saturating_add(9)),
            id::EXTENDED => (2, self.limits.extended.saturating_add(2)),
            _ => match message::payload_bytes(id) {
                Some(payload) if length == payload + 1 => return Ok(()),
                Some(_) => return Err(WireError::BadLength { message, length }),
                None => (1, self.limits.extended.saturating_add(1)),
            },
        };
        if length > most {
            Err(WireError::TooLong { message, length, limit: most })
        } else if length < least {
            Err(WireError::BadLength { message, length })
        } else {
            Ok(())
        }
    }
}
