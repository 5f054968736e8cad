//! The byte stream of a peer: TCP or uTP, in plain or encrypted (MSE).
//!
//! What comes in is decrypted where it lands, so payload goes straight into its block. What goes out is copied to be encrypted: its memory is
//! shared with others.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::IpAddr;

use super::transport::Transport;
use crate::wire::mse::{CryptoMethods, Established, Keystream};
use crate::wire::stream_kind::{Carrier, Encryption, StreamKind};

/// So much is encrypted at a time: it is held beside the payload until the socket takes it.
const SEALED_BYTES: usize = 64 * 1024;

/// A peer's stream.
#[derive(Debug)]
pub struct PeerStream {
    transport: Transport,
    kind: StreamKind,
    early: Early,
    decrypt: Option<Keystream>,
    sealer: Option<Sealer>,
}

/// What came with the encrypted handshake, in plain: it is read first.
#[derive(Debug, Default)]
struct Early {
    bytes: Vec<u8>,
    read: usize,
}

/// What goes out encrypted.
#[derive(Debug)]
struct Sealer {
    keystream: Keystream,
    /// The encrypted start of what is to be written, and how much of it the socket took.
    sealed: Vec<u8>,
    written: usize,
}

impl PeerStream {
    pub fn plain(transport: Transport, carrier: Carrier) -> Self {
        let kind = StreamKind { carrier, encryption: Encryption::None };
        Self { transport, kind, early: Early::default(), decrypt: None, sealer: None }
    }

    /// It goes on as the handshake of MSE, which was exchanged on it in plain, says.
    pub fn encrypted(self, established: Established) -> Self {
        let Established { method, read, write, early } = established;
        let encryption = if method == CryptoMethods::RC4 { Encryption::Rc4 } else { Encryption::Plaintext };
        Self {
            transport: self.transport,
            kind: StreamKind { encryption, ..self.kind },
            early: Early { bytes: early, read: 0 },
            decrypt: read,
            sealer: write.map(|keystream| Sealer { keystream, sealed: Vec::new(), written: 0 }),
        }
    }

    pub fn kind(&self) -> StreamKind {
        self.kind
    }

    /// The address of our end, where it is bound to one.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.transport.local_ip()
    }

    /// Small messages are sent at once.
    pub fn set_nodelay(&self) -> io::Result<()> {
        self.transport.set_nodelay()
    }

    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        let Self { transport, early, decrypt, sealer, .. } = self;
        (ReadHalf { transport, early, decrypt: decrypt.as_mut() }, WriteHalf { transport, sealer: sealer.as_mut() })
    }

    /// Waits for bytes, and reads some. The end is an error. For handshakes, whose next part may wait for the word that the last one arrived.
    pub async fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let (mut reader, _) = self.split();
        loop {
            reader.readable().await?;
            match reader.try_read(&mut [IoSliceMut::new(bytes)]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => {
                    self.transport.acknowledge();
                    return done;
                }
            }
        }
    }

    pub async fn read_exact(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let read = self.read(bytes).await?;
            bytes = bytes.get_mut(read..).unwrap_or_default();
        }
        Ok(())
    }

    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let (_, mut writer) = self.split();
        while !bytes.is_empty() {
            writer.writable().await?;
            match writer.try_write(&[IoSlice::new(bytes)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// The half that is read from.
#[derive(Debug)]
pub struct ReadHalf<'a> {
    transport: &'a Transport,
    early: &'a mut Early,
    decrypt: Option<&'a mut Keystream>,
}

impl ReadHalf<'_> {
    /// Waits until there may be something.
    pub async fn readable(&self) -> io::Result<()> {
        if self.early.bytes.is_empty() { self.transport.readable().await } else { Ok(()) }
    }

    /// Reads into the places, in their order, what is there. 0: the end.
    pub fn try_read(&mut self, places: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if !self.early.bytes.is_empty() {
            return Ok(self.early.take(places));
        }
        let read = self.transport.try_read_vectored(places)?;
        if let Some(keystream) = &mut self.decrypt {
            let mut left = read;
            for place in places {
                let here = left.min(place.len());
                keystream.apply(place.get_mut(..here).unwrap_or_default());
                left -= here;
            }
        }
        Ok(read)
    }
}

impl Early {
    fn take(&mut self, places: &mut [IoSliceMut<'_>]) -> usize {
        let before = self.read;
        for place in places {
            let left = self.bytes.get(self.read..).unwrap_or_default();
            let n = left.len().min(place.len());
            let (to, from) = (place.get_mut(..n).unwrap_or_default(), left.get(..n).unwrap_or_default());
            to.copy_from_slice(from);
            self.read += n;
        }
        let read = self.read - before;
        if self.read == self.bytes.len() {
            *self = Self::default();
        }
        read
    }
}

/// The half that is written to.
#[derive(Debug)]
pub struct WriteHalf<'a> {
    transport: &'a Transport,
    sealer: Option<&'a mut Sealer>,
}

impl WriteHalf<'_> {
    /// Waits until the socket may take something.
    pub async fn writable(&self) -> io::Result<()> {
        self.transport.writable().await
    }

    /// Writes what the socket takes, and tells how much that was. What it did not take must come first in the next call, unchanged: it may be encrypted
    /// already.
    pub fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.sealer {
            None => self.transport.try_write_vectored(slices),
            Some(sealer) => {
                let sealed = sealer.seal(slices);
                let written = self.transport.try_write_vectored(&[IoSlice::new(sealed)])?;
                sealer.took(written);
                Ok(written)
            }
        }
    }
}

impl Sealer {
    /// The start of the slices, encrypted: as much of them as is ready.
    fn seal(&mut self, slices: &[IoSlice<'_>]) -> &[u8] {
        if self.sealed.is_empty() {
            for slice in slices {
                let room = SEALED_BYTES - self.sealed.len();
                self.sealed.extend_from_slice(slice.get(..room.min(slice.len())).unwrap_or_default());
            }
            self.keystream.apply(&mut self.sealed);
        }
        let asked: usize = slices.iter().map(|s| s.len()).sum();
        let ready = self.sealed.get(self.written..).unwrap_or_default();
        ready.get(..asked.min(ready.len())).unwrap_or_default()
    }

    fn took(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written == self.sealed.len() {
            (self.sealed, self.written) = (Vec::new(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer { keystream: Keystream::new(&[1; 20]), sealed: Vec::new(), written: 0 }
    }

    /// However the socket takes them, and whatever a limit lets through, the bytes are those of one stream.
    #[test]
    fn what_is_sealed_in_parts_is_the_same_stream() {
        let plain: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let mut whole = plain.clone();
        Keystream::new(&[1; 20]).apply(&mut whole);
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut sealer, mut sent) = (sealer(), Vec::new());
        while sent.len() < plain.len() {
            let rest = &plain[sent.len()..];
            let asked = &rest[..rng.usize(1..=rest.len().min(150_000))];
            let (one, two) = asked.split_at(rng.usize(..=asked.len()));
            let ready = sealer.seal(&[IoSlice::new(one), IoSlice::new(two)]);
            assert!(!ready.is_empty() && ready.len() <= asked.len());
            let taken = ready[..rng.usize(..=ready.len())].to_vec();
            sealer.took(taken.len());
            sent.extend(taken);
        }
        assert!(sent == whole);
        assert_eq!(sealer.sealed.capacity(), 0, "nothing is held when all is sent");
    }

    #[test]
    fn what_came_early_is_read_first_in_any_cut() {
        let mut early = Early { bytes: (0..100).collect(), read: 0 };
        let mut got = Vec::new();
        while !early.bytes.is_empty() {
            let (mut one, mut two) = ([0; 3], [0; 4]);
            let n = early.take(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]);
            got.extend([one.as_slice(), two.as_slice()].concat().into_iter().take(n));
        }
        assert_eq!(got, (0..100).collect::<Vec<u8>>());
    }

    /// A peer answers with two small messages, and holds the second back until the first is acknowledged.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_read_of_a_handshake_is_acknowledged_at_once() {
        use std::io::{Read, Write};

        const ROUNDS: u32 = 20;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let peer = std::thread::spawn(move || {
            let mut peer = listener.accept().expect("came").0;
            for _ in 0..ROUNDS {
                peer.read_exact(&mut [0; 8]).expect("asked");
                peer.write_all(&[1; 8]).expect("sent");
                peer.write_all(&[2; 8]).expect("sent");
            }
        });
        let tcp = tokio::net::TcpStream::connect(address).await.expect("connected");
        let mut stream = PeerStream::plain(Transport::Tcp(tcp), Carrier::Tcp);
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            let began = std::time::Instant::now();
            stream.write_all(&[0; 8]).await.expect("sent");
            let mut answer = [0; 16];
            stream.read_exact(&mut answer).await.expect("an answer");
            took.push(began.elapsed());
        }
        peer.join().expect("no panic");
        took.sort_unstable();
        // Linux waits 40 ms at least. Some may be late for other reasons.
        assert!(took[took.len() / 2].as_millis() < 30, "{took:?}");
    }
}
