//! Where what is read or told goes: memory of a caller's that may never have been written, and is only written.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::sys::block_copy;

/// A buffer to be filled. What is beyond its end is left out.
pub trait OutBuffer {
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes to that place. How many had room.
    fn put(&mut self, at: usize, from: &[u8]) -> usize;

    fn put_zeros(&mut self, range: Range<usize>);

    /// Fills the range with the file's bytes from `offset` on: all of it, or an error.
    fn put_from(&mut self, range: Range<usize>, file: &File, offset: u64) -> io::Result<()>;
}

impl<B: OutBuffer + ?Sized> OutBuffer for &mut B {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn put(&mut self, at: usize, from: &[u8]) -> usize {
        (**self).put(at, from)
    }

    fn put_zeros(&mut self, range: Range<usize>) {
        (**self).put_zeros(range);
    }

    fn put_from(&mut self, range: Range<usize>, file: &File, offset: u64) -> io::Result<()> {
        (**self).put_from(range, file, offset)
    }
}

impl OutBuffer for [u8] {
    fn len(&self) -> usize {
        self.len()
    }

    fn put(&mut self, at: usize, from: &[u8]) -> usize {
        block_copy::copy_over(from, self.get_mut(at..).unwrap_or_default())
    }

    fn put_zeros(&mut self, range: Range<usize>) {
        self.get_mut(range).unwrap_or_default().fill(0);
    }

    fn put_from(&mut self, range: Range<usize>, file: &File, offset: u64) -> io::Result<()> {
        file.read_exact_at(self.get_mut(range).unwrap_or_default(), offset)
    }
}

impl OutBuffer for [MaybeUninit<u8>] {
    fn len(&self) -> usize {
        self.len()
    }

    fn put(&mut self, at: usize, from: &[u8]) -> usize {
        block_copy::copy(from, self.get_mut(at..).unwrap_or_default())
    }

    fn put_zeros(&mut self, range: Range<usize>) {
        self.get_mut(range).unwrap_or_default().fill(MaybeUninit::new(0));
    }

    fn put_from(&mut self, range: Range<usize>, file: &File, mut offset: u64) -> io::Result<()> {
        let mut rest = self.get_mut(range).unwrap_or_default();
        while !rest.is_empty() {
            match rustix::io::pread(file, &mut *rest, offset) {
                Ok(([], _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((read, _)) => {
                    let n = read.len();
                    offset += n as u64;
                    rest = rest.get_mut(n..).unwrap_or_default();
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}
