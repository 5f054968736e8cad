//! The addresses of this host, as they come and go: sockets are opened and closed, and what failed is tried anew.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::change;
use super::shared::Shared;
use crate::engine::Torrent;
use crate::net::egress::address_changes::AddressChanges;
use crate::net::egress::interfaces::Interfaces;

/// Until the system is asked again to tell of changes, where it failed to.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Follows them until the session closes.
pub fn follow(session: &Arc<Shared>) {
    let following = session.clone();
    session.spawn(async move {
        tokio::select! {
            () = following.closing() => {}
            () = watch(&following) => {}
        }
    });
}

async fn watch(session: &Arc<Shared>) {
    let mut changes = AddressChanges::watch();
    let mut known = Known::now(session).unwrap_or_default();
    loop {
        let told = match &mut changes {
            Ok(changes) => changes.changed().await.is_ok(),
            Err(_) => false,
        };
        if !told {
            tokio::time::sleep(ASK_AGAIN).await;
            changes = AddressChanges::watch();
        }
        // Where it cannot be told, as there are no more file descriptors, all stays as it is.
        let Ok(present) = Known::now(session) else { continue };
        if present == known || !session.settings().enable_ip_notifier {
            continue;
        }
        let (session, before, now) = (session.clone(), known, present.clone());
        // It waits for sockets to close, which takes a worker of the runtime.
        if tokio::task::spawn_blocking(move || changed(&session, &before, &now)).await.is_err() {
            return;
        }
        known = present;
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    interfaces: Interfaces,
    ways_out: Vec<IpAddr>,
}

impl Known {
    fn now(session: &Shared) -> io::Result<Self> {
        Ok(Self { interfaces: Interfaces::now()?, ways_out: session.egress().ways_out() })
    }
}

fn changed(session: &Arc<Shared>, before: &Known, present: &Known) {
    let _changing = session.lock_changes();
    if session.is_closed() {
        return;
    }
    session.udp_ports.close_spare(Some(&present.interfaces));
    change::listen_anew(session);
    let gone: Vec<IpAddr> = before.interfaces.addresses().filter(|ip| !present.interfaces.has(*ip)).collect();
    // Not each address that comes: hosts that run containers have many.
    let new = present.ways_out.iter().any(|ip| !before.ways_out.contains(ip));
    for driver in session.drivers() {
        if !gone.is_empty() {
            driver.run(|core, now| {
                // To those that have not noticed we are another one, or they would refuse us as a duplicate of what they wait for in vain.
                core.set_peer_id(session.new_peer_id(core.is_private()));
                core.addresses_gone(now, &gone);
            });
        }
        if new {
            driver.run(Torrent::reachable_anew);
        }
    }
}
