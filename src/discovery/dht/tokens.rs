//! Write tokens (BEP 5): who announces shows that it is where it says, by what it was given there a while ago.

use std::net::IpAddr;
use std::time::Duration;

use sha1::{Digest, Sha1};

use super::chance::Chance;
use crate::base::time::Time;

/// A token is good for so long, and up to twice that.
const LIFE: Duration = Duration::from_secs(300);
const TOKEN_BYTES: usize = 8;

#[derive(Debug)]
pub struct Tokens {
    secret: [u8; 20],
    before: [u8; 20],
    since: Time,
}

impl Tokens {
    pub fn new(now: Time, chance: &mut Chance) -> Self {
        Self { secret: chance.draw(), before: chance.draw(), since: now }
    }

    /// For whoever is there, until it is old.
    pub fn token(&mut self, now: Time, ip: IpAddr, chance: &mut Chance) -> Vec<u8> {
        self.renew(now, chance);
        of(&self.secret, ip)
    }

    pub fn is_good(&mut self, now: Time, ip: IpAddr, token: &[u8], chance: &mut Chance) -> bool {
        self.renew(now, chance);
        [self.secret, self.before].iter().any(|secret| of(secret, ip) == token)
    }

    fn renew(&mut self, now: Time, chance: &mut Chance) {
        if now.since(self.since) < LIFE {
            return;
        }
        self.before = self.secret;
        self.secret = chance.draw();
        if now.since(self.since) >= LIFE * 2 {
            self.before = chance.draw();
        }
        self.since = now;
    }
}

fn of(secret: &[u8], ip: IpAddr) -> Vec<u8> {
    let mut hash = Sha1::new_with_prefix(secret);
    match ip.to_canonical() {
        IpAddr::V4(v4) => hash.update(v4.octets()),
        IpAddr::V6(v6) => hash.update(v6.octets()),
    }
    hash.finalize().iter().take(TOKEN_BYTES).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_for_whom_it_was_given_and_for_a_while() {
        let mut chance = Chance::new([1; 20]);
        let now = Time::BEGINNING;
        let mut tokens = Tokens::new(now, &mut chance);
        let (a, b) = (IpAddr::from([1, 2, 3, 4]), IpAddr::from([1, 2, 3, 5]));
        let token = tokens.token(now, a, &mut chance);
        for (later, ip, good) in [(0, a, true), (0, b, false), (299, a, true), (301, a, true), (599, a, true)] {
            assert_eq!(tokens.is_good(now + Duration::from_secs(later), ip, &token, &mut chance), good, "{later} {ip}");
        }
        assert!(!tokens.is_good(now + Duration::from_secs(700), a, &token, &mut chance));
        // After a long rest neither secret is known to anybody.
        let token = tokens.token(now + Duration::from_secs(700), a, &mut chance);
        assert!(!tokens.is_good(now + Duration::from_secs(7000), a, &token, &mut chance));
        assert!(!tokens.is_good(now, a, &[], &mut chance));
    }
}
