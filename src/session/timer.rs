//! The task of each torrent that tells its core when time has passed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::dht_search;
use super::driver::Driver;
use crate::engine::swarm::peer_list::PeerSource;

/// Starts the torrent.
pub fn start(driver: &Arc<Driver>, first_peers: &[SocketAddr]) {
    driver.run(|core, now| {
        core.add_peers(now, PeerSource::MANUAL, first_peers);
        core.handle_timeout(now);
    });
    let timed = driver.clone();
    driver.spawn(async move { keep_time(&timed).await });
}

async fn keep_time(driver: &Arc<Driver>) {
    while driver.check().is_ok() {
        dht_search::update(driver);
        let wait = driver.plan();
        let slept = tokio::select! {
            () = sleep(wait) => true,
            () = driver.disturbed() => false,
        };
        if driver.check().is_err() {
            return;
        }
        driver.awoke(slept);
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
