//! Against a real tracker: Debian's opentracker, over HTTP and UDP.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::fake::request;
use super::{AnnounceLimits, TrackerClient, TrackerOptions};
use crate::alert::AnnounceEvent;
use crate::metainfo::info_hash::Sha1Hash;

const SCHEMES: [&str; 2] = ["http", "udp"];

/// A torrent for each protocol.
fn info_hash(scheme: &str) -> Sha1Hash {
    Sha1Hash([scheme.as_bytes()[0]; 20])
}

struct OpenTracker(Child);

impl Drop for OpenTracker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|dir| dir.join("opentracker")).find(|p| p.is_file())
}

/// Free for both protocols.
fn free_port() -> u16 {
    loop {
        let udp = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = udp.local_addr().expect("an address");
        if std::net::TcpListener::bind(address).is_ok() {
            return address.port();
        }
    }
}

#[tokio::test]
async fn a_real_tracker() {
    let Some(program) = program() else {
        eprintln!("skipped: opentracker is not installed (Debian package opentracker)");
        return;
    };
    let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port().to_string());
    // Debian's serves only what it is told to. Started by root, it becomes nobody and still has to read this.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
    let hashes = SCHEMES.map(|scheme| info_hash(scheme).to_hex()).join("\n");
    std::fs::write(dir.path().join("whitelist"), format!("{hashes}\n")).expect("written");
    let child = Command::new(program)
        .args(["-i", "127.0.0.1", "-p", &port, "-P", &port, "-d", ".", "-w", "whitelist"])
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let _tracker = OpenTracker(child);
    let client = TrackerClient::direct(&TrackerOptions::default());
    let limits = AnnounceLimits {
        completion_timeout: Duration::from_secs(5),
        udp_retry: Duration::from_millis(500),
        ..AnnounceLimits::default()
    };
    for scheme in SCHEMES {
        let url = format!("{scheme}://127.0.0.1:{port}/announce");
        let announce = async |n: u8, left: u64, event| {
            let mut request = request(&url);
            request.info_hash = info_hash(scheme);
            request.peer_id[19] = n;
            request.key = n.into();
            request.port = 7000 + u16::from(n);
            request.left = left;
            request.event = event;
            for _ in 0..50 {
                match client.announce(&request, &limits).await {
                    Ok(reply) => return reply,
                    // it has just been started
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
            panic!("no answer from {url}");
        };
        let seeder = announce(1, 0, AnnounceEvent::Started).await;
        assert!(seeder.interval_s > 0, "{seeder:?}");
        let leecher = announce(2, 100, AnnounceEvent::Started).await;
        let expected = SocketAddr::from((Ipv4Addr::LOCALHOST, 7001));
        assert!(leecher.peers.contains(&expected), "{leecher:?}");
        assert_eq!((leecher.complete, leecher.incomplete), (Some(1), Some(1)), "{leecher:?}");
        let done = announce(2, 0, AnnounceEvent::Completed).await;
        assert_eq!((done.complete, done.incomplete), (Some(2), Some(0)), "{done:?}");
        announce(1, 0, AnnounceEvent::Stopped).await;
        let alone = announce(2, 0, AnnounceEvent::None).await;
        assert_eq!(alone.complete, Some(1), "{alone:?}");
        assert!(!alone.peers.contains(&expected), "{alone:?}");
    }
}
