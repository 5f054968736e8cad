//! Real clients by every way that they take, each direction. `docs/interop.md` is what this saw: `ET_UPDATE_INTEROP=1 cargo test --test ways` writes it.

mod common;

use std::fmt::Write;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use common::ours::{self, Alerts, CLOSE};
use common::peers::{Client, Source, Torrent};
use common::temp::{TempDir, assert_same};
use elementum_torrent::session::{PeerFlags, Session, StorageIndex};
use elementum_torrent::settings::Settings;

const PATH: &str = "docs/interop.md";
const HEAD: &str = "# Interoperability

Written by `ET_UPDATE_INTEROP=1 cargo test --test ways`; do not edit. Each line is a transfer that the test makes, with every byte compared, and the way by which the two
were connected. Where a client takes any way, ours tries TCP first, in plain. What aria2 does not speak (uTP) and what librqbit does not (encryption) is left out.

| client | it | takes and makes | ours takes and makes | connected by |
| --- | --- | --- | --- | --- |
";

/// How ours is set.
#[derive(Clone, Copy)]
enum Ours {
    Usual,
    OnlyUtp,
    Forced,
    NoEncryption,
}

impl Ours {
    fn words(self) -> &'static str {
        match self {
            Self::Usual => "anything",
            Self::OnlyUtp => "uTP",
            Self::Forced => "encrypted connections",
            Self::NoEncryption => "plain connections",
        }
    }

    fn set(self, settings: &mut Settings) {
        match self {
            Self::Usual => {}
            Self::OnlyUtp => {
                settings.set_bool("enable_incoming_tcp", false).unwrap();
                settings.set_bool("enable_outgoing_tcp", false).unwrap();
            }
            Self::Forced => policy(settings, 0),
            Self::NoEncryption => policy(settings, 2),
        }
    }
}

/// libtorrent's number of a policy.
fn policy(settings: &mut Settings, policy: i64) {
    settings.set_int("out_enc_policy", policy).unwrap();
    settings.set_int("in_enc_policy", policy).unwrap();
}

struct Case {
    client: Client,
    /// To us. Else it downloads from us.
    seeds: bool,
    transport: &'static str,
    encryption: &'static str,
    ours: Ours,
}

const fn case(client: Client, seeds: bool, transport: &'static str, encryption: &'static str, ours: Ours) -> Case {
    Case { client, seeds, transport, encryption, ours }
}

const SEEDS: bool = true;
const LEECHES: bool = false;
const CASES: &[Case] = &[
    case(Client::Libtorrent, SEEDS, "both", "usual", Ours::Usual),
    case(Client::Libtorrent, SEEDS, "both", "usual", Ours::OnlyUtp),
    case(Client::Libtorrent, SEEDS, "tcp", "plain", Ours::Usual),
    case(Client::Libtorrent, SEEDS, "tcp", "plain", Ours::NoEncryption),
    case(Client::Libtorrent, SEEDS, "tcp", "handshake", Ours::Usual),
    case(Client::Libtorrent, SEEDS, "tcp", "handshake", Ours::Forced),
    case(Client::Libtorrent, SEEDS, "tcp", "rc4", Ours::Usual),
    case(Client::Libtorrent, SEEDS, "tcp", "rc4", Ours::Forced),
    case(Client::Libtorrent, SEEDS, "utp", "plain", Ours::Usual),
    case(Client::Libtorrent, SEEDS, "utp", "handshake", Ours::Usual),
    case(Client::Libtorrent, SEEDS, "utp", "rc4", Ours::Usual),
    case(Client::Libtorrent, SEEDS, "utp", "rc4", Ours::OnlyUtp),
    case(Client::Libtorrent, LEECHES, "both", "usual", Ours::Usual),
    case(Client::Libtorrent, LEECHES, "both", "usual", Ours::OnlyUtp),
    case(Client::Libtorrent, LEECHES, "tcp", "plain", Ours::Usual),
    case(Client::Libtorrent, LEECHES, "tcp", "plain", Ours::NoEncryption),
    case(Client::Libtorrent, LEECHES, "tcp", "handshake", Ours::Usual),
    case(Client::Libtorrent, LEECHES, "tcp", "rc4", Ours::Usual),
    case(Client::Libtorrent, LEECHES, "tcp", "rc4", Ours::Forced),
    case(Client::Libtorrent, LEECHES, "utp", "plain", Ours::Usual),
    case(Client::Libtorrent, LEECHES, "utp", "rc4", Ours::Usual),
    case(Client::Transmission, SEEDS, "tcp", "usual", Ours::Usual),
    case(Client::Transmission, SEEDS, "tcp", "usual", Ours::Forced),
    case(Client::Transmission, SEEDS, "tcp", "rc4", Ours::Usual),
    case(Client::Transmission, SEEDS, "utp", "usual", Ours::OnlyUtp),
    case(Client::Transmission, SEEDS, "utp", "rc4", Ours::OnlyUtp),
    case(Client::Aria2, SEEDS, "tcp", "usual", Ours::Usual),
    case(Client::Aria2, SEEDS, "tcp", "handshake", Ours::Usual),
    case(Client::Aria2, SEEDS, "tcp", "rc4", Ours::Usual),
    case(Client::Aria2, LEECHES, "tcp", "rc4", Ours::Usual),
    case(Client::Qbittorrent, SEEDS, "tcp", "usual", Ours::Usual),
    case(Client::Qbittorrent, SEEDS, "tcp", "rc4", Ours::Forced),
    case(Client::Qbittorrent, SEEDS, "utp", "usual", Ours::Usual),
    case(Client::Qbittorrent, LEECHES, "tcp", "usual", Ours::Usual),
    case(Client::Qbittorrent, LEECHES, "utp", "usual", Ours::Usual),
    case(Client::Rqbit, SEEDS, "tcp", "usual", Ours::Usual),
    case(Client::Rqbit, SEEDS, "utp", "usual", Ours::Usual),
    case(Client::Rqbit, SEEDS, "both", "usual", Ours::OnlyUtp),
    case(Client::Rqbit, LEECHES, "tcp", "usual", Ours::Usual),
    case(Client::Rqbit, LEECHES, "utp", "usual", Ours::Usual),
];

impl Case {
    fn options(&self) -> Vec<&'static str> {
        let mut options = vec!["--transport", self.transport];
        // librqbit has none to choose.
        if self.client != Client::Rqbit {
            options.extend(["--encryption", self.encryption]);
        }
        options
    }

    /// The client seeds to us.
    fn stream(&self) -> &'static str {
        let torrent = Torrent::make("by any way", 2_000_000, 1, &[]);
        let mut seeder = self.client.seed(&torrent, &self.options());
        let session = ours::open_with(|s| self.ours.set(s));
        let mut params = ours::params(&torrent, Source::Magnet);
        params.peers = vec![seeder.address()];
        let index = session.add_torrent(params).unwrap();
        Alerts::default().wait(&session, "metadata_received", "");
        let way = way(&session, index);
        ours::stream_all(&session, index, &torrent);
        session.close(CLOSE).unwrap();
        way
    }

    /// The client downloads from us.
    fn seed(&self) -> &'static str {
        let torrent = Torrent::make("by any way", 2_000_000, 1, &[]);
        // Slow enough that it is there when it is looked at.
        let (session, index) = ours::seed_with(&torrent, |s| {
            self.ours.set(s);
            s.set_int("upload_rate_limit", 500_000).unwrap();
        });
        let out = TempDir::new();
        let address = ours::address(&session).to_string();
        let options = [&self.options()[..], &["--peer", &address]].concat();
        let mut leecher = self.client.leech(&torrent, Source::Magnet, &out.dir("to"), &options);
        leecher.wait("metadata");
        let way = way(&session, index);
        leecher.wait("done");
        assert_same(&torrent.content(), &out.path().join("to").join(&torrent.name));
        session.close(CLOSE).unwrap();
        way
    }

    fn line(&self, way: &str) -> String {
        let transport = match self.transport {
            "both" => "TCP and uTP",
            "tcp" => "TCP",
            _ => "uTP",
        };
        let encryption = match self.encryption {
            "plain" => ", in plain",
            "handshake" => ", encrypted handshake (MSE), then plain text",
            "rc4" => ", RC4",
            _ => "",
        };
        let it = if self.seeds { "seeds" } else { "downloads" };
        let client = match self.client {
            Client::Rqbit => "librqbit".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        format!("| {client} | {it} | {transport}{encryption} | {} | {way} |", self.ours.words())
    }
}

/// How the one peer is connected.
fn way(session: &Session, index: StorageIndex) -> &'static str {
    let peers = || session.torrent(index).unwrap().peers().unwrap();
    ours::until("it is connected", || peers().len() == 1);
    let flags = peers()[0].flags;
    let (utp, rc4) = (flags.contains(PeerFlags::UTP_SOCKET), flags.contains(PeerFlags::RC4_ENCRYPTED));
    match (utp, rc4, flags.contains(PeerFlags::PLAINTEXT_ENCRYPTED)) {
        (false, false, false) => "TCP",
        (false, true, false) => "TCP, RC4",
        (false, false, true) => "TCP, encrypted handshake",
        (true, false, false) => "uTP",
        (true, true, false) => "uTP, RC4",
        (true, false, true) => "uTP, encrypted handshake",
        (_, true, true) => panic!("{flags:?}"),
    }
}

#[test]
fn every_client_is_met_by_each_way_that_it_takes() {
    let (next, seen) = (AtomicUsize::new(0), Mutex::new(vec![String::new(); CASES.len()]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = CASES.get(at) else { return };
                    println!("{}", case.line("?"));
                    let way = if case.seeds { case.stream() } else { case.seed() };
                    seen.lock().unwrap_or_else(PoisonError::into_inner)[at] = case.line(way);
                }
            });
        }
    });
    let mut text = HEAD.to_owned();
    for line in seen.into_inner().unwrap() {
        writeln!(text, "{line}").unwrap();
    }
    if std::env::var_os("ET_UPDATE_INTEROP").is_some() {
        fs::write(PATH, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(PATH).unwrap_or_default(), text, "{PATH} is not what was seen");
}
