//! The bytes that the benchmark's seeders serve, and that its leechers compare with.
//!
//! Content is a 1 MiB pseudo-random pattern over and over, where the first eight bytes of each 16 KiB block are its number
//! (little-endian, XOR the seed). So a seeder of a gigabyte needs one megabyte and copies nothing, no two blocks and no
//! two pieces are alike, and a reader checks every byte at the speed of `memcmp`. `benches/c/content.h` is the same in C.

use std::io::{self, Write};

pub const BLOCK: usize = 16 * 1024;
pub const PATTERN: usize = 1024 * 1024;
/// Length of the number at the head of each block.
pub const STAMP: usize = 8;

/// A file of `size` bytes made from `seed`.
#[derive(Clone)]
pub struct Content {
    pattern: Box<[u8]>,
    seed: u64,
    size: u64,
}

impl Content {
    pub fn new(seed: u64, size: u64) -> Self {
        let mut pattern = vec![0; PATTERN].into_boxed_slice();
        // xorshift64*, written out because the C side must make the same bytes.
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for word in pattern.chunks_exact_mut(8) {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            word.copy_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
        }
        Self { pattern, seed, size }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// The number that stands at the head of a block.
    pub fn stamp(&self, block: u64) -> [u8; STAMP] {
        (block ^ self.seed).to_le_bytes()
    }

    /// The rest of a whole block, lent from the pattern.
    pub fn tail(&self, block: u64) -> &[u8] {
        let at = (block % (PATTERN / BLOCK) as u64) as usize * BLOCK;
        &self.pattern[at + STAMP..at + BLOCK]
    }

    /// Copies what stands at `offset` into `out`, which must lie inside the file.
    pub fn read(&self, mut offset: u64, mut out: &mut [u8]) {
        assert!(offset + out.len() as u64 <= self.size);
        while !out.is_empty() {
            let (block, within) = (offset / BLOCK as u64, (offset % BLOCK as u64) as usize);
            let len = out.len().min(BLOCK - within);
            let (now, rest) = out.split_at_mut(len);
            let stamped = STAMP.saturating_sub(within).min(len);
            now[..stamped].copy_from_slice(&self.stamp(block)[within.min(STAMP)..][..stamped]);
            now[stamped..]
                .copy_from_slice(&self.tail(block)[(within + stamped).saturating_sub(STAMP)..][..len - stamped]);
            offset += len as u64;
            out = rest;
        }
    }

    /// Whether `bytes` are what stands at `offset`.
    pub fn matches(&self, offset: u64, bytes: &[u8]) -> bool {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return false;
        }
        let (mut offset, mut bytes) = (offset, bytes);
        while !bytes.is_empty() {
            let (block, within) = (offset / BLOCK as u64, (offset % BLOCK as u64) as usize);
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK - within));
            let (stamped, plain) = now.split_at(STAMP.saturating_sub(within).min(now.len()));
            let tail = (within + stamped.len()).saturating_sub(STAMP);
            if stamped != &self.stamp(block)[within.min(STAMP)..][..stamped.len()]
                || plain != &self.tail(block)[tail..][..plain.len()]
            {
                return false;
            }
            offset += now.len() as u64;
            bytes = rest;
        }
        true
    }

    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let mut buffer = vec![0; PATTERN];
        let mut offset = 0;
        while offset < self.size {
            let len = (self.size - offset).min(PATTERN as u64) as usize;
            self.read(offset, &mut buffer[..len]);
            out.write_all(&buffer[..len])?;
            offset += len as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_reads_the_same_bytes() {
        let content = Content::new(7, 3 * BLOCK as u64 + 5);
        let mut whole = vec![0; content.size() as usize];
        content.read(0, &mut whole);
        for cut in [1, 3, 7, 8, 9, 4096, BLOCK - 1, BLOCK + 1] {
            let mut parts = Vec::new();
            while parts.len() < whole.len() {
                let mut part = vec![0; cut.min(whole.len() - parts.len())];
                content.read(parts.len() as u64, &mut part);
                parts.extend(part);
            }
            assert!(parts == whole, "cut {cut}");
        }
        let mut written = Vec::new();
        content.write_to(&mut written).unwrap();
        assert!(written == whole);
    }

    #[test]
    fn blocks_and_seeds_differ_and_a_wrong_byte_is_seen() {
        let content = Content::new(1, 4 * PATTERN as u64);
        let mut block = vec![0; BLOCK];
        content.read(BLOCK as u64, &mut block);
        assert!(content.matches(BLOCK as u64, &block));
        assert!(!content.matches((BLOCK + PATTERN) as u64, &block), "same pattern, other number");
        assert!(!Content::new(2, content.size()).matches(BLOCK as u64, &block));
        block[9000] ^= 1;
        assert!(!content.matches(BLOCK as u64, &block));
        assert!(!content.matches(u64::MAX, &block));
    }

    /// The numbers were computed apart from this code. C makes the same bytes, so they may not change on one side only.
    #[test]
    fn first_words_are_fixed() {
        let content = Content::new(1, PATTERN as u64);
        let mut bytes = [0; 24];
        content.read(0, &mut bytes);
        let words: Vec<u64> = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(words, [1, 0x54c44c79f1fe9d67, 0xa845f342007a0e78]);
    }
}
