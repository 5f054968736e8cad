//! Proxies: real ones, ones that stall or lie, and that nothing goes round them.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use common::network::{A_WHILE, in_own_network, packets, want_everything, wanting};
use common::ours::{self, Alerts, CLOSE};
use common::peers::{Peer, Source, Torrent, dht, opentracker};
use common::proxies::{HTTP, HTTP_PASSWORD, Program, Proxy, SOCKS4, SOCKS5, SOCKS5_PASSWORD};
use elementum_torrent::metainfo::Magnet;
use elementum_torrent::session::{AddTorrentParams, PeerFlags, Session, StorageIndex, TorrentSource};
use elementum_torrent::settings::Settings;

/// A seed that a tracker knows, and that tracker's address over HTTP.
fn tracked_seed(torrent: &Torrent) -> (Session, StorageIndex, Peer, String) {
    let mut tracker = opentracker(&[torrent]);
    let url = tracker.wait("http");
    let seed = ours::open();
    let mut params = ours::disk_params(torrent, Source::File, torrent.dir.path());
    params.trackers = vec![url.clone()];
    let index = seed.add_torrent(params).unwrap();
    Alerts::default().wait(&seed, "tracker_reply", &url);
    (seed, index, tracker, url)
}

fn magnet(torrent: &Torrent, tracker: &str) -> AddTorrentParams {
    let mut params = ours::params(torrent, Source::Magnet);
    params.trackers = vec![tracker.to_owned()];
    params
}

/// The settings with a change.
fn change(session: &Session, change: impl FnOnce(&mut Settings)) {
    let mut settings = session.settings().unwrap();
    change(&mut settings);
    session.apply_settings(&settings).unwrap();
}

/// From the tracker to the last byte of a magnet, by each protocol and program: the seed sees the proxy, and nobody listens.
#[test]
fn each_proxy_carries_a_stream() {
    let torrent = Torrent::make("proxied.bin", 3_000_000, 1, &[]);
    for (program, kind, password) in [
        (Program::Microsocks, SOCKS5, false),
        (Program::Microsocks, SOCKS5_PASSWORD, true),
        (Program::Dante, SOCKS5, false),
        (Program::Dante, SOCKS4, false),
        (Program::Tinyproxy, HTTP, false),
        (Program::Tinyproxy, HTTP_PASSWORD, true),
    ] {
        let (seed, seeded, _tracker, url) = tracked_seed(&torrent);
        let proxy = Proxy::start(program, password);
        let session = ours::open_with(|s| {
            proxy.set(s, kind);
            // To the tracker's seed this is another peer of its own address.
            s.set_bool("force_proxy", kind != HTTP).unwrap();
        });
        assert_eq!(session.listen_port().unwrap(), 0, "nobody listens");
        let index = session.add_torrent(magnet(&torrent, &url)).unwrap();
        let mut alerts = Alerts::default();
        assert_eq!(alerts.wait_within(&session, "socks5", "", Duration::ZERO), None);
        let by = if kind >= HTTP { "http" } else { "socks5" };
        alerts.wait(&session, "peer_connect", &format!("direction=out by={by}"));
        alerts.wait(&session, "metadata_received", "");
        ours::stream_all(&session, index, &torrent);
        let peers = seed.torrent(seeded).unwrap().peers().unwrap();
        assert!(peers.iter().any(|p| p.endpoint.ip() == proxy.goes_out_from), "{program:?} {kind}: {peers:?}");
        assert!(peers.iter().all(|p| p.endpoint.ip() == proxy.goes_out_from), "{program:?} {kind}: {peers:?}");
        session.close(CLOSE).unwrap();
        seed.close(CLOSE).unwrap();
    }
}

/// By the relay of a SOCKS5 proxy go uTP and UDP trackers, names included. When the proxy is gone so is the relay, and it is asked for again.
#[test]
fn a_relay_carries_utp_and_udp_trackers() {
    let torrent = Torrent::make("relayed.bin", 3_000_000, 1, &[]);
    let mut tracker = opentracker(&[&torrent]);
    let url = tracker.wait("udp");
    let seed = ours::open_with(|s| s.set_bool("enable_incoming_tcp", false).unwrap());
    let mut params = ours::disk_params(&torrent, Source::File, torrent.dir.path());
    params.trackers = vec![url.clone()];
    let seeded = seed.add_torrent(params).unwrap();
    Alerts::default().wait(&seed, "tracker_reply", &url);
    let mut proxy = Proxy::start(Program::Dante, false);
    for (host, names) in [("127.0.0.1", false), ("localhost", true)] {
        let session = ours::open_with(|s| {
            proxy.set(s, SOCKS5);
            s.set_bool("force_proxy", true).unwrap();
            s.set_bool("proxy_hostnames", names).unwrap();
        });
        let index = session.add_torrent(magnet(&torrent, &url.replace("127.0.0.1", host))).unwrap();
        let mut alerts = Alerts::default();
        alerts.wait(&session, "tracker_reply", "");
        alerts.wait(&session, "metadata_received", "");
        ours::stream_all(&session, index, &torrent);
        let peers = session.torrent(index).unwrap().peers().unwrap();
        assert!(peers.iter().any(|p| p.flags.contains(PeerFlags::UTP_SOCKET)), "{peers:?}");
        let seen = seed.torrent(seeded).unwrap().peers().unwrap();
        assert!(seen.iter().any(|p| p.endpoint.ip() == proxy.goes_out_from), "{seen:?}");
        assert!(seen.iter().all(|p| p.endpoint.ip() == proxy.goes_out_from), "{seen:?}");
        session.close(CLOSE).unwrap();
    }

    let session = ours::open_with(|s| proxy.set(s, SOCKS5));
    let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    let handle = session.torrent(index).unwrap();
    handle.connect_peer(ours::address(&seed)).unwrap();
    ours::until("they meet", || ours::status(&session, index).num_peers == 1);
    proxy.stop();
    ours::until("the relay is gone", || ours::status(&session, index).num_peers == 0);
    proxy.run();
    handle.connect_peer(ours::address(&seed)).unwrap();
    ours::stream_all(&session, index, &torrent);
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}

/// The DHT goes by the relay of a SOCKS5 proxy: nodes are asked by it, also those that the proxy alone can look up.
#[test]
fn a_relay_carries_the_dht() {
    let torrent = Torrent::make("found.bin", 1_000_000, 1, &[]);
    let mut network = dht(6, Some(&torrent));
    let node = network.wait("node");
    network.wait("announced");
    let mut proxy = Proxy::start(Program::Dante, false);
    for (host, names) in [("127.0.0.1", false), ("localhost", true)] {
        let session = ours::open_with(|s| {
            proxy.set(s, SOCKS5);
            s.set_bool("force_proxy", true).unwrap();
            s.set_bool("proxy_hostnames", names).unwrap();
            s.set_bool("enable_dht", true).unwrap();
            s.set_str("dht_bootstrap_nodes", &node.replace("127.0.0.1", host)).unwrap();
        });
        let index = session.add_torrent(ours::params(&torrent, Source::Magnet)).unwrap();
        let mut alerts = Alerts::default();
        alerts.wait(&session, "dht_bootstrap", "");
        alerts.wait(&session, "metadata_received", "");
        ours::stream_all(&session, index, &torrent);
        // It comes back with the proxy.
        proxy.stop();
        proxy.run();
        let mut params = ours::params(&torrent, Source::Magnet);
        session.remove_torrent(index, Default::default()).unwrap();
        params.trackers.clear();
        session.add_torrent(params).unwrap();
        alerts.wait(&session, "metadata_received", "");
        session.close(CLOSE).unwrap();
    }
}

/// A name is looked up by the proxy, or here, as the setting says. The proxy may be told by name itself.
#[test]
fn names_are_looked_up_by_whoever_is_to() {
    let torrent = Torrent::make("named.bin", 1_000_000, 1, &[]);
    let (seed, _, _tracker, url) = tracked_seed(&torrent);
    let url = url.replace("127.0.0.1", "localhost");
    for (at_proxy, seen) in [(true, "GET http://localhost:"), (false, "CONNECT 127.0.0.1:")] {
        let relay = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = relay.local_addr().unwrap();
        let asked = thread::spawn(move || {
            let (mut stream, _) = relay.accept().unwrap();
            let mut head = [0; 1024];
            let read = stream.read(&mut head).unwrap();
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        let session = ours::open_with(|s| {
            s.set_int("proxy_type", HTTP).unwrap();
            s.set_str("proxy_hostname", "localhost").unwrap();
            s.set_int("proxy_port", i64::from(address.port())).unwrap();
            s.set_bool("proxy_hostnames", at_proxy).unwrap();
        });
        session.add_torrent(magnet(&torrent, &url)).unwrap();
        let asked = asked.join().unwrap();
        assert!(asked.starts_with(seen), "{asked}");
        assert!(!at_proxy || asked.contains("&port=1&"), "{asked}");
        session.close(CLOSE).unwrap();
    }
    seed.close(CLOSE).unwrap();
}

/// Peers that a magnet names by host: the proxy looks them up, and who is told of them hears of no address. Without a proxy we do, later too.
#[test]
fn peers_with_names_are_dialled_by_them() {
    let torrent = Torrent::make("by name.bin", 1_000_000, 1, &[]);
    let (seed, seeded) = ours::seed(&torrent);
    let link = format!("{}&x.pe=localhost:{}", torrent.magnet, seed.listen_port().unwrap());
    let add = |session: &Session| {
        session.add_torrent(AddTorrentParams::new(TorrentSource::Magnet(Magnet::parse(&link).unwrap()))).unwrap()
    };
    for (program, kind) in [(Program::Dante, SOCKS5), (Program::Tinyproxy, HTTP)] {
        let proxy = Proxy::start(program, false);
        let session = ours::open_with(|s| {
            proxy.set(s, kind);
            s.set_bool("force_proxy", true).unwrap();
        });
        let index = add(&session);
        let mut alerts = Alerts::default();
        let met = alerts.wait(&session, "peer_connect", "direction=out");
        assert!(!met.contains("endpoint"), "{met}");
        alerts.wait(&session, "metadata_received", "");
        ours::stream_all(&session, index, &torrent);
        let peers = session.torrent(index).unwrap().peers().unwrap();
        assert!(peers.len() == 1 && peers[0].host == "localhost", "{peers:?}");
        let seen = seed.torrent(seeded).unwrap().peers().unwrap();
        assert!(seen.iter().all(|p| p.endpoint.ip() == proxy.goes_out_from), "{program:?} {kind}: {seen:?}");
        session.close(CLOSE).unwrap();
        ours::until("it is gone", || ours::status(&seed, seeded).num_peers == 0);
    }
    // dante knows no 4a.
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let session = ours::open_with(|s| {
        s.set_int("proxy_type", SOCKS4).unwrap();
        s.set_str("proxy_hostname", "127.0.0.1").unwrap();
        s.set_int("proxy_port", i64::from(relay.local_addr().unwrap().port())).unwrap();
    });
    add(&session);
    let mut asked = [0; 19];
    relay.accept().unwrap().0.read_exact(&mut asked).unwrap();
    assert!(asked.starts_with(&[4, 1]) && asked.ends_with(b"\0\0\0\x01\0localhost\0"), "{asked:?}");
    session.close(CLOSE).unwrap();
    // Where no proxy is there, and none is to be gone round, nobody is looked up, and dialled.
    let session = ours::open_with(|s| s.set_bool("force_proxy", true).unwrap());
    let index = add(&session);
    assert!(!ours::within(Duration::from_secs(2), || ours::status(&session, index).num_peers > 0));
    change(&session, |s| s.set_bool("force_proxy", false).unwrap());
    ours::until("it is allowed", || ours::status(&session, index).num_peers > 0);
}

/// What it is not to carry goes directly, and what it cannot carry does not go.
#[test]
fn a_proxy_for_trackers_alone_leaves_peers_as_they_are() {
    let torrent = Torrent::make("half.bin", 1_000_000, 1, &[]);
    let (seed, seeded, mut tracker, url) = tracked_seed(&torrent);
    let udp = tracker.wait("udp");
    let proxy = Proxy::start(Program::Microsocks, false);
    let session = ours::open_with(|s| {
        proxy.set(s, SOCKS5);
        s.set_bool("proxy_peer_connections", false).unwrap();
    });
    assert_ne!(session.listen_port().unwrap(), 0);
    let mut params = magnet(&torrent, &url);
    params.trackers.push(udp.clone());
    let index = session.add_torrent(params).unwrap();
    let mut alerts = Alerts::default();
    alerts.wait(&session, "tracker_error", "the SOCKS proxy does not connect: it does not know the command");
    alerts.wait(&session, "metadata_received", "");
    ours::stream_all(&session, index, &torrent);
    let peers = seed.torrent(seeded).unwrap().peers().unwrap();
    assert!(peers.iter().all(|p| p.endpoint.ip() == ours::address(&session).ip()), "{peers:?}");
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}

/// A wrong password is told once, keeps everybody away, and is mended while the session runs.
#[test]
fn a_wrong_password_is_told_and_can_be_mended() {
    let torrent = Torrent::make("password.bin", 1_000_000, 1, &[]);
    for (program, kind) in [(Program::Microsocks, SOCKS5_PASSWORD), (Program::Tinyproxy, HTTP_PASSWORD)] {
        let (seed, seeded, _tracker, url) = tracked_seed(&torrent);
        let proxy = Proxy::start(program, true);
        let session = ours::open_with(|s| {
            proxy.set(s, kind);
            s.set_str("proxy_password", "wrong").unwrap();
        });
        let index = session.add_torrent(magnet(&torrent, &url)).unwrap();
        session.torrent(index).unwrap().connect_peer(ours::address(&seed)).unwrap();
        let mut alerts = Alerts::default();
        let said = alerts.wait(&session, "socks5", "");
        assert!(!said.contains("wrong\""), "{said}");
        thread::sleep(Duration::from_secs(2));
        assert_eq!(alerts.count(&session, "socks5", ""), 1, "once");
        assert!(seed.torrent(seeded).unwrap().peers().unwrap().is_empty());
        change(&session, |s| s.set_str("proxy_password", proxy.password()).unwrap());
        alerts.wait(&session, "metadata_received", "");
        ours::stream_all(&session, index, &torrent);
        session.close(CLOSE).unwrap();
        seed.close(CLOSE).unwrap();
    }
}

/// A proxy that lacks something is told of at once, and is none: nothing goes round it.
#[test]
fn a_proxy_that_lacks_something_is_told_of() {
    for (kind, host, port, what) in [
        (SOCKS5, "", 1080, "proxy_hostname is empty"),
        (HTTP, "127.0.0.1", 0, "proxy_port is 0"),
        (SOCKS5_PASSWORD, "127.0.0.1", 1080, "proxy_username is empty"),
    ] {
        let set = |s: &mut Settings| {
            s.set_int("proxy_type", kind).unwrap();
            s.set_str("proxy_hostname", host).unwrap();
            s.set_int("proxy_port", port).unwrap();
        };
        let session = ours::open_with(set);
        let mut alerts = Alerts::default();
        alerts.wait(&session, "socks5", what);
        want_everything(&session, 0);
        thread::sleep(Duration::from_millis(500));
        assert_eq!(alerts.count(&session, "socks5", ""), 1);
        // So it is of one that is set later.
        let later = ours::open();
        change(&later, set);
        Alerts::default().wait(&later, "socks5", what);
    }
}

/// The proxy is not there at the start, comes, goes while something is read, and is back: nothing goes round it meanwhile.
#[test]
fn a_proxy_that_comes_and_goes() {
    let torrent = Torrent::make("comes.bin", 3_000_000, 1, &[]);
    let (seed, seeded, _tracker, url) = tracked_seed(&torrent);
    let mut proxy = Proxy::stopped(Program::Microsocks, false);
    let session = ours::open_with(|s| proxy.set(s, SOCKS5));
    let index = session.add_torrent(magnet(&torrent, &url)).unwrap();
    let handle = session.torrent(index).unwrap();
    handle.connect_peer(ours::address(&seed)).unwrap();
    let mut alerts = Alerts::default();
    let peers = || seed.torrent(seeded).unwrap().peers().unwrap();
    for _ in 0..2 {
        alerts.wait(&session, "socks5", "");
        thread::sleep(Duration::from_secs(3));
        assert!(peers().is_empty(), "{:?}", peers());
        proxy.run();
        ours::until("it goes on", || ours::status(&session, index).num_peers > 0);
        assert!(peers().iter().all(|p| p.endpoint.ip() == proxy.goes_out_from), "{:?}", peers());
        proxy.stop();
        ours::until("it noticed", || ours::status(&session, index).num_peers == 0);
        handle.connect_peer(ours::address(&seed)).unwrap();
    }
    proxy.run();
    ours::until("it goes on", || ours::status(&session, index).num_peers > 0);
    alerts.wait(&session, "metadata_received", "");
    ours::stream_all(&session, index, &torrent);
    session.close(CLOSE).unwrap();

    // Only a tracker knows the seed: that it failed with the proxy does not keep it from being asked when that is back.
    proxy.stop();
    let session = ours::open_with(|s| proxy.set(s, SOCKS5));
    let index = session.add_torrent(magnet(&torrent, &url)).unwrap();
    thread::sleep(Duration::from_secs(20));
    proxy.run();
    let found = ours::within(Duration::from_secs(15), || ours::status(&session, index).has_metadata);
    assert!(found, "{}", ours::describe(&session, index));
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}

/// What a proxy does that does not do its work.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Says(&'static [u8]),
    /// Byte by byte, each a while after the last one.
    Dribbles(&'static [u8]),
    Floods(&'static [u8]),
}

/// Every dial ends, within its time, and so does the session.
#[test]
fn proxies_that_lie_or_stall_hold_up_nobody() {
    let torrent = Torrent::make("faulty.bin", 100_000, 1, &[]);
    let socks5 = [
        Fault::Says(b""),
        Fault::Says(b"\x05"),
        Fault::Says(b"\x04\x00\x00\x00"),
        Fault::Says(b"\x05\x00\x05"),
        Fault::Says(b"\x05\xff"),
        Fault::Says(b"\x05\x02\x01\x01"),
        Fault::Says(b"\x05\x00\x05\x00\x00\x09\x00\x00"),
        Fault::Says(b"\x05\x00\x05\x00\x00\x03\xffabc"),
        Fault::Says(b"\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"),
        Fault::Dribbles(b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
        Fault::Floods(b"\x05\x00"),
    ];
    let socks4 =
        [Fault::Says(b"\x00\x5b"), Fault::Says(b"\x04\x5a\0\0\0\0\0\0"), Fault::Dribbles(b"\x00\x5a\0\0\0\0\0\0")];
    let http = [
        Fault::Says(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
        Fault::Says(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
        Fault::Says(b"HTTP/1.1 200"),
        Fault::Says(b"HTTP/1.1 200 OK\r\n\r\nyou did not ask"),
        Fault::Says(b"\x13BitTorrent protocol"),
        Fault::Floods(b"HTTP/1.1 100 Continue\r\n\r\n"),
        Fault::Floods(b"HTTP/1.1 200 OK\r\nX: y\r\nX: y"),
        Fault::Dribbles(b"HTTP/1.1 200 OK\r\n\r\n"),
    ];
    let all = socks5.into_iter().map(|f| (SOCKS5, f)).chain(socks4.into_iter().map(|f| (SOCKS4, f)));
    for (kind, fault) in all.chain(http.into_iter().map(|f| (HTTP, f))) {
        let address = faulty_proxy(fault);
        let session = ours::open_with(|s| {
            s.set_int("proxy_type", kind).unwrap();
            s.set_str("proxy_hostname", "127.0.0.1").unwrap();
            s.set_int("proxy_port", i64::from(address.port())).unwrap();
            s.set_int("peer_connect_timeout", 1).unwrap();
            s.set_int("handshake_timeout", 1).unwrap();
        });
        let index = session.add_torrent(ours::params(&torrent, Source::File)).unwrap();
        let begun = Instant::now();
        session.torrent(index).unwrap().connect_peer("192.0.2.1:6881".parse().unwrap()).unwrap();
        Alerts::default().wait(&session, "peer_disconnected", "192.0.2.1:6881");
        assert!(begun.elapsed() < Duration::from_secs(10), "{kind} {fault:?}: {:?}", begun.elapsed());
        let closing = Instant::now();
        session.close(CLOSE).unwrap();
        assert!(closing.elapsed() < Duration::from_secs(5), "{kind} {fault:?}: {:?}", closing.elapsed());
    }
}

fn faulty_proxy(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || match fault {
                Fault::Says(bytes) => {
                    let _ = stream.write_all(bytes);
                    // What is said is read first; then it goes on to say nothing, or is closed.
                    thread::sleep(Duration::from_millis(if bytes.len() % 2 == 0 { 100 } else { 20_000 }));
                }
                Fault::Dribbles(bytes) => {
                    for byte in bytes {
                        thread::sleep(Duration::from_millis(400));
                        if stream.write_all(&[*byte]).is_err() {
                            return;
                        }
                    }
                    thread::sleep(Duration::from_secs(20));
                }
                Fault::Floods(bytes) => while stream.write_all(&bytes.repeat(100)).is_ok() {},
            });
        }
    });
    address
}

/// A proxy at which nobody is.
fn dead_proxy(settings: &mut Settings, kind: i64) {
    settings.set_int("proxy_type", kind).unwrap();
    settings.set_str("proxy_hostname", "127.0.0.1").unwrap();
    settings.set_int("proxy_port", 9).unwrap();
}

/// Where a proxy is set and dead, or none is and one is forced, no packet goes out by any other way: at the start, for trackers, names, peers, the
/// DHT, at a change while the session runs, at the close.
#[test]
fn nothing_goes_round_a_dead_proxy() {
    in_own_network("nothing_goes_round_a_dead_proxy", &[("out0", 9)], |mut capture| {
        // What is captured, without a proxy.
        let session = ours::open_with(wanting);
        want_everything(&session, 0);
        let seen = packets(&mut capture, A_WHILE);
        for wanted in [
            "out0 tcp 10.7.0.1 80",
            "out0 udp 10.7.0.2 80",
            "out0 tcp 10.7.0.3 6881",
            "out0 tcp 10.7.0.4 6881",
            "out0 udp 10.7.0.6 6881",
            "out0 udp 10.7.0.53 53",
        ] {
            assert!(seen.iter().any(|p| p == wanted), "{wanted} is not seen: {seen:?}");
        }
        // It changes while the session runs, and many names wait to be looked up.
        let trackers: String = (0..60).map(|n| format!("&tr=http%3A%2F%2Ft{n}.example%2Fannounce")).collect();
        let magnet = format!("magnet:?xt=urn:btih:{:040x}{trackers}", 99);
        let params = AddTorrentParams::new(TorrentSource::Magnet(Magnet::parse(&magnet).unwrap()));
        session.add_torrent(params).unwrap();
        packets(&mut capture, Duration::from_millis(200));
        change(&session, |s| dead_proxy(s, SOCKS5));
        // What the kernel had in hand, and the names that are just being looked up: a second each.
        packets(&mut capture, Duration::from_millis(1300));
        want_everything(&session, 1);
        assert_eq!(packets(&mut capture, A_WHILE), [""; 0], "after the change");
        assert_eq!(session.listen_port().unwrap(), 0);
        session.close(CLOSE).unwrap();
        assert_eq!(packets(&mut capture, A_WHILE), [""; 0], "at the close");
        for (kind, forced) in [(0, true), (SOCKS4, false), (SOCKS5, true), (HTTP_PASSWORD, false)] {
            let session = ours::open_with(|s| {
                wanting(s);
                dead_proxy(s, kind);
                s.set_bool("force_proxy", forced).unwrap();
                s.set_bool("proxy_hostnames", true).unwrap();
                if forced {
                    s.set_bool("proxy_peer_connections", false).unwrap();
                    s.set_bool("proxy_tracker_connections", false).unwrap();
                    s.set_bool("proxy_hostnames", false).unwrap();
                }
            });
            want_everything(&session, 2);
            assert_eq!(packets(&mut capture, A_WHILE), [""; 0], "{kind}, forced: {forced}");
            session.close(CLOSE).unwrap();
            assert_eq!(
                packets(&mut capture, Duration::from_secs(1)),
                [""; 0],
                "{kind}, forced: {forced}, at the close"
            );
        }
    });
}
