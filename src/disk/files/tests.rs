use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::disk::checker;
use crate::disk::checker::Progress;
use crate::memory::pool::{BLOCK_SIZE, Pool};

/// Files from (path, size, is it padding).
fn layout(files: &[(&str, u64, bool)], piece_length: u32) -> FileLayout {
    let entry = |(path, size, pad): &(&str, u64, bool)| FileEntry {
        path: (*path).to_owned(),
        size: *size,
        flags: if *pad { FileFlags::PAD } else { FileFlags::empty() },
        ..FileEntry::default()
    };
    FileLayout::new(files.iter().map(entry).collect(), piece_length).expect("a layout")
}

/// The torrent's content: noise, but zeros where there is padding.
fn content(layout: &FileLayout) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(layout.total_size());
    let mut bytes: Vec<u8> = (0..layout.total_size()).map(|_| rng.u8(..)).collect();
    for f in layout.files().iter().filter(|f| f.flags.contains(FileFlags::PAD)) {
        bytes[f.offset as usize..(f.offset + f.size) as usize].fill(0);
    }
    bytes
}

fn piece<'a>(layout: &FileLayout, content: &'a [u8], piece: u32) -> &'a [u8] {
    let begin = piece as usize * layout.piece_length() as usize;
    &content[begin..begin + layout.piece_size(piece) as usize]
}

fn blocks(bytes: &[u8]) -> Vec<Block> {
    let pool = Pool::new(1 << 30);
    bytes
        .chunks(BLOCK_SIZE as usize)
        .map(|chunk| {
            let mut block = pool.reserve().expect("room").into_block(chunk.len() as u32);
            block.as_mut_slice().copy_from_slice(chunk);
            block.freeze()
        })
        .collect()
}

fn write_all(storage: &DiskStorage, content: &[u8]) {
    let layout = storage.layout();
    for p in 0..layout.num_pieces() {
        storage.write_blocks(p, &blocks(piece(layout, content, p))).expect("written");
    }
}

fn hashes(layout: &FileLayout, content: &[u8]) -> Vec<Sha1Hash> {
    (0..layout.num_pieces()).map(|p| Sha1Hash::of(piece(layout, content, p))).collect()
}

fn check(storage: &DiskStorage, hashes: &[Sha1Hash]) -> Vec<u32> {
    let mut have = Vec::new();
    checker::check(
        storage,
        |piece, digest| hashes[piece as usize] == digest,
        || true,
        |Progress { piece, have: good, .. }| {
            if good {
                have.push(piece);
            }
            true
        },
    )
    .expect("checked");
    have
}

fn tree(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(d) = todo.pop() {
        for entry in std::fs::read_dir(d).expect("a directory") {
            let path = entry.expect("an entry").path();
            found.insert(path.strip_prefix(dir).expect("inside").to_string_lossy().into_owned());
            if path.is_dir() {
                todo.push(path);
            }
        }
    }
    found
}

const MIXED: &[(&str, u64, bool)] = &[
    ("t/a/first", 40_000, false),
    ("t/.pad/1", 25_536, true),
    ("t/empty", 0, false),
    ("t/b/tiny1", 1, false),
    ("t/b/tiny2", 2, false),
    ("t/b/empty", 0, false),
    ("t/b/tiny3", 3, false),
    ("t/c/d/e/last", 300_000, false),
];

#[test]
fn write_read_check_delete() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("other"), b"keep").expect("written");
    let layout = layout(MIXED, 65_536);
    let content = content(&layout);
    let storage = DiskStorage::new(dir.path(), &layout);
    let hashes = hashes(&layout, &content);
    assert!(check(&storage, &hashes).is_empty());
    assert_eq!(tree(dir.path()).len(), 1, "a check creates nothing");
    write_all(&storage, &content);
    for f in layout.files().iter().filter(|f| !f.flags.contains(FileFlags::PAD)) {
        let bytes = std::fs::read(dir.path().join(&f.path)).expect("the file");
        assert!(bytes == content[f.offset as usize..(f.offset + f.size) as usize], "{}", f.path);
    }
    assert!(!dir.path().join("t/.pad").exists());
    for p in 0..layout.num_pieces() {
        let want = piece(&layout, &content, p);
        let mut got = vec![1; want.len()];
        storage.read(p, 0, &mut got).expect("read");
        assert!(got == want, "piece {p}");
        assert_eq!(storage.hash_piece(p, &mut Vec::new()).expect("read"), Some(hashes[p as usize]));
    }
    assert_eq!(check(&storage, &hashes).len() as u32, layout.num_pieces());

    std::fs::write(dir.path().join("t/c/mine"), b"keep").expect("written");
    storage.delete_files().expect("deleted");
    let left: Vec<_> = tree(dir.path()).into_iter().collect();
    assert_eq!(left, ["other", "t", "t/c", "t/c/mine"]);
    storage.delete_files().expect("nothing left to delete");
    assert!(check(&storage, &hashes).is_empty());
}

#[test]
fn a_single_file_needs_no_directory_and_leaves_the_save_path() {
    let dir = tempfile::tempdir().expect("a directory");
    let save_path = dir.path().join("not/there/yet");
    let layout = layout(&[("film.mkv", 100_000, false)], 32_768);
    let content = content(&layout);
    let storage = DiskStorage::new(&save_path, &layout);
    write_all(&storage, &content);
    assert_eq!(std::fs::metadata(save_path.join("film.mkv")).expect("the file").len(), 100_000);
    storage.delete_files().expect("deleted");
    assert!(save_path.exists() && tree(&save_path).is_empty());
}

#[test]
fn only_what_is_written_exists() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = layout(MIXED, 65_536);
    let content = content(&layout);
    let storage = DiskStorage::new(dir.path(), &layout);
    let last = layout.num_pieces() - 1;
    storage.write_blocks(last, &blocks(piece(&layout, &content, last))).expect("written");
    let found = tree(dir.path());
    assert!(found.contains("t/empty") && found.contains("t/b/empty") && found.contains("t/c/d/e/last"), "{found:?}");
    assert!(!found.contains("t/a") && !found.contains("t/b/tiny1"), "{found:?}");
    let sparse = std::fs::metadata(dir.path().join("t/c/d/e/last")).expect("the file");
    assert_eq!(sparse.len(), 300_000);
    let hashes = hashes(&layout, &content);
    assert_eq!(check(&storage, &hashes), [last]);
    // the middle lies in a hole: there, but wrong
    assert!(storage.hash_piece(last - 1, &mut Vec::new()).expect("read").is_some());
    assert_eq!(storage.hash_piece(0, &mut Vec::new()), Ok(None));
    let error = storage.read(0, 0, &mut [0; 10]).expect_err("not there").error;
    assert_eq!((error.status, error.operation), (Status::Io, Operation::FileOpen));
    assert!(error.message.contains("t/a/first"), "{error}");
}

#[test]
fn a_short_file_is_absent_behind_its_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = layout(&[("f", 100_000, false)], 32_768);
    let content = content(&layout);
    let storage = DiskStorage::new(dir.path(), &layout);
    write_all(&storage, &content);
    storage.release();
    let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("f")).expect("the file");
    file.set_len(65_536 + 10).expect("cut");
    assert_eq!(check(&storage, &hashes(&layout, &content)), [0, 1]);
    assert_eq!(storage.hash_piece(2, &mut Vec::new()), Ok(None));
    let error = storage.read(2, 0, &mut [0; 100]).expect_err("too short").error;
    assert_eq!(error.operation, Operation::FileRead);
    // a file longer than it should be is not our business
    file.set_len(200_000).expect("grown");
    assert_eq!(check(&storage, &hashes(&layout, &content)), [0, 1]);
}

#[test]
fn wrong_bytes_are_found_and_the_check_can_be_cancelled() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = layout(&[("f", 1_000_000, false)], 16_384);
    let content = content(&layout);
    let storage = DiskStorage::new(dir.path(), &layout);
    write_all(&storage, &content);
    storage.write_at(7, 100, &[&[!content[7 * 16_384 + 100]]]).expect("written");
    let hashes = hashes(&layout, &content);
    let have = check(&storage, &hashes);
    assert_eq!(have.len() as u32, layout.num_pieces() - 1);
    assert!(!have.contains(&7));
    let mut seen = 0;
    let done = checker::check(
        &storage,
        |piece, digest| hashes[piece as usize] == digest,
        || true,
        |progress| {
            seen += 1;
            assert_eq!(progress.num_pieces, layout.num_pieces());
            seen < 5
        },
    );
    assert_eq!((done, seen), (Ok(false), 5));
}

#[test]
fn ranges_outside_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = layout(&[("f", 100, false)], 64);
    let storage = DiskStorage::new(dir.path(), &layout);
    for (piece, offset, len) in [(0, 0, 65), (0, 64, 1), (1, 0, 37), (2, 0, 0), (u32::MAX, u32::MAX, 1)] {
        let bytes = vec![0; len];
        let error = storage.write_at(piece, offset, &[&bytes]).expect_err("refused").error;
        assert_eq!(error.status, Status::InvalidArgument);
        assert!(storage.read(piece, offset, &mut vec![0; len]).is_err());
    }
    assert!(storage.hash_piece(2, &mut Vec::new()).is_err());
    assert!(tree(dir.path()).is_empty());
}

#[test]
fn names_never_lead_out_of_the_save_path() {
    let dir = tempfile::tempdir().expect("a directory");
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).expect("made");
    for path in ["../x", "a/../../x", "/x", "a//x", "./x", "a/."] {
        let layout = layout(&[(path, 100, false)], 64);
        let storage = DiskStorage::new(&inner, &layout);
        assert!(storage.write_at(0, 0, &[&[1; 64]]).is_err(), "{path}");
        storage.delete_files().expect("nothing to do");
    }
    assert_eq!(tree(dir.path()).len(), 1);
}

#[test]
fn a_symlink_in_a_files_place_is_not_followed() {
    let dir = tempfile::tempdir().expect("a directory");
    let precious = dir.path().join("precious");
    std::fs::write(&precious, b"keep").expect("written");
    std::fs::create_dir(dir.path().join("t")).expect("made");
    std::os::unix::fs::symlink(&precious, dir.path().join("t/f")).expect("linked");
    let layout = layout(&[("t/f", 100, false)], 64);
    let storage = DiskStorage::new(dir.path(), &layout);
    let error = storage.write_at(0, 0, &[&[1; 64]]).expect_err("refused").error;
    assert_eq!(error.os_error, rustix::io::Errno::LOOP.raw_os_error());
    assert!(storage.sizes_on_disk().expect("looked").iter().all(Option::is_none));
    storage.delete_files().expect("the link itself goes");
    assert_eq!(std::fs::read(&precious).expect("still there"), b"keep");
}

#[test]
fn many_buffers_and_few_descriptors() {
    let dir = tempfile::tempdir().expect("a directory");
    let files: Vec<(String, u64)> = (0..200).map(|i| (format!("t/{i}"), 1_000)).collect();
    let files: Vec<(&str, u64, bool)> = files.iter().map(|(n, s)| (n.as_str(), *s, false)).collect();
    let layout = layout(&files, 200_000);
    let content = content(&layout);
    let pool = FilePool::new(5);
    let storage = DiskStorage::with_pool(dir.path(), &layout, pool.clone());
    // 20,000 buffers of ten bytes: more than one call takes
    let buffers: Vec<&[u8]> = content.chunks(10).collect();
    storage.write_at(0, 0, &buffers).expect("written");
    assert!(pool.len() <= 5);
    assert_eq!(storage.hash_piece(0, &mut Vec::new()), Ok(Some(Sha1Hash::of(&content))));
    let one =
        DiskStorage::with_pool(dir.path().join("one"), &super::tests::layout(&[("f", 200_000, false)], 200_000), pool);
    one.write_at(0, 0, &buffers).expect("written");
    assert_eq!(one.hash_piece(0, &mut Vec::new()), Ok(Some(Sha1Hash::of(&content))));
}

#[test]
fn a_full_disk_is_an_error_with_its_path() {
    let layout = layout(&[("full", 100, false)], 64);
    let storage = DiskStorage::new("/dev", &layout);
    // a device is not a regular file
    let error = storage.write_at(0, 0, &[&[1; 64]]).expect_err("refused").error;
    assert!(error.message.starts_with("/dev/full: "), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_read(
        files in prop::collection::vec((0u64..70_000, prop::bool::weighted(0.2)), 1..12),
        piece_length in 1u32..100_000,
        order in any::<u64>(),
    ) {
        let names: Vec<String> = (0..files.len()).map(|i| format!("t/{}/{i}", i % 3)).collect();
        let files: Vec<(&str, u64, bool)> =
            names.iter().zip(&files).map(|(n, (size, pad))| (n.as_str(), *size, *pad)).collect();
        prop_assume!(files.iter().map(|f| f.1).sum::<u64>() > 0);
        let piece_length = piece_length.max(512);
        let layout = layout(&files, piece_length);
        let content = content(&layout);
        let dir = tempfile::tempdir().expect("a directory");
        let storage = DiskStorage::with_pool(dir.path(), &layout, FilePool::new(2));
        let mut rng = fastrand::Rng::with_seed(order);
        let mut todo: Vec<u32> = (0..layout.num_pieces()).collect();
        rng.shuffle(&mut todo);
        for p in todo {
            storage.write_blocks(p, &blocks(piece(&layout, &content, p))).expect("written");
        }
        for _ in 0..20 {
            let p = rng.u32(..layout.num_pieces());
            let want = piece(&layout, &content, p);
            let begin = rng.usize(..want.len());
            let end = rng.usize(begin..=want.len());
            let mut got = vec![0xee; end - begin];
            storage.read(p, begin as u32, &mut got).expect("read");
            prop_assert!(got == want[begin..end]);
        }
        prop_assert_eq!(check(&storage, &hashes(&layout, &content)).len() as u32, layout.num_pieces());
        storage.delete_files().expect("deleted");
        prop_assert!(tree(dir.path()).is_empty());
    }
}
