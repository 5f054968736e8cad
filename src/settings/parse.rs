//! Settings that are lists in a string: interfaces to listen on, hosts with ports.

use std::net::IpAddr;

use crate::base::error::{Error, Result, Status};

/// One entry of `listen_interfaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenInterface {
    /// An address, or the name of a network device.
    pub host: String,
    /// The address, where `host` is one.
    pub address: Option<IpAddr>,
    /// 0: any free port.
    pub port: u16,
}

/// Parses `listen_interfaces`: `address:port`, `[v6]:port` or `device:port`, separated by commas.
///
/// libtorrent's suffix `l` (local network only) is accepted; `s` (SSL torrents) is refused, since a listener that speaks
/// no SSL there would be a surprise.
pub fn parse_listen_interfaces(text: &str) -> Result<Vec<ListenInterface>> {
    entries(text).map(listen_interface).collect()
}

fn listen_interface(entry: &str) -> Result<ListenInterface> {
    let digits_end = entry.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let has_port = digits_end.ends_with(|c: char| c.is_ascii_digit());
    let (plain, suffix) = if has_port { entry.split_at(digits_end.len()) } else { (entry, "") };
    match suffix {
        "" | "l" => {}
        s if s.contains('s') => {
            return Err(Error::new(Status::Unsupported, format!("{entry:?}: SSL listeners are not supported")));
        }
        _ => return Err(Error::invalid(format!("{entry:?}: {suffix:?} is no known suffix"))),
    }
    let (host, port) = host_port(plain)?;
    Ok(ListenInterface { host: host.to_owned(), address: host.parse().ok(), port })
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
        let flat: Vec<_> = parsed.iter().map(|i| (i.host.as_str(), i.address.is_some(), i.port)).collect();
        assert_eq!(flat, [("0.0.0.0", true, 6881), ("::", true, 6882), ("eth0", false, 0), ("127.0.0.1", true, 7000)]);
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
    fn host_ports() {
        let parsed = parse_host_ports("router.example:6881,[2001:db8::1]:1").expect("valid");
        assert_eq!(parsed, [("router.example".to_owned(), 6881), ("2001:db8::1".to_owned(), 1)]);
        assert!(parse_host_ports("router.example:0").is_err());
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "\\PC*") {
            let _ = parse_listen_interfaces(&text);
            let _ = parse_host_ports(&text);
        }

        #[test]
        fn pairs_come_back(pairs in prop::collection::vec(("[a-z][a-z0-9.-]{0,20}", 1_u16..), 0..5)) {
            let text = pairs.iter().map(|(h, p)| format!("{h}:{p}")).collect::<Vec<_>>().join(",");
            prop_assert_eq!(parse_host_ports(&text).expect("valid"), pairs);
        }
    }
}
