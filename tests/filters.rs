//! Whom a session does not dial or let in, and what it tells of them.

mod common;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Source, Torrent};
use elementum_torrent::session::{PortAccess, PortRule, Session};

fn block(session: &Session, first: u16, last: u16) {
    session.set_port_filter(&[PortRule { first, last, access: PortAccess::BLOCKED }]).unwrap();
}

/// Of two seeds that are connected the one at a port that is blocked goes, at once, and is not dialled until it is allowed again.
#[test]
fn a_port_is_blocked_and_allowed_while_it_runs() {
    let torrent = Torrent::make("filtered.bin", 2_000_000, 1, &[]);
    let (seeds, ports): (Vec<_>, Vec<u16>) = (0..2)
        .map(|_| {
            let (seed, _) = ours::seed(&torrent);
            let port = seed.listen_port().unwrap();
            (seed, port)
        })
        .unzip();
    let session = ours::open_with(|s| s.set_bool("allow_multiple_connections_per_ip", true).unwrap());
    let mut params = ours::params(&torrent, Source::File);
    params.peers = seeds.iter().map(ours::address).collect();
    let index = session.add_torrent(params).unwrap();
    let num_peers = || ours::status(&session, index).num_peers;
    ours::until("both are here", || num_peers() == 2);

    let mut alerts = Alerts::default();
    block(&session, ports[0], ports[0]);
    let address = ours::address(&seeds[0]).to_string();
    assert!(alerts.wait(&session, "peer_blocked", &address).ends_with(" by=port_filter"));
    assert!(alerts.wait(&session, "peer_disconnected", &address).contains("reason=4"));
    session.torrent(index).unwrap().connect_peer(ours::address(&seeds[0])).unwrap();
    alerts.wait(&session, "peer_blocked", &address);
    alerts.wait(&session, "peer_disconnected", &address);
    assert!(!ours::within(Duration::from_secs(2), || num_peers() != 1), "one is here, and the other stays away");
    ours::stream_all(&session, index, &torrent);

    // A torrent that is added later hears of it, too.
    let other = Torrent::make("filtered later.bin", 200_000, 2, &[]);
    let mut params = ours::params(&other, Source::File);
    params.peers = vec![ours::address(&seeds[0])];
    session.add_torrent(params).unwrap();
    alerts.wait(&session, "peer_blocked", &address);

    session.set_port_filter(&[]).unwrap();
    session.torrent(index).unwrap().connect_peer(ours::address(&seeds[0])).unwrap();
    ours::until("it is allowed", || num_peers() == 2);
    session.close(CLOSE).unwrap();
    assert!(session.set_port_filter(&[]).is_err());
}

/// Nothing reaches a port that is blocked.
#[test]
fn a_blocked_port_sees_no_connection() {
    let torrent = Torrent::make("unseen.bin", 200_000, 1, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let to = listener.local_addr().unwrap();
    let session = ours::open();
    block(&session, to.port(), to.port());
    let mut params = ours::params(&torrent, Source::Magnet);
    params.peers = vec![to];
    let index = session.add_torrent(params).unwrap();
    session.torrent(index).unwrap().connect_peer(to).unwrap();
    assert!(!ours::within(Duration::from_secs(2), || listener.accept().is_ok()));
}

/// However many are named, by however many torrents.
#[test]
fn ten_thousand_blocked_peers_are_no_flood() {
    let session = ours::open();
    block(&session, 0, u16::MAX);
    for n in 0..4 {
        let torrent = Torrent::make(&format!("many {n}"), 50_000, n, &[]);
        let mut params = ours::params(&torrent, Source::File);
        params.peers = (1..=10_000).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect();
        session.add_torrent(params).unwrap();
    }
    let mut alerts = Alerts::default();
    ours::until("some are told of", || alerts.count(&session, "peer_blocked", "") >= 50);
    std::thread::sleep(Duration::from_secs(1));
    let told = alerts.count(&session, "peer_blocked", "");
    assert!(told <= 130, "{told}");
}

/// Who comes by uTP where that is off is not answered, and told of.
#[test]
fn who_comes_by_what_is_off_is_told_of() {
    let torrent = Torrent::make("off.bin", 200_000, 1, &[]);
    let (seed, _) = ours::seed_with(&torrent, |s| s.set_bool("enable_incoming_utp", false).unwrap());
    let session = ours::open_with(|s| s.set_bool("enable_outgoing_tcp", false).unwrap());
    let mut params = ours::params(&torrent, Source::File);
    params.peers = vec![ours::address(&seed)];
    session.add_torrent(params).unwrap();
    let mut alerts = Alerts::default();
    let told = alerts.wait(&seed, "peer_blocked", "by=utp_disabled");
    assert!(told.contains(&ours::address(&session).to_string()), "{told}");
    assert_eq!(alerts.count(&seed, "peer_connect", ""), 0);
}
