//! A torrent's files on disk. Blocking: the shell calls this from its bounded blocking pool.
//!
//! Files come into being, sparse, with their first byte, their directories with them; empty files with the first byte of
//! the torrent. Pad files and BEP 47 symbolic links never do: pad bytes are dropped when written and read as zeros. A file is
//! never grown beyond what was written, so that a missing tail is seen by its size.

use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha1::{Digest, Sha1};

use super::file_pool::{DEFAULT_FILE_POOL_SIZE, FilePool, Owner, is_descriptor_shortage};
use crate::base::error::{Error, Operation, Result, Status};
use crate::base::out_buffer::OutBuffer;
use crate::memory::pool::Block;
use crate::metainfo::info_hash::Sha1Hash;
use crate::metainfo::layout::{FileEntry, FileFlags, FileLayout, FileSlice};

/// Bytes read at once for a hash.
pub const HASH_STEP: usize = 256 * 1024;
/// Most buffers of one write: Linux's IOV_MAX.
const MAX_BUFFERS: usize = 1024;

/// One torrent's files.
#[derive(Debug)]
pub struct DiskStorage {
    save_path: PathBuf,
    layout: FileLayout,
    pool: Arc<FilePool>,
    owner: Owner,
    /// The empty files are there.
    empty_files_made: AtomicBool,
}

/// What a piece's bytes on disk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Whole,
    /// The file is not there, or ends before.
    Absent,
}

/// What went wrong, and with which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFailure {
    pub error: Error,
    /// None: with none of them.
    pub file: Option<usize>,
}

impl DiskFailure {
    /// No file could be opened: the process, or the system, has no descriptor left.
    pub fn is_shortage(&self) -> bool {
        self.error.operation == Operation::FileOpen && is_descriptor_shortage(self.error.os_error)
    }
}

impl From<DiskFailure> for Error {
    fn from(failure: DiskFailure) -> Self {
        failure.error
    }
}

/// Makes an error one about that file.
fn about(file: usize) -> impl Fn(Error) -> DiskFailure {
    move |error| DiskFailure { error, file: Some(file) }
}

impl DiskStorage {
    /// With a file pool of its own.
    pub fn new(save_path: impl Into<PathBuf>, layout: &FileLayout) -> Self {
        Self::with_pool(save_path, layout, FilePool::new(DEFAULT_FILE_POOL_SIZE))
    }

    /// With the session's file pool.
    pub fn with_pool(save_path: impl Into<PathBuf>, layout: &FileLayout, pool: Arc<FilePool>) -> Self {
        let owner = pool.owner();
        Self {
            save_path: save_path.into(),
            layout: layout.clone(),
            pool,
            owner,
            empty_files_made: AtomicBool::new(false),
        }
    }

    pub fn save_path(&self) -> &Path {
        &self.save_path
    }

    pub fn layout(&self) -> &FileLayout {
        &self.layout
    }

    /// Where a file lies; none for an unknown file, or a name that would lead out of the save path.
    pub fn file_path(&self, file: usize) -> Option<PathBuf> {
        let entry = self.layout.files().get(file)?;
        let mut path = self.save_path.clone();
        // The metainfo parser sanitises names. Here is the last place to find that it did not.
        for part in entry.path.split('/') {
            if part.is_empty() || part == "." || part == ".." || part.contains('\0') {
                return None;
            }
            path.push(part);
        }
        Some(path)
    }

    fn path_of(&self, file: usize) -> Result<PathBuf> {
        self.file_path(file).ok_or_else(|| Error::invalid(format!("file {file} has no usable name")))
    }

    /// Checks a range of a piece, and gives its place in the torrent.
    fn locate(&self, piece: u32, offset: u32, len: usize) -> Result<u64, DiskFailure> {
        let size = self.layout.piece_size(piece);
        let end = u64::from(offset).saturating_add(len as u64);
        if piece >= self.layout.num_pieces() || end > u64::from(size) {
            let error = Error::invalid(format!("bytes {offset}..{end} of piece {piece}, which has {size}"));
            return Err(DiskFailure { error, file: None });
        }
        Ok(u64::from(piece) * u64::from(self.layout.piece_length()) + u64::from(offset))
    }

    fn open(&self, file: usize, path: &Path, writable: bool) -> Result<Arc<File>> {
        let opened = match self.pool.open(self.owner, file, path, writable) {
            Err(e) if writable && e.kind() == io::ErrorKind::NotFound => {
                make_parent(path)?;
                self.pool.open(self.owner, file, path, writable)
            }
            other => other,
        };
        opened.map_err(|e| Error::io(Operation::FileOpen, &e, path.display()))
    }

    /// Writes a piece's blocks from its first byte on. See [`DiskStorage::write_at`].
    pub fn write_blocks(&self, piece: u32, blocks: &[Block]) -> Result<(), DiskFailure> {
        self.write_blocks_at(piece, 0, blocks)
    }

    /// Writes consecutive blocks of a piece, the first at `offset`.
    pub fn write_blocks_at(&self, piece: u32, offset: u32, blocks: &[Block]) -> Result<(), DiskFailure> {
        let buffers: Vec<&[u8]> = blocks.iter().map(Block::as_slice).collect();
        self.write_at(piece, offset, &buffers)
    }

    /// Writes consecutive bytes of a piece, the first at `offset`: as few vectored writes as file borders allow. After an
    /// error any part of it may have been written.
    pub fn write_at(&self, piece: u32, offset: u32, buffers: &[&[u8]]) -> Result<(), DiskFailure> {
        let len = buffers.iter().map(|b| b.len()).sum();
        let begin = self.locate(piece, offset, len)?;
        self.make_empty_files()?;
        let mut rest = Cursor { buffers, at: 0 };
        for slice in self.layout.slices(begin, len as u64) {
            if !has_bytes(&self.layout, slice.file) {
                rest.skip(slice.len);
                continue;
            }
            self.write_to_file(slice, &mut rest).map_err(about(slice.file))?;
        }
        Ok(())
    }

    fn write_to_file(&self, slice: FileSlice, rest: &mut Cursor<'_>) -> Result<()> {
        let path = self.path_of(slice.file)?;
        let file = self.open(slice.file, &path, true)?;
        write_slice(&file, slice, rest).map_err(|e| Error::io(Operation::FileWrite, &e, path.display()))
    }

    fn make_empty_files(&self) -> Result<(), DiskFailure> {
        if self.empty_files_made.load(Ordering::Acquire) {
            return Ok(());
        }
        for (i, entry) in self.layout.files().iter().enumerate() {
            if entry.size == 0 && is_written(entry) {
                self.path_of(i).and_then(|path| self.open(i, &path, true)).map_err(about(i))?;
            }
        }
        self.empty_files_made.store(true, Ordering::Release);
        Ok(())
    }

    /// Reads bytes of a piece. All of them, or an error; a file that ends too early is one.
    pub fn read(&self, piece: u32, offset: u32, buf: &mut [u8]) -> Result<(), DiskFailure> {
        let len = buf.len();
        self.read_into(piece, offset, buf, 0..len)
    }

    /// The same, into that part of a buffer that may never have been written.
    pub fn read_into<B: OutBuffer + ?Sized>(
        &self,
        piece: u32,
        offset: u32,
        buf: &mut B,
        part: Range<usize>,
    ) -> Result<(), DiskFailure> {
        let begin = self.locate(piece, offset, part.len())?;
        let mut at = part.start;
        for slice in self.layout.slices(begin, part.len() as u64) {
            let part = at..at + slice_len(slice);
            at = part.end;
            if has_bytes(&self.layout, slice.file) {
                self.read_from_file(slice, buf, part).map_err(about(slice.file))?;
            } else {
                buf.put_zeros(part);
            }
        }
        Ok(())
    }

    fn read_from_file<B: OutBuffer + ?Sized>(&self, slice: FileSlice, buf: &mut B, part: Range<usize>) -> Result<()> {
        let path = self.path_of(slice.file)?;
        let file = self.open(slice.file, &path, false)?;
        buf.put_from(part, &file, slice.offset).map_err(|e| Error::io(Operation::FileRead, &e, path.display()))
    }

    /// [`DiskStorage::read`] that tells a missing file, or one that ends too early, from a failing disk.
    fn read_if_there(&self, piece: u32, offset: u32, buf: &mut [u8]) -> Result<Read, DiskFailure> {
        match self.read(piece, offset, buf) {
            Ok(()) => Ok(Read::Whole),
            Err(e) if is_absence(&e.error) => Ok(Read::Absent),
            Err(e) => Err(e),
        }
    }

    /// The SHA-1 of a piece on disk, read in steps of [`HASH_STEP`] through `buf`, which is grown to a step. None where
    /// a file of it is missing or too short; an error where the disk fails.
    pub fn hash_piece(&self, piece: u32, buf: &mut Vec<u8>) -> Result<Option<Sha1Hash>, DiskFailure> {
        let size = self.layout.piece_size(piece);
        self.locate(piece, 0, size as usize)?;
        buf.resize(HASH_STEP, 0);
        let mut hash = Sha1::new();
        let mut at = 0;
        while at < size {
            let len = (size - at).min(HASH_STEP as u32);
            let Some(part) = buf.get_mut(..len as usize) else { break };
            if self.read_if_there(piece, at, part)? == Read::Absent {
                return Ok(None);
            }
            hash.update(&*part);
            at += len;
        }
        Ok(Some(Sha1Hash(hash.finalize().into())))
    }

    /// The size on disk of each file, None where it is not there (or is no regular file). Pad files and symbolic links
    /// count as whole.
    pub fn sizes_on_disk(&self) -> Result<Vec<Option<u64>>, DiskFailure> {
        let size = |(i, entry): (usize, &FileEntry)| {
            if !is_written(entry) {
                return Ok(Some(entry.size));
            }
            let path = self.path_of(i).map_err(about(i))?;
            match std::fs::symlink_metadata(&path) {
                Ok(m) => Ok(m.is_file().then_some(m.len())),
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
                Err(e) => Err(about(i)(Error::io(Operation::FileStat, &e, path.display()))),
            }
        };
        self.layout.files().iter().enumerate().map(size).collect()
    }

    /// Closes the files. They are opened again when needed.
    pub fn release(&self) {
        self.pool.release(self.owner);
    }

    /// Deletes the torrent's files, and the directories of it that are empty then; nothing else, and never the save path.
    /// Goes on after an error, and returns the first.
    pub fn delete_files(&self) -> Result<()> {
        self.release();
        self.empty_files_made.store(false, Ordering::Release);
        let mut first_error = None;
        let mut directories = Vec::new();
        for (i, entry) in self.layout.files().iter().enumerate() {
            if !is_written(entry) {
                continue;
            }
            let Some(path) = self.file_path(i) else { continue };
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(e) => {
                    first_error.get_or_insert_with(|| Error::io(Operation::FileRemove, &e, path.display()));
                }
            }
            let mut up = path.parent();
            while let Some(directory) = up.filter(|d| *d != self.save_path && d.starts_with(&self.save_path)) {
                directories.push(directory.to_owned());
                up = directory.parent();
            }
        }
        // Deepest first. One that still holds something stays, and is none of our business.
        directories.sort_unstable_by(|a, b| b.components().count().cmp(&a.components().count()).then_with(|| a.cmp(b)));
        directories.dedup();
        for directory in directories {
            let _ = std::fs::remove_dir(directory);
        }
        first_error.map_or(Ok(()), Err)
    }
}

impl Drop for DiskStorage {
    fn drop(&mut self) {
        self.release();
    }
}

/// Is there such a file on disk?
fn is_written(entry: &FileEntry) -> bool {
    !entry.flags.intersects(FileFlags::PAD | FileFlags::SYMLINK)
}

/// Do the torrent's bytes of this file lie on disk, or are they zeros that lie nowhere?
fn has_bytes(layout: &FileLayout, file: usize) -> bool {
    layout.files().get(file).is_some_and(is_written)
}

fn slice_len(slice: FileSlice) -> usize {
    usize::try_from(slice.len).unwrap_or(usize::MAX)
}

fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => std::fs::create_dir_all(parent).map_err(|e| Error::io(Operation::Mkdir, &e, parent.display())),
        None => Ok(()),
    }
}

/// A missing file, directory, or end of a file.
fn is_absence(e: &Error) -> bool {
    let os = |n: rustix::io::Errno| e.os_error == n.raw_os_error();
    match (e.status, e.operation) {
        (Status::Io, Operation::FileOpen) => os(rustix::io::Errno::NOENT) || os(rustix::io::Errno::NOTDIR),
        // `read_exact_at` makes the end of a file an error without a number.
        (Status::Io, Operation::FileRead) => e.os_error == 0,
        _ => false,
    }
}

/// What is still to be written of some buffers.
struct Cursor<'a> {
    buffers: &'a [&'a [u8]],
    /// Bytes of the first buffer that are done with.
    at: usize,
}

impl<'a> Cursor<'a> {
    fn skip(&mut self, bytes: u64) {
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        while let Some((first, behind)) = self.buffers.split_first() {
            let here = first.len().saturating_sub(self.at);
            if left < here {
                self.at += left;
                return;
            }
            left -= here;
            self.buffers = behind;
            self.at = 0;
        }
    }

    /// The next buffers, at most `bytes` in all and [`MAX_BUFFERS`] in number.
    fn head(&self, bytes: u64) -> Vec<IoSlice<'a>> {
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut out = Vec::new();
        let mut at = self.at;
        for buffer in self.buffers {
            if left == 0 || out.len() == MAX_BUFFERS {
                break;
            }
            let here = buffer.get(at..).unwrap_or_default();
            let here = here.get(..left).unwrap_or(here);
            at = 0;
            if !here.is_empty() {
                left -= here.len();
                out.push(IoSlice::new(here));
            }
        }
        out
    }
}

fn write_slice(file: &File, slice: FileSlice, rest: &mut Cursor<'_>) -> io::Result<()> {
    let (mut offset, mut left) = (slice.offset, slice.len);
    while left > 0 {
        let written = match rustix::io::pwritev(file.as_fd(), &rest.head(left), offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => n as u64,
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        };
        rest.skip(written);
        offset += written;
        left = left.saturating_sub(written);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
