//! What a read finds in memory: stretches of pieces, held while they are copied out.

use crate::engine::content::Content;
use crate::memory::pool::{BLOCK_SIZE, Blocks};

/// Bytes handed out by one read at most; a reader with a larger buffer comes again.
const MAX_READ: u64 = 1 << 20;

/// Bytes that follow one another in a piece.
#[derive(Debug, Clone)]
pub struct Part {
    /// All blocks of a verified piece: one count for all of them is taken, not one each. Else the one block that is here.
    blocks: Blocks,
    /// From the start of the first block.
    offset: usize,
    len: usize,
}

impl Part {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, in order.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let block_size = BLOCK_SIZE as usize;
        let end = self.offset + self.len;
        self.blocks.iter().enumerate().skip(self.offset / block_size).map_while(move |(i, block)| {
            let start = i * block_size;
            let range = self.offset.saturating_sub(start)..end.checked_sub(start)?.min(block_size);
            block.as_slice().get(range).filter(|bytes| !bytes.is_empty())
        })
    }
}

/// What follows from a place in the torrent on and can be read.
pub(in crate::engine) fn memory_parts(content: &Content, mut at: u64, len: u64, unverified: bool) -> Vec<Part> {
    let end = at + len.min(MAX_READ);
    let mut parts = Vec::new();
    while at < end {
        let inside = at % content.piece_length();
        let piece = (at / content.piece_length()) as u32;
        let Some(mut part) = part_of(content, piece, inside as usize, unverified) else { break };
        part.len = part.len.min((end - at) as usize);
        at += part.len as u64;
        parts.push(part);
    }
    parts
}

/// The piece from `inside` on, or, where it is not whole yet, its block there.
fn part_of(content: &Content, piece: u32, inside: usize, unverified: bool) -> Option<Part> {
    if let Some(blocks) = content.store().slot(piece)?.whole() {
        let len = (content.layout().piece_size(piece) as usize).checked_sub(inside).filter(|n| *n > 0)?;
        return Some(Part { blocks: blocks.clone(), offset: inside, len });
    }
    let (index, offset) = (inside / BLOCK_SIZE as usize, inside % BLOCK_SIZE as usize);
    let block = content.store().block(piece, index as u32, unverified)?;
    let len = (block.len() as usize).checked_sub(offset).filter(|n| *n > 0)?;
    Some(Part { blocks: std::iter::once(block.clone()).collect(), offset, len })
}
