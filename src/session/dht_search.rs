//! The DHT at work: a session's node is started and stopped as the settings say, and each torrent looks for its peers there.

use std::sync::Arc;
use std::time::Duration;

use super::driver::Driver;
use super::shared::Shared;
use crate::alert::Alert;
use crate::base::error::{Error, Result};
use crate::base::storage_index::StorageIndex;
use crate::discovery::dht::lookup::LookupLimits;
use crate::discovery::dht::node::{Announcement, NodeConfig};
use crate::discovery::dht::peer_store::StoreLimits;
use crate::discovery::dht::service::DhtService;
use crate::discovery::dht::{Dht, DhtOptions};
use crate::engine::swarm::peer_list::PeerSource;
use crate::net::egress::Egress;
use crate::net::egress::route::Traffic;
use crate::settings::Settings;

/// Starts the session's node, if it is to have one.
pub fn start(session: &Arc<Shared>, state: Vec<u8>) {
    session.dht.lock().restore(state);
    settings_changed(session);
}

/// Starts, changes or stops the node as the settings, the way out and the listening sockets say.
pub fn settings_changed(session: &Arc<Shared>) {
    let (settings, egress) = (session.settings(), session.egress());
    let mut dht = session.dht.lock();
    if dht.goes_elsewhere(&egress) {
        dht.stop();
        dht.take_another_id(&mut session.seeds.lock());
    }
    if !settings.enable_dht || !egress.route().carries_udp(Traffic::Dht) || session.is_closed() {
        return dht.stop();
    }
    let options = options(session, &settings, &egress);
    if let Some(running) = dht.running() {
        return running.apply(&options);
    }
    let _context = session.enter();
    let told = Arc::downgrade(session);
    let tell_our_ip = Box::new(move |voter, ip| {
        if let Some(session) = told.upgrade() {
            session.external_ip_vote(voter, ip);
        }
    });
    let (ports, rng) = (session.udp_ports.clone(), session.seeds.lock().fork());
    let started = DhtService::start(&options, dht.state(), egress.clone(), ports, tell_our_ip, rng);
    let started: Arc<dyn Dht> = Arc::new(started);
    dht.run(started.clone(), egress);
    drop(dht);
    let telling = session.clone();
    session.spawn(async move {
        // Torrents that were there before it begin their search.
        telling.drivers().iter().for_each(|d| d.look_at_time());
        tokio::select! {
            () = started.wait_bootstrapped() => telling.alerts.post(StorageIndex::INVALID, &Alert::DhtBootstrap),
            () = telling.closing() => {}
        }
    });
}

fn options(session: &Shared, settings: &Settings, egress: &Egress) -> DhtOptions {
    let is_direct = egress.route().is_direct(Traffic::Dht);
    let listened = session.udp_ports.listened_families();
    let number = |setting: i64| usize::try_from(setting).unwrap_or(0);
    DhtOptions {
        node: NodeConfig {
            // Nobody reaches us by a relay, nor where nobody listens.
            read_only: settings.dht_read_only || !is_direct || listened == (false, false),
            lookups: LookupLimits {
                branching: number(settings.dht_search_branching),
                restrict_ips: settings.dht_restrict_search_ips,
            },
            restrict_routing_ips: settings.dht_restrict_routing_ips,
            enforce_node_id: settings.dht_enforce_node_id,
            upload_rate: number(settings.dht_upload_rate_limit) as u64,
            block_rate: u32::try_from(settings.dht_block_ratelimit).unwrap_or(0),
            store: StoreLimits { torrents: number(settings.dht_max_torrents), peers: number(settings.dht_max_peers) },
        },
        families: match (is_direct, listened) {
            (true, families) if families != (false, false) => families,
            _ => (true, true),
        },
        external_ips: session.external_ips(),
        bootstrap_nodes: settings
            .dht_bootstrap_nodes
            .split(',')
            .map(str::trim)
            .filter(|node| !node.is_empty())
            .map(str::to_owned)
            .collect(),
        announce_interval: Duration::from_secs(number(settings.dht_announce_interval) as u64),
    }
}

pub fn add_node(session: &Shared, host: &str, port: u16) -> Result<()> {
    if host.is_empty() || host.len() > 255 || port == 0 {
        return Err(Error::invalid(
            "a DHT node has a host name or address of 1 to 255 bytes, and a port from 1 to 65535",
        ));
    }
    session.dht.lock().add_node(host, port);
    Ok(())
}

/// Begins or ends a torrent's search as the torrent wants it.
pub fn update(driver: &Arc<Driver>) {
    let wanted = driver.look(|core, _| core.wants_dht()).unwrap_or(false);
    let Some(dht) = driver.session.dht.lock().running().filter(|_| wanted) else { return driver.dht.stop() };
    driver.dht.run(|| {
        let searching = driver.clone();
        driver.session.spawn(async move { search(searching, dht).await })
    });
}

async fn search(driver: Arc<Driver>, dht: Arc<dyn Dht>) {
    let (hash, ..) = driver.totals();
    let mut peers = dht.get_peers(hash, announcement(&driver));
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

/// What others are told of us; None where nobody listens.
fn announcement(driver: &Driver) -> Option<Announcement> {
    let session = &driver.session;
    let (settings, port) = (session.settings(), session.told_port());
    let seed = driver.look(|core, now| core.status(now).is_seeding).unwrap_or(false);
    // The DHT's packets come from the port of uTP, unless that was taken. One that was set is meant.
    let shares_port = session.udp_ports.addresses().iter().any(|at| at.port() == port);
    let implied_port = settings.enable_incoming_utp && settings.announce_port == 0 && shares_port;
    (port != 0).then_some(Announcement { port, implied_port, seed })
}
