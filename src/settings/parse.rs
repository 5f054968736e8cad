//! Settings that are lists in a string: interfaces to listen on, hosts with ports.

use std::net::{IpAddr, Ipv6Addr};

use crate::base::error::{Error, Result, Status};

/// Where a socket is bound: at an address, or at a network device, whatever addresses that has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Interface {
    Address(IpAddr),
    /// An address of IPv6 that is one device's alone (RFC 4007).
    Scoped(Ipv6Addr, String),
    Device(String),
}

/// One entry of `listen_interfaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenInterface {
    /// As it is written.
    pub entry: String,
    pub interface: Interface,
    /// 0: any free port.
    pub port: u16,
    /// Of the local network alone: others are not told of it, and not reached by it.
    pub local: bool,
}

impl Interface {
    fn of(host: &str) -> Self {
        let scoped = host.split_once('%').filter(|(_, device)| !device.is_empty() && !device.contains('%'));
        let scoped = scoped.and_then(|(address, device)| Some((address.parse().ok()?, device)));
        match (host.parse(), scoped) {
            (Ok(address), _) => Self::Address(address),
            (_, Some((address, device))) => Self::Scoped(address, device.to_owned()),
            _ => Self::Device(host.to_owned()),
        }
    }
}

/// Parses `listen_interfaces`: `address:port`, `[v6]:port` or `device:port`, separated by commas.
///
/// libtorrent's suffix `l` (local network only) may follow; `s` (SSL torrents) is refused, since a listener that speaks no SSL there would
/// be a surprise.
pub fn parse_listen_interfaces(text: &str) -> Result<Vec<ListenInterface>> {
    entries(text).map(listen_interface).collect()
}

fn listen_interface(entry: &str) -> Result<ListenInterface> {
    let digits_end = entry.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let has_port = digits_end.ends_with(|c: char| c.is_ascii_digit());
    let (plain, suffix) = if has_port { entry.split_at(digits_end.len()) } else { (entry, "") };
    let local = match suffix {
        "" => false,
        "l" => true,
        s if s.contains('s') => {
            return Err(Error::new(Status::Unsupported, format!("{entry:?}: SSL listeners are not supported")));
        }
        _ => return Err(Error::invalid(format!("{entry:?}: {suffix:?} is no known suffix"))),
    };
    let (host, port) = host_port(plain)?;
    Ok(ListenInterface { entry: entry.to_owned(), interface: Interface::of(host), port, local })
}

/// Parses `outgoing_interfaces`: addresses and device names, separated by commas.
pub fn parse_outgoing_interfaces(text: &str) -> Result<Vec<Interface>> {
    entries(text)
        .map(|entry| {
            let bare = entry.strip_prefix('[').and_then(|e| e.strip_suffix(']')).unwrap_or(entry);
            let interface = Interface::of(bare);
            match &interface {
                Interface::Address(ip) if ip.is_unspecified() => {
                    Err(Error::invalid(format!("{entry:?}: leave outgoing_interfaces empty for any")))
                }
                // Nothing beyond the link is reached from it.
                Interface::Scoped(ip, _) if ip.is_unicast_link_local() || ip.is_unspecified() => {
                    Err(Error::invalid(format!("{entry:?} leads nowhere: name the device alone")))
                }
                Interface::Device(name)
                    if name.len() > 255 || name.contains(|c: char| c.is_whitespace() || "[]/@:".contains(c)) =>
                {
                    Err(Error::invalid(format!("{entry:?} is neither an address nor the name of a device")))
                }
                _ => Ok(interface),
            }
        })
        .collect()
}

/// Parses `host:port` pairs separated by commas. Ports are 1 to 65535.
pub fn parse_host_ports(text: &str) -> Result<Vec<(String, u16)>> {
    entries(text)
        .map(|entry| match host_port(entry)? {
            (_, 0) => Err(Error::invalid(format!("{entry:?}: the port is 0, allowed is 1 to 65535"))),
            (host, port) => Ok((host.to_owned(), port)),
        })
        .collect()
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|e| !e.is_empty())
}

fn host_port(entry: &str) -> Result<(&str, u16)> {
    let bad = || Error::invalid(format!("{entry:?} is not of the form host:port"));
    let (host, port) = entry.rsplit_once(':').ok_or_else(bad)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(bad)?,
        None if host.contains(':') => return Err(bad()),
        None => host,
    };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if host.is_empty()
        || host.len() > 255
        || !digits
        || host.contains(|c: char| c.is_whitespace() || "[]/@".contains(c))
    {
        return Err(bad());
    }
    let port = port.parse().map_err(|_| Error::invalid(format!("{entry:?}: the port is above 65535")))?;
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn listen_interfaces() {
        let parsed = parse_listen_interfaces("0.0.0.0:6881, [::]:6882,eth0:0,127.0.0.1:7000l").expect("valid");
        let flat: Vec<_> = parsed.iter().map(|i| (i.interface.clone(), i.port, i.local)).collect();
        let address = |ip: &str| Interface::Address(ip.parse().expect("an address"));
        let device = Interface::Device("eth0".into());
        let wanted = [
            (address("0.0.0.0"), 6881, false),
            (address("::"), 6882, false),
            (device, 0, false),
            (address("127.0.0.1"), 7000, true),
        ];
        assert_eq!(flat, wanted);
        assert_eq!(parsed[3].entry, "127.0.0.1:7000l");
        let scoped = parse_listen_interfaces("[fe80::1%va]:6881").expect("valid");
        let link = "fe80::1".parse().expect("an address");
        assert_eq!((&scoped[0].interface, scoped[0].port), (&Interface::Scoped(link, "va".into()), 6881));
        assert_eq!(parse_listen_interfaces("").expect("empty is allowed"), []);
    }

    #[test]
    fn refused_interfaces() {
        for bad in
            ["x", "1.2.3.4:", "1.2.3.4:70000", "::1:80", "[::1:80", "[]:80", "a b:1", ":80", "1.2.3.4:80x", "a:+1"]
        {
            assert_eq!(parse_listen_interfaces(bad).expect_err(bad).status, Status::InvalidArgument, "{bad}");
        }
        assert_eq!(parse_listen_interfaces("0.0.0.0:1s").expect_err("ssl").status, Status::Unsupported);
    }

    #[test]
    fn outgoing_interfaces() {
        let parsed = parse_outgoing_interfaces("tun0, 192.0.2.1,,[2001:db8::1],2001:db8::2").expect("valid");
        let address = |ip: &str| Interface::Address(ip.parse().expect("an address"));
        let wanted =
            [Interface::Device("tun0".into()), address("192.0.2.1"), address("2001:db8::1"), address("2001:db8::2")];
        assert_eq!(parsed, wanted);
        assert_eq!(parse_outgoing_interfaces("").expect("any"), []);
        for bad in ["0.0.0.0", "::", "tun 0", "tun0:1", "tun0/24", "192.0.2.1:80", "[tun0]x", "[fe80::1%tun0]"] {
            assert_eq!(parse_outgoing_interfaces(bad).expect_err(bad).status, Status::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn host_ports() {
        let parsed = parse_host_ports("router.example:6881,[2001:db8::1]:1").expect("valid");
        assert_eq!(parsed, [("router.example".to_owned(), 6881), ("2001:db8::1".to_owned(), 1)]);
        assert!(parse_host_ports("router.example:0").is_err());
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "\\PC*") {
            let _ = parse_listen_interfaces(&text);
            let _ = parse_outgoing_interfaces(&text);
            let _ = parse_host_ports(&text);
        }

        #[test]
        fn pairs_come_back(pairs in prop::collection::vec(("[a-z][a-z0-9.-]{0,20}", 1_u16..), 0..5)) {
            let text = pairs.iter().map(|(h, p)| format!("{h}:{p}")).collect::<Vec<_>>().join(",");
            prop_assert_eq!(parse_host_ports(&text).expect("valid"), pairs);
        }
    }
}
