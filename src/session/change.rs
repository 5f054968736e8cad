//! Settings that are changed while the session runs, and what follows.

use std::sync::Arc;

use super::shared::{Shared, check_open, connections};
use super::{dht_search, listening};
use crate::base::error::Result;
use crate::engine::Torrent;
use crate::engine::content::pieces::PeerKey;
use crate::settings::Settings;

/// Changes settings that can change while the session runs: all that `change` changes or, on an error, none.
pub fn change(session: &Arc<Shared>, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<()> {
    let _changing = session.lock_changes();
    check_open(session)?;
    let before = session.settings();
    let mut settings = before.as_ref().clone();
    change(&mut settings)?;
    before.check_live_change(&settings)?;
    let told = session.told_port();
    let way_out = session.egress();
    session.put_settings(settings)?;
    if way_out.is_ended() {
        // What went by the old way ends, before anything goes by the new one.
        session.udp_ports.close_spare(None);
        for driver in session.drivers() {
            driver.run(Torrent::way_out_changed);
        }
    }
    listening::listen_as_set(session);
    tell_settings(session, told);
    part_with_surplus(session);
    dht_search::settings_changed(session);
    Ok(())
}

/// Listens as settings and addresses say now. Torrents and the DHT hear of what is new of it.
pub fn listen_anew(session: &Arc<Shared>) {
    let told = session.told_port();
    listening::listen_as_set(session);
    tell_settings(session, told);
    dht_search::settings_changed(session);
}

/// `told`: the port that others were told before.
fn tell_settings(session: &Arc<Shared>, told: u16) {
    let told_anew = session.told_port() != told;
    for driver in session.drivers() {
        driver.keep_up();
        if told_anew {
            // Its search tells the old port.
            driver.dht.stop();
            driver.look_at_time();
        }
    }
}

/// The limit on connections may be lower than it was: the surplus goes, those of least worth first, of whichever torrent.
fn part_with_surplus(session: &Shared) {
    if !session.connections.is_over() {
        return;
    }
    let drivers = session.drivers();
    let peers = drivers.iter().enumerate().flat_map(|(at, driver)| {
        // One that is removed meanwhile has none.
        let worths = driver.look(|core, _| core.peer_ranks()).unwrap_or_default();
        worths.into_iter().map(move |(worth, key)| (worth, at, key))
    });
    let mut peers: Vec<_> = peers.collect();
    let surplus = peers.len().saturating_sub(connections(&session.settings()));
    peers.sort_unstable();
    peers.truncate(surplus);
    for (at, driver) in drivers.iter().enumerate() {
        let keys: Vec<PeerKey> = peers.iter().filter(|(_, of, _)| *of == at).map(|(.., key)| *key).collect();
        if !keys.is_empty() {
            driver.run(|core, now| core.part_with(now, &keys));
        }
    }
}
