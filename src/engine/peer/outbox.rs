//! What is to be written to a peer: messages already encoded, and blocks by reference.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::time::Time;
use crate::memory::pool::Block;
use crate::wire;
use crate::wire::{BlockRequest, Message};

/// Bytes of messages that wait for a peer that does not read, and more for each piece, which it may be told of. One batch of requests that
/// are refused fits in.
const MOST_UNWRITTEN: usize = 1 << 20;
const UNWRITTEN_A_PIECE: usize = 16;
/// After this a peer to which nothing is said hears that we are still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// One that may be gone is sent something no more often.
const ASKED_AGAIN: Duration = Duration::from_secs(2);
/// Bytes that a batch of requests mostly has.
const BATCH: usize = 512;

/// A stretch of the stream to a peer.
#[derive(Debug)]
pub enum Chunk {
    Bytes(Vec<u8>),
    /// `len` bytes of a block from `offset` on; the block stays charged until they are written.
    Payload {
        block: Block,
        offset: u32,
        len: u32,
    },
}

impl Chunk {
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Payload { block, offset, len } => {
                block.as_slice().get(*offset as usize..(*offset + *len) as usize).unwrap_or(&[])
            }
        }
    }
}

/// The queue of chunks, in the order of the stream.
#[derive(Debug)]
pub struct Outbox {
    chunks: VecDeque<Chunk>,
    /// Messages behind the last payload: the end of the stream.
    tail: Vec<u8>,
    bytes: usize,
    /// Of them those that are no payload.
    message_bytes: usize,
    /// Bytes of answers since it was last empty.
    answer_bytes: usize,
    /// The shell was told that there is something to write.
    woken: bool,
    /// When something was put in last, or written.
    last_sent: Time,
}

impl Outbox {
    pub fn new(now: Time) -> Self {
        Self {
            chunks: VecDeque::new(),
            tail: Vec::new(),
            bytes: 0,
            message_bytes: 0,
            answer_bytes: 0,
            woken: false,
            last_sent: now,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Bytes waiting.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of messages waiting, payload aside.
    pub fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    /// Has the peer long ceased to read? There are so many pieces.
    pub fn is_deaf(&self, pieces: u32) -> bool {
        self.message_bytes > MOST_UNWRITTEN + UNWRITTEN_A_PIECE * pieces as usize
    }

    /// Bytes of answers to what the peer sent, since all was written the last time.
    pub fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// The blocks that wait in it.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.chunks.iter().filter_map(|c| match c {
            Chunk::Payload { block, .. } => Some(block),
            Chunk::Bytes(_) => None,
        })
    }

    pub fn push(&mut self, now: Time, message: &Message) {
        self.last_sent = now;
        if self.tail.is_empty() {
            self.tail.reserve(BATCH);
        }
        let before = self.tail.len();
        message.encode(&mut self.tail);
        self.bytes += self.tail.len() - before;
        self.message_bytes += self.tail.len() - before;
    }

    /// The answer to something that the peer sent. What goes out of our own accord does not count as such: two that have much to
    /// say to each other would else each wait for the other to listen.
    pub fn push_answer(&mut self, now: Time, message: &Message) {
        let before = self.message_bytes;
        self.push(now, message);
        self.answer_bytes += self.message_bytes - before;
    }

    /// A piece message whose payload lies in `parts` (block, offset in it, length).
    pub fn push_piece(&mut self, now: Time, request: BlockRequest, parts: Vec<(Block, u32, u32)>) {
        self.last_sent = now;
        let before = self.tail.len();
        wire::encode_piece_header(request.piece, request.begin, request.length, &mut self.tail);
        self.bytes += self.tail.len() - before + request.length as usize;
        self.message_bytes += self.tail.len() - before;
        self.flush_tail();
        for (block, offset, len) in parts {
            self.chunks.push_back(Chunk::Payload { block, offset, len });
        }
    }

    /// The shell wrote something of it.
    pub fn wrote(&mut self, now: Time) {
        self.last_sent = now;
    }

    /// Says that we are still there, if nothing was said for long. True: there is something to write with that.
    pub fn keep_alive(&mut self, now: Time) -> bool {
        let due = now.since(self.last_sent) > KEEP_ALIVE;
        if due {
            self.push(now, &Message::KeepAlive);
        }
        due
    }

    /// Says that we are there, so that the system finds out whether the other side is. True: as for [`Self::keep_alive`].
    pub fn ask_whether_there(&mut self, now: Time) -> bool {
        let due = now.since(self.last_sent) > ASKED_AGAIN;
        if due {
            self.push(now, &Message::KeepAlive);
        }
        due
    }

    /// The shell is to look at it. False: it was told so, and has not found it empty since.
    pub fn wake(&mut self) -> bool {
        !std::mem::replace(&mut self.woken, true)
    }

    /// The shell looks at it after this event: it need not be told.
    pub fn expect_look(&mut self) {
        self.woken = !self.is_empty();
    }

    pub fn pop(&mut self) -> Option<Chunk> {
        if self.chunks.is_empty() {
            self.flush_tail();
        }
        let Some(chunk) = self.chunks.pop_front() else {
            self.woken = false;
            return None;
        };
        let length = chunk.as_slice().len();
        self.bytes -= length.min(self.bytes);
        if let Chunk::Bytes(_) = chunk {
            self.message_bytes -= length.min(self.message_bytes);
        }
        if self.bytes == 0 {
            self.answer_bytes = 0;
        }
        Some(chunk)
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(Chunk::Bytes(std::mem::take(&mut self.tail)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::BEGINNING;

    #[test]
    fn the_shell_is_told_once_until_it_found_it_empty() {
        let mut outbox = Outbox::new(NOW);
        outbox.push(NOW, &Message::Choke);
        assert!(outbox.wake() && !outbox.wake());
        assert!(outbox.pop().is_some() && !outbox.wake());
        assert!(outbox.pop().is_none() && outbox.wake());
        outbox.expect_look();
        assert!(outbox.wake(), "there was nothing to look at");
        outbox.push(NOW, &Message::Choke);
        outbox.expect_look();
        assert!(!outbox.wake());
    }

    #[test]
    fn bytes_are_counted_by_their_kind() {
        let mut outbox = Outbox::new(NOW);
        outbox.push(NOW, &Message::Choke);
        outbox.push_answer(NOW, &Message::Unchoke);
        assert_eq!((outbox.bytes(), outbox.message_bytes(), outbox.answer_bytes()), (10, 10, 5));
        outbox.push_piece(NOW, BlockRequest { piece: 0, begin: 0, length: 0 }, Vec::new());
        assert_eq!((outbox.bytes(), outbox.message_bytes(), outbox.answer_bytes()), (23, 23, 5));
        assert!(outbox.pop().is_some_and(|chunk| chunk.as_slice().len() == 23));
        assert_eq!((outbox.bytes(), outbox.message_bytes(), outbox.answer_bytes()), (0, 0, 0));
    }

    #[test]
    fn who_hears_nothing_for_long_hears_that_we_are_there() {
        let mut outbox = Outbox::new(NOW);
        assert!(!outbox.keep_alive(NOW + KEEP_ALIVE));
        outbox.wrote(NOW + KEEP_ALIVE);
        let late = NOW + KEEP_ALIVE * 3;
        assert!(outbox.keep_alive(late) && !outbox.keep_alive(late) && outbox.bytes() == 4);
    }
}
