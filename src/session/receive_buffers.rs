//! Buffers that connections receive into, kept for reuse.

use parking_lot::Mutex;

/// One receive brings at most so much: many blocks, which the cache holds.
pub const RECEIVE_BYTES: usize = 256 * 1024;
/// Most that are kept.
const MOST: usize = 8;

#[derive(Debug, Default)]
pub struct ReceiveBuffers(Mutex<Vec<Vec<u8>>>);

impl ReceiveBuffers {
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_else(|| vec![0; RECEIVE_BYTES])
    }

    pub fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock();
        if kept.len() < MOST {
            kept.push(buffer);
        }
    }

    /// None is needed: the memory goes back.
    pub fn release(&self) {
        *self.0.lock() = Vec::new();
    }
}
