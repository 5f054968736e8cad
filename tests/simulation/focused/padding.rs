//! Padding: zeros that align files to pieces. They are known, so nobody is asked for them, and they take no memory.

use elementum_torrent::alert::Alert;
use elementum_torrent::engine::readers::ReadOutcome;
use elementum_torrent::engine::readers::parts::Part;

use super::super::content::Shape;
use super::*;

const BLOCK: u64 = 16 * KIB;

/// Two films and a subtitle, each aligned to a piece; a piece and more of padding at the end.
fn shape() -> Shape {
    let files = vec![
        (100_000, false),
        (31_072, true),
        (5, false),
        (65_531, true),
        (300_000, false),
        (8 * BLOCK + 11_296, true),
    ];
    Shape { piece_length: 64 * KIB as u32, files }
}

/// Bytes of the blocks that hold anything else.
fn bytes_to_fetch(content: &Content) -> u64 {
    let layout = &content.info.layout;
    let blocks = |piece| layout.blocks_to_fetch(piece, 0, u32::MAX).map(move |block| (piece, block));
    (0..layout.num_pieces()).flat_map(blocks).map(|(p, b)| u64::from(layout.block_size(p, b))).sum()
}

fn world_of(content: &Arc<Content>, setup: Setup) -> World {
    let mut world = World::new(23, content.clone());
    let seed = world.add_engine(Setup::seed(), fast());
    let node = world.add_engine(setup, fast());
    world.introduce(node, &[seed]);
    world
}

#[test]
fn a_download_to_disk_asks_for_none_of_it() {
    let content = Content::new(23, &shape());
    let mut world = world_of(&content, Setup::disk());
    // The model disk has not read its zeros, as a real one does when it is checked.
    let blank = (0..content.info.layout.num_pieces()).filter(|p| content.info.layout.is_padding_only(*p));
    let blank: Vec<u32> = blank.collect();
    assert!(!blank.is_empty());
    world.engine(1).disk.extend(&blank);
    assert!(world.run(minute(), |w| w.engine(1).torrent.bytes_left() == 0), "{}", world.engine(1).torrent.describe());
    assert_eq!(world.engine(1).torrent.totals().0, bytes_to_fetch(&content));
    assert!(bytes_to_fetch(&content) + 10 * BLOCK < content.info.layout.total_size());
    world.end();
}

#[test]
fn films_are_streamed_without_it() {
    let content = Content::new(23, &shape());
    let mut world = world_of(&content, Setup::memory(4 * MIB));
    for (id, file) in [(1, 0), (2, 2), (3, 4)] {
        world.add_driver(1, Driver::new(id, file, read_all()));
    }
    assert!(world.finish(minute()), "{}", world.engine(1).torrent.describe());
    world.run_for(Duration::from_secs(2));
    let fetched = world.engine(1).torrent.totals().0;
    assert_eq!(fetched, bytes_to_fetch(&content));
    let pool = &world.engine(1).pool;
    assert_eq!((pool.charged(), pool.peak()), (fetched.div_ceil(BLOCK), fetched.div_ceil(BLOCK)), "nor kept");
    world.end();
}

/// A piece in memory is whole, zeros and all, for whoever asks for it by its number.
#[test]
fn a_piece_is_whole_with_it() {
    let content = Content::new(23, &shape());
    let mut world = world_of(&content, Setup::memory(4 * MIB));
    world.add_driver(1, Driver::new(1, 0, read_all()));
    assert!(world.finish(minute()));
    let mut got: Vec<u8> = Vec::new();
    while got.len() < 64 * KIB as usize {
        let found = world.engine(1).torrent.find_in_piece(1, got.len() as u64, 64 * KIB as usize).expect("a piece");
        let ReadOutcome::Memory(parts) = found else { panic!("{found:?} at {}", got.len()) };
        got.extend(parts.iter().flat_map(Part::slices).flatten());
    }
    assert!(got == content.piece(1));
    world.end();
}

/// Memory for one piece, again and again: padding neither counts as room to gain nor is lost by itself.
#[test]
fn it_is_streamed_through_little_memory() {
    let content = Content::new(23, &shape());
    for unverified in [false, true] {
        let mut world = world_of(&content, Setup::memory(if unverified { 2 * BLOCK } else { 64 * KIB }));
        let options = || elementum_torrent::engine::readers::reader::ReaderOptions { unverified, ..Default::default() };
        for (id, file) in [(1, 0), (2, 4), (3, 2), (4, 5)] {
            let again = [Step::Read(u64::MAX), Step::Seek(0), Step::Read(u64::MAX), Step::Close];
            world.add_driver(1, Driver::new(id, file, again).with(options()));
            assert!(world.finish(minute() * 3), "file {file}: {}", world.engine(1).torrent.describe());
        }
        world.end();
    }
}

/// The padding itself can be read: it is here without a block from anybody.
#[test]
fn padding_is_read_as_zeros() {
    let content = Content::new(23, &shape());
    let mut world = world_of(&content, Setup::memory(4 * MIB));
    world.add_driver(1, Driver::new(1, 5, [Step::Seek(11_296), Step::Read(8 * BLOCK)]));
    assert!(world.finish(minute()), "{}", world.engine(1).torrent.describe());
    world.end();
}

/// Block by block, and nothing but padding is wanted of a piece that holds more.
#[test]
fn padding_beside_a_film_is_read_block_by_block() {
    let content = Content::new(23, &shape());
    let mut world = world_of(&content, Setup::memory(2 * BLOCK));
    let options = elementum_torrent::engine::readers::reader::ReaderOptions { unverified: true, ..Default::default() };
    // The last blocks of the first piece with padding, and of the one after the subtitle.
    for (id, file, at) in [(1, 1, 20_000), (2, 3, 60_000)] {
        let steps = [Step::Seek(at), Step::Read(u64::MAX), Step::ReadAt(at + 5000, 100), Step::Close];
        world.add_driver(1, Driver::new(id, file, steps).with(options.clone()));
        assert!(world.finish(minute()), "file {file}: {}", world.engine(1).torrent.describe());
    }
    world.end();
}

/// A torrent that gives padding a hash that zeros have not: the piece is tried once, and nobody is to blame.
#[test]
fn padding_with_a_wrong_hash_is_given_up() {
    let shape = shape();
    let last = Content::new(23, &shape).info.layout.num_pieces() - 1;
    let content = Content::with_wrong_hash(23, &shape, last);
    assert!(content.info.layout.is_padding_only(last));
    let mut world = world_of(&content, Setup::memory(4 * MIB));
    world.add_driver(1, Driver::new(1, 5, read_all()));
    world.add_driver(1, Driver::new(2, 0, read_all()));
    world.run_for(Duration::from_secs(10));
    let engine = world.engine(1);
    assert_eq!(engine.count(|a| matches!(a, Alert::HashFailed { .. })), 1);
    assert!(engine.drivers[1].is_done() && !engine.drivers[0].is_done() && engine.banned().is_empty());
    assert_eq!(engine.torrent.num_peers(), 1);
    world.end();
}

/// Nothing of it is content: no peer is needed, in memory, on disk and by a magnet.
#[test]
fn a_torrent_of_nothing_but_padding() {
    for files in [vec![(200_000, true)], vec![(0, false), (3 * BLOCK, true), (100_000, true), (0, false)]] {
        let content = Content::new(29, &Shape { piece_length: 64 * KIB as u32, files });
        let padding = if content.info.layout.num_files() > 1 { 2 } else { 0 };
        for setup in [Setup::memory(MIB), Setup { magnet: true, ..Setup::memory(64 * KIB) }, Setup::disk()] {
            let is_disk = setup.storage == elementum_torrent::engine::config::StorageKind::Disk;
            let mut world = world_of(&content, setup);
            if is_disk {
                world.engine(1).disk.extend(0..content.info.layout.num_pieces());
            }
            world.add_driver(1, Driver::new(1, padding, [Step::Read(u64::MAX), Step::Seek(0), Step::Read(u64::MAX)]));
            assert!(world.finish(minute()), "{}", world.engine(1).torrent.describe());
            assert_eq!(world.engine(1).torrent.totals().0, 0);
            world.run_for(Duration::from_secs(100));
            world.end();
        }
    }
}
