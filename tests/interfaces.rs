//! Where sockets are bound: addresses and devices that come and go, and what leaves by which of them.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::network::{A_WHILE, Host, in_own_network, ip, packets, want_everything, wanting};
use common::ours::{self, Alerts, CLOSE};
use common::peers::{Client, Peer, Source, Torrent, opentracker};
use elementum_torrent::session::{ReaderOptions, Session, StorageIndex, Whence};
use elementum_torrent::settings::Settings;

fn set(session: &Session, name: &str, value: &str) {
    let mut settings = session.settings().unwrap();
    settings.set_str(name, value).unwrap();
    session.apply_settings(&settings).unwrap();
}

fn listens(alerts: &mut Alerts, session: &Session, what: &str) -> String {
    alerts.wait(session, "listen_succeeded", what)
}

/// One session is told where to listen, again and again. What stays is not touched: a peer that came by it stays.
#[test]
fn where_it_listens_is_changed_while_it_runs() {
    let torrent = Torrent::make("moved.bin", 4_000_000, 1, &[]);
    let (seed, _) = ours::seed(&torrent);
    let first = ours::address(&seed);
    let leech = ours::open();
    let index = leech.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    leech.torrent(index).unwrap().connect_peer(first).unwrap();
    ours::until("they meet", || ours::status(&leech, index).num_peers == 1);

    set(&seed, "listen_interfaces", "127.0.0.1:0,127.0.0.9:0");
    assert_eq!(ours::address(&seed), first, "it stays");
    let mut alerts = Alerts::default();
    let other = listens(&mut alerts, &seed, "127.0.0.9");
    ours::stream_all(&leech, index, &torrent);
    assert_eq!(ours::status(&leech, index).num_peers, 1, "it was not touched");

    // The device has that address, and others come by it.
    set(&seed, "listen_interfaces", "lo:0");
    let moved = ours::address(&seed);
    assert_ne!(moved.port(), first.port(), "{other}");
    let second = ours::open();
    let index = second.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    second.torrent(index).unwrap().connect_peer(moved).unwrap();
    ours::stream_all(&second, index, &torrent);

    // A port for the local network is told to nobody.
    set(&seed, "listen_interfaces", "127.0.0.1:0l");
    assert_eq!(seed.listen_port().unwrap(), 0);
    set(&seed, "listen_interfaces", "");
    let third = ours::open();
    let index = third.add_torrent(ours::params(&torrent, Source::File)).unwrap();
    for gone in [first, moved] {
        third.torrent(index).unwrap().connect_peer(gone).unwrap();
    }
    assert!(!ours::within(Duration::from_secs(1), || ours::status(&third, index).num_peers > 0), "nobody listens");
    set(&seed, "listen_interfaces", "no-such-device:0");
    let mut alerts = Alerts::default();
    alerts.wait(&seed, "listen_failed", "no-such-device:0");
}

/// UDP trackers see announces come from the port that peers are told.
#[test]
fn udp_trackers_and_peers_share_a_port() {
    let torrent = Torrent::make("shared.bin", 500_000, 1, &[]);
    let mut tracker = opentracker(&[&torrent]);
    let url = tracker.wait("udp");
    let (seed, _) = {
        let session = ours::open();
        let mut params = ours::disk_params(&torrent, Source::File, torrent.dir.path());
        params.trackers = vec![url.clone()];
        let index = session.add_torrent(params).unwrap();
        (session, index)
    };
    Alerts::default().wait(&seed, "tracker_reply", &url);
    let leech = ours::open();
    let mut params = ours::params(&torrent, Source::Magnet);
    params.trackers = vec![url];
    let index = leech.add_torrent(params).unwrap();
    ours::until("metadata", || ours::status(&leech, index).has_metadata);
    ours::stream_all(&leech, index, &torrent);
    // One of each: trackers have none of their own.
    let port = leech.listen_port().unwrap();
    let open = std::fs::read_to_string("/proc/net/udp").unwrap();
    let ours = format!("0100007F:{port:04X}");
    assert!(open.contains(&ours), "{ours} in {open}");
}

/// An address of a link, with the device that it is on.
#[test]
fn a_links_address_is_listened_on_with_its_device() {
    in_own_network("a_links_address_is_listened_on_with_its_device", WAYS, |_capture| {
        let host = Host::at("va", "10.9.0.1", "10.9.0.2");
        ip("addr add fe80::7/64 dev va nodad");
        let session = ours::open_with(|s| s.set_str("listen_interfaces", "[fe80::7%va]:6881").unwrap());
        let mut alerts = Alerts::default();
        alerts.wait(&session, "listen_succeeded", "[fe80::7]:6881");
        assert_eq!(session.listen_port().unwrap(), 6881);
        let mut python = std::process::Command::new("python3");
        python.args(["-c", "import socket; socket.create_connection(('fe80::7%there', 6881), 5)"]);
        let meets = || host.there(&python).status().unwrap().success();
        assert!(ours::within(Duration::from_secs(10), meets), "nobody listens there");
        set(&session, "listen_interfaces", "[fe80::7%nowhere]:6881");
        alerts.wait(&session, "listen_failed", "[fe80::7%nowhere]:6881");
    });
}

const WAYS: &[(&str, u8)] = &[("out0", 9), ("tun0", 8)];

fn by<'a>(device: &str, seen: &'a [String]) -> Vec<&'a str> {
    let of_it = seen.iter().filter_map(|packet| packet.split_once(' '));
    of_it.filter(|(by, _)| *by == device).map(|(_, rest)| rest).collect()
}

/// A device that all is bound to: what leaves leaves by it, and when it is gone nothing leaves by another, names included. When it is back, with
/// another address, all goes on.
#[test]
fn nothing_goes_round_a_device_that_is_gone() {
    in_own_network("nothing_goes_round_a_device_that_is_gone", WAYS, |mut capture| {
        let bound = |s: &mut Settings, listen: &str| {
            wanting(s);
            s.set_str("listen_interfaces", listen).unwrap();
            s.set_str("outgoing_interfaces", "tun0").unwrap();
        };
        for listen in ["tun0:0", "0.0.0.0:0"] {
            // Who is not bound to it goes by the other one.
            ip("route replace default via 10.8.0.2 metric 1000");
            let session = ours::open_with(|s| bound(s, listen));
            want_everything(&session, 0);
            let seen = packets(&mut capture, A_WHILE);
            let tunnelled = by("tun0", &seen);
            for wanted in
                ["tcp 10.7.0.1 80", "udp 10.7.0.2 80", "tcp 10.7.0.3 6881", "tcp 10.7.0.4 6881", "udp 10.7.0.6 6881"]
            {
                assert!(tunnelled.contains(&wanted), "{listen}: {wanted} is not seen: {seen:?}");
            }
            // The system's resolver is not ours, and goes its own way: see SECURITY.md.
            let round = |seen: &[String]| {
                let by = by("out0", seen).into_iter().filter(|p| *p != "udp 10.7.0.53 53");
                by.map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(round(&seen), [""; 0], "{listen}");

            ip("link set tun0 down");
            // The names that are just being looked up: a second each.
            let falling = packets(&mut capture, Duration::from_secs(3));
            assert_eq!(round(&falling), [""; 0], "{listen}: as it goes");
            want_everything(&session, 1);
            assert_eq!(packets(&mut capture, A_WHILE), [""; 0], "{listen}: it is gone");
            session.close(CLOSE).unwrap();
            assert_eq!(packets(&mut capture, Duration::from_secs(1)), [""; 0], "{listen}: at the close");

            let session = ours::open_with(|s| bound(s, listen));
            want_everything(&session, 2);
            assert_eq!(packets(&mut capture, A_WHILE), [""; 0], "{listen}: it was never there");
            ip("addr flush dev tun0");
            ip("addr add 10.8.0.7/24 dev tun0");
            ip("link set tun0 up");
            ip("neigh replace 10.8.0.2 lladdr 02:00:00:00:00:02 dev tun0 nud permanent");
            ip("route replace default via 10.8.0.2 metric 1000");
            let seen = packets(&mut capture, Duration::from_secs(8));
            assert!(by("tun0", &seen).iter().any(|p| p.starts_with("tcp 10.7.0.4")), "{listen}: it is back: {seen:?}");
            assert_eq!(round(&seen), [""; 0], "{listen}: it is back");
            session.close(CLOSE).unwrap();
            ip("addr flush dev tun0");
            ip("addr add 10.8.0.1/24 dev tun0");
            ip("neigh replace 10.8.0.2 lladdr 02:00:00:00:00:02 dev tun0 nud permanent");
        }
    });
}

fn seed_there(host: &Host, torrent: &Torrent, transport: &str) -> (Peer, SocketAddr) {
    let seeding = Client::Libtorrent.seeding(torrent, &["--host", "10.5.0.2", "--transport", transport]);
    let mut seed = Peer::start("libtorrent on another host", host.there(&seeding));
    let port = seed.port();
    (seed, ([10, 5, 0, 2], port).into())
}

fn meets(session: &Session, torrent: &Torrent, peer: SocketAddr) -> StorageIndex {
    let index = session.add_torrent(ours::params(torrent, Source::File)).unwrap();
    session.torrent(index).unwrap().connect_peer(peer).unwrap();
    ours::until("a peer", || ours::status(session, index).num_peers == 1);
    index
}

/// The address that a stream goes by is taken from the host, and another one given: the stream goes on by that within seconds, by TCP and uTP, and
/// the sockets follow.
#[test]
fn a_stream_goes_on_when_the_address_changes() {
    in_own_network("a_stream_goes_on_when_the_address_changes", WAYS, |_capture| {
        let torrent = Torrent::make("roaming.bin", 6_000_000, 1, &["--piece-length", "65536"]);
        let content = std::fs::read(torrent.content()).unwrap();
        for (transport, bound) in [("tcp", false), ("utp", false), ("tcp", true), ("utp", true)] {
            let host = Host::at("wlan0", "10.5.0.1", "10.5.0.2");
            let (_seed, peer) = seed_there(&host, &torrent, transport);
            let session = ours::open_with(|s| {
                s.set_str("listen_interfaces", "wlan0:0").unwrap();
                if bound {
                    s.set_str("outgoing_interfaces", "wlan0").unwrap();
                }
            });
            let index = meets(&session, &torrent, peer);
            let mut alerts = Alerts::default();
            listens(&mut alerts, &session, "10.5.0.1");
            let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
            ours::read_range(&session, &reader, 0, &content[..1_000_000]);
            ip("addr del 10.5.0.1/24 dev wlan0");
            ip("addr add 10.5.0.9/24 dev wlan0");
            let begin = std::time::Instant::now();
            reader.seek(5_000_000, Whence::Set).unwrap();
            ours::read_range(&session, &reader, 5_000_000, &content[5_000_000..]);
            let took = begin.elapsed();
            assert!(took < Duration::from_secs(20), "{transport}, bound: {bound}: {took:?}");
            listens(&mut alerts, &session, "10.5.0.9");
            session.close(CLOSE).unwrap();
            ip("link del wlan0");
        }
    });
}

/// The local addresses that sockets of this network have, each with its protocol. Those of any address are left out.
fn bound() -> Vec<String> {
    let mut found = Vec::new();
    for (protocol, file) in [("tcp", "/proc/net/tcp"), ("udp", "/proc/net/udp")] {
        for line in std::fs::read_to_string(file).unwrap().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (ip, port) = fields[1].split_once(':').unwrap();
            let ip = std::net::Ipv4Addr::from(u32::from_str_radix(ip, 16).unwrap().to_be());
            let port = u16::from_str_radix(port, 16).unwrap();
            // Of TCP those that listen.
            let listens = protocol == "udp" || fields[3] == "0A";
            if listens && !ip.is_unspecified() {
                found.push(format!("{protocol} {ip}:{port}"));
            }
        }
    }
    found.sort();
    found
}

fn bound_within_a_moment(wanted: &[&str]) {
    let same = ours::within(Duration::from_secs(3), || bound() == wanted);
    assert!(same, "{:?}, not {wanted:?}", bound());
}

/// While the DHT, trackers and dials use its sockets they are opened and closed at once, by settings and as devices go and come.
#[test]
fn sockets_in_use_follow_settings_and_devices() {
    in_own_network("sockets_in_use_follow_settings_and_devices", &[("out0", 9), ("dx", 8)], |_capture| {
        let session = ours::open_with(|s| {
            wanting(s);
            s.set_str("listen_interfaces", "out0:6999").unwrap();
        });
        want_everything(&session, 0);
        let lists = ["0.0.0.0:0", "out0:0", "dx:6881,out0:6999l", "", "out0:6999,dx:6881", "127.0.0.1:6881", "dx:6881"];
        for round in 0..60 {
            let begin = std::time::Instant::now();
            set(&session, "listen_interfaces", lists[round * 5 % lists.len()]);
            // What it waits for at most, for each of several sockets, is longer.
            assert!(begin.elapsed() < Duration::from_millis(1500), "{round}: {:?}", begin.elapsed());
            std::thread::sleep(Duration::from_millis(20 * (round as u64 % 4)));
        }
        // The DHT has none of its own.
        set(&session, "listen_interfaces", "out0:6999,dx:6881");
        let both = ["tcp 10.8.0.1:6881", "tcp 10.9.0.1:6999", "udp 10.8.0.1:6881", "udp 10.9.0.1:6999"];
        bound_within_a_moment(&both);
        for gone in ["link set dx down", "addr del 10.8.0.1/24 dev dx", "link del dx"] {
            ip(gone);
            bound_within_a_moment(&["tcp 10.9.0.1:6999", "udp 10.9.0.1:6999"]);
            match gone {
                "link set dx down" => ip("link set dx up"),
                "addr del 10.8.0.1/24 dev dx" => ip("addr add 10.8.0.1/24 dev dx"),
                _ => break,
            }
            bound_within_a_moment(&both);
        }
        session.close(CLOSE).unwrap();
        bound_within_a_moment(&[]);
    });
}
