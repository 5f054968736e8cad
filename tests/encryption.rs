//! Policies of encryption (MSE), and two of ours. Which clients are met how: `ways.rs`.

mod common;

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Client, Source, Torrent};
use common::temp::TempDir;
use elementum_torrent::session::{PeerFlags, Session, StorageIndex};
use elementum_torrent::settings::Settings;

/// libtorrent's numbers of a policy.
const FORCED: i64 = 0;
const DISABLED: i64 = 2;

fn policy(settings: &mut Settings, policy: i64) {
    settings.set_int("out_enc_policy", policy).unwrap();
    settings.set_int("in_enc_policy", policy).unwrap();
}

/// How the one peer is connected.
fn encryption(session: &Session, index: StorageIndex) -> PeerFlags {
    let peers = || session.torrent(index).unwrap().peers().unwrap();
    ours::until("it is connected", || peers().len() == 1);
    peers()[0].flags & (PeerFlags::RC4_ENCRYPTED | PeerFlags::PLAINTEXT_ENCRYPTED)
}

const RC4: PeerFlags = PeerFlags::RC4_ENCRYPTED;

/// Nobody is let in whom the policy keeps out, and nobody is reached that way.
#[test]
fn a_policy_keeps_out_what_it_forbids() {
    let torrent = Torrent::make("encrypted", 500_000, 1, &[]);
    for (ours, theirs) in [(FORCED, "plain"), (DISABLED, "rc4")] {
        let mut seeder = Client::Libtorrent.seed(&torrent, &["--encryption", theirs]);
        let session = ours::open_with(|s| policy(s, ours));
        let index = session.add_torrent(ours::params(&torrent, Source::Magnet)).unwrap();
        session.torrent(index).unwrap().connect_peer(seeder.address()).unwrap();
        Alerts::default().wait(&session, "peer_disconnected", "");
        assert!(session.torrent(index).unwrap().peers().unwrap().is_empty());
        session.close(CLOSE).unwrap();

        let (session, index) = ours::seed_with(&torrent, |s| policy(s, ours));
        let out = TempDir::new();
        let address = ours::address(&session).to_string();
        let options = ["--encryption", theirs, "--peer", &address];
        let mut leecher = Client::Libtorrent.leech(&torrent, Source::Magnet, &out.dir("to"), &options);
        assert_eq!(leecher.wait_within("metadata", std::time::Duration::from_secs(3)), None);
        assert!(session.torrent(index).unwrap().peers().unwrap().is_empty());
        session.close(CLOSE).unwrap();
    }
}

/// Two of ours, by RC4: what one direction needs is what the other does.
#[test]
fn two_of_ours_meet_by_rc4() {
    let torrent = Torrent::make("encrypted", 5_000_000, 1, &[]);
    let rc4 = |s: &mut Settings| {
        policy(s, FORCED);
        s.set_int("allowed_enc_level", 2).unwrap();
    };
    let (seed, seeded) = ours::seed_with(&torrent, rc4);
    let session = ours::open_with(rc4);
    let mut params = ours::params(&torrent, Source::Magnet);
    params.peers = vec![ours::address(&seed)];
    let index = session.add_torrent(params).unwrap();
    Alerts::default().wait(&session, "metadata_received", "");
    assert_eq!((encryption(&session, index), encryption(&seed, seeded)), (RC4, RC4));
    ours::stream_all(&session, index, &torrent);
    session.close(CLOSE).unwrap();
    seed.close(CLOSE).unwrap();
}
