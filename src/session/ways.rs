//! The ways to a peer: in plain, and encrypted (MSE).
//!
//! Some peers take the one only, some the other. What a peer took the last time is tried first, and the other way if that fails. Of a peer
//! that is not known the encrypted way is begun as soon as the plain connection stands, not when it has failed, and the first that answers
//! wins: that costs others a connection that brings nothing, and saves us two round trips or a timeout.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::driver::Driver;
use super::encryption_policy::EncryptionPolicy;
use super::greeting;
use crate::alert::CloseReason;
use crate::base::error::Operation;
use crate::engine::swarm::dial::{Dial, DialFailure};
use crate::net::egress;
use crate::net::peer_stream::PeerStream;
use crate::wire::Handshake;
use crate::wire::mse::CryptoMethods;

/// Why a way led nowhere.
struct Blocked {
    failure: DialFailure,
    /// There was a connection: another way may lead further.
    stood: bool,
}

/// Connects and exchanges handshakes, one way or the other.
pub async fn reach(driver: &Driver, dial: Dial) -> Result<(PeerStream, Handshake), DialFailure> {
    let settings = driver.session.settings();
    let methods = greeting::methods(&settings);
    let (first, second) = match EncryptionPolicy::outgoing(&settings) {
        EncryptionPolicy::Forced => return encrypted_only(driver, dial.address, methods).await,
        EncryptionPolicy::Disabled => {
            return go(driver, dial.address, None, &Notify::new()).await.map_err(|b| b.failure);
        }
        EncryptionPolicy::Enabled if dial.encrypted == Some(true) => (Some(methods), None),
        EncryptionPolicy::Enabled => (None, Some(methods)),
    };
    let (stands, unheard) = (Notify::new(), Notify::new());
    let mut usual = pin!(go(driver, dial.address, first, &stands));
    let met = tokio::select! {
        biased;
        met = &mut usual => met,
        () = stands.notified(), if dial.encrypted.is_none() => {
            let mut other = pin!(go(driver, dial.address, second, &unheard));
            tokio::select! {
                met = &mut usual => match met {
                    Ok(met) => return Ok(met),
                    Err(blocked) if blocked.stood => return other.await.map_err(|_| blocked.failure),
                    Err(blocked) => return Err(blocked.failure),
                },
                met = &mut other => match met {
                    Ok(met) => return Ok(met),
                    // Some let only one connection of an address say its handshake: the way may be free when that one is gone.
                    Err(_) => usual.await,
                },
            }
        }
    };
    match met {
        Ok(met) => Ok(met),
        Err(blocked) if blocked.stood => go(driver, dial.address, second, &unheard).await.map_err(|_| blocked.failure),
        Err(blocked) => Err(blocked.failure),
    }
}

/// Encrypted, whatever comes of it. Some that choose to go on in plain text take our encrypted handshake for a plain one: they are asked again for RC4.
async fn encrypted_only(
    driver: &Driver,
    address: SocketAddr,
    methods: CryptoMethods,
) -> Result<(PeerStream, Handshake), DialFailure> {
    match go(driver, address, Some(methods), &Notify::new()).await {
        Ok(met) => Ok(met),
        Err(blocked) if blocked.stood && methods == CryptoMethods::all() => {
            let again = go(driver, address, Some(CryptoMethods::RC4), &Notify::new()).await;
            again.map_err(|_| blocked.failure)
        }
        Err(blocked) => Err(blocked.failure),
    }
}

/// Goes one way: in plain, or encrypted by one of these methods. `stands`: told when there is a connection.
async fn go(
    driver: &Driver,
    address: SocketAddr,
    methods: Option<CryptoMethods>,
    stands: &Notify,
) -> Result<(PeerStream, Handshake), Blocked> {
    let settings = driver.session.settings();
    let far = |failure| Blocked { failure, stood: false };
    let connect = timeout(seconds(settings.peer_connect_timeout), egress::connect(None, address)).await;
    let connected = connect.map_err(|_| far(timed_out(Operation::Connect, CloseReason::Timeout)))?;
    let tcp = connected.map_err(|e| far(greeting::lost(Operation::Connect, &e)))?;
    stands.notify_one();
    let greeted = timeout(seconds(settings.handshake_timeout), greeting::outgoing(driver, tcp, methods)).await;
    let late = || Err(timed_out(Operation::Handshake, CloseReason::TimedOutHandshake));
    // Who answers for another torrent does so whatever the way.
    greeted.unwrap_or_else(|_| late()).map_err(|failure| {
        let stood = failure.reason != CloseReason::InvalidInfoHash;
        Blocked { failure, stood }
    })
}

pub fn timed_out(operation: Operation, reason: CloseReason) -> DialFailure {
    greeting::failure(reason, operation, "the peer did not answer in time".to_owned())
}

pub fn seconds(s: i64) -> Duration {
    Duration::from_secs(u64::try_from(s).unwrap_or(1).max(1))
}
