//! What our address looks like from outside: peers and trackers tell, and two that agree are believed.

use std::collections::HashMap;
use std::net::IpAddr;

/// Addresses voted on at once; a flood of lies drops the older votes.
const MAX_CANDIDATES: usize = 64;
const ENOUGH: u32 = 2;

/// The votes, and who won last, for IPv4 and IPv6 each.
#[derive(Debug, Default)]
pub struct ExternalIp {
    votes: HashMap<IpAddr, u32>,
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
}

impl ExternalIp {
    /// Counts a vote; true if the address is news now.
    pub fn vote(&mut self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if ip.is_unspecified() || ip.is_multicast() {
            return false;
        }
        let current = if ip.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        if *current == Some(ip) {
            return false;
        }
        if self.votes.len() >= MAX_CANDIDATES && !self.votes.contains_key(&ip) {
            self.votes.clear();
        }
        let votes = self.votes.entry(ip).or_insert(0);
        *votes += 1;
        if *votes < ENOUGH {
            return false;
        }
        *current = Some(ip);
        self.votes.retain(|other, _| other.is_ipv4() != ip.is_ipv4());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_votes_make_an_address_and_one_liar_none() {
        let mut external = ExternalIp::default();
        let (a, b) = (IpAddr::from([1, 2, 3, 4]), IpAddr::from([5, 6, 7, 8]));
        assert!(!external.vote(a));
        assert!(!external.vote(b));
        assert!(external.vote(a));
        assert!(!external.vote(a), "no news");
        assert!(!external.vote(b));
        assert!(external.vote(b), "it moved");
        assert!(!external.vote(IpAddr::from([0, 0, 0, 0])));
    }
}
