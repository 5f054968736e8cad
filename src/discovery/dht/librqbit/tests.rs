use tokio::net::UdpSocket;

use super::*;
use crate::net::egress;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(30);
const HASH: Sha1Hash = Sha1Hash([0xab; 20]);

/// Nodes keep peers only of torrents whose hash is close to their own number.
fn near(n: u8) -> Vec<u8> {
    let mut id = HASH.0;
    id[19] = n;
    DhtState { id, nodes: Vec::new() }.encode()
}

async fn start(listen: SocketAddr, state: Vec<u8>, bootstrap: &[SocketAddr]) -> LibrqbitDht {
    let bootstrap_nodes = bootstrap.iter().map(SocketAddr::to_string).collect();
    LibrqbitDht::start(DhtOptions { bootstrap_nodes, state, ..DhtOptions::new(listen, egress::direct()) })
        .await
        .expect("started")
}

async fn bootstrapped(dht: &LibrqbitDht) {
    tokio::time::timeout(PATIENCE, dht.wait_bootstrapped()).await.expect("bootstrapped");
}

async fn finds(dht: &LibrqbitDht, port: u16) {
    let mut peers = dht.get_peers(HASH, None);
    let search = async {
        while let Some(batch) = peers.recv().await {
            if batch.iter().any(|p| p.port() == port && p.ip().is_loopback()) {
                return;
            }
        }
        panic!("the search ended");
    };
    tokio::time::timeout(PATIENCE, search).await.expect("found in time");
}

async fn answers_ping(addr: SocketAddr) -> bool {
    !probe::probe_host(&egress::direct(), &addr.to_string(), &addr.ip().into()).await.is_empty()
}

async fn small_network(listen: SocketAddr) {
    let a = start(listen, near(1), &[]).await;
    let b = start(listen, near(2), &[a.listen_addr()]).await;
    let c = start(listen, near(3), &[a.listen_addr()]).await;
    bootstrapped(&b).await;
    bootstrapped(&c).await;
    let announcing = b.get_peers(HASH, Some(7777));
    finds(&c, 7777).await;

    // another time, with what c knew, and no bootstrap node
    assert!(c.node_count() > 0);
    let saved = c.save_state();
    c.shutdown().await;
    let d = start(listen, saved.clone(), &[]).await;
    assert_eq!(DhtState::decode(&d.save_state()).map(|s| s.id), DhtState::decode(&saved).map(|s| s.id));
    finds(&d, 7777).await;

    // one that knows nobody, told of one node by hand
    let e = start(listen, near(5), &[]).await;
    assert_eq!(e.node_count(), 0);
    let search = finds(&e, 7777);
    let port = e.listen_addr().port();
    e.add_node(&a.listen_addr().ip().to_string(), a.listen_addr().port());
    search.await;
    assert_eq!(e.listen_addr().port(), port, "the same port after the restart");
    bootstrapped(&e).await;
    drop(announcing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_network_finds_peers() {
    small_network(LOOPBACK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_network_finds_peers_over_ipv6() {
    if UdpSocket::bind("[::1]:0").await.is_err() {
        eprintln!("skipped: no IPv6 loopback here");
        return;
    }
    small_network((Ipv6Addr::LOCALHOST, 0).into()).await;
}

/// As a session listens that is told nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_all_addresses_is_in_both_families() {
    if UdpSocket::bind("[::1]:0").await.is_err() {
        eprintln!("skipped: no IPv6 loopback here");
        return;
    }
    let four = start(LOOPBACK, near(1), &[]).await;
    let six = start((Ipv6Addr::LOCALHOST, 0).into(), near(2), &[]).await;
    let both = start((Ipv6Addr::UNSPECIFIED, 0).into(), near(3), &[four.listen_addr(), six.listen_addr()]).await;
    let families = || {
        let nodes = DhtState::decode(&both.save_state()).expect("a state").nodes;
        (nodes.iter().any(|n| n.addr.is_ipv4()), nodes.iter().any(|n| n.addr.is_ipv6()))
    };
    let known = async {
        while families() != (true, true) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.unwrap_or_else(|_| panic!("{:?}", families()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_bootstrap_list_and_a_dead_node_do_not_end_it() {
    let dht = start(LOOPBACK, Vec::new(), &[]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(answers_ping(dht.listen_addr()).await, "alive with nobody to ask");
    let first = dht.nodes.borrow().clone().expect("a node");
    let search = dht.get_peers(HASH, None);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(first.is_alive());
    // its task ends, as after a panic or a socket error
    first.cancel.cancel();
    let mut nodes = dht.nodes.clone();
    let other = nodes.wait_for(|n| n.as_ref().is_some_and(|n| !Arc::ptr_eq(n, &first)));
    tokio::time::timeout(PATIENCE, other).await.expect("noticed").expect("started again");
    assert!(answers_ping(dht.listen_addr()).await);
    assert!(!search.is_closed(), "the search goes on");
    drop(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_packets_do_not_end_it() {
    let dht = start(LOOPBACK, Vec::new(), &[]).await;
    let node = dht.nodes.borrow().clone();
    let socket = UdpSocket::bind(LOOPBACK).await.expect("a socket");
    let nested = |key: &str, begin: &str, n: usize| {
        [format!("d{}:{key}", key.len()), begin.repeat(n), "0:".to_owned(), "e".repeat(n + 1)].concat().into_bytes()
    };
    let deep = [vec![b'l'; 8000], vec![b'e'; 8000]].concat();
    let deep_in_fields: Vec<Vec<u8>> = ["a", "e", "ip", "q", "r", "t", "v", "x", "y"]
        .into_iter()
        .flat_map(|key| {
            [nested(key, "l", 8000), nested(key, "d1:a", 3000), nested(key, "ld0:", 3000), nested(key, "l", 30_000)]
        })
        .collect();
    for packet in &deep_in_fields {
        socket.send_to(packet, dht.listen_addr()).await.expect("sent");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for packet in [
        &b"i99999999999999999999e"[..],
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:ti99999999999999999999e1:y1:qe",
        b"d1:ad2:id99999999999999999999:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:abcdefghij01234567894:porti-99999999999999999999e5:token0:e1:q13:announce_peer1:t2:aa1:y1:qe",
        b"d1:eli999999999999e0:e1:t2:aa1:y1:ee",
        b"d1:rd2:id20:abcdefghij01234567895:nodes5:xxxxxe1:t2:aa1:y1:re",
        b"",
        &deep,
        &[0xff; 9000],
    ] {
        socket.send_to(packet, dht.listen_addr()).await.expect("sent");
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(answers_ping(dht.listen_addr()).await);
    let now = dht.nodes.borrow().clone();
    assert!(node.zip(now).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b)), "the very same node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_state_is_a_new_beginning() {
    let good = near(1);
    let mut damaged = good.clone();
    damaged[30] ^= 1;
    let dht = start(LOOPBACK, damaged, &[]).await;
    let id = |bytes: &[u8]| DhtState::decode(bytes).expect("a state").id;
    assert_ne!(id(&dht.save_state()), id(&good));
    assert!(dht.node_count() == 0 && answers_ping(dht.listen_addr()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_frees_the_port_and_ends_searches() {
    let dht = start(LOOPBACK, Vec::new(), &[]).await;
    let addr = dht.listen_addr();
    let taken = LibrqbitDht::start(DhtOptions::new(addr, egress::direct())).await.err().expect("taken");
    assert_eq!((taken.operation, taken.os_error), (Operation::SockBind, rustix::io::Errno::ADDRINUSE.raw_os_error()));
    let mut search = dht.get_peers(HASH, Some(1));
    let begin = Instant::now();
    dht.shutdown().await;
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert_eq!(tokio::time::timeout(PATIENCE, search.recv()).await, Ok(None));
    UdpSocket::bind(addr).await.expect("free again");
    assert_eq!(dht.node_count(), 0);
    assert!(DhtState::decode(&dht.save_state()).is_some());
    dht.add_node("127.0.0.1", 1);
    dht.shutdown().await;
}

#[test]
fn a_table_takes_all_nodes_it_is_given() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let nodes: Vec<NodeAddr> = (0..8u8)
        .map(|n| NodeAddr { id: [n * 32; 20], addr: SocketAddr::from(([127, 0, 0, 1], 20_000 + u16::from(n))) })
        .chain([NodeAddr { id: [1; 20], addr: "[::1]:30000".parse().expect("an address") }])
        .collect();
    let state = DhtState { id: [0x55; 20], nodes };
    runtime.block_on(async {
        let dht = start(LOOPBACK, state.encode(), &[]).await;
        assert_eq!(dht.node_count(), 9);
        let back = DhtState::decode(&dht.save_state()).expect("a state");
        assert_eq!((back.id, back.nodes.len()), (state.id, 9));
    });
}
