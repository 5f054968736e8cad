//! What came of a peer, and when: by it the idle, the silent and the useless are told.

use super::wire_peer::Peer;
use crate::base::time::Time;
use crate::engine::bandwidth::rate::Rate;

#[derive(Debug)]
pub struct Activity {
    payload: Rate,
    protocol: Rate,
    connected: Time,
    received: Time,
    requested: Time,
    useful: Time,
    /// The block that is coming in: piece, begin, bytes here.
    receiving: Option<(u32, u32, u32)>,
    has_served: bool,
    useless: bool,
}

impl Activity {
    /// Of one that has just connected.
    pub(super) fn new(now: Time) -> Self {
        Self {
            payload: Rate::default(),
            protocol: Rate::default(),
            connected: now,
            received: now,
            requested: now,
            useful: now,
            receiving: None,
            has_served: false,
            useless: false,
        }
    }

    /// Blocks.
    pub fn payload(&self) -> &Rate {
        &self.payload
    }

    /// All that came from its socket.
    pub fn protocol(&self) -> &Rate {
        &self.protocol
    }

    pub fn connected_at(&self) -> Time {
        self.connected
    }

    pub fn last_received(&self) -> Time {
        self.received
    }

    /// When it was asked for a block.
    pub fn last_request(&self) -> Time {
        self.requested
    }

    /// When it brought a block that it was asked for, or took one.
    pub fn last_useful(&self) -> Time {
        self.useful
    }

    /// The block that is coming in: piece, begin, bytes here.
    pub fn receiving(&self) -> Option<(u32, u32, u32)> {
        self.receiving
    }

    /// It brought a block that it was asked for.
    pub fn has_served(&self) -> bool {
        self.has_served
    }

    /// It is parted with since it is of no use.
    pub fn is_useless(&self) -> bool {
        self.useless
    }

    pub(super) fn received(&mut self, now: Time, bytes: u64) {
        self.received = now;
        self.protocol.add(now, bytes);
    }

    pub(super) fn requested(&mut self, now: Time) {
        self.requested = now;
    }

    pub(super) fn served(&mut self, now: Time, bytes: u32) {
        self.payload.add(now, u64::from(bytes));
        self.has_served = true;
        self.useful = now;
    }

    /// Bytes for a request that was taken back.
    pub(super) fn stray(&mut self, now: Time, bytes: u32) {
        self.payload.add(now, u64::from(bytes));
    }

    pub(super) fn took_a_block(&mut self, now: Time) {
        self.useful = now;
    }

    pub(super) fn update_rates(&mut self, now: Time) {
        self.payload.update(now);
        self.protocol.update(now);
    }
}

impl Peer {
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// How far the block is that comes in now: piece, begin, bytes here.
    pub(in crate::engine) fn set_receiving(&mut self, block: Option<(u32, u32, u32)>) {
        self.activity.receiving = block;
    }

    /// It is parted with since it is of no use.
    pub(in crate::engine) fn found_useless(&mut self) {
        self.activity.useless = true;
    }
}
