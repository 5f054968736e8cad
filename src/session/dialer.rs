//! Connections out and in, up to the point where the core lets a peer in or turns it away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::driver::Driver;
use super::peer_io;
use super::peer_io::LetIn;
use super::shared::{Freed, ROOM_PAUSE, Shared};
use crate::alert::CloseReason;
use crate::base::error::{Error, Operation, Status};
use crate::engine::swarm::dial::{DIAL_ASKED_AGAIN, DIAL_PATIENCE, DialFailure};
use crate::engine::swarm::urgency::Urgency;
use crate::net::connection_limit::{ConnectionPermit, Kind};
use crate::net::egress;
use crate::net::half_open::Guest;
use crate::wire::Handshake;
use crate::wire::handshake::{HANDSHAKE_BYTES, INFO_HASH_END};

/// One that was told to make room has left by then.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);

/// Dials a peer; the core hears how it went.
pub fn dial(driver: &Arc<Driver>, address: SocketAddr) {
    let settings = driver.session.settings();
    if !settings.enable_outgoing_tcp {
        driver.run(|core, now| core.dial_forbidden(now, address));
        return;
    }
    let task_driver = driver.clone();
    match driver.session.connections.acquire(Kind::Dialled) {
        Some(permit) => driver.spawn(async move { meet(task_driver, address, permit).await }),
        // One at a time.
        None if driver.waiters.are(Urgency::Read) && !driver.awaits_place.swap(true, Ordering::AcqRel) => {
            driver.spawn(async move { dial_first(task_driver, address).await });
        }
        None => {
            driver.run(|core, now| core.dial_deferred(now, address));
            if driver.session.connections.is_full(Kind::Dialled) {
                // It is dialled again soon, and finds the place if there is one.
                driver.spawn(async move { _ = task_driver.session.free_place(&task_driver, Kind::Dialled) });
            }
        }
    }
}

/// A read waits, and there is no place: the dial has the next one that comes free.
async fn dial_first(driver: Arc<Driver>, address: SocketAddr) {
    let permit = timeout(ROOM_PATIENCE, place(&driver.session, &driver, Kind::DialledFirst)).await;
    driver.awaits_place.store(false, Ordering::Release);
    match permit {
        Ok(Some(permit)) => meet(driver, address, permit).await,
        Ok(None) | Err(_) => driver.run(|core, now| core.dial_deferred(now, address)),
    }
}

/// Dials under a place of the session's.
async fn meet(driver: Arc<Driver>, address: SocketAddr, mut permit: ConnectionPermit) {
    let settings = driver.session.settings();
    let connect = timeout(seconds(settings.peer_connect_timeout), egress::connect(None, address));
    let met = async {
        let Ok(connected) = connect.await else { return Err(timed_out(Operation::Connect, CloseReason::Timeout)) };
        let stream = connected.map_err(|e| lost(Operation::Connect, &e))?;
        let greeted = timeout(seconds(settings.handshake_timeout), greet(&driver, stream)).await;
        greeted.unwrap_or_else(|_| Err(timed_out(Operation::Handshake, CloseReason::TimedOutHandshake)))
    };
    tokio::pin!(met);
    let mut patience = DIAL_PATIENCE;
    let met = loop {
        tokio::select! {
            met = &mut met => break met,
            () = sleep(patience) => {}
        }
        patience = DIAL_ASKED_AGAIN;
        let crowded = driver.session.connections.is_full_of_dials();
        // One that is removed meanwhile dials nobody else.
        if driver.look(|core, now| core.dial_gives_way(now, crowded)).unwrap_or(true) {
            break Err(timed_out(Operation::Connect, CloseReason::Timeout));
        }
    };
    match met {
        // The limit was lowered meanwhile.
        Ok(_) if driver.session.connections.is_over() => driver.run(|core, now| core.dial_deferred(now, address)),
        Ok((stream, theirs)) => {
            permit.answered();
            admit(&driver, stream, address, false, &theirs, permit);
        }
        Err(failure) => {
            // The next one finds the place free.
            drop(permit);
            driver.run(|core, now| core.dial_failed(now, address, failure));
        }
    }
}

/// A peer that hears nothing says nothing: ours goes first.
async fn greet(driver: &Driver, mut stream: TcpStream) -> Result<(TcpStream, Handshake), DialFailure> {
    let ours = driver.session.handshake(driver);
    stream.write_all(&ours.encode()).await.map_err(|e| lost(Operation::SockWrite, &e))?;
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

fn failure(reason: CloseReason, operation: Operation, what: String) -> DialFailure {
    DialFailure { reason, error: Some(Error::new(Status::Network, what).with_operation(operation)) }
}

fn timed_out(operation: Operation, reason: CloseReason) -> DialFailure {
    failure(reason, operation, "the peer did not answer in time".to_owned())
}

fn lost(operation: Operation, error: &std::io::Error) -> DialFailure {
    let os_error = error.raw_os_error().unwrap_or(0);
    let error = Error { status: Status::Network, operation, os_error, message: error.to_string() };
    DialFailure { reason: CloseReason::None, error: Some(error) }
}

/// An accepted connection: the peer names the torrent.
pub async fn accept(session: Arc<Shared>, guest: Guest, mut stream: TcpStream, address: SocketAddr) {
    let greet = timeout(seconds(session.settings().handshake_timeout), answer(&session, &mut stream));
    let answered = tokio::select! {
        answered = greet => answered,
        () = guest.gone.cancelled() => return,
    };
    let Ok(Some((driver, theirs))) = answered else { return };
    let Ok(Some(permit)) = timeout(ROOM_PATIENCE, place(&session, &driver, Kind::Incoming)).await else { return };
    drop(guest);
    if !session.is_closed() {
        admit(&driver, stream, address, true, &theirs, permit);
    }
}

/// A place for one that came, or for a dial that a read waits for; another one may have to leave it first.
async fn place(session: &Shared, driver: &Arc<Driver>, kind: Kind) -> Option<ConnectionPermit> {
    let _in_front = (kind == Kind::DialledFirst).then(|| session.connections.queue_first());
    loop {
        if let Some(permit) = session.connections.acquire(kind) {
            return Some(permit);
        }
        // What was promised to others comes free later, and dials end by themselves.
        if !session.connections.is_full(kind) {
            return Some(session.connections.wait(kind).await);
        }
        match session.free_place(driver, kind) {
            Freed::One => return Some(session.connections.wait(kind).await),
            Freed::None => return None,
            Freed::NotYet => sleep(ROOM_PAUSE).await,
        }
    }
}

/// Answers as soon as the torrent is known: who only wants to know whether we can be reached (trackers) sends no peer id before.
async fn answer(session: &Shared, stream: &mut TcpStream) -> Option<(Arc<Driver>, Handshake)> {
    let mut bytes = [0; HANDSHAKE_BYTES];
    let (head, peer_id) = bytes.split_at_mut(INFO_HASH_END);
    stream.read_exact(head).await.ok()?;
    let info_hash = Handshake::parse_info_hash(head).ok()?;
    let driver = session.torrents.lock().find_wire(&info_hash).cloned()?;
    stream.write_all(&session.handshake(&driver).encode()).await.ok()?;
    stream.read_exact(peer_id).await.ok()?;
    Some((driver, Handshake::parse(&bytes).ok()?))
}

fn admit(
    driver: &Arc<Driver>,
    stream: TcpStream,
    address: SocketAddr,
    incoming: bool,
    theirs: &Handshake,
    permit: ConnectionPermit,
) {
    let outcome = driver.attempt(|core, now| core.peer_connected(now, address, incoming, theirs));
    if let Ok(Ok((key, credits))) = outcome {
        peer_io::start(driver, stream, LetIn { key, credits, permit });
    }
}

fn seconds(s: i64) -> Duration {
    Duration::from_secs(u64::try_from(s).unwrap_or(1).max(1))
}
