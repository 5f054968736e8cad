//! Where an address from outside may lead: what a stranger's torrent names must not make this host speak to services that
//! trust it (server-side request forgery). The rules are those of libtorrent's `ssrf_mitigation`:
//!
//! * A tracker on this host is asked under a path that begins with `/announce`, and no other.
//! * A tracker's URL does not bring the arguments of an announce along.
//! * A web seed on this host or in its network has no query.
//! * A redirect leads no nearer than where it came from: not from the internet into this network, nor from there to this host.
//!
//! They are asked with the address that is about to be connected to, so that no name, and no way to write an address, leads
//! round them. Only a name that a proxy looks up is judged by itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;
use url::Url;

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Tracker,
    WebSeed,
}

/// How far away an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// This host.
    Host,
    /// Its network.
    Local,
    Global,
}

impl Reach {
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    /// Of a name that the proxy looks up: we do not learn where it leads. This host is the proxy's then.
    pub fn of_name(name: &str) -> Self {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") { Self::Host } else { Self::Global }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        let [a, b, ..] = ip.octets();
        // A connection to 0.0.0.0 arrives at this host.
        if a == 127 || a == 0 {
            Self::Host
        } else if ip.is_private() || ip.is_link_local() || a >= 224 || (a == 100 && b & 0xc0 == 64) {
            Self::Local
        } else {
            Self::Global
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        let segments = ip.segments();
        match segments {
            _ if ip.is_loopback() || ip.is_unspecified() => Self::Host,
            // Addresses that gateways and old stacks turn into IPv4: NAT64, 6to4, compatible ones.
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] | [0, 0, 0, 0, 0, 0, high, low] => {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                Self::of_v4(Ipv4Addr::new(a, b, c, d))
            }
            // Link-local, site-local, unique local, multicast.
            [first, ..] if first & 0xff80 == 0xfe80 || first & 0xfe00 == 0xfc00 || first >= 0xff00 => Self::Local,
            _ => Self::Global,
        }
    }
}

/// The rules for one fetch, with its redirects.
#[derive(Debug)]
pub struct Guard {
    enabled: bool,
    purpose: Purpose,
    /// The farthest that this fetch has been.
    farthest: Reach,
}

/// The names of what an announce tells. Who puts them into a tracker's URL wants to tell something else to somebody else.
const ANNOUNCE_ARGUMENTS: [&str; 9] =
    ["info_hash", "peer_id", "port", "uploaded", "downloaded", "left", "corrupt", "key", "event"];

impl Guard {
    pub fn new(enabled: bool, purpose: Purpose) -> Self {
        Self { enabled, purpose, farthest: Reach::Host }
    }

    /// May this be fetched, by the words of the torrent alone? `url`: without what is our own in it.
    pub fn admits_url(&self, url: &Url) -> bool {
        let named = |pair: &str| {
            let name = percent_decode_str(pair.split('=').next().unwrap_or_default()).decode_utf8_lossy();
            ANNOUNCE_ARGUMENTS.iter().any(|argument| argument.eq_ignore_ascii_case(&name))
        };
        !(self.enabled && self.purpose == Purpose::Tracker && url.query().unwrap_or_default().split('&').any(named))
    }

    /// May this be fetched from this address?
    pub fn admits(&self, url: &Url, reach: Reach) -> bool {
        if !self.enabled {
            return true;
        }
        if reach < self.farthest {
            return false;
        }
        match self.purpose {
            Purpose::Tracker => reach > Reach::Host || is_announce(url.path()),
            Purpose::WebSeed => reach > Reach::Local || url.query().is_none(),
        }
    }

    /// It was fetched from there, and may go on to where a redirect leads.
    pub fn went(&mut self, reach: Reach) {
        self.farthest = self.farthest.max(reach);
    }
}

/// Does a tracker's path begin as libtorrent wants it? Not if it leads out of there again: dots that are written plainly are
/// resolved by the URL's parser, others perhaps by the server.
fn is_announce(path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    path.starts_with("/announce") && !decoded.split(['/', '\\']).any(|element| element.split(';').next() == Some(".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn at(address: &str) -> Reach {
        Reach::of(ip(address))
    }

    #[test]
    fn names_of_this_host_are_known() {
        let names = ["localhost", "LOCALHOST.", "a.localhost", "localhost.example", "tracker.example"];
        assert_eq!(names.map(Reach::of_name), [Reach::Host, Reach::Host, Reach::Host, Reach::Global, Reach::Global]);
    }

    #[test]
    fn how_far_addresses_are() {
        for (reach, addresses) in [
            (
                Reach::Host,
                &[
                    "127.0.0.1",
                    "127.9.9.9",
                    "0.0.0.0",
                    "::1",
                    "::",
                    "::ffff:127.0.0.1",
                    "::127.0.0.1",
                    "64:ff9b::7f00:1",
                    "2002:7f00:1::",
                ][..],
            ),
            (
                Reach::Local,
                &[
                    "10.1.2.3",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "169.254.169.254",
                    "100.64.0.1",
                    "224.0.0.1",
                    "255.255.255.255",
                    "fe80::1",
                    "fc00::1",
                    "fdff::1",
                    "fec0::1",
                    "ff02::1",
                    "::ffff:192.168.0.1",
                    "64:ff9b::a00:1",
                ],
            ),
            (
                Reach::Global,
                &[
                    "1.1.1.1",
                    "172.15.0.1",
                    "172.32.0.1",
                    "100.63.0.1",
                    "100.128.0.1",
                    "2001:db8::1",
                    "::ffff:8.8.8.8",
                    "2002:808:808::",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(Reach::of(ip(address)), reach, "{address}");
            }
        }
    }

    /// However the host is written, what counts is the address that comes out.
    #[test]
    fn trackers_on_this_host_are_asked_to_announce_only() {
        let guard = Guard::new(true, Purpose::Tracker);
        let off = Guard::new(false, Purpose::Tracker);
        for host in ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1"] {
            assert_eq!(url(&format!("http://{host}/")).host_str(), Some("127.0.0.1"));
        }
        for (path, allowed) in [
            ("/announce", true),
            ("/announce?x=1", true),
            ("/announce.php", true),
            ("/announce/key", true),
            ("/", false),
            ("/admin?x=1", false),
            ("/x/announce", false),
            ("/ANNOUNCE", false),
            ("//announce", false),
            ("/announce/../admin", false),
            ("/announce/%2e%2e/admin", false),
            ("/announce/..%2fadmin", false),
            ("/announce/..%5cadmin", false),
            // Some servers take what follows the semicolon away before they look at the dots.
            ("/announce/..;/admin", false),
            ("/announce/%2e%2e%3bx=1/admin", false),
            ("/announce/key;x=1", true),
            ("/announce..", true),
            ("/%61nnounce", false),
        ] {
            let url = url(&format!("http://localhost{path}"));
            for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"] {
                assert_eq!(guard.admits(&url, at(here)), allowed, "{path} at {here}");
                assert!(off.admits(&url, at(here)));
            }
            assert!(guard.admits(&url, at("192.168.0.1")) && guard.admits(&url, at("1.1.1.1")));
        }
    }

    #[test]
    fn web_seeds_of_this_network_have_no_query() {
        let guard = Guard::new(true, Purpose::WebSeed);
        for near in ["127.0.0.1", "10.0.0.1", "fe80::1"] {
            assert!(
                guard.admits(&url("http://h/files/"), at(near)) && !guard.admits(&url("http://h/files?x"), at(near))
            );
        }
        assert!(guard.admits(&url("http://h/files?x"), at("1.1.1.1")));
    }

    #[test]
    fn redirects_lead_no_nearer() {
        let announce = url("http://h/announce");
        for purpose in [Purpose::Tracker, Purpose::WebSeed] {
            let mut guard = Guard::new(true, purpose);
            assert!(guard.admits(&announce, at("127.0.0.1")));
            guard.went(at("127.0.0.1"));
            assert!(guard.admits(&announce, at("127.0.0.1")) && guard.admits(&announce, at("10.0.0.1")));
            guard.went(at("10.0.0.1"));
            assert!(!guard.admits(&announce, at("127.0.0.1")) && guard.admits(&announce, at("10.0.0.2")));
            guard.went(at("1.1.1.1"));
            assert!(!guard.admits(&announce, at("10.0.0.1")) && guard.admits(&announce, at("8.8.8.8")));
            // Not by way of a nearer one either.
            guard.went(at("127.0.0.1"));
            assert!(!guard.admits(&announce, at("127.0.0.1")));
        }
    }

    #[test]
    fn arguments_of_an_announce_are_ours_to_say() {
        let guard = Guard::new(true, Purpose::Tracker);
        for query in ["", "?passkey=abc", "?uid=1&portal=2", "?keys=1"] {
            assert!(guard.admits_url(&url(&format!("http://h/announce{query}"))), "{query}");
        }
        for query in ["?info_hash=x", "?a=b&LEFT=0", "?port", "?%6bey=1"] {
            let url = url(&format!("http://h/announce{query}"));
            assert!(!guard.admits_url(&url), "{query}");
            assert!(Guard::new(true, Purpose::WebSeed).admits_url(&url));
            assert!(Guard::new(false, Purpose::Tracker).admits_url(&url));
        }
    }
}
