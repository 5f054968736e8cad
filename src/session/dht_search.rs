//! The DHT at work: a session's node is started and stopped as the settings say, and each torrent looks for its peers there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::dht_node;
use super::driver::Driver;
use super::shared::Shared;
use crate::alert::Alert;
use crate::base::error::{Error, Result};
use crate::base::storage_index::StorageIndex;
use crate::discovery::dht::librqbit::LibrqbitDht;
use crate::discovery::dht::{Dht, DhtOptions};
use crate::engine::swarm::peer_list::PeerSource;
use crate::net::egress::any_source;
use crate::net::egress::interfaces::Source;
use crate::net::egress::route::Traffic;
use crate::settings::Settings;

/// Nodes remembered while there is no DHT.
const MAX_EARLY_NODES: usize = 100;

/// Starts the session's node, if it is to have one.
pub fn start(session: &Arc<Shared>, state: Vec<u8>) {
    session.dht_start.lock().state = state;
    settings_changed(session);
}

/// Where the node is to be bound, with the port that peers have there. None: there is to be none, as the settings say, or as no proxy carries
/// it, or as there is no way out.
fn place(session: &Shared) -> Option<(Source, u16)> {
    let egress = session.egress();
    if !session.settings().enable_dht || !egress.route().is_direct(Traffic::Dht) {
        return None;
    }
    let sources = egress.sources();
    session.listening.dht_place(sources.as_deref()).or_else(|| match sources {
        None => Some((any_source(false), 0)),
        Some(sources) => sources.into_iter().min_by_key(|source| source.address.is_ipv6()).map(|source| (source, 0)),
    })
}

/// Ends the node, if there is one. What it knew is kept.
fn stop(session: &Arc<Shared>) -> Option<Arc<dyn Dht>> {
    let dht = session.dht.lock().take()?;
    session.dht_start.lock().state = dht.save_state();
    Some(dht)
}

/// Starts or stops the node as the settings, the proxy and the addresses of this host say.
pub fn settings_changed(session: &Arc<Shared>) {
    let settings = session.settings();
    let Some((source, _)) = place(session) else {
        if let Some(dht) = stop(session) {
            session.spawn(async move { dht.shutdown().await });
        }
        return;
    };
    let running = session.dht.lock().clone();
    if let Some(dht) = running {
        let elsewhere = session.dht_start.lock().bound.as_ref().is_some_and(|bound| *bound != source);
        if !elsewhere {
            dht.set_announce_interval(announce_interval(&settings));
        } else if let Some(dht) = stop(session) {
            let session = session.clone();
            session.clone().spawn(async move {
                dht.shutdown().await;
                settings_changed(&session);
            });
        }
        return;
    }
    if std::mem::replace(&mut session.dht_start.lock().starting, true) {
        return;
    }
    let session = session.clone();
    session.clone().spawn(async move {
        if let Ok((dht, bound)) = launch(&session).await {
            let dht: Arc<dyn Dht> = Arc::new(dht);
            {
                // At once, so that whoever names a node finds the one or the other.
                let mut running = session.dht.lock();
                let mut start = session.dht_start.lock();
                start.nodes.drain(..).for_each(|(host, port)| dht.add_node(&host, port));
                start.starting = false;
                start.bound = Some(bound);
                *running = Some(dht.clone());
            }
            // Changed, or switched off, while it was starting.
            settings_changed(&session);
            if session.dht.lock().as_ref().is_none_or(|running| !Arc::ptr_eq(running, &dht)) {
                return;
            }
            // Torrents that were there before it begin their search.
            session.drivers().iter().for_each(|d| d.look_at_time());
            tokio::select! {
                () = dht.wait_bootstrapped() => session.alerts.post(StorageIndex::INVALID, &Alert::DhtBootstrap),
                () = session.closing() => {}
            }
        } else {
            session.dht_start.lock().starting = false;
        }
    });
}

/// Near the port of the peers if one is free for UDP, else on any. Also where it is bound.
async fn launch(session: &Arc<Shared>) -> Result<(LibrqbitDht, Source)> {
    let (settings, egress) = (session.settings(), session.egress());
    let (source, port) = place(session).ok_or_else(|| Error::invalid("there is to be no DHT node"))?;
    let near = if session.udp_ports.is_at(&source, port) {
        dht_node::beside(&egress, &source, port)
    } else {
        SocketAddr::new(source.address, port)
    };
    let mut options = DhtOptions::new(near, egress);
    options.device = source.device.clone();
    options.state = session.dht_start.lock().state.clone();
    options.bootstrap_nodes =
        settings.dht_bootstrap_nodes.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    options.announce_interval = announce_interval(&settings);
    let dht = match LibrqbitDht::start(options.clone()).await {
        Ok(dht) => dht,
        Err(_) => LibrqbitDht::start(DhtOptions { listen: SocketAddr::new(source.address, 0), ..options }).await?,
    };
    Ok((dht, source))
}

fn announce_interval(settings: &Settings) -> Duration {
    Duration::from_secs(u64::try_from(settings.dht_announce_interval).unwrap_or(900))
}

/// Nodes and identity, for the next session.
pub fn save(session: &Shared) -> Vec<u8> {
    let running = session.dht.lock().clone();
    running.map_or_else(|| session.dht_start.lock().state.clone(), |dht| dht.save_state())
}

pub fn add_node(session: &Shared, host: &str, port: u16) -> Result<()> {
    if host.is_empty() || host.len() > 255 || port == 0 {
        return Err(Error::invalid(
            "a DHT node has a host name or address of 1 to 255 bytes, and a port from 1 to 65535",
        ));
    }
    let running = session.dht.lock();
    match running.as_ref() {
        Some(dht) => dht.add_node(host, port),
        None => {
            let mut start = session.dht_start.lock();
            if start.nodes.len() < MAX_EARLY_NODES {
                start.nodes.push((host.to_owned(), port));
            }
        }
    }
    Ok(())
}

/// Begins or ends a torrent's search as the torrent wants it.
pub fn update(driver: &Arc<Driver>) {
    let wanted = driver.look(|core, _| core.wants_dht()).unwrap_or(false);
    let Some(dht) = driver.session.dht.lock().clone().filter(|_| wanted) else { return driver.dht.stop() };
    driver.dht.run(|| {
        let searching = driver.clone();
        driver.session.spawn(async move { search(searching, dht).await })
    });
}

async fn search(driver: Arc<Driver>, dht: Arc<dyn Dht>) {
    let (hash, ..) = driver.totals();
    let port = driver.session.told_port();
    let mut peers = dht.get_peers(hash, (port != 0).then_some(port));
    while let Some(batch) = peers.recv().await {
        if driver.check().is_err() {
            return;
        }
        driver.session.alerts.post(driver.index, &Alert::DhtReply { num_peers: batch.len() as u32 });
        // Asked under the lock: the metadata may have told meanwhile that the torrent is private.
        driver.run(|core, now| {
            if core.wants_dht() {
                core.add_peers(now, PeerSource::DHT, &batch);
            }
        });
        driver.look_at_time();
    }
}
