//! Accepted connections whose handshake is not complete. They hold no place of the session's: they have a bound of their own,
//! and one for each address. Where one is reached, the oldest makes way: who means it has said its few bytes by then.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::base::address::household;

/// Connections in all, and from one address (or network of an IPv6 address).
const MOST: usize = 128;
const MOST_OF_ONE: usize = 32;

#[derive(Debug)]
struct Entry {
    id: u64,
    from: IpAddr,
    gone: CancellationToken,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    entries: VecDeque<Entry>,
}

/// Those who wait at the door, the oldest in front.
#[derive(Debug, Default)]
pub struct HalfOpen {
    list: Mutex<List>,
}

/// A connection that is being greeted, counted until it is dropped.
#[derive(Debug)]
pub struct Guest {
    door: Arc<HalfOpen>,
    id: u64,
    /// It is to make way.
    pub gone: CancellationToken,
}

impl HalfOpen {
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Guest {
        let from = household(address);
        let gone = CancellationToken::new();
        let mut list = self.list.lock();
        let of_one = list.entries.iter().filter(|e| e.from == from).count();
        let oldest = if of_one >= MOST_OF_ONE {
            list.entries.iter().position(|e| e.from == from)
        } else {
            (list.entries.len() >= MOST).then_some(0)
        };
        if let Some(entry) = oldest.and_then(|at| list.entries.remove(at)) {
            entry.gone.cancel();
        }
        list.next += 1;
        let id = list.next;
        list.entries.push_back(Entry { id, from, gone: gone.clone() });
        Guest { door: self.clone(), id, gone }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.door.list.lock().entries.retain(|e| e.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(n: u8, last: u8) -> IpAddr {
        [10, 0, n, last].into()
    }

    #[test]
    fn the_oldest_of_an_address_makes_way_for_its_next() {
        let door = Arc::new(HalfOpen::default());
        let other = door.enter(from(1, 1));
        let guests: Vec<Guest> = (0..300).map(|_| door.enter(from(2, 2))).collect();
        let waiting = guests.iter().filter(|g| !g.gone.is_cancelled()).count();
        assert_eq!(waiting, MOST_OF_ONE);
        assert!(guests.last().is_some_and(|g| !g.gone.is_cancelled()), "the newest is greeted");
        assert!(!other.gone.is_cancelled(), "others are not touched");
        drop((other, guests));
        assert!(door.list.lock().entries.is_empty());
    }

    #[test]
    fn all_together_have_a_bound() {
        let door = Arc::new(HalfOpen::default());
        let guests: Vec<Guest> = (0..=255).map(|n| door.enter(from(n, 1))).collect();
        let waiting: Vec<bool> = guests.iter().map(|g| !g.gone.is_cancelled()).collect();
        assert_eq!(waiting.iter().filter(|w| **w).count(), MOST);
        assert!(waiting.iter().skip(256 - MOST).all(|w| *w), "the last ones");
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_address() {
        let door = Arc::new(HalfOpen::default());
        let at = |host: u16| IpAddr::from([0x2a01, 0, 0, 7, 0, 0, 0, host]);
        let guests: Vec<Guest> = (0..100).map(|n| door.enter(at(n))).collect();
        assert_eq!(guests.iter().filter(|g| !g.gone.is_cancelled()).count(), MOST_OF_ONE);
    }
}
