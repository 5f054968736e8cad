//! Connections out and in, up to the point where the core lets a peer in or turns it away.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::driver::Driver;
use super::peer_io::LetIn;
use super::shared::{Freed, ROOM_PAUSE, Shared};
use super::ways::{seconds, timed_out};
use super::{greeting, peer_io, ways};
use crate::alert::{BlockedReason, CloseReason};
use crate::base::error::Operation;
use crate::engine::swarm::dial::{DIAL_ASKED_AGAIN, DIAL_PATIENCE, Dial};
use crate::engine::swarm::urgency::Urgency;
use crate::net::connection_limit::{ConnectionPermit, Kind};
use crate::net::egress::Egress;
use crate::net::egress::route::Traffic;
use crate::net::half_open::Guest;
use crate::net::peer_stream::PeerStream;
use crate::net::transport::Transport;
use crate::wire::Handshake;
use crate::wire::stream_kind::Carrier;

/// One that was told to make room has left by then.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);

/// Dials a peer; the core hears how it went.
pub fn dial(driver: &Arc<Driver>, dial: Dial) {
    let address = dial.address;
    let settings = driver.session.settings();
    if !settings.enable_outgoing_tcp && !settings.enable_outgoing_utp {
        driver.run(|core, now| core.dial_forbidden(now, address));
        return;
    }
    let task_driver = driver.clone();
    match driver.session.connections.acquire(Kind::Dialled) {
        Some(permit) => driver.spawn(async move { meet(task_driver, dial, permit).await }),
        // One at a time.
        None if driver.waiters.are(Urgency::Read) && !driver.awaits_place.swap(true, Ordering::AcqRel) => {
            driver.spawn(async move { dial_first(task_driver, dial).await });
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
async fn dial_first(driver: Arc<Driver>, dial: Dial) {
    let permit = timeout(ROOM_PATIENCE, place(&driver.session, &driver, Kind::DialledFirst)).await;
    driver.awaits_place.store(false, Ordering::Release);
    match permit {
        Ok(Some(permit)) => meet(driver, dial, permit).await,
        Ok(None) | Err(_) => driver.run(|core, now| core.dial_deferred(now, dial.address)),
    }
}

/// Dials under a place of the session's.
async fn meet(driver: Arc<Driver>, dial: Dial, mut permit: ConnectionPermit) {
    let address = dial.address;
    let egress = driver.session.egress();
    let changed = || timed_out(Operation::Connect, CloseReason::None);
    let reach = async { egress.while_it_lasts(ways::reach(&driver, dial)).await.unwrap_or_else(|| Err(changed())) };
    let mut met = pin!(reach);
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
            admit(&driver, &egress, stream, address, false, &theirs, permit);
        }
        Err(failure) => {
            // The next one finds the place free.
            drop(permit);
            driver.run(|core, now| core.dial_failed(now, address, failure));
        }
    }
}

/// A connection came, by whichever way. It is noted now, in the order of coming: else those before it could crowd out one that came last.
pub fn accept(session: &Arc<Shared>, transport: Transport, address: SocketAddr) {
    let settings = session.settings();
    let (accepted, blocked) = match transport {
        Transport::Tcp(_) => (settings.enable_incoming_tcp, BlockedReason::TcpDisabled),
        Transport::Utp(_) => (settings.enable_incoming_utp, BlockedReason::UtpDisabled),
    };
    // It came in the moment in which that was changed.
    if !accepted {
        return session.tell_blocked(address, blocked);
    }
    let guest = session.half_open.enter(address.ip());
    let accepting = session.clone();
    let carrier = if matches!(transport, Transport::Utp(_)) { Carrier::Utp } else { Carrier::Tcp };
    session.spawn(async move { greet(accepting, guest, PeerStream::plain(transport, carrier), address).await });
}

/// An accepted connection: the peer names the torrent.
async fn greet(session: Arc<Shared>, guest: Guest, stream: PeerStream, address: SocketAddr) {
    let egress = session.egress();
    // The socket that it came by is about to be closed.
    if !egress.route().is_direct(Traffic::Peers) {
        return;
    }
    let greeting = egress.while_it_lasts(greeting::incoming(&session, stream));
    let greet = timeout(seconds(session.settings().handshake_timeout), greeting);
    let greeted = tokio::select! {
        greeted = greet => greeted,
        () = guest.gone.cancelled() => return,
    };
    let Ok(Some(Some((driver, stream, theirs)))) = greeted else { return };
    let Ok(Some(permit)) = timeout(ROOM_PATIENCE, place(&session, &driver, Kind::Incoming)).await else { return };
    drop(guest);
    if !session.is_closed() {
        admit(&driver, &egress, stream, address, true, &theirs, permit);
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

/// `egress`: by which way out it was met. One that has ended admits nobody.
fn admit(
    driver: &Arc<Driver>,
    egress: &Egress,
    stream: PeerStream,
    address: SocketAddr,
    incoming: bool,
    theirs: &Handshake,
    permit: ConnectionPermit,
) {
    let outcome = driver.attempt(|core, now| {
        if egress.is_ended() {
            core.dial_deferred(now, address);
            return None;
        }
        let let_in = core.peer_connected(now, address, incoming, stream.kind(), theirs).ok()?;
        if let Some(local) = stream.local_ip() {
            core.connected_by(let_in.0, local);
        }
        Some(let_in)
    });
    if let Ok(Some((key, credits))) = outcome {
        peer_io::start(driver, stream, LetIn { key, credits, permit });
    }
}
