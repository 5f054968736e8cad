//! How large a packet the path takes. Packets are not to be fragmented, so one that is too large vanishes.
//!
//! Larger packets are tried with padding that the other side skips: when one vanishes its payload still fits into a smaller one.

use std::net::SocketAddr;

/// Bytes of IP's and UDP's headers.
const V4_HEADERS: usize = 28;
const V6_HEADERS: usize = 48;
/// What passes nearly everywhere, as QUIC has it.
const SAFE: usize = 1200;
/// The path's packets, with those headers, are hardly ever larger.
const ETHERNET: usize = 1500;
/// The search ends where so few bytes would be won.
const FINE: usize = 12;
/// A size that vanished so often is too large.
const TRIES: u32 = 2;
/// After as many packets it is looked whether the path takes more now.
const AGAIN_AFTER: u64 = 100_000;

/// In bytes of UDP's payload.
#[derive(Debug, Clone)]
pub struct PathMtu {
    works: usize,
    /// The smallest size that is known not to pass.
    fails: usize,
    most: usize,
    under_way: bool,
    vanished: u32,
    sent: u64,
}

impl PathMtu {
    pub fn new(remote: SocketAddr) -> Self {
        let headers = if remote.is_ipv4() { V4_HEADERS } else { V6_HEADERS };
        let most = ETHERNET - headers;
        Self { works: SAFE, fails: most + 1, most, under_way: false, vanished: 0, sent: 0 }
    }

    /// What passes, as far as it is known.
    pub fn size(&self) -> usize {
        self.works
    }

    /// The size to try with the packet that is sent next, if one is to be tried.
    pub fn next_try(&mut self) -> Option<usize> {
        self.sent += 1;
        if self.sent >= AGAIN_AFTER {
            (self.sent, self.fails, self.vanished) = (0, self.most + 1, 0);
        }
        if self.under_way || self.fails - self.works <= FINE.min(self.most + 1 - self.works) {
            return None;
        }
        self.under_way = true;
        // The usual size first.
        Some(if self.fails > self.most { self.most } else { (self.works + self.fails) / 2 })
    }

    /// The packet that was to try this size arrived.
    pub fn passed(&mut self, size: usize) {
        (self.under_way, self.vanished) = (false, 0);
        self.works = self.works.max(size);
        self.fails = self.fails.max(self.works + 1);
    }

    /// It vanished.
    pub fn failed(&mut self, size: usize) {
        self.under_way = false;
        self.vanished += 1;
        if self.vanished >= TRIES && size > self.works {
            (self.fails, self.vanished) = (self.fails.min(size), 0);
        }
    }

    /// The system says that packets of this size cannot be sent.
    pub fn refused(&mut self, size: usize) {
        if size > self.works {
            self.vanished = TRIES;
            self.failed(size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(passes: usize, remote: &str) -> (usize, u32) {
        let mut mtu = PathMtu::new(remote.parse().expect("an address"));
        let mut tries = 0;
        while let Some(size) = mtu.next_try() {
            assert_eq!(mtu.next_try(), None, "one at a time");
            tries += 1;
            assert!(tries < 50, "it ends");
            if size <= passes { mtu.passed(size) } else { mtu.failed(size) }
        }
        (mtu.size(), tries)
    }

    #[test]
    fn the_usual_size_is_found_at_once() {
        assert_eq!(search(9000, "192.0.2.1:1"), (1472, 1));
        assert_eq!(search(9000, "[2001:db8::1]:1"), (1452, 1));
    }

    #[test]
    fn every_size_is_found_closely() {
        for passes in (1200..1472).step_by(7) {
            let (found, tries) = search(passes, "192.0.2.1:1");
            assert!(found <= passes && found + FINE >= passes, "{found} of {passes}");
            assert!(tries <= 16, "{tries}");
        }
        assert_eq!(search(576, "192.0.2.1:1").0, SAFE, "less is not looked for");
    }

    #[test]
    fn one_that_is_lost_by_chance_is_tried_again() {
        let mut mtu = PathMtu::new("192.0.2.1:1".parse().unwrap());
        let size = mtu.next_try().unwrap();
        mtu.failed(size);
        assert_eq!(mtu.next_try(), Some(size));
        mtu.passed(size);
        assert_eq!((mtu.size(), mtu.next_try()), (size, None));
    }

    #[test]
    fn a_path_that_takes_more_later_is_noticed() {
        let mut mtu = PathMtu::new("192.0.2.1:1".parse().unwrap());
        while let Some(size) = mtu.next_try() {
            mtu.failed(size);
        }
        assert_eq!(mtu.size(), SAFE);
        let again = (0..AGAIN_AFTER).find_map(|_| mtu.next_try()).expect("it is tried again");
        mtu.passed(again);
        assert_eq!(mtu.size(), again);
    }
}
