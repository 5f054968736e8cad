//! Tests of what goes for what, without a torrent.

use super::tests::{NOW, Parts};
use crate::alert::Alert;

/// The pieces that went, in that order.
fn evicted(parts: &mut Parts) -> Vec<u32> {
    let alerts = std::mem::take(&mut parts.out.alerts);
    let pieces =
        alerts.into_iter().filter_map(|a| if let Alert::PieceEvicted { piece } = a { Some(piece) } else { None });
    pieces.collect()
}

#[test]
fn what_was_used_longest_ago_goes_for_what_is_needed() {
    let mut parts = Parts::new(4);
    let seed = parts.seed(1);
    parts.keep(0);
    parts.keep(3);
    parts.content().store_mut().touch(0);
    parts.want(1);
    assert_eq!(parts.asked(seed), [(1, 0), (1, 1)]);
    assert_eq!(evicted(&mut parts), [3]);
    assert_eq!((parts.content().has(0), parts.content().has(3), parts.cache.evicted_pieces()), (true, false, 1));
}

#[test]
fn the_protected_stays() {
    let mut parts = Parts::new(4);
    let seed = parts.seed(1);
    parts.keep(0);
    parts.keep(3);
    let content = parts.content.as_ref().expect("the metadata");
    parts.cache.protect([0, 1].into(), content, parts.config.storage).expect_err("more than half");
    parts.cache.protect([3].into(), content, parts.config.storage).expect("half");
    assert!(parts.cache.keep_protected(content, parts.config.storage) && parts.cache.protects(3));
    parts.want(1);
    assert_eq!((evicted(&mut parts), parts.asked(seed).len()), (vec![0], 2));
    parts.want(2);
    assert_eq!((evicted(&mut parts), parts.asked(seed).len()), (vec![], 2), "there is nothing else to give");
}

#[test]
fn a_seed_is_interesting_again_when_something_went() {
    let mut parts = Parts::new(8);
    (0..4).for_each(|piece| parts.keep(piece));
    let seed = parts.seed(1);
    assert!(parts.peers.get(&seed).is_some_and(|p| !p.choking.am_interested()));
    parts.scheduler().evict_down_to(NOW, 6);
    assert_eq!((evicted(&mut parts), parts.content().blocks_held()), (vec![0], 6));
    assert!(parts.peers.get(&seed).is_some_and(|p| p.choking.am_interested()));
}
