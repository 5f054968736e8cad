//! A torrent's files (BEP 3, BEP 47), laid end to end, and the pieces and blocks that cut them.

use std::ops::Range;
use std::sync::Arc;

use super::error::ParseError;
use crate::memory::pool::BLOCK_SIZE;

/// Most pieces of a torrent: libtorrent's `max_piece_count`.
pub const MAX_PIECES: u32 = 0x20_0000;
/// Most bytes of a piece.
pub const MAX_PIECE_LENGTH: u32 = 512 * 1024 * 1024;

bitflags::bitflags! {
    /// What a file is beyond its bytes (BEP 47).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct FileFlags: u8 {
        /// Zeros that align the next file to a piece. Never written, never asked for.
        const PAD = 1;
        const HIDDEN = 2;
        const EXECUTABLE = 4;
        const SYMLINK = 8;
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileEntry {
    /// `/`-separated, sanitised, relative to the save path; begins with the torrent's name for multi-file torrents.
    /// Distinct from all other files' (regardless of case), but for pad files of one size, which may be `.pad/<size>`.
    pub path: String,
    /// Of its first byte in the torrent.
    pub offset: u64,
    pub size: u64,
    pub flags: FileFlags,
    /// Unix seconds.
    pub mtime: Option<i64>,
    /// What a symlink points to, in the form of `path`.
    pub symlink_target: Option<String>,
}

/// The part of one file that a range of the torrent covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSlice {
    pub file: usize,
    /// In the file.
    pub offset: u64,
    pub len: u64,
}

/// All files and the piece length. There is at least one piece; the last may be short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLayout {
    /// Whoever else needs the layout, as the disk does, shares them.
    files: Arc<Vec<FileEntry>>,
    total_size: u64,
    piece_length: u32,
    num_pieces: u32,
    /// Stretches of padding that may hold a whole block of some piece, ascending, apart from each other.
    padding: Vec<Range<u64>>,
}

impl FileLayout {
    /// Lays the files end to end: their `offset`s are set here.
    pub fn new(mut files: Vec<FileEntry>, piece_length: u32) -> Result<Self, ParseError> {
        if piece_length == 0 || piece_length > MAX_PIECE_LENGTH {
            return Err(ParseError::new(format!("piece length {piece_length} is not within 1..={MAX_PIECE_LENGTH}")));
        }
        if files.is_empty() {
            return Err(ParseError::new("torrent without files"));
        }
        let mut total_size = 0u64;
        for file in &mut files {
            file.offset = total_size;
            total_size = total_size
                .checked_add(file.size)
                .filter(|&n| i64::try_from(n).is_ok())
                .ok_or_else(|| ParseError::new("the files' sizes add up to more than a signed 64-bit number"))?;
        }
        if total_size == 0 {
            return Err(ParseError::new("torrent without a byte of content"));
        }
        let num_pieces = u32::try_from(total_size.div_ceil(piece_length.into()))
            .ok()
            .filter(|&n| n <= MAX_PIECES)
            .ok_or_else(|| ParseError::new(format!("torrent of more than {MAX_PIECES} pieces")))?;
        let padding = padding(&files, total_size, piece_length.into());
        files.shrink_to_fit();
        Ok(Self { files: Arc::new(files), total_size, piece_length, num_pieces, padding })
    }

    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    pub fn file(&self, file: usize) -> Option<&FileEntry> {
        self.files.get(file)
    }

    pub fn num_files(&self) -> usize {
        self.files.len()
    }

    pub fn total_size(&self) -> u64 {
        self.total_size
    }

    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    pub fn num_pieces(&self) -> u32 {
        self.num_pieces
    }

    /// Where a piece begins in the torrent.
    pub fn piece_offset(&self, piece: u32) -> u64 {
        u64::from(piece) * u64::from(self.piece_length)
    }

    /// Bytes of a piece; 0 beyond the last.
    pub fn piece_size(&self, piece: u32) -> u32 {
        let left = self.total_size.saturating_sub(self.piece_offset(piece));
        // Not more than a piece length, which is a u32.
        left.min(self.piece_length.into()) as u32
    }

    /// Blocks of 16 KiB in a piece, the last perhaps short; 0 beyond the last piece.
    pub fn blocks_in_piece(&self, piece: u32) -> u32 {
        self.piece_size(piece).div_ceil(BLOCK_SIZE)
    }

    /// Bytes of a block; 0 beyond the piece's last.
    pub fn block_size(&self, piece: u32, block: u32) -> u32 {
        match block.checked_mul(BLOCK_SIZE) {
            Some(begin) => self.piece_size(piece).saturating_sub(begin).min(BLOCK_SIZE),
            None => 0,
        }
    }

    /// The blocks of a piece that hold nothing but padding, ascending: what is in them is known, and nobody need be asked.
    pub fn padding_blocks(&self, piece: u32) -> impl Iterator<Item = u32> {
        let (begin, size, block) = (self.piece_offset(piece), u64::from(self.piece_size(piece)), u64::from(BLOCK_SIZE));
        let first = self.padding.partition_point(|p| p.end <= begin);
        let stretches = self.padding.iter().skip(first).take_while(move |p| p.start < begin + size);
        stretches.flat_map(move |stretch| {
            let (start, end) = (stretch.start.saturating_sub(begin), (stretch.end - begin).min(size));
            // The last block may be a short one.
            let until = if end == size { end.div_ceil(block) } else { end / block };
            start.div_ceil(block) as u32..until as u32
        })
    }

    /// Is there nothing but padding in the piece?
    pub fn is_padding_only(&self, piece: u32) -> bool {
        !self.padding.is_empty() && self.padding_blocks(piece).count() as u32 == self.blocks_in_piece(piece)
    }

    /// The blocks of a piece from `from` on and before `until` that hold more than padding.
    pub fn blocks_to_fetch(&self, piece: u32, from: u32, until: u32) -> impl Iterator<Item = u32> {
        let mut padding = self.padding_blocks(piece).peekable();
        (from..until.min(self.blocks_in_piece(piece))).filter(move |block| {
            while padding.next_if(|p| p < block).is_some() {}
            padding.peek() != Some(block)
        })
    }

    /// How many those are.
    pub fn num_blocks_to_fetch(&self, piece: u32, from: u32, until: u32) -> u32 {
        let until = until.min(self.blocks_in_piece(piece));
        // As in nearly all torrents. It is asked for each want whenever their order is made.
        if self.padding.is_empty() {
            return until.saturating_sub(from);
        }
        let padding = self.padding_blocks(piece).filter(|block| (from..until).contains(block)).count();
        until.saturating_sub(from) - padding as u32
    }

    /// What a range of the torrent covers, file by file, cut at the torrent's end. Empty files are stepped over.
    pub fn slices(&self, offset: u64, len: u64) -> Slices<'_> {
        let end = offset.saturating_add(len).min(self.total_size);
        Slices { files: &self.files, file: self.first_file_behind(offset), at: offset, end }
    }

    /// The first file with a byte at or behind `offset`.
    fn first_file_behind(&self, offset: u64) -> usize {
        self.files.partition_point(|f| f.offset + f.size <= offset)
    }

    /// The pieces that hold a file's bytes; none for an empty or unknown file.
    pub fn file_pieces(&self, file: usize) -> Range<u32> {
        let Some(file) = self.files.get(file).filter(|f| f.size > 0) else { return 0..0 };
        let length = u64::from(self.piece_length);
        // Both are at most the number of pieces.
        (file.offset / length) as u32..(file.offset + file.size).div_ceil(length) as u32
    }

    /// The files that a piece holds bytes of. Empty files between them are in the range too.
    pub fn piece_files(&self, piece: u32) -> Range<usize> {
        let begin = self.piece_offset(piece);
        let end = begin + u64::from(self.piece_size(piece));
        if begin == end {
            return 0..0;
        }
        self.first_file_behind(begin)..self.files.partition_point(|f| f.offset < end)
    }
}

/// The stretches of padding that are long enough for a block, or end where a piece does, whose last block may be short.
fn padding(files: &[FileEntry], total_size: u64, piece_length: u64) -> Vec<Range<u64>> {
    let mut stretches: Vec<Range<u64>> = Vec::new();
    for file in files.iter().filter(|f| f.flags.contains(FileFlags::PAD) && f.size > 0) {
        match stretches.last_mut() {
            Some(last) if last.end == file.offset => last.end += file.size,
            _ => stretches.push(file.offset..file.offset + file.size),
        }
    }
    let ends_a_piece = |end: u64| end == total_size || end.is_multiple_of(piece_length);
    // One that crosses the end of a piece has a part there that ends one.
    let crosses = |s: &Range<u64>| s.start / piece_length != (s.end - 1) / piece_length;
    stretches.retain(|s| s.end - s.start >= BLOCK_SIZE.into() || ends_a_piece(s.end) || crosses(s));
    stretches.shrink_to_fit();
    stretches
}

/// See [`FileLayout::slices`].
#[derive(Debug, Clone)]
pub struct Slices<'a> {
    files: &'a [FileEntry],
    file: usize,
    at: u64,
    end: u64,
}

impl Iterator for Slices<'_> {
    type Item = FileSlice;

    fn next(&mut self) -> Option<FileSlice> {
        while self.at < self.end {
            let file = self.file;
            let entry = self.files.get(file)?;
            self.file += 1;
            let offset = self.at.checked_sub(entry.offset)?;
            let len = entry.size.saturating_sub(offset).min(self.end - self.at);
            if len > 0 {
                self.at += len;
                return Some(FileSlice { file, offset, len });
            }
        }
        None
    }
}
