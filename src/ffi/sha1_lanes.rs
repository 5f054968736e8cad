//! SHA-1 (FIPS 180-4) of several messages in step, with the x86 SHA instructions.
//!
//! Each of a message's rounds waits for the one before it, and leaves the unit that runs them idle more than half of the time:
//! the rounds of other messages fill the gaps.

/// Does this processor have what [`compress`] is made of?
pub(crate) fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("sha")
            && std::arch::is_x86_feature_detected!("ssse3")
            && std::arch::is_x86_feature_detected!("sse4.1")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Takes chunks of 64 bytes into the states of `N` messages, as many of each as the shortest has: in step where the processor can.
pub(crate) fn compress<const N: usize>(states: [&mut [u32; 5]; N], messages: [&[[u8; 64]]; N]) {
    let chunks = messages.iter().map(|m| m.len()).min().unwrap_or(0);
    #[cfg(target_arch = "x86_64")]
    if is_supported() {
        // SAFETY: the processor has the instructions.
        return unsafe { x86::compress(states, messages, chunks) };
    }
    for (state, message) in states.into_iter().zip(messages) {
        sha1::block_api::compress(state, message.get(..chunks).unwrap_or(message));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_loadu_si128, _mm_set_epi32, _mm_set_epi64x, _mm_sha1msg1_epu32,
        _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32, _mm_shuffle_epi8, _mm_xor_si128,
    };

    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub fn compress<const N: usize>(mut states: [&mut [u32; 5]; N], messages: [&[[u8; 64]]; N], chunks: usize) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_step<const N: usize>(rng: &mut fastrand::Rng) {
        let mut states: [[u32; 5]; N] = std::array::from_fn(|_| std::array::from_fn(|_| rng.u32(..)));
        let messages: [Vec<[u8; 64]>; N] =
            std::array::from_fn(|_| (0..rng.usize(3..9)).map(|_| std::array::from_fn(|_| rng.u8(..))).collect());
        let chunks = messages.iter().map(Vec::len).min().expect("there are some");
        let mut expected = states;
        for (state, message) in expected.iter_mut().zip(&messages) {
            sha1::block_api::compress(state, &message[..chunks]);
        }
        compress(states.each_mut(), messages.each_ref().map(Vec::as_slice));
        assert_eq!(states, expected);
    }

    #[test]
    fn each_as_alone() {
        // Where it is not supported that is all that can be tested.
        println!("SHA instructions: {}", is_supported());
        let rng = &mut fastrand::Rng::with_seed(7);
        for _ in 0..50 {
            in_step::<1>(rng);
            in_step::<2>(rng);
            in_step::<3>(rng);
            in_step::<4>(rng);
        }
    }
}
