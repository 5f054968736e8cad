//! Who may download from us (BEP 3): the peers that give us most, and one by chance.

use std::collections::VecDeque;

use crate::base::time::Time;
use crate::engine::content::pieces::PeerKey;

/// What the choker knows of an interested peer.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<K> {
    pub key: K,
    /// Bytes a second that it sends us (while we download) or takes from us (while we seed).
    pub rate: u32,
    /// When it was last unchoked; waits longest goes first among equals.
    pub last_unchoked: Time,
}

/// The peers to unchoke: `slots` by rate, and `optimistic` beside them if it is among the candidates.
pub fn unchoke<K: Copy + Eq>(mut candidates: Vec<Candidate<K>>, slots: usize, optimistic: Option<K>) -> Vec<K> {
    candidates.sort_by(|a, b| b.rate.cmp(&a.rate).then(a.last_unchoked.cmp(&b.last_unchoked)));
    let reserved = usize::from(optimistic.is_some_and(|o| candidates.iter().any(|c| c.key == o)));
    let mut chosen: Vec<K> = optimistic.filter(|_| reserved == 1 && slots > 0).into_iter().collect();
    for candidate in candidates {
        if chosen.len() >= slots {
            break;
        }
        if Some(candidate.key) != optimistic {
            chosen.push(candidate.key);
        }
    }
    chosen
}

/// The next peer to get a chance: the interested and choked one that waits longest.
pub fn optimistic<K: Copy + Eq>(candidates: &[Candidate<K>], unchoked: &[K]) -> Option<K> {
    candidates.iter().filter(|c| !unchoked.contains(&c.key)).min_by_key(|c| c.last_unchoked).map(|c| c.key)
}

/// Whom we upload to, and when that is decided anew.
#[derive(Debug)]
pub(in crate::engine) struct Choker {
    pub(in crate::engine) optimistic: PeerKey,
    /// How many peers may download from us.
    pub(in crate::engine) unchoked: usize,
    pub(in crate::engine) next_choke: Time,
    pub(in crate::engine) next_optimistic: Time,
    /// When slots that came free are given away, and no sooner than when.
    pub(in crate::engine) next_fill: Time,
    pub(in crate::engine) least_fill: Time,
    /// Peers for which nothing could be lent: they get it in turn.
    pub(in crate::engine) upload_line: VecDeque<PeerKey>,
}

impl Choker {
    pub(in crate::engine) fn new(now: Time) -> Self {
        Self {
            optimistic: PeerKey::NOBODY,
            unchoked: 0,
            next_choke: now,
            next_optimistic: now,
            next_fill: Time::NEVER,
            least_fill: now,
            upload_line: VecDeque::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(key: u32, rate: u32, last: u64) -> Candidate<u32> {
        Candidate { key, rate, last_unchoked: Time(last) }
    }

    #[test]
    fn fastest_first_with_an_optimistic_slot() {
        let all = vec![candidate(1, 10, 0), candidate(2, 30, 0), candidate(3, 20, 0), candidate(4, 0, 5)];
        assert_eq!(unchoke(all.clone(), 2, None), [2, 3]);
        assert_eq!(unchoke(all.clone(), 2, Some(4)), [4, 2]);
        assert_eq!(unchoke(all.clone(), 2, Some(9)), [2, 3]);
        assert_eq!(unchoke(all.clone(), 0, Some(4)), Vec::<u32>::new());
        assert_eq!(optimistic(&all, &[2, 3]), Some(1));
        assert_eq!(optimistic(&all, &[1, 2, 3, 4]), None);
    }

    #[test]
    fn among_equals_the_one_that_waited_longest() {
        assert_eq!(unchoke(vec![candidate(1, 0, 9), candidate(2, 0, 3)], 1, None), [2]);
    }
}
