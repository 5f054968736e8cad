//! Peers that talk without end: nobody else feels it, and nothing is kept of it.

use std::net::SocketAddr;

use elementum_torrent::alert::{Alert, CloseReason};
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::Torrent;
use elementum_torrent::engine::content::pieces::PeerKey;
use elementum_torrent::engine::peer::budget::Reading;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::engine::status::{PeerFlags, PeerInfo};
use elementum_torrent::engine::swarm::peer_list::PeerSource;
use elementum_torrent::memory::credits::Credits;
use elementum_torrent::memory::pool::Pool;
use elementum_torrent::settings::Settings;
use elementum_torrent::wire::{
    BlockRequest, ExtendedHandshake, ExtensionIds, Handshake, Message, Received, StreamKind,
};
use elementum_torrent::wire::{Decoder, DecoderLimits};

use super::super::flood::Flood;
use super::super::zeros::{self, Seeder};
use super::*;

/// How many bytes a reader gets in 20 s beside such peers, and the most that is held for peers meanwhile.
fn beside_floods(floods: &[Flood], deaf: bool) -> (u64, usize) {
    let mut world = World::new(77, Content::single(5, 64 * MIB, 128 * KIB as u32));
    let node = world.add_engine(Setup::memory(8 * MIB).with_places(50), Line::new(4 * MIB, 8 * MIB, 15));
    let honest = world.add_script(Manner::Honest, Line::new(2 * MIB, 2 * MIB, 15));
    let others: Vec<usize> = floods.iter().map(|f| world.add_script(Manner::Flood(*f), fast())).collect();
    for other in &others {
        world.script(*other).deaf = deaf;
    }
    world.introduce(node, &others);
    world.introduce(node, &[honest]);
    world.add_driver(node, Driver::new(1, 0, read_all()));
    let mut held = 0;
    for _ in 0..200 {
        world.run_for(Duration::from_millis(100));
        held = held.max(world.engine(node).torrent.held_for_peers());
    }
    let read = world.engine(node).drivers[0].bytes_read;
    world.end();
    (read, held)
}

/// One after the other, and all at once: the others' rate is nine tenths at least of what it is without them.
#[test]
fn floods_of_every_kind_cost_the_others_nothing() {
    let (alone, _) = beside_floods(&[], false);
    assert!(alone > 30 * MIB, "{alone} bytes");
    for flood in Flood::ALL {
        for deaf in [false, true] {
            let (read, held) = beside_floods(&[flood], deaf);
            println!(
                "measured {flood:?}, deaf {deaf}: {:.2} of the rate, {} KiB held",
                read as f64 / alone as f64,
                held / 1024
            );
            assert!(read * 10 >= alone * 9, "{flood:?}, deaf {deaf}: {read} of {alone} bytes");
            assert!(held < 768 * 1024, "{flood:?}, deaf {deaf}: {held} bytes held");
        }
    }
    let (read, held) = beside_floods(&Flood::ALL, true);
    assert!(read * 10 >= alone * 6, "all together: {read} of {alone} bytes");
    assert!(held < 6 << 20, "all together: {held} bytes held");
}

const NOW: Time = Time::from_millis(60_000);

fn torrent() -> Torrent {
    zeros::torrent(NOW, 64 * MIB, 64 * KIB as u32, 64)
}

fn at(n: u32) -> SocketAddr {
    SocketAddr::from(([80, (n >> 16) as u8, (n >> 8) as u8, n as u8], 20_000))
}

fn join(torrent: &mut Torrent, now: Time, n: u32, incoming: bool) -> Option<PeerKey> {
    let mut id = [7; 20];
    id[..4].copy_from_slice(&n.to_be_bytes());
    let handshake = Handshake::new(torrent.info_hashes().best(), id, false);
    torrent.peer_connected(now, at(n), incoming, StreamKind::default(), &handshake).ok().map(|(key, _)| key)
}

fn say(torrent: &mut Torrent, now: Time, key: PeerKey, messages: impl IntoIterator<Item = Message>) {
    let mut batch: Vec<Received> = messages.into_iter().map(Received::Message).collect();
    let bytes = 17 * batch.len() as u64;
    torrent.peer_received(now, key, &mut batch, bytes);
}

fn hello(change: impl FnOnce(&mut ExtendedHandshake)) -> Message {
    let mut hello = ExtendedHandshake::default();
    change(&mut hello);
    Message::Extended { id: 0, payload: hello.encode() }
}

/// It is not read from while its answers wait, and is let go when they become too many all the same.
#[test]
fn who_asks_and_does_not_read_is_not_heard() {
    let mut torrent = torrent();
    let key = join(&mut torrent, NOW, 1, true).expect("let in");
    let request = BlockRequest { piece: 1, begin: 0, length: 16 * 1024 };
    assert_eq!(torrent.reading(NOW, key), Reading::Now);
    let flood = |torrent: &mut Torrent| say(torrent, NOW, key, (0..10_000).map(|_| Message::Request(request)));
    flood(&mut torrent);
    assert_eq!(torrent.reading(NOW, key), Reading::WhenWritten);
    while torrent.take_chunk(NOW, key).is_some() {}
    assert!(matches!(torrent.reading(NOW, key), Reading::At(later) if later > NOW), "it is heard later");
    // A shell that reads on regardless.
    (0..8).for_each(|_| flood(&mut torrent));
    assert!(!torrent.has_peer(key));
}

/// What an honest peer says at once is heard at once.
#[test]
fn an_honest_peer_is_never_in_debt() {
    let mut torrent = torrent();
    let key = join(&mut torrent, NOW, 1, false).expect("let in");
    let hello = hello(|h| h.m = ExtensionIds { ut_pex: Some(1), lt_donthave: Some(3), ..Default::default() });
    say(&mut torrent, NOW, key, [Message::HaveNone, hello, Message::Interested, Message::Unchoke]);
    let request = |n: u32| BlockRequest { piece: n % 1024, begin: 0, length: 16 * 1024 };
    for _ in 0..2 {
        say(&mut torrent, NOW, key, (0..1024).map(Message::Have));
        say(&mut torrent, NOW, key, (0..500).map(|n| Message::Request(request(n))));
        say(&mut torrent, NOW, key, (0..500).map(|n| Message::Cancel(request(n))));
        while torrent.take_chunk(NOW, key).is_some() {}
    }
    assert_eq!(torrent.reading(NOW, key), Reading::Now);
}

/// The pieces that a choked peer may have it may have a few times, not for as long as it likes.
#[test]
fn pieces_for_the_choked_are_not_for_ever() {
    let mut world = World::new(3, Content::single(3, 4 * MIB, 64 * KIB as u32));
    let node = world.add_engine(Setup::seed(), fast());
    world.run_for(Duration::from_secs(1));
    let now = world.now();
    let torrent = &mut world.engine(node).torrent;
    let key = join(torrent, now, 1, false).expect("let in");
    let hear = |torrent: &mut Torrent| {
        let (mut decoder, mut heard) =
            (Decoder::new(Credits::new(Pool::new(1 << 20)), DecoderLimits::default()), Vec::new());
        while let Some(chunk) = torrent.take_chunk(now, key) {
            decoder.push(chunk.as_slice(), &mut heard).expect("sound");
        }
        heard
    };
    let allowed = |m: Received| match m {
        Received::Message(Message::AllowedFast(piece)) => Some(piece),
        _ => None,
    };
    let pieces: Vec<u32> = hear(torrent).into_iter().filter_map(allowed).collect();
    assert_eq!(pieces.len(), 5);
    let request = |n: usize| BlockRequest { piece: pieces[n % 5], begin: 0, length: 16 * 1024 };
    say(torrent, now, key, (0..100).map(|n| Message::Request(request(n))));
    let refused = hear(torrent).iter().filter(|m| matches!(m, Received::Message(Message::Reject(_)))).count();
    assert_eq!(refused, 100 - 3 * 5 * 4);
}

/// However many ports a peer names, it is one peer, and honest ones are taken in as before.
#[test]
fn a_peer_listens_on_one_port() {
    for incoming in [true, false] {
        let mut torrent = torrent();
        let key = join(&mut torrent, NOW, 1, incoming).expect("let in");
        for port in 2000..2600 {
            say(&mut torrent, NOW, key, [hello(|h| h.p = Some(port))]);
        }
        assert!(torrent.status(NOW).list_peers <= 2, "{} in the list", torrent.status(NOW).list_peers);
        assert_eq!(torrent.add_peers(NOW, PeerSource::TRACKER, &[at(9)]), 1);
        torrent.peer_closed(NOW, key, None);
        let one_that_was_dialled = u32::from(!incoming);
        let left = torrent.status(NOW).list_peers;
        assert_eq!(left, 1 + one_that_was_dialled, "who came is forgotten, and with him what he said");
    }
    // Those that come and go, each with a port of its own, and at one address with another each time.
    let mut torrent = torrent();
    for n in 0..3000u32 {
        let key = join(&mut torrent, NOW, n % 7, true).expect("let in");
        say(&mut torrent, NOW, key, [hello(|h| h.p = Some(2000 + n as u16))]);
        torrent.peer_closed(NOW, key, None);
    }
    assert_eq!(torrent.status(NOW).list_peers, 0);
}

/// Comes by itself, tells where it listens, brings `blocks` blocks of what a reader waits for, and goes.
fn come_and_go(torrent: &mut Torrent, now: Time, n: u32, port: u16, blocks: usize) -> SocketAddr {
    let mut id = [7; 20];
    id[..4].copy_from_slice(&n.to_be_bytes());
    let mut seeder = Seeder::join(torrent, now, at(n), id, true);
    say(torrent, now, seeder.key, [hello(|h| h.p = Some(port))]);
    let asked = seeder.requests(torrent, now);
    let mut batch = seeder.blocks(&asked[..blocks]);
    torrent.peer_received(now + Duration::from_millis(20), seeder.key, &mut batch, 1000);
    torrent.peer_closed(now + Duration::from_millis(20), seeder.key, None);
    SocketAddr::new(at(n).ip(), port)
}

fn read_by_one(torrent: &mut Torrent) {
    let options = ReaderOptions { lookahead: Some(64 * MIB), ..ReaderOptions::default() };
    torrent.open_reader(NOW, ReaderId(1), 0, options).expect("a reader");
    let _ = torrent.read(NOW, ReaderId(1), 1000).expect("it waits");
}

/// Whom it wants dialled.
fn dialled_by(torrent: &mut Torrent) -> Vec<SocketAddr> {
    torrent.take_output().dial.into_iter().map(|dial| dial.address).collect()
}

/// Who came by itself and served is dialled at the port that it told when it is gone, as any other peer. Who brought nothing is not.
#[test]
fn a_seeder_that_came_by_itself_is_dialled_when_it_has_gone() {
    for blocks in [1, 0] {
        let mut torrent = zeros::torrent(NOW, 64 * MIB, 64 * KIB as u32, 128 * MIB);
        read_by_one(&mut torrent);
        let address = come_and_go(&mut torrent, NOW, 1, 7000, blocks);
        let mut dialled = dialled_by(&mut torrent);
        for half_seconds in 1..20 {
            torrent.handle_timeout(NOW + Duration::from_millis(500 * half_seconds));
            dialled.extend(dialled_by(&mut torrent));
        }
        assert_eq!(dialled, if blocks == 0 { vec![] } else { vec![address] });
        assert_eq!(torrent.status(NOW).list_peers, blocks as u32);
    }
}

/// Not more than so many, and one port of each.
#[test]
fn who_came_and_served_is_remembered_within_bounds() {
    let mut torrent = zeros::torrent(NOW, 64 * MIB, 64 * KIB as u32, 128 * MIB);
    read_by_one(&mut torrent);
    for n in 0u32..100 {
        let _ = come_and_go(&mut torrent, NOW + Duration::from_secs(60 * u64::from(n)), 1, 7000 + n as u16, 1);
        dialled_by(&mut torrent).into_iter().for_each(|a| torrent.dial_deferred(NOW, a));
        assert_eq!(torrent.status(NOW).list_peers, 1);
    }
    for n in 2..300 {
        let _ = come_and_go(&mut torrent, NOW + Duration::from_secs(6000), n, 7000, 1);
        dialled_by(&mut torrent).into_iter().for_each(|a| torrent.dial_deferred(NOW, a));
    }
    assert_eq!(torrent.status(NOW).list_peers, 50);
}

/// A limit that is lowered holds at once: who serves stays, and what was asked of the others is asked of him.
#[test]
fn the_surplus_goes_when_a_limit_is_lowered() {
    for by_settings in [false, true] {
        let mut torrent = zeros::torrent(NOW, 64 * MIB, 64 * KIB as u32, 128 * MIB);
        read_by_one(&mut torrent);
        let idle: Vec<PeerKey> = (100..110).filter_map(|n| join(&mut torrent, NOW, n, false)).collect();
        let mut seeders: Vec<Seeder> = (1..=20).map(|n| Seeder::connect(&mut torrent, NOW, n)).collect();
        let asked: Vec<_> = seeders.iter_mut().map(|s| s.requests(&mut torrent, NOW)).collect();
        // Four of those that came last serve.
        let now = NOW + Duration::from_secs(1);
        for (seeder, asked) in seeders.iter().zip(&asked).skip(16) {
            let mut batch = seeder.blocks(&asked[..2]);
            torrent.peer_received(now, seeder.key, &mut batch, 40_000);
        }
        torrent.take_output();
        let lower = |torrent: &mut Torrent, limit: i64| {
            if by_settings {
                let mut settings = Settings::default();
                settings.set_int("max_connections_per_torrent", limit).expect("in range");
                torrent.set_settings(now, Arc::new(settings));
            } else {
                torrent.set_limits(now, Some(limit as u32), None);
            }
            torrent.num_peers()
        };
        assert_eq!(lower(&mut torrent, 20), 20);
        assert!(!idle.iter().any(|k| torrent.has_peer(*k)), "those of no use go first");
        assert_eq!(lower(&mut torrent, 4), 4);
        assert!(seeders.iter().skip(16).all(|s| torrent.has_peer(s.key)), "who serves stays");
        let reason = |a: &Alert| matches!(a, Alert::PeerDisconnected { reason: CloseReason::TooManyConnections, .. });
        let output = torrent.take_output();
        assert_eq!(output.alerts.iter().filter(|a| reason(a)).count(), 26);
        assert_eq!(output.close.len(), 26);
        let mut again = Vec::new();
        for (seeder, asked) in seeders.iter_mut().zip(&asked).skip(16) {
            let mut batch = seeder.blocks(&asked[2..]);
            torrent.peer_received(now, seeder.key, &mut batch, 400_000);
            again.extend(seeder.requests(&mut torrent, now));
        }
        assert!(again.iter().any(|r| r.piece == 0), "what others were asked for is asked again");
        assert!(join(&mut torrent, now, 200, false).is_none(), "and nobody else comes in");
        assert_eq!(lower(&mut torrent, 30), 4);
    }
}

#[test]
fn a_peer_sees_us_at_one_address() {
    let mut torrent = torrent();
    let key = join(&mut torrent, NOW, 1, true).expect("let in");
    torrent.take_output();
    say(&mut torrent, NOW, key, (1..9).map(|n| hello(|h| h.yourip = Some([80, 1, 2, n].into()))));
    assert_eq!(torrent.take_output().external_ips, [(at(1).ip(), [80, 1, 2, 1].into())]);
    say(&mut torrent, NOW, key, (1..9).map(Message::Port));
    assert_eq!(torrent.take_output().dht_nodes.len(), 1);
}

/// Whoever takes and gives back an upload slot costs the other peers nothing; the slot goes to another one soon.
#[test]
fn flapping_interest_moves_nobody_else() {
    let mut torrent = torrent();
    let keys: Vec<PeerKey> = (1..=90).filter_map(|n| join(&mut torrent, NOW, n, false)).collect();
    assert_eq!(keys.len(), 90);
    for key in &keys {
        say(&mut torrent, NOW, *key, [Message::HaveNone, Message::Interested]);
    }
    torrent.handle_timeout(NOW);
    let uploads = |torrent: &Torrent, now| torrent.status(now).num_uploads;
    assert_eq!(uploads(&torrent, NOW), 8);
    let has_slot = |p: &PeerInfo| !p.flags.contains(PeerFlags::CHOKED);
    let flapping = torrent.peers(NOW).iter().position(has_slot).expect("one that may download");
    let all = |torrent: &mut Torrent| keys.iter().for_each(|k| while torrent.take_chunk(NOW, *k).is_some() {});
    all(&mut torrent);
    torrent.take_output();
    let unchoked = keys[flapping];
    let now = NOW + Duration::from_millis(1500);
    say(&mut torrent, now, unchoked, (0..1000).flat_map(|_| [Message::NotInterested, Message::Interested]));
    say(&mut torrent, now, unchoked, [Message::NotInterested]);
    assert!(torrent.take_output().wake.is_empty(), "another peer was told something");
    assert!(keys.iter().filter(|k| **k != unchoked).all(|k| torrent.outgoing_bytes(*k) == 0));
    assert_eq!(uploads(&torrent, now), 7);
    torrent.handle_timeout(now + Duration::from_millis(500));
    assert_eq!(uploads(&torrent, now), 8, "somebody else has the slot");
    // Again and again: a round a second at most.
    let mut told = 0;
    for step in 0..20 {
        let now = now + Duration::from_millis(1000 + 50 * step);
        say(&mut torrent, now, unchoked, [Message::Interested, Message::NotInterested]);
        torrent.handle_timeout(now);
        told += torrent.take_output().wake.len();
    }
    assert!(told <= 16, "{told} times a peer was told something");
}

/// Those who come and say nothing make room for who is dialled, and for who comes later.
#[test]
fn silent_peers_keep_nobody_out() {
    let mut torrent = torrent();
    let silent: Vec<PeerKey> = (1..=300).filter_map(|n| join(&mut torrent, NOW, n, true)).collect();
    assert_eq!(silent.len(), 88, "some places are kept for dials");
    torrent.take_output();
    torrent.add_peers(NOW, PeerSource::TRACKER, &[at(1000)]);
    assert_eq!(dialled_by(&mut torrent), [at(1000)], "dialled at once");
    assert!(join(&mut torrent, NOW, 1000, false).is_some());
    assert!(join(&mut torrent, NOW, 2000, true).is_none(), "they have only just come");
    let later = NOW + Duration::from_secs(11);
    assert!(join(&mut torrent, later, 2001, true).is_some(), "one makes room");
    assert_eq!(torrent.num_peers(), 89);
}

/// All places are taken by peers that say they have everything, and give nothing though something is wanted.
#[test]
fn useless_seeds_make_room_for_others() {
    let mut torrent = torrent();
    torrent.set_piece_deadline(NOW, 0, 1000).expect("there is such a piece");
    for n in 1..=200 {
        if let Some(key) = join(&mut torrent, NOW, n, n % 2 == 0) {
            say(&mut torrent, NOW, key, [Message::HaveAll]);
        }
    }
    assert_eq!(torrent.num_peers(), 100);
    torrent.take_output();
    let later = NOW + Duration::from_secs(31);
    torrent.add_peers(later, PeerSource::TRACKER, &[at(1000), at(1001)]);
    assert_eq!(torrent.take_output().dial.len(), 1, "one a second");
    torrent.handle_timeout(later + Duration::from_secs(1));
    assert_eq!(torrent.take_output().dial.len(), 1);
}

/// Every now and then the worst go where others wait to be dialled; not where nobody does.
#[test]
fn the_worst_are_turned_over() {
    for waiting in [0, 30] {
        let mut torrent = torrent();
        let keys: Vec<PeerKey> = (1..=95).filter_map(|n| join(&mut torrent, NOW, n, false)).collect();
        keys.iter().for_each(|k| say(&mut torrent, NOW, *k, [Message::HaveAll, Message::Unchoke]));
        let addresses: Vec<SocketAddr> = (1000..1000 + waiting).map(at).collect();
        torrent.handle_timeout(NOW);
        torrent.add_peers(NOW, PeerSource::TRACKER, &addresses);
        let mut churned = 0;
        for seconds in 1..=301 {
            let now = NOW + Duration::from_secs(seconds);
            keys.iter().for_each(|k| say(&mut torrent, now, *k, [Message::KeepAlive]));
            torrent.handle_timeout(now);
            let alerts = torrent.take_output().alerts;
            let churn = elementum_torrent::alert::CloseReason::PeerChurn;
            churned += alerts
                .iter()
                .filter(|a| matches!(a, Alert::PeerDisconnected { reason, .. } if *reason == churn))
                .count();
        }
        assert_eq!(churned, if waiting > 0 { 4 } else { 0 });
    }
}
