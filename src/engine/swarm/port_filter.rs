//! The ports at which nobody is dialled: libtorrent's `port_filter`.

use bitflags::bitflags;

const PORTS: usize = 1 << 16;
const WORD: usize = u64::BITS as usize;

bitflags! {
    /// libtorrent's `port_filter::access_flags`. Without any a port is allowed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct PortAccess: u32 {
        const BLOCKED = 1;
    }
}

/// What holds for all ports from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRule {
    pub first: u16,
    pub last: u16,
    pub access: PortAccess,
}

/// A bit a port, if there is any that is blocked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortFilter {
    blocked: Option<Box<[u64]>>,
}

impl PortFilter {
    /// Of two rules for a port the later one holds; without one it is allowed.
    pub fn of(rules: &[PortRule]) -> Self {
        let mut blocked = vec![0; PORTS / WORD].into_boxed_slice();
        for rule in rules {
            let (first, last) = (usize::from(rule.first), usize::from(rule.last));
            let words =
                blocked.iter_mut().enumerate().skip(first / WORD).take((last / WORD + 1).saturating_sub(first / WORD));
            for (at, word) in words {
                // Those of the word's ports that lie within the rule.
                let begin = first.saturating_sub(at * WORD);
                let end = (last + 1 - at * WORD).min(WORD);
                let mask = (u64::MAX << begin) & (u64::MAX >> (WORD - end));
                *word = if rule.access.contains(PortAccess::BLOCKED) { *word | mask } else { *word & !mask };
            }
        }
        Self { blocked: Some(blocked).filter(|words| words.iter().any(|word| *word != 0)) }
    }

    pub fn blocks(&self, port: u16) -> bool {
        let at = usize::from(port);
        let word = self.blocked.as_ref().and_then(|words| words.get(at / WORD));
        word.is_some_and(|word| word >> (at % WORD) & 1 == 1)
    }

    /// Is every port allowed?
    pub fn is_empty(&self) -> bool {
        self.blocked.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule((first, last, blocked): (u16, u16, bool)) -> PortRule {
        let access = if blocked { PortAccess::BLOCKED } else { PortAccess::empty() };
        PortRule { first, last, access }
    }

    fn blocked(rules: &[(u16, u16, bool)]) -> Vec<u16> {
        let filter = PortFilter::of(&rules.iter().copied().map(rule).collect::<Vec<_>>());
        (0..=u16::MAX).filter(|port| filter.blocks(*port)).collect()
    }

    #[test]
    fn the_later_rule_holds() {
        assert_eq!(blocked(&[]), [0; 0]);
        assert_eq!(blocked(&[(25, 25, true), (80, 82, true), (81, 81, false)]), [25, 80, 82]);
        assert_eq!(blocked(&[(81, 81, false), (80, 82, true)]), [80, 81, 82]);
        assert_eq!(blocked(&[(0, u16::MAX, true), (1, u16::MAX - 1, false)]), [0, u16::MAX]);
        let nothing = [rule((1, 9, true)), rule((0, 99, false))];
        assert!(PortFilter::of(&nothing).is_empty() && PortFilter::of(&nothing) == PortFilter::default());
    }

    proptest! {
        #[test]
        fn it_is_as_if_each_port_were_asked(rules in prop::collection::vec((0..300_u16, 0..300_u16, any::<bool>()), 0..20)) {
            let rules: Vec<_> = rules.into_iter().map(|(a, b, blocked)| (a.min(b), a.max(b), blocked)).collect();
            let expected = (0..=u16::MAX).filter(|port| {
                let last = rules.iter().rev().find(|(first, last, _)| (first..=last).contains(&port));
                last.is_some_and(|(.., blocked)| *blocked)
            });
            prop_assert_eq!(blocked(&rules), expected.collect::<Vec<_>>());
        }
    }
}
