//! A DHT of libtorrent nodes on loopback.

mod common;

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Source, Torrent, dht};
use elementum_torrent::session::Session;
use elementum_torrent::settings::Settings;

fn settings(bootstrap: &str) -> Settings {
    let mut settings = ours::settings();
    settings.set_bool("enable_dht", true).unwrap();
    settings.set_str("dht_bootstrap_nodes", bootstrap).unwrap();
    settings.set_int("dht_announce_interval", 10).unwrap();
    settings
}

/// Adds the torrent by a magnet that names nobody, and streams it from whom the DHT finds.
fn find_and_stream(session: &Session, torrent: &Torrent, alerts: &mut Alerts) {
    let index = session.add_torrent(ours::params(torrent, Source::Magnet)).unwrap();
    let reply = alerts.wait(session, "dht_reply", "");
    assert!(!reply.ends_with("num_peers=0"), "{reply}");
    alerts.wait(session, "metadata_received", "");
    ours::stream_all(session, index, torrent);
    session.remove_torrent(index, Default::default()).unwrap();
}

#[test]
fn a_torrent_without_trackers_finds_its_seed_and_the_state_is_good_for_the_next_session() {
    let torrent = Torrent::make("announced.bin", 1_000_000, 1, &[]);
    let mut network = dht(6, Some(&torrent));
    let node = network.wait("node");
    network.wait("announced");

    let session = Session::open(Some(settings(&node)), &[]).unwrap();
    let mut alerts = Alerts::default();
    alerts.wait(&session, "dht_bootstrap", "");
    find_and_stream(&session, &torrent, &mut alerts);
    assert!(session.stats().unwrap().dht_nodes > 0);
    let state = session.save_state().unwrap();
    session.close(CLOSE).unwrap();

    // Nobody is named this time: only the saved nodes lead into the network.
    let session = Session::open(Some(settings("")), &state).unwrap();
    let mut alerts = Alerts::default();
    alerts.wait(&session, "dht_bootstrap", "");
    find_and_stream(&session, &torrent, &mut alerts);
    session.close(CLOSE).unwrap();

    // The state has the settings too.
    let session = Session::open(None, &state).unwrap();
    assert_eq!(session.settings().unwrap(), settings(&node));
    session.close(CLOSE).unwrap();
}

// That we announce ourselves is tested between nodes of ours (`src/discovery/dht/librqbit/tests.rs`): librqbit-dht tells only
// nodes whose number shares 16 bits with the torrent's, which in a network of six there are none of.
#[test]
fn a_node_named_by_a_call_leads_in() {
    let torrent = Torrent::make("named.bin", 1_000_000, 1, &[]);
    let mut network = dht(6, Some(&torrent));
    let node = network.wait("node");
    network.wait("announced");
    let session = Session::open(Some(settings("")), &[]).unwrap();
    let (host, port) = node.rsplit_once(':').unwrap();
    session.add_dht_node(host, port.parse().unwrap()).unwrap();
    find_and_stream(&session, &torrent, &mut Alerts::default());
    session.close(CLOSE).unwrap();
}
