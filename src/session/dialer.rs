//! Connections out and in, up to the point where the core lets a peer in or turns it away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::LetIn;
use super::connection_limit::{ConnectionPermit, Kind};
use super::driver::Driver;
use super::inner::Inner;
use crate::wire::Handshake;
use crate::wire::handshake::HANDSHAKE_BYTES;

/// One that was told to make room has left by then.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);

/// Dials a peer; the core hears how it went.
pub fn dial(driver: &Arc<Driver>, address: SocketAddr) {
    let settings = driver.session.settings();
    let permit = settings.enable_outgoing_tcp.then(|| driver.session.connections.acquire(Kind::Dialled)).flatten();
    let Some(mut permit) = permit else {
        driver.run(|core, now| core.dial_deferred(now, address));
        if settings.enable_outgoing_tcp && driver.session.connections.is_full(Kind::Dialled) {
            let task_driver = driver.clone();
            // It is dialled again soon, and finds the place if there is one.
            driver.spawn(async move { _ = task_driver.session.free_place(&task_driver) });
        }
        return;
    };
    let task_driver = driver.clone();
    driver.spawn(async move {
        let driver = task_driver;
        let connect = timeout(seconds(settings.peer_connect_timeout), TcpStream::connect(address));
        let greet = async {
            let mut stream = connect.await.ok()?.ok()?;
            // A peer that hears nothing says nothing: ours goes first.
            let ours = driver.session.handshake(&driver).encode();
            stream.write_all(&ours).await.ok()?;
            let theirs = read_handshake(&mut stream).await?;
            Some((stream, theirs))
        };
        let limit = seconds(settings.peer_connect_timeout) + seconds(settings.handshake_timeout);
        let met = timeout(limit, greet).await.ok().flatten();
        let wanted = driver.session.handshake(&driver).info_hash;
        match met.filter(|(_, theirs)| theirs.info_hash == wanted) {
            Some((stream, theirs)) => {
                permit.answered();
                admit(&driver, stream, address, false, &theirs, permit);
            }
            None => driver.run(|core, now| core.dial_failed(now, address)),
        }
    });
}

/// An accepted connection: the peer names the torrent.
pub async fn accept(session: Arc<Inner>, mut stream: TcpStream, address: SocketAddr) {
    let guest = session.half_open.enter(address.ip());
    let greet = timeout(seconds(session.settings().handshake_timeout), read_handshake(&mut stream));
    let theirs = tokio::select! {
        theirs = greet => theirs,
        () = guest.gone.cancelled() => return,
    };
    let Ok(Some(theirs)) = theirs else { return };
    let Some(driver) = session.torrents.lock().find_wire(&theirs.info_hash).cloned() else { return };
    let ours = session.handshake(&driver).encode();
    // A few bytes, which any socket takes.
    if stream.write_all(&ours).await.is_err() {
        return;
    }
    let place = session.connections.acquire(Kind::Incoming);
    let permit = match place {
        Some(permit) => permit,
        None if session.free_place(&driver) => {
            let Ok(permit) = timeout(ROOM_PATIENCE, session.connections.wait(Kind::Incoming)).await else { return };
            permit
        }
        None => return,
    };
    drop(guest);
    if !session.is_closed() {
        admit(&driver, stream, address, true, &theirs, permit);
    }
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
        driver.start_connection(stream, LetIn { key, credits, permit });
    }
}

async fn read_handshake(stream: &mut TcpStream) -> Option<Handshake> {
    let mut bytes = [0; HANDSHAKE_BYTES];
    stream.read_exact(&mut bytes).await.ok()?;
    Handshake::parse(&bytes).ok()
}

fn seconds(s: i64) -> Duration {
    Duration::from_secs(u64::try_from(s).unwrap_or(1).max(1))
}
