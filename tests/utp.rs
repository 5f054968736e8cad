//! uTP (BEP 29) with real clients, each way.

mod common;

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Client, Source, Torrent};
use common::temp::{TempDir, assert_same};
use elementum_torrent::session::{PeerFlags, Session, StorageIndex};
use elementum_torrent::settings::Settings;

fn only_utp(settings: &mut Settings) {
    settings.set_bool("enable_incoming_tcp", false).unwrap();
    settings.set_bool("enable_outgoing_tcp", false).unwrap();
}

fn as_it_comes(_: &mut Settings) {}

/// How the one peer is connected.
fn flags(session: &Session, index: StorageIndex) -> PeerFlags {
    let peers = || session.torrent(index).unwrap().peers().unwrap();
    ours::until("it is connected", || peers().len() == 1);
    peers()[0].flags & (PeerFlags::UTP_SOCKET | PeerFlags::RC4_ENCRYPTED)
}

/// A client seeds to us.
fn streams_from(client: Client, options: &[&str], ours: fn(&mut Settings), expected: PeerFlags) {
    println!("{client:?} seeds, {options:?}");
    let torrent = Torrent::make("by utp", 8_000_000, 1, &[]);
    let mut seeder = client.seed(&torrent, options);
    let session = ours::open_with(ours);
    let mut params = ours::params(&torrent, Source::Magnet);
    params.peers = vec![seeder.address()];
    let index = session.add_torrent(params).unwrap();
    Alerts::default().wait(&session, "metadata_received", "");
    assert_eq!(flags(&session, index), expected);
    ours::stream_all(&session, index, &torrent);
    session.close(CLOSE).unwrap();
}

/// A client downloads from us.
fn seeds_to(client: Client, options: &[&str], ours: fn(&mut Settings), expected: PeerFlags) {
    println!("{client:?} downloads, {options:?}");
    let torrent = Torrent::make("by utp", 2_000_000, 1, &[]);
    // Slow enough that it is there when it is looked at.
    let (session, index) = ours::seed_with(&torrent, |s| {
        ours(s);
        s.set_int("upload_rate_limit", 500_000).unwrap();
    });
    let out = TempDir::new();
    let address = ours::address(&session).to_string();
    let options = [options, &["--peer", &address]].concat();
    let mut leecher = client.leech(&torrent, Source::Magnet, &out.dir("to"), &options);
    leecher.wait("metadata");
    assert_eq!(flags(&session, index), expected);
    leecher.wait("done");
    assert_same(&torrent.content(), &out.path().join("to").join(&torrent.name));
    session.close(CLOSE).unwrap();
}

const TCP: PeerFlags = PeerFlags::empty();
const UTP: PeerFlags = PeerFlags::UTP_SOCKET;
const UTP_RC4: PeerFlags = PeerFlags::UTP_SOCKET.union(PeerFlags::RC4_ENCRYPTED);

#[test]
fn whoever_takes_utp_only_seeds_to_us() {
    streams_from(Client::Libtorrent, &["--transport", "utp"], as_it_comes, UTP);
    streams_from(Client::Libtorrent, &["--transport", "utp", "--encryption", "rc4"], as_it_comes, UTP_RC4);
    streams_from(Client::Libtorrent, &["--transport", "both"], as_it_comes, TCP);
    streams_from(Client::Libtorrent, &["--transport", "both"], only_utp, UTP);
    streams_from(Client::Transmission, &["--transport", "utp"], only_utp, UTP);
}

#[test]
fn whoever_dials_by_utp_downloads_from_us() {
    seeds_to(Client::Libtorrent, &["--transport", "utp"], as_it_comes, UTP);
    seeds_to(Client::Libtorrent, &["--transport", "both"], as_it_comes, UTP);
    seeds_to(Client::Libtorrent, &["--transport", "utp", "--encryption", "rc4"], only_utp, UTP_RC4);
}

#[test]
fn two_of_ours_meet_by_utp() {
    let torrent = Torrent::make("by utp", 30_000_000, 1, &[]);
    let (seed, seeded) = ours::seed_with(&torrent, only_utp);
    let session = ours::open_with(only_utp);
    let mut params = ours::params(&torrent, Source::Magnet);
    params.peers = vec![ours::address(&seed)];
    let index = session.add_torrent(params).unwrap();
    Alerts::default().wait(&session, "metadata_received", "");
    assert_eq!((flags(&session, index), flags(&seed, seeded)), (UTP, UTP));
    ours::stream_all(&session, index, &torrent);
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}

/// A packet of uTP without payload.
fn packet(kind: u8, id: u16) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | 1, 0];
    bytes.extend(id.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
    bytes
}

struct Stop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Questions without an answer to ours, answers to nothing, and no packets at all: who means it is served, and whom it does not concern as well.
#[test]
fn a_flood_of_questions_keeps_nobody_out() {
    let torrent = Torrent::make("flooded by utp", 6_000_000, 1, &[]);
    let (seed, _) = ours::seed_with(&torrent, as_it_comes);
    let to = ours::address(&seed);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut rng = fastrand::Rng::with_seed(1);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // As many sources as ports, and addresses.
                let socket =
                    std::net::UdpSocket::bind((std::net::Ipv4Addr::from([127, 0, 1, rng.u8(1..)]), 0)).unwrap();
                for _ in 0..50 {
                    let mut bytes = packet(rng.u8(..6), rng.u16(..));
                    if rng.u8(..4) == 0 {
                        bytes = (0..rng.usize(..2000)).map(|_| rng.u8(..)).collect();
                    }
                    let _ = socket.send_to(&bytes, to);
                    let _ = socket.send_to(&packet(4, rng.u16(..)), to);
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        // However this ends.
        let flooding = Stop(&stop);
        for ours in [only_utp as fn(&mut Settings), as_it_comes] {
            let session = ours::open_with(ours);
            let mut params = ours::params(&torrent, Source::Magnet);
            params.peers = vec![to];
            let index = session.add_torrent(params).unwrap();
            Alerts::default().wait(&session, "metadata_received", "");
            ours::stream_all(&session, index, &torrent);
            session.close(CLOSE).unwrap();
        }
        drop(flooding);
    });
    seed.close(CLOSE).unwrap();
}

/// A port where nobody listens is known for one at once, by uTP too: else the next dial would wait for seconds.
#[test]
fn a_closed_port_is_noticed_at_once() {
    let session = ours::open_with(as_it_comes);
    let torrent = Torrent::make("nowhere", 100_000, 1, &[]);
    let index = session.add_torrent(ours::params(&torrent, Source::Magnet)).unwrap();
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let begin = std::time::Instant::now();
    session.torrent(index).unwrap().connect_peer(closed).unwrap();
    Alerts::default().wait(&session, "peer_disconnected", "");
    // uTP alone would be waited for 3 s.
    assert!(begin.elapsed() < std::time::Duration::from_millis(2500), "{:?}", begin.elapsed());
    session.close(CLOSE).unwrap();
}

/// Turned off while it runs: the socket is closed, connections end, and it comes back on the same port.
#[test]
fn it_is_turned_off_and_on_while_the_session_runs() {
    let torrent = Torrent::make("off and on", 3_000_000, 1, &[]);
    let (seed, _) = ours::seed_with(&torrent, as_it_comes);
    let to = ours::address(&seed);
    for on in [true, false, true] {
        let mut changes = elementum_torrent::settings::Changes::default();
        changes.set("enable_incoming_utp", elementum_torrent::settings::Value::Bool(on)).unwrap();
        changes.set("enable_outgoing_utp", elementum_torrent::settings::Value::Bool(on)).unwrap();
        seed.change_settings(&changes).unwrap();
        assert_eq!(std::net::UdpSocket::bind(to).is_ok(), !on);
        assert_eq!(ours::address(&seed), to);
        let session = ours::open_with(only_utp);
        let index = session.add_torrent(ours::params(&torrent, Source::Magnet)).unwrap();
        session.torrent(index).unwrap().connect_peer(to).unwrap();
        let met = || !session.torrent(index).unwrap().peers().unwrap().is_empty();
        if on {
            ours::until("it is met", met);
        } else {
            Alerts::default().wait(&session, "peer_disconnected", "");
            assert!(!met());
        }
        session.close(CLOSE).unwrap();
    }
    seed.close(CLOSE).unwrap();
}
