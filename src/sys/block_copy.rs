//! Copies of payload, by vector moves of the library's own.
//!
//! The C library chooses among its ways to copy by length alone, and takes `rep movsb` for some kilobytes and more where the
//! processor calls it fast. On AMD's family 25 it is fast but for one case: where the destination lies less than a cache line beyond
//! the source, counted modulo a page, it copies a tenth as much in the same time. Blocks begin at a page and buffers from malloc
//! 16 bytes after one, so that case is the common one here.
//!
//! These copies run at one speed wherever the two lie. Of the destination's bytes each is written and none is read: it may be memory
//! that nobody has written yet. AVX-512 and stores that go past the caches were measured, and gained nothing.

use std::mem::MaybeUninit;

/// Below this the C library makes vector moves itself, and knows more about short ones.
#[cfg(any(target_arch = "x86_64", test))]
const LEAST: usize = 512;

/// Copies as many bytes as both have, and tells how many that were.
pub(crate) fn copy(from: &[u8], to: &mut [MaybeUninit<u8>]) -> usize {
    let len = from.len().min(to.len());
    // SAFETY: both have `len` bytes, and a mutable reference lies over no other.
    unsafe { copy_bytes(from.as_ptr(), to.as_mut_ptr().cast::<u8>(), len) };
    len
}

/// [`copy`] over bytes that were written before.
pub(crate) fn copy_over(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    // SAFETY: as in `copy`. What is written are bytes, so the destination holds bytes afterwards, too.
    unsafe { copy_bytes(from.as_ptr(), to.as_mut_ptr(), len) };
    len
}

/// Appends a copy.
pub(crate) fn append(from: &[u8], to: &mut Vec<u8>) {
    to.reserve(from.len());
    let copied = copy(from, to.spare_capacity_mut());
    // SAFETY: room for all of `from` was made, and that many bytes behind the vector's end have been written.
    unsafe { to.set_len(to.len() + copied) };
}

/// # Safety
/// `from` may be read and `to` written for `len` bytes, and they lie apart.
unsafe fn copy_bytes(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= LEAST {
        // SAFETY: as the caller promised; the processor has the instructions, SSE2 as any of these does.
        return unsafe {
            if std::arch::is_x86_feature_detected!("avx") {
                x86::copy_avx(from, to, len);
            } else {
                x86::copy_sse2(from, to, len);
            }
        };
    }
    // SAFETY: as the caller promised.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len) };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm_store_si128, _mm_storeu_si128, _mm256_loadu_si256, _mm256_store_si256,
        _mm256_storeu_si256,
    };

    // One body for vectors of each width: aligned stores, four a round, and at both ends one that is not and lies over its
    // neighbour in part.
    macro_rules! copy {
        ($vector:ty, $load:ident, $store:ident, $store_anywhere:ident, $from:ident, $to:ident, $len:ident) => {{
            const WIDTH: usize = size_of::<$vector>();
            // SAFETY: `len` is a vector's width at least, so that the first and the last one lie inside; the others do by the
            // loops' conditions. `to + at` is aligned: `at` begins at the first place that is, and grows by whole vectors.
            unsafe {
                $store_anywhere($to.cast(), $load($from.cast()));
                let mut at = $to.align_offset(WIDTH);
                while at + 4 * WIDTH <= $len {
                    let (from, to) = ($from.add(at).cast::<$vector>(), $to.add(at).cast::<$vector>());
                    let vectors = [$load(from), $load(from.add(1)), $load(from.add(2)), $load(from.add(3))];
                    $store(to, vectors[0]);
                    $store(to.add(1), vectors[1]);
                    $store(to.add(2), vectors[2]);
                    $store(to.add(3), vectors[3]);
                    at += 4 * WIDTH;
                }
                while at + WIDTH <= $len {
                    $store($to.add(at).cast(), $load($from.add(at).cast()));
                    at += WIDTH;
                }
                $store_anywhere($to.add($len - WIDTH).cast(), $load($from.add($len - WIDTH).cast()));
            }
        }};
    }

    /// # Safety
    /// As for [`super::copy_bytes`]; `len` is at least 32; the processor has AVX.
    #[target_feature(enable = "avx")]
    pub unsafe fn copy_avx(from: *const u8, to: *mut u8, len: usize) {
        copy!(__m256i, _mm256_loadu_si256, _mm256_store_si256, _mm256_storeu_si256, from, to, len);
    }

    /// # Safety
    /// As for [`super::copy_bytes`]; `len` is at least 16.
    pub unsafe fn copy_sse2(from: *const u8, to: *mut u8, len: usize) {
        copy!(__m128i, _mm_loadu_si128, _mm_store_si128, _mm_storeu_si128, from, to, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way to copy, and the least length that it takes.
    type Way = (&'static str, usize, unsafe fn(*const u8, *mut u8, usize));

    fn ways() -> Vec<Way> {
        #[allow(unused_mut)]
        let mut ways: Vec<Way> = vec![("chosen", 0, copy_bytes)];
        #[cfg(target_arch = "x86_64")]
        {
            ways.push(("SSE2", 16, x86::copy_sse2));
            if std::arch::is_x86_feature_detected!("avx") {
                ways.push(("AVX", 32, x86::copy_avx));
            }
        }
        ways
    }

    const ROOM: usize = 2 << 12;
    /// Where nobody may write.
    const GUARD: u8 = 0xa5;

    fn pattern() -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(3);
        // Never the guard's byte: one that was not copied, or copied too far, is seen wherever it lies.
        std::iter::repeat_with(|| rng.u8(..GUARD)).take(ROOM).collect()
    }

    /// Copies, compares with a plain copy, and puts the guard's bytes back.
    fn check(way: &Way, source: &[u8], from: usize, room: &mut [u8], to: usize, len: usize) {
        let (name, _, copy) = way;
        assert!(from + len <= source.len() && to + len <= room.len());
        // SAFETY: both have `len` bytes from there on, and they are two vectors.
        unsafe { copy(source.as_ptr().add(from), room.as_mut_ptr().add(to), len) };
        let (before, rest) = room.split_at(to);
        let (copied, after) = rest.split_at(len);
        assert!(copied == &source[from..from + len], "{name}: {len} bytes from {from} to {to}");
        // Two vectors on each side: more than any store of too much reaches.
        let near = before.iter().rev().take(64).chain(after.iter().take(64));
        assert!(near.copied().all(|byte| byte == GUARD), "{name}: {len} bytes to {to} wrote beside them");
        room[to..to + len].fill(GUARD);
    }

    #[test]
    fn every_length_and_both_offsets_within_a_vector() {
        let (source, mut room) = (pattern(), vec![GUARD; ROOM]);
        for way in &ways() {
            for len in (way.1..=300).chain([511, 512, 513, 640, 1000, 1023, 1024, 1025]) {
                for to in 0..33 {
                    for from in [0, 1, 15, 16, 17, 31] {
                        check(way, &source, from, &mut room, 64 + to, len);
                    }
                }
            }
        }
    }

    #[test]
    fn every_relative_offset_of_a_block_and_of_its_parts() {
        let mut source = pattern();
        source.extend_from_within(..);
        source.extend_from_within(..);
        let mut room = vec![GUARD; source.len()];
        for way in &ways() {
            for offset in (0..64).chain((0..4096).step_by(65)) {
                for len in [LEAST, LEAST + 1, 4095, 4096, 4097, 16383, 16384] {
                    check(way, &source, 0, &mut room, 64 + offset, len);
                    check(way, &source, offset, &mut room, 64, len);
                }
            }
        }
    }

    #[test]
    fn the_shorter_of_the_two_says_how_much() {
        let source = pattern();
        for (from, to) in [(0, 0), (0, 9), (9, 0), (9, 7), (2000, 1999), (1999, 2000), (600, 8000)] {
            let mut room = vec![MaybeUninit::new(GUARD); to];
            let mut over = vec![GUARD; to];
            let copied = copy(&source[..from], &mut room);
            assert_eq!((copied, copy_over(&source[..from], &mut over)), (from.min(to), from.min(to)));
            // SAFETY: all of it was written when it was made.
            let room: Vec<u8> = room.into_iter().map(|byte| unsafe { byte.assume_init() }).collect();
            assert_eq!(room, over);
            assert!(over[..copied] == source[..copied] && over[copied..].iter().all(|byte| *byte == GUARD));
        }
    }

    #[test]
    fn appended_behind_what_is_there() {
        let source = pattern();
        let mut all = Vec::new();
        for len in [0, 1, 13, LEAST - 1, LEAST, 5000] {
            let expected = [all.as_slice(), &source[..len]].concat();
            append(&source[..len], &mut all);
            assert_eq!(all, expected, "{len} more");
        }
    }

    /// Memory that was never written is what callers give: a tool that follows it would see a read of it here.
    #[test]
    fn into_memory_that_nobody_has_written() {
        let source = pattern();
        let mut room: Vec<u8> = Vec::with_capacity(ROOM);
        let copied = copy(&source, room.spare_capacity_mut());
        // SAFETY: so many bytes were written.
        unsafe { room.set_len(copied) };
        assert!(room == source[..copied] && copied == ROOM);
    }
}
