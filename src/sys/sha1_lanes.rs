//! SHA-1 (FIPS 180-4) of several messages in step.
//!
//! How much that gains, and in which way, differs from one processor to the next, and not as their features do: four messages with the
//! SHA instructions are 2.7 times as fast as one on AMD's family 25, and no faster on Intel's family 6, model 167, where eight in vector
//! registers are 2.9 times as fast. So the ways are timed, once in a process, for some 0.1 ms.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[cfg(target_arch = "x86_64")]
mod instructions;
#[cfg(target_arch = "x86_64")]
mod vectors;

/// A message's state, and the chunks that are to be taken into it.
pub(crate) type Lane<'a> = (&'a mut [u32; 5], &'a [[u8; 64]]);

/// Chunks that each way is timed with, all messages together, and how often: the best time counts, for other work comes between.
const TIMED: usize = 512;
const TIMES: usize = 4;

/// How the messages go in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Eight in vector registers, with AVX-512's logic of three operands and its rotations; few of them with SHA instructions.
    Avx512,
    /// Up to four, with the SHA instructions.
    Instructions,
    /// Eight in vector registers.
    Avx2,
    Alone,
}

impl Way {
    fn best() -> Self {
        static BEST: OnceLock<Way> = OnceLock::new();
        // A build that is not optimised takes the longer the more of the work is here: there it is to work as an optimised one does.
        let rank = |way: &Self| if cfg!(debug_assertions) { Duration::ZERO } else { way.time() };
        *BEST.get_or_init(|| Self::all().min_by_key(rank).unwrap_or(Self::Alone))
    }

    /// What this processor can.
    fn all() -> impl Iterator<Item = Self> {
        [Self::Avx512, Self::Instructions, Self::Avx2, Self::Alone].into_iter().filter(|way| way.is_supported())
    }

    /// How long it takes for the same bytes in as many messages as it takes at once.
    fn time(self) -> Duration {
        let message = vec![[0; 64]; TIMED / self.lanes()];
        let mut states = vec![[0; 5]; self.lanes()];
        let mut once = || {
            let begun = Instant::now();
            let mut lanes: Vec<Lane<'_>> = states.iter_mut().map(|state| (state, message.as_slice())).collect();
            self.compress(&mut lanes);
            begun.elapsed()
        };
        (0..TIMES).map(|_| once()).min().unwrap_or(Duration::MAX)
    }

    #[cfg(target_arch = "x86_64")]
    fn is_supported(self) -> bool {
        use std::arch::is_x86_feature_detected as has;
        match self {
            Self::Avx512 => has!("avx2") && has!("avx512f") && has!("avx512vl"),
            Self::Instructions => has!("sha") && has!("ssse3") && has!("sse4.1"),
            Self::Avx2 => has!("avx2"),
            Self::Alone => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_supported(self) -> bool {
        self == Self::Alone
    }

    /// How many messages are worth bringing together.
    fn lanes(self) -> usize {
        match self {
            Self::Avx512 | Self::Avx2 => 8,
            Self::Instructions => 4,
            Self::Alone => 1,
        }
    }

    fn compress(self, lanes: &mut [Lane<'_>]) {
        for lanes in lanes.chunks_mut(self.lanes()) {
            let in_step = lanes.len() > 1 && self.compress_in_step(lanes);
            if !in_step {
                for (state, chunks) in lanes {
                    sha1::block_api::compress(state, chunks);
                }
            }
        }
    }

    /// False where that many are not worth it: then nothing was done.
    #[cfg(target_arch = "x86_64")]
    fn compress_in_step(self, lanes: &mut [Lane<'_>]) -> bool {
        if !self.is_supported() {
            return false;
        }
        // SAFETY: the processor has the instructions.
        unsafe {
            match self {
                // Half of the lanes idle is what the SHA instructions take as long for.
                Self::Avx512 if lanes.len() < 4 && Self::Instructions.is_supported() => instructions::compress(lanes),
                Self::Avx512 => vectors::avx512::compress(lanes),
                Self::Instructions => instructions::compress(lanes),
                Self::Avx2 => vectors::avx2::compress(lanes),
                Self::Alone => return false,
            }
        }
        true
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn compress_in_step(self, _: &mut [Lane<'_>]) -> bool {
        false
    }
}

/// How many messages are worth bringing together, one where that gains nothing.
pub(crate) fn most() -> usize {
    Way::best().lanes()
}

/// Takes chunks of 64 bytes into the states of messages. All have as many.
pub(crate) fn compress(lanes: &mut [Lane<'_>]) {
    Way::best().compress(lanes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_step(way: Way, lanes: usize, rng: &mut fastrand::Rng) {
        let mut states: Vec<[u32; 5]> = (0..lanes).map(|_| std::array::from_fn(|_| rng.u32(..))).collect();
        let chunks = rng.usize(0..5);
        let messages: Vec<Vec<[u8; 64]>> =
            (0..lanes).map(|_| (0..chunks).map(|_| std::array::from_fn(|_| rng.u8(..))).collect()).collect();
        let mut expected = states.clone();
        for (state, message) in expected.iter_mut().zip(&messages) {
            sha1::block_api::compress(state, message);
        }
        let mut all: Vec<Lane<'_>> = states.iter_mut().zip(&messages).map(|(s, m)| (s, m.as_slice())).collect();
        way.compress(&mut all);
        assert_eq!(states, expected, "{way:?}, {lanes} in step");
    }

    #[test]
    fn the_best_is_one_that_works() {
        let best = Way::best();
        assert!(Way::all().any(|way| way == best) && Way::best() == best && most() == best.lanes());
        for way in Way::all() {
            println!("{way:?}: {:?}", way.time());
        }
    }

    #[test]
    fn each_as_alone() {
        let rng = &mut fastrand::Rng::with_seed(7);
        for way in Way::all() {
            // What is not supported cannot be tested.
            println!("{way:?}");
            for lanes in (0..=2 * way.lanes() + 1).flat_map(|lanes| [lanes; 5]) {
                in_step(way, lanes, rng);
            }
        }
    }
}
