//! Peer exchange with one peer (BEP 11): what it was told of others, and when each side tells again.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::time::Time;
use crate::wire::ut_pex::PexMessage;

const INTERVAL: Duration = Duration::from_secs(60);
/// Two messages closer than this are one too many (with some slack for clocks).
const LEAST_INTERVAL: Duration = Duration::from_secs(45);

#[derive(Debug)]
pub struct Pex {
    /// When it is told again.
    next: Time,
    /// Whom it was told of, until it is told that they went.
    told: Vec<SocketAddr>,
    /// When it told us.
    heard: Option<Time>,
}

impl Pex {
    pub fn new(now: Time) -> Self {
        Self { next: now, told: Vec::new(), heard: None }
    }

    /// It tells of others. False: too soon again.
    pub fn hear(&mut self, now: Time) -> bool {
        let in_time = self.heard.is_none_or(|at| now.since(at) >= LEAST_INTERVAL);
        if in_time {
            self.heard = Some(now);
        }
        in_time
    }

    pub fn is_due(&self, now: Time) -> bool {
        now >= self.next
    }

    /// Addresses that are kept for it.
    pub fn num_told(&self) -> usize {
        self.told.len()
    }

    /// What it is to be told now: who came and went, at most so many of each. `connected`: who is here, `here`: their addresses, `own`: that
    /// by which it is known to others. None: nothing is new.
    pub fn tell(
        &mut self,
        now: Time,
        connected: &[(SocketAddr, u8)],
        here: &HashSet<SocketAddr>,
        own: Option<SocketAddr>,
        most: usize,
    ) -> Option<PexMessage> {
        self.next = now + INTERVAL;
        let told: HashSet<SocketAddr> = self.told.iter().copied().collect();
        let news = connected.iter().filter(|(a, _)| Some(*a) != own && !told.contains(a));
        let added: Vec<(SocketAddr, u8)> = news.take(most).copied().collect();
        let dropped: Vec<SocketAddr> = self.told.iter().filter(|a| !here.contains(a)).take(most).copied().collect();
        let message = PexMessage { added, dropped };
        if message.is_empty() {
            return None;
        }
        self.told.retain(|a| !message.dropped.contains(a));
        self.told.extend(message.added.iter().map(|(a, _)| *a));
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::BEGINNING;

    fn at(port: u16) -> SocketAddr {
        ([10, 0, 0, 1], port).into()
    }

    /// Ports of those whom a peer hears of that is known by port 1, while these are here.
    fn told(pex: &mut Pex, here: &[u16], most: usize) -> (Vec<u16>, Vec<u16>) {
        let connected: Vec<(SocketAddr, u8)> = here.iter().map(|port| (at(*port), 0)).collect();
        let here = connected.iter().map(|(a, _)| *a).collect();
        let message = pex.tell(NOW, &connected, &here, Some(at(1)), most).unwrap_or_default();
        let added = message.added.iter().map(|(a, _)| a.port()).collect();
        (added, message.dropped.iter().map(SocketAddr::port).collect())
    }

    #[test]
    fn a_peer_hears_once_who_came_and_who_went() {
        let mut pex = Pex::new(NOW);
        assert_eq!(told(&mut pex, &[1, 2, 3, 4], 2), (vec![2, 3], vec![]));
        assert_eq!(told(&mut pex, &[1, 3, 4], 2), (vec![4], vec![2]));
        assert_eq!(told(&mut pex, &[1, 3, 4], 2), (vec![], vec![]));
        assert_eq!(told(&mut pex, &[1], 1), (vec![], vec![3]));
        assert_eq!(told(&mut pex, &[3], 1), (vec![3], vec![4]));
        assert_eq!(pex.num_told(), 1);
    }

    #[test]
    fn each_side_tells_once_a_minute() {
        let mut pex = Pex::new(NOW);
        assert!(pex.is_due(NOW));
        told(&mut pex, &[], 9);
        assert!(!pex.is_due(NOW + INTERVAL / 2) && pex.is_due(NOW + INTERVAL));
        assert!(pex.hear(NOW) && !pex.hear(NOW + LEAST_INTERVAL / 2), "what comes too soon does not count");
        assert!(pex.hear(NOW + LEAST_INTERVAL));
    }
}
