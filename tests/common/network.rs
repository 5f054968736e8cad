//! A network of a test's own, in which it is seen what leaves a host and by which way; and a second host in it.

use std::process::Command;
use std::time::{Duration, Instant};

use elementum_torrent::metainfo::Magnet;
use elementum_torrent::session::{AddTorrentParams, Session, StorageIndex, TorrentSource};
use elementum_torrent::settings::Settings;

use super::peers::Peer;
use super::temp::TempDir;

/// Set in a process that runs where nothing but what it makes itself is to be reached.
const OWN_NETWORK: &str = "ELEMENTUM_TEST_OWN_NETWORK";

/// Runs the test `name` in a network namespace of its own, with name servers that are nowhere.
/// `ways`: its devices, each with the number of its network; the first one leads everywhere else, too.
pub fn in_own_network(name: &str, ways: &[(&str, u8)], body: impl FnOnce(Peer)) {
    if std::env::var(OWN_NETWORK).is_ok() {
        let mut python = Command::new("python3");
        python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/capture.py"));
        for (name, number) in ways {
            python.args([name, number.to_string().as_str()]);
        }
        let mut capture = Peer::start("capture", python);
        capture.wait("ways out");
        return body(capture);
    }
    let script = "printf 'nameserver 10.7.0.53\\noptions timeout:1 attempts:1\\n' > \"$0\" && mount --bind \"$0\" /etc/resolv.conf \
                  && exec \"$@\"";
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "--mount"]);
        command
    };
    // Some systems let nobody but root make one.
    if !unshare().arg("true").status().unwrap().success() {
        return eprintln!("{name} was NOT run: no network namespace can be made here");
    }
    let dir = TempDir::new();
    let mut command = unshare();
    command.args(["sh", "-c", script]);
    command.arg(dir.path().join("resolv.conf")).arg(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(OWN_NETWORK, "1");
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{name}: {}\n{said}", output.status);
}

/// All that a session may want of the network, at once.
pub fn want_everything(session: &Session, n: u8) -> StorageIndex {
    let magnet = format!(
        "magnet:?xt=urn:btih:{:040x}&tr=http%3A%2F%2Ftracker.example%2Fannounce&tr=http%3A%2F%2F10.7.0.1%2Fannounce\
         &tr=udp%3A%2F%2Ftracker.example%3A80%2Fannounce&tr=udp%3A%2F%2F10.7.0.2%3A80%2Fannounce\
         &x.pe=10.7.0.3%3A6881&x.pe=peer.example%3A6881",
        u64::from(n) + 1
    );
    let params = AddTorrentParams::new(TorrentSource::Magnet(Magnet::parse(&magnet).unwrap()));
    let index = session.add_torrent(params).unwrap();
    session.torrent(index).unwrap().connect_peer("10.7.0.4:6881".parse().unwrap()).unwrap();
    session.add_dht_node("10.7.0.5", 6881).unwrap();
    session.add_dht_node("node.example", 6881).unwrap();
    index
}

pub fn wanting(settings: &mut Settings) {
    settings.set_str("listen_interfaces", "0.0.0.0:0").unwrap();
    settings.set_bool("enable_dht", true).unwrap();
    settings.set_str("dht_bootstrap_nodes", "10.7.0.6:6881,router.example:6881").unwrap();
    settings.set_int("stop_tracker_timeout", 1).unwrap();
}

/// What leaves in that time: by which device, by which protocol, and where to.
pub fn packets(capture: &mut Peer, time: Duration) -> Vec<String> {
    let until = Instant::now() + time;
    std::iter::from_fn(|| capture.wait_within("packet", until.saturating_duration_since(Instant::now()))).collect()
}

/// In which what should not leave would have left.
pub const A_WHILE: Duration = Duration::from_secs(3);

/// Runs `ip` with these arguments.
pub fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}: {status}");
}

/// Another host, at the other end of a device of ours.
pub struct Host {
    holder: Peer,
}

impl Host {
    /// `device` is ours, and has `ours`; the other end has `theirs`.
    pub fn at(device: &str, ours: &str, theirs: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && echo stands && cat"]);
        let mut holder = Peer::start("another host", command);
        holder.wait("stands");
        ip(&format!("link add {device} type veth peer name there netns {}", holder.id()));
        ip(&format!("addr add {ours}/24 dev {device}"));
        ip(&format!("link set {device} up"));
        let host = Self { holder };
        for arguments in [format!("addr add {theirs}/24 dev there"), "link set there up".to_owned()] {
            let mut command = Command::new("ip");
            command.args(arguments.split_whitespace());
            assert!(host.there(&command).status().unwrap().success(), "{arguments}");
        }
        host
    }

    /// The same command, on that host.
    pub fn there(&self, command: &Command) -> Command {
        let mut there = Command::new("nsenter");
        there.args(["--target", &self.holder.id().to_string(), "--net", "--preserve-credentials", "--"]);
        there.arg(command.get_program()).args(command.get_args());
        there
    }
}
