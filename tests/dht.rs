//! The DHT on loopback, with nodes of libtorrent and of ours.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Client, Source, Torrent, dht};
use common::temp::TempDir;
use elementum_torrent::session::Session;
use elementum_torrent::settings::Settings;

fn settings(bootstrap: &str) -> Settings {
    let mut settings = ours::settings();
    settings.set_bool("enable_dht", true).unwrap();
    settings.set_str("dht_bootstrap_nodes", bootstrap).unwrap();
    settings.set_int("dht_announce_interval", 10).unwrap();
    settings
}

/// Adds the torrent by a magnet that names nobody, and streams it from whom the DHT finds.
fn find_and_stream(session: &Session, torrent: &Torrent, alerts: &mut Alerts) {
    let index = session.add_torrent(ours::params(torrent, Source::Magnet)).unwrap();
    let reply = alerts.wait(session, "dht_reply", "");
    assert!(!reply.ends_with("num_peers=0"), "{reply}");
    alerts.wait(session, "metadata_received", "");
    ours::stream_all(session, index, torrent);
    session.remove_torrent(index, Default::default()).unwrap();
}

#[test]
fn a_torrent_without_trackers_finds_its_seed_and_the_state_is_good_for_the_next_session() {
    let torrent = Torrent::make("announced.bin", 1_000_000, 1, &[]);
    let mut network = dht(6, Some(&torrent));
    let node = network.wait("node");
    network.wait("announced");

    let session = Session::open(Some(settings(&node)), &[]).unwrap();
    let mut alerts = Alerts::default();
    alerts.wait(&session, "dht_bootstrap", "");
    find_and_stream(&session, &torrent, &mut alerts);
    assert!(session.stats().unwrap().dht_nodes > 0);
    let state = session.save_state().unwrap();
    session.close(CLOSE).unwrap();

    // Nobody is named this time: only the saved nodes lead into the network.
    let session = Session::open(Some(settings("")), &state).unwrap();
    let mut alerts = Alerts::default();
    alerts.wait(&session, "dht_bootstrap", "");
    find_and_stream(&session, &torrent, &mut alerts);
    session.close(CLOSE).unwrap();

    // The state has the settings too.
    let session = Session::open(None, &state).unwrap();
    assert_eq!(session.settings().unwrap(), settings(&node));
    session.close(CLOSE).unwrap();
}

#[test]
fn a_node_named_by_a_call_leads_in() {
    let torrent = Torrent::make("named.bin", 1_000_000, 1, &[]);
    let mut network = dht(6, Some(&torrent));
    let node = network.wait("node");
    network.wait("announced");
    let session = Session::open(Some(settings("")), &[]).unwrap();
    let (host, port) = node.rsplit_once(':').unwrap();
    session.add_dht_node(host, port.parse().unwrap()).unwrap();
    find_and_stream(&session, &torrent, &mut Alerts::default());
    session.close(CLOSE).unwrap();
}

/// A seed that is announced nowhere else is found by libtorrent, through a network of libtorrent's.
#[test]
fn libtorrent_finds_whom_we_announce() {
    let torrent = Torrent::make("ours.bin", 1_000_000, 1, &[]);
    let mut network = dht(20, None);
    let node = network.wait("node");
    network.wait("ready");
    let seed = Session::open(Some(settings(&node)), &[]).unwrap();
    let index = seed.add_torrent(ours::disk_params(&torrent, Source::File, torrent.dir.path())).unwrap();
    ours::until("it is checked", || ours::status(&seed, index).is_seeding);
    let to = TempDir::new();
    let mut leecher = Client::Libtorrent.leech(&torrent, Source::Magnet, to.path(), &["--dht-node", &node]);
    leecher.wait("metadata");
    leecher.wait("done");
    seed.close(CLOSE).unwrap();
}

fn session_at(interfaces: &str, bootstrap: &str) -> Session {
    let mut settings = settings(bootstrap);
    settings.set_str("listen_interfaces", interfaces).unwrap();
    Session::open(Some(settings), &[]).unwrap()
}

/// Nodes of ours alone, in each address family, and one that is in both: who is announced by the one is found by the other.
#[test]
fn a_network_of_ours_has_both_families() {
    let torrent = Torrent::make("families.bin", 300_000, 1, &[]);
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("skipped: no IPv6 loopback here");
        return;
    }
    let at = |session: &Session, host: &str| format!("{host}:{}", session.listen_port().unwrap());
    for host in ["127.0.0.1", "[::1]"] {
        let first = session_at(&format!("{host}:0"), "");
        let others: Vec<Session> = (0..3).map(|_| session_at(&format!("{host}:0"), &at(&first, host))).collect();
        let index = others[0].add_torrent(ours::disk_params(&torrent, Source::File, torrent.dir.path())).unwrap();
        ours::until("it is checked", || ours::status(&others[0], index).is_seeding);
        find_and_stream(&others[2], &torrent, &mut Alerts::default());
        // Of both families, it is led from the one to the other.
        let both = session_at("127.0.0.1:0,[::1]:0", &at(&first, host));
        find_and_stream(&both, &torrent, &mut Alerts::default());
        assert!(first.stats().unwrap().dht_nodes >= 3);
        others.into_iter().chain([first, both]).for_each(|session| session.close(CLOSE).unwrap());
    }
}

fn answers_ping(session: &Session) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.send_to(b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", ours::address(session)).unwrap();
    let mut answer = [0; 1500];
    match socket.recv(&mut answer) {
        Ok(n) => answer[..n].ends_with(b"1:t2:aa1:y1:re"),
        Err(_) => false,
    }
}

/// It is at the port of uTP, at once where it is switched on, and not after it was switched off; so it is read-only.
#[test]
fn it_answers_at_the_listen_port_while_it_is_on() {
    let session = session_at("127.0.0.1:0", "");
    assert!(answers_ping(&session), "with nobody to ask");
    let set = |key: &str, value: bool| {
        let mut changes = elementum_torrent::settings::Changes::default();
        changes.set(key, elementum_torrent::settings::Value::Bool(value)).unwrap();
        session.change_settings(&changes).unwrap();
        answers_ping(&session)
    };
    assert!(!set("enable_dht", false));
    assert!(set("enable_dht", true));
    assert!(!set("dht_read_only", true));
    assert!(set("dht_read_only", false));
    // Without uTP its socket is there still.
    assert!(set("enable_incoming_utp", false));
    assert!(set("enable_outgoing_utp", false));
    session.close(CLOSE).unwrap();
}

/// Peers tell each other where their nodes are: who meets a peer needs nobody else to enter the DHT.
#[test]
fn a_peer_leads_in() {
    let torrent = Torrent::make("met.bin", 300_000, 1, &[]);
    let [seed, session] = [(); 2].map(|()| session_at("127.0.0.1:0", ""));
    seed.add_torrent(ours::disk_params(&torrent, Source::File, torrent.dir.path())).unwrap();
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    session.torrent(index).unwrap().connect_peer(ours::address(&seed)).unwrap();
    for session in [&seed, &session] {
        Alerts::default().wait(session, "dht_bootstrap", "");
        ours::until("it knows the other", || session.stats().unwrap().dht_nodes == 1);
    }
    // So does libtorrent.
    let other = session_at("127.0.0.1:0", "");
    let mut peer = Client::Libtorrent.seed(&torrent, &["--dht-node", "127.0.0.1:1"]);
    let index = other.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    other.torrent(index).unwrap().connect_peer(peer.address()).unwrap();
    Alerts::default().wait(&other, "dht_bootstrap", "");
    [seed, session, other].into_iter().for_each(|session| session.close(CLOSE).unwrap());
}

/// What is no message, nested too deep, or has numbers beyond all bounds, is dropped.
#[test]
fn hostile_packets_do_not_end_it() {
    let session = session_at("127.0.0.1:0", "");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nested = |key: &str, begin: &str, n: usize| {
        [format!("d{}:{key}", key.len()), begin.repeat(n), "0:".to_owned(), "e".repeat(n + 1)].concat().into_bytes()
    };
    let keys = ["a", "e", "ip", "q", "r", "t", "v", "x", "y"];
    let deep = keys.into_iter().flat_map(|key| {
        [nested(key, "l", 8000), nested(key, "d1:a", 3000), nested(key, "ld0:", 3000), nested(key, "l", 30_000)]
    });
    let odd: [&[u8]; 8] = [
        b"i99999999999999999999e",
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:ti99999999999999999999e1:y1:qe",
        b"d1:ad2:id99999999999999999999:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:abcdefghij01234567894:porti-99999999999999999999e5:token0:e1:q13:announce_peer1:t2:aa1:y1:qe",
        b"d1:eli999999999999e0:e1:t2:aa1:y1:ee",
        b"d1:rd2:id20:abcdefghij01234567895:nodes5:xxxxxe1:t2:aa1:y1:re",
        b"",
        &[b'd'; 9000],
    ];
    for packet in deep.chain(odd.into_iter().map(<[u8]>::to_vec)) {
        socket.send_to(&packet, ours::address(&session)).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(answers_ping(&session));
    session.close(CLOSE).unwrap();
}
