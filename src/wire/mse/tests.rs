use super::key_exchange::KEY_BYTES;
use super::*;
use crate::metainfo::info_hash::Sha1Hash;

const SKEY: Sha1Hash = Sha1Hash([7; 20]);
const OTHER: Sha1Hash = Sha1Hash([8; 20]);
const BOTH: CryptoMethods = CryptoMethods::all();
const PAYLOAD: &[u8] = b"\x13BitTorrent protocol, and what follows it";

fn find(hash: &[u8; 20]) -> Option<Sha1Hash> {
    [OTHER, SKEY].into_iter().find(|skey| skey_hash(skey) == *hash)
}

fn initiator(seed: u64, skey: Sha1Hash, provide: CryptoMethods) -> (Initiator, Vec<u8>) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let private = std::array::from_fn(|_| rng.u8(..));
    Initiator::new(private, &mut rng, skey, provide, PAYLOAD.to_vec())
}

fn responder(seed: u64, allowed: CryptoMethods, prefer_rc4: bool) -> Responder {
    let mut rng = fastrand::Rng::with_seed(!seed);
    let private = std::array::from_fn(|_| rng.u8(..));
    Responder::new(private, rng, allowed, prefer_rc4)
}

/// Both sides, and the bytes between them in pieces of such sizes. What each comes to.
fn meet(
    seed: u64,
    (provide, allowed, prefer_rc4): (CryptoMethods, CryptoMethods, bool),
    mut size: impl FnMut() -> usize,
    tail: &[u8],
) -> Result<(Established, Established), MseError> {
    let (mut dials, mut to_responder) = initiator(seed, SKEY, provide);
    let mut dialled = responder(seed, allowed, prefer_rc4);
    let (mut to_initiator, mut found, mut ready) = (Vec::new(), None, None);
    while found.is_none() || ready.is_none() {
        let before = to_responder.len() + to_initiator.len();
        if !to_responder.is_empty() && found.is_none() {
            let now: Vec<u8> = to_responder.drain(..size().clamp(1, to_responder.len())).collect();
            found = dialled.receive(&now, find, &mut to_initiator)?;
            if let Some((skey, established)) = &mut found {
                assert_eq!(*skey, SKEY);
                let mut tail = tail.to_vec();
                if let Some(write) = &mut established.write {
                    write.apply(&mut tail);
                }
                to_initiator.extend(tail);
            }
        }
        if !to_initiator.is_empty() && ready.is_none() {
            let now: Vec<u8> = to_initiator.drain(..size().clamp(1, to_initiator.len())).collect();
            ready = dials.receive(&now, &mut to_responder)?;
        }
        assert!(before > 0, "both wait");
    }
    let (_, mut theirs) = found.expect("the responder is ready");
    let mut ours = ready.expect("the initiator is ready");
    // What came later.
    for (into, rest) in [(&mut ours, to_initiator), (&mut theirs, to_responder)] {
        let mut rest = rest;
        if let Some(read) = &mut into.read {
            read.apply(&mut rest);
        }
        into.early.extend(rest);
    }
    Ok((ours, theirs))
}

#[test]
fn a_private_key_of_one_gives_the_generator() {
    let mut private = [0; PRIVATE_KEY_BYTES];
    private[PRIVATE_KEY_BYTES - 1] = 1;
    let keys = KeyPair::new(private);
    let mut two = [0; KEY_BYTES];
    two[KEY_BYTES - 1] = 2;
    assert_eq!(keys.public, two);
}

#[test]
fn both_sides_come_to_the_same_secret() {
    let (one, other) = (KeyPair::new([3; 20]), KeyPair::new([0xfe; 20]));
    assert!(one.public != other.public);
    assert!(one.agree(&other.public) == other.agree(&one.public));
}

#[test]
fn keys_that_give_away_the_secret_are_refused() {
    let keys = KeyPair::new([9; 20]);
    let mut public = [0; KEY_BYTES];
    assert!(keys.agree(&public).is_none(), "zero");
    public[KEY_BYTES - 1] = 1;
    assert!(keys.agree(&public).is_none(), "one");
    assert!(keys.agree(&[0xff; KEY_BYTES]).is_none(), "more than the prime");
    public[KEY_BYTES - 1] = 3;
    assert!(keys.agree(&public).is_some());
}

#[test]
fn the_keystream_is_rc4_without_its_start() {
    // The first bytes of RC4 under "Key" are known; ours begins 1024 later, so a stream that is run on from zeros tells it.
    use rc4::{KeyInit, Rc4, StreamCipher};
    let mut whole = [0; 1024 + 16];
    Rc4::new_from_slice(b"Key").expect("a key").apply_keystream(&mut whole);
    assert_eq!(whole[..4], [0xeb, 0x9f, 0x77, 0x81]);
    let mut plain = [0; 1024 + 16];
    Rc4::new_from_slice(&[5; 20]).expect("a key").apply_keystream(&mut plain);
    let mut ours = [0; 16];
    Keystream::new(&[5; 20]).apply(&mut ours);
    assert_eq!(ours, plain[1024..]);
}

#[test]
fn any_cut_of_the_bytes_gives_the_same_stream() {
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let most = [1, 2, 7, 60, 700, 5000][seed as usize % 6];
        let tail: Vec<u8> = (0..rng.usize(0..100)).map(|_| rng.u8(..)).collect();
        let (ours, theirs) = meet(seed, (BOTH, BOTH, true), || rng.usize(1..=most), &tail).expect("they agree");
        assert_eq!((ours.method, theirs.method), (CryptoMethods::RC4, CryptoMethods::RC4));
        assert_eq!((theirs.early.as_slice(), &ours.early), (PAYLOAD, &tail));
        let (mut write, mut read) = (ours.write.expect("encrypted"), theirs.read.expect("encrypted"));
        let mut bytes = *b"some bytes";
        write.apply(&mut bytes);
        assert_ne!(&bytes, b"some bytes");
        read.apply(&mut bytes);
        assert_eq!(&bytes, b"some bytes");
    }
}

#[test]
fn the_method_is_one_that_both_allow() {
    const PLAIN: CryptoMethods = CryptoMethods::PLAINTEXT;
    const RC4: CryptoMethods = CryptoMethods::RC4;
    let none = CryptoMethods::empty();
    for (provide, allowed, prefer, method) in [
        (BOTH, BOTH, false, PLAIN),
        (BOTH, BOTH, true, RC4),
        (RC4, BOTH, false, RC4),
        (PLAIN, BOTH, true, PLAIN),
        (BOTH, RC4, false, RC4),
        (BOTH, PLAIN, true, PLAIN),
        (PLAIN, RC4, true, none),
        (RC4, PLAIN, false, none),
    ] {
        let met = meet(1, (provide, allowed, prefer), || usize::MAX, b"tail");
        if method.is_empty() {
            assert_eq!(met.map(|_| ()), Err(MseError::NoMethod));
            continue;
        }
        let (ours, theirs) = met.expect("they agree");
        assert_eq!((ours.method, theirs.method), (method, method));
        assert_eq!((ours.read.is_some(), theirs.write.is_some()), (method == RC4, method == RC4));
        assert_eq!((ours.early.as_slice(), theirs.early.as_slice()), (b"tail".as_slice(), PAYLOAD));
    }
}

#[test]
fn who_names_no_torrent_of_ours_is_turned_away() {
    let (_, hello) = initiator(1, Sha1Hash([1; 20]), BOTH);
    let mut dialled = responder(1, BOTH, true);
    let mut answer = Vec::new();
    assert!(matches!(dialled.receive(&hello, find, &mut answer), Ok(None)));
    let (mut dials, _) = initiator(1, Sha1Hash([1; 20]), BOTH);
    let mut more = Vec::new();
    assert!(matches!(dials.receive(&answer, &mut more), Ok(None)));
    let outcome = dialled.receive(&more, find, &mut Vec::new());
    assert_eq!(outcome.map(|o| o.is_some()), Err(MseError::UnknownTorrent));
}

#[test]
fn padding_has_an_end_on_either_side() {
    let mut dialled = responder(2, BOTH, true);
    let (_, hello) = initiator(2, SKEY, BOTH);
    assert!(matches!(dialled.receive(&hello[..KEY_BYTES], find, &mut Vec::new()), Ok(None)));
    let mut bytes = 0;
    let refused = (0..2000).find_map(|n: u32| {
        bytes += 1;
        dialled.receive(&[n as u8], find, &mut Vec::new()).err()
    });
    assert_eq!((refused, bytes), (Some(MseError::NoSync), 512 + 20));

    let (mut dials, _) = initiator(2, SKEY, BOTH);
    let answer = KeyPair::new([4; 20]).public;
    assert!(matches!(dials.receive(&answer, &mut Vec::new()), Ok(None)));
    bytes = 0;
    let refused = (0..2000).find_map(|n: u32| {
        bytes += 1;
        dials.receive(&[n as u8], &mut Vec::new()).err()
    });
    assert_eq!((refused, bytes), (Some(MseError::NoSync), 512 + 8));
}

#[test]
fn bytes_that_are_no_handshake_end_with_an_error_and_hold_no_memory() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut dials, hello) = initiator(seed, SKEY, BOTH);
        let mut dialled = responder(seed, BOTH, false);
        let mut out = Vec::new();
        // What is right up to some byte, and anything from there on.
        let right = rng.usize(..=hello.len());
        let mut failed = dialled.receive(&hello[..right], find, &mut out).is_err();
        let mut sent = 0;
        while !failed && sent < 100_000 {
            let junk: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(..)).collect();
            sent += junk.len();
            failed = dialled.receive(&junk, find, &mut out).is_err();
        }
        assert!(failed && sent < 2000, "{sent} bytes");
        let mut sent = 0;
        while dials.receive(&[rng.u8(..); 50], &mut out).is_ok() {
            sent += 50;
            assert!(sent < 2000);
        }
        assert!(out.len() < 5000, "what is said before the other side is known has a bound");
    }
}
