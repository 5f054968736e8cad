//! Who asks too much is not answered for a while, and all answers together are bounded: queries are forged and sent by others to have us send.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::address::household;
use crate::base::time::Time;

/// Queries are counted over so long.
const WINDOW: Duration = Duration::from_secs(10);
const BLOCKED: Duration = Duration::from_secs(300);
/// Who is counted, the latest.
const MAX_COUNTED: usize = 512;
/// What was not sent may be sent later, of so long.
const SAVED: u64 = 3;

#[derive(Debug)]
struct Count {
    since: Time,
    queries: u32,
    blocked_until: Time,
}

#[derive(Debug, Default)]
pub struct FloodGuard {
    counts: HashMap<IpAddr, Count>,
}

impl FloodGuard {
    /// Is it not to be answered, whatever it says?
    pub fn is_blocked(&self, now: Time, ip: IpAddr) -> bool {
        self.counts.get(&household(ip)).is_some_and(|count| count.blocked_until > now)
    }

    /// May it be answered? `rate`: queries a second of one address. This host's own are not counted.
    pub fn admits(&mut self, now: Time, ip: IpAddr, rate: u32) -> bool {
        if ip.is_loopback() {
            return true;
        }
        let home = household(ip);
        if !self.counts.contains_key(&home) && self.counts.len() >= MAX_COUNTED {
            self.counts.retain(|_, c| now.since(c.since) < WINDOW || c.blocked_until > now);
            if self.counts.len() >= MAX_COUNTED {
                // Many addresses at once: the bound on all of them holds.
                return true;
            }
        }
        let count = self.counts.entry(home).or_insert(Count { since: now, queries: 0, blocked_until: Time::ZERO });
        if count.blocked_until > now {
            return false;
        }
        if now.since(count.since) >= WINDOW {
            (count.since, count.queries) = (now, 0);
        }
        count.queries += 1;
        let most = rate.saturating_mul(WINDOW.as_secs() as u32);
        if count.queries > most {
            count.blocked_until = now + BLOCKED;
        }
        count.queries <= most
    }
}

/// What may be sent, in bytes.
#[derive(Debug)]
pub struct SendQuota {
    left: i64,
    since: Time,
}

impl SendQuota {
    pub fn new(now: Time) -> Self {
        Self { left: i64::MAX, since: now }
    }

    /// `rate`: bytes a second.
    pub fn has_some(&mut self, now: Time, rate: u64) -> bool {
        let earned = now.since(self.since).as_micros().saturating_mul(rate.into()) / 1_000_000;
        let most = i64::try_from(rate.saturating_mul(SAVED)).unwrap_or(i64::MAX);
        if earned > 0 || self.left > most {
            self.left = self.left.saturating_add(i64::try_from(earned).unwrap_or(i64::MAX)).min(most);
            self.since = now;
        }
        self.left > 0
    }

    /// What we ask counts, and is asked all the same.
    pub fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::BEGINNING;

    #[test]
    fn a_flood_is_not_answered_and_others_are() {
        let mut guard = FloodGuard::default();
        let (noisy, calm) = (IpAddr::from([9, 9, 9, 9]), IpAddr::from([8, 8, 8, 8]));
        let answered = (0..1000).filter(|_| guard.admits(NOW, noisy, 5)).count();
        assert_eq!(answered, 50);
        assert!(guard.is_blocked(NOW, noisy) && !guard.is_blocked(NOW, calm));
        assert!(guard.admits(NOW, calm, 5));
        assert!(!guard.admits(NOW + Duration::from_secs(290), noisy, 5));
        assert!(guard.admits(NOW + Duration::from_secs(301), noisy, 5));
        // One each second may go on for ever.
        assert!((0..1000).all(|n| guard.admits(NOW + Duration::from_secs(n), calm, 5)));
        for n in 0..5000u32 {
            guard.admits(NOW, std::net::Ipv4Addr::from(0x0b00_0000 + n).into(), 5);
        }
        assert!(guard.counts.len() <= MAX_COUNTED);
        assert!((0..1000).all(|_| guard.admits(NOW, [127, 0, 0, 1].into(), 5)));
    }

    #[test]
    fn all_together_are_bounded() {
        let mut quota = SendQuota::new(NOW);
        let mut sent = 0;
        for ms in 0..100_000 {
            let now = NOW + Duration::from_millis(ms);
            while quota.has_some(now, 8000) {
                quota.spend(300);
                sent += 300;
            }
        }
        assert!((800_000..825_000).contains(&sent), "{sent}");
        quota.spend(80_000);
        assert!(
            !quota.has_some(NOW + Duration::from_secs(105), 8000)
                && quota.has_some(NOW + Duration::from_secs(115), 8000)
        );
        assert!(!SendQuota::new(NOW).has_some(NOW, 0));
    }
}
