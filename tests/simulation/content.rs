//! Deterministic content: the bytes of a made-up torrent, from a seed.

use std::sync::Arc;

use elementum_torrent::metainfo::create::Create;
use elementum_torrent::metainfo::{Info, Sha1Hash};

/// How a torrent is cut.
#[derive(Debug, Clone)]
pub struct Shape {
    pub piece_length: u32,
    /// Size of each file, and whether it is padding.
    pub files: Vec<(u64, bool)>,
}

/// A torrent and all of its bytes.
#[derive(Debug)]
pub struct Content {
    pub info: Arc<Info>,
    /// One round of what comes again and again, and what of it is needed to read a piece that begins at its end.
    bytes: Vec<u8>,
    period: u64,
}

/// Not a multiple of anything that torrents are cut into: no two pieces are alike, and no block is like its neighbours.
const PERIOD: u64 = (3 << 20) + 4099;

impl Content {
    pub fn new(seed: u64, shape: &Shape) -> Arc<Self> {
        let total: u64 = shape.files.iter().map(|f| f.0).sum();
        let mut bytes = vec![0u8; total as usize];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        let mut at = 0;
        for (size, pad) in &shape.files {
            if *pad {
                bytes[at..at + *size as usize].fill(0);
            }
            at += *size as usize;
        }
        Self::of(seed, shape, bytes, total.max(1))
    }

    /// The same, but for the hash of one piece, which no bytes have.
    pub fn with_wrong_hash(seed: u64, shape: &Shape, piece: u32) -> Arc<Self> {
        let good = Self::new(seed, shape);
        let mut hashes: Vec<u8> =
            (0..good.info.layout.num_pieces()).flat_map(|p| Sha1Hash::of(good.piece(p)).0).collect();
        hashes[piece as usize * 20] ^= 1;
        let info = create(seed, shape).v1(hashes).expect("a sound torrent").info;
        Arc::new(Self { info, bytes: good.bytes.clone(), period: good.period })
    }

    /// The same in little memory, however large: the bytes repeat.
    pub fn repeating(seed: u64, shape: &Shape) -> Arc<Self> {
        let mut bytes = vec![0u8; PERIOD as usize];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        while bytes.len() < PERIOD as usize + shape.piece_length as usize {
            let more = (PERIOD as usize + shape.piece_length as usize - bytes.len()).min(PERIOD as usize);
            bytes.extend_from_within(..more);
        }
        Self::of(seed, shape, bytes, PERIOD)
    }

    fn of(seed: u64, shape: &Shape, bytes: Vec<u8>, period: u64) -> Arc<Self> {
        let total: u64 = shape.files.iter().map(|f| f.0).sum();
        let mut hashes = Vec::new();
        for begin in (0..total).step_by(shape.piece_length as usize) {
            let (from, length) = ((begin % period) as usize, (total - begin).min(u64::from(shape.piece_length)));
            hashes.extend_from_slice(&Sha1Hash::of(&bytes[from..from + length as usize]).0);
        }
        let info = create(seed, shape).v1(hashes).expect("a sound torrent").info;
        Arc::new(Self { info, bytes, period })
    }

    /// One file.
    pub fn single(seed: u64, size: u64, piece_length: u32) -> Arc<Self> {
        Self::new(seed, &Shape { piece_length, files: vec![(size, false)] })
    }

    pub fn piece(&self, piece: u32) -> &[u8] {
        self.at(self.info.layout.piece_offset(piece), self.info.layout.piece_size(piece) as usize)
    }

    pub fn block(&self, piece: u32, begin: u32, length: u32) -> &[u8] {
        &self.piece(piece)[begin as usize..(begin + length) as usize]
    }

    /// Bytes of a file.
    pub fn file(&self, file: u32, offset: u64, length: usize) -> &[u8] {
        self.at(self.info.layout.files()[file as usize].offset + offset, length)
    }

    fn at(&self, offset: u64, length: usize) -> &[u8] {
        let begin = (offset % self.period) as usize;
        &self.bytes[begin..begin + length]
    }
}

fn create(seed: u64, shape: &Shape) -> Create {
    let name = format!("simulated-{seed}");
    if let [(size, false)] = shape.files[..] {
        return Create::single(name, size, shape.piece_length);
    }
    let path = |(i, (size, pad)): (usize, &(u64, bool))| {
        // The names that padding had before there was an attribute for it: they need none here.
        let path = vec![if *pad { format!("_____padding_file_{i}") } else { format!("file{i}") }];
        (path, *size)
    };
    let files = shape.files.iter().enumerate().map(path).collect();
    Create { name, piece_length: shape.piece_length, files, ..Create::default() }
}
