//! Tests of the decoder.

use std::sync::Arc;

use proptest::prelude::*;

use super::message::any_message;
use crate::memory::credits::Credits;
use crate::memory::pool::{BLOCK_SIZE, Pool};
use crate::wire::{Decoder, DecoderLimits, Message, Received, WireError, encode_piece_header};

/// A pool, and a decoder whose connection paid for these blocks out of it (piece, begin).
fn decoder(paid: &[(u32, u32)]) -> (Arc<Pool>, Arc<Credits>, Decoder) {
    decoder_of(paid.iter().map(|(piece, begin)| (*piece, *begin, BLOCK_SIZE)))
}

/// The same with the blocks' lengths.
fn decoder_of(paid: impl IntoIterator<Item = (u32, u32, u32)>) -> (Arc<Pool>, Arc<Credits>, Decoder) {
    let pool = Pool::new(1000 * u64::from(BLOCK_SIZE));
    let holder = Credits::new(pool.clone());
    paid.into_iter()
        .filter_map(|at| Some((at, pool.reserve()?)))
        .for_each(|((piece, begin, length), r)| holder.put(piece, begin, length, r));
    let decoder = Decoder::new(holder.clone(), DecoderLimits::default());
    (pool, holder, decoder)
}

/// What was received, comparable.
#[derive(Debug, PartialEq, Clone)]
enum Plain {
    Message(Message),
    Block(u32, u32, Vec<u8>),
    Unpaid(u32, u32, u32),
}

fn plain(received: &[Received]) -> Vec<Plain> {
    let one = |r: &Received| match r {
        Received::Message(message) => Plain::Message(message.clone()),
        Received::Block { piece, begin, data } => Plain::Block(*piece, *begin, data.as_slice().to_vec()),
        Received::Unpaid { piece, begin, length } => Plain::Unpaid(*piece, *begin, *length),
    };
    received.iter().map(one).collect()
}

fn piece(piece: u32, begin: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_piece_header(piece, begin, data.len() as u32, &mut out);
    out.extend_from_slice(data);
    out
}

fn frame(length: u32, id: u8) -> Vec<u8> {
    let mut out = length.to_be_bytes().to_vec();
    out.push(id);
    out
}

#[test]
fn blocks_and_messages() {
    let (pool, credits, mut decoder) = decoder(&[(3, 4), (1, 2)]);
    let data = vec![0xab; BLOCK_SIZE as usize];
    let bytes = [
        &piece(1, 2, &data)[..],
        &[0; 4],
        &frame(1, 1),
        &piece(3, 4, b"short"),
        &piece(5, 6, b"nobody paid"),
        &frame(4, 77),
        b"xyz",
        &frame(1, 78),
    ]
    .concat();
    let mut out = Vec::new();
    decoder.push(&bytes, &mut out).expect("valid");
    let expected = [
        Plain::Block(1, 2, data),
        Plain::Message(Message::KeepAlive),
        Plain::Message(Message::Unchoke),
        Plain::Block(3, 4, b"short".to_vec()),
        Plain::Unpaid(5, 6, 11),
        Plain::Message(Message::Unknown(77)),
        Plain::Message(Message::Unknown(78)),
    ];
    assert_eq!(plain(&out), expected);
    assert_eq!((decoder.buffered(), decoder.block_in_progress(), credits.count(), pool.charged()), (0, None, 0, 2));
    out.clear();
    assert_eq!(pool.charged(), 0);
}

#[test]
fn a_block_nobody_asks_for_leaves_other_credits_alone() {
    let (pool, credits, mut decoder) = decoder(&[(1, 0)]);
    let mut out = Vec::new();
    decoder
        .push(&[piece(9, 0, b"late"), piece(1, 0, b"good"), piece(1, 0, b"again")].concat(), &mut out)
        .expect("valid");
    let expected = [Plain::Unpaid(9, 0, 4), Plain::Block(1, 0, b"good".to_vec()), Plain::Unpaid(1, 0, 5)];
    assert_eq!((plain(&out), credits.count(), pool.charged()), (expected.to_vec(), 0, 1));
}

#[test]
fn a_block_in_progress_is_told() {
    let (pool, credits, mut decoder) = decoder(&[(7, 0), (7, 16384), (8, 0)]);
    let mut out = Vec::new();
    let bytes = piece(7, 16384, &[9; 100]);
    decoder.push(&bytes[..12], &mut out).expect("valid");
    assert_eq!((decoder.block_in_progress(), decoder.buffered(), credits.count()), (None, 12, 3));
    decoder.push(&bytes[12..13], &mut out).expect("valid");
    assert_eq!((decoder.block_in_progress(), decoder.buffered(), credits.count()), (Some((7, 16384, 0)), 0, 2));
    decoder.push(&bytes[13..50], &mut out).expect("valid");
    assert_eq!((decoder.block_in_progress(), decoder.buffered()), (Some((7, 16384, 37)), 37));
    assert!(out.is_empty());
    // The connection ends here: the charge comes back.
    drop((decoder, credits));
    assert_eq!(pool.charged(), 0);
}

#[test]
fn a_block_larger_than_ours_takes_no_credit() {
    let (_, credits, mut decoder) = decoder(&[(1, 0)]);
    let mut out = Vec::new();
    decoder.push(&piece(1, 0, &vec![0; BLOCK_SIZE as usize + 1]), &mut out).expect("valid");
    assert_eq!((plain(&out), credits.count()), (vec![Plain::Unpaid(1, 0, BLOCK_SIZE + 1)], 1));
}

/// Receives into the decoder's places.
fn land(decoder: &mut Decoder, mut bytes: &[u8], out: &mut Vec<Received>) -> Result<(), WireError> {
    let mut spare = [0; 100];
    loop {
        decoder.aim();
        let mut received = 0;
        for place in decoder.places(&mut spare, usize::MAX) {
            let (now, rest) = bytes.split_at(place.len().min(bytes.len()));
            place[..now.len()].copy_from_slice(now);
            bytes = rest;
            received += now.len();
        }
        decoder.landed(received, &spare, out)?;
        if bytes.is_empty() {
            return Ok(());
        }
    }
}

#[test]
fn blocks_in_order_land_where_they_stay() {
    let (pool, credits, mut decoder) = decoder(&[(0, 0), (0, BLOCK_SIZE), (1, 0)]);
    let data = vec![7; BLOCK_SIZE as usize];
    let mut out = Vec::new();
    let bytes = [piece(0, 0, &data), piece(0, BLOCK_SIZE, &data), piece(1, 0, &data)].concat();
    // The first receive aims at one block, and finds room for it; the next one knows how much comes.
    for part in bytes.chunks(data.len() + 20) {
        land(&mut decoder, part, &mut out).expect("valid");
    }
    assert_eq!(plain(&out), [(0, 0), (0, BLOCK_SIZE), (1, 0)].map(|(p, b)| Plain::Block(p, b, data.clone())));
    assert_eq!((credits.count(), pool.charged()), (0, 3));
}

#[test]
fn places_are_no_more_than_may_be_received() {
    let (_, _, mut decoder) = decoder(&[(0, 0), (0, BLOCK_SIZE)]);
    decoder.aim();
    let lengths = |decoder: &mut Decoder, most| decoder.places(&mut [0; 64], most).map(|p| p.len()).collect::<Vec<_>>();
    assert_eq!(lengths(&mut decoder, usize::MAX), [13, BLOCK_SIZE as usize, 64]);
    assert_eq!(lengths(&mut decoder, 100), [13, 87]);
    assert_eq!(lengths(&mut decoder, 1), [1]);
    decoder.landed(0, &[], &mut Vec::new()).expect("nothing came");
    assert_eq!(lengths(&mut decoder, 100), [64]);
}

/// Peers of many torrents bring much now and nothing then: what comes after a pause lands where it stays, too.
#[test]
fn a_pause_does_not_make_a_receive_small() {
    let (_, _, mut decoder) = decoder_of((0..20).map(|piece| (piece, 0, BLOCK_SIZE)));
    let data = vec![7; BLOCK_SIZE as usize];
    let mut out = Vec::new();
    let bytes: Vec<u8> = (0..10).flat_map(|n| piece(n, 0, &data)).collect();
    land(&mut decoder, &bytes, &mut out).expect("valid");
    land(&mut decoder, &[0; 4], &mut out).expect("a keep-alive");
    decoder.aim();
    let places = |decoder: &mut Decoder| decoder.places(&mut [0; 64], usize::MAX).count();
    assert!(places(&mut decoder) > 2 * 8, "the next blocks have places");
    for _ in 0..20 {
        decoder.landed(0, &[], &mut out).expect("nothing came");
        decoder.aim();
    }
    assert_eq!(places(&mut decoder), 2 + 1, "who brings little needs few");
}

/// A block that was cancelled while a receive was aimed at it comes all the same, and stays paid.
#[test]
fn a_cancel_between_aim_and_landing() {
    let (pool, credits, mut decoder) = decoder(&[(0, 0), (0, BLOCK_SIZE)]);
    decoder.aim();
    assert!(credits.take(0, 0).is_none());
    let bytes = piece(0, 0, &[3; BLOCK_SIZE as usize]);
    let mut rest = &bytes[..];
    for place in decoder.places(&mut [0; 64], usize::MAX) {
        let (now, more) = rest.split_at(place.len().min(rest.len()));
        place[..now.len()].copy_from_slice(now);
        rest = more;
    }
    let mut out = Vec::new();
    decoder.landed(bytes.len(), &[], &mut out).expect("valid");
    assert_eq!((out.len(), credits.count(), pool.charged()), (1, 1, 2));
    out.clear();
    assert_eq!(pool.charged(), 1);
}

fn error_of(bytes: &[u8]) -> WireError {
    let (pool, credits, mut decoder) = decoder(&[(0, 0)]);
    let mut out = Vec::new();
    let error = decoder.push(bytes, &mut out).expect_err("an error");
    // It stays.
    assert_eq!(decoder.push(&frame(1, 1), &mut out), Err(error.clone()));
    assert!(out.is_empty());
    drop((decoder, credits));
    assert_eq!(pool.charged(), 0);
    error
}

#[test]
fn hostile_lengths() {
    for (length, id, name) in [
        (u32::MAX, 0, "choke"),
        (2, 1, "unchoke"),
        (4, 4, "have"),
        (14, 6, "request"),
        (12, 8, "cancel"),
        (4, 9, "port"),
        (6, 13, "suggest"),
        (2, 14, "have all"),
        (1, 16, "reject"),
        (1, 17, "allowed fast"),
        (1, 20, "extended"),
        (1, 7, "piece"),
        (8, 7, "piece"),
        (9, 7, "piece"),
    ] {
        let error = error_of(&frame(length, id));
        assert_eq!(error, WireError::BadLength { message: name, length });
        assert!(error.to_string().starts_with(name));
    }
    for (length, id, name) in [
        (u32::MAX, 5, "bitfield"),
        (256 * 1024 + 2, 5, "bitfield"),
        (u32::MAX, 20, "extended"),
        (1024 * 1024 + 3, 20, "extended"),
        (128 * 1024 + 10, 7, "piece"),
        (u32::MAX, 7, "piece"),
        (u32::MAX, 200, "unknown"),
    ] {
        assert!(matches!(error_of(&frame(length, id)), WireError::TooLong { message, .. } if message == name));
    }
}

#[test]
fn a_bitfield_is_bounded_by_the_pieces() {
    let (_, _, mut decoder) = decoder(&[]);
    decoder.set_num_pieces(9);
    let mut out = Vec::new();
    decoder.push(&[&frame(3, 5)[..], b"ab"].concat(), &mut out).expect("two bytes for nine pieces");
    assert_eq!(plain(&out), [Plain::Message(Message::Bitfield(b"ab".to_vec()))]);
    assert!(decoder.push(&frame(4, 5), &mut out).is_err());
}

/// A peer that promises a long message and sends little gets little memory.
#[test]
fn memory_follows_what_came() {
    let (_, _, mut decoder) = decoder(&[]);
    let mut out = Vec::new();
    const LENGTH: u32 = 256 * 1024;
    decoder.push(&frame(LENGTH, 20), &mut out).expect("allowed");
    decoder.push(&[0; 100], &mut out).expect("allowed");
    assert!(decoder.body_capacity() < 1024);
    decoder.push(&vec![0; LENGTH as usize - 2 - 100], &mut out).expect("allowed");
    assert!(out.is_empty() && decoder.body_capacity() > 1024);
    decoder.push(&[0], &mut out).expect("the last byte");
    assert_eq!((out.len(), decoder.body_capacity()), (1, 0));
}

#[derive(Debug, Clone)]
enum Sent {
    Message(Message),
    Block(u32, u32, Vec<u8>),
    Unknown(u8, Vec<u8>),
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let size = prop_oneof![1 => 1usize..50, 6 => Just(BLOCK_SIZE as usize), 1 => BLOCK_SIZE as usize - 3..BLOCK_SIZE as usize + 3];
    prop_oneof![
        3 => any_message().prop_map(Sent::Message),
        6 => (any::<u32>(), any::<u32>(), size, any::<u8>())
            .prop_map(|(piece, begin, size, fill)| Sent::Block(piece, begin, (0..size).map(|i| (i as u8) ^ fill).collect())),
        1 => (24u8.., proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(id, payload)| Sent::Unknown(id, payload)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_cut_gives_the_same(
        sent in proptest::collection::vec(any_sent(), 0..12),
        credits in 0usize..8,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..30),
        small in any::<bool>(),
        landing in any::<bool>(),
        order in any::<u64>(),
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        // The first blocks are paid for, and some that never come.
        let blocks = sent.iter().filter_map(|one| match one {
            Sent::Block(index, begin, data) => Some((*index, *begin, (data.len() as u32).min(BLOCK_SIZE))),
            _ => None,
        });
        let mut paid: Vec<_> = blocks.chain((0..8).map(|i| (i, u32::MAX, BLOCK_SIZE))).take(credits).collect();
        // Peers answer in any order.
        fastrand::Rng::with_seed(order).shuffle(&mut paid);
        let all_paid = paid.clone();
        for one in sent {
            match one {
                Sent::Message(message) => {
                    message.encode(&mut bytes);
                    expected.push(Plain::Message(message));
                }
                Sent::Block(index, begin, data) => {
                    bytes.extend(piece(index, begin, &data));
                    let credit = paid.iter().position(|p| (p.0, p.1) == (index, begin));
                    if let Some(at) = credit.filter(|_| data.len() <= BLOCK_SIZE as usize) {
                        paid.remove(at);
                        expected.push(Plain::Block(index, begin, data));
                    } else {
                        expected.push(Plain::Unpaid(index, begin, data.len() as u32));
                    }
                }
                Sent::Unknown(id, payload) => {
                    bytes.extend(frame(payload.len() as u32 + 1, id));
                    bytes.extend(payload);
                    expected.push(Plain::Message(Message::Unknown(id)));
                }
            }
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        if small {
            // Cuts everywhere among the first bytes, where the headers are.
            cuts.extend(0..bytes.len().min(400));
        }
        cuts.sort_unstable();
        let (pool, holder, mut decoder) = decoder_of(all_paid);
        let mut out = Vec::new();
        for pair in cuts.windows(2) {
            let part = &bytes[pair[0]..pair[1]];
            let read = if landing { land(&mut decoder, part, &mut out) } else { decoder.push(part, &mut out) };
            prop_assert_eq!(read, Ok(()));
        }
        prop_assert_eq!(plain(&out), expected);
        prop_assert_eq!((decoder.buffered(), holder.count() as usize), (0, paid.len()));
        drop((out, decoder, holder));
        prop_assert_eq!(pool.charged(), 0);
    }

    #[test]
    fn any_bytes_end_well(
        chunks in proptest::collection::vec(proptest::collection::vec(prop_oneof![3 => Just(0u8), 2 => 0u8..24, 1 => any::<u8>()], 0..60), 0..10)
    ) {
        let whole = chunks.concat();
        let (mut out, mut out_whole) = (Vec::new(), Vec::new());
        let some = [(0, 0), (0, 1), (1, 0)];
        let (pool, credits, mut cut) = decoder(&some);
        let result = chunks.iter().try_for_each(|chunk| cut.push(chunk, &mut out));
        prop_assert_eq!(decoder(&some).2.push(&whole, &mut out_whole), result);
        prop_assert_eq!(plain(&out), plain(&out_whole));
        drop((out, cut, credits));
        prop_assert_eq!(pool.charged(), 0);
    }
}
