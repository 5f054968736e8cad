//! What the sockets of peers are set to, by the settings.

use std::ops::RangeInclusive;

use socket2::SockRef;

use crate::settings::Settings;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketOptions {
    /// RFC 2474.
    dscp: u32,
    /// Bytes; 0: as the system does.
    send_buffer: usize,
    receive_buffer: usize,
    pub backlog: i32,
    /// Where our side of a connection that we make has its port; 0: anywhere.
    first_port: u16,
    more_ports: u16,
}

impl SocketOptions {
    pub fn of(settings: &Settings) -> Self {
        let size = |bytes| usize::try_from(bytes).unwrap_or(0);
        let port = |port| u16::try_from(port).unwrap_or(0);
        Self {
            dscp: u32::try_from(settings.peer_dscp).unwrap_or(0),
            send_buffer: size(settings.send_socket_buffer_size),
            receive_buffer: size(settings.recv_socket_buffer_size),
            backlog: i32::try_from(settings.listen_queue_size).unwrap_or(i32::MAX),
            first_port: port(settings.outgoing_port),
            more_ports: port(settings.num_outgoing_ports),
        }
    }

    /// A system that does not know an option does without it.
    pub fn set_on(&self, socket: SockRef<'_>, is_v6: bool) {
        let class = self.dscp << 2;
        let _ = if is_v6 { socket.set_tclass_v6(class) } else { socket.set_tos_v4(class) };
        self.set_buffers_on(socket);
    }

    /// Before it connects or listens: the window that is offered follows.
    fn set_buffers_on(&self, socket: SockRef<'_>) {
        if self.send_buffer > 0 {
            let _ = socket.set_send_buffer_size(self.send_buffer);
        }
        if self.receive_buffer > 0 {
            let _ = socket.set_recv_buffer_size(self.receive_buffer);
        }
    }

    /// The ports of our side, if they are to be of a range.
    pub fn ports(&self) -> Option<RangeInclusive<u16>> {
        (self.first_port > 0).then(|| self.first_port..=self.first_port.saturating_add(self.more_ports))
    }
}
