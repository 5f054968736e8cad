//! SHA-1 of eight messages in step, each in its own lane of vector registers.
//!
//! No instruction here knows of SHA-1, but each works for eight messages.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_rol_epi32, _mm256_set_epi64x, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256, _mm256_ternarylogic_epi32, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::Lane;

/// The constant of each twenty rounds.
const K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

/// Rounds of that function and constant. What they work on is named, for a macro sees no names of where it is used.
macro_rules! rounds {
    ($function:ident $k:literal on $a:ident $b:ident $c:ident $d:ident $e:ident $words:ident: $($round:literal)+) => { $(
        if $round >= 16 {
            // The newest word takes the place of the oldest.
            let sum = parity($words[($round + 13) % 16], $words[($round + 8) % 16], $words[($round + 2) % 16]);
            $words[$round % 16] = rotate::<1, 31>(_mm256_xor_si256(sum, $words[$round % 16]));
        }
        let sum = _mm256_add_epi32(_mm256_add_epi32($e, _mm256_set1_epi32(K[$k].cast_signed())), $words[$round % 16]);
        let sum = _mm256_add_epi32(sum, $function($b, $c, $d));
        let next = _mm256_add_epi32(sum, rotate::<5, 27>($a));
        $e = $d;
        $d = $c;
        $c = rotate::<30, 2>($b);
        $b = $a;
        $a = next;
    )+ };
}

/// All but the functions of three words and the rotation, which the sets of instructions have in ways of their own.
macro_rules! compress_with {
    ($features:literal) => {
        /// Takes as many chunks as the shortest has into the states of up to eight messages.
        #[target_feature(enable = $features)]
        pub fn compress(lanes: &mut [Lane<'_>]) {
            let Some((_, first)) = lanes.first() else { return };
            // A lane without a message goes along with the first one's.
            let mut messages = [*first; 8];
            messages.iter_mut().zip(lanes.iter()).for_each(|(message, (_, chunks))| *message = chunks);
            // By word, that of all messages. They go through memory: put together in registers, two of them would be kept in one of 512
            // bits for all of the loop, and while such are in use these processors have a unit less for the others.
            let mut states = [[0; 8]; 5];
            for (lane, (state, _)) in lanes.iter().enumerate() {
                for (words, word) in states.iter_mut().zip(state.iter()) {
                    words.iter_mut().skip(lane).take(1).for_each(|place| *place = *word);
                }
            }
            let mut sums = [_mm256_setzero_si256(); 5];
            for (sum, words) in sums.iter_mut().zip(&states) {
                // SAFETY: 32 bytes are read, and there are as many; the instruction asks for no alignment.
                *sum = unsafe { _mm256_loadu_si256(words.as_ptr().cast::<__m256i>()) };
            }
            let count = messages.iter().map(|chunks| chunks.len()).min().unwrap_or(0);
            for at in 0..count {
                // SAFETY: each message has that chunk, for the shortest has it.
                let (head, tail) = unsafe { (load::<0>(&messages, at), load::<1>(&messages, at)) };
                let [w0, w1, w2, w3, w4, w5, w6, w7] = transpose(head);
                let [w8, w9, w10, w11, w12, w13, w14, w15] = transpose(tail);
                let mut words = [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15];
                let [mut a, mut b, mut c, mut d, mut e] = sums;
                rounds!(choose 0 on a b c d e words: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
                rounds!(parity 1 on a b c d e words: 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
                rounds!(majority 2 on a b c d e words: 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
                rounds!(parity 3 on a b c d e words: 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
                for (sum, word) in sums.iter_mut().zip([a, b, c, d, e]) {
                    *sum = _mm256_add_epi32(*sum, word);
                }
            }
            for (sum, words) in sums.into_iter().zip(&mut states) {
                // SAFETY: 32 bytes are written, and there are as many; the instruction asks for no alignment.
                unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast::<__m256i>(), sum) };
            }
            for (lane, (state, _)) in lanes.iter_mut().enumerate() {
                for (words, word) in states.iter().zip(state.iter_mut()) {
                    words.iter().skip(lane).take(1).for_each(|place| *word = *place);
                }
            }
        }

        /// The first eight words of each message's chunk there, or its last.
        ///
        /// # Safety
        /// Each message has that chunk.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn load<const HALF: usize>(messages: &[&[[u8; 64]]; 8], at: usize) -> [__m256i; 8] {
            const { assert!(HALF < 2) };
            let (low, high) = (0x0405_0607_0001_0203, 0x0c0d_0e0f_0809_0a0b);
            let big_endian = _mm256_set_epi64x(high, low, high, low);
            let mut rows = [_mm256_setzero_si256(); 8];
            for (row, message) in rows.iter_mut().zip(messages) {
                // SAFETY: as the caller promised. 32 of the chunk's 64 bytes are read; the instruction asks for no alignment.
                let words = unsafe { _mm256_loadu_si256(message.as_ptr().add(at).cast::<__m256i>().add(HALF)) };
                *row = _mm256_shuffle_epi8(words, big_endian);
            }
            rows
        }

        /// Of eight words of each message, the same word of all messages.
        #[inline]
        #[target_feature(enable = $features)]
        fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
            // Pairs of messages, then fours, then all. No closures: they would be functions by themselves here, which are not merged.
            let [a, b, c, d, e, f, g, h] = rows;
            let (ab, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
            let (cd, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
            let (ef, ef_high) = (_mm256_unpacklo_epi32(e, f), _mm256_unpackhi_epi32(e, f));
            let (gh, gh_high) = (_mm256_unpacklo_epi32(g, h), _mm256_unpackhi_epi32(g, h));
            let (a0, a1) = (_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
            let (a2, a3) = (_mm256_unpacklo_epi64(ab_high, cd_high), _mm256_unpackhi_epi64(ab_high, cd_high));
            let (e0, e1) = (_mm256_unpacklo_epi64(ef, gh), _mm256_unpackhi_epi64(ef, gh));
            let (e2, e3) = (_mm256_unpacklo_epi64(ef_high, gh_high), _mm256_unpackhi_epi64(ef_high, gh_high));
            [
                _mm256_permute2x128_si256::<0x20>(a0, e0),
                _mm256_permute2x128_si256::<0x20>(a1, e1),
                _mm256_permute2x128_si256::<0x20>(a2, e2),
                _mm256_permute2x128_si256::<0x20>(a3, e3),
                _mm256_permute2x128_si256::<0x31>(a0, e0),
                _mm256_permute2x128_si256::<0x31>(a1, e1),
                _mm256_permute2x128_si256::<0x31>(a2, e2),
                _mm256_permute2x128_si256::<0x31>(a3, e3),
            ]
        }
    };
}

pub mod avx512 {
    use super::*;

    compress_with!("avx2,avx512f,avx512vl");

    // A table of the function's values, for each three bits, is the instruction's operand.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    fn choose(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_ternarylogic_epi32::<0xca>(b, c, d)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    fn parity(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_ternarylogic_epi32::<0x96>(b, c, d)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    fn majority(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_ternarylogic_epi32::<0xe8>(b, c, d)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    fn rotate<const LEFT: i32, const RIGHT: i32>(word: __m256i) -> __m256i {
        _mm256_rol_epi32::<LEFT>(word)
    }
}

pub mod avx2 {
    use super::*;

    compress_with!("avx2");

    #[inline]
    #[target_feature(enable = "avx2")]
    fn choose(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn parity(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_xor_si256(d, _mm256_xor_si256(b, c))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn majority(b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_and_si256(b, c), _mm256_and_si256(d, _mm256_or_si256(b, c)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn rotate<const LEFT: i32, const RIGHT: i32>(word: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_slli_epi32::<LEFT>(word), _mm256_srli_epi32::<RIGHT>(word))
    }
}
