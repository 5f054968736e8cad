//! Where a session's sockets are to be: what `listen_interfaces` and `outgoing_interfaces` say, and the addresses that there are.

use std::net::{IpAddr, SocketAddr};

use super::interfaces::{Interfaces, Source};
use crate::settings::{Interface, ListenInterface};

/// A place for a socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The entry of the setting that it is of.
    pub entry: String,
    pub source: Source,
    /// 0: any.
    pub port: u16,
    /// For the local network alone.
    pub local: bool,
}

/// An entry that is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Absent {
    pub entry: String,
    pub why: &'static str,
}

impl Endpoint {
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.source.address, self.port)
    }
}

/// Of `outgoing_interfaces` those that are there.
pub fn outgoing(interfaces: &[Interface], present: &Interfaces) -> Vec<Source> {
    interfaces.iter().flat_map(|interface| present.sources(interface)).collect()
}

/// The places to listen at, in the order of the entries, each once. Where only some ways lead out, "any address" is any of those.
pub fn endpoints(
    listen: &[ListenInterface],
    outgoing: Option<&[Source]>,
    present: &Interfaces,
) -> (Vec<Endpoint>, Vec<Absent>) {
    let (mut places, mut absent): (Vec<Endpoint>, Vec<Absent>) = (Vec::new(), Vec::new());
    for ListenInterface { entry, interface, port, local } in listen {
        let (sources, why): (Vec<Source>, _) = match (interface, outgoing) {
            (Interface::Address(any), Some(outgoing)) if any.is_unspecified() => {
                let of_family = outgoing.iter().filter(|s| s.address.is_ipv4() == any.is_ipv4());
                (of_family.cloned().collect(), "none of outgoing_interfaces has an address of this family")
            }
            // One that is not there is tried: there are addresses that no device has.
            (Interface::Address(address), _) => (vec![(*address).into()], ""),
            (Interface::Scoped(address, device), _) => {
                (vec![Source { address: (*address).into(), device: Some(device.clone()) }], "")
            }
            (device @ Interface::Device(_), _) => {
                (present.sources(device).collect(), "there is no such network device, or it has no address")
            }
        };
        if sources.is_empty() {
            absent.push(Absent { entry: entry.clone(), why });
        }
        for source in sources {
            // Two devices may have the same address of their links.
            let same = |known: &Source| known.address == source.address && (!is_of_link(known) || *known == source);
            let known = places.iter().any(|p| same(&p.source) && p.port == *port);
            if !known {
                places.push(Endpoint { entry: entry.clone(), source, port: *port, local: *local });
            }
        }
    }
    (places, absent)
}

fn is_of_link(source: &Source) -> bool {
    matches!(source.address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{parse_listen_interfaces, parse_outgoing_interfaces};

    fn present() -> Interfaces {
        Interfaces::test(&[
            ("eth0", "198.51.100.1"),
            ("eth0", "2001:db8::1"),
            ("lo", "127.0.0.1"),
            ("tun0", "192.0.2.1"),
        ])
    }

    /// The places and the entries that are absent, as text.
    fn planned(listen: &str, out: &str, present: &Interfaces) -> (Vec<String>, Vec<String>) {
        let out = parse_outgoing_interfaces(out).expect("valid");
        let out = (!out.is_empty()).then(|| outgoing(&out, present));
        let listen = parse_listen_interfaces(listen).expect("valid");
        let (places, absent) = endpoints(&listen, out.as_deref(), present);
        let shown = |p: &Endpoint| {
            let device = p.source.device.as_ref().map(|d| format!("%{d}")).unwrap_or_default();
            format!("{}{device}{}", p.address(), if p.local { "l" } else { "" })
        };
        (places.iter().map(shown).collect(), absent.into_iter().map(|a| a.entry).collect())
    }

    #[test]
    fn addresses_are_taken_as_they_are_and_devices_by_their_addresses() {
        let (places, absent) = planned("0.0.0.0:1,[::]:1,eth0:2l,203.0.113.1:3,wlan0:4,eth0:2", "", &present());
        let wanted = ["0.0.0.0:1", "[::]:1", "198.51.100.1:2%eth0l", "[2001:db8::1]:2%eth0l", "203.0.113.1:3"];
        assert_eq!((places, absent), (wanted.map(str::to_owned).to_vec(), vec!["wlan0:4".to_owned()]));
    }

    #[test]
    fn an_address_of_a_link_is_on_its_device() {
        let (places, absent) = planned("[fe80::1%va]:1,[fe80::1%vb]:1,[fe80::1%va]:1", "", &present());
        assert_eq!((places, absent.len()), (vec!["[fe80::1]:1%va".to_owned(), "[fe80::1]:1%vb".to_owned()], 0));
    }

    #[test]
    fn any_address_is_one_that_leads_out() {
        let (places, absent) = planned("0.0.0.0:1,[::]:1,127.0.0.1:2", "tun0", &present());
        assert_eq!(places, ["192.0.2.1:1%tun0", "127.0.0.1:2"]);
        assert_eq!(absent, ["[::]:1"]);
        let (places, absent) = planned("0.0.0.0:1", "tun0", &Interfaces::test(&[("eth0", "198.51.100.1")]));
        assert_eq!((places.len(), absent), (0, vec!["0.0.0.0:1".to_owned()]), "tun0 is gone");
    }

    #[test]
    fn only_what_is_there_leads_out() {
        let out = |text: &str| outgoing(&parse_outgoing_interfaces(text).expect("valid"), &present()).len();
        assert_eq!((out(""), out("tun1"), out("tun0,eth0"), out("192.0.2.1")), (0, 0, 3, 1));
    }
}
