//! uTP (BEP 29) with real clients, each way.

mod common;

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Client, Source, Torrent};
use common::temp::{TempDir, assert_same};
use elementum_torrent::session::{PeerFlags, Session, StorageIndex};
use elementum_torrent::settings::Settings;

fn only_utp(settings: &mut Settings) {
    settings.set_bool("enable_incoming_tcp", false).unwrap();
    settings.set_bool("enable_outgoing_tcp", false).unwrap();
}

fn as_it_comes(_: &mut Settings) {}

/// How the one peer is connected.
fn flags(session: &Session, index: StorageIndex) -> PeerFlags {
    let peers = || session.torrent(index).unwrap().peers().unwrap();
    ours::until("it is connected", || peers().len() == 1);
    peers()[0].flags & (PeerFlags::UTP_SOCKET | PeerFlags::RC4_ENCRYPTED)
}

/// A client seeds to us.
fn streams_from(client: Client, options: &[&str], ours: fn(&mut Settings), expected: PeerFlags) {
    println!("{client:?} seeds, {options:?}");
    let torrent = Torrent::make("by utp", 8_000_000, 1, &[]);
    let mut seeder = client.seed(&torrent, options);
    let session = ours::open_with(ours);
    let mut params = ours::params(&torrent, Source::Magnet);
    params.peers = vec![seeder.address()];
    let index = session.add_torrent(params).unwrap();
    Alerts::default().wait(&session, "metadata_received", "");
    assert_eq!(flags(&session, index), expected);
    ours::stream_all(&session, index, &torrent);
    session.close(CLOSE).unwrap();
}

/// A client downloads from us.
fn seeds_to(client: Client, options: &[&str], ours: fn(&mut Settings), expected: PeerFlags) {
    println!("{client:?} downloads, {options:?}");
    let torrent = Torrent::make("by utp", 2_000_000, 1, &[]);
    // Slow enough that it is there when it is looked at.
    let (session, index) = ours::seed_with(&torrent, |s| {
        ours(s);
        s.set_int("upload_rate_limit", 500_000).unwrap();
    });
    let out = TempDir::new();
    let address = ours::address(&session).to_string();
    let options = [options, &["--peer", &address]].concat();
    let mut leecher = client.leech(&torrent, Source::Magnet, &out.dir("to"), &options);
    leecher.wait("metadata");
    assert_eq!(flags(&session, index), expected);
    leecher.wait("done");
    assert_same(&torrent.content(), &out.path().join("to").join(&torrent.name));
    session.close(CLOSE).unwrap();
}

const TCP: PeerFlags = PeerFlags::empty();
const UTP: PeerFlags = PeerFlags::UTP_SOCKET;
const UTP_RC4: PeerFlags = PeerFlags::UTP_SOCKET.union(PeerFlags::RC4_ENCRYPTED);

#[test]
fn whoever_takes_utp_only_seeds_to_us() {
    streams_from(Client::Libtorrent, &["--transport", "utp"], as_it_comes, UTP);
    streams_from(Client::Libtorrent, &["--transport", "utp", "--encryption", "rc4"], as_it_comes, UTP_RC4);
    streams_from(Client::Libtorrent, &["--transport", "both"], as_it_comes, TCP);
    streams_from(Client::Libtorrent, &["--transport", "both"], only_utp, UTP);
    streams_from(Client::Transmission, &["--transport", "utp"], only_utp, UTP);
}

#[test]
fn whoever_dials_by_utp_downloads_from_us() {
    seeds_to(Client::Libtorrent, &["--transport", "utp"], as_it_comes, UTP);
    seeds_to(Client::Libtorrent, &["--transport", "both"], as_it_comes, UTP);
    seeds_to(Client::Libtorrent, &["--transport", "utp", "--encryption", "rc4"], only_utp, UTP_RC4);
}

#[test]
fn two_of_ours_meet_by_utp() {
    let torrent = Torrent::make("by utp", 30_000_000, 1, &[]);
    let (seed, seeded) = ours::seed_with(&torrent, only_utp);
    let session = ours::open_with(only_utp);
    let mut params = ours::params(&torrent, Source::Magnet);
    params.peers = vec![ours::address(&seed)];
    let index = session.add_torrent(params).unwrap();
    Alerts::default().wait(&session, "metadata_received", "");
    assert_eq!((flags(&session, index), flags(&seed, seeded)), (UTP, UTP));
    ours::stream_all(&session, index, &torrent);
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}
