//! Receiving without a copy: payload lands in its blocks.
//!
//! Peers send one block after the other, mostly, and most blocks have one length. So before a receive the decoder lays out
//! places: the rest of the block that is arriving; header and block of each that should come next; behind them a spare
//! buffer. After it, a header of any block that was asked for makes what lies behind it that block, where it lies. At the
//! first one that is something else, all from there on is decoded as any pushed bytes are.

use std::collections::VecDeque;

use super::{Decoder, HEADER_BYTES, Received, State};
use crate::memory::credits::Loan;
use crate::memory::pool::BLOCK_SIZE;
use crate::sys::block_copy;
use crate::wire::error::WireError;
use crate::wire::message::id;

/// Most blocks aimed at: with them a receive has some 30 places, which is what one system call takes well.
const MOST_BLOCKS: usize = 15;

/// Most places of a receive: what is left of a block, the blocks aimed at with their headers, what comes after.
pub const MOST_PLACES: usize = 2 * MOST_BLOCKS + 2;

/// After a wrong guess so many receives go without: a peer that mixes its messages costs a copy, not two.
const WARY_RECEIVES: u32 = 8;

/// What the next receive is aimed at.
#[derive(Debug, Default)]
pub(super) struct Aim {
    blocks: VecDeque<Target>,
    /// Bytes of the last receives: the most, less by a quarter with each one since.
    lately: usize,
    wary: u32,
}

#[derive(Debug)]
struct Target {
    header: [u8; HEADER_BYTES],
    loan: Loan,
}

impl Target {
    /// The block that the header is of, if it fits: its piece and begin.
    fn found(&self) -> Option<(u32, u32)> {
        let [l0, l1, l2, l3, id, p0, p1, p2, p3, b0, b1, b2, b3] = self.header;
        let fits = id == id::PIECE && u32::from_be_bytes([l0, l1, l2, l3]) == self.loan.length + 9;
        fits.then_some((u32::from_be_bytes([p0, p1, p2, p3]), u32::from_be_bytes([b0, b1, b2, b3])))
    }
}

impl Decoder {
    /// Takes aim for a receive. [`Decoder::landed`] must follow before anything else is decoded, also if nothing came.
    pub fn aim(&mut self) {
        let between = matches!(self.state, State::Header) && self.header_len == 0;
        if !(between || matches!(self.state, State::Block { .. })) || self.failed.is_some() {
            return;
        }
        if self.aim.wary > 0 {
            self.aim.wary -= 1;
            return;
        }
        // A peer that brings little at a time needs few places.
        let blocks = (2 * self.aim.lately / BLOCK_SIZE as usize + 1).min(MOST_BLOCKS);
        let loans = self.credits.lend(blocks).into_iter();
        self.aim.blocks.extend(loans.map(|loan| Target { header: [0; HEADER_BYTES], loan }));
    }

    /// The places for what is received next, in their order, `most` bytes of them. `spare` is for what comes after.
    pub fn places<'a>(&'a mut self, spare: &'a mut [u8], most: usize) -> impl Iterator<Item = &'a mut [u8]> {
        let arriving = match &mut self.state {
            State::Block { got, block, .. } => block.as_mut_slice().get_mut(*got..),
            _ => None,
        };
        let blocks = self.aim.blocks.iter_mut().flat_map(|t| [t.header.as_mut_slice(), t.loan.block.as_mut_slice()]);
        let all = arriving.into_iter().chain(blocks).chain([spare]);
        all.scan(most, |left, place| {
            let length = place.len().min(*left);
            *left -= length;
            place.get_mut(..length)
        })
        .filter(|place| !place.is_empty())
    }

    /// `received` bytes are in the places: reads them, and appends what they say. Errors are as those of [`Decoder::push`].
    pub fn landed(&mut self, received: usize, spare: &[u8], out: &mut Vec<Received>) -> Result<(), WireError> {
        self.aim.lately = received.max(self.aim.lately / 4 * 3);
        let mut left = received;
        if let State::Block { got, block, .. } = &mut self.state {
            let missing = block.as_mut_slice().len() - *got;
            let now = missing.min(left);
            *got += now;
            left -= now;
            if now == missing {
                self.finish_block(out);
            }
        }
        let mut missed = Vec::new();
        while let Some(target) = self.aim.blocks.pop_front() {
            if left > HEADER_BYTES
                && missed.is_empty()
                && let Some((piece, begin)) = target.found()
                && self.credits.settle(&target.loan, piece, begin)
            {
                let Loan { piece: lent_piece, begin: lent_begin, length, block } = target.loan;
                // Two loans changed places: the other one is what this one was.
                if let Some(other) = self.aim.blocks.iter_mut().find(|t| t.loan.is_of(piece, begin)) {
                    (other.loan.piece, other.loan.begin) = (lent_piece, lent_begin);
                }
                let got = (left - HEADER_BYTES).min(length as usize);
                left -= HEADER_BYTES + got;
                self.state = State::Block { piece, begin, got, block };
                if got == length as usize {
                    self.finish_block(out);
                }
                continue;
            }
            let Target { header, mut loan } = target;
            for place in [header.as_slice(), loan.block.as_mut_slice()] {
                let (now, _) = place.split_at(place.len().min(left));
                block_copy::append(now, &mut missed);
                left -= now.len();
            }
            self.credits.give_back([loan]);
        }
        if missed.len() > HEADER_BYTES {
            self.aim.wary = WARY_RECEIVES;
        }
        self.push(&missed, out)?;
        self.push(spare.get(..left).unwrap_or_default(), out)
    }
}
