//! Asks a node for its number.
//!
//! The crate learns nodes from what others tell it, and never puts the nodes that it was given as addresses into its table: a
//! bootstrap node that knows nobody would lead nowhere, and a node added by hand nowhere but to its acquaintances. So these
//! are pinged from here, and put into the table with the number that they answer with.

use std::net::SocketAddr;
use std::time::Duration;

use super::state::NodeAddr;
use crate::base::address::canonical;
use crate::metainfo::bencode::{Document, Limits};
use crate::net::egress::interfaces::Source;
use crate::net::egress::route::Traffic;
use crate::net::egress::{Egress, any_source};
use crate::settings::parse_host_ports;

const PATIENCE: Duration = Duration::from_millis(1500);
const TRIES: usize = 2;
/// Of one host name.
const MAX_ADDRESSES: usize = 4;
/// A name that takes longer to look up is as good as unknown.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(10);

/// The nodes behind a `host:port` that answer.
pub async fn probe_host(egress: &Egress, host: &str, local: &Source) -> Vec<NodeAddr> {
    let mut found = Vec::new();
    for addr in look_up(egress, host).await {
        found.extend(probe(egress, addr, local).await);
    }
    found
}

/// The addresses of a `host:port`, not too many; none where they are not told in time.
pub async fn look_up(egress: &Egress, host: &str) -> Vec<SocketAddr> {
    let Some((name, port)) = parse_host_ports(host).ok().and_then(|mut hosts| hosts.pop()) else {
        return Vec::new();
    };
    let lookup = egress.resolve(Traffic::Dht, &name, port);
    let Ok(Ok(addrs)) = tokio::time::timeout(LOOKUP_PATIENCE, lookup).await else {
        return Vec::new();
    };
    addrs.into_iter().take(MAX_ADDRESSES).map(canonical).collect()
}

/// Pings a node, from the DHT's own local address where that is of the right family.
async fn probe(egress: &Egress, addr: SocketAddr, local: &Source) -> Option<NodeAddr> {
    let other = match egress.source_to(addr.ip()).ok()? {
        Some(source) => source,
        None => any_source(addr.is_ipv6()),
    };
    let socket = egress.udp(if local.address.is_ipv4() == addr.is_ipv4() { local } else { &other }).ok()?;
    // Connected: the system drops what comes from elsewhere.
    socket.connect(addr).await.ok()?;
    let tid: [u8; 4] = fastrand::u32(..).to_be_bytes();
    let mut id = [0; 20];
    fastrand::Rng::new().fill(&mut id);
    // `ro` (BEP 43): this socket is not to be put into anybody's table.
    let ping = [&b"d1:ad2:id20:"[..], &id, b"e1:q4:ping2:roi1e1:t4:", &tid, b"1:y1:qe"].concat();
    let mut buf = vec![0; 2048];
    for _ in 0..TRIES {
        socket.send(&ping).await.ok()?;
        let answer = async {
            loop {
                let n = socket.recv(&mut buf).await.ok()?;
                if let Some(id) = id_of(buf.get(..n)?, &tid) {
                    return Some(id);
                }
            }
        };
        if let Ok(id) = tokio::time::timeout(PATIENCE, answer).await {
            return id.map(|id| NodeAddr { id, addr });
        }
    }
    None
}

/// The number in an answer to our ping.
fn id_of(packet: &[u8], tid: &[u8]) -> Option<[u8; 20]> {
    let (document, _) = Document::parse_prefix(packet, Limits::MESSAGE).ok()?;
    let answer = document.root();
    if answer.get_bytes(b"t") != Some(tid) || answer.get_bytes(b"y") != Some(b"r") {
        return None;
    }
    answer.get(b"r")?.get_bytes(b"id")?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_come_from_right_answers_only() {
        let answer = |packet: &[u8]| id_of(packet, b"abcd");
        assert_eq!(answer(b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t4:abcd1:y1:re"), Some(*b"mnopqrstuvwxyz123456"));
        for wrong in [
            &b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t4:abce1:y1:re"[..],
            b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t4:abcd1:y1:qe",
            b"d1:rd2:id19:mnopqrstuvwxyz12345e1:t4:abcd1:y1:re",
            b"d1:t4:abcd1:y1:re",
            b"",
        ] {
            assert_eq!(answer(wrong), None);
        }
    }

    proptest! {
        #[test]
        fn never_panics(packet in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = id_of(&packet, b"abcd");
        }
    }
}
