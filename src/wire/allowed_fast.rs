//! The allowed fast set (BEP 6): pieces a peer may have while choked, the same ones whoever computes them.

use std::net::Ipv4Addr;

use crate::metainfo::info_hash::Sha1Hash;

/// The first `k` pieces for a peer of this address; all pieces, if there are not more.
pub fn allowed_fast_set(ip: Ipv4Addr, info_hash: &Sha1Hash, num_pieces: u32, k: usize) -> Vec<u32> {
    let k = k.min(usize::try_from(num_pieces).unwrap_or(usize::MAX));
    let mut set = Vec::with_capacity(k);
    if k == 0 {
        return set;
    }
    let [a, b, c, _] = ip.octets();
    let mut seed = vec![a, b, c, 0];
    seed.extend_from_slice(info_hash.as_bytes());
    let mut hash = Sha1Hash::of(&seed);
    loop {
        let (words, _) = hash.0.as_chunks::<4>();
        for word in words {
            let piece = u32::from_be_bytes(*word) % num_pieces;
            if !set.contains(&piece) {
                set.push(piece);
            }
            if set.len() == k {
                return set;
            }
        }
        hash = Sha1Hash::of(hash.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of BEP 6.
    #[test]
    fn vectors_of_the_specification() {
        let ip = Ipv4Addr::new(80, 4, 4, 200);
        let set = [1059, 431, 808, 1217, 287, 376, 1188, 353, 508];
        assert_eq!(allowed_fast_set(ip, &Sha1Hash([0xaa; 20]), 1313, 7), set[..7]);
        assert_eq!(allowed_fast_set(ip, &Sha1Hash([0xaa; 20]), 1313, 9), set);
    }

    #[test]
    fn the_last_octet_does_not_count() {
        let set = |last| allowed_fast_set(Ipv4Addr::new(80, 4, 4, last), &Sha1Hash([3; 20]), 5000, 10);
        assert_eq!(set(1), set(254));
    }

    #[test]
    fn few_pieces() {
        let ip = Ipv4Addr::LOCALHOST;
        let hash = Sha1Hash([0; 20]);
        assert!(allowed_fast_set(ip, &hash, 0, 10).is_empty() && allowed_fast_set(ip, &hash, 10, 0).is_empty());
        let mut all = allowed_fast_set(ip, &hash, 7, 10);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
    }
}
