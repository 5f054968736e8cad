//! What a torrent is added from, taken apart; and what becomes of it where the torrent is there already.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::dht_search;
use super::driver::Driver;
use super::params::TorrentSource;
use crate::engine::config::TorrentFlags;
use crate::engine::swarm::peer_list::PeerSource;
use crate::metainfo::{Info, Magnet, TorrentFile};
use crate::net::egress::route::Traffic;

/// A name that is not found by then is not waited for.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Most addresses of a name that are taken.
const MAX_LOOKUP_ADDRESSES: usize = 8;

/// A torrent file or magnet, and what the caller names besides.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    pub info: Option<Arc<Info>>,
    pub name: String,
    pub trackers: Vec<Vec<String>>,
    pub web_seeds: Vec<String>,
    pub peers: Vec<SocketAddr>,
    /// Peers whose address is still to be looked up.
    pub named_peers: Vec<(String, u16)>,
    pub nodes: Vec<(String, u16)>,
    pub selected_files: Vec<RangeInclusive<u32>>,
    /// The torrent file, for the fields that only it has.
    pub file: Option<Arc<TorrentFile>>,
}

impl From<TorrentSource> for Parts {
    fn from(source: TorrentSource) -> Self {
        match source {
            TorrentSource::File(file) => Self {
                info: Some(file.info.clone()),
                name: file.info.name.clone(),
                trackers: file.trackers.clone(),
                web_seeds: file.web_seeds.clone(),
                nodes: file.nodes.clone(),
                file: Some(Arc::new(file)),
                ..Self::default()
            },
            TorrentSource::Magnet(magnet) => magnet.into(),
        }
    }
}

impl From<Magnet> for Parts {
    fn from(m: Magnet) -> Self {
        let parse = |(host, port): &(String, u16)| Some(SocketAddr::new(host.parse().ok()?, *port));
        Self {
            peers: m.peers.iter().filter_map(parse).collect(),
            named_peers: m.peers.into_iter().filter(|(host, _)| host.parse::<IpAddr>().is_err()).collect(),
            name: m.name.unwrap_or_default(),
            trackers: m.trackers,
            web_seeds: m.web_seeds,
            nodes: m.nodes,
            selected_files: m.select_only,
            ..Self::default()
        }
    }
}

/// Tells a torrent that is there what this source knows beyond it: the metadata, trackers, web seeds, peers. What the torrent
/// has keeps its state; it may be removed meanwhile, then nothing happens.
pub fn merge(driver: &Arc<Driver>, parts: Parts) {
    let merged = driver.command(|core, now| {
        core.merge(now, parts.info.as_ref(), &parts.trackers, &parts.web_seeds);
        core.add_peers(now, PeerSource::MANUAL, &parts.peers);
        core.handle_timeout(now);
    });
    if merged.is_err() {
        return;
    }
    if let Some(file) = parts.file {
        driver.origin.lock().get_or_insert(file);
    }
    tell_dht(driver, &parts.nodes);
    look_up_peers(driver, parts.named_peers);
}

/// The DHT's nodes that a source names. Those who run a private torrent do not want it known there, and who took a torrent
/// out of the DHT need not be seen by its nodes either.
pub fn tell_dht(driver: &Driver, nodes: &[(String, u16)]) {
    let kept_out =
        |core: &crate::engine::Torrent| core.is_private() || core.flags().contains(TorrentFlags::DISABLE_DHT);
    if driver.look(|core, _| kept_out(core)).unwrap_or(true) {
        return;
    }
    for (host, port) in nodes {
        // What is no node's address is passed over.
        let _ = dht_search::add_node(&driver.session, host, *port);
    }
}

/// Peers that a magnet names by host. What is to be looked up by the proxy is looked up by nobody else: such a peer is dialled by its name.
pub fn look_up_peers(driver: &Arc<Driver>, peers: Vec<(String, u16)>) {
    if peers.is_empty() {
        return;
    }
    let looking = driver.clone();
    driver.spawn(async move {
        for (host, port) in peers {
            let egress = looking.session.egress();
            let found = if egress.route().resolves(Traffic::Peers) {
                let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, egress.resolve(Traffic::Peers, &host, port)).await;
                lookup.ok().and_then(std::result::Result::ok)
            } else {
                None
            };
            let found = match found {
                Some(mut found) => {
                    found.truncate(MAX_LOOKUP_ADDRESSES);
                    found
                }
                // There is another way out meanwhile, or there was none to ask by.
                None if egress.is_ended() || !egress.route().resolves(Traffic::Peers) => {
                    looking.named_peers.note(&host, port).into_iter().collect()
                }
                None => Vec::new(),
            };
            looking.run(|core, now| core.add_peers(now, PeerSource::MANUAL, &found));
        }
    });
}
