//! The first words on a connection: the handshake (BEP 3), in plain or within MSE.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::driver::Driver;
use super::encryption_policy::EncryptionPolicy;
use super::shared::Shared;
use crate::alert::CloseReason;
use crate::base::error::{Error, Operation, Status};
use crate::engine::swarm::dial::DialFailure;
use crate::net::peer_stream::PeerStream;
use crate::settings::Settings;
use crate::wire::Handshake;
use crate::wire::handshake::{HANDSHAKE_BYTES, INFO_HASH_END, PROTOCOL};
use crate::wire::mse::{CryptoMethods, Established, Initiator, MseError, PRIVATE_KEY_BYTES, Responder};

/// What an encrypted handshake is read with. It has some 1200 bytes at most, and an ordinary one comes in two parts.
const READ_BYTES: usize = 1024;
/// A handshake without an answer for so long lets another way say its own.
const UNANSWERED: Duration = Duration::from_secs(1);

/// Who may say the handshake of a dial that goes several ways at once. A peer that heard it twice would close one connection as a duplicate, and not the one
/// that we would: both would be lost. So one says it at a time, and the next when that has failed, or has had no answer for a while.
#[derive(Debug)]
pub struct Word(Semaphore);

impl Word {
    pub fn new() -> Self {
        Self(Semaphore::new(1))
    }

    /// Says it in turn: `say` begins when it may.
    async fn say<T>(&self, say: impl Future<Output = T>) -> T {
        // It is never closed.
        let turn = self.0.acquire().await.ok();
        let mut say = pin!(say);
        tokio::select! {
            biased;
            said = &mut say => return said,
            () = sleep(UNANSWERED) => drop(turn),
        }
        say.await
    }
}

/// We dialled: a peer that hears nothing says nothing, so ours goes first. In plain, or encrypted by one of these methods.
pub async fn outgoing(
    driver: &Driver,
    mut stream: PeerStream,
    methods: Option<CryptoMethods>,
    word: &Word,
) -> Result<(PeerStream, Handshake), DialFailure> {
    let ours = driver.session.handshake(driver);
    match methods {
        Some(provide) => {
            let (mse, answer) = meet_encrypted(&mut stream, &ours, provide).await?;
            word.say(async {
                let stream = encrypt(stream, mse, answer).await?;
                answered(driver, stream, &ours).await
            })
            .await
        }
        None => {
            word.say(async {
                stream.write_all(&ours.encode()).await.map_err(|e| lost(Operation::SockWrite, &e))?;
                answered(driver, stream, &ours).await
            })
            .await
        }
    }
}

/// The peer's handshake.
async fn answered(
    driver: &Driver,
    mut stream: PeerStream,
    ours: &Handshake,
) -> Result<(PeerStream, Handshake), DialFailure> {
    let mut bytes = [0; HANDSHAKE_BYTES];
    stream.read_exact(&mut bytes).await.map_err(|e| lost(Operation::Handshake, &e))?;
    let theirs = Handshake::parse(&bytes)
        .map_err(|e| failure(CloseReason::InvalidMessage, Operation::Handshake, e.to_string()))?;
    // A magnet learns meanwhile by what hash its torrent goes.
    if theirs.info_hash != ours.info_hash && theirs.info_hash != driver.session.handshake(driver).info_hash {
        let what = format!("the peer answered for another torrent, {}", theirs.info_hash);
        return Err(failure(CloseReason::InvalidInfoHash, Operation::Bittorrent, what));
    }
    Ok((stream, theirs))
}

/// The first half of MSE's handshake: the keys are exchanged, and no torrent is named yet. What is to be written next.
async fn meet_encrypted(
    stream: &mut PeerStream,
    ours: &Handshake,
    provide: CryptoMethods,
) -> Result<(Initiator, Vec<u8>), DialFailure> {
    let (private, mut rng) = secrets().map_err(|e| failure(CloseReason::EncryptionError, Operation::Encryption, e))?;
    let (mut mse, mut out) = Initiator::new(private, &mut rng, ours.info_hash, provide, ours.encode().to_vec());
    stream.write_all(&out).await.map_err(|e| lost(Operation::Encryption, &e))?;
    out.clear();
    while out.is_empty() {
        // Before ours is said nothing can be established.
        receive(stream, &mut mse, &mut out).await?;
    }
    Ok((mse, out))
}

/// The second half. Our handshake goes with it, and saves a round trip.
async fn encrypt(mut stream: PeerStream, mut mse: Initiator, mut out: Vec<u8>) -> Result<PeerStream, DialFailure> {
    loop {
        stream.write_all(&out).await.map_err(|e| lost(Operation::Encryption, &e))?;
        out.clear();
        if let Some(established) = receive(&mut stream, &mut mse, &mut out).await? {
            return Ok(stream.encrypted(established));
        }
    }
}

async fn receive(
    stream: &mut PeerStream,
    mse: &mut Initiator,
    out: &mut Vec<u8>,
) -> Result<Option<Established>, DialFailure> {
    let mut bytes = [0; READ_BYTES];
    let read = stream.read(&mut bytes).await.map_err(|e| lost(Operation::Encryption, &e))?;
    let failed = |e: MseError| failure(CloseReason::EncryptionError, Operation::Encryption, e.to_string());
    mse.receive(bytes.get(..read).unwrap_or_default(), out).map_err(failed)
}

/// A peer came: it names the torrent. None: no torrent of ours, or it is not let in so.
pub async fn incoming(session: &Shared, mut stream: PeerStream) -> Option<(Arc<Driver>, PeerStream, Handshake)> {
    let mut bytes = [0; HANDSHAKE_BYTES];
    let mut got = 0;
    // As soon as it cannot be a plain one any more it is an encrypted one.
    while got < PROTOCOL.len() && bytes.get(..got) == PROTOCOL.get(..got) {
        got += stream.read(bytes.get_mut(got..PROTOCOL.len())?).await.ok()?;
    }
    let policy = EncryptionPolicy::incoming(&session.settings());
    if bytes.get(..got) == Some(PROTOCOL.as_slice()) {
        if policy == EncryptionPolicy::Forced {
            return None;
        }
        return plain(session, stream, bytes).await;
    }
    if policy == EncryptionPolicy::Disabled {
        return None;
    }
    let (driver, mut stream) = decrypt(session, stream, bytes.get(..got)?).await?;
    stream.write_all(&session.handshake(&driver).encode()).await.ok()?;
    stream.read_exact(&mut bytes).await.ok()?;
    let theirs = Handshake::parse(&bytes).ok()?;
    let named = session.torrents.lock().find_wire(&theirs.info_hash).map(|d| d.index);
    (named == Some(driver.index)).then_some((driver, stream, theirs))
}

/// The start of a plain handshake is here. Answers as soon as the torrent is known: who only wants to know whether we can be reached (trackers) sends
/// no peer id before.
async fn plain(
    session: &Shared,
    mut stream: PeerStream,
    mut bytes: [u8; HANDSHAKE_BYTES],
) -> Option<(Arc<Driver>, PeerStream, Handshake)> {
    let (head, peer_id) = bytes.split_at_mut(INFO_HASH_END);
    stream.read_exact(head.get_mut(PROTOCOL.len()..)?).await.ok()?;
    let info_hash = Handshake::parse_info_hash(head).ok()?;
    let driver = session.torrents.lock().find_wire(&info_hash).cloned()?;
    stream.write_all(&session.handshake(&driver).encode()).await.ok()?;
    stream.read_exact(peer_id).await.ok()?;
    Some((driver, stream, Handshake::parse(&bytes).ok()?))
}

/// An encrypted handshake begins with these bytes.
async fn decrypt(session: &Shared, mut stream: PeerStream, start: &[u8]) -> Option<(Arc<Driver>, PeerStream)> {
    let (private, rng) = secrets().ok()?;
    let settings = session.settings();
    let mut mse = Responder::new(private, rng, methods(&settings), settings.prefer_rc4);
    let find = |hash: &[u8; 20]| session.torrents.lock().find_skey(hash);
    let mut bytes = [0; READ_BYTES];
    let mut out = Vec::new();
    let mut met = mse.receive(start, find, &mut out).ok()?;
    loop {
        stream.write_all(&out).await.ok()?;
        out.clear();
        if let Some((info_hash, established)) = met {
            let driver = session.torrents.lock().find_wire(&info_hash).cloned()?;
            return Some((driver, stream.encrypted(established)));
        }
        let read = stream.read(&mut bytes).await.ok()?;
        met = mse.receive(bytes.get(..read)?, find, &mut out).ok()?;
    }
}

/// A private key that nobody can guess, and what paddings are made with.
fn secrets() -> Result<([u8; PRIVATE_KEY_BYTES], fastrand::Rng), String> {
    let (mut private, mut seed) = ([0; PRIVATE_KEY_BYTES], [0; 8]);
    for bytes in [private.as_mut_slice(), &mut seed] {
        getrandom::fill(bytes).map_err(|e| format!("no random bytes: {e}"))?;
    }
    Ok((private, fastrand::Rng::with_seed(u64::from_ne_bytes(seed))))
}

/// How an encrypted connection may go on.
pub fn methods(settings: &Settings) -> CryptoMethods {
    u32::try_from(settings.allowed_enc_level).map_or(CryptoMethods::all(), CryptoMethods::from_bits_truncate)
}

pub fn failure(reason: CloseReason, operation: Operation, what: String) -> DialFailure {
    DialFailure { reason, error: Some(Error::new(Status::Network, what).with_operation(operation)) }
}

pub fn lost(operation: Operation, error: &std::io::Error) -> DialFailure {
    let os_error = error.raw_os_error().unwrap_or(0);
    let error = Error { status: Status::Network, operation, os_error, message: error.to_string() };
    DialFailure { reason: CloseReason::None, error: Some(error) }
}
