//! What our address looks like from outside: peers and trackers tell, and what most of the last few say is believed.

use crate::base::address::household;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

/// So many voters count, the last ones; of each address family.
const VOTERS: usize = 8;
const ENOUGH: usize = 2;

/// Who says what our address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voter {
    /// A peer there.
    Peer(IpAddr),
    /// The tracker of that name.
    Tracker(String),
}

/// The votes on an address of one family.
#[derive(Debug, Default)]
struct Ballot {
    /// Who said what, each once, the latest behind.
    votes: VecDeque<(Voter, IpAddr)>,
    elected: Option<IpAddr>,
}

impl Ballot {
    fn count(&self, ip: IpAddr) -> usize {
        self.votes.iter().filter(|(_, said)| *said == ip).count()
    }

    fn vote(&mut self, voter: Voter, ip: IpAddr) -> bool {
        self.votes.retain(|(who, _)| *who != voter);
        if self.votes.len() >= VOTERS {
            self.votes.pop_front();
        }
        self.votes.push_back((voter, ip));
        let rival = self.elected.map_or(0, |elected| self.count(elected));
        let is_news = self.elected != Some(ip) && self.count(ip) >= ENOUGH && self.count(ip) > rival;
        if is_news {
            self.elected = Some(ip);
        }
        is_news
    }
}

/// The votes, and who won last, for IPv4 and IPv6 each.
#[derive(Debug, Default)]
pub struct ExternalIp {
    v4: Ballot,
    v6: Ballot,
}

impl ExternalIp {
    /// `voter` says that our address is `ip`: each voter has one vote. True if the address is news now.
    pub fn vote(&mut self, voter: Voter, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if !is_global(ip) {
            return false;
        }
        let ballot = if ip.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let voter = match voter {
            Voter::Peer(at) => Voter::Peer(household(at)),
            tracker @ Voter::Tracker(_) => tracker,
        };
        ballot.vote(voter, ip)
    }

    /// Who won, of each family.
    pub fn elected(&self) -> Vec<IpAddr> {
        [&self.v4, &self.v6].into_iter().filter_map(|ballot| ballot.elected).collect()
    }
}

/// Can an address be reached from anywhere? Not private, shared (RFC 6598), local ones, nor those of many.
fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && b & 0xc0 == 64;
            let local = v4.is_private() || v4.is_loopback() || v4.is_link_local();
            !(shared || local || a == 0 || a >= 224)
        }
        // 6to4 is as far away as the address within.
        IpAddr::V6(v6) if v6.to_bits() >> 112 == 0x2002 => {
            is_global(Ipv4Addr::from_bits((v6.to_bits() >> 80) as u32).into())
        }
        // Of IPv6 all that is handed out so far begins with these three bits.
        IpAddr::V6(v6) => v6.to_bits() >> 125 == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(n: u8) -> Voter {
        Voter::Peer([80, 0, 0, n].into())
    }

    const A: [u8; 4] = [1, 2, 3, 4];
    const B: [u8; 4] = [5, 6, 7, 8];

    #[test]
    fn two_voters_make_an_address_and_one_liar_none() {
        let mut external = ExternalIp::default();
        assert!(!external.vote(voter(1), A.into()));
        assert!(!external.vote(voter(1), A.into()), "one voter, one vote");
        assert!(!external.vote(voter(1), B.into()) && !external.vote(voter(1), A.into()));
        assert!(external.vote(voter(2), A.into()));
        assert!(!external.vote(voter(3), A.into()), "no news");
    }

    #[test]
    fn it_moves_when_most_say_so_and_two_liars_do_not_move_it() {
        let mut external = ExternalIp::default();
        assert!((1..=6).filter(|n| external.vote(voter(*n), A.into())).count() == 1);
        for _ in 0..100 {
            assert!(!external.vote(voter(100), B.into()) && !external.vote(voter(101), B.into()));
        }
        assert!((7..=12).any(|n| external.vote(voter(n), B.into())));
    }

    #[test]
    fn nobody_is_seen_at_a_local_address() {
        let local = ["127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.0.1", "100.64.0.1", "0.0.0.0"];
        let more = ["224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fd00::1"];
        let last =
            ["ff02::1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:c0a8:101::1", "64:ff9b::7f00:1", "::127.0.0.1"];
        let mut external = ExternalIp::default();
        for ip in local.into_iter().chain(more).chain(last) {
            let ip: IpAddr = ip.parse().expect("an address");
            assert!((1..9).all(|n| !external.vote(voter(n), ip)), "{ip}");
        }
    }

    #[test]
    fn what_wraps_a_global_address_is_global() {
        for ip in ["::ffff:1.2.3.4", "2002:102:304::1", "2a00::1"] {
            let mut external = ExternalIp::default();
            let ip: IpAddr = ip.parse().expect("an address");
            assert!((1..4).any(|n| external.vote(voter(n), ip)), "{ip}");
        }
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_voter() {
        let mut external = ExternalIp::default();
        let ours: IpAddr = "2a00:1::5".parse().expect("an address");
        let at = |host: u16| Voter::Peer([0x2a01, 0, 0, 7, 0, 0, 0, host].into());
        assert!((0..20).all(|n| !external.vote(at(n), ours)));
        assert!(external.vote(Voter::Tracker("tracker.example".into()), ours));
    }
}
