//! The network devices of this host, and their addresses.

use std::io;
use std::net::IpAddr;

use if_addrs::get_if_addrs;

use crate::settings::Interface;

/// What there was when it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces(Vec<(String, IpAddr)>);

/// Where a socket of ours is bound, beside its port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    pub address: IpAddr,
    /// The device that its packets leave by.
    pub device: Option<String>,
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self { address, device: None }
    }
}

impl Interfaces {
    /// Those of this moment, of devices that are up. It fails where there are no more file descriptors.
    pub fn now() -> io::Result<Self> {
        // One that is down, or has no carrier, keeps its addresses.
        let up = get_if_addrs()?.into_iter().filter(|interface| interface.is_oper_up());
        // `eth0:1` is a label of an address on eth0.
        let device = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
        Ok(Self::of(up.map(|interface| (device(&interface.name), interface.ip())).collect()))
    }

    fn of(mut pairs: Vec<(String, IpAddr)>) -> Self {
        // Those of a link would need its number beside them.
        pairs.retain(|(_, ip)| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()));
        pairs.sort_unstable();
        pairs.dedup();
        Self(pairs)
    }

    /// The addresses by which an interface is there now. One that is named by its address is there if any device has that.
    pub fn sources<'a>(&'a self, interface: &'a Interface) -> impl Iterator<Item = Source> + 'a {
        let of_it = move |(name, ip): &'a (String, IpAddr)| match interface {
            Interface::Device(device) => {
                (device == name).then(|| Source { address: *ip, device: Some(device.clone()) })
            }
            Interface::Scoped(address, device) => {
                (device == name && address == ip).then(|| Source { address: *ip, device: Some(device.clone()) })
            }
            Interface::Address(address) => {
                (address == ip || is_looped_back(*address, *ip)).then_some(Source { address: *address, device: None })
            }
        };
        let mut last = None;
        self.0.iter().filter_map(of_it).filter(move |source| last.replace(source.clone()).as_ref() != Some(source))
    }

    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().map(|(_, ip)| *ip)
    }

    pub fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|(_, ip)| *ip == address || is_looped_back(address, *ip))
    }

    #[cfg(test)]
    pub fn test(pairs: &[(&str, &str)]) -> Self {
        Self::of(pairs.iter().map(|(name, ip)| ((*name).to_owned(), ip.parse().expect("an address"))).collect())
    }
}

/// All of 127/8 is this host's, where it has one of them.
fn is_looped_back(address: IpAddr, there: IpAddr) -> bool {
    address.is_ipv4() && address.is_loopback() && there.is_ipv4() && there.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_there_by_its_addresses() {
        let present = Interfaces::test(&[
            ("lo", "127.0.0.1"),
            ("tun0", "192.0.2.1"),
            ("tun0", "2001:db8::1"),
            ("tun0", "fe80::1"),
            ("eth0", "198.51.100.1"),
            ("eth1", "198.51.100.1"),
        ]);
        let of = |text: &str| {
            let interface = text.parse().map_or_else(|_| Interface::Device(text.to_owned()), Interface::Address);
            let sources = present.sources(&interface);
            sources.map(|s| (s.address.to_string(), s.device)).collect::<Vec<_>>()
        };
        let on = |device: &str| Some(device.to_owned());
        assert_eq!(of("tun0"), [("192.0.2.1".to_owned(), on("tun0")), ("2001:db8::1".to_owned(), on("tun0"))]);
        assert_eq!(of("198.51.100.1"), [("198.51.100.1".to_owned(), None)], "two devices have it");
        assert_eq!(of("127.0.0.9"), [("127.0.0.9".to_owned(), None)]);
        assert!(of("192.0.2.2").is_empty() && of("tun1").is_empty() && of("::1").is_empty());
    }

    #[test]
    fn this_host_has_its_loopback() {
        let now = Interfaces::now().expect("told");
        assert!(now.has("127.0.0.1".parse().expect("an address")), "{now:?}");
    }
}
