//! Several readers at once.

use elementum_torrent::engine::readers::reader::ReaderOptions;

use super::*;

/// Two watch the same film, at different places.
pub fn two_viewers(seed: u64) -> Figures {
    let mut swarm = Swarm::behind_one_line(seed, film(MIB), MEMORY, 4);
    for (id, place) in [(1, 0), (2, 128 * MIB)] {
        swarm.open(Driver::new(id, 0, [Step::Seek(place), Step::Read(60_000_000)]).at_rate(3_000_000));
    }
    swarm.finish(60 * SECOND);
    Figures::of(swarm)
}

/// One episode plays at half of what the line brings, the next one is read in the background.
pub fn next_episode(seed: u64) -> Figures {
    let content = films(&[128 * MIB, 256 * MIB], MIB);
    let mut swarm = Swarm::behind_one_line(seed, content, MEMORY, 4);
    swarm.open(Driver::new(1, 0, [Step::Read(100_000_000)]).at_rate(4_000_000));
    let options = ReaderOptions { background: true, ..Default::default() };
    swarm.open(Driver::new(2, 1, [Step::ReadFor(25 * SECOND)]).with(options));
    swarm.finish(60 * SECOND);
    Figures::of(swarm)
}

#[test]
fn two_viewers_of_one_film() {
    let figures = measure("several: two viewers, 75 % of the line", 0..1, two_viewers);
    assert_eq!(figures.stall_time, Duration::ZERO, "{} stalls after 5 s", figures.stalls);
    assert!(figures.waste() <= 0.03, "{} came for nothing", figures.waste());
}

#[test]
fn the_next_episode_gets_what_is_spare() {
    let figures = measure("several: episode and the next one", 0..1, next_episode);
    assert_eq!(figures.stall_time, Duration::ZERO, "{} stalls after 5 s", figures.stalls);
    // The line brings 200 MB in 25 seconds; of the other 100 the player's lookahead takes some.
    assert!(figures.background >= 40_000_000, "{} bytes in the background", figures.background);
}
