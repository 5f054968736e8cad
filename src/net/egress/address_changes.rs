//! Word that the addresses of this host may have changed: at once where the system tells it (netlink, on Linux), else from time to time.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

/// Where the system does not tell.
#[cfg(not(target_os = "linux"))]
const POLL: Duration = Duration::from_secs(10);
/// A device comes with several changes: they are taken together.
const SETTLE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct AddressChanges {
    /// Not of UDP, but tokio receives from it all the same, and has no other type for it that is safe.
    #[cfg(target_os = "linux")]
    link: tokio::net::UdpSocket,
}

#[cfg(target_os = "linux")]
impl AddressChanges {
    /// Changes from now on.
    pub fn watch() -> io::Result<Self> {
        Ok(Self { link: super::sockets::route_link()? })
    }

    /// Waits for a change.
    pub async fn changed(&mut self) -> io::Result<()> {
        self.link.readable().await?;
        sleep(SETTLE).await;
        // What it says is of no matter, and that more was said than fits (ENOBUFS) says the same. Bounded: it may go on all the time.
        for _ in 0..1000 {
            if matches!(self.link.try_recv(&mut [0; 4096]), Err(e) if e.kind() == io::ErrorKind::WouldBlock) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
impl AddressChanges {
    pub fn watch() -> io::Result<Self> {
        Ok(Self {})
    }

    pub async fn changed(&mut self) -> io::Result<()> {
        sleep(POLL + SETTLE).await;
        Ok(())
    }
}
