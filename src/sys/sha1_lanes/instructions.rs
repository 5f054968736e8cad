//! SHA-1 of several messages in step, with the x86 SHA instructions.
//!
//! Each of a message's rounds waits for the one before it, and may leave the unit that runs them idle for more than half of the time:
//! the rounds of other messages fill the gaps.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32, _mm_set_epi64x, _mm_sha1msg1_epu32,
    _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_shuffle_epi8, _mm_xor_si128,
};

use super::Lane;

/// Takes as many chunks as the first message has into the states of up to four messages.
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub fn compress(lanes: &mut [Lane<'_>]) {
    match lanes {
        [a, b, c, d, ..] => in_step([a, b, c, d]),
        [a, b, c] => in_step([a, b, c]),
        [a, b] => in_step([a, b]),
        [a] => in_step([a]),
        [] => {}
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn in_step<const N: usize>(lanes: [&mut Lane<'_>; N]) {
    let messages = lanes.each_ref().map(|(_, chunks)| *chunks);
    let chunks = messages.first().map_or(0, |chunks| chunks.len());
    let mut states = lanes.map(|(state, _)| &mut **state);
    let mut abcd = states.each_ref().map(|[a, b, c, d, _]| vector(*a, *b, *c, *d));
    let mut e = states.each_ref().map(|[.., e]| vector(*e, 0, 0, 0));
    for at in 0..chunks {
        let first_abcd = abcd;
        // The last sixteen words of each message's schedule.
        let mut words = [[e[0]; 4]; N];
        for (words, message) in words.iter_mut().zip(&messages) {
            if let Some(chunk) = message.get(at) {
                load(words, chunk);
            }
        }
        // Before the last four rounds: the next `e` comes from it.
        let mut before = abcd;
        // Four rounds of each message; with the constant and function of their kind.
        macro_rules! rounds {
            ($kind:literal: $($group:literal)+) => { $(
                let lanes = abcd.iter_mut().zip(&mut before).zip(&e).zip(&mut words);
                for (((abcd, before), e), w) in lanes {
                    if $group >= 4 {
                        // The newest words take the place of the oldest.
                        let sum = _mm_sha1msg1_epu32(w[$group % 4], w[($group + 1) % 4]);
                        let sum = _mm_xor_si128(sum, w[($group + 2) % 4]);
                        w[$group % 4] = _mm_sha1msg2_epu32(sum, w[($group + 3) % 4]);
                    }
                    let next = w[$group % 4];
                    let with_e =
                        if $group == 0 { _mm_add_epi32(*e, next) } else { _mm_sha1nexte_epu32(*before, next) };
                    *before = *abcd;
                    *abcd = _mm_sha1rnds4_epu32::<$kind>(*abcd, with_e);
                }
            )+ };
        }
        rounds!(0: 0 1 2 3 4);
        rounds!(1: 5 6 7 8 9);
        rounds!(2: 10 11 12 13 14);
        rounds!(3: 15 16 17 18 19);
        for (((abcd, e), before), first) in abcd.iter_mut().zip(&mut e).zip(before).zip(first_abcd) {
            *e = _mm_sha1nexte_epu32(before, *e);
            *abcd = _mm_add_epi32(*abcd, first);
        }
    }
    for (state, (abcd, e)) in states.iter_mut().zip(abcd.into_iter().zip(e)) {
        **state = [
            _mm_extract_epi32::<3>(abcd),
            _mm_extract_epi32::<2>(abcd),
            _mm_extract_epi32::<1>(abcd),
            _mm_extract_epi32::<0>(abcd),
            _mm_extract_epi32::<3>(e),
        ]
        .map(i32::cast_unsigned);
    }
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn vector(a: u32, b: u32, c: u32, d: u32) -> __m128i {
    _mm_set_epi32(a.cast_signed(), b.cast_signed(), c.cast_signed(), d.cast_signed())
}

// Plain loops: a closure may become a function by itself here, which has the instructions and so is not merged into one that has not.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn load(words: &mut [__m128i; 4], chunk: &[u8; 64]) {
    let big_endian = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    for (i, word) in words.iter_mut().enumerate() {
        // SAFETY: 16 bytes are read, and there are four times as many; the instruction asks for no alignment.
        let bytes = unsafe { _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>().add(i)) };
        *word = _mm_shuffle_epi8(bytes, big_endian);
    }
}
