//! SHA-1 (FIPS 180-4) of pieces, which come part by part and are hashed several at a time.
//!
//! One message's rounds wait for one another, and those of several messages in step fill the gaps: see `sys::sha1_lanes`.

use sha1::block_api;

use crate::sys::sha1_lanes;

/// How many messages are worth bringing together, one where that gains nothing.
pub fn lanes() -> usize {
    sha1_lanes::most()
}

/// Bytes that are hashed as one.
type Chunk = [u8; CHUNK];
const CHUNK: usize = 64;

/// The SHA-1 of what came so far of a message.
#[derive(Debug, Clone)]
pub struct PieceHash {
    state: [u32; 5],
    length: u64,
    /// What is no whole chunk yet: its first `length % CHUNK` bytes.
    rest: Chunk,
}

impl Default for PieceHash {
    fn default() -> Self {
        Self { state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0], length: 0, rest: [0; CHUNK] }
    }
}

impl PieceHash {
    pub fn update(&mut self, bytes: &[u8]) {
        let chunks = self.take_up(bytes);
        block_api::compress(&mut self.state, chunks);
    }

    /// How much of `rest` is in use.
    fn used(&self) -> usize {
        (self.length % CHUNK as u64) as usize
    }

    pub fn finish(mut self) -> [u8; 20] {
        let bits = self.length.wrapping_mul(8);
        // A one, then zeros up to the length at the end of a chunk.
        let mut end = [0; 2 * CHUNK];
        end[0] = 0x80;
        let room = CHUNK - self.used();
        let until = if room > 8 { room } else { room + CHUNK };
        end[until - 8..until].copy_from_slice(&bits.to_be_bytes());
        self.update(&end[..until]);
        let mut digest = [0; 20];
        for (out, word) in digest.chunks_exact_mut(4).zip(self.state) {
            out.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }

    /// Counts the bytes, keeps what is no whole chunk at their end, and hashes what was kept before. The chunks between, which are
    /// still to be hashed.
    fn take_up<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [Chunk] {
        let used = self.used();
        self.length += bytes.len() as u64;
        if used > 0 {
            let (head, behind) = bytes.split_at(bytes.len().min(CHUNK - used));
            self.rest[used..used + head.len()].copy_from_slice(head);
            bytes = behind;
            if used + head.len() < CHUNK {
                return &[];
            }
            block_api::compress(&mut self.state, &[self.rest]);
        }
        let (chunks, tail) = bytes.as_chunks();
        self.rest[..tail.len()].copy_from_slice(tail);
        chunks
    }
}

/// A message whose hash goes on with others': its hash, the parts to come, and the chunks of the one at hand.
struct Lane<'a, I> {
    hash: &'a mut PieceHash,
    parts: I,
    chunks: &'a [Chunk],
}

impl<'a, I: Iterator<Item = &'a [u8]>> Lane<'a, I> {
    /// Has it chunks to hash?
    fn goes_on(&mut self) -> bool {
        while self.chunks.is_empty() {
            let Some(part) = self.parts.next() else { return false };
            self.chunks = self.hash.take_up(part);
        }
        true
    }

    /// Splits off the next chunks.
    fn step(&mut self, chunks: usize) -> (&mut [u32; 5], &'a [Chunk]) {
        let (now, later) = self.chunks.split_at(chunks);
        self.chunks = later;
        (&mut self.hash.state, now)
    }
}

/// Goes on with several hashes at once, each by its parts in their order.
pub fn update_together<'a, I>(messages: impl IntoIterator<Item = (&'a mut PieceHash, I)>)
where
    I: Iterator<Item = &'a [u8]>,
{
    let most = lanes();
    let mut waiting = messages.into_iter().map(|(hash, parts)| Lane { hash, parts, chunks: &[] });
    let mut lanes: Vec<Lane<I>> = Vec::with_capacity(most);
    loop {
        lanes.retain_mut(Lane::goes_on);
        while lanes.len() < most
            && let Some(mut lane) = waiting.next()
        {
            if lane.goes_on() {
                lanes.push(lane);
            }
        }
        let Some(chunks) = lanes.iter().map(|lane| lane.chunks.len()).min() else { return };
        let mut in_step: Vec<sha1_lanes::Lane> = lanes.iter_mut().map(|lane| lane.step(chunks)).collect();
        sha1_lanes::compress(&mut in_step);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha1::{Digest, Sha1};

    use super::*;

    fn expected(message: &[Vec<u8>]) -> [u8; 20] {
        Sha1::digest(message.concat()).into()
    }

    proptest! {
        /// However many messages, of whatever lengths, and however they are cut.
        #[test]
        fn together_as_one_by_one(
            messages in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6), 0..12),
        ) {
            let mut hashes = vec![PieceHash::default(); messages.len()];
            let parts = messages.iter().map(|message| message.iter().map(Vec::as_slice));
            update_together(hashes.iter_mut().zip(parts));
            for (hash, message) in hashes.into_iter().zip(&messages) {
                prop_assert_eq!(hash.finish(), expected(message));
            }
        }

        #[test]
        fn alone(message in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6)) {
            let mut hash = PieceHash::default();
            message.iter().for_each(|part| hash.update(part));
            prop_assert_eq!(hash.finish(), expected(&message));
        }
    }

    /// Blocks as pieces have them, and a hash that goes on alone with what it was given in company.
    #[test]
    fn whole_pieces_and_what_follows() {
        let block = |seed: usize| -> Vec<u8> { (0..16_384).map(|i| ((i * (seed + 3)) >> 3) as u8).collect() };
        let pieces: Vec<Vec<Vec<u8>>> = (0..7).map(|p| (0..p + 2).map(|b| block(31 * p + b)).collect()).collect();
        let mut hashes = vec![PieceHash::default(); pieces.len()];
        update_together(hashes.iter_mut().zip(&pieces).map(|(hash, piece)| (hash, piece.iter().map(Vec::as_slice))));
        for (mut hash, mut piece) in hashes.into_iter().zip(pieces) {
            piece.push(vec![7; 1000]);
            hash.update(&piece[piece.len() - 1]);
            assert_eq!(hash.finish(), expected(&piece));
        }
    }

    #[test]
    fn known_answers() {
        let mut abc = PieceHash::default();
        abc.update(b"abc");
        let hex = |digest: [u8; 20]| digest.map(|b| format!("{b:02x}")).concat();
        assert_eq!(hex(abc.finish()), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(PieceHash::default().finish()), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    }
}
