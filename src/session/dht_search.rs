//! The DHT at work: a session's node is started and stopped as the settings say, and each torrent looks for its peers there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::StorageIndex;
use super::driver::Driver;
use super::shared::Shared;
use crate::alert::Alert;
use crate::base::error::{Error, Result};
use crate::discovery::dht::librqbit::LibrqbitDht;
use crate::discovery::dht::{Dht, DhtOptions};
use crate::engine::swarm::peer_list::PeerSource;
use crate::settings::Settings;

/// What a session's node is started with.
#[derive(Debug, Default)]
pub struct Start {
    listen: Option<SocketAddr>,
    state: Vec<u8>,
    /// Nodes that were named before it ran.
    nodes: Vec<(String, u16)>,
    starting: bool,
}

/// Nodes remembered while there is no DHT.
const MAX_EARLY_NODES: usize = 100;

/// Where the node listens, of the addresses that the session listens on: it has one socket. All of IPv6's serves IPv4, too.
pub fn listen_address(bound: &[SocketAddr]) -> Option<SocketAddr> {
    let both = bound.iter().find(|a| a.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    both.or_else(|| bound.first()).copied()
}

/// Starts the session's node, if it is to have one.
pub fn start(session: &Arc<Shared>, state: Vec<u8>, listen: Option<SocketAddr>) {
    {
        let mut start = session.dht_start.lock();
        start.listen = listen;
        start.state = state;
    }
    settings_changed(session);
}

/// Starts or stops the node as `enable_dht` says.
pub fn settings_changed(session: &Arc<Shared>) {
    let settings = session.settings();
    if !settings.enable_dht {
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
            if !session.settings().enable_dht {
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
    let mut options = DhtOptions::new(listen);
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

/// A torrent's search.
#[derive(Debug, Default)]
pub struct DhtSearch {
    task: Mutex<Option<tokio::task::AbortHandle>>,
}

impl DhtSearch {
    /// Begins or ends the search as the torrent wants it.
    pub fn update(&self, driver: &Arc<Driver>) {
        let wanted = driver.look(|core, _| core.wants_dht()).unwrap_or(false);
        let dht = driver.session.dht.lock().clone().filter(|_| wanted);
        let mut task = self.task.lock();
        match dht {
            None => {
                if let Some(task) = task.take() {
                    task.abort();
                }
            }
            Some(dht) if task.as_ref().is_none_or(|t| t.is_finished()) => {
                let searching = driver.clone();
                *task = Some(driver.session.spawn(async move { search(searching, dht).await }).abort_handle());
            }
            Some(_) => {}
        }
    }

    pub fn stop(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }

    /// Looks again at once: the next `update` starts afresh.
    pub fn restart(&self) {
        self.stop();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_socket_is_where_both_families_reach_it() {
        let address = |bound: &[&str]| {
            let bound: Vec<SocketAddr> = bound.iter().map(|a| a.parse().expect("an address")).collect();
            listen_address(&bound).map(|a| a.to_string())
        };
        assert_eq!(address(&["0.0.0.0:6881", "[::]:6882"]).as_deref(), Some("[::]:6882"));
        assert_eq!(address(&["192.0.2.1:1", "[2001:db8::1]:2"]).as_deref(), Some("192.0.2.1:1"));
        assert_eq!(address(&["[2001:db8::1]:2", "192.0.2.1:1"]).as_deref(), Some("[2001:db8::1]:2"));
        assert_eq!(address(&[]), None);
    }
}
