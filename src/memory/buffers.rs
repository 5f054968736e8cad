//! The memory behind the blocks of a pool.
//!
//! It comes in slabs of some megabytes, for which the system is asked for large pages: a stream writes, hashes and reads all
//! of its memory over and over, and each small page would cost a fault at first and a look-up each time. Buffers are
//! recycled, not freed. They are taken from the slab that was made first, so that the others empty when less is needed, and
//! one that is empty goes back to the system whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::sys::pages::{self, Part};

/// Bytes of a block: what one request asks for (BEP 3).
pub const BLOCK_SIZE: u32 = 16 * 1024;

/// Blocks of a slab: two of the large pages that are common, so that little is lost at its ends.
const SLAB_BLOCKS: u64 = 256;

/// The memory of one block.
#[derive(Debug)]
pub struct Buffer {
    bytes: Part,
    slab: u64,
}

impl Buffer {
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

#[derive(Debug)]
struct Slab {
    blocks: u64,
    idle: Vec<Part>,
}

/// All slabs of a pool.
#[derive(Debug, Default)]
pub struct Buffers {
    slabs: BTreeMap<u64, Slab>,
    /// Those that have an idle buffer.
    with_idle: BTreeSet<u64>,
    next: u64,
    /// Idle ones and those in blocks.
    allocated: u64,
}

impl Buffers {
    /// A buffer, an idle one if there is any. The caller has charged it: so slabs are made up to the limit of `most` blocks and not
    /// beyond, but for a limit that was lowered.
    pub fn take(&mut self, most: u64) -> Buffer {
        loop {
            let id = self.with_idle.first().copied().unwrap_or_else(|| self.make(most));
            let idle = self.slabs.get_mut(&id).map(|slab| &mut slab.idle);
            let bytes = idle.and_then(|idle| Some((idle.pop()?, idle.is_empty())));
            if bytes.as_ref().is_none_or(|(_, is_last)| *is_last) {
                self.with_idle.remove(&id);
            }
            if let Some((bytes, _)) = bytes {
                return Buffer { bytes, slab: id };
            }
        }
    }

    fn make(&mut self, most: u64) -> u64 {
        let blocks = most.saturating_sub(self.allocated).clamp(1, SLAB_BLOCKS);
        let mut idle = pages::parts(blocks as usize, BLOCK_SIZE as usize);
        // From the last on they are taken: in their order in memory.
        idle.reverse();
        let slab = self.next;
        self.next += 1;
        self.allocated += blocks;
        self.slabs.insert(slab, Slab { blocks, idle });
        self.with_idle.insert(slab);
        slab
    }

    /// Takes a buffer back; its slab is freed if nothing of it is in use and the others are enough for `most` blocks.
    pub fn put(&mut self, buffer: Buffer, most: u64) {
        if let Some(slab) = self.slabs.get_mut(&buffer.slab) {
            slab.idle.push(buffer.bytes);
            self.with_idle.insert(buffer.slab);
        }
        if self.allocated > most {
            self.shrink(most);
        }
    }

    /// Frees slabs of which nothing is in use, the latest first, until `most` blocks are left in all, or none such is left.
    pub fn shrink(&mut self, most: u64) {
        while self.allocated > most {
            let unused = |id: &&u64| self.slabs.get(id).is_some_and(|s| s.idle.len() as u64 == s.blocks);
            let Some(id) = self.with_idle.iter().rev().find(unused).copied() else { return };
            self.with_idle.remove(&id);
            self.allocated -= self.slabs.remove(&id).map_or(0, |s| s.blocks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_slab_empties_and_goes() {
        let mut buffers = Buffers::default();
        let most = 3 * SLAB_BLOCKS;
        let mut held: Vec<Buffer> = (0..2 * SLAB_BLOCKS).map(|_| buffers.take(most)).collect();
        assert!(held.iter().all(|b| b.as_slice().len() == BLOCK_SIZE as usize));
        assert_eq!(buffers.allocated, 2 * SLAB_BLOCKS);
        // One of each slab comes back: the first slab's is taken first.
        let (first, last) = (held.remove(0), held.pop().expect("many"));
        buffers.put(last, most);
        buffers.put(first, most);
        let (first, last) = (buffers.take(most), buffers.take(most));
        assert_eq!((first.slab, last.slab), (0, 1));
        // A lowered limit frees a slab as soon as nothing of it is in use.
        held.into_iter().for_each(|buffer| buffers.put(buffer, SLAB_BLOCKS));
        assert_eq!(buffers.allocated, 2 * SLAB_BLOCKS, "one buffer of each is in use");
        buffers.put(last, SLAB_BLOCKS);
        assert_eq!(buffers.allocated, SLAB_BLOCKS);
    }

    #[test]
    fn never_more_than_the_limit_and_nothing_when_released() {
        let mut buffers = Buffers::default();
        let held: Vec<Buffer> = (0..SLAB_BLOCKS + 3).map(|_| buffers.take(SLAB_BLOCKS + 3)).collect();
        assert_eq!(buffers.allocated, SLAB_BLOCKS + 3);
        held.into_iter().rev().for_each(|buffer| buffers.put(buffer, SLAB_BLOCKS));
        assert_eq!(buffers.allocated, SLAB_BLOCKS, "the slab of three went");
        buffers.shrink(0);
        assert_eq!(buffers.allocated, 0);
        let mut again = buffers.take(1);
        again.as_mut_slice().fill(1);
        assert_eq!(buffers.allocated, 1, "a small limit makes a small slab");
    }
}
