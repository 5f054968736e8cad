//! Torrents that are added with odd words, and added twice.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::ours::{self, Alerts, CLOSE};
use elementum_torrent::base::error::Status;
use elementum_torrent::metainfo::{Create, Magnet, TorrentFile};
use elementum_torrent::session::{
    AddTorrentParams, ReaderOptions, RemoveFlags, Session, StorageIndex, StorageKind, TorrentFlags, TorrentSource,
};

fn create(files: usize, private: bool) -> TorrentFile {
    let files: Vec<_> = (0..files).map(|i| (vec![format!("f{i}")], 20_000)).collect();
    let pieces = (20_000 * files.len()).div_ceil(16_384);
    let create = Create { name: "t".into(), piece_length: 16_384, files, private, ..Create::default() };
    create.v1(vec![7; pieces * 20]).unwrap()
}

fn magnet_of(file: &TorrentFile, parameters: &str) -> AddTorrentParams {
    let uri = format!("magnet:?xt=urn:btih:{}&{parameters}", file.info.info_hashes.best());
    AddTorrentParams::new(TorrentSource::Magnet(Magnet::parse(&uri).unwrap()))
}

fn file_of(file: &TorrentFile) -> AddTorrentParams {
    AddTorrentParams::new(TorrentSource::File(file.clone()))
}

/// Adds what is there already, and gives the index that the refusal tells.
fn add_again(session: &Session, params: AddTorrentParams) -> StorageIndex {
    let refused = session.add_torrent(params).unwrap_err();
    assert_eq!(refused.error.status, Status::DuplicateTorrent);
    refused.existing.unwrap()
}

/// Each would have taken 4 GiB, and the host with it.
#[test]
fn a_magnet_may_name_any_file() {
    let session = ours::open();
    let many_and_far = format!("so={}10000000", "0,".repeat(999));
    for n in 1..=300u32 {
        let so = match n % 3 {
            0 => "so=4294967295",
            1 => "so=0-4294967295,4294967295",
            _ => &many_and_far,
        };
        let uri = format!("magnet:?xt=urn:btih:{n:040x}&{so}");
        session.add_torrent(AddTorrentParams::new(TorrentSource::Magnet(Magnet::parse(&uri).unwrap()))).unwrap();
    }
    assert_eq!(session.torrents().unwrap().len(), 300);
    // The files that are named are wanted once they are known, and no others.
    let file = create(4, false);
    let mut params = magnet_of(&file, "so=1,3-4294967295");
    params.storage = Some(StorageKind::Memory);
    let index = session.add_torrent(params).unwrap();
    assert_eq!(add_again(&session, file_of(&file)), index);
    assert_eq!(session.torrent(index).unwrap().file_priorities().unwrap(), [0, 4, 0, 4]);
    session.close(CLOSE).unwrap();
}

#[test]
fn a_torrent_added_again_learns_what_it_did_not_know() {
    let session = ours::open();
    let mut file = create(2, false);
    let index = session.add_torrent(magnet_of(&file, "tr=http%3A%2F%2F127.0.0.1:9%2Fannounce")).unwrap();
    let torrent = session.torrent(index).unwrap();
    assert_eq!(torrent.info().unwrap_err().status, Status::NoMetadata);
    file.trackers = vec![vec!["http://127.0.0.1:9/announce".into(), "udp://127.0.0.1:9/announce".into()]];
    file.web_seeds = vec!["http://127.0.0.1:9/w/".into()];
    file.comment = Some("of the file".into());
    assert_eq!(add_again(&session, file_of(&file)), index);
    Alerts::default().wait(&session, "metadata_received", "");
    assert_eq!(torrent.info().unwrap().bytes, file.info.bytes);
    assert_eq!(torrent.trackers().unwrap().len(), 2);
    assert_eq!(torrent.web_seeds().unwrap(), ["http://127.0.0.1:9/w/"]);
    assert!(TorrentFile::parse(&torrent.metainfo().unwrap()).unwrap().comment.is_some());
    // Peers, named and by number, are tried.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut params = magnet_of(&file, "tr=udp%3A%2F%2F127.0.0.1:9%2Fother&ws=http%3A%2F%2F127.0.0.1:9%2Fv");
    params.peers = vec![listener.local_addr().unwrap()];
    assert_eq!(add_again(&session, params), index);
    assert_eq!((torrent.trackers().unwrap().len(), torrent.web_seeds().unwrap().len()), (3, 2));
    listener.accept().unwrap();
    // Who wants a duplicate to be an error and nothing else gets that.
    let mut params = magnet_of(&file, "tr=udp%3A%2F%2F127.0.0.1:9%2Fthird");
    params.flags = TorrentFlags::DUPLICATE_IS_ERROR;
    assert_eq!(add_again(&session, params), index);
    assert_eq!(torrent.trackers().unwrap().len(), 3);
    session.close(CLOSE).unwrap();
}

/// Added again while it is paused, while it goes, and by many at once: one torrent, or none, and nothing hangs.
#[test]
fn added_again_at_any_time() {
    let session = ours::open();
    let file = create(2, false);
    session.pause().unwrap();
    let index = session.add_torrent(magnet_of(&file, "")).unwrap();
    assert_eq!(add_again(&session, file_of(&file)), index);
    assert_eq!(session.torrent(index).unwrap().info().unwrap().bytes, file.info.bytes);
    session.resume().unwrap();
    session.remove_torrent(index, RemoveFlags::empty()).unwrap();
    for round in 0..100 {
        let index = session.add_torrent(magnet_of(&file, "tr=udp%3A%2F%2F127.0.0.1:9%2Fa")).unwrap();
        let again = std::thread::scope(|scope| {
            let adding = [0, 1, 2].map(|n| {
                let params = if n == round % 3 { magnet_of(&file, "x.pe=127.0.0.1:9") } else { file_of(&file) };
                let session = &session;
                scope.spawn(move || session.add_torrent(params))
            });
            session.remove_torrent(index, RemoveFlags::empty()).unwrap();
            adding.map(|thread| thread.join().unwrap())
        });
        let added: Vec<StorageIndex> = again.iter().filter_map(|a| a.as_ref().ok()).copied().collect();
        assert!(added.len() <= 1 && !added.contains(&index), "{again:?}");
        assert!(again.iter().all(|a| a.is_ok() || a.as_ref().is_err_and(|e| e.existing.is_some())));
        assert_eq!(session.torrents().unwrap(), added);
        added.into_iter().for_each(|index| session.remove_torrent(index, RemoveFlags::empty()).unwrap());
    }
    session.close(CLOSE).unwrap();
}

/// The web seeds that a torrent names are named to the caller, and left alone, however long a read waits.
#[test]
fn nothing_is_fetched_from_web_seeds() {
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    web.set_nonblocking(true).unwrap();
    let mut file = create(1, false);
    file.web_seeds = vec![format!("http://{}/film", web.local_addr().unwrap())];
    let session = ours::open();
    let index = session.add_torrent(file_of(&file)).unwrap();
    assert_eq!(session.torrent(index).unwrap().web_seeds().unwrap(), file.web_seeds);
    let reader = session.open_reader(index, 0, ReaderOptions::default()).unwrap();
    let waited = reader.read(&mut [0; 100], Some(Duration::from_millis(700)));
    assert_eq!(waited.unwrap_err().status, Status::TimedOut);
    assert!(web.accept().is_err(), "somebody came");
    drop(reader);
    session.close(CLOSE).unwrap();
}

/// What only the torrent file says is in the bytes that are given back, known or not.
#[test]
fn a_torrent_file_comes_back_with_all_that_it_said() {
    let plain = create(2, false);
    let mut bytes = b"d8:announce27:http://127.0.0.1:9/announce13:comment.utf-82:hi10:created by2:me13:creation datei18446744073709551615e8:encoding5:UTF-84:info".to_vec();
    bytes.extend_from_slice(&plain.info.bytes);
    bytes.extend_from_slice(b"5:nodesll9:127.0.0.1i9eee12:piece layersd32:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3:abce9:publisher1:\xff8:url-listl8:http://wee");
    let session = ours::open();
    let index =
        session.add_torrent(AddTorrentParams::new(TorrentSource::File(TorrentFile::parse(&bytes).unwrap()))).unwrap();
    let torrent = session.torrent(index).unwrap();
    let mut want = bytes.clone();
    // A seed of several files is a directory.
    let at = want.windows(10).position(|w| w == b"8:http://w").unwrap();
    want.splice(at..at + 10, *b"9:http://w/");
    assert_eq!(torrent.metainfo().unwrap().escape_ascii().to_string(), want.escape_ascii().to_string());
    // The trackers are those of now.
    torrent.replace_trackers(vec![vec!["udp://127.0.0.1:9/a".into()]]).unwrap();
    let again = TorrentFile::parse(&torrent.metainfo().unwrap()).unwrap();
    assert_eq!((again.trackers, again.comment.as_deref()), (vec![vec!["udp://127.0.0.1:9/a".to_owned()]], Some("hi")));
    session.close(CLOSE).unwrap();
}

/// So it is of a magnet, once its metadata is here, and of trackers and web seeds that came or went since: each in its tier.
#[test]
fn a_torrent_file_says_what_is_known_by_now() {
    let session = ours::open();
    let mut file = create(2, false);
    let magnet = "tr=udp%3A%2F%2F127.0.0.1:9%2Fa&tr=udp%3A%2F%2F127.0.0.1:9%2Fb&ws=http%3A%2F%2F127.0.0.1:9%2Fw%2F";
    let index = session.add_torrent(magnet_of(&file, magnet)).unwrap();
    let torrent = session.torrent(index).unwrap();
    assert_eq!(torrent.metainfo().unwrap_err().status, Status::NoMetadata);
    file.comment = Some("of the file".into());
    file.trackers = vec![vec!["udp://127.0.0.1:9/c".into(), "udp://127.0.0.1:9/a".into()]];
    add_again(&session, file_of(&file));
    // Within a tier the order is by chance (BEP 12).
    let parsed = |bytes: Vec<u8>| {
        let mut file = TorrentFile::parse(&bytes).unwrap();
        file.trackers.iter_mut().for_each(|tier| tier.sort());
        file
    };
    let now = || parsed(torrent.metainfo().unwrap());
    let urls = |tiers: &[&[&str]]| -> Vec<Vec<String>> {
        tiers.iter().map(|tier| tier.iter().map(|path| format!("udp://127.0.0.1:9/{path}")).collect()).collect()
    };
    assert_eq!((now().info.bytes.clone(), now().comment), (file.info.bytes.clone(), Some("of the file".to_owned())));
    assert_eq!(now().web_seeds, ["http://127.0.0.1:9/w/"]);
    let known: Vec<String> = now().trackers.into_iter().flatten().collect();
    assert_eq!(known.len(), 3, "{known:?}");
    assert!(urls(&[&["a", "b", "c"]])[0].iter().all(|url| known.contains(url)), "{known:?}");
    torrent.replace_trackers(urls(&[&["d"], &["e"]])).unwrap();
    torrent.add_tracker("udp://127.0.0.1:9/f", 1).unwrap();
    torrent.add_tracker("udp://127.0.0.1:9/g", 200).unwrap();
    assert_eq!(now().trackers, urls(&[&["d"], &["e", "f"], &["g"]]));
    // What is given back is a torrent as good as the one that it came from.
    let other = ours::open();
    let again = other.add_torrent(file_of(&now())).unwrap();
    let again = parsed(other.torrent(again).unwrap().metainfo().unwrap());
    assert_eq!((again.trackers, again.comment, again.web_seeds), (now().trackers, now().comment, now().web_seeds));
    assert_eq!(again.info.bytes, now().info.bytes);
    other.close(CLOSE).unwrap();
    torrent.replace_trackers(Vec::new()).unwrap();
    assert_eq!((now().trackers, now().comment), (Vec::<Vec<String>>::new(), Some("of the file".to_owned())));
    session.close(CLOSE).unwrap();
}

/// A node of the DHT that says nothing, to hear who asks.
fn node() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

/// The DHT is told of the nodes that a magnet and a torrent file name, but for private torrents, and those that keep out.
#[test]
fn the_dht_hears_of_nodes() {
    let session = ours::open_with(|s| {
        s.set_bool("enable_dht", true).unwrap();
        s.set_str("dht_bootstrap_nodes", "").unwrap();
    });
    let heard = |socket: &UdpSocket| socket.recv(&mut [0; 100]).is_ok();
    let (private, private_address) = node();
    let (kept_out, kept_out_address) = node();
    let (of_file, of_file_address) = node();
    let (of_magnet, of_magnet_address) = node();
    let with_node = |private: bool, files: usize, address: &str| {
        let mut file = create(files, private);
        let (host, port) = address.rsplit_once(':').unwrap();
        file.nodes = vec![(host.to_owned(), port.parse().unwrap())];
        file_of(&file)
    };
    session.add_torrent(with_node(true, 1, &private_address)).unwrap();
    let mut params = with_node(false, 2, &kept_out_address);
    params.flags = TorrentFlags::DISABLE_DHT;
    session.add_torrent(params).unwrap();
    session.add_torrent(with_node(false, 3, &of_file_address)).unwrap();
    session.add_torrent(magnet_of(&create(4, false), &format!("dht={of_magnet_address}"))).unwrap();
    assert!(heard(&of_file) && heard(&of_magnet));
    for socket in [private, kept_out] {
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(!heard(&socket), "nodes are asked in the order in which they were named");
    }
    session.close(CLOSE).unwrap();
}

/// A torrent of v2 alone is one that cannot be had yet, whichever way it is named; broken bytes are broken.
#[test]
fn v2_alone_is_unsupported() {
    let session = ours::open();
    let v2 = b"d4:infod9:file treed1:ad0:d6:lengthi5e11:pieces root32:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAeee12:meta versioni2e4:name1:a12:piece lengthi16384eee";
    assert_eq!(
        elementum_torrent::base::error::Error::from(TorrentFile::parse(v2).unwrap_err()).status,
        Status::Unsupported
    );
    for text in [format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32)), "ab".repeat(32)] {
        let params = AddTorrentParams::new(TorrentSource::Magnet(Magnet::parse(&text).unwrap()));
        assert_eq!(session.add_torrent(params).unwrap_err().error.status, Status::Unsupported);
    }
    let broken = b"d4:infod4:name1:a12:piece lengthi16384eee";
    assert_eq!(
        elementum_torrent::base::error::Error::from(TorrentFile::parse(broken).unwrap_err()).status,
        Status::Parse
    );
    session.close(CLOSE).unwrap();
}

/// What a stranger's torrent names as its tracker makes this host ask nothing of its own services, unless that is wanted.
#[test]
fn trackers_on_this_host_are_for_announces() {
    let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/admin?delete=all", service.local_addr().unwrap());
    let session = ours::open();
    let mut file = create(1, false);
    file.trackers = vec![vec![url]];
    let index = session.add_torrent(file_of(&file)).unwrap();
    Alerts::default().wait(&session, "tracker_error", "ssrf_mitigation");
    service.set_nonblocking(true).unwrap();
    assert!(service.accept().is_err(), "nobody came");
    service.set_nonblocking(false).unwrap();
    let mut settings = session.settings().unwrap();
    settings.set_bool("ssrf_mitigation", false).unwrap();
    session.apply_settings(&settings).unwrap();
    session.torrent(index).unwrap().force_reannounce().unwrap();
    service.accept().unwrap();
    session.close(CLOSE).unwrap();
}
