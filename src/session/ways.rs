//! The ways to a peer: by TCP and by uTP, in plain and encrypted (MSE).
//!
//! Some peers take the one only, some the other. What a peer took the last time is tried first, and the other ways if that fails. Of a peer
//! that is not known the encrypted way is begun as soon as the plain connection stands, not when it has failed, and the first that answers
//! wins: that costs others a connection that brings nothing, and saves us two round trips or a timeout. uTP is begun when TCP has failed, or
//! has not connected within the delay of RFC 8305: TCP is the faster one, and a gateway that lets only uTP through answers nothing. Several ways may
//! connect, but one says the handshake at a time.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::driver::Driver;
use super::encryption_policy::EncryptionPolicy;
use super::greeting::{self, Word};
use crate::alert::CloseReason;
use crate::base::address::is_of_name;
use crate::base::error::Operation;
use crate::engine::swarm::dial::{Dial, DialFailure};
use crate::net::egress::proxy::Destination;
use crate::net::egress::route::Traffic;
use crate::net::peer_stream::PeerStream;
use crate::net::transport::Transport;
use crate::wire::Handshake;
use crate::wire::mse::CryptoMethods;
use crate::wire::stream_kind::Carrier;

/// RFC 8305's Connection Attempt Delay.
const OTHER_TRANSPORT_AFTER: Duration = Duration::from_millis(250);

/// Who lets uTP through answers within that: libtorrent's utp_connect_timeout.
const UTP_PATIENCE: Duration = Duration::from_secs(3);

/// Of a name's addresses so many are tried.
const MAX_ADDRESSES: usize = 4;

/// Why a way led nowhere.
struct Blocked {
    failure: DialFailure,
    /// There was a connection: another way may lead further.
    stood: bool,
}

type Met = (PeerStream, Handshake);

/// What a connection is to be made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Utp,
}

/// Connects and exchanges handshakes, one way or the other.
pub async fn reach(driver: &Driver, dial: Dial) -> Result<Met, DialFailure> {
    let settings = driver.session.settings();
    let by_udp = driver.session.egress().route().carries_udp(Traffic::Peers);
    let (first, second) = if dial.utp { (Protocol::Utp, Protocol::Tcp) } else { (Protocol::Tcp, Protocol::Utp) };
    // Packets from a host that is known by its name alone could not be told to be its.
    let named = is_of_name(dial.address.ip());
    let (tcp, utp) = (settings.enable_outgoing_tcp, settings.enable_outgoing_utp && by_udp && !named);
    if !(tcp && utp) {
        let only = if tcp { Protocol::Tcp } else { Protocol::Utp };
        return by(driver, dial, only, &Notify::new(), &Word::new()).await.map_err(|b| b.failure);
    }
    let (stands, word) = (Notify::new(), Word::new());
    let mut usual = pin!(by(driver, dial, first, &stands, &word));
    let waited = tokio::select! {
        biased;
        met = &mut usual => Some(met),
        () = sleep(OTHER_TRANSPORT_AFTER) => None,
        () = stands.notified() => Some(usual.as_mut().await),
    };
    let other = by(driver, dial, second, &stands, &word);
    match waited {
        Some(Ok(met)) => Ok(met),
        // Who answers for another torrent does so by any way.
        Some(Err(blocked)) if blocked.failure.reason == CloseReason::InvalidInfoHash => Err(blocked.failure),
        Some(Err(blocked)) => other.await.map_err(|_| blocked.failure),
        None => first_of(usual.as_mut(), pin!(other)).await.map_err(|b| b.failure),
    }
}

/// The first that gets there; why the usual one does not, if neither does.
async fn first_of(
    mut usual: impl Future<Output = Result<Met, Blocked>> + Unpin,
    mut other: impl Future<Output = Result<Met, Blocked>> + Unpin,
) -> Result<Met, Blocked> {
    tokio::select! {
        biased;
        met = &mut usual => match met {
            Ok(met) => Ok(met),
            Err(blocked) if blocked.failure.reason == CloseReason::InvalidInfoHash => Err(blocked),
            Err(blocked) => other.await.map_err(|_| blocked),
        },
        met = &mut other => match met {
            Ok(met) => Ok(met),
            Err(_) => usual.await,
        },
    }
}

/// Over one protocol, in plain or encrypted. `stands`: told when there is a connection.
async fn by(driver: &Driver, dial: Dial, protocol: Protocol, stands: &Notify, word: &Word) -> Result<Met, Blocked> {
    let settings = driver.session.settings();
    let methods = greeting::methods(&settings);
    // Apart, each: all ways in one future are a hundred kilobytes, and there are hundreds of dials.
    let go = |methods, stands| Box::pin(go(driver, dial.address, protocol, methods, (stands, word)));
    let (first, second) = match EncryptionPolicy::outgoing(&settings) {
        EncryptionPolicy::Forced => {
            return Box::pin(encrypted_only(driver, dial.address, protocol, methods, (stands, word))).await;
        }
        EncryptionPolicy::Disabled => return go(None, stands).await,
        EncryptionPolicy::Enabled if dial.encrypted == Some(true) => (Some(methods), None),
        EncryptionPolicy::Enabled => (None, Some(methods)),
    };
    let (begun, unheard) = (Notify::new(), Notify::new());
    let mut usual = go(first, &begun);
    let met = tokio::select! {
        biased;
        met = &mut usual => met,
        () = begun.notified() => {
            stands.notify_one();
            if dial.encrypted.is_none() {
                let mut other = go(second, &unheard);
                tokio::select! {
                    biased;
                    met = &mut usual => match met {
                        Err(blocked) if blocked.stood => return other.await.map_err(|_| blocked),
                        met => return met,
                    },
                    met = &mut other => match met {
                        Ok(met) => return Ok(met),
                        // Some let only one connection of an address say its handshake: the way is free when that one is gone.
                        Err(_) => usual.await,
                    },
                }
            } else {
                usual.await
            }
        }
    };
    match met {
        Err(blocked) if blocked.stood => go(second, &unheard).await.map_err(|_| blocked),
        met => met,
    }
}

/// Encrypted, whatever comes of it. Some that choose to go on in plain text take our encrypted handshake for a plain one: they are asked again for RC4.
async fn encrypted_only(
    driver: &Driver,
    address: SocketAddr,
    protocol: Protocol,
    methods: CryptoMethods,
    told: (&Notify, &Word),
) -> Result<Met, Blocked> {
    match go(driver, address, protocol, Some(methods), told).await {
        Err(blocked) if blocked.stood && methods == CryptoMethods::all() => {
            let again = go(driver, address, protocol, Some(CryptoMethods::RC4), told).await;
            again.map_err(|_| blocked)
        }
        met => met,
    }
}

/// Goes one way: in plain, or encrypted by one of these methods. `stands`: told when there is a connection.
async fn go(
    driver: &Driver,
    address: SocketAddr,
    protocol: Protocol,
    methods: Option<CryptoMethods>,
    (stands, word): (&Notify, &Word),
) -> Result<Met, Blocked> {
    let settings = driver.session.settings();
    let far = |failure| Blocked { failure, stood: false };
    let connect = timeout(seconds(settings.peer_connect_timeout), connect(driver, address, protocol)).await;
    let connected = connect.map_err(|_| far(timed_out(Operation::Connect, CloseReason::Timeout)))?;
    let transport = connected.map_err(|e| far(greeting::lost(Operation::Connect, &e)))?;
    stands.notify_one();
    let carrier = match protocol {
        Protocol::Tcp => driver.session.egress().route().carrier(Traffic::Peers),
        Protocol::Utp => Carrier::Utp,
    };
    let greeted = timeout(
        seconds(settings.handshake_timeout),
        greeting::outgoing(driver, PeerStream::plain(transport, carrier), methods, word),
    )
    .await;
    let late = || Err(timed_out(Operation::Handshake, CloseReason::TimedOutHandshake));
    // Who answers for another torrent does so whatever the way.
    greeted.unwrap_or_else(|_| late()).map_err(|failure| {
        let stood = failure.reason != CloseReason::InvalidInfoHash;
        Blocked { failure, stood }
    })
}

async fn connect(driver: &Driver, address: SocketAddr, protocol: Protocol) -> std::io::Result<Transport> {
    match protocol {
        _ if is_of_name(address.ip()) && protocol == Protocol::Utp => Err(std::io::ErrorKind::Unsupported.into()),
        Protocol::Tcp if is_of_name(address.ip()) => connect_by_name(driver, address).await.map(Transport::Tcp),
        Protocol::Tcp => {
            let egress = driver.session.egress();
            let connected = egress.connect(Traffic::Peers, Destination::Address(address)).await;
            connected.map(Transport::Tcp)
        }
        Protocol::Utp => {
            let session = &driver.session;
            let socket = session.udp_ports.to(&session.egress(), Traffic::Peers, address).await?;
            let connected = timeout(UTP_PATIENCE, socket.connect(address)).await;
            connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map(Transport::Utp)
        }
    }
}

/// To a peer of which only a host's name is known: the proxy looks it up, or we, if there is none any more.
async fn connect_by_name(driver: &Driver, address: SocketAddr) -> std::io::Result<TcpStream> {
    let (host, port) = driver.named_peers.find(address).ok_or(std::io::ErrorKind::NotFound)?;
    let egress = driver.session.egress();
    if !egress.route().resolves(Traffic::Peers) {
        return egress.connect(Traffic::Peers, Destination::Name(&host, port)).await;
    }
    let mut last = std::io::ErrorKind::NotFound.into();
    for found in egress.resolve(Traffic::Peers, &host, port).await?.into_iter().take(MAX_ADDRESSES) {
        match egress.connect(Traffic::Peers, Destination::Address(found)).await {
            Err(e) => last = e,
            connected => return connected,
        }
    }
    Err(last)
}

pub fn timed_out(operation: Operation, reason: CloseReason) -> DialFailure {
    greeting::failure(reason, operation, "the peer did not answer in time".to_owned())
}

pub fn seconds(s: i64) -> Duration {
    Duration::from_secs(u64::try_from(s).unwrap_or(1).max(1))
}
