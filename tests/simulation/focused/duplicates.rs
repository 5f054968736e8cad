//! A peer that comes while a connection of it is there already: one that is mute gives way, and no other.

use std::net::SocketAddr;

use elementum_torrent::alert::CloseReason;
use elementum_torrent::base::time::Time;
use elementum_torrent::engine::Torrent;
use elementum_torrent::engine::content::pieces::PeerKey;
use elementum_torrent::engine::readers::reader::{ReaderId, ReaderOptions};
use elementum_torrent::wire::{Handshake, Message, Received, StreamKind};

use super::super::zeros::{self, Seeder};
use super::*;

const NOW: Time = Time::from_millis(60_000);

fn after(seconds: u64) -> Time {
    NOW + Duration::from_secs(seconds)
}

/// Comes by itself from that address, with that id.
fn join(torrent: &mut Torrent, now: Time, host: u8, id: u8) -> Result<PeerKey, CloseReason> {
    let address = SocketAddr::from(([10, 0, 0, host], 50_000 + u16::from(id)));
    let handshake = Handshake::new(torrent.info_hashes().best(), [id; 20], false);
    torrent.peer_connected(now, address, true, StreamKind::default(), &handshake).map(|(key, _)| key)
}

fn hear(torrent: &mut Torrent, now: Time, key: PeerKey, messages: impl IntoIterator<Item = Message>) {
    let mut batch: Vec<Received> = messages.into_iter().map(Received::Message).collect();
    torrent.peer_received(now, key, &mut batch, 5);
}

/// A torrent with a seeder that came from 10.0.0.1, whose id is of 2, and perhaps a read that waits for it.
fn streaming(reads: bool) -> (Torrent, Seeder) {
    let mut torrent = zeros::torrent(NOW, 64 * MIB, 64 * KIB as u32, 8 * MIB);
    let seeder = Seeder::join(&mut torrent, NOW, SocketAddr::from(([10, 0, 0, 1], 50_001)), [2; 20], true);
    if reads {
        begin_to_read(&mut torrent, NOW);
    }
    (torrent, seeder)
}

fn begin_to_read(torrent: &mut Torrent, now: Time) {
    torrent.open_reader(now, ReaderId(1), 0, ReaderOptions::default()).expect("a reader");
    let _ = torrent.read(now, ReaderId(1), 1000).expect("it waits");
}

/// One whose seeder chokes us: it owes us nothing.
fn choked() -> (Torrent, Seeder) {
    let (mut torrent, seeder) = streaming(false);
    hear(&mut torrent, NOW, seeder.key, [Message::Choke]);
    (torrent, seeder)
}

/// Time goes by, and the seeder says something each second, or nothing.
fn pass(torrent: &mut Torrent, seconds: std::ops::Range<u64>, talks: Option<PeerKey>) {
    for second in seconds {
        if let Some(key) = talks {
            hear(torrent, after(second), key, [Message::KeepAlive]);
        }
        torrent.handle_timeout(after(second));
    }
}

/// The connection of the only seeder died without a word, and it is back: with its id from elsewhere, or with another id.
#[test]
fn a_seeder_whose_connection_died_silently_is_let_in_again() {
    for (host, id) in [(1, 2), (9, 2), (1, 7)] {
        let (mut torrent, mut seeder) = streaming(true);
        assert!(!seeder.requests(&mut torrent, NOW).is_empty());
        pass(&mut torrent, 0..4, None);
        assert_eq!(join(&mut torrent, after(4), host, id), Err(CloseReason::DuplicatePeerId), "it may only be slow");
        assert!(torrent.has_peer(seeder.key));
        pass(&mut torrent, 4..6, None);
        let key = join(&mut torrent, after(6), host, id).expect("let in");
        assert!(!torrent.has_peer(seeder.key) && torrent.num_peers() == 1);
        hear(&mut torrent, after(6), key, [Message::HaveAll, Message::Unchoke]);
        seeder.key = key;
        assert!(!seeder.requests(&mut torrent, after(6)).is_empty(), "it is asked at once");
    }
}

/// Nobody pushes out a peer that lives by taking its name.
#[test]
fn a_duplicate_does_not_push_out_a_peer_that_lives() {
    let refused = |torrent: &mut Torrent, at: Time| {
        let hosts = [(1, 2), (9, 2), (1, 7)];
        hosts.into_iter().all(|(host, id)| join(torrent, at, host, id) == Err(CloseReason::DuplicatePeerId))
    };
    // What it was asked for comes slowly.
    let (mut torrent, mut seeder) = streaming(true);
    let mut asked = Vec::new();
    for second in 0..120 {
        asked.extend(seeder.requests(&mut torrent, after(second)));
        let mut batch = if second % 10 == 9 { seeder.blocks(&[asked.remove(0)]) } else { Vec::new() };
        torrent.peer_received(after(second), seeder.key, &mut batch, 1600);
        torrent.handle_timeout(after(second));
        assert!(refused(&mut torrent, after(second)) && torrent.has_peer(seeder.key), "{second} s");
    }
    // It owes us nothing, and says as little as a peer may.
    let (mut torrent, seeder) = streaming(false);
    for second in 0..600 {
        if second % 99 == 0 {
            hear(&mut torrent, after(second), seeder.key, [Message::KeepAlive]);
        }
        torrent.handle_timeout(after(second));
        assert!(refused(&mut torrent, after(second)) && torrent.has_peer(seeder.key), "{second} s");
    }
    // It was silent for long since nothing was wanted of it; now a read begins.
    let (mut torrent, seeder) = streaming(false);
    pass(&mut torrent, 0..90, None);
    begin_to_read(&mut torrent, after(90));
    pass(&mut torrent, 90..94, None);
    assert!(refused(&mut torrent, after(94)) && torrent.has_peer(seeder.key));
}

/// It lives, but has brought nothing for a minute: no name is worth that.
#[test]
fn one_that_is_snubbed_gives_way() {
    let (mut torrent, seeder) = streaming(true);
    pass(&mut torrent, 0..58, Some(seeder.key));
    assert_eq!(join(&mut torrent, after(58), 9, 2), Err(CloseReason::DuplicatePeerId));
    pass(&mut torrent, 58..63, Some(seeder.key));
    join(&mut torrent, after(63), 9, 2).expect("let in");
    assert!(!torrent.has_peer(seeder.key));
}

/// The same where it choked us before: it owes nothing, but a read waits, and who comes back may serve it.
#[test]
fn one_that_choked_us_and_is_silent_while_a_read_waits_gives_way() {
    for (host, id) in [(1, 2), (9, 2), (1, 7)] {
        let (mut torrent, seeder) = choked();
        begin_to_read(&mut torrent, NOW);
        pass(&mut torrent, 0..4, None);
        assert_eq!(
            join(&mut torrent, after(4), host, id),
            Err(CloseReason::DuplicatePeerId),
            "it may be about to speak"
        );
        pass(&mut torrent, 4..6, None);
        join(&mut torrent, after(6), host, id).expect("let in");
        assert!(!torrent.has_peer(seeder.key) && torrent.num_peers() == 1);
    }
}

/// Not if it says something, or nobody waits, or the read has only just begun to wait.
#[test]
fn one_that_chokes_us_and_lives_stays() {
    let refused = |torrent: &mut Torrent, at| join(torrent, at, 9, 2) == Err(CloseReason::DuplicatePeerId);
    let (mut torrent, seeder) = choked();
    begin_to_read(&mut torrent, NOW);
    for second in 0..60 {
        pass(&mut torrent, second..second + 1, Some(seeder.key).filter(|_| second % 4 == 0));
        assert!(refused(&mut torrent, after(second)), "{second} s");
    }
    let (mut torrent, seeder) = choked();
    pass(&mut torrent, 0..90, None);
    assert!(refused(&mut torrent, after(90)));
    begin_to_read(&mut torrent, after(90));
    pass(&mut torrent, 90..94, None);
    assert!(refused(&mut torrent, after(94)) && torrent.has_peer(seeder.key));
}

/// One that stands and is silent is sent something at most each two seconds: its system tells ours if there is nobody.
#[test]
fn one_that_may_be_gone_is_asked() {
    let (mut torrent, mut seeder) = streaming(false);
    let mut keep_alives = |torrent: &mut Torrent, at| {
        let said = seeder.said(torrent, at);
        said.iter().filter(|message| **message == Message::KeepAlive).count()
    };
    pass(&mut torrent, 0..10, None);
    keep_alives(&mut torrent, after(10));
    let mut asked = 0;
    for tenth in 0..100 {
        let at = after(10) + Duration::from_millis(tenth * 100);
        assert_eq!(join(&mut torrent, at, 9, 2), Err(CloseReason::DuplicatePeerId));
        asked += keep_alives(&mut torrent, at);
    }
    assert!((4..=6).contains(&asked), "{asked}");
}
