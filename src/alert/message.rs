//! One line for logs out of an alert's record.

use std::fmt::Write as _;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::kind;
use super::record::{et_alert, et_alert_error, et_endpoint, et_text};
use super::records::*;
use super::types::et_socket_type;
use crate::base::out_buffer::OutBuffer;
use crate::base::text::sanitise;

/// Writes the line: the alert's name, then what its record says. The bytes that takes, which may be more than the buffer has;
/// `None` where the record is none.
///
/// It is for people: without control characters, without what follows the host in a tracker's URL (there may be a passkey).
/// A type this version does not know gives its number. It allocates nothing where no text needs cleaning: programs that log
/// every alert call it as often as they pop.
pub fn write_message<B: OutBuffer + ?Sized>(record: &[u8], mut buffer: &mut B) -> Option<usize> {
    let mut line = Line::new(&mut buffer);
    write(record, &mut line)?;
    Some(line.end())
}

/// The line as a string.
pub fn message(record: &[u8]) -> Option<String> {
    let mut line = vec![0; write_message::<[u8]>(record, &mut [])?];
    write_message(record, line.as_mut_slice())?;
    String::from_utf8(line).ok()
}

/// The same for records that lie one behind the other, each line ended by a newline.
pub fn write_messages<B: OutBuffer + ?Sized>(mut records: &[u8], mut buffer: &mut B) -> Option<usize> {
    let mut line = Line::new(&mut buffer);
    while !records.is_empty() {
        let (size, _) = u32::read_from_prefix(records).ok()?;
        let (record, rest) = records.split_at_checked(usize::try_from(size).ok()?)?;
        write(record, &mut line)?;
        line.push("\n");
        records = rest;
    }
    Some(line.end())
}

fn write(record: &[u8], line: &mut Line<'_>) -> Option<()> {
    let (base, _) = et_alert::read_from_prefix(record).ok()?;
    let Some(kind) = kind::by_id(base.r#type) else {
        line.push("alert ");
        line.push(itoa::Buffer::new().format(base.r#type));
        return Some(());
    };
    line.push(kind.name);
    let mut fields = Fields { record, line };
    if base.torrent != 0 {
        fields.number("torrent", base.torrent)?;
    }
    fields.of(base.r#type)
}

/// Text in a buffer of a fixed size. What does not fit is counted, not kept.
///
/// It consists of many small pieces, and the buffer is made for few large ones: they are gathered.
struct Line<'a> {
    buffer: &'a mut dyn OutBuffer,
    /// What is in the buffer, or would be if it had room.
    length: usize,
    gathered: [u8; GATHERED],
    num_gathered: usize,
}

const GATHERED: usize = 512;

impl<'a> Line<'a> {
    fn new(buffer: &'a mut dyn OutBuffer) -> Self {
        Self { buffer, length: 0, gathered: [0; GATHERED], num_gathered: 0 }
    }

    fn push(&mut self, text: &str) {
        let end = self.num_gathered + text.len();
        if let Some(place) = self.gathered.get_mut(self.num_gathered..end) {
            place.copy_from_slice(text.as_bytes());
            self.num_gathered = end;
            return;
        }
        self.put_gathered();
        self.length = put(self.buffer, self.length, text.as_bytes());
    }

    fn put_gathered(&mut self) {
        let gathered = self.gathered.get(..self.num_gathered).unwrap_or_default();
        self.length = put(self.buffer, self.length, gathered);
        self.num_gathered = 0;
    }

    /// The bytes of the text.
    fn end(mut self) -> usize {
        self.put_gathered();
        self.length
    }
}

/// Puts the bytes to that place if they fit. Where they end.
fn put(buffer: &mut dyn OutBuffer, at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    if end <= buffer.len() {
        buffer.put(at, bytes);
    }
    end
}

impl std::fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text);
        Ok(())
    }
}

struct Fields<'r, 'l, 'b> {
    record: &'r [u8],
    line: &'l mut Line<'b>,
}

impl Fields<'_, '_, '_> {
    fn read<T: FromBytes + KnownLayout + Immutable>(&self) -> Option<T> {
        T::read_from_prefix(self.record).ok().map(|(fixed, _)| fixed)
    }

    fn number(&mut self, name: &str, value: impl itoa::Integer) -> Option<()> {
        self.word(name, itoa::Buffer::new().format(value))
    }

    /// A word of ours: it has nothing to hide.
    fn word(&mut self, name: &str, value: &str) -> Option<()> {
        for part in [" ", name, "=", value] {
            self.line.push(part);
        }
        Some(())
    }

    fn text(&mut self, name: &str, text: et_text) -> Option<()> {
        let start = usize::try_from(text.offset).ok()?;
        let end = start.checked_add(usize::try_from(text.length).ok()?)?;
        let text = String::from_utf8_lossy(self.record.get(start..end)?);
        if !text.is_empty() {
            self.word(name, &sanitise(&text))?;
        }
        Some(())
    }

    fn error(&mut self, error: et_alert_error) -> Option<()> {
        if error.status == 0 { Some(()) } else { self.text("error", error.message) }
    }

    fn endpoint(&mut self, endpoint: et_endpoint) -> Option<()> {
        let Some(address) = endpoint.address() else { return Some(()) };
        self.word("endpoint", "")?;
        write!(self.line, "{address}").ok()
    }

    fn of(&mut self, id: u32) -> Option<()> {
        match id {
            10 => {
                let r: et_state_changed_alert = self.read()?;
                self.word("from", state(r.prev_state))?;
                self.word("to", state(r.state))
            }
            67 => {
                let r: et_add_torrent_alert = self.read()?;
                self.text("name", r.name)?;
                self.error(r.error)
            }
            36 => self.read::<et_torrent_delete_failed_alert>().and_then(|r| self.error(r.error)),
            44 | 96 => self.read::<et_metadata_failed_alert>().and_then(|r| self.error(r.error)),
            43 | 64 => {
                // Both have the same fields.
                let r: et_file_error_alert = self.read()?;
                self.text("file", r.filename)?;
                self.error(r.error)
            }
            6 => self.read::<et_file_completed_alert>().and_then(|r| self.number("file", r.file)),
            18 | 27 | 1003 => self.read::<et_piece_finished_alert>().and_then(|r| self.number("piece", r.piece)),
            19..=24 => self.peer(id),
            46 => {
                let r: et_udp_error_alert = self.read()?;
                self.endpoint(r.endpoint)?;
                self.error(r.error)
            }
            54 => {
                let r: et_peer_blocked_alert = self.read()?;
                self.endpoint(r.endpoint)?;
                self.word("by", blocked(r.reason))
            }
            11 | 12 | 15 | 17 => self.tracker(id),
            16 => self.read::<et_dht_reply_alert>().and_then(|r| self.number("peers", r.num_peers)),
            47 => self.read::<et_external_ip_alert>().and_then(|r| self.endpoint(r.endpoint)),
            49 => {
                let r: et_listen_succeeded_alert = self.read()?;
                self.endpoint(r.endpoint)?;
                self.word("by", carrier(r.socket_type))
            }
            48 => {
                let r: et_listen_failed_alert = self.read()?;
                self.text("interface", r.interface_name)?;
                self.endpoint(r.endpoint)?;
                self.word("by", carrier(r.socket_type))?;
                self.error(r.error)
            }
            9 => self.read::<et_performance_alert>().and_then(|r| self.number("warning", r.warning)),
            95 => self.read::<et_alerts_dropped_alert>().and_then(|r| self.number("total", r.total)),
            1000..=1004 => self.reader(id),
            _ => Some(()),
        }
    }

    fn peer(&mut self, id: u32) -> Option<()> {
        // All of them begin alike.
        self.read::<et_peer_ban_alert>().and_then(|r| self.endpoint(r.endpoint))?;
        match id {
            23 => {
                let r: et_peer_connect_alert = self.read()?;
                self.word("direction", if r.direction == 0 { "in" } else { "out" })?;
                self.word("by", carrier(r.socket_type))
            }
            24 => {
                let r: et_peer_disconnected_alert = self.read()?;
                self.number("reason", r.reason)?;
                self.error(r.error)
            }
            _ => Some(()),
        }
    }

    fn tracker(&mut self, id: u32) -> Option<()> {
        // All of them begin alike.
        self.read::<et_tracker_announce_alert>().and_then(|r| self.text("url", r.url))?;
        match id {
            11 => {
                let r: et_tracker_error_alert = self.read()?;
                self.number("times", r.times_in_row)?;
                self.text("reason", r.failure_reason)?;
                self.error(r.error)
            }
            12 => self.read::<et_tracker_warning_alert>().and_then(|r| self.text("warning", r.message)),
            15 => self.read::<et_tracker_reply_alert>().and_then(|r| self.number("peers", r.num_peers)),
            _ => self.read::<et_tracker_announce_alert>().and_then(|r| self.word("event", event(r.event))),
        }
    }

    fn reader(&mut self, id: u32) -> Option<()> {
        match id {
            1000 | 1001 => {
                let r: et_reader_stalled_alert = self.read()?;
                self.number("reader", r.reader)?;
                self.number("file", r.file)?;
                self.number("offset", r.offset)?;
                if id == 1001 { self.number("piece", r.piece) } else { Some(()) }
            }
            1002 => {
                let r: et_prebuffer_progress_alert = self.read()?;
                self.number("reader", r.reader)?;
                self.number("done", r.bytes_done)?;
                self.number("total", r.bytes_total)
            }
            _ => {
                let r: et_memory_pressure_alert = self.read()?;
                self.number("limit", r.limit_bytes)?;
                self.number("charged", r.charged_bytes)?;
                self.number("needed", r.needed_bytes)
            }
        }
    }
}

fn state(number: i32) -> &'static str {
    match number {
        1 => "checking_files",
        2 => "downloading_metadata",
        3 => "downloading",
        4 => "finished",
        5 => "seeding",
        _ => "unknown",
    }
}

fn event(number: i32) -> &'static str {
    match number {
        0 => "none",
        1 => "completed",
        2 => "started",
        3 => "stopped",
        _ => "unknown",
    }
}

fn blocked(reason: i32) -> &'static str {
    match reason {
        1 => "port_filter",
        3 => "privileged_ports",
        4 => "utp_disabled",
        5 => "tcp_disabled",
        _ => "?",
    }
}

/// What a connection runs over.
fn carrier(socket_type: et_socket_type) -> &'static str {
    match socket_type {
        0 => "tcp",
        1 => "socks5",
        2 => "http",
        3 => "utp",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::pack::{Stamp, pack};
    use crate::alert::{Alert, BlockedReason, TorrentState};
    use crate::base::error::{Error, Status};

    fn line(torrent: u64, alert: &Alert) -> String {
        let mut out = Vec::new();
        pack(&mut out, Stamp { sequence: 1, timestamp_us: 0, torrent }, alert);
        message(&out).expect("a record")
    }

    #[test]
    fn lines() {
        let changed = Alert::StateChanged { state: TorrentState::Seeding, prev_state: TorrentState::Downloading };
        assert_eq!(line(0x1_0000_0001, &changed), "state_changed torrent=4294967297 from=downloading to=seeding");
        assert_eq!(line(0, &Alert::DhtBootstrap), "dht_bootstrap");
        let endpoint = "192.0.2.1:25".parse().expect("an address");
        let blocked = Alert::PeerBlocked { endpoint, reason: BlockedReason::PortFilter };
        assert_eq!(line(0, &blocked), "peer_blocked endpoint=192.0.2.1:25 by=port_filter");
        let failed = Alert::TrackerError {
            url: "http://t.example/secret/announce".into(),
            times_in_row: 2,
            error: Error::new(Status::TimedOut, "no answer\nin time"),
            failure_reason: String::new(),
        };
        assert_eq!(line(0, &failed), "tracker_error url=http://t.example/… times=2 error=no answer in time");
    }

    #[test]
    fn room_for_the_line() {
        let mut out = Vec::new();
        pack(&mut out, Stamp { sequence: 1, timestamp_us: 0, torrent: 0 }, &Alert::PieceFinished { piece: 3 });
        let line = b"piece_finished piece=3";
        for room in [0, line.len() - 1, line.len(), line.len() + 1] {
            let mut buffer = vec![b'.'; room];
            assert_eq!(write_message(&out, buffer.as_mut_slice()), Some(line.len()));
            assert_eq!(buffer.starts_with(line), room >= line.len());
        }
    }

    #[test]
    fn lines_of_a_batch() {
        let mut batch = Vec::new();
        for piece in [3, 4] {
            pack(&mut batch, Stamp { sequence: 1, timestamp_us: 0, torrent: 0 }, &Alert::PieceFinished { piece });
        }
        let (expected, cut) = (b"piece_finished piece=3\npiece_finished piece=4\n", batch.len() - 8);
        let mut text = vec![0; expected.len()];
        assert_eq!(
            (write_messages(&batch, text.as_mut_slice()), text.as_slice()),
            (Some(expected.len()), expected.as_slice())
        );
        assert_eq!(write_messages(&[], text.as_mut_slice()), Some(0));
        assert_eq!(write_messages(&batch[..cut], text.as_mut_slice()), None);
        batch[..4].fill(0);
        assert_eq!(write_messages(&batch, text.as_mut_slice()), None);
    }

    /// Text is gathered before it is put: whatever lies across that has its place.
    #[test]
    fn lines_of_many_and_long_ones() {
        let (mut batch, mut expected) = (Vec::new(), String::new());
        for n in 0..300 {
            let mut one = Vec::new();
            let error = Error::new(Status::Io, "x".repeat(n * 5));
            pack(&mut one, Stamp { sequence: 1, timestamp_us: 0, torrent: 0 }, &Alert::MetadataFailed { error });
            expected += &format!("{}\n", message(&one).expect("a record"));
            batch.extend_from_slice(&one);
        }
        let mut text = vec![0; expected.len()];
        assert_eq!(write_messages(&batch, text.as_mut_slice()), Some(expected.len()));
        assert_eq!(String::from_utf8(text).expect("UTF-8"), expected);
    }

    #[test]
    fn what_is_cut_off_is_no_record() {
        let mut out = Vec::new();
        pack(&mut out, Stamp { sequence: 1, timestamp_us: 0, torrent: 0 }, &Alert::PieceFinished { piece: 3 });
        assert_eq!(message(&out).as_deref(), Some("piece_finished piece=3"));
        assert_eq!(message(&out[..40]), None);
        assert_eq!(message(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(mut bytes in prop::collection::vec(any::<u8>(), 0..300), known in 0_usize..40) {
            if let (Some(kind), Some(place)) = (kind::ALL.get(known), bytes.get_mut(4..8)) {
                place.copy_from_slice(&kind.id.to_ne_bytes());
            }
            let _ = message(&bytes);
            let _ = write_messages::<[u8]>(&bytes, &mut []);
        }
    }
}
