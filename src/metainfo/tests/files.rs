//! Tests of the file layout.

use proptest::prelude::*;

use crate::memory::pool::BLOCK_SIZE;
use crate::metainfo::layout::{FileEntry, FileFlags, FileLayout, FileSlice, MAX_PIECE_LENGTH, MAX_PIECES};

fn layout(sizes: &[u64], piece_length: u32) -> FileLayout {
    let file = |&size: &u64| FileEntry { size, ..FileEntry::default() };
    FileLayout::new(sizes.iter().map(file).collect(), piece_length).expect("a layout")
}

#[test]
fn pieces_and_blocks() {
    let layout = layout(&[40_000, 10_001], 40_000);
    assert_eq!((layout.num_files(), layout.total_size(), layout.piece_length()), (2, 50_001, 40_000));
    assert_eq!(
        (layout.num_pieces(), layout.piece_size(0), layout.piece_size(1), layout.piece_size(2)),
        (2, 40_000, 10_001, 0)
    );
    assert_eq!((layout.blocks_in_piece(0), layout.blocks_in_piece(1), layout.blocks_in_piece(2)), (3, 1, 0));
    assert_eq!(
        (0..4).map(|b| layout.block_size(0, b)).collect::<Vec<_>>(),
        [BLOCK_SIZE, BLOCK_SIZE, 40_000 - 2 * BLOCK_SIZE, 0]
    );
    assert_eq!((layout.block_size(1, 0), layout.block_size(1, 1), layout.block_size(9, 0)), (10_001, 0, 0));
    assert_eq!(layout.block_size(0, u32::MAX), 0);
    assert_eq!(layout.piece_size(u32::MAX), 0);
}

#[test]
fn slices_and_ranges() {
    let layout = layout(&[10, 0, 5, 0, 0, 20, 0], 8);
    let slices = |offset, len| layout.slices(offset, len).map(|s| (s.file, s.offset, s.len)).collect::<Vec<_>>();
    assert_eq!(slices(0, 35), [(0, 0, 10), (2, 0, 5), (5, 0, 20)]);
    assert_eq!(slices(9, 2), [(0, 9, 1), (2, 0, 1)]);
    assert_eq!(slices(10, 1), [(2, 0, 1)]);
    assert_eq!(slices(34, 100), [(5, 19, 1)]);
    assert_eq!(slices(35, 1), []);
    assert_eq!(slices(0, 0), []);
    assert_eq!(slices(u64::MAX, u64::MAX), []);
    assert_eq!(
        (0..8).map(|f| layout.file_pieces(f)).collect::<Vec<_>>(),
        [0..2, 0..0, 1..2, 0..0, 0..0, 1..5, 0..0, 0..0]
    );
    assert_eq!((0..6).map(|p| layout.piece_files(p)).collect::<Vec<_>>(), [0..1, 0..6, 5..6, 5..6, 5..6, 0..0]);
    assert_eq!(layout.file(5).map(|f| f.offset), Some(15));
}

fn padded(files: &[(u64, bool)], piece_length: u32) -> FileLayout {
    let file = |&(size, pad): &(u64, bool)| {
        let flags = if pad { FileFlags::PAD } else { FileFlags::empty() };
        FileEntry { size, flags, ..FileEntry::default() }
    };
    FileLayout::new(files.iter().map(file).collect(), piece_length).expect("a layout")
}

#[test]
fn blocks_of_nothing_but_padding() {
    let block = u64::from(BLOCK_SIZE);
    // Half a block, then padding to the end of a piece of four; a piece of padding, in two files; a last short block of it.
    let files = [
        (block / 2, false),
        (block * 7 / 2, true),
        (block * 3, true),
        (block, true),
        (1, false),
        (0, false),
        (5, true),
    ];
    let layout = padded(&files, 4 * BLOCK_SIZE);
    let blocks = |piece| layout.padding_blocks(piece).collect::<Vec<_>>();
    assert_eq!((blocks(0), blocks(1), blocks(2), blocks(3)), (vec![1, 2, 3], vec![0, 1, 2, 3], vec![], vec![]));
    assert_eq!((0..3).map(|p| layout.is_padding_only(p)).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(layout.blocks_to_fetch(0, 0, u32::MAX).collect::<Vec<_>>(), [0]);
    assert_eq!((layout.num_blocks_to_fetch(0, 1, 9), layout.num_blocks_to_fetch(1, 0, 9)), (0, 0));
    let short = padded(&[(block, false), (5, true)], 4 * BLOCK_SIZE);
    assert_eq!(short.padding_blocks(0).collect::<Vec<_>>(), [1], "the last block is a short one");
}

#[test]
fn refusals() {
    let new = |sizes: &[u64], piece_length| {
        let file = |&size: &u64| FileEntry { size, ..FileEntry::default() };
        FileLayout::new(sizes.iter().map(file).collect(), piece_length).map_err(|e| e.message)
    };
    assert!(new(&[1], 0).is_err());
    assert!(new(&[1], MAX_PIECE_LENGTH + 1).is_err());
    assert!(new(&[], 1).is_err());
    assert!(new(&[0, 0], 1).is_err());
    assert!(new(&[u64::MAX], MAX_PIECE_LENGTH).is_err());
    assert!(new(&[i64::MAX as u64, 1], MAX_PIECE_LENGTH).expect_err("too much").contains("64-bit"));
    assert!(new(&[u64::from(MAX_PIECES) + 1], 1).expect_err("too many").contains("pieces"));
    assert!(new(&[u64::from(MAX_PIECES)], 1).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Block by block, as the bytes say.
    #[test]
    fn padding_is_found_as_byte_by_byte(
        files in proptest::collection::vec((0u64..60_000, any::<bool>()), 1..12),
        piece_length in 1u32..90_000,
        from in 0u32..6,
        until in 0u32..6,
    ) {
        prop_assume!(files.iter().any(|f| f.0 > 0));
        let layout = padded(&files, piece_length);
        let bytes: Vec<bool> = files.iter().flat_map(|(size, pad)| vec![*pad; *size as usize]).collect();
        for piece in 0..layout.num_pieces().min(40) {
            let begin = layout.piece_offset(piece) as usize;
            let blank = |b: &u32| {
                let at = begin + (*b * BLOCK_SIZE) as usize;
                bytes[at..at + layout.block_size(piece, *b) as usize].iter().all(|pad| *pad)
            };
            let (pads, fetched): (Vec<u32>, Vec<u32>) = (0..layout.blocks_in_piece(piece)).partition(blank);
            prop_assert_eq!(layout.is_padding_only(piece), fetched.is_empty());
            let fetched: Vec<u32> = fetched.into_iter().filter(|b| (from..until).contains(b)).collect();
            prop_assert_eq!(layout.num_blocks_to_fetch(piece, from, until) as usize, fetched.len());
            prop_assert_eq!(layout.blocks_to_fetch(piece, from, until).collect::<Vec<_>>(), fetched);
            prop_assert_eq!(layout.padding_blocks(piece).collect::<Vec<_>>(), pads);
        }
    }

    /// Everything agrees with counting bytes one by one.
    #[test]
    fn agrees_with_counting(
        sizes in proptest::collection::vec(0u64..40, 1..12), piece_length in 1u32..50, offset in 0u64..300, len in 0u64..300
    ) {
        prop_assume!(sizes.iter().sum::<u64>() > 0);
        let layout = layout(&sizes, piece_length);
        let bytes: Vec<(usize, u64)> =
            sizes.iter().enumerate().flat_map(|(file, &size)| (0..size).map(move |at| (file, at))).collect();
        let wanted = bytes.iter().copied().skip(offset as usize).take(len as usize);
        let got = layout.slices(offset, len).flat_map(|FileSlice { file, offset, len }| (offset..offset + len).map(move |at| (file, at)));
        prop_assert_eq!(got.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());

        let pieces: Vec<_> = bytes.chunks(piece_length as usize).collect();
        prop_assert_eq!(layout.num_pieces() as usize, pieces.len());
        for (p, piece) in pieces.iter().enumerate() {
            prop_assert_eq!(layout.piece_size(p as u32) as usize, piece.len());
            prop_assert_eq!(layout.piece_files(p as u32), piece[0].0..piece[piece.len() - 1].0 + 1);
        }
        for file in 0..sizes.len() {
            let holding: Vec<u32> =
                (0..layout.num_pieces()).filter(|&p| pieces[p as usize].iter().any(|b| b.0 == file)).collect();
            prop_assert_eq!(layout.file_pieces(file).collect::<Vec<_>>(), holding);
        }
    }

    #[test]
    fn blocks_fill_their_piece(size in 1u64..1_000_000, piece_length in 1u32..200_000) {
        let layout = layout(&[size], piece_length);
        let mut total = 0;
        for piece in [0, layout.num_pieces() / 2, layout.num_pieces() - 1] {
            let sum: u32 = (0..layout.blocks_in_piece(piece)).map(|b| layout.block_size(piece, b)).sum();
            prop_assert_eq!(sum, layout.piece_size(piece));
            total += u64::from(sum);
        }
        prop_assert!(total > 0);
    }
}
