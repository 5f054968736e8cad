//! Peers that serve honestly and say now and then what makes no sense: any message, at any time, with numbers of all sizes. The
//! books balance after each, whatever the torrent makes of it.

use elementum_torrent::engine::config::StorageKind;
use elementum_torrent::engine::content::pieces::PeerKey;
use elementum_torrent::engine::readers::reader::ReaderOptions;
use elementum_torrent::wire::ut_metadata::MetadataMessage;
use elementum_torrent::wire::ut_pex::PexMessage;
use elementum_torrent::wire::{BlockRequest, ExtendedHandshake, ExtensionIds, Message, Received};

use super::*;

/// Mostly one that there is, else one at the edge of something.
fn number(rng: &mut fastrand::Rng, up_to: u32) -> u32 {
    const EDGES: [u32; 10] =
        [0, 1, 16_383, 16_384, 16_385, 0x7fff_ffff, 0x8000_0000, 0xffff_0000, u32::MAX - 1, u32::MAX];
    if rng.u8(0..4) > 0 { rng.u32(0..=up_to) } else { EDGES[rng.usize(0..EDGES.len())] }
}

fn request(rng: &mut fastrand::Rng, pieces: u32) -> BlockRequest {
    let begin = [number(rng, 4) % 8 * 16_384, number(rng, 65_536)][rng.usize(0..2)];
    let length = if rng.bool() { 16_384 } else { number(rng, 140_000) };
    BlockRequest { piece: number(rng, pieces), begin, length }
}

fn bytes(rng: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    (0..rng.usize(0..=most)).map(|_| rng.u8(..)).collect()
}

fn extended(rng: &mut fastrand::Rng, pieces: u32) -> Message {
    let id = [0, 1, 2, 3, 3, 3, rng.u8(..)][rng.usize(0..7)];
    let some = |rng: &mut fastrand::Rng| rng.bool().then(|| number(rng, 100));
    let payload = match id {
        _ if rng.u8(0..8) == 0 => bytes(rng, 40),
        0 => {
            let byte = |rng: &mut fastrand::Rng| rng.bool().then(|| rng.u8(0..5));
            let hello = ExtendedHandshake {
                m: ExtensionIds {
                    ut_metadata: byte(rng),
                    ut_pex: byte(rng),
                    lt_donthave: byte(rng),
                    ..ExtensionIds::default()
                },
                p: some(rng).map(|p| p as u16),
                reqq: some(rng),
                metadata_size: some(rng),
                upload_only: rng.bool().then(|| rng.bool()),
                yourip: rng.bool().then(|| rng.u32(..).to_be_bytes().into()),
                complete_ago: some(rng).map(|n| i64::from(n) - 0x8000_0000),
                ..ExtendedHandshake::default()
            };
            hello.encode()
        }
        1 => {
            let address = |rng: &mut fastrand::Rng| (number(rng, 9).to_be_bytes(), number(rng, 9) as u16).into();
            let added = (0..rng.usize(0..4)).map(|_| (address(rng), rng.u8(..))).collect();
            PexMessage { added, dropped: (0..rng.usize(0..4)).map(|_| address(rng)).collect() }.encode()
        }
        2 => {
            let piece = number(rng, 3);
            let total_size = number(rng, 60_000);
            let message = match rng.u8(0..3) {
                0 => MetadataMessage::Request { piece },
                1 => MetadataMessage::Reject { piece },
                _ => MetadataMessage::Data { piece, total_size, payload: vec![7; rng.usize(1..16_385)] },
            };
            message.encode()
        }
        _ => number(rng, pieces).to_be_bytes().to_vec(),
    };
    Message::Extended { id, payload }
}

fn message(rng: &mut fastrand::Rng, pieces: u32) -> Received {
    let message = match rng.u8(0..20) {
        0 => Message::KeepAlive,
        1 => Message::Choke,
        2 => Message::Unchoke,
        3 => Message::Interested,
        4 => Message::NotInterested,
        5 | 6 => Message::Have(number(rng, pieces)),
        7 => Message::Bitfield(vec![rng.u8(..); pieces.div_ceil(8) as usize + rng.usize(0..8) / 7]),
        8 => Message::Request(request(rng, pieces)),
        9 => Message::Cancel(request(rng, pieces)),
        10 => Message::Reject(request(rng, pieces)),
        11 => Message::HaveAll,
        12 => Message::HaveNone,
        13 => Message::AllowedFast(number(rng, pieces)),
        14 => Message::Suggest(number(rng, pieces)),
        15 => Message::Port(number(rng, 9) as u16),
        16 => {
            let BlockRequest { piece, begin, length } = request(rng, pieces);
            return Received::Unpaid { piece, begin, length };
        }
        _ => extended(rng, pieces),
    };
    Received::Message(message)
}

fn hear_nonsense(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let pieces = rng.u32(2..20);
    let size = u64::from(pieces) * 64 * KIB - rng.u64(0..64 * KIB);
    let mut world = World::new(seed, Content::single(seed, size, 64 * KIB as u32));
    let mut setup = if rng.bool() { Setup::memory(rng.u64(4..40) * 16 * KIB) } else { Setup::disk() };
    setup.magnet = rng.bool();
    setup.complete = setup.storage == StorageKind::Disk && rng.bool();
    setup.settings.min_reconnect_time = 0;
    let node = world.add_engine(setup, fast());
    let mut others: Vec<usize> = (0..3).map(|_| world.add_script(Manner::Honest, fast())).collect();
    others.iter().for_each(|o| world.script(*o).quirks.asked_for = true);
    others.push(world.add_engine(Setup::memory(MIB), fast()));
    world.introduce(node, &others);
    for id in 0..rng.u64(0..3) {
        let options = ReaderOptions { unverified: rng.bool(), ..ReaderOptions::default() };
        let steps = [Step::Seek(rng.u64(0..size)), Step::Read(100 * KIB), Step::Seek(0), Step::Read(u64::MAX)];
        world.add_driver(node, Driver::new(id + 1, 0, steps).with(options).at_rate(MIB));
    }
    for _ in 0..rng.usize(1..120) {
        world.run_for(Duration::from_millis(rng.u64(0..60)));
        let now = world.now();
        let engine = world.engine(node);
        let keys: Vec<PeerKey> = engine.plugs.keys().copied().collect();
        let Some(key) = rng.choice(keys) else { continue };
        let mut batch = (0..rng.usize(1..4)).map(|_| message(&mut rng, pieces)).collect();
        engine.torrent.peer_received(now, key, &mut batch, 100);
        world.settle(node);
        world.engine(node).check_books();
    }
    world.run_for(Duration::from_secs(5));
    world.end();
}

#[test]
fn any_message_at_any_time() {
    for_each_seed("ET_SIM_NONSENSE", 0..400, hear_nonsense);
}
