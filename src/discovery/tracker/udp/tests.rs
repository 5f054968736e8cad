use std::net::Ipv4Addr;
use std::sync::atomic::AtomicUsize;

use tokio::net::UdpSocket;

use super::*;
use crate::alert::AnnounceEvent;
use crate::discovery::tracker::fake::{UdpTracker, honest, request};
use crate::discovery::tracker::{TrackerClient, TrackerOptions};

const PEER: &[u8] = &[1, 2, 3, 4, 5, 6];

fn client() -> TrackerClient {
    TrackerClient::direct(&TrackerOptions::default())
}

fn quick() -> AnnounceLimits {
    AnnounceLimits {
        completion_timeout: Duration::from_secs(3),
        stop_timeout: Duration::from_millis(300),
        udp_retry: Duration::from_millis(100),
        ..AnnounceLimits::default()
    }
}

fn is_connect(packet: &[u8]) -> bool {
    packet.get(8..12) == Some(&[0; 4])
}

fn error_to(packet: &[u8], message: &str) -> Vec<u8> {
    [&3u32.to_be_bytes(), &packet[12..16], message.as_bytes()].concat()
}

#[test]
fn urls() {
    for (url, host, port, url_data) in [
        ("udp://t.example:80", "t.example", 80, ""),
        ("udp://t.example:80/", "t.example", 80, ""),
        ("udp://t.example:6969/announce", "t.example", 6969, "/announce"),
        ("udp://t.example:1/a/b?c=d#e", "t.example", 1, "/a/b?c=d"),
        ("udp://127.0.0.1:1337/announce", "127.0.0.1", 1337, "/announce"),
        ("udp://[2001:db8::1]:1337", "2001:db8::1", 1337, ""),
        // without a port, libtorrent's
        ("udp://t.example/announce", "t.example", 443, "/announce"),
        ("udp://t.example:/announce", "t.example", 443, "/announce"),
        ("udp://[2001:db8::1]", "2001:db8::1", 443, ""),
    ] {
        let want = Target { host: host.to_owned(), port, url_data: url_data.to_owned() };
        assert_eq!(target_of(url), Ok(want), "{url}");
    }
    for url in ["udp://t:0/", "udp://", "udp://:80", "udp://t:99999", "udp://[::1/"] {
        assert_eq!(target_of(url).expect_err("no target").operation, Operation::ParseAddress, "{url}");
    }
}

#[tokio::test]
async fn announces_and_keeps_its_connection() {
    let tracker = UdpTracker::start(|_, packet| vec![honest(packet, PEER)]).await;
    let client = client();
    for _ in 0..2 {
        let reply = client.announce(&request(&tracker.url()), &quick()).await.expect("a reply");
        assert_eq!((reply.interval_s, reply.complete, reply.incomplete), (1800, Some(5), Some(7)));
        assert_eq!(reply.peers, ["1.2.3.4:1286".parse().expect("an address")]);
    }
    let packets = tracker.packets();
    assert_eq!(packets.iter().map(|p| is_connect(p)).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(&packets[1][..8], 42u64.to_be_bytes());
    assert!(packets[1].ends_with(b"\x02\x09/announce"));
    assert_ne!(packets[1][12..16], packets[2][12..16], "a transaction number of its own each time");
}

#[tokio::test]
async fn repeats_what_gets_lost() {
    // the first connect and the first announce get lost
    let tracker =
        UdpTracker::start(|n, packet| if n == 0 || n == 2 { vec![] } else { vec![honest(packet, PEER)] }).await;
    let begin = Instant::now();
    client().announce(&request(&tracker.url()), &quick()).await.expect("a reply");
    assert!(begin.elapsed() >= Duration::from_millis(300), "100 ms, then 200");
    let kinds: Vec<_> = tracker.packets().iter().map(|p| is_connect(p)).collect();
    assert_eq!(kinds, [true, true, false, true, false], "connects anew after silence");
}

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let tracker = UdpTracker::start(|_, _| vec![]).await;
    let mut request = request(&tracker.url());
    let limits = AnnounceLimits { completion_timeout: Duration::from_secs(1), ..quick() };
    let failure = client().announce(&request, &limits).await.expect_err("silence");
    assert_eq!(failure.message, "no answer within 1 s");
    // after 0, 100, 300 and 700 ms
    assert_eq!(tracker.packets().len(), 4);
    request.event = AnnounceEvent::Stopped;
    let begin = Instant::now();
    client().announce(&request, &limits).await.expect_err("silence");
    assert!(begin.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn a_tracker_that_forgot_the_connection_is_asked_for_a_new_one() {
    let announces = Arc::new(AtomicUsize::new(0));
    let tracker = UdpTracker::start(move |_, packet| {
        if !is_connect(packet) && announces.fetch_add(1, Ordering::Relaxed) == 1 {
            return vec![error_to(packet, "Connection ID missmatch.")];
        }
        vec![honest(packet, PEER)]
    })
    .await;
    let client = client();
    for _ in 0..2 {
        client.announce(&request(&tracker.url()), &quick()).await.expect("a reply");
    }
    let kinds: Vec<_> = tracker.packets().iter().map(|p| is_connect(p)).collect();
    assert_eq!(kinds, [true, false, false, true, false]);
}

#[tokio::test]
async fn refusals_come_with_their_reason_at_once() {
    for connect_too in [false, true] {
        let tracker = UdpTracker::start(move |_, packet| {
            if is_connect(packet) && !connect_too {
                vec![honest(packet, PEER)]
            } else {
                vec![error_to(packet, "unregistered torrent")]
            }
        })
        .await;
        let failure = client().announce(&request(&tracker.url()), &quick()).await.expect_err("refused");
        assert_eq!(failure.failure_reason.as_deref(), Some("unregistered torrent"));
        assert_eq!(tracker.packets().len(), if connect_too { 1 } else { 2 });
    }
}

#[tokio::test]
async fn hostile_answers_are_ignored_or_refused() {
    // wrong transactions, fragments and noise come before the right answer
    let tracker = UdpTracker::start(|_, packet| {
        let right = honest(packet, PEER);
        let mut wrong = right.clone();
        wrong[4] ^= 1;
        vec![vec![], vec![0; 7], wrong, vec![0xff; 2000], right[..7].to_vec(), right]
    })
    .await;
    client().announce(&request(&tracker.url()), &quick()).await.expect("a reply");
    // the right transaction, but a truncated answer, or one to something else: the right one may be behind it
    for bad in [&[0u8, 0, 0, 0][..], &[0, 0, 0, 1, 9], &[0, 0, 0, 9], &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]] {
        let tracker = UdpTracker::start(move |_, packet| {
            let bad = [&bad[..4], &packet[12..16], &bad[4..]].concat();
            let mut other = packet.to_vec();
            other[11] ^= 1;
            // an announce's answer to a connect, and a connect's to an announce
            vec![bad.clone(), honest(&other, PEER), bad, honest(packet, PEER)]
        })
        .await;
        client().announce(&request(&tracker.url()), &quick()).await.expect("a reply");
        assert_eq!(tracker.packets().len(), 2, "nothing was said twice");
    }
    // as many peers as a packet holds
    let many = [1, 2, 3, 4, 5, 6].repeat(10_000);
    let tracker = UdpTracker::start(move |_, packet| vec![honest(packet, &many)]).await;
    let reply = client().announce(&request(&tracker.url()), &quick()).await.expect("a reply");
    assert_eq!(reply.peers.len(), 10_000);
}

#[tokio::test]
async fn answers_count_only_from_the_address_that_was_asked() {
    let liar = Arc::new(std::net::UdpSocket::bind("127.0.0.1:0").expect("a port"));
    let client = client();
    let to = Arc::new(Mutex::new(None));
    let (lies, target) = (liar.clone(), to.clone());
    let tracker = UdpTracker::start(move |n, packet| {
        // the liar even knows the transaction
        if let Some(to) = *target.lock() {
            let _ = lies.send_to(&honest(packet, &[6, 6, 6, 6, 6, 6]), to);
        }
        if n == 0 { vec![] } else { vec![honest(packet, PEER)] }
    })
    .await;
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let socket = client.udp.ports.to(&client.udp.egress, Traffic::Trackers, loopback).await.expect("a socket");
    let port = socket.local().port();
    *to.lock() = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let reply = client.announce(&request(&tracker.url()), &quick()).await.expect("a reply");
    assert_eq!(reply.peers, ["1.2.3.4:1286".parse().expect("an address")]);
    assert!(client.udp.waiting.0.lock().is_empty(), "every place is given up");
}

#[tokio::test]
async fn many_announces_share_one_socket() {
    let tracker = UdpTracker::start(|_, packet| vec![honest(packet, PEER)]).await;
    let client = Arc::new(client());
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (client, request) = (client.clone(), request(&tracker.url()));
            tokio::spawn(async move { client.announce(&request, &quick()).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("a reply");
    }
    assert!(client.udp.waiting.0.lock().is_empty());
    assert_eq!(client.udp.ports.addresses().len(), 1);
    assert_eq!(client.udp.connections.lock().len(), 1);
}

#[tokio::test]
async fn over_ipv6_and_over_both() {
    if UdpSocket::bind("[::1]:0").await.is_err() {
        eprintln!("skipped: no IPv6 loopback here");
        return;
    }
    let six = [&[0x20; 16][..], &[0, 80]].concat();
    let v6 = UdpTracker::on("[::1]:0", move |_, packet| vec![honest(packet, &six)]).await;
    let client = client();
    let reply = client.announce(&request(&v6.url()), &quick()).await.expect("a reply");
    let six: SocketAddr = "[2020:2020:2020:2020:2020:2020:2020:2020]:80".parse().expect("an address");
    assert_eq!(reply.peers, [six]);

    let v4 = UdpTracker::start(|_, packet| vec![honest(packet, PEER)]).await;
    let request = request(&v4.url());
    let retry = Duration::from_millis(100);
    let (v4s, v6s) = ([At::Address(v4.addr)], [At::Address(v6.addr)]);
    let ask = |addrs| client.udp.exchange(addrs, &request, "", retry);
    let reply = both(ask(&v4s), ask(&v6s)).await.expect("a reply");
    assert_eq!(reply.peers.len(), 2);
    // one of them dead: the other's answer, after a short grace
    let dead = UdpTracker::start(|_, _| vec![]).await;
    let dead = [At::Address(dead.addr)];
    let begin = Instant::now();
    let reply = both(ask(&dead), ask(&v6s)).await.expect("a reply");
    assert_eq!(reply.peers, [six]);
    assert!(begin.elapsed() < OTHER_FAMILY_GRACE + Duration::from_secs(1));
}

#[tokio::test]
async fn unreachable_and_unknown_hosts() {
    let unknown = client().announce(&request("udp://no.such.host.invalid:80"), &quick()).await.expect_err("no host");
    assert!(matches!(unknown.operation, Operation::HostnameLookup | Operation::SockRead), "{unknown:?}");
    // a broadcast address: sending is refused by the system
    let refused = client().announce(&request("udp://255.255.255.255:80"), &quick()).await.expect_err("not allowed");
    assert!(refused.operation == Operation::SockWrite && refused.os_error != 0, "{refused:?}");
}
