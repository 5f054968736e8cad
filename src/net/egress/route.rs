//! Which way each kind of traffic goes: directly, through the proxy, or not at all. What the settings say, and nothing else.
//!
//! There is no way back: what is to go through a proxy that does not work, or that cannot carry it, does not go.

use crate::settings::{Interface, Settings, parse_outgoing_interfaces};
use crate::wire::stream_kind::Carrier;

/// What goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Connections with peers, those that come included.
    Peers,
    Trackers,
    /// It is of no torrent alone. Of proxies those of SOCKS5 carry it.
    Dht,
}

/// How it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    Direct,
    Through(&'a Proxy),
    /// `force_proxy`, and there is no proxy; or one that cannot carry this.
    Nowhere,
}

/// libtorrent's `proxy_type_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyType {
    Socks4,
    Socks5,
    /// With user name and password (RFC 1929).
    Socks5Password,
    Http,
    /// With user name and password (Basic).
    HttpPassword,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub kind: ProxyType,
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: String,
}

/// The password is told to nobody.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}:{}", self.kind, self.host, self.port)
    }
}

/// The ways of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    proxy: Option<Proxy>,
    peers: bool,
    trackers: bool,
    names: bool,
    forced: bool,
    outgoing: Vec<Interface>,
}

impl ProxyType {
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpPassword)
    }

    fn of(setting: i64) -> Option<Self> {
        match setting {
            1 => Some(Self::Socks4),
            2 => Some(Self::Socks5),
            3 => Some(Self::Socks5Password),
            4 => Some(Self::Http),
            5 => Some(Self::HttpPassword),
            _ => None,
        }
    }
}

impl Proxy {
    fn of(settings: &Settings) -> Option<Self> {
        Some(Self {
            kind: ProxyType::of(settings.proxy_type)?,
            host: settings.proxy_hostname.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: u16::try_from(settings.proxy_port).unwrap_or(0),
            username: settings.proxy_username.clone(),
            password: settings.proxy_password.clone(),
        })
    }
}

impl Proxy {
    /// What its settings lack, if they lack anything: no proxy is ever reached with them.
    pub fn lacks(&self) -> Option<&'static str> {
        let logs_in = self.kind == ProxyType::Socks5Password;
        match self {
            Self { host, .. } if host.is_empty() => Some("proxy_hostname is empty"),
            Self { port: 0, .. } => Some("proxy_port is 0"),
            Self { username, .. } if logs_in && username.is_empty() => {
                Some("proxy_username is empty, and proxy_type 3 needs one")
            }
            Self { password, .. } if logs_in && password.is_empty() => {
                Some("proxy_password is empty, and proxy_type 3 needs one")
            }
            _ => None,
        }
    }
}

impl Route {
    pub fn of(settings: &Settings) -> Self {
        Self {
            proxy: Proxy::of(settings),
            peers: settings.proxy_peer_connections,
            trackers: settings.proxy_tracker_connections,
            names: settings.proxy_hostnames,
            forced: settings.force_proxy,
            // It was checked.
            outgoing: parse_outgoing_interfaces(&settings.outgoing_interfaces).unwrap_or_default(),
        }
    }

    /// What goes out goes by these alone; none: by any.
    pub fn outgoing(&self) -> &[Interface] {
        &self.outgoing
    }

    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    pub fn way(&self, traffic: Traffic) -> Way<'_> {
        let through = self.forced
            || match traffic {
                Traffic::Peers => self.peers,
                Traffic::Trackers => self.trackers,
                // Who is not to be seen by peers is not to be seen by nodes.
                Traffic::Dht => self.peers,
            };
        match &self.proxy {
            None if self.forced => Way::Nowhere,
            None => Way::Direct,
            Some(_) if !through => Way::Direct,
            Some(proxy) => Way::Through(proxy),
        }
    }

    /// What a TCP connection that way runs over.
    pub fn carrier(&self, traffic: Traffic) -> Carrier {
        match self.way(traffic) {
            Way::Through(proxy) if proxy.kind.is_http() => Carrier::Http,
            Way::Through(_) => Carrier::Socks,
            Way::Direct | Way::Nowhere => Carrier::Tcp,
        }
    }

    /// Does UDP go that way? Of proxies those of SOCKS5 can carry it.
    pub fn carries_udp(&self, traffic: Traffic) -> bool {
        match self.way(traffic) {
            Way::Direct => true,
            Way::Through(proxy) => matches!(proxy.kind, ProxyType::Socks5 | ProxyType::Socks5Password),
            Way::Nowhere => false,
        }
    }

    pub fn is_direct(&self, traffic: Traffic) -> bool {
        self.way(traffic) == Way::Direct
    }

    /// Are names looked up here? Else the proxy does, who is given them.
    pub fn resolves(&self, traffic: Traffic) -> bool {
        match self.way(traffic) {
            Way::Direct => true,
            Way::Through(_) => !self.names && !self.forced,
            Way::Nowhere => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Traffic::{Dht, Peers, Trackers};

    fn route(change: impl FnOnce(&mut Settings)) -> Route {
        let mut settings = Settings::default();
        change(&mut settings);
        Route::of(&settings)
    }

    fn through(route: &Route) -> Vec<Traffic> {
        [Peers, Trackers, Dht].into_iter().filter(|t| matches!(route.way(*t), Way::Through(_))).collect()
    }

    fn direct(route: &Route) -> Vec<Traffic> {
        [Peers, Trackers, Dht].into_iter().filter(|t| route.is_direct(*t)).collect()
    }

    #[test]
    fn without_a_proxy_all_goes_directly_and_with_force_nothing_goes() {
        let usual = route(|_| ());
        assert_eq!((direct(&usual), usual.resolves(Peers)), (vec![Peers, Trackers, Dht], true));
        let forced = route(|s| s.force_proxy = true);
        assert_eq!((direct(&forced), through(&forced), forced.resolves(Trackers)), (vec![], vec![], false));
    }

    #[test]
    fn a_proxy_carries_what_it_is_to() {
        let all = route(|s| s.proxy_type = 2);
        assert_eq!((direct(&all), through(&all)), (vec![], vec![Peers, Trackers, Dht]));
        assert!(all.carries_udp(Dht) && !route(|s| s.proxy_type = 4).carries_udp(Dht));
        assert!(!all.resolves(Peers) && !all.resolves(Trackers) && !all.resolves(Dht));
        let some = route(|s| (s.proxy_type, s.proxy_peer_connections, s.proxy_hostnames) = (5, false, false));
        assert_eq!((direct(&some), through(&some)), (vec![Peers, Dht], vec![Trackers]));
        assert!(some.resolves(Peers) && some.resolves(Trackers));
        let forced = route(|s| {
            (s.proxy_type, s.force_proxy, s.proxy_hostnames) = (1, true, false);
            (s.proxy_peer_connections, s.proxy_tracker_connections) = (false, false);
        });
        assert_eq!(
            (direct(&forced), through(&forced), forced.resolves(Trackers)),
            (vec![], vec![Peers, Trackers, Dht], false)
        );
    }

    #[test]
    fn what_a_proxy_lacks_is_told() {
        let lacks = |kind, host: &str, port, name: &str, password: &str| {
            let route = route(|s| {
                (s.proxy_type, s.proxy_hostname, s.proxy_port) = (kind, host.into(), port);
                (s.proxy_username, s.proxy_password) = (name.into(), password.into());
            });
            route.proxy().and_then(Proxy::lacks).map(|what| what.split(' ').next().unwrap_or_default())
        };
        assert_eq!(lacks(2, "", 1080, "", ""), Some("proxy_hostname"));
        assert_eq!(lacks(4, "h", 0, "", ""), Some("proxy_port"));
        assert_eq!(lacks(3, "h", 1080, "", "secret"), Some("proxy_username"));
        assert_eq!(lacks(3, "h", 1080, "me", ""), Some("proxy_password"));
        assert!([1, 2, 4, 5].iter().all(|kind| lacks(*kind, "h", 1080, "", "").is_none()));
        assert_eq!(lacks(0, "", 0, "", ""), None, "there is none");
    }

    #[test]
    fn a_password_is_not_shown() {
        let route = route(|s| {
            (s.proxy_type, s.proxy_port) = (3, 1080);
            (s.proxy_hostname, s.proxy_password) = ("[::1]".into(), "secret".into());
        });
        let shown = format!("{route:?}");
        assert!(shown.contains("Socks5Password ::1:1080") && !shown.contains("secret"), "{shown}");
    }
}
