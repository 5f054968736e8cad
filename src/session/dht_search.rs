//! The DHT at work: a session's node is started and stopped as the settings say, and each torrent looks for its peers there.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::driver::Driver;
use super::shared::Shared;
use crate::alert::Alert;
use crate::base::error::{Error, Result};
use crate::base::storage_index::StorageIndex;
use crate::discovery::dht::librqbit::LibrqbitDht;
use crate::discovery::dht::{Dht, DhtOptions};
use crate::engine::swarm::peer_list::PeerSource;
use crate::net::egress::route::Traffic;
use crate::settings::Settings;

/// Nodes remembered while there is no DHT.
const MAX_EARLY_NODES: usize = 100;

/// Starts the session's node, if it is to have one.
pub fn start(session: &Arc<Shared>, state: Vec<u8>, listen: Option<SocketAddr>) {
    {
        let mut start = session.dht_start.lock();
        start.listen = listen;
        start.state = state;
    }
    settings_changed(session);
}

/// Is there to be a node? No proxy carries it.
fn is_wanted(session: &Shared) -> bool {
    session.settings().enable_dht && session.egress().route().is_direct(Traffic::Dht)
}

/// Starts or stops the node as `enable_dht` and the proxy say.
pub fn settings_changed(session: &Arc<Shared>) {
    let settings = session.settings();
    if !is_wanted(session) {
        if let Some(dht) = session.dht.lock().take() {
            session.dht_start.lock().state = dht.save_state();
            session.spawn(async move { dht.shutdown().await });
        }
        return;
    }
    if let Some(dht) = session.dht.lock().clone() {
        dht.set_announce_interval(announce_interval(&settings));
        return;
    }
    if std::mem::replace(&mut session.dht_start.lock().starting, true) {
        return;
    }
    let session = session.clone();
    session.clone().spawn(async move {
        if let Ok(dht) = launch(&session).await {
            let dht: Arc<dyn Dht> = Arc::new(dht);
            {
                // At once, so that whoever names a node finds the one or the other.
                let mut running = session.dht.lock();
                let mut start = session.dht_start.lock();
                start.nodes.drain(..).for_each(|(host, port)| dht.add_node(&host, port));
                start.starting = false;
                *running = Some(dht.clone());
            }
            // Changed, or switched off, while it was starting.
            settings_changed(&session);
            if !is_wanted(&session) {
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

/// On the port of the peers if it is free for UDP, else on any.
async fn launch(session: &Arc<Shared>) -> Result<LibrqbitDht> {
    let settings = session.settings();
    let (listen, state) = {
        let start = session.dht_start.lock();
        (start.listen, start.state.clone())
    };
    let listen = listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let mut options = DhtOptions::new(listen, session.egress());
    options.bootstrap_nodes =
        settings.dht_bootstrap_nodes.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    options.state = state;
    options.announce_interval = announce_interval(&settings);
    match LibrqbitDht::start(options.clone()).await {
        Ok(dht) => Ok(dht),
        Err(_) => LibrqbitDht::start(DhtOptions { listen: SocketAddr::new(listen.ip(), 0), ..options }).await,
    }
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
