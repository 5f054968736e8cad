//! uTP (BEP 29): two of ours, floods, closed ports, changes while it runs. Which clients are met how: `ways.rs`.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::network::{in_own_network, ip};
use common::ours::{self, Alerts, CLOSE};
use common::peers::{Source, Torrent};
use elementum_torrent::session::{PeerFlags, Session, StorageIndex};
use elementum_torrent::settings::Settings;

fn only_utp(settings: &mut Settings) {
    settings.set_bool("enable_incoming_tcp", false).unwrap();
    settings.set_bool("enable_outgoing_tcp", false).unwrap();
}

fn as_it_comes(_: &mut Settings) {}

/// The one peer is connected by uTP.
fn is_utp(session: &Session, index: StorageIndex) -> bool {
    let peers = || session.torrent(index).unwrap().peers().unwrap();
    ours::until("it is connected", || peers().len() == 1);
    peers()[0].flags.contains(PeerFlags::UTP_SOCKET)
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
    assert!(is_utp(&session, index) && is_utp(&seed, seeded));
    ours::stream_all(&session, index, &torrent);
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}

/// What it may not send it tells, and not often. That somebody cannot be reached is none of its faults.
#[test]
fn a_socket_that_may_not_send_says_so() {
    in_own_network("a_socket_that_may_not_send_says_so", &[("out0", 7)], |_capture| {
        ip("route add prohibit 192.0.2.0/24");
        ip("route add unreachable 198.51.100.0/24");
        let session = ours::open_with(|s| {
            s.set_str("listen_interfaces", "0.0.0.0:0").unwrap();
            s.set_bool("enable_outgoing_tcp", false).unwrap();
        });
        let torrent = Torrent::make("not sent", 200_000, 1, &[]);
        let mut params = ours::params(&torrent, Source::File);
        let far = |a: u8, b, c| (1..20).map(move |n| SocketAddr::from(([a, b, c, n], 6881)));
        params.peers = far(192, 0, 2).chain(far(198, 51, 100)).collect();
        session.add_torrent(params).unwrap();
        let mut alerts = Alerts::default();
        let told = alerts.wait(&session, "udp_error", " endpoint=192.0.2.");
        assert!(told.contains("Permission denied"), "{told}");
        std::thread::sleep(Duration::from_secs(3));
        assert!((2..=5).contains(&alerts.count(&session, "udp_error", "")), "{:#?}", alerts.heard);
        assert_eq!(alerts.count(&session, "udp_error", "198.51."), 0);
        session.close(CLOSE).unwrap();
    });
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
