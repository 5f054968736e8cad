//! SYN cookies, as TCP has them (RFC 4987, 3.6): who asks for a stream gets an answer, and no state before he has answered to that from his address.
//!
//! The number at which our packets begin is a keyed hash of what he asked. His first packets with data acknowledge it, and follow his question.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use super::connection::RECEIVE_BYTES;
use super::packet::{Header, PacketType, SeqNr};
use crate::base::time::Time;

/// So many packets may come before anything was acknowledged.
const FIRST_PACKETS: u16 = 16;

/// The numbers at which packets begin, of each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    pub ours: SeqNr,
    pub theirs: SeqNr,
}

#[derive(Debug, Default)]
pub struct SynCookies {
    keys: RandomState,
}

impl SynCookies {
    fn first_nr(&self, from: SocketAddr, id: u16, syn: SeqNr) -> SeqNr {
        SeqNr(self.keys.hash_one((from, id, syn.0)) as u16)
    }

    /// The answer to a question for a stream.
    pub fn answer(&self, now: Time, from: SocketAddr, syn: &Header) -> Header {
        Header {
            kind: PacketType::State,
            connection_id: syn.connection_id,
            timestamp: now.micros() as u32,
            timestamp_difference: (now.micros() as u32).wrapping_sub(syn.timestamp),
            wnd_size: RECEIVE_BYTES as u32,
            seq_nr: self.first_nr(from, syn.connection_id, syn.seq_nr),
            ack_nr: syn.seq_nr,
        }
    }

    /// Where packets begin, if this is one of the first packets of one who was answered: the very first may be late, or lost.
    pub fn check(&self, from: SocketAddr, data: &Header) -> Option<Begin> {
        if data.kind != PacketType::Data {
            return None;
        }
        let ours = data.ack_nr.plus(1);
        let mut syns = (1..=FIRST_PACKETS).map(|before| SeqNr(data.seq_nr.0.wrapping_sub(before)));
        let syn = syns.find(|syn| self.first_nr(from, data.connection_id.wrapping_sub(1), *syn) == ours)?;
        Some(Begin { ours, theirs: syn.plus(1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_answered_there_is_let_in() {
        let cookies = SynCookies::default();
        let (from, other) = ("192.0.2.1:1".parse().expect("one"), "192.0.2.2:1".parse().expect("one"));
        let syn = Header {
            kind: PacketType::Syn,
            connection_id: u16::MAX,
            timestamp: 5,
            timestamp_difference: 0,
            wnd_size: 0,
            seq_nr: SeqNr(u16::MAX),
            ack_nr: SeqNr(0),
        };
        let answer = cookies.answer(Time::BEGINNING, from, &syn);
        let first = Header {
            kind: PacketType::Data,
            connection_id: 0,
            seq_nr: SeqNr(0),
            ack_nr: answer.seq_nr.plus(u16::MAX),
            ..syn
        };
        let begin = Some(Begin { ours: answer.seq_nr, theirs: SeqNr(0) });
        assert_eq!(cookies.check(from, &first), begin);
        assert_eq!(cookies.check(from, &Header { seq_nr: SeqNr(9), ..first }), begin, "the first one is late");
        let wrong = [
            Header { kind: PacketType::State, ..first },
            Header { connection_id: 1, ..first },
            Header { seq_nr: SeqNr(FIRST_PACKETS), ..first },
            Header { ack_nr: answer.seq_nr, ..first },
        ];
        // One in 4096 would be guessed.
        let let_in = wrong.iter().filter(|h| cookies.check(from, h).is_some()).count();
        assert!(let_in + usize::from(cookies.check(other, &first).is_some()) <= 1);
    }
}
