//! One torrent's search for peers, over the life of the nodes that carry it out.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use librqbit_dht::{Id20, RequestPeersStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::librqbit::Node;
use crate::metainfo::info_hash::Sha1Hash;
use crate::wire::compact;

/// The crate asks again every minute, for ever; after this long we have it rest until the announce interval is over.
const ACTIVE: Duration = Duration::from_secs(150);
/// Peers are collected for so long, or until there are so many.
const COLLECT: Duration = Duration::from_millis(100);
const MAX_BATCH: usize = 200;

/// A stream of the crate, counted with its node.
struct Search {
    node: Arc<Node>,
    stream: RequestPeersStream,
}

impl Search {
    fn new(node: Arc<Node>, info_hash: Id20, announce_port: Option<u16>) -> Self {
        let stream = node.state.get_peers(info_hash, announce_port);
        // After it is there: see `Node::is_alive`.
        node.searches.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Self { node, stream }
    }

    async fn next(&mut self) -> Option<SocketAddr> {
        poll_fn(|cx| Pin::new(&mut self.stream).poll_next(cx)).await
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        // Before the stream goes.
        self.node.searches.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Searches until nobody listens, or the DHT is shut down.
pub async fn run(
    mut nodes: watch::Receiver<Option<Arc<Node>>>,
    info_hash: Sha1Hash,
    announce_port: Option<u16>,
    mut interval: watch::Receiver<Duration>,
    out: mpsc::Sender<Vec<SocketAddr>>,
) {
    let info_hash = Id20::new(info_hash.0);
    loop {
        let node = nodes.borrow_and_update().clone();
        let went_on = match node {
            Some(node) => search(&mut nodes, node, info_hash, announce_port, &mut interval, &out).await,
            None => tokio::select! {
                () = out.closed() => false,
                changed = nodes.changed() => changed.is_ok(),
            },
        };
        if !went_on {
            return;
        }
    }
}

/// Searches with one node. Returns whether to go on with the next.
async fn search(
    nodes: &mut watch::Receiver<Option<Arc<Node>>>,
    node: Arc<Node>,
    info_hash: Id20,
    announce_port: Option<u16>,
    interval: &mut watch::Receiver<Duration>,
    out: &mpsc::Sender<Vec<SocketAddr>>,
) -> bool {
    loop {
        let begin = Instant::now();
        let mut search = Search::new(node.clone(), info_hash, announce_port);
        let mut batch: Vec<SocketAddr> = Vec::new();
        let mut flush = begin;
        // While no node is known a search finds nothing: its time begins with the first.
        let mut rest = begin + ACTIVE;
        loop {
            tokio::select! {
                biased;
                () = out.closed() => return false,
                changed = nodes.changed() => return changed.is_ok(),
                () = tokio::time::sleep_until(flush), if !batch.is_empty() => {
                    // A reader that lags behind misses some: they will be found again.
                    let _ = out.try_send(std::mem::take(&mut batch));
                }
                () = tokio::time::sleep_until(rest) => {
                    if node.count() > 0 {
                        break;
                    }
                    rest = Instant::now() + ACTIVE;
                }
                peer = search.next() => {
                    let Some(peer) = peer else { break };
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                    if compact::is_usable(&peer) && !batch.contains(&peer) {
                        if batch.is_empty() {
                            flush = Instant::now() + COLLECT;
                        }
                        batch.push(peer);
                        if batch.len() >= MAX_BATCH {
                            flush = Instant::now();
                        }
                    }
                }
            }
        }
        drop(search);
        tokio::select! {
            () = out.closed() => return false,
            changed = nodes.changed() => return changed.is_ok(),
            () = rest_of_round(begin, interval) => {}
        }
    }
}

/// Waits until the round that began then is over, by the interval of now.
async fn rest_of_round(begin: Instant, interval: &mut watch::Receiver<Duration>) {
    loop {
        let again = begin + (*interval.borrow_and_update()).max(ACTIVE);
        tokio::select! {
            // No change can come where the DHT is gone.
            Ok(()) = interval.changed() => {}
            () = tokio::time::sleep_until(again) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `dht_announce_interval` counts for searches that rest already, shortened and lengthened.
    #[tokio::test(start_paused = true)]
    async fn an_interval_changed_meanwhile_counts() {
        let (sender, mut interval) = watch::channel(Duration::from_secs(900));
        let begin = Instant::now();
        let change = async {
            for (at, to) in [(200, 400), (300, 600), (500, 300)] {
                tokio::time::sleep_until(begin + Duration::from_secs(at)).await;
                sender.send_replace(Duration::from_secs(to));
            }
        };
        let ((), ()) = tokio::join!(rest_of_round(begin, &mut interval), change);
        assert_eq!(begin.elapsed(), Duration::from_secs(500), "300 s were over when they were set");
        drop(sender);
        rest_of_round(begin + Duration::from_secs(500), &mut interval).await;
        assert_eq!(begin.elapsed(), Duration::from_secs(800), "the last word of a DHT that is gone");
    }
}
