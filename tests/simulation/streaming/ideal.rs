//! What is possible at best.

use std::time::Duration;

/// The way to a peer: when its first byte can be here, and how much it brings from then on.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub ready: Duration,
    /// Bytes a second.
    pub rate: u64,
}

/// How long it takes at least until so many bytes are here, over one line: as if each peer brought just what the others leave it
/// time for, without a break and without a block too many.
pub fn transfer(ways: impl Iterator<Item = Way> + Clone, line: u64, bytes: u64) -> Duration {
    let Some(first) = ways.clone().map(|w| w.ready).min() else { return Duration::MAX };
    let brought =
        |by: Duration, from: Duration, rate: u64| by.saturating_sub(from).as_micros() * u128::from(rate) / 1_000_000;
    let (mut early, mut late) = (0, 3_600_000_000);
    while early < late {
        let middle = (early + late) / 2;
        let by = Duration::from_micros(middle);
        let most = ways.clone().map(|w| brought(by, w.ready, w.rate)).sum::<u128>().min(brought(by, first, line));
        if most >= u128::from(bytes) { late = middle } else { early = middle + 1 }
    }
    Duration::from_micros(early)
}

#[test]
fn a_line_is_a_round_trip_and_the_transfer() {
    let ms = Duration::from_millis;
    let seeder = Way { ready: ms(30), rate: 100_000_000 };
    assert_eq!(transfer([seeder].into_iter(), 8_000_000, 1_600_000), ms(230));
    assert_eq!(transfer([seeder; 4].into_iter(), 8_000_000, 1_600_000), ms(230));
    let slow = [Way { ready: ms(100), rate: 1_000_000 }, Way { ready: ms(300), rate: 3_000_000 }];
    assert_eq!(transfer(slow.into_iter(), 8_000_000, 1_000_000), ms(500));
}
